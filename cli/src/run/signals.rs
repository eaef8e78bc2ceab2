//! Signals as requests to the run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cutover_engine::runner::Control;
use cutover_engine::view::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use crate::console;

/// The first SIGINT, SIGTERM or SIGQUIT rolls back and ends; the second stops at once. SIGHUP (the
/// terminal went away) changes nothing: a run does not hang on its terminal.
pub(super) fn listen(controls: UnboundedSender<Control>, lines: Arc<AtomicBool>) {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
    ];
    let asked_before = Arc::new(AtomicBool::new(false));
    for kind in kinds {
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        let (controls, lines) = (controls.clone(), Arc::clone(&lines));
        let asked_before = Arc::clone(&asked_before);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if asked_before.swap(true, Ordering::Relaxed) {
                    let _ = controls.send(Control::StopNow);
                } else {
                    if lines.load(Ordering::Relaxed) {
                        console::note("rolling back; once more stops at once");
                    }
                    let _ = controls.send(Control::Command(Command::Interrupt));
                }
            }
        });
    }
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        tokio::spawn(async move { while hangups.recv().await.is_some() {} });
    }
}

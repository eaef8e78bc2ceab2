//! Signals as requests to the run.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cutover_engine::runner::{Asked, Control};
use cutover_engine::view::Command;
use nix::sys::signal::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use crate::console;
use crate::control::protocol::Request;

/// Signals this close together are one: `timeout` and shells send theirs to the process and once
/// more to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(300);

/// A journal beyond the limit of file sizes (`ulimit -f`) is an error of the write, as a full disk
/// is one: by default the system would kill the driver instead, and leave the traffic where it is.
/// To be called inside a runtime.
pub(crate) fn survive_full_files() {
    // Once there is a handler the default is gone, whether or not anybody listens.
    let _ = signal(SignalKind::from_raw(Number::SIGXFSZ as i32));
}

/// The first SIGINT, SIGTERM or SIGQUIT rolls back and ends; the second stops at once. SIGHUP (the
/// terminal went away) changes nothing: a run does not hang on its terminal.
pub(super) fn listen(controls: UnboundedSender<Control>) {
    let kinds = [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::quit(),
    ];
    let first: Arc<OnceLock<Instant>> = Arc::default();
    for kind in kinds {
        let Ok(mut signals) = signal(kind) else {
            continue;
        };
        let controls = controls.clone();
        let first = Arc::clone(&first);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let now = Instant::now();
                if let Some(first) = first.get() {
                    if now >= *first + ONE_SIGNAL {
                        let _ = controls.send(Control::StopNow);
                    }
                } else if first.set(now).is_ok() {
                    console::note("rolling back; once more stops at once");
                    let _ =
                        controls.send(Control::Command(Asked::new(Command::Interrupt, "signal")));
                }
            }
        });
    }
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        tokio::spawn(async move { while hangups.recv().await.is_some() {} });
    }
}

/// The same at a screen, which is no driver: SIGINT is the key Ctrl-C wherever it comes from; the
/// future ends with SIGTERM or SIGQUIT, which ask the screen to end and the run for nothing.
pub(super) fn listen_at_screen(requests: UnboundedSender<Request>) -> impl Future<Output = ()> {
    if let Ok(mut interrupts) = signal(SignalKind::interrupt()) {
        tokio::spawn(async move {
            let mut first: Option<Instant> = None;
            while interrupts.recv().await.is_some() {
                let now = Instant::now();
                let request = match first {
                    None => {
                        first = Some(now);
                        let command = Command::Interrupt;
                        Request::Command { command }
                    }
                    Some(first) if now >= first + ONE_SIGNAL => Request::StopNow,
                    Some(_) => continue,
                };
                let _ = requests.send(request);
            }
        });
    }
    if let Ok(mut hangups) = signal(SignalKind::hangup()) {
        tokio::spawn(async move { while hangups.recv().await.is_some() {} });
    }
    let ends = [SignalKind::terminate(), SignalKind::quit()].map(|kind| signal(kind).ok());
    async move {
        let [mut terminate, mut quit] = ends;
        tokio::select! {
            () = next(&mut terminate) => {}
            () = next(&mut quit) => {}
        }
    }
}

async fn next(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}

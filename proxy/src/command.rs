//! The command line: arguments, signals, exit code.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::config::flags::{self, Request};
use crate::console;
use crate::proxy::Proxy;

/// Runs `cutover-proxy`. `args` begins with the program's name.
///
/// Exit code 0 after a drain or on request, 1 when the proxy cannot start, 2 when it was asked
/// for something wrong.
pub fn main_with_args(args: impl Iterator<Item = OsString>) -> ExitCode {
    let config = match flags::parse(args.skip(1)) {
        Ok(Request::Help) => {
            console::answer(flags::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(Request::Version) => {
            console::answer(concat!("cutover-proxy ", env!("CARGO_PKG_VERSION")));
            return ExitCode::SUCCESS;
        }
        Ok(Request::Serve { config, overrides }) => load(config.as_deref(), overrides),
        Err(mistakes) => Err(mistakes),
    };
    let outcome = match config {
        Ok(config) => run(config).map_err(|message| (vec![message], 1)),
        Err(mistakes) => Err((mistakes, 2)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err((mistakes, code)) => {
            for mistake in mistakes {
                console::tell(&format!("cutover-proxy: {mistake}"));
            }
            ExitCode::from(code)
        }
    }
}

fn load(file: Option<&Path>, overrides: Value) -> Result<Config, Vec<String>> {
    let value = match file {
        None => json!({}),
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| serde_json::from_str(&text).map_err(|e| format!("not JSON: {e}")))
            .map_err(|what| vec![format!("{}: {what}", path.display())])?,
    };
    Config::from_value(&flags::merge(value, overrides)).map_err(|error| match file {
        None => error.mistakes,
        Some(path) => error
            .mistakes
            .iter()
            .map(|what| format!("{}: {what}", path.display()))
            .collect(),
    })
}

fn run(config: Config) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    // Handlers first: a signal during start must not skip the clean-up.
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        let handler =
            |kind| signal(kind).map_err(|error| format!("cannot handle signals: {error}"));
        // The kernel hangs up on a stopped process whose parent dies. A proxy outlives whoever
        // started it, so a hangup is caught (for good, tokio keeps its handlers) and ignored.
        let _ = handler(SignalKind::hangup())?;
        (
            handler(SignalKind::terminate())?,
            handler(SignalKind::interrupt())?,
        )
    };
    let proxy = Proxy::start(config).map_err(|error| error.to_string())?;
    console::tell(&format!(
        "serving on {}, admin on {}",
        proxy.listen(),
        proxy.admin()
    ));
    let remote = proxy.remote();
    runtime.block_on(async move {
        let mut ended = tokio::task::spawn_blocking(move || proxy.wait());
        loop {
            tokio::select! {
                _ = &mut ended => return,
                _ = terminate.recv() => {
                    if remote.is_draining() { remote.stop() } else { remote.drain() }
                }
                _ = interrupt.recv() => remote.stop(),
            }
        }
    });
    Ok(())
}

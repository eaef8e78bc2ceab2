//! `cutover` moves a live service from Amazon ECS to Amazon EKS without its users noticing.
//!
//! | module | subject |
//! | --- | --- |
//! | [`args`] | what can be typed |
//! | [`commands`] | one file a subcommand |
//! | [`run`] | drives a run, and watches one: ports, signals, background, end |
//! | [`control`] | the socket through which a run is watched and steered |
//! | [`screen`] | the terminal screen |
//! | [`output`] | lines, events, summary, JSON |
//! | [`exit`] | exit codes |
//! | [`console`] | the only door to standard output and standard error |
//!
//! The one binary has three callings, told apart by the name it is started under: the driver
//! (`cutover`), the bundled proxy (`cutover-proxy`) and the demo service. Local stacks start the
//! last two from the driver's own file, so nothing else has to be installed.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use cutover_rehearsal::local::process_names;

mod args;
mod commands;
mod console;
mod control;
mod exit;
mod output;
mod run;
mod screen;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str())
    {
        Some(process_names::PROXY) => cutover_proxy::main_with_args(std::env::args_os()),
        Some(process_names::SERVICE) => cutover_rehearsal::service::main_with_argument(
            &std::env::args().nth(1).unwrap_or_default(),
        ),
        _ => drive(std::env::args_os().collect()),
    }
}

fn drive(arguments: Vec<OsString>) -> ExitCode {
    let arguments = match args::parse(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are data; a mistake is not.
            let (colour, print, exit): (_, fn(&str), _) = if error.use_stderr() {
                (console::colour(), console::note, exit::Exit::Error)
            } else {
                (console::data_colour(), console::data, exit::Exit::Done)
            };
            let text = error.render();
            let text = if colour {
                text.ansi().to_string()
            } else {
                text.to_string()
            };
            print(text.trim_end());
            return exit.into();
        }
    };
    let json = arguments.command.output() != args::Output::Human;
    match commands::run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if json {
                console::data(&serde_json::json!({ "error": failure.message }).to_string());
            }
            console::error(&failure.message);
            failure.exit.into()
        }
    }
}

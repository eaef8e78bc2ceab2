//! Subcommands that only print.

use cutover_scenarios::{library, schema};

use crate::args::{self, Completions, Example, Man, Schema, SchemaOf};
use crate::console;
use crate::exit::{Exit, Failure};

pub(super) fn schema(asked: &Schema) -> Exit {
    let SchemaOf::Plan = asked.format;
    console::data(&format!("{:#}", schema::plan()));
    Exit::Done
}

pub(super) fn example(asked: &Example) -> Result<Exit, Failure> {
    match library::plan(&asked.name) {
        Some(text) => {
            console::data(text.trim_end());
            Ok(Exit::Done)
        }
        None => {
            let known: Vec<_> = library::names().collect();
            Err(Failure::error(format!(
                "no bundled plan `{}`; there is {}",
                asked.name,
                known.join(", ")
            )))
        }
    }
}

pub(super) fn completions(asked: &Completions) -> Exit {
    let mut text = Vec::new();
    clap_complete::generate(asked.shell, &mut args::command(), "cutover", &mut text);
    console::data(String::from_utf8_lossy(&text).trim_end());
    Exit::Done
}

pub(super) fn man(asked: &Man) -> Result<Exit, Failure> {
    let mut command = args::command();
    command.build();
    let page = match &asked.subcommand {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::error(format!("no subcommand `{name}`")))?
        }
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut text)
        .map_err(|error| Failure::error(format!("could not write the manual page: {error}")))?;
    console::data(String::from_utf8_lossy(&text).trim_end());
    Ok(Exit::Done)
}

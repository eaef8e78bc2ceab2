//! Command-line flags: a file, and what overrides it.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::{Value, json};

/// The text of `--help`.
pub(crate) const HELP: &str = "\
cutover-proxy: splits HTTP/1.1 traffic by weight between upstreams

Usage: cutover-proxy --config FILE.json [FLAGS]
       cutover-proxy --listen ADDR --admin ADDR --upstream NAME=ADDR[@WEIGHT]... [FLAGS]

Flags override the file.
  --config FILE               JSON configuration
  --name NAME                 name in state file and metrics
  --listen ADDR               where requests arrive, such as 127.0.0.1:8080 (port 0: any)
  --admin ADDR                /health /ready /metrics /weights /drain
  --upstream NAME=ADDR[@W]    where requests go, with a whole-number weight (default 1); repeat
  --threads N                 forwarding threads (default: one for each core)
  --stack-header NAME         response field that names the chosen upstream
  --lame-duck DURATION        accept for this long after SIGTERM (default 0s)
  --drain-timeout DURATION    then wait this long for requests in flight (default 30s)
  --idle-exit DURATION        exit after this long without a request
  --state-file FILE           where to write pid and ports once they are bound
  --help, --version";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// Print the help text.
    Help,
    /// Print the version.
    Version,
    /// Serve; `overrides` are fields of the configuration.
    Serve {
        config: Option<PathBuf>,
        overrides: Value,
    },
}

/// Reads the arguments after the program's name.
///
/// # Errors
/// Every mistake, one sentence each.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Request, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut config = None;
    let mut overrides = json!({});
    let mut args = args;
    while let Some(arg) = args.next() {
        let Some(arg) = arg.to_str().map(str::to_owned) else {
            mistakes.push(format!("{}: not UTF-8", arg.display()));
            continue;
        };
        let (flag, inline) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (arg.as_str(), None),
        };
        let field = match flag {
            "--help" | "-h" => return Ok(Request::Help),
            "--version" | "-V" => return Ok(Request::Version),
            "--config" | "--name" | "--listen" | "--admin" | "--upstream" | "--threads"
            | "--stack-header" | "--lame-duck" | "--drain-timeout" | "--idle-exit"
            | "--state-file" => flag[2..].replace('-', "_"),
            _ => {
                mistakes.push(format!("{flag}: unknown flag; `--help` lists them"));
                continue;
            }
        };
        let value = inline.or_else(|| args.next().and_then(|value| value.into_string().ok()));
        let Some(value) = value else {
            mistakes.push(format!("{flag}: a value is missing"));
            continue;
        };
        match field.as_str() {
            "config" => config = Some(PathBuf::from(value)),
            "upstream" => match upstream(&value) {
                Ok(entry) => match overrides["upstreams"].as_array_mut() {
                    Some(list) => list.push(entry),
                    None => overrides["upstreams"] = json!([entry]),
                },
                Err(what) => mistakes.push(format!("{flag}: {what}")),
            },
            "threads" => match value.parse::<u64>() {
                Ok(threads) => overrides["threads"] = json!(threads),
                Err(_) => {
                    mistakes.push(format!("{flag}: found `{value}`, expected a whole number"));
                }
            },
            _ => overrides[field] = json!(value),
        }
    }
    if mistakes.is_empty() {
        Ok(Request::Serve { config, overrides })
    } else {
        Err(mistakes)
    }
}

fn upstream(text: &str) -> Result<Value, String> {
    let wrong = || format!("found `{text}`, expected NAME=ADDR or NAME=ADDR@WEIGHT");
    let (name, place) = text.split_once('=').ok_or_else(wrong)?;
    let (address, weight) = match place.split_once('@') {
        Some((address, weight)) => (address, weight.parse().map_err(|_| wrong())?),
        None => (place, 1_u64),
    };
    Ok(json!({ "name": name, "address": address, "weight": weight }))
}

/// The file's fields with the flags' fields over them.
pub(crate) fn merge(mut file: Value, overrides: Value) -> Value {
    match (file.as_object_mut(), overrides) {
        (Some(fields), Value::Object(overrides)) => {
            fields.extend(overrides);
            file
        }
        _ => file,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Request, Vec<String>> {
        parse(args.iter().map(OsString::from))
    }

    #[test]
    fn flags_become_fields_of_the_configuration() {
        let expected = json!({
            "listen": "127.0.0.1:0",
            "threads": 2,
            "idle_exit": "10m",
            "upstreams": [
                { "name": "a", "address": "127.0.0.1:1", "weight": 3 },
                { "name": "b", "address": "127.0.0.1:2", "weight": 1 },
            ],
        });
        let args = [
            "--listen=127.0.0.1:0",
            "--threads",
            "2",
            "--upstream",
            "a=127.0.0.1:1@3",
            "--upstream=b=127.0.0.1:2",
            "--idle-exit",
            "10m",
        ];
        assert_eq!(
            parsed(&args),
            Ok(Request::Serve {
                config: None,
                overrides: expected
            })
        );
    }

    #[test]
    fn mistakes_are_collected() {
        let mistakes =
            parsed(&["--lisen", "--threads", "x", "--upstream", "a", "--name"]).unwrap_err();
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    }

    #[test]
    fn flags_override_the_file() {
        let merged = merge(
            json!({ "name": "file", "threads": 1 }),
            json!({ "name": "flag" }),
        );
        assert_eq!(merged, json!({ "name": "flag", "threads": 1 }));
    }
}

//! `source`, `target` and `traffic`: what serves, and what moves the traffic between.

use std::net::SocketAddr;

use super::fields::{Field, Fields, Mistakes, Reported};
use super::values::{self, Zero, conflict, optional};
use crate::defaults;
use crate::diagnostic::{Kind, one_of};
use crate::keys::{self, LaterWord};
use crate::plan::{LocalEdge, LocalService, LocalStack, Stack, Traffic};

/// A stack, and where its address stands in the text.
pub(super) struct ReadStack<'a> {
    pub(super) stack: Stack,
    listen: Listen<'a>,
}

/// What moves the traffic, and where its address stands in the text.
pub(super) struct ReadTraffic<'a> {
    pub(super) traffic: Traffic,
    listen: Listen<'a>,
}

/// An address, and the field that gives it (`None` for the default).
struct Listen<'a> {
    address: SocketAddr,
    field: Option<Field<'a>>,
}

/// The fixed addresses of a plan.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) fixed: Vec<SocketAddr>,
    /// Whether every address could be read: if not, nothing can be said to be none of them.
    pub(super) complete: bool,
}

/// Reads `source` or `target`.
pub(super) fn stack<'a>(
    field: &Field<'a>,
    mistakes: &mut Mistakes,
) -> Result<ReadStack<'a>, Reported> {
    let local = only_kind(field, keys::STACK, keys::STACK_LATER, mistakes)?;
    let fields = Fields::of(&local, keys::LOCAL_STACK, &[], mistakes)?;
    let service = optional(&fields, "service", LocalService::Demo, |field| {
        values::word(field, keys::SERVICES, mistakes).map(|_| LocalService::Demo)
    });
    let listen = listen(&fields, mistakes);
    let (service, listen) = (service?, listen?);
    let stack = Stack::Local(LocalStack {
        service,
        listen: listen.address,
    });
    Ok(ReadStack { stack, listen })
}

/// Reads `traffic`.
pub(super) fn traffic<'a>(
    field: &Field<'a>,
    mistakes: &mut Mistakes,
) -> Result<ReadTraffic<'a>, Reported> {
    let local = only_kind(field, keys::TRAFFIC, keys::TRAFFIC_LATER, mistakes)?;
    let fields = Fields::of(&local, keys::LOCAL_EDGE, &[], mistakes)?;
    let listen = listen(&fields, mistakes);
    let default = defaults::RESPONSE_TIMEOUT;
    let response_timeout = optional(&fields, "response_timeout", default, |field| {
        values::duration(field, Zero::Refused, mistakes)
    });
    let (listen, response_timeout) = (listen?, response_timeout?);
    let traffic = Traffic::Local(LocalEdge {
        listen: listen.address,
        response_timeout,
    });
    Ok(ReadTraffic { traffic, listen })
}

/// The one kind that this version drives, as the value of its key.
fn only_kind<'a>(
    field: &Field<'a>,
    kinds: &'static [&'static str],
    later: &[LaterWord],
    mistakes: &mut Mistakes,
) -> Result<Field<'a>, Reported> {
    if let Some(word) = values::scalar(field) {
        if let Some((later_word, help)) = later.iter().find(|(later_word, _)| *later_word == word) {
            let found = format!("`{later_word}`");
            let (at, path) = (field.node.at, &field.path);
            let help = Some((*help).to_owned());
            return Err(mistakes.at(at, path, Kind::NotYet, found, one_of(kinds), help));
        }
        let help = Some("write `{ local: {} }` for the defaults".to_owned());
        return Err(mistakes.wrong(field, format!("a map with {}", one_of(kinds)), help));
    }
    let fields = Fields::of(field, kinds, later, mistakes)?;
    match fields.iter().next() {
        Some((_, kind)) => Ok(kind.clone()),
        None => {
            let help = Some("write `local: {}` for the defaults".to_owned());
            Err(fields.missing("local", help, mistakes))
        }
    }
}

fn listen<'a>(fields: &Fields<'a>, mistakes: &mut Mistakes) -> Result<Listen<'a>, Reported> {
    let Some(field) = fields.get("listen") else {
        return Ok(Listen {
            address: defaults::LISTEN,
            field: None,
        });
    };
    let expected = "a loopback address such as `127.0.0.1:8080` (port 0: any free one)";
    let text = values::text(field, expected, mistakes)?;
    let help = match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => {
            return Ok(Listen {
                address,
                field: Some(field.clone()),
            });
        }
        Ok(address) => Some(format!(
            "local stacks are not for other machines; write `127.0.0.1:{}`",
            address.port()
        )),
        Err(_) => match text.rsplit_once(':') {
            Some(("localhost", port)) => Some(format!("write `127.0.0.1:{port}`")),
            Some(_) => None,
            None => Some("write address and port, with `:` between".to_owned()),
        },
    };
    Err(mistakes.wrong(field, expected, help))
}

/// Gathers the fixed addresses, and records those that two would listen on.
pub(super) fn addresses(
    source: &Result<ReadStack<'_>, Reported>,
    target: &Result<ReadStack<'_>, Reported>,
    traffic: &Result<ReadTraffic<'_>, Reported>,
    mistakes: &mut Mistakes,
) -> Addresses {
    let parts = [
        source.as_ref().map(|read| &read.listen),
        target.as_ref().map(|read| &read.listen),
        traffic.as_ref().map(|read| &read.listen),
    ];
    let complete = parts.iter().all(Result::is_ok);
    let mut taken: Vec<(&Field<'_>, SocketAddr)> = Vec::new();
    for listen in parts.into_iter().flatten() {
        let Some(field) = listen.field.as_ref().filter(|_| listen.address.port() != 0) else {
            continue;
        };
        let first = taken.iter().find(|(_, other)| *other == listen.address);
        if let Some((first, _)) = first {
            let found = format!("`{}`, as in `{}`", listen.address, first.path);
            let help = Some("choose another port, or 0 for any free one".to_owned());
            conflict(field, found, "an address of its own", help, mistakes);
        } else {
            taken.push((field, listen.address));
        }
    }
    Addresses {
        fixed: taken.into_iter().map(|(_, address)| address).collect(),
        complete,
    }
}

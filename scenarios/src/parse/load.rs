//! `load`: how much is sent, what, and the rule that it goes only where the plan says.

use std::net::{IpAddr, SocketAddr};

use super::fields::{Field, Fields, Mistakes, Reported};
use super::stacks::Addresses;
use super::values::{self, Zero, both, conflict, optional};
use crate::defaults;
use crate::diagnostic::{one_of, quote};
use crate::http::{is_host_name, unfit_for_a_request_line};
use crate::keys;
use crate::plan::{Load, Request};
use crate::quantity;

/// The largest share of a request.
pub(crate) const LARGEST_SHARE: u64 = 10_000;

/// What is sent where a plan lists no requests.
pub(crate) fn default_requests() -> Vec<Request> {
    vec![Request {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        body: None,
        share: defaults::SHARE,
    }]
}

/// Reads `load`.
pub(super) fn load(
    field: &Field<'_>,
    addresses: &Addresses,
    mistakes: &mut Mistakes,
) -> Result<Load, Reported> {
    let fields = Fields::of(field, keys::LOAD, keys::LOAD_LATER, mistakes)?;
    let host = optional(&fields, "host", defaults::HOST.to_owned(), |field| {
        host(field, addresses, mistakes)
    });
    let rate = fields
        .required("rate", mistakes)
        .and_then(|field| per_second(field, Zero::Refused, mistakes));
    let paired = optional(&fields, "paired", defaults::PAIRED, |field| {
        per_second(field, Zero::Allowed, mistakes)
    });
    let ramp = optional(&fields, "ramp", defaults::RAMP, |field| {
        values::duration(field, Zero::Allowed, mistakes)
    });
    let timeout = optional(&fields, "timeout", defaults::TIMEOUT, |field| {
        values::duration(field, Zero::Refused, mistakes)
    });
    let hosts = Hosts::new(&host, addresses);
    let requests = optional(&fields, "requests", default_requests(), |field| {
        let items = field.items("requests such as `{ get: / }`", mistakes)?;
        // Every request is read before the first mistake ends the list.
        let read: Vec<_> = items
            .iter()
            .map(|item| request(item, &hosts, mistakes))
            .collect();
        read.into_iter().collect()
    });
    Ok(Load {
        host: host?,
        rate: rate?,
        paired: paired?,
        ramp: ramp?,
        timeout: timeout?,
        requests: requests?,
    })
}

fn per_second(field: &Field<'_>, zero: Zero, mistakes: &mut Mistakes) -> Result<f64, Reported> {
    let rate = values::quantity(field, quantity::rate, mistakes)?;
    if rate == 0.0 && zero == Zero::Refused {
        return Err(mistakes.wrong(field, "a rate above `0/s`", None));
    }
    Ok(rate)
}

/// Where URLs may point.
struct Hosts {
    /// In lower case; with port for addresses.
    names: Vec<String>,
    /// Whether every name could be read: if not, nothing can be said to be none of them.
    complete: bool,
}

impl Hosts {
    fn new(host: &Result<String, Reported>, addresses: &Addresses) -> Self {
        let host = host.as_ref();
        let fixed = addresses.fixed.iter().map(ToString::to_string);
        Hosts {
            complete: addresses.complete && host.is_ok(),
            names: host
                .map(|name| name.to_ascii_lowercase())
                .into_iter()
                .chain(fixed)
                .collect(),
        }
    }

    fn refuses(&self, host: &str) -> bool {
        self.complete && !self.names.contains(&host.to_ascii_lowercase())
    }

    fn only_where_the_plan_says(&self, host: &str) -> String {
        let host = quote(host);
        let mut message =
            format!("load goes only where the plan says: {host} is none of this plan's stacks");
        if !self.names.is_empty() {
            message.push_str(&format!(" (`{}`)", self.names.join("`, `")));
        }
        message
    }
}

/// Reads the `Host` header: a name, or an address of the plan itself.
///
/// The name is never resolved. An address in its place reads as if load were to go there, so it
/// has to be one of the plan's own, or loopback without a port.
fn host(
    field: &Field<'_>,
    addresses: &Addresses,
    mistakes: &mut Mistakes,
) -> Result<String, Reported> {
    let expected = "a host name such as `shop.example`, with or without a port";
    let text = values::text(field, expected, mistakes)?;
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let ip = text.parse::<IpAddr>();
    if ip.as_ref().is_ok_and(IpAddr::is_loopback) {
        return Ok(text.to_owned());
    }
    if ip.is_ok() || text.parse::<SocketAddr>().is_ok() {
        let plan = Hosts {
            names: addresses.fixed.iter().map(ToString::to_string).collect(),
            complete: addresses.complete,
        };
        if plan.refuses(text) {
            let help = plan.only_where_the_plan_says(text);
            return Err(mistakes.wrong(field, expected, Some(help)));
        }
        return Ok(text.to_owned());
    }
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if is_host_name(name) && port_fits {
        return Ok(text.to_owned());
    }
    let help = text
        .contains('/')
        .then(|| "write the name alone, without `http://` and path".to_owned());
    Err(mistakes.wrong(field, expected, help))
}

fn request(field: &Field<'_>, hosts: &Hosts, mistakes: &mut Mistakes) -> Result<Request, Reported> {
    let fields = Fields::of(field, keys::REQUEST, &[], mistakes)?;
    let mut methods = fields.iter().filter(|(key, _)| keys::METHODS.contains(key));
    let method = match (methods.next(), methods.next()) {
        (Some((method, url)), None) => path(url, hosts, mistakes).map(|path| (*method, path)),
        (Some((first, _)), Some((second, _))) => {
            let found = both(first, second);
            let whole = fields.whole();
            Err(conflict(&whole, found, "one method", None, mistakes))
        }
        (None, _) => {
            let expected = format!("one of {}", one_of(keys::METHODS));
            let found = "no method".to_owned();
            Err(fields
                .instead_of(keys::METHODS)
                .unwrap_or_else(|| conflict(&fields.whole(), found, expected, None, mistakes)))
        }
    };
    let body = match (fields.get("body"), &method) {
        (Some(field), Ok((method, _))) if !keys::METHODS_WITH_BODY.contains(method) => {
            let expected = format!("`body` only beside {}", one_of(keys::METHODS_WITH_BODY));
            let found = format!("a body beside `{method}`");
            Err(conflict(field, found, expected, None, mistakes))
        }
        (Some(field), _) => {
            values::text(field, "text in quotes", mistakes).map(|text| Some(text.to_owned()))
        }
        (None, _) => Ok(None),
    };
    let share = optional(&fields, "share", u64::from(defaults::SHARE), |field| {
        let in_range = |text: &str| quantity::whole(text, 1..=LARGEST_SHARE);
        values::quantity(field, in_range, mistakes)
    });
    let (method, path) = method?;
    Ok(Request {
        method: method.to_ascii_uppercase(),
        path,
        body: body?,
        // The range above is far inside of 32 bits.
        share: u32::try_from(share?).unwrap_or(u32::MAX),
    })
}

/// Reads a path, or a URL whose host is the plan's own; gives path and query.
fn path(field: &Field<'_>, hosts: &Hosts, mistakes: &mut Mistakes) -> Result<String, Reported> {
    let expected = "a path such as `/items/42`";
    let text = values::text(field, expected, mistakes)?;
    let path = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => {
            if !scheme.eq_ignore_ascii_case("http") {
                let help = "local stacks speak plain HTTP; write the path alone".to_owned();
                return Err(mistakes.wrong(field, expected, Some(help)));
            }
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (host, path) = rest.split_at(end);
            if hosts.refuses(host) {
                let help = hosts.only_where_the_plan_says(host);
                return Err(mistakes.wrong(field, expected, Some(help)));
            }
            // RFC 3986 §6.2.3: an empty path means `/`.
            if path.starts_with('/') {
                path.to_owned()
            } else {
                format!("/{path}")
            }
        }
        _ => text.to_owned(),
    };
    let help = match unfit_for_a_request_line(&path) {
        None => return Ok(path),
        Some(help) => help,
    };
    Err(mistakes.wrong(field, expected, Some(help)))
}

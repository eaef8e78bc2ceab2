//! JSON to [`Config`], collecting every mistake on the way.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderName;
use serde_json::{Map, Value};

use super::{Cidr, Config, ForwardingField, Timeouts, Upstream, duration};

/// The most threads that make sense; more is a typing mistake.
const MAX_THREADS: u64 = 1024;

pub(super) fn config(value: &Value) -> Result<Config, Vec<String>> {
    let mut mistakes = Vec::new();
    let config = Object::new(value, "", &mut mistakes).map(|mut root| read_config(&mut root));
    match (config, mistakes.is_empty()) {
        (Some(Some(config)), true) => Ok(config),
        _ => Err(mistakes),
    }
}

fn read_config(root: &mut Object<'_>) -> Option<Config> {
    let listen = root.required("listen", address);
    let admin = root.required("admin", address);
    let upstreams = read_upstreams(root);
    let (listen, admin, upstreams) = match (listen, admin, upstreams) {
        (Some(listen), Some(admin), Some(upstreams)) => (listen, admin, upstreams),
        // Placeholders, so that the rest is checked as well.
        (listen, admin, upstreams) => {
            let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
            (
                listen.unwrap_or(nowhere),
                admin.unwrap_or(nowhere),
                upstreams.unwrap_or_default(),
            )
        }
    };
    let mut config = Config::new(listen, admin, upstreams);
    if listen == admin && listen.port() != 0 {
        root.mistake(
            "admin",
            format!("found {admin}, which `listen` takes already"),
        );
    }
    if let Some(name) = root.optional("name", non_empty) {
        config.name = name;
    }
    if let Some(threads) = root.optional("threads", |v| whole(v, 1, MAX_THREADS)) {
        config.threads = usize::try_from(threads).unwrap_or(1);
    }
    if let Some(value) = root.take("timeouts") {
        config.timeouts = root
            .inside("timeouts", value, read_timeouts)
            .unwrap_or_default();
    }
    config.stack_header = root.optional("stack_header", header_name);
    if let Some(ranges) = root.list("trusted_proxies", |value, _| parsed::<Cidr>(value)) {
        config.trusted_proxies = ranges;
    }
    if let Some(fields) = root.list("forwarding", |value, _| forwarding_field(value)) {
        config.forwarding = fields;
    }
    if let Some(lame_duck) = root.optional("lame_duck", any_duration) {
        config.lame_duck = lame_duck;
    }
    if let Some(drain_timeout) = root.optional("drain_timeout", any_duration) {
        config.drain_timeout = drain_timeout;
    }
    config.idle_exit = root.optional("idle_exit", positive_duration);
    config.state_file = root.optional("state_file", non_empty).map(PathBuf::from);
    root.finish();
    Some(config)
}

fn read_upstreams(root: &mut Object<'_>) -> Option<Vec<Upstream>> {
    let Some(value) = root.take("upstreams") else {
        root.mistake(
            "upstreams",
            "is missing, expected a list of {name, address, weight}",
        );
        return None;
    };
    let Some(entries) = value.as_array() else {
        root.mistake("upstreams", format!("found {value}, expected a list"));
        return None;
    };
    let before = root.mistakes.len();
    let mut upstreams = Vec::new();
    let mut names = BTreeSet::new();
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("upstreams[{index}]");
        let upstream = root.inside(&path, entry, |object| {
            let upstream = Upstream {
                name: object.required("name", upstream_name).unwrap_or_default(),
                address: object
                    .required("address", address)
                    .unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
                weight: object
                    .required("weight", |v| whole(v, 0, MAX_WEIGHT))
                    .unwrap_or(1),
            };
            object.finish();
            upstream
        });
        if let Some(upstream) = upstream {
            if !upstream.name.is_empty() && !names.insert(upstream.name.clone()) {
                root.mistake(
                    &format!("{path}.name"),
                    format!(
                        "found `{}` a second time, expected different names",
                        upstream.name
                    ),
                );
            }
            upstreams.push(upstream);
        }
    }
    if root.mistakes.len() == before && upstreams.iter().all(|upstream| upstream.weight == 0) {
        root.mistake(
            "upstreams",
            "nobody would get a request: give at least one a weight above 0",
        );
    }
    Some(upstreams)
}

/// Large enough for any scale, small enough that weights always add up.
pub(crate) const MAX_WEIGHT: u64 = 1_000_000_000;

fn read_timeouts(object: &mut Object<'_>) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for (field, slot) in [
        ("connect", &mut timeouts.connect),
        ("response_head", &mut timeouts.response_head),
        ("client_head", &mut timeouts.client_head),
        ("client_idle", &mut timeouts.client_idle),
        ("transfer_idle", &mut timeouts.transfer_idle),
        ("upstream_idle", &mut timeouts.upstream_idle),
    ] {
        if let Some(duration) = object.optional(field, positive_duration) {
            *slot = duration;
        }
    }
    object.finish();
    timeouts
}

/// A JSON object whose fields are taken one by one; what is left at the end is unknown.
struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: String,
    known: Vec<String>,
    mistakes: &'a mut Vec<String>,
}

impl<'a> Object<'a> {
    fn new(value: &'a Value, path: &str, mistakes: &'a mut Vec<String>) -> Option<Self> {
        let Some(fields) = value.as_object() else {
            let place = if path.is_empty() {
                "the configuration"
            } else {
                path
            };
            mistakes.push(format!("{place}: found {value}, expected an object"));
            return None;
        };
        Some(Object {
            fields,
            path: path.to_owned(),
            known: Vec::new(),
            mistakes,
        })
    }

    fn mistake(&mut self, field: &str, what: impl Display) {
        let dot = if self.path.is_empty() { "" } else { "." };
        self.mistakes
            .push(format!("{}{dot}{field}: {what}", self.path));
    }

    fn take(&mut self, field: &str) -> Option<&'a Value> {
        self.known.push(field.to_owned());
        self.fields.get(field)
    }

    fn optional<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        match read(self.take(field)?) {
            Ok(value) => Some(value),
            Err(what) => {
                self.mistake(field, what);
                None
            }
        }
    }

    fn required<T>(
        &mut self,
        field: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        if !self.fields.contains_key(field) {
            self.known.push(field.to_owned());
            self.mistake(field, "is missing");
            return None;
        }
        self.optional(field, read)
    }

    fn list<T>(
        &mut self,
        field: &str,
        read: impl Fn(&Value, usize) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.take(field)?;
        let Some(entries) = value.as_array() else {
            self.mistake(field, format!("found {value}, expected a list"));
            return None;
        };
        let mut list = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            match read(entry, index) {
                Ok(item) => list.push(item),
                Err(what) => self.mistake(&format!("{field}[{index}]"), what),
            }
        }
        Some(list)
    }

    fn inside<T>(
        &mut self,
        path: &str,
        value: &Value,
        read: impl FnOnce(&mut Object<'_>) -> T,
    ) -> Option<T> {
        Object::new(value, path, self.mistakes).map(|mut object| read(&mut object))
    }

    fn finish(&mut self) {
        for field in self
            .fields
            .keys()
            .filter(|field| !self.known.contains(field))
        {
            let near = self
                .known
                .iter()
                .map(|known| (strsim::jaro_winkler(known, field), known))
                .filter(|(likeness, _)| *likeness > 0.8)
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let hint = near.map_or_else(
                || format!("expected one of {}", self.known.join(", ")),
                |(_, known)| format!("did you mean `{known}`?"),
            );
            let dot = if self.path.is_empty() { "" } else { "." };
            self.mistakes
                .push(format!("{}{dot}{field}: unknown field; {hint}", self.path));
        }
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value
        .as_str()
        .ok_or_else(|| format!("found {value}, expected a string"))
}

fn non_empty(value: &Value) -> Result<String, String> {
    match text(value)? {
        "" => Err("is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Names end up in response fields and metric labels.
fn upstream_name(value: &Value) -> Result<String, String> {
    let name = non_empty(value)?;
    if name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    {
        return Ok(name);
    }
    Err(format!(
        "found `{name}`, expected letters, digits, `-`, `_` and `.`"
    ))
}

fn address(value: &Value) -> Result<SocketAddr, String> {
    let text = text(value)?;
    text.parse().map_err(|_| {
        format!("found `{text}`, expected an address with a port, such as `127.0.0.1:8080`")
    })
}

fn parsed<T: FromStr<Err = String>>(value: &Value) -> Result<T, String> {
    text(value)?.parse()
}

fn header_name(value: &Value) -> Result<HeaderName, String> {
    let text = text(value)?;
    text.parse()
        .map_err(|_| format!("found `{text}`, expected a header field's name"))
}

fn forwarding_field(value: &Value) -> Result<ForwardingField, String> {
    let text = text(value)?;
    ForwardingField::ALL
        .into_iter()
        .find(|field| field.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| {
            let known: Vec<&str> = ForwardingField::ALL
                .iter()
                .map(|field| field.name())
                .collect();
            format!("found `{text}`, expected one of {}", known.join(", "))
        })
}

fn any_duration(value: &Value) -> Result<Duration, String> {
    duration::parse(
        value
            .as_str()
            .ok_or_else(|| format!("found {value}, expected a duration such as \"5s\""))?,
    )
}

fn positive_duration(value: &Value) -> Result<Duration, String> {
    match any_duration(value)? {
        Duration::ZERO => Err("found 0, expected a duration above 0".to_owned()),
        duration => Ok(duration),
    }
}

fn whole(value: &Value, least: u64, most: u64) -> Result<u64, String> {
    value
        .as_u64()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("found {value}, expected a whole number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn minimal() -> Value {
        json!({
            "listen": "127.0.0.1:8080",
            "admin": "127.0.0.1:0",
            "upstreams": [{ "name": "source", "address": "127.0.0.1:9000", "weight": 1 }],
        })
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let config = config(&minimal()).unwrap();
        assert_eq!(config.timeouts, Timeouts::default());
        assert_eq!(config.drain_timeout, Duration::from_secs(30));
        assert_eq!(config.forwarding, ForwardingField::ALL);
        assert!(config.threads >= 1);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut value = minimal();
        value["stack_header"] = json!("x-stack");
        value["idle_exit"] = json!("10m");
        value["state_file"] = json!("state.json");
        value["trusted_proxies"] = json!(["10.0.0.0/8"]);
        value["timeouts"] = json!({ "connect": "1500ms" });
        let config = Config::from_value(&value).unwrap();
        assert_eq!(Config::from_value(&config.to_json()), Ok(config));
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let mistakes = config(&json!({
            "listen": "localhost:80",
            "upstreams": [
                { "name": "a b", "address": "127.0.0.1:1", "weight": -1 },
                { "name": "x", "address": "127.0.0.1:1", "weight": 1, "wieght": 2 },
                { "name": "x", "address": "127.0.0.1:1", "weight": 0 },
            ],
            "threads": 0,
            "timeouts": { "connect": "5", "response_head": "0s" },
            "trusted_proxies": ["10.0.0.0/99"],
            "drain_timeuot": "3s",
        }))
        .unwrap_err();
        let expected = [
            "listen: found `localhost:80`",
            "admin: is missing",
            "upstreams[0].name: found `a b`",
            "upstreams[0].weight: found -1",
            "upstreams[1].wieght: unknown field; did you mean `weight`?",
            "upstreams[2].name: found `x` a second time",
            "threads: found 0",
            "timeouts.connect: found `5`",
            "timeouts.response_head: found 0",
            "trusted_proxies[0]: found `10.0.0.0/99`",
            "drain_timeuot: unknown field; did you mean `drain_timeout`?",
        ];
        for start in expected {
            assert!(
                mistakes.iter().any(|m| m.starts_with(start)),
                "{start}: {mistakes:#?}"
            );
        }
        assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    }

    #[test]
    fn weights_that_serve_nobody_are_refused() {
        let mut value = minimal();
        value["upstreams"][0]["weight"] = json!(0);
        let mistakes = config(&value).unwrap_err();
        assert!(mistakes[0].contains("weight above 0"), "{mistakes:?}");
        value["upstreams"] = json!([]);
        assert!(config(&value).is_err());
    }

    #[test]
    fn one_port_cannot_serve_both() {
        let mut value = minimal();
        value["admin"] = value["listen"].clone();
        assert!(config(&value).unwrap_err()[0].contains("takes already"));
    }
}

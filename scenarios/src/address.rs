//! Addresses of webhooks: what may be one, and what of it may be shown.
//!
//! An address is often a secret as a whole, so no message of this module repeats any of it, and
//! [`Address`] shows scheme and host only.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::http::{is_host_name, unfit_for_a_request_line};
use crate::quantity::Misread;

/// Services whose paths are what a key is elsewhere: whoever knows one may post.
const HOSTS_WITH_SECRET_PATHS: [&str; 6] = [
    "hooks.slack.com",
    "hooks.slack-gov.com",
    "discord.com",
    "discordapp.com",
    "hooks.zapier.com",
    "webhook.office.com",
];

/// An `http` or `https` address (RFC 9110 §4.2). Plain `http` goes to this machine only.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    secure: bool,
    host: String,
    port: u16,
    userinfo: Option<String>,
    target: String,
}

impl Address {
    /// Reads an address. A fragment is left out, as it is never sent (RFC 3986 §3.5).
    ///
    /// # Errors
    /// No address, another scheme, or plain `http` to another machine.
    pub fn read(text: &str) -> Result<Self, Misread> {
        let wrong = |help: &str| Misread {
            expected: "an address such as `https://hooks.example.com/cutover`".to_owned(),
            help: Some(help.to_owned()),
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("begin it with `https://`"))?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(wrong("begin it with `https://`")),
        };
        let sent = rest.split('#').next().unwrap_or(rest);
        let (authority, target) = sent.split_at(sent.find(['/', '?']).unwrap_or(sent.len()));
        let (userinfo, host_and_port) = match authority.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo.to_owned()), rest),
            None => (None, authority),
        };
        let (host, port) = split_port(host_and_port, if secure { 443 } else { 80 })
            .ok_or_else(|| wrong("after `https://` comes a host, perhaps with `:` and a port"))?;
        if !secure && !is_loopback(&host) {
            return Err(wrong(
                "write `https://`; plain `http://` is for this machine only, since anyone on the \
                 way could read and change what is sent",
            ));
        }
        // RFC 3986 §6.2.3: an empty path means `/`.
        let target = if target.starts_with('/') {
            target.to_owned()
        } else {
            format!("/{target}")
        };
        if let Some(help) = unfit_for_a_request_line(&target) {
            return Err(wrong(&format!("in its path or query: {help}")));
        }
        Ok(Address {
            secure,
            host,
            port,
            userinfo,
            target,
        })
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// A name, an IPv4 address, or an IPv6 address in brackets; in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Where to connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host, and the port where it is not the usual one: what a `Host` header says.
    #[must_use]
    pub fn authority(&self) -> String {
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => self.host.clone(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }

    /// `user:password` as it was written, percent-encoded; a secret.
    #[must_use]
    pub fn userinfo(&self) -> Option<&str> {
        self.userinfo.as_deref()
    }

    /// Path and query, begins with `/`; may be a secret.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `https://hooks.example.com`: what may be shown of any address.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// The part of the address that is a secret, or looks like one; `None` when all of it may be
    /// read by anyone.
    #[must_use]
    pub fn secret_part(&self) -> Option<&'static str> {
        let is_below = |host: &str| {
            self.host
                .strip_suffix(host)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if self.userinfo.is_some() {
            Some("a user or a password")
        } else if self.target.contains('?') {
            Some("a query")
        } else if HOSTS_WITH_SECRET_PATHS.into_iter().any(is_below) {
            Some("a path that is as good as a password at this host")
        } else {
            None
        }
    }
}

/// Scheme and host; neither user nor path.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({}/…)", self.origin())
    }
}

/// Host in lower case, and port; `None` when either cannot be one.
fn split_port(authority: &str, usual: u16) -> Option<(String, u16)> {
    // The colons of an IPv6 address stand in brackets.
    let after_brackets = authority.rfind(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[after_brackets..].split_once(':') {
        Some((rest, port)) => (
            &authority[..after_brackets + rest.len()],
            port.parse().ok().filter(|port| *port > 0)?,
        ),
        None => (authority, usual),
    };
    let fits = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    fits.then(|| (host.to_ascii_lowercase(), port))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let address = Address::read("HTTPS://ann:p%40ss@Hooks.Example.com:8443/a/b?c=d#e").unwrap();
        assert!(address.is_secure());
        assert_eq!(address.host(), "hooks.example.com");
        assert_eq!(address.port(), 8443);
        assert_eq!(address.authority(), "hooks.example.com:8443");
        assert_eq!(address.userinfo(), Some("ann:p%40ss"));
        assert_eq!(address.target(), "/a/b?c=d");
        for (text, authority, port, target) in [
            ("https://a.example", "a.example", 443, "/"),
            ("https://a.example?x", "a.example", 443, "/?x"),
            ("http://127.0.0.1/x", "127.0.0.1", 80, "/x"),
            ("http://[::1]:8080/x", "[::1]:8080", 8080, "/x"),
            ("http://localhost:80", "localhost", 80, "/"),
        ] {
            let address = Address::read(text).unwrap();
            assert_eq!(address.authority(), authority, "{text}");
            assert_eq!((address.port(), address.target()), (port, target), "{text}");
        }
    }

    #[test]
    fn only_scheme_and_host_are_shown() {
        let address =
            Address::read("https://ann:pass@hooks.example.com/T0/B0/key?token=x").unwrap();
        assert_eq!(address.to_string(), "https://hooks.example.com");
        assert_eq!(
            format!("{address:?}"),
            "Address(https://hooks.example.com/…)"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "secretword",
            "ftp://secretword.example/",
            "https://",
            "https:///secretword",
            "https://secretword@",
            "https://secret word.example/",
            "https://secretword.example:0/",
            "https://secretword.example:99999/",
            "https://[::secretword]/",
            "https://hooks.example.com/secretword is here",
            "https://hooks.example.com//secretword",
            "https://hooks.example.com/secretword\\",
            "https://hooks.example.com/secretword\r\nHost: elsewhere",
            "http://hooks.example.com/secretword",
            "http://localhost.example.com/secretword",
            "http://127.0.0.1@secretword.example/",
        ] {
            let misread = Address::read(text).unwrap_err();
            assert!(!format!("{misread:?}").contains("secretword"), "{text:?}");
            assert!(misread.help.is_some(), "{text:?}");
        }
    }

    #[test]
    fn secrets_in_addresses_are_recognised() {
        for (text, secret) in [
            ("https://hooks.example.com/cutover", false),
            ("https://hooks.example.com/cutover#part", false),
            ("https://hooks.example.com/cutover?token=abc", true),
            ("https://ann@hooks.example.com/cutover", true),
            ("https://hooks.slack.com/services/T0/B0/key", true),
            ("https://acme.webhook.office.com/key", true),
            ("https://myhooks.slack.com.example/x", false),
        ] {
            let address = Address::read(text).unwrap();
            assert_eq!(address.secret_part().is_some(), secret, "{text}");
        }
    }
}

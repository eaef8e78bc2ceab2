//! Is it a host? (RFC 9110 §7.2, RFC 3986 §3.2.2)

use std::net::Ipv6Addr;

/// Whether `value` is `host[:port]` with a non-empty host.
///
/// User information, spaces, slashes and control bytes are what request smuggling and cache
/// poisoning put there, so the proxy answers 400 instead of passing them on.
pub(crate) fn is_valid(value: &[u8]) -> bool {
    let (host, port) = match value {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let literal = std::str::from_utf8(&rest[..end]).unwrap_or_default();
            if literal.parse::<Ipv6Addr>().is_err() {
                return false;
            }
            match &rest[end + 1..] {
                [] => return true,
                [b':', port @ ..] => return is_port(port),
                _ => return false,
            }
        }
        _ => match value.iter().position(|byte| *byte == b':') {
            Some(colon) => (&value[..colon], Some(&value[colon + 1..])),
            None => (value, None),
        },
    };
    !host.is_empty() && host.iter().all(|byte| is_reg_name(*byte)) && port.is_none_or(is_port)
}

/// Unreserved, sub-delims and `%` of RFC 3986, and the underscore that real names have.
fn is_reg_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte)
}

/// RFC 3986 allows an empty port; a number has to be one.
fn is_port(port: &[u8]) -> bool {
    port.iter().all(u8::is_ascii_digit)
        && (port.is_empty()
            || std::str::from_utf8(port).is_ok_and(|digits| digits.parse::<u16>().is_ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_addresses_and_ports_are_hosts() {
        for host in [
            "shop.example",
            "a_b.test:8080",
            "127.0.0.1:1",
            "[::1]",
            "[2001:db8::1]:443",
            "a:",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn what_could_confuse_the_next_hop_is_not_a_host() {
        for host in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@a",
            "a:b",
            "a:99999",
            "[::1",
            "[::1]x",
            "[zz]",
            "a\tb",
            "a,b\u{7f}",
            "a?b",
            "a#b",
            "a\\b",
            "1:2:3",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host:?}");
        }
    }
}

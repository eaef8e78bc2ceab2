//! What the upstream is told about the client.
//!
//! A peer outside the trusted ranges is not believed: its `X-Forwarded-*` fields are replaced, and
//! its `X-Forwarded-For` is kept as `X-Original-Forwarded-For`, as ingress-nginx does.

use std::net::{IpAddr, SocketAddr};

use crate::config::Cidr;

/// The address in one `X-Forwarded-For` entry: `ip`, `ip:port` (ALB can add the port), `[v6]` or
/// `[v6]:port`.
pub(crate) fn parse_entry(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(address) = entry.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    entry.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The right-most address that is not a trusted proxy, beginning with the peer itself.
///
/// An entry that is no address ends the search: what lies left of it cannot be believed.
pub(crate) fn real_ip(peer: IpAddr, received: &str, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|range| range.contains(address));
    let mut real = peer;
    for entry in received.rsplit(',') {
        if !is_trusted(real) {
            break;
        }
        match parse_entry(entry) {
            Some(address) => real = address,
            None => break,
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_may_carry_ports_and_brackets() {
        for (entry, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1:4711 ", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("unknown", None),
            ("192.0.2.1:x", None),
            ("", None),
        ] {
            assert_eq!(
                parse_entry(entry),
                expected.map(|e| e.parse().unwrap()),
                "{entry}"
            );
        }
    }

    #[test]
    fn the_real_address_is_the_rightmost_untrusted_hop() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for (peer, received, expected) in [
            ("203.0.113.7", "1.1.1.1", "203.0.113.7"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "203.0.113.7:99, 10.0.0.2", "203.0.113.7"),
            ("10.0.0.1", "203.0.113.7, junk, 10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "", "10.0.0.1"),
        ] {
            let real = real_ip(peer.parse().unwrap(), received, &trusted);
            assert_eq!(
                real,
                expected.parse::<IpAddr>().unwrap(),
                "{peer} {received}"
            );
        }
    }
}

//! One entry of a forwarding header.

use std::net::{IpAddr, Ipv6Addr};

/// The other end of a connection, as reported by a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Its address; IPv4 if it was written as an IPv4 address in IPv6 notation.
    Address(IpAddr),
    /// A client that the proxy does not name.
    Hidden,
}

impl Node {
    /// Parses `192.0.2.43`, `192.0.2.43:47011`, `2001:db8::17`, `[2001:db8::17]`, `[2001:db8::17]:4711`, `unknown` and
    /// `_obfuscated` (RFC 7239, section 6). `X-Forwarded-For` writes IPv6 addresses without brackets.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
        if text.is_empty() {
            return Some(Self::Hidden);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            return fits.then(|| Self::Address(IpAddr::V6(address).to_canonical()));
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        if !port.is_none_or(is_port) {
            return None;
        }
        if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) {
            return Some(Self::Hidden);
        }
        // The name alone is not an address, so it must be an address followed by a port.
        name.parse().ok().map(|address| Self::Address(IpAddr::V4(address)))
    }
}

/// Returns true for a port number or an obfuscated port.
fn is_port(text: &str) -> bool {
    let number = !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (number && text.parse::<u16>().is_ok()) || is_obfuscated(text)
}

/// Returns true for a name such as `_hidden` that stands for a client.
fn is_obfuscated(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes() {
        let address = |text: &str| Some(Node::Address(text.parse().unwrap()));
        for (text, expected) in [
            ("192.0.2.43", address("192.0.2.43")),
            (" \t192.0.2.43 ", address("192.0.2.43")),
            ("192.0.2.43:47011", address("192.0.2.43")),
            ("192.0.2.43:_http", address("192.0.2.43")),
            ("2001:db8:cafe::17", address("2001:db8:cafe::17")),
            ("[2001:db8:cafe::17]", address("2001:db8:cafe::17")),
            ("[2001:DB8:cafe::17]:4711", address("2001:db8:cafe::17")),
            ("::ffff:192.0.2.43", address("192.0.2.43")),
            ("[::ffff:192.0.2.43]:80", address("192.0.2.43")),
            ("unknown", Some(Node::Hidden)),
            ("UNKNOWN:80", Some(Node::Hidden)),
            ("_hidden", Some(Node::Hidden)),
            ("_SEVKISEK:_p-1", Some(Node::Hidden)),
            ("", Some(Node::Hidden)),
            ("  ", Some(Node::Hidden)),
        ] {
            assert_eq!(Node::parse(text.as_bytes()), expected, "{text:?}");
        }
        for odd in [
            "localhost",
            "example.com",
            "1.2.3",
            "1.2.3.4.5",
            "256.1.1.1",
            "010.0.0.1",
            "0x7f.0.0.1",
            "2130706433",
            "1.2.3.4:",
            "1.2.3.4:99999",
            "1.2.3.4:-1",
            "1.2.3.4:+80",
            "1.2.3.4:80:80",
            "1.2.3.4/8",
            "[1.2.3.4]",
            "[2001:db8::1",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "2001:db8::1]",
            "[]",
            "fe80::1%eth0",
            "[fe80::1%25lo]",
            "1.2.3.4 5.6.7.8",
            "_",
            "_a b",
            "_\u{e9}",
            "\"1.2.3.4\"",
            "for=1.2.3.4",
            "\u{661}.2.3.4",
            "-",
            "null",
            ":80",
        ] {
            assert_eq!(Node::parse(odd.as_bytes()), None, "{odd:?}");
        }
        assert_eq!(Node::parse(b"1.2.3.\xff"), None);
    }
}

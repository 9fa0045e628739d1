use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{BadForwarded, ForwardingHeader, InvalidProxy, TrustedProxies, ip_entity};

const PROXY: &str = "10.0.0.1";
const XFF: &str = "x-forwarded-for";
const FWD: &str = "forwarded";

/// Header lines as they arrive: name and value.
type Lines<'a> = &'a [(&'a str, &'a str)];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn proxies() -> TrustedProxies {
    TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]).unwrap()
}

fn headers(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn client(peer: &str, lines: Lines<'_>) -> Result<Option<IpAddr>, BadForwarded> {
    proxies().client_ip(Some(ip(peer)), &headers(lines))
}

#[test]
fn a_client_cannot_choose_its_address() {
    // (peer, lines as they arrive, the address that counts)
    let table: &[(&str, Lines<'_>, &str)] = &[
        // Directly from a client: headers are ignored, readable or not.
        ("203.0.113.7", &[(XFF, "1.1.1.1")], "203.0.113.7"),
        ("203.0.113.7", &[(XFF, "10.0.0.9")], "203.0.113.7"),
        ("203.0.113.7", &[(FWD, "for=\"")], "203.0.113.7"),
        // Through a proxy: the entry it appended counts, the client's own entries do not.
        (PROXY, &[(XFF, "203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "1.1.1.1, 203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "garbage, 203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "\u{ff}, 203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "10.0.0.5, 203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "1.1.1.1"), (XFF, "203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(XFF, "1.1.1.1, 203.0.113.7, 10.0.0.2, fd00::7")], "203.0.113.7"),
        (PROXY, &[(FWD, "for=1.1.1.1, for=203.0.113.7;proto=https")], "203.0.113.7"),
        (PROXY, &[(FWD, "for=1.1.1.1"), (FWD, "for=203.0.113.7"), (FWD, "for=\"[fd00::2]:80\"")], "203.0.113.7"),
        (PROXY, &[(FWD, "by=\"x, for=6.6.6.6\";for=203.0.113.7")], "203.0.113.7"),
        (PROXY, &[(FWD, "for=nonsense, for=203.0.113.7")], "203.0.113.7"),
        // Ports, brackets, and IPv4 in IPv6.
        (PROXY, &[(XFF, "203.0.113.7:4711")], "203.0.113.7"),
        (PROXY, &[(XFF, "[2001:db8::1]:443")], "2001:db8::1"),
        (PROXY, &[(XFF, "::ffff:203.0.113.7, ::ffff:10.1.2.3")], "203.0.113.7"),
        ("::ffff:10.0.0.1", &[(XFF, "203.0.113.7")], "203.0.113.7"),
        ("fd00::1", &[(XFF, "203.0.113.7")], "203.0.113.7"),
        // The proxy hides its client, so the proxy's own address counts.
        (PROXY, &[(FWD, "for=1.1.1.1, for=unknown")], PROXY),
        (PROXY, &[(FWD, "for=1.1.1.1, for=_hidden, for=10.0.0.2")], "10.0.0.2"),
        (PROXY, &[(FWD, "for=1.1.1.1, proto=http")], PROXY),
        (PROXY, &[(XFF, "1.1.1.1, ")], PROXY),
        (PROXY, &[(XFF, "1.1.1.1, unknown")], PROXY),
        (PROXY, &[(XFF, "")], PROXY),
        // Only proxies in the header: the request originates at the leftmost.
        (PROXY, &[(XFF, "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        (PROXY, &[], PROXY),
        // Both headers, in agreement.
        (PROXY, &[(XFF, "203.0.113.7, 10.0.0.2"), (FWD, "for=\"203.0.113.7:99\"")], "203.0.113.7"),
    ];
    for (peer, lines, expected) in table {
        assert_eq!(client(peer, lines), Ok(Some(ip(expected))), "{peer} {lines:?}");
    }
}

#[test]
fn what_a_trusted_proxy_sends_must_be_readable() {
    let not_an_address = |header, from_the_right| BadForwarded::NotAnAddress { header, from_the_right };
    let (xff, fwd) = (ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded);
    let open = BadForwarded::Malformed { header: fwd, problem: "a quotation mark is not closed" };
    let table: &[(Lines<'_>, BadForwarded)] = &[
        (&[(XFF, "203.0.113.7, garbage")], not_an_address(xff, 1)),
        (&[(XFF, "203.0.113.7, 1.2.3.4.5, 10.0.0.2")], not_an_address(xff, 2)),
        (&[(XFF, "\u{ff}")], not_an_address(xff, 1)),
        (&[(XFF, "203.0.113.7;203.0.113.8")], not_an_address(xff, 1)),
        (&[(FWD, "for=\"203.0.113.7\\\"\"")], not_an_address(fwd, 1)),
        (&[(FWD, "for=localhost")], not_an_address(fwd, 1)),
        // A client leaves a quotation mark open before the entry that the proxy appended.
        (&[(FWD, "for=1.1.1.1;x=\", for=203.0.113.7")], open.clone()),
        (&[(FWD, "for=\"1.1.1.1"), (FWD, "for=203.0.113.7")], open),
        // The proxy writes one header, the client the other.
        (&[(FWD, "for=1.1.1.1"), (XFF, "203.0.113.7")], BadForwarded::Disagree),
    ];
    for (lines, expected) in table {
        let error = client(PROXY, lines).unwrap_err();
        assert_eq!(error, *expected, "{lines:?}");
        assert!(!error.to_string().contains("203.0"), "{error}");
    }
    let quoted = client(PROXY, &[(FWD, "for=1.1.1.1;x=\", for=\"[2001:db8::1]\"")]);
    assert!(matches!(quoted, Err(BadForwarded::Malformed { .. })), "{quoted:?}");
}

#[test]
fn only_one_header_is_read_when_told() {
    let lines = headers(&[(FWD, "for=1.1.1.1"), (XFF, "203.0.113.7")]);
    for (header, expected) in
        [(ForwardingHeader::XForwardedFor, "203.0.113.7"), (ForwardingHeader::Forwarded, "1.1.1.1")]
    {
        assert_eq!(proxies().only(header).client_ip(Some(ip(PROXY)), &lines), Ok(Some(ip(expected))));
    }
}

#[test]
fn lists_are_bounded() {
    let long = format!("{}203.0.113.7", "10.0.0.1, ".repeat(1_000));
    let too_long = BadForwarded::TooLong { header: ForwardingHeader::XForwardedFor };
    assert_eq!(client(PROXY, &[(XFF, &long)]), Err(too_long.clone()));
    let lines = vec![(XFF, "10.0.0.1"); 5_000];
    assert_eq!(client(PROXY, &lines), Err(too_long));
    let hops = |count: usize| format!("203.0.113.7{}", ", 10.0.0.1".repeat(count));
    assert_eq!(client(PROXY, &[(XFF, &hops(31))]), Ok(Some(ip("203.0.113.7"))));
    let too_many = BadForwarded::TooManyHops { header: ForwardingHeader::XForwardedFor };
    assert_eq!(client(PROXY, &[(XFF, &hops(32))]), Err(too_many));
    // The client's own entries may be numerous: they are not read.
    let padded = format!("{}, 203.0.113.7", ["1.1.1.1"; 500].join(", "));
    assert_eq!(client(PROXY, &[(XFF, &padded)]), Ok(Some(ip("203.0.113.7"))));
}

#[test]
fn without_a_peer_nothing_is_known() {
    assert_eq!(proxies().client_ip(None, &headers(&[(XFF, "203.0.113.7")])), Ok(None));
    let nobody = TrustedProxies::new(Vec::<String>::new()).unwrap();
    assert_eq!(nobody.client_ip(Some(ip(PROXY)), &headers(&[(XFF, "1.1.1.1")])), Ok(Some(ip(PROXY))));
}

#[test]
fn the_list_is_checked() {
    for good in
        ["10.0.0.0/8", " 10.0.0.1 ", "10.0.0.1/8", "fd00::1", "fd00::/8", "::ffff:10.0.0.0/104", "::ffff:10.0.0.1"]
    {
        assert!(TrustedProxies::new([good]).is_ok(), "{good}");
    }
    assert_eq!("10.0.0.0/8,fd00::/8".parse(), TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]));
    assert_eq!("".parse(), TrustedProxies::new(Vec::<String>::new()));
    assert!("10.0.0.0/8,,".parse::<TrustedProxies>().is_err());
    let mapped = TrustedProxies::new(["::ffff:10.0.0.0/104"]).unwrap();
    assert_eq!(mapped.client_ip(Some(ip(PROXY)), &headers(&[(XFF, "1.1.1.1")])), Ok(Some(ip("1.1.1.1"))));
    let long = "x".repeat(1_000);
    for bad in
        ["", "*", "10.0.0.0/33", "10.0.0", "10.0.0.0/-1", "fd00::/129", "proxy.example.com", "10.0.0.1:80", &long]
    {
        let error = TrustedProxies::new(["10.0.0.0/8", bad]).unwrap_err();
        assert!(matches!(error, InvalidProxy::NotANetwork { .. }), "{bad}: {error}");
        assert!(error.to_string().len() < 200);
    }
    for all in ["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "1.2.3.4/0"] {
        let error = TrustedProxies::new([all]).unwrap_err();
        assert!(matches!(error, InvalidProxy::Everybody { .. }), "{all}: {error}");
    }
}

#[test]
fn addresses_as_entities() {
    for (address, entity) in [
        ("203.0.113.7", "ip:203.0.113.7"),
        ("0.0.0.0", "ip:0.0.0.0"),
        ("::ffff:203.0.113.7", "ip:203.0.113.7"),
        ("64:ff9b::cb00:7107", "ip:203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "ip:2001:db8:1:2::"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "ip:2001:db8:1:2::"),
        ("2001:db8:1:3::", "ip:2001:db8:1:3::"),
        ("::1", "ip:0:0:0:0::"),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ip:ffff:ffff:ffff:ffff::"),
    ] {
        assert_eq!(ip_entity(ip(address)).as_str(), entity, "{address}");
    }
}

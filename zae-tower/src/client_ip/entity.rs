//! An address as an entity.

use std::net::{IpAddr, Ipv6Addr};

use zae_limiter::EntityId;

/// The first 96 bits of an IPv4 address that NAT64 wrote as IPv6 (RFC 6052, section 2.1).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// The entity that stands for an address: `ip:203.0.113.7`, and for IPv6 the network of 64 bits that one customer usually
/// has, `ip:2001:db8:0:1::`. An IPv4 address in IPv6 clothes (`::ffff:…`, `64:ff9b::…`) is the IPv4 address.
///
/// ```
/// use zae_tower::entity::ip_entity;
/// assert_eq!(ip_entity("203.0.113.7".parse()?).as_str(), "ip:203.0.113.7");
/// assert_eq!(ip_entity("2001:db8::1:2:3:4".parse()?).as_str(), "ip:2001:db8:0:0::");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn ip_entity(address: IpAddr) -> EntityId {
    let text = match address.to_canonical() {
        IpAddr::V4(address) => format!("ip:{address}"),
        IpAddr::V6(address) => v6_text(address),
    };
    // Infallible: at most 23 characters, hexadecimal digits, dots and colons after two letters.
    EntityId::new(text).expect("letters, digits, . and : after a letter")
}

fn v6_text(address: Ipv6Addr) -> String {
    let [a, b, c, d, ..] = address.segments();
    if address.segments().starts_with(&NAT64) {
        let [.., e, f, g, h] = address.octets();
        return format!("ip:{e}.{f}.{g}.{h}");
    }
    format!("ip:{a:x}:{b:x}:{c:x}:{d:x}::")
}

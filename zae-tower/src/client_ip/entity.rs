//! Maps client addresses to entities.
//!
//! IPv6 clients are counted by their /64. Providers assign networks of that size or larger, so a client could multiply
//! a limit that counts single addresses. The texts are cached per thread, because all requests of a connection come
//! from the same address.

use std::{
    cell::RefCell,
    fmt::Write as _,
    net::{IpAddr, Ipv6Addr},
};

use zae_limiter::EntityId;

use crate::line::Line;

/// The first 96 bits of an IPv4 address that NAT64 embeds in IPv6 (RFC 6052, section 2.1).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Returns the entity for an address: `ip:203.0.113.7`, or for IPv6 the /64 network that a single customer usually has,
/// `ip:2001:db8:0:1::`. An IPv4 address in IPv6 notation (`::ffff:…`, `64:ff9b::…`) counts as the IPv4 address.
///
/// ```
/// use zae_tower::entity::ip_entity;
/// assert_eq!(ip_entity("203.0.113.7".parse()?).as_str(), "ip:203.0.113.7");
/// assert_eq!(ip_entity("2001:db8::1:2:3:4".parse()?).as_str(), "ip:2001:db8:0:0::");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn ip_entity(address: IpAddr) -> EntityId {
    KNOWN.with_borrow_mut(|known| {
        let place = &mut known[place(&address)];
        match place {
            Some((known, entity)) if *known == address => entity.clone(),
            _ => place.insert((address, worked_out(address))).1.clone(),
        }
    })
}

/// Number of addresses that a thread remembers.
const PLACES: usize = 256;

thread_local! {
    /// Caches the entities of recent addresses, because connections send more than one request. Each hash has one slot,
    /// which holds the latest address. Per thread, so that there is no contention.
    static KNOWN: RefCell<Vec<Option<(IpAddr, EntityId)>>> = RefCell::new(vec![None; PLACES]);
}

/// Returns the cache slot of an address.
fn place(address: &IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    // Fibonacci hashing. Addresses that collide only have their text formatted again.
    let mixed = ((bits ^ (bits >> 64)) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % PLACES
}

/// Formats the entity of an address.
fn worked_out(address: IpAddr) -> EntityId {
    let mut text = Line::default();
    match address.to_canonical() {
        IpAddr::V4(address) => push_v4(&mut text, address.octets()),
        IpAddr::V6(address) => push_v6(&mut text, address),
    }
    // Infallible: at most 23 characters, hexadecimal digits, dots and colons after two letters.
    EntityId::new(text.as_str()).expect("letters, digits, . and : after a letter")
}

/// Appends an IPv4 address.
fn push_v4(text: &mut Line, octets: [u8; 4]) {
    for (octet, before) in octets.into_iter().zip(["ip:", ".", ".", "."]) {
        text.push_str(before);
        text.push_number(octet.into());
    }
}

/// Appends the network of an IPv6 address, or the IPv4 address embedded in it.
fn push_v6(text: &mut Line, address: Ipv6Addr) {
    let [a, b, c, d, ..] = address.segments();
    if address.segments().starts_with(&NAT64) {
        let [.., e, f, g, h] = address.octets();
        return push_v4(text, [e, f, g, h]);
    }
    // Writing to a `Line` cannot fail.
    let _ = write!(text, "ip:{a:x}:{b:x}:{c:x}:{d:x}::");
}

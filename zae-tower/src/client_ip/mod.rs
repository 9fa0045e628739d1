//! The address from which a request originates, [`TrustedProxies`], and the entity for an address, [`ip_entity`].
//!
//! A limit by address is only as good as the address. Behind a proxy, the peer is the proxy, and any client can send
//! the header in which the proxy names its client. The walk therefore starts at the one address that cannot be forged,
//! the peer's, and proceeds from the right through the entries that trusted proxies appended. The first address that is
//! not a trusted proxy is the client. Everything to its left is the client's own claim and is not even parsed.
//!
//! An unreadable entry within that stretch is an error instead of a reason to fall back. Falling back to the proxy's
//! address would put all its clients into one bucket, and skipping the entry would let a client choose the next one.

mod entity;
mod forwarded;
mod node;
mod proxies;

#[cfg(test)]
mod tests;

use http::{
    HeaderMap, HeaderName,
    header::{FORWARDED, HeaderValue},
};
use std::{fmt, net::IpAddr};

pub use entity::ip_entity;
use node::Node;
pub use proxies::{InvalidProxy, TrustedProxies};

/// Maximum size of a forwarding header, in bytes.
const MAX_BYTES: usize = 8 * 1024;
/// Maximum number of trusted hops in a row.
const MAX_HOPS: usize = 32;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A header in which proxies name their clients.
///
/// See [`TrustedProxies`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`: addresses, each proxy appending its peer's.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): the `for` parameters, likewise.
    Forwarded,
}

impl ForwardingHeader {
    /// Returns the header's name.
    fn name(self) -> HeaderName {
        match self {
            Self::XForwardedFor => X_FORWARDED_FOR,
            Self::Forwarded => FORWARDED,
        }
    }
}

impl fmt::Display for ForwardingHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::XForwardedFor => "X-Forwarded-For",
            Self::Forwarded => "Forwarded",
        })
    }
}

/// A forwarding header sent by a trusted proxy is unusable. The request is answered with 400.
///
/// The message names the header and the position, never the value.
///
/// Returned by [`client_ip`](crate::entity::client_ip), which answers the request with it; see [`TrustedProxies`] for
/// its settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadForwarded {
    /// An entry that a trusted proxy appended is not an address.
    #[error("{header}: entry {from_the_right} from the right is not an IP address")]
    NotAnAddress {
        /// The header.
        header: ForwardingHeader,
        /// Number of the entry, counted from the right; 1 is the last.
        from_the_right: usize,
    },
    /// The header does not follow its grammar.
    #[error("{header} does not follow its grammar: {problem}")]
    Malformed {
        /// The header.
        header: ForwardingHeader,
        /// Description of the problem.
        problem: &'static str,
    },
    /// The header is longer than any honest proxy chain makes it.
    #[error("{header} has more than {MAX_BYTES} bytes")]
    TooLong {
        /// The header.
        header: ForwardingHeader,
    },
    /// The header names more trusted proxies in a row than a request can plausibly pass.
    #[error("{header} names more than {MAX_HOPS} trusted proxies in a row")]
    TooManyHops {
        /// The header.
        header: ForwardingHeader,
    },
    /// Both headers are present and lead to different clients, so one of them was not written by the proxy.
    #[error("X-Forwarded-For and Forwarded disagree about the client")]
    Disagree,
}

impl TrustedProxies {
    /// Returns the client's address: `peer`, unless it is a trusted proxy, otherwise the last address in the forwarding
    /// headers that is not one.
    ///
    /// `peer` is the other end of the connection. Without it nothing can be trusted and the result is `None`. The lines
    /// of one header are joined and read from the right, only as far as trusted proxies vouch for them; anything
    /// further left is the client's own and is ignored. If a proxy hides its client (`unknown`, an obfuscated name, an
    /// empty entry, no `for`), the result is the proxy's own address, and all its hidden clients share it.
    ///
    /// If both headers are present, they must agree, unless [`only`](Self::only) names the one that the proxies write.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use zae_tower::entity::TrustedProxies;
    /// let proxies = TrustedProxies::new(["10.0.0.0/8"])?;
    /// let mut headers = HeaderMap::new();
    /// headers.insert("x-forwarded-for", "1.1.1.1, 203.0.113.7".parse()?); // the client wrote 1.1.1.1
    ///
    /// let client = proxies.client_ip(Some("10.0.0.2".parse()?), &headers)?;
    /// assert_eq!(client, Some("203.0.113.7".parse()?));
    /// let client = proxies.client_ip(Some("198.51.100.1".parse()?), &headers)?;
    /// assert_eq!(client, Some("198.51.100.1".parse()?)); // not a proxy of ours
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`BadForwarded`] if the part that trusted proxies vouch for is unreadable; never for an untrusted peer.
    pub fn client_ip(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<Option<IpAddr>, BadForwarded> {
        let Some(peer) = peer.map(|peer| peer.to_canonical()) else { return Ok(None) };
        if !self.trusts(peer) {
            return Ok(Some(peer));
        }
        let mut found = None;
        for header in self.headers() {
            let lines: Vec<&HeaderValue> = headers.get_all(header.name()).iter().collect();
            if lines.is_empty() {
                continue;
            }
            let client = self.walk(peer, *header, &joined(*header, &lines)?)?;
            if found.is_some_and(|other| other != client) {
                return Err(BadForwarded::Disagree);
            }
            found = Some(client);
        }
        Ok(Some(found.unwrap_or(peer)))
    }

    /// Follows the entries of one header from the right for as long as they are trusted.
    fn walk(&self, peer: IpAddr, header: ForwardingHeader, line: &[u8]) -> Result<IpAddr, BadForwarded> {
        let nodes: Vec<&[u8]> = match header {
            ForwardingHeader::XForwardedFor => line.rsplit(|byte| *byte == b',').take(MAX_HOPS + 1).collect(),
            ForwardingHeader::Forwarded => {
                let elements = forwarded::for_nodes(line);
                let mut nodes = elements.map_err(|problem| BadForwarded::Malformed { header, problem })?;
                nodes.reverse();
                nodes
            }
        };
        let mut known = peer;
        for (index, node) in nodes.into_iter().enumerate() {
            if index == MAX_HOPS {
                return Err(BadForwarded::TooManyHops { header });
            }
            match Node::parse(node) {
                Some(Node::Address(address)) if self.trusts(address) => known = address,
                Some(Node::Address(address)) => return Ok(address),
                Some(Node::Hidden) => return Ok(known),
                None => return Err(BadForwarded::NotAnAddress { header, from_the_right: index + 1 }),
            }
        }
        Ok(known)
    }
}

/// Joins the lines of one header, as RFC 9110 allows.
fn joined(header: ForwardingHeader, lines: &[&HeaderValue]) -> Result<Vec<u8>, BadForwarded> {
    let length = lines.iter().map(|line| line.len() + 1).sum::<usize>();
    if length > MAX_BYTES {
        return Err(BadForwarded::TooLong { header });
    }
    let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
    Ok(lines.join(&b','))
}

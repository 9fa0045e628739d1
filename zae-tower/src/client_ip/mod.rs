//! The address that a request really came from: [`TrustedProxies`], and the entity that an address is ([`ip_entity`]).
//!
//! A limit by address is only as good as the address. Behind a proxy the peer is the proxy, and the header in which it
//! names the client is one that any client can send. So the walk begins at the one address that cannot be faked, the
//! peer's, and goes from the right through the entries that trusted proxies appended; the first that is not one of them
//! is the client. Everything left of it is the client's own claim, and is not even parsed.
//!
//! An entry that cannot be read within that stretch is an error, not a reason to fall back: falling back to the proxy's
//! address would put all its clients into one bucket, and skipping the entry would let a client choose the next.

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

/// A header in which proxies say who asked them.
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

/// A forwarding header that a trusted proxy sent cannot be used; a reason to answer 400.
///
/// The message names the header and the place, never the value.
///
/// Comes from [`client_ip`](crate::entity::client_ip), which answers with it; see [`TrustedProxies`] for its settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadForwarded {
    /// An entry that a trusted proxy vouches for is no address.
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
    /// The header is too long to be honest.
    #[error("{header} has more than {MAX_BYTES} bytes")]
    TooLong {
        /// The header.
        header: ForwardingHeader,
    },
    /// More trusted proxies in a row than any request passes.
    #[error("{header} names more than {MAX_HOPS} trusted proxies in a row")]
    TooManyHops {
        /// The header.
        header: ForwardingHeader,
    },
    /// Both headers are there and lead to different clients: one of them is not the proxy's.
    #[error("X-Forwarded-For and Forwarded disagree about the client")]
    Disagree,
}

impl TrustedProxies {
    /// Returns the address of the client: `peer` unless it is a trusted proxy, else the last address in the forwarding
    /// headers that is not one.
    ///
    /// `peer` is the other end of the connection; without it nothing can be trusted and the answer is `None`. Lines of
    /// one header are joined and read from the right, and only as far as trusted proxies vouch for them: what a client
    /// wrote further left is not looked at. A proxy that hides its client (`unknown`, an obfuscated name, an empty
    /// entry, no `for`) speaks for it: the proxy's own address is the answer, and all its hidden clients are one.
    ///
    /// When both headers are there they must agree, unless [`only`](Self::only) says which one the proxies write.
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
    /// [`BadForwarded`] when what trusted proxies vouch for cannot be read; never for an untrusted peer.
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

//! The addresses of trusted proxies.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

use super::ForwardingHeader;

/// The trusted proxies, as networks or single addresses. Only their forwarding headers count.
///
/// List the proxy directly in front of the service and every further proxy that you run. Each listed host can choose
/// the address that its requests are counted under.
///
/// ```
/// use zae_tower::entity::{ForwardingHeader, TrustedProxies};
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8", "192.0.2.10"])?.only(ForwardingHeader::XForwardedFor);
/// assert!(TrustedProxies::new(["10.0.0.0/33"]).is_err());
/// # Ok::<(), zae_tower::entity::InvalidProxy>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Networks whose forwarding headers are believed.
    networks: Vec<IpNet>,
    /// The headers to read.
    headers: &'static [ForwardingHeader],
}

/// An entry of the list is not a network that can be trusted.
///
/// ```
/// use zae_tower::entity::{InvalidProxy, TrustedProxies};
/// assert!(matches!(TrustedProxies::new(["0.0.0.0/0"]), Err(InvalidProxy::Everybody { .. })));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProxy {
    /// Neither an address nor a network.
    #[error("trusted proxy {entry:?} is neither an IP address nor a network such as 10.0.0.0/8")]
    NotANetwork {
        /// The entry, cut to 64 characters.
        entry: String,
    },
    /// The entry trusts every address, so any client could choose the address that it is counted under.
    #[error("trusted proxy {entry:?} trusts every address, so clients could forge theirs: list your proxies only")]
    Everybody {
        /// The entry.
        entry: String,
    },
}

impl TrustedProxies {
    /// Creates the list from `entries`, each an address (`192.0.2.10`, `fd00::1`) or a network (`10.0.0.0/8`). An empty
    /// list is allowed: the client is then always the peer.
    ///
    /// # Errors
    /// [`InvalidProxy`] for the first entry that is neither, or that matches every address (`0.0.0.0/0`, `::/0`).
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidProxy> {
        let networks = entries.into_iter().map(|entry| network(entry.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { networks, headers: &[ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] })
    }

    /// Reads only that header. Use it if the proxies write one header and forward the other as clients sent it.
    #[must_use]
    pub fn only(self, header: ForwardingHeader) -> Self {
        let headers: &[ForwardingHeader] = match header {
            ForwardingHeader::XForwardedFor => &[ForwardingHeader::XForwardedFor],
            ForwardingHeader::Forwarded => &[ForwardingHeader::Forwarded],
        };
        Self { headers, ..self }
    }

    pub(super) fn headers(&self) -> &'static [ForwardingHeader] {
        self.headers
    }

    /// Returns true if `address` is one of the proxies.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// Parses a comma-separated list, as in an environment variable: `10.0.0.0/8, fd00::/8`. A blank string is an empty
/// list.
impl FromStr for TrustedProxies {
    type Err = InvalidProxy;
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list.trim().is_empty() { Self::new([""; 0]) } else { Self::new(list.split(',')) }
    }
}

/// Parses one entry.
fn network(entry: &str) -> Result<IpNet, InvalidProxy> {
    let kept = || entry.chars().take(64).collect::<String>();
    let text = entry.trim();
    let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let network = unmapped(parsed.ok_or_else(|| InvalidProxy::NotANetwork { entry: kept() })?);
    if network.prefix_len() == 0 {
        return Err(InvalidProxy::Everybody { entry: kept() });
    }
    Ok(network)
}

/// Converts an IPv4 network in IPv6 notation, `::ffff:10.0.0.0/104`, to the IPv4 network, because addresses are
/// compared in that form.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

//! The addresses of trusted proxies.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

use super::ForwardingHeader;

/// The proxies whose word about their clients counts: networks or single addresses.
///
/// List what stands directly before the service, and every proxy before that which is yours too. Whoever is in the list
/// can choose the address that requests are counted under.
///
/// ```
/// use zae_tower::entity::{ForwardingHeader, TrustedProxies};
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8", "192.0.2.10"])?.only(ForwardingHeader::XForwardedFor);
/// assert!(TrustedProxies::new(["10.0.0.0/33"]).is_err());
/// # Ok::<(), zae_tower::entity::InvalidProxy>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedProxies {
    /// Networks whose addresses are believed.
    networks: Vec<IpNet>,
    /// The headers that are read.
    headers: &'static [ForwardingHeader],
}

/// An entry of the list is no network that can be trusted.
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
    /// Everybody: then anybody could choose the address that they are counted under.
    #[error("trusted proxy {entry:?} trusts every address, and so any client's word: name the proxies' own networks")]
    Everybody {
        /// The entry.
        entry: String,
    },
}

impl TrustedProxies {
    /// The proxies in `entries`, each an address (`192.0.2.10`, `fd00::1`) or a network (`10.0.0.0/8`). None at all is
    /// allowed: then the peer is always the client.
    ///
    /// # Errors
    /// [`InvalidProxy`] for the first entry that is neither, or that trusts everybody (`0.0.0.0/0`, `::/0`).
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidProxy> {
        let networks = entries.into_iter().map(|entry| network(entry.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { networks, headers: &[ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] })
    }

    /// Reads only that header. Right where the proxies write one header and hand on the other as clients sent it.
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

/// A list separated by commas, as an environment variable has it: `10.0.0.0/8, fd00::/8`. Blank is nobody.
impl FromStr for TrustedProxies {
    type Err = InvalidProxy;
    fn from_str(list: &str) -> Result<Self, Self::Err> {
        if list.trim().is_empty() { Self::new([""; 0]) } else { Self::new(list.split(',')) }
    }
}

/// Reads one entry.
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

/// An IPv4 network written as IPv6, `::ffff:10.0.0.0/104`, is the IPv4 network: addresses are compared in that form.
fn unmapped(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let mapped = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96));
    mapped.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

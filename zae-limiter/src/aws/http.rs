//! The HTTP client under the SDK: rustls on ring, with the proxies that the environment configures.
//!
//! Each request takes one of three routes: direct, or through the proxy for plain or for encrypted endpoints. Addresses
//! of this machine and of the metadata services of machines and containers are always reached directly. Connections are
//! shared by all clients with the same timeouts, because creating a pool reads the system's certificates, which takes
//! longer than a request.

use std::{
    borrow::Cow,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    connector_metadata::ConnectorMetadata,
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

use super::{
    endpoint::{is_loopback, is_metadata},
    proxy::Proxies,
};

/// A connection pool for each pair of timeouts, shared by all clients: creating one reads the system's trusted
/// certificates.
pub(super) struct Client {
    /// The configured proxies.
    proxies: Proxies,
    /// Pools created so far, with their timeouts.
    made: Mutex<Vec<(HttpConnectorSettings, SharedHttpConnector)>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Prepares a pool with the connect timeout `connect`, so that the first call does not wait for certificates.
    pub(super) fn new(proxies: Proxies, connect: Duration) -> Self {
        let client = Self { proxies, made: Mutex::default() };
        drop(client.connector(&HttpConnectorSettings::builder().connect_timeout(connect).build()));
        client
    }

    /// Returns the pool with these timeouts, creating it if necessary.
    fn connector(&self, settings: &HttpConnectorSettings) -> SharedHttpConnector {
        let timeouts = |it: &HttpConnectorSettings| (it.connect_timeout(), it.read_timeout());
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, connector)) = made.iter().find(|(with, _)| timeouts(with) == timeouts(settings)) {
            return connector.clone();
        }
        let connector = SharedHttpConnector::new(Routes::new(&self.proxies, settings));
        made.push((settings.clone(), connector.clone()));
        connector
    }
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector(settings)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        Some(ConnectorMetadata::new("hyper", Some(Cow::Borrowed("1.x"))))
    }
}

/// The routes to an endpoint.
#[derive(Debug)]
struct Routes {
    /// Without a proxy.
    direct: Connector,
    /// Through the proxy for plain endpoints.
    http: Option<Connector>,
    /// Through the proxy for encrypted endpoints.
    https: Option<Connector>,
}

impl Routes {
    /// Creates the routes that the environment configures.
    fn new(proxies: &Proxies, settings: &HttpConnectorSettings) -> Self {
        let connector = |proxy: Option<ProxyConfig>| {
            let mut connector = Connector::builder().connector_settings(settings.clone());
            connector.set_proxy_config(proxy);
            connector.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
        };
        let through = |proxy: &Option<ProxyConfig>| proxy.clone().map(|proxy| connector(Some(proxy)));
        Self { direct: connector(None), http: through(&proxies.http), https: through(&proxies.https) }
    }
}

impl HttpConnector for Routes {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri = request.uri();
        let proxied = if uri.starts_with("https:") { &self.https } else { &self.http };
        match proxied {
            Some(proxied) if !is_loopback(uri) && !is_metadata(uri) => proxied.call(request),
            _ => self.direct.call(request),
        }
    }
}

//! The seam between an SDK's client and the network.

use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};

/// Passes a request on to the connector, or does something else with it.
type Pass = dyn Fn(&SharedHttpConnector, HttpRequest) -> HttpConnectorFuture + Send + Sync;

/// Returns a client that behaves like `client`, but whose requests all go through `pass`.
pub fn tap(
    client: &Client,
    pass: impl Fn(&SharedHttpConnector, HttpRequest) -> HttpConnectorFuture + Send + Sync + 'static,
) -> Client {
    let inner = client.config().http_client().expect("an HTTP client");
    let tap = Tap { inner, pass: Arc::new(pass) };
    Client::from_conf(client.config().to_builder().http_client(tap).build())
}

#[derive(Clone)]
struct Tap<I> {
    inner: I,
    pass: Arc<Pass>,
}

impl<I> std::fmt::Debug for Tap<I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}

impl HttpClient for Tap<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, parts);
        SharedHttpConnector::new(Tap { inner, pass: Arc::clone(&self.pass) })
    }
}

impl HttpConnector for Tap<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        (self.pass)(&self.inner, request)
    }
}

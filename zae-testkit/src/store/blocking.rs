//! HTTP that blocks the calling thread: tokio's paused clock runs ahead whenever every task waits, which must not
//! happen while a response is under way.

use std::sync::{LazyLock, mpsc};

use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use tokio::runtime::Runtime;
use zae_limiter::EmbeddedStore;

/// Makes the real requests, on a clock that is not paused.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
});

/// Connections of the whole test process: they live in [`RUNTIME`], not in a test.
static CONNECTIONS: LazyLock<SharedHttpClient> = LazyLock::new(|| aws_smithy_http_client::Builder::new().build_http());

/// Serves `store` on a port of this machine until the test process ends. Returns its URL.
pub(super) fn serve(store: EmbeddedStore) -> String {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    RUNTIME.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        store.serve(listener, std::future::pending()).await.unwrap();
    });
    url
}

/// A client whose requests block their thread until the response is complete.
#[derive(Debug)]
pub(super) struct BlockingHttp;

impl HttpClient for BlockingHttp {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Blocking(CONNECTIONS.http_connector(settings, parts)))
    }
}

#[derive(Debug)]
struct Blocking(SharedHttpConnector);

impl HttpConnector for Blocking {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.0.clone();
        HttpConnectorFuture::new(async move {
            let (sender, answer) = mpsc::channel();
            RUNTIME.spawn(async move {
                let answer = whole(&connector, request).await;
                // A test that has ended no longer listens.
                let _ = sender.send(answer);
            });
            answer.recv().map_err(|error| ConnectorError::other(error.into(), None))?
        })
    }
}

async fn whole(connector: &SharedHttpConnector, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let mut response = connector.call(request).await?;
    let body = std::mem::replace(response.body_mut(), SdkBody::empty());
    let body = ByteStream::new(body).collect().await.map_err(|error| ConnectorError::io(error.into()))?;
    *response.body_mut() = SdkBody::from(body.into_bytes());
    Ok(response)
}

//! Servers that replace DynamoDB, and a client that can be redirected to them.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::HttpRequest,
    runtime_components::RuntimeComponents,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server in place of DynamoDB.
#[derive(Debug)]
pub struct Front {
    /// Names it in a failed test.
    pub what: &'static str,
    authority: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Silence,
    HangUp,
}

impl Front {
    /// Answers each connection's first request with `answer`; `then` selects what follows.
    async fn serve(what: &'static str, answer: Option<&'static str>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            let mut silent = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                if let Some(answer) = answer {
                    let mut request = [0; 8_192];
                    let _ = stream.read(&mut request).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
                if then == Then::Silence {
                    silent.push(stream);
                }
            }
        });
        Self { what, authority }
    }

    pub async fn silent() -> Self {
        Self::serve("silent", None, Then::Silence).await
    }

    pub async fn hanging_up() -> Self {
        Self::serve("hanging up", None, Then::HangUp).await
    }

    pub async fn without_a_body() -> Self {
        Self::serve("without a body", Some("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), Then::Silence).await
    }

    pub async fn breaking_off() -> Self {
        Self::serve("breaking off", Some("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), Then::HangUp).await
    }

    pub async fn failing() -> Self {
        let answer = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 34\r\n\r\n\
                      {\"__type\":\"x#InternalServerError\"}";
        Self::serve("failing", Some(answer), Then::HangUp).await
    }

    /// Creates an address on which no server listens.
    pub async fn refusing() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { what: "refusing", authority: listener.local_addr().unwrap().to_string() }
    }

    /// Creates an address whose host does not exist.
    pub fn without_a_name() -> Self {
        Self { what: "without a name", authority: "nowhere.invalid:80".to_owned() }
    }
}

/// A client whose requests go to the store until they are redirected.
#[derive(Clone, Debug)]
pub struct Divertible {
    client: Client,
    switch: Switch,
}

#[derive(Clone, Debug)]
struct Switch {
    store: SharedHttpClient,
    network: SharedHttpClient,
    front: Arc<Mutex<Option<String>>>,
}

impl Divertible {
    pub fn over(client: &Client) -> Self {
        let store = client.config().http_client().expect("an HTTP client");
        let network = aws_smithy_http_client::Builder::new().build_http();
        let switch = Switch { store, network, front: Arc::default() };
        let config = client.config().to_builder().http_client(switch.clone()).build();
        Self { client: Client::from_conf(config), switch }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub fn to(&self, front: &Front) {
        *self.switch.front.lock().unwrap() = Some(front.authority.clone());
    }
}

impl HttpClient for Switch {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Track {
            store: self.store.http_connector(settings, parts),
            network: self.network.http_connector(settings, parts),
            front: Arc::clone(&self.front),
        })
    }
}

#[derive(Debug)]
struct Track {
    store: SharedHttpConnector,
    network: SharedHttpConnector,
    front: Arc<Mutex<Option<String>>>,
}

impl HttpConnector for Track {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        match self.front.lock().unwrap().as_deref() {
            Some(authority) => {
                request.set_uri(format!("http://{authority}/")).unwrap();
                self.network.call(request)
            }
            None => self.store.call(request),
        }
    }
}

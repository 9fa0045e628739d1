//! The function as Lambda runs it: a process that polls a runtime API, with a table over HTTP whose calls are counted.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dynoxide::Database;
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zae_axum::Repository;
use zae_testkit::function::Function;

#[derive(Clone)]
struct Door {
    calls: Arc<AtomicU64>,
    table: String,
    client: legacy::Client<HttpConnector, Body>,
}

async fn pass(State(door): State<Door>, mut request: Request) -> Response {
    door.calls.fetch_add(1, Ordering::SeqCst);
    *request.uri_mut() = door.table.parse().unwrap();
    let answer = door.client.request(request).await;
    answer.map_or_else(|_| StatusCode::BAD_GATEWAY.into_response(), IntoResponse::into_response)
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// A table, and the function on it with the calls that it makes.
async fn function() -> (Function, Arc<AtomicU64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let table = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(dynoxide::server::serve_on(listener, Database::memory().unwrap()));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&table)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    let client = Client::from_conf(config.build());
    Repository::builder().client(client).stack("limiter").create_table().build().await.unwrap();

    let calls = Arc::<AtomicU64>::default();
    let client = legacy::Client::builder(TokioExecutor::new()).build_http();
    let door = Door { calls: Arc::clone(&calls), table, client };
    let url = serve(Router::new().fallback(pass).with_state(door)).await;
    let environment = BTreeMap::from([("ZAEL_STACK", "limiter".to_owned()), ("AWS_ENDPOINT_URL_DYNAMODB", url)]);
    let function = Function::start(Path::new(env!("CARGO_BIN_EXE_function")), &environment).await;
    function.ready().await;
    (function, calls)
}

fn event(client: &str) -> Value {
    json!({
        "version": "2.0", "rawPath": "/", "rawQueryString": "", "headers": {"host": "example.org"},
        "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": client}}, "isBase64Encoded": false,
    })
}

#[tokio::test]
async fn the_first_decision_takes_two_calls_each_other_one_and_the_sixth_request_is_refused() {
    let (function, calls) = function().await;
    let mut spent = Vec::new();
    for left in (0..5).rev() {
        calls.store(0, Ordering::SeqCst);
        let answer = function.invoke(&event("192.0.2.1")).await;
        assert_eq!(
            (&answer["statusCode"], &answer["body"]),
            (&json!(200), &json!(format!("Hello! {left} left for now.\n")))
        );
        spent.push(calls.load(Ordering::SeqCst));
    }
    assert_eq!(spent, [2, 1, 1, 1, 1], "the cost was right, so nothing is left to settle");
    let refused = function.invoke(&event("192.0.2.1")).await;
    assert_eq!(refused["statusCode"], 429);
    assert!(refused["headers"]["retry-after"].is_string(), "{refused}");
    assert_eq!(function.invoke(&event("192.0.2.2")).await["statusCode"], 200, "another client");
    function.kill().await;
}

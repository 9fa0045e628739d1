//! The one port: DynamoDB and its streams, Lambda's Invoke, and the stack's own control.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, HOST},
    },
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::sync::Notify;

use crate::advice::NOT_LOCAL;

use super::{
    control::{STATUS_PATH, STOP_PATH, Status, TOKEN_HEADER},
    functions::{Lambda, caller},
    guard::guard,
    inside::Inside,
    stream::Progress,
};

/// The most that DynamoDB takes in one request.
const LARGEST: usize = 16 * 1024 * 1024;
/// How long connections to the database behind are kept.
const KEPT: Duration = Duration::from_secs(60);

/// What answers requests.
#[derive(Clone)]
pub(super) struct Front {
    client: Client<Inside, Body>,
    lambda: Lambda,
    progress: Arc<Progress>,
    status: Status,
    token: String,
    stop: Arc<Notify>,
}

impl Front {
    pub(super) fn new(
        inside: Inside,
        lambda: Lambda,
        progress: Arc<Progress>,
        (status, token): (Status, String),
        stop: Arc<Notify>,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(KEPT).build(inside);
        Self { client, lambda, progress, status, token, stop }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .route(STATUS_PATH, get(status))
            .route(STOP_PATH, post(stop))
            .fallback(database)
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(middleware::from_fn(guard))
            .with_state(self)
    }
}

async fn invoke(State(front): State<Front>, Path(name): Path<String>, body: Bytes) -> Response {
    front.lambda.invoke(&name, &body).await
}

async fn status(State(front): State<Front>) -> Json<Status> {
    Json(Status {
        records: front.progress.records.load(Ordering::Relaxed),
        dead_letters: front.progress.dead_letters.load(Ordering::Relaxed),
        ..front.status
    })
}

/// Only who can read the stack's own file may stop it: any web page could send such a request.
async fn stop(State(front): State<Front>, headers: HeaderMap) -> StatusCode {
    if headers.get(TOKEN_HEADER).is_none_or(|token| token.as_bytes() != front.token.as_bytes()) {
        return StatusCode::FORBIDDEN;
    }
    front.stop.notify_one();
    StatusCode::OK
}

async fn database(State(front): State<Front>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let content = |kind: &str| {
        parts
            .headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|text| text.starts_with(kind))
    };
    if content("application/x-www-form-urlencoded") {
        let body = axum::body::to_bytes(body, LARGEST).await.unwrap_or_default();
        let asks = body.windows(24).any(|part| part == b"Action=GetCallerIdentity");
        return if asks { caller() } else { unknown() };
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://inside{path}").parse() else { return StatusCode::BAD_REQUEST.into_response() };
    parts.uri = uri;
    parts.headers.remove(HOST);
    match front.client.request(Request::from_parts(parts, body)).await {
        Ok(answer) => answer.map(Body::new).into_response(),
        Err(error) => {
            tracing::warn!(error = %error, "the database did not answer");
            (StatusCode::BAD_GATEWAY, error.to_string()).into_response()
        }
    }
}

/// An error as the services of AWS that speak XML make it, which the SDKs can read.
fn unknown() -> Response {
    let message = "a local stack has DynamoDB, its streams, the Invoke call of its functions, and GetCallerIdentity; `local \
                   up` makes it and `local down` removes it";
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{NOT_LOCAL}</Code><Message>{message}</Message></Error>\
         <RequestId>local</RequestId></ErrorResponse>"
    );
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "text/xml")], body).into_response()
}

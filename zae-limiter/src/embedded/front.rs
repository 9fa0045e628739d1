//! DynamoDB's protocol over HTTP: the engine's own server, behind the checks that it lacks.
//!
//! The engine includes a server, which is kept behind [`Inside`] and only gets requests that passed [`limits`]. Parsing
//! a request twice, here and there, costs little compared with a request over a socket, and one table of checks serves
//! both entry points.

use std::{fmt, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{
        StatusCode,
        header::{CONTENT_TYPE, HOST},
    },
    response::{IntoResponse, Response},
};
use dynoxide::Database;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use super::{inside::Inside, limits};

/// Bounds the length of a body, in bytes, as DynamoDB does.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Time that connections to the engine are kept.
const KEPT: Duration = Duration::from_secs(60);

/// Answers DynamoDB requests over HTTP from an engine: refuses what DynamoDB refuses, and forwards the rest to the
/// engine's own server.
#[derive(Clone)]
pub struct DatabaseFront {
    /// The engine, for the checks.
    database: Database,
    /// Connections to the engine's own server.
    client: Client<Inside, Body>,
}

impl fmt::Debug for DatabaseFront {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseFront").finish_non_exhaustive()
    }
}

impl DatabaseFront {
    /// Creates a front for `database`.
    pub fn new(database: Database) -> Self {
        let inside = Inside::new(database.clone());
        let client = Client::builder(TokioExecutor::new()).pool_idle_timeout(KEPT).build(inside);
        Self { database, client }
    }

    /// Answers a request.
    pub async fn answer(&self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation = target.and_then(|target| target.split_once('.')).map_or("", |(_, operation)| operation);
        if let Some(refusal) = limits::refusal(&self.database, operation, &body) {
            let status = StatusCode::from_u16(refusal.status_code()).unwrap_or(StatusCode::BAD_REQUEST);
            return (status, [(CONTENT_TYPE, "application/x-amz-json-1.0")], refusal.to_json()).into_response();
        }
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("http://inside{path}").parse() else { return StatusCode::BAD_REQUEST.into_response() };
        parts.uri = uri;
        parts.headers.remove(HOST);
        match self.client.request(Request::from_parts(parts, Body::from(body))).await {
            Ok(answer) => answer.map(Body::new).into_response(),
            Err(error) => {
                tracing::warn!(%error, "the database did not answer");
                (StatusCode::BAD_GATEWAY, error.to_string()).into_response()
            }
        }
    }
}

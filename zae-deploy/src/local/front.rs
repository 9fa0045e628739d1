//! The single port: DynamoDB and its streams, the other services, and the stack's own control.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    middleware,
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};
use dynoxide::Database;
use tokio::sync::Notify;
use zae_limiter::DatabaseFront;

use super::{
    cloud::{self, LocalCloud},
    control::{STATUS_PATH, STOP_PATH, Status, TOKEN_HEADER},
    guard::guard,
    stream::Progress,
};

/// A Lambda package as text, the largest request body; DynamoDB itself accepts 16 MB.
const LARGEST: usize = 128 * 1024 * 1024;
/// The path at which LocalStack removes expired items immediately; tests written for it use that.
const EXPIRED_PATH: &str = "/_aws/dynamodb/expired";

/// The service that answers requests.
#[derive(Clone)]
pub(super) struct Front {
    database: Database,
    answers: DatabaseFront,
    cloud: Arc<LocalCloud>,
    progress: Arc<Progress>,
    status: Status,
    token: String,
    stop: Arc<Notify>,
}

impl Front {
    pub(super) fn new(
        database: Database,
        cloud: Arc<LocalCloud>,
        progress: Arc<Progress>,
        (status, token): (Status, String),
        stop: Arc<Notify>,
    ) -> Self {
        let answers = DatabaseFront::new(database.clone());
        Self { database, answers, cloud, progress, status, token, stop }
    }

    pub(super) fn router(self) -> Router {
        let cloud = cloud::routes(Arc::clone(&self.cloud));
        Router::new()
            .route(STATUS_PATH, get(status))
            .route(STOP_PATH, post(stop))
            .route(EXPIRED_PATH, delete(expire))
            .fallback(root)
            .with_state(self)
            .merge(cloud)
            .layer(DefaultBodyLimit::max(LARGEST))
            .layer(middleware::from_fn(guard))
    }
}

async fn status(State(front): State<Front>) -> Json<Status> {
    Json(Status {
        records: front.progress.records.load(Ordering::Relaxed),
        dead_letters: front.progress.dead_letters.load(Ordering::Relaxed),
        ..front.status
    })
}

/// Stops the stack for a caller that can read its state file.
async fn stop(State(front): State<Front>, headers: HeaderMap) -> StatusCode {
    if headers.get(TOKEN_HEADER).is_none_or(|token| token.as_bytes() != front.token.as_bytes()) {
        return StatusCode::FORBIDDEN;
    }
    front.stop.notify_one();
    StatusCode::OK
}

async fn expire(State(front): State<Front>) -> Response {
    match tokio::task::spawn_blocking(move || front.database.sweep_ttl()).await {
        Ok(Ok(removed)) => Json(serde_json::json!({ "ExpiredItems": removed })).into_response(),
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_json()).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Distinguishes services that share a path by the form of their calls.
async fn root(State(front): State<Front>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_query = header(CONTENT_TYPE.as_str()).starts_with("application/x-www-form-urlencoded");
    let is_database = !is_query && header("x-amz-target").starts_with("DynamoDB");
    if is_database {
        return front.answers.answer(Request::from_parts(parts, body)).await;
    }
    let Ok(body) = axum::body::to_bytes(body, LARGEST).await else { return StatusCode::BAD_REQUEST.into_response() };
    if is_query {
        return cloud::query(front.cloud, &body).await;
    }
    match cloud::other(&front.cloud, &parts.headers, &body).await {
        Some(answer) => answer,
        None => front.answers.answer(Request::from_parts(parts, Body::from(body))).await,
    }
}

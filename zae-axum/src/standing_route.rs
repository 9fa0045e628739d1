//! A route for the caller's own limits: [`standing`].

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::Request,
    routing::{MethodRouter, get},
};
use zae_tower::{
    EntityId,
    extract::{Extract, Extractor},
};

use crate::ZaeLimit;

/// Answers `GET` with the limits and the usage of the caller's own entity, as the extractor of `limit` identifies it.
///
/// The JSON is described in [`zae_tower::standing`]. A request without identity gets 401, one for which the table
/// cannot be read 503. For a usage window other than a day, see
/// [`StandingHandler::usage_window`](zae_tower::standing::StandingHandler::usage_window).
///
/// ```
/// # use axum::{Router, routing::get};
/// # use zae_axum::{ZaeLimit, entity};
/// # fn example(limit: ZaeLimit) -> Router {
/// let limit = limit.entity(entity::header("x-user-id"));
/// Router::new()
///     .route("/v1/chat", get(|| async { "hello" }).layer(limit.clone()))
///     .route("/v1/limits", zae_axum::standing(&limit))
/// # }
/// ```
pub fn standing<St, E, Rs, C, L>(limit: &ZaeLimit<E, Rs, C, L>) -> MethodRouter<St, Infallible>
where
    St: Clone + Send + Sync + 'static,
    E: Extract<Request> + Extractor<Output = EntityId>,
{
    let handler = limit.standing();
    get(move |mut request: Request| {
        let handler = handler.clone();
        async move { handler.respond::<_, Body>(&mut request).await }
    })
}

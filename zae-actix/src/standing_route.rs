//! A route for the caller's own limits: [`standing`].

use actix_web::{
    Route,
    dev::{ServiceRequest, fn_service},
    error::ErrorInternalServerError,
    guard, web,
};
use zae_tower::{EntityId, extract::Extract};

use crate::{Head, ZaeLimit, current::With, translate};

/// Answers `GET` with the limits and the usage of the caller's own entity, as the extractor of `limit` identifies it.
///
/// The JSON is described in [`zae_tower::standing`]. A request without identity gets 401, one for which the table
/// cannot be read 503.
///
/// ```
/// # use actix_web::{App, web};
/// # use zae_actix::{Repository, ZaeLimit, entity};
/// # fn example(repository: Repository) {
/// let limit = ZaeLimit::new(repository).entity(entity::header("x-user-id"));
/// let app = App::new()
///     .route("/v1/limits", zae_actix::standing(&limit))
///     .service(web::resource("/v1/chat").wrap(limit).to(|| async { "hello" }));
/// # let _ = app;
/// # }
/// ```
pub fn standing<E, Rs, C, L>(limit: &ZaeLimit<E, Rs, C, L>) -> Route
where
    E: Extract<Head, Output = EntityId>,
{
    let handler = limit.standing();
    web::route().guard(guard::Any(guard::Get()).or(guard::Head())).service(fn_service(
        move |request: ServiceRequest| {
            let handler = handler.clone();
            let mut head = translate::head(&request);
            let answering = With::new(request, async move { handler.respond(&mut head).await });
            async move {
                let (response, request) = answering.await;
                let request = request.ok_or_else(|| ErrorInternalServerError("the request was lost"))?;
                Ok::<_, actix_web::Error>(request.into_response(translate::response(response)))
            }
        },
    ))
}

//! Extractors for handlers: [`RateLimited`], [`Lease`].

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use zae_tower::{Decision, adapter::Held};

use crate::NotLimited;

/// Extracts the [`Decision`] of the middleware around the handler; with several, the innermost one's.
///
/// ```
/// use zae_actix::RateLimited;
/// async fn handler(limited: RateLimited) -> String {
///     match limited.remaining("rpm") {
///         Some(left) => format!("{left} more this minute"),
///         None => "as often as you like".to_owned(),
///     }
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::get().to(handler));
/// ```
///
/// # Errors
/// [`NotLimited`] if no middleware limits the route; `Option<RateLimited>` is then `None`.
#[derive(Clone, Debug)]
pub struct RateLimited(pub Decision);

impl Deref for RateLimited {
    type Target = Decision;
    fn deref(&self) -> &Decision {
        &self.0
    }
}

impl FromRequest for RateLimited {
    type Error = NotLimited;
    type Future = Ready<Result<Self, NotLimited>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(request.extensions().get().cloned().map(Self).ok_or(NotLimited::new("RateLimited")))
    }
}

/// Extracts the lease of the request, to correct its estimate.
///
/// Its methods are those of [`Held`]. The lease is settled when the response's body has ended. For a request that was
/// admitted without a lease (skipped, or in shadow mode), it holds nothing and adjustments do nothing, so handlers need
/// no special case.
///
/// ```
/// use zae_actix::{Lease, LimitError};
/// # async fn ask_the_model() -> i64 { 730 }
/// async fn chat(lease: Lease) -> Result<String, LimitError> {
///     let tokens = ask_the_model().await;
///     lease.adjust("tpm", tokens - 500)?; // the estimate was 500
///     Ok("…".to_owned())
/// }
/// # let _ = actix_web::App::new().route("/", actix_web::web::post().to(chat));
/// ```
///
/// It can be cloned and moved, for example into the stream that produces a response.
///
/// # Errors
/// [`NotLimited`] if no middleware limits the route. `Option<Lease>` is `None` in this case only, because actix-web
/// itself implements optional extractors. [`handle`](Held::handle) tells if anything is held.
#[derive(Clone, Debug)]
pub struct Lease(Held);

impl Deref for Lease {
    type Target = Held;
    fn deref(&self) -> &Held {
        &self.0
    }
}

impl FromRequest for Lease {
    type Error = NotLimited;
    type Future = Ready<Result<Self, NotLimited>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let held = Held::find(extensions.get::<Decision>());
        ready(held.map(Self).ok_or(NotLimited::new("Lease")))
    }
}

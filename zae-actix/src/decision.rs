//! Extractors for handlers: [`RateLimited`], [`Lease`].

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use zae_tower::{Decision, adapter::Held};

use crate::NotLimited;

/// Extracts the [`Decision`] of the middleware around the handler, of the innermost one where several are.
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
/// [`NotLimited`] where nothing limits the route; `Option<RateLimited>` is `None` there.
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

/// Extracts the lease of the request, to correct the estimate that was taken.
///
/// Its methods are those of [`Held`]. The lease is settled when the response's body has ended. A request that passed
/// without a lease (skipped, or let through in shadow mode) has one that holds nothing, so that handlers need not care:
/// adjusting it does nothing.
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
/// It can be cloned and moved, for example into the stream that a response is made of.
///
/// # Errors
/// [`NotLimited`] where nothing limits the route; `Option<Lease>` is `None` there, and only there: actix-web makes
/// options of extractors by itself. Whether something is held, [`handle`](Held::handle) tells.
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

//! The limiter's errors as responses: [`LimitError`], [`NotLimited`].

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use zae_tower::Problem;

use crate::translate;

/// Every failure that the limiter can return to a handler, as a response; wraps [`zae_tower::LimitError`].
///
/// For handlers that call the limiter themselves: `?` turns its errors into the middleware's answer, for example a 429
/// with `Retry-After`, rate-limit headers and a problem body. Programming errors are logged and answered with a bare
/// 500.
///
/// ```
/// use actix_web::{App, web};
/// use zae_actix::{Cost, LimitError, RateLimiter};
///
/// async fn send_mail(limiter: web::Data<RateLimiter>) -> Result<&'static str, LimitError> {
///     let lease = limiter.acquire("tenant-1", "mail", Cost::of("mails", 1)).await?;
///     // …send it…
///     lease.commit().await?;
///     Ok("sent")
/// }
/// # let _ = App::new().route("/mail", web::post().to(send_mail));
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct LimitError(pub zae_tower::LimitError);

/// Converts everything that the inner error converts from: refusals, and errors of the limiter, its leases and the
/// repository.
impl<E> From<E> for LimitError
where
    zae_tower::LimitError: From<E>,
{
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl ResponseError for LimitError {
    fn status_code(&self) -> StatusCode {
        translate::status(self.0.problem().status())
    }

    fn error_response(&self) -> HttpResponse {
        translate::response(self.0.problem().into_response())
    }
}

/// An extractor was used on a route that is not limited. This is a programming error; it is logged and answered with a
/// bare 500. If a route may be unlimited, extract an [`Option`].
///
/// ```
/// use actix_web::{App, web};
/// use zae_actix::Lease;
///
/// async fn handler(lease: Option<Lease>) -> &'static str {
///     if lease.is_some() { "limited" } else { "not limited" }
/// }
/// # let _ = App::new().route("/", web::get().to(handler));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the handler extracts {extractor}, but its route has no limit: add `.wrap(ZaeLimit::new(…))` around it, or \
     extract an Option"
)]
#[non_exhaustive]
pub struct NotLimited {
    extractor: &'static str,
}

impl NotLimited {
    pub(crate) fn new(extractor: &'static str) -> Self {
        Self { extractor }
    }
}

impl ResponseError for NotLimited {
    fn error_response(&self) -> HttpResponse {
        tracing::error!("{self}");
        translate::response(Problem::internal().into_response())
    }
}

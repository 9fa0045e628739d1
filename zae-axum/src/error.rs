//! The limiter's errors as responses: [`LimitError`].

use axum::response::{IntoResponse, Response};

/// Every failure that the limiter can return to a handler, as a response; wraps [`zae_tower::LimitError`].
///
/// For handlers that call the limiter themselves: `?` turns its errors into the layer's answer, for example a 429 with
/// `Retry-After`, rate-limit headers and a problem body. Programming errors are logged and answered with a bare 500.
///
/// ```
/// use axum::{Router, extract::State, routing::post};
/// use zae_axum::{Cost, LimitError, RateLimiter};
///
/// async fn send_mail(State(limiter): State<RateLimiter>) -> Result<&'static str, LimitError> {
///     let lease = limiter.acquire("tenant-1", "mail", Cost::of("mails", 1)).await?;
///     // …send it…
///     lease.commit().await?;
///     Ok("sent")
/// }
/// # let _: Router<RateLimiter> = Router::new().route("/mail", post(send_mail));
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

impl IntoResponse for LimitError {
    fn into_response(self) -> Response {
        self.0.problem().into_response()
    }
}

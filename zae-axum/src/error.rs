//! The limiter's errors as responses: [`LimitError`].

use axum::response::{IntoResponse, Response};

/// Anything that the limiter can answer a handler besides yes, as a response; [`zae_tower::LimitError`] inside.
///
/// For handlers that ask the limiter themselves: `?` turns its errors into what the layer would have answered, for
/// example a 429 with `Retry-After`, rate-limit headers and a problem body. What is the program's fault is logged, and
/// a 500 that tells nothing.
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

/// From whatever becomes the error inside: refusals, and what the limiter, its leases and the repository fail with.
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

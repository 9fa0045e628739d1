//! The limiter's errors as responses: [`LimitError`].

use std::{sync::Arc, time::Duration};

use axum::response::{IntoResponse, Response};
use zae_tower::{
    AcquireError, HeaderDialect, LeaseError, Problem, Refusal, ValidationError,
    extract::ExtractError,
    zae_limiter::{RepositoryError, SettleError},
};

/// Anything that the limiter can answer a handler besides yes, as a response.
///
/// For handlers that ask the limiter themselves: `?` turns its errors into what the layer would have answered, for example a
/// 429 with `Retry-After`, rate-limit headers and a problem body. What is the program's fault is logged, and a 500 that
/// tells nothing.
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
#[non_exhaustive]
pub enum LimitError {
    /// The limiter refused, or could not answer.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A lease could not do what it was asked.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// A settlement could not be stored for certain.
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl From<AcquireError> for LimitError {
    fn from(error: AcquireError) -> Self {
        Self::Refused(error.into())
    }
}

/// The value is taken for the client's: a 400. Check the program's own values where they are made.
impl From<ValidationError> for LimitError {
    fn from(error: ValidationError) -> Self {
        Self::Refused(ExtractError::from(error).into())
    }
}

/// A store that fails is a 503; everything else about the stored data is a 500.
impl From<RepositoryError> for LimitError {
    fn from(error: RepositoryError) -> Self {
        match error {
            RepositoryError::Store(error) => {
                Self::Refused(ExtractError::unavailable(error.to_string(), Duration::from_secs(1)).into())
            }
            RepositoryError::Invalid(error) => error.into(),
            other => AcquireError::Repository(Arc::new(other)).into(),
        }
    }
}

impl IntoResponse for LimitError {
    fn into_response(self) -> Response {
        let problem = match &self {
            Self::Refused(refusal) => Problem::of(refusal, HeaderDialect::default()),
            Self::Lease(_) | Self::Settle(_) => Problem::internal(),
        };
        if problem.status().is_server_error() {
            tracing::error!(target: "zae_axum", error = %self, "the limiter failed a handler");
        }
        problem.into_response()
    }
}

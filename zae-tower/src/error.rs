//! The limiter's errors, on their way into a response: [`LimitError`].

use std::{sync::Arc, time::Duration};

use zae_limiter::{AcquireError, LeaseError, RepositoryError, SettleError, ValidationError};

use crate::{extract::ExtractError, headers::HeaderDialect, problem::Problem, refusal::Refusal};

/// Every failure that the limiter can return to a handler.
///
/// For handlers that call the limiter themselves: [`problem`](LimitError::problem) is the answer that the layer would
/// have given. The adapters' `LimitError` wraps this type as a response of their framework.
///
/// ```
/// use zae_tower::{Cost, LimitError, RateLimiter};
///
/// async fn send_mail(limiter: &RateLimiter) -> http::Response<Vec<u8>> {
///     let sent = async {
///         let lease = limiter.acquire("tenant-1", "mail", Cost::of("mails", 1)).await?;
///         // …send it…
///         Ok::<_, LimitError>(lease.commit().await?)
///     };
///     match sent.await {
///         Ok(()) => http::Response::new(b"sent".to_vec()),
///         Err(error) => error.problem().into_response(),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// The limiter refused, or could not decide.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// An operation on a lease failed.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// It is not certain that a settlement was stored.
    #[error(transparent)]
    Settle(#[from] SettleError),
}

impl LimitError {
    /// Returns the answer. For a refusal it is the layer's own, rate-limit headers included. For a programming error it
    /// is a 500 without details, which are logged.
    pub fn problem(&self) -> Problem {
        let problem = match self {
            Self::Refused(refusal) => Problem::of(refusal, HeaderDialect::default()),
            Self::Lease(_) | Self::Settle(_) => Problem::internal(),
        };
        if problem.status().is_server_error() {
            tracing::error!(error = %self, "the limiter failed in a handler");
        }
        problem
    }
}

impl From<AcquireError> for LimitError {
    fn from(error: AcquireError) -> Self {
        Self::Refused(error.into())
    }
}

/// The value is assumed to come from the client, so the answer is 400. Validate the program's own values where they are
/// created.
impl From<ValidationError> for LimitError {
    fn from(error: ValidationError) -> Self {
        Self::Refused(ExtractError::from(error).into())
    }
}

/// A failing store is a 503; every other problem with the stored data is a 500.
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

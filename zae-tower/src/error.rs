//! The limiter's errors, on their way to a response: [`LimitError`].

use std::{sync::Arc, time::Duration};

use zae_limiter::{AcquireError, LeaseError, RepositoryError, SettleError, ValidationError};

use crate::{extract::ExtractError, headers::HeaderDialect, problem::Problem, refusal::Refusal};

/// Anything that the limiter can answer a handler besides yes.
///
/// For handlers that ask the limiter themselves: [`problem`](LimitError::problem) is what the layer would have
/// answered. The adapters' `LimitError` is this one as a response of their framework.
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

impl LimitError {
    /// Returns the answer. For a refusal it is the layer's own, rate-limit headers included. For a fault of the program
    /// it is a 500 without details, which go to the log.
    pub fn problem(&self) -> Problem {
        let problem = match self {
            Self::Refused(refusal) => Problem::of(refusal, HeaderDialect::default()),
            Self::Lease(_) | Self::Settle(_) => Problem::internal(),
        };
        if problem.status().is_server_error() {
            tracing::error!(error = %self, "the limiter failed a handler");
        }
        problem
    }
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

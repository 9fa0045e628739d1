//! Errors of calls: [`CallError`], and [`ServiceError`], which includes errors of the inner service.

use std::{error::Error, fmt, time::Duration};

use zae_tower::{AcquireError, EntityId, ResourceName, extract::ExtractError};

use crate::wait::WaitReason;

/// The reason why a call was not sent, or why it has no response.
///
/// [`retry_after`](CallError::retry_after) returns when to retry; if it returns `None`, a retry does not help.
///
/// Clients wrap it in errors of their own, and `reqwest-retry` wraps those; [`CallError::find`] extracts it.
///
/// ```
/// use zae_reqwest::CallError;
///
/// fn explain(error: &reqwest_middleware::Error) {
///     match CallError::find(error) {
///         Some(limited) => println!("not called; retry in {:?}", limited.retry_after()),
///         None => println!("the call itself failed: {error}"),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Not yet: the call would have had to wait longer than it may. Nothing was sent.
    #[error(transparent)]
    NotYet(#[from] NotYet),
    /// The limiter refused permanently, was unreachable, or is misconfigured. Nothing was sent.
    #[error("the call was not made: {0}")]
    Limiter(#[source] AcquireError),
    /// An extractor found an unusable value in the request. Nothing was sent.
    #[error("the call was not made: {0}")]
    Unusable(#[source] ExtractError),
    /// The provider refused permanently, and [`Refusals::Fail`](crate::Refusals::Fail) is set.
    #[error(transparent)]
    RefusedForGood(#[from] RefusedForGood),
}

impl CallError {
    /// Returns the time to wait before a retry makes sense; `None` when waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotYet(not_yet) => Some(not_yet.retry_after),
            Self::Limiter(error) => error.retry_after(),
            Self::Unusable(_) | Self::RefusedForGood(_) => None,
        }
    }

    /// Returns the `CallError` among `error` and its causes.
    ///
    /// ```
    /// # async fn example(client: reqwest_middleware::ClientWithMiddleware) -> Result<(), reqwest_middleware::Error> {
    /// use zae_reqwest::CallError;
    /// match client.get("https://api.example.com/").send().await {
    ///     Err(error) => match CallError::find(&error) {
    ///         Some(limited) => println!("try again in {:?}", limited.retry_after()),
    ///         None => return Err(error),
    ///     },
    ///     Ok(response) => println!("{}", response.status()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

/// A call that would have had to wait longer than it may.
///
/// ```
/// use zae_reqwest::CallError;
///
/// fn log(error: &CallError) {
///     if let CallError::NotYet(not_yet) = error {
///         println!("{} waited {:?} because of {:?}", not_yet.entity, not_yet.waited, not_yet.reason);
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NotYet {
    /// The entity of the call.
    pub entity: EntityId,
    /// The resource of the call.
    pub resource: ResourceName,
    /// The reason for which the call would have had to wait.
    pub reason: WaitReason,
    /// Time until the reason is gone, if no other call takes the tokens.
    pub retry_after: Duration,
    /// Time that the call has waited.
    pub waited: Duration,
}

impl fmt::Display for NotYet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entity, resource, reason, retry_after, waited } = self;
        write!(
            f,
            "the call of {entity} to {resource} was not made: {reason}. Retry after {:.1}s",
            retry_after.as_secs_f64()
        )?;
        if waited.as_millis() > 0 {
            write!(f, " (it waited {:.1}s)", waited.as_secs_f64())?;
        }
        Ok(())
    }
}

impl Error for NotYet {}

/// The provider refused permanently.
///
/// ```
/// use zae_reqwest::CallError;
///
/// /// Returns true if somebody has to pay a bill before calls work again.
/// fn is_out_of_quota(error: &CallError) -> bool {
///     matches!(error, CallError::RefusedForGood(refused) if refused.reason == "insufficient_quota")
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RefusedForGood {
    /// The status of its response, usually 429.
    pub status: http::StatusCode,
    /// The provider's error code: `insufficient_quota`.
    pub reason: String,
    /// The beginning of the response's body, at most 64 KiB.
    pub body: bytes::Bytes,
}

impl fmt::Display for RefusedForGood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the provider refused with {} and will keep refusing: {}", self.status, self.reason)
    }
}

impl Error for RefusedForGood {}

/// The error of a limited service: the limiter's error, or the inner service's own.
///
/// See [`LimitedService`](crate::LimitedService) for an example.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceError<E> {
    /// The call was not made, or refused permanently.
    Limited(CallError),
    /// The inner service failed.
    Inner(E),
}

impl<E> From<CallError> for ServiceError<E> {
    fn from(error: CallError) -> Self {
        Self::Limited(error)
    }
}

impl<E: fmt::Display> fmt::Display for ServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited(error) => error.fmt(f),
            Self::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: Error + 'static> Error for ServiceError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Limited(error) => Some(error),
            Self::Inner(error) => Some(error),
        }
    }
}

/// Returns true if a request certainly never reached the provider.
pub(crate) fn never_sent(error: &(dyn Error + 'static)) -> bool {
    let reqwest = match error.downcast_ref::<reqwest_middleware::Error>() {
        Some(reqwest_middleware::Error::Reqwest(error)) => Some(error),
        _ => error.downcast_ref::<reqwest::Error>(),
    };
    reqwest.is_some_and(|error| error.is_connect() || error.is_builder())
}

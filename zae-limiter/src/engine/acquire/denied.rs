//! Why an acquire gave nothing: [`Denied`].
//!
//! Holds that one bucket granted while the other refused are dropped here, which is what gives their tokens back. The
//! error lists the limits of both, so that a client sees everything that it was measured by.

use std::sync::Arc;

use crate::{
    engine::lane::ask::Failure,
    error::{AcquireError, RepositoryError, UnavailableReason, ValidationError},
};

/// Why an acquire gave nothing: a policy may turn an outage into something else, and nothing but an outage.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The store could not be asked: a policy decides.
    Outage(UnavailableReason, Option<Arc<RepositoryError>>),
    /// An answer that no policy changes.
    Error(AcquireError),
}

/// Why nothing was taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// A bucket's limits were changed since they were resolved: to be tried again, after reading the limits again.
    Outdated,
    /// Nothing was granted, and asking again would not help.
    Denied(Denied),
}

impl<E: Into<Denied>> From<E> for NotTaken {
    fn from(denied: E) -> Self {
        Self::Denied(denied.into())
    }
}

impl From<AcquireError> for Denied {
    fn from(error: AcquireError) -> Self {
        Self::Error(error)
    }
}

impl From<ValidationError> for Denied {
    fn from(error: ValidationError) -> Self {
        Self::Error(error.into())
    }
}

impl From<Arc<RepositoryError>> for Denied {
    fn from(error: Arc<RepositoryError>) -> Self {
        match error.outage() {
            Some(reason) => Self::Outage(reason, Some(error)),
            None => Self::Error(hard(error)),
        }
    }
}

impl From<RepositoryError> for Denied {
    fn from(error: RepositoryError) -> Self {
        Arc::new(error).into()
    }
}

impl From<Failure> for Denied {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unavailable(reason, source) => Self::Outage(reason, source),
            Failure::Hard(error) => Self::Error(hard(error)),
        }
    }
}

/// Gives errors that have a variant of their own that variant.
fn hard(error: Arc<RepositoryError>) -> AcquireError {
    match &*error {
        RepositoryError::Unsupported(unsupported) => unsupported.clone().into(),
        RepositoryError::Disabled(disabled) => disabled.clone().into(),
        _ => AcquireError::Repository(error),
    }
}

/// A refusal without a violation: cannot be, and must not be granted if it is.
pub(super) fn nothing() -> Denied {
    Denied::Outage(UnavailableReason::StoreFailed, None)
}

//! The reason why an acquire was not granted: [`Denied`].
//!
//! Holds that one bucket granted while the other refused are dropped here, which gives their tokens back. The error
//! lists the limits of both buckets, so that a client sees all limits that were checked.

use std::sync::Arc;

use crate::{
    engine::lane::ask::Failure,
    error::{AcquireError, RepositoryError, UnavailableReason, ValidationError},
};

/// The reason why an acquire was not granted. A policy may turn an outage into a grant, and nothing else.
#[derive(Debug)]
pub(crate) enum Denied {
    /// The store was unavailable: a policy decides.
    Outage(UnavailableReason, Option<Arc<RepositoryError>>),
    /// An error that no policy changes.
    Error(AcquireError),
}

/// The reason why nothing was taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// A bucket's limits have changed since they were resolved: read the limits again and retry.
    Outdated,
    /// Nothing was granted, and a retry would not help.
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

/// Converts errors that have a variant of their own to that variant.
fn hard(error: Arc<RepositoryError>) -> AcquireError {
    match &*error {
        RepositoryError::Unsupported(unsupported) => unsupported.clone().into(),
        RepositoryError::Disabled(disabled) => disabled.clone().into(),
        _ => AcquireError::Repository(error),
    }
}

/// A refusal without a violation, which cannot happen and must not be granted.
pub(super) fn nothing() -> Denied {
    Denied::Outage(UnavailableReason::StoreFailed, None)
}

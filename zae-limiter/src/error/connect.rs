//! Why AWS cannot be called with what the environment says.
//!
//! The SDK finds such mistakes on the first call, and reports them as a dispatch failure after its retries. Here they
//! are found when the repository is opened, name the variable or profile they come from, and say what a right value
//! looks like.

use super::BoxError;

/// A setting that cannot be right, or is missing. Nothing was sent.
///
/// ```
/// use zae_limiter::{RepositoryError, error::ConnectError};
///
/// fn is_missing_region(error: &RepositoryError) -> bool {
///     matches!(error, RepositoryError::Connect(ConnectError::NoRegion))
/// }
/// ```
///
/// Reported by [`Repository::open`](crate::Repository::open) and its builder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// An environment variable's value is no text.
    #[error("{variable} is not UTF-8 text")]
    NotText {
        /// The variable.
        variable: String,
    },
    /// An endpoint cannot be called.
    #[error("the endpoint '{url}'{} {problem}", found(.origin.as_deref()))]
    Endpoint {
        /// The endpoint.
        url: String,
        /// The variable or profile that it was found in; none when the caller gave it.
        origin: Option<String>,
        /// A description of the problem and of the expected form.
        problem: String,
    },
    /// A region's name cannot be part of a host's name.
    #[error("the region '{region}'{} is not a region's name: one looks like us-east-1", found(*.origin))]
    Region {
        /// The region.
        region: String,
        /// The variable or file that it was found in; none when the caller gave it.
        origin: Option<&'static str>,
    },
    /// There is no region.
    #[error("no AWS region is configured: set AWS_REGION, or `region` in the profile")]
    NoRegion,
    /// A proxy's address is none. It may have a password in it and is not shown.
    #[error("{variable} is not the URL of an HTTP proxy: one looks like http://proxy.example:3128")]
    Proxy {
        /// The variable.
        variable: &'static str,
    },
}

/// Names the place that a value was found in.
fn found(origin: Option<&str>) -> String {
    origin.map(|origin| format!(" (from {origin})")).unwrap_or_default()
}

/// There are no credentials, or their source gave none. Found among the sources of a [`StoreError`](super::StoreError).
///
/// ```
/// use zae_limiter::{RepositoryError, error::NoCredentials};
///
/// fn advise(error: &RepositoryError) {
///     if let Some(missing) = NoCredentials::find(error) {
///         eprintln!("{}: {}", missing.problem(), missing.advice());
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct NoCredentials {
    /// A description of the problem.
    pub(crate) problem: String,
    /// Advice on how to fix it.
    pub(crate) advice: String,
    /// The error of the source of credentials.
    pub(crate) source: BoxError,
}

impl NoCredentials {
    /// Returns a description of the problem.
    pub fn problem(&self) -> &str {
        &self.problem
    }

    /// Returns advice on how to fix it.
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// The one among an error and its sources.
    pub fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(<dyn std::error::Error>::downcast_ref)
    }
}

//! Errors of the AWS configuration found in the environment.
//!
//! The SDK detects such mistakes on the first call, and reports them as a dispatch failure after its retries. Here they
//! are detected when the repository is opened; the errors name the variable or profile that contains the value, and
//! describe the expected form.

use super::BoxError;

/// A setting is invalid or missing. Nothing was sent.
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
    /// An environment variable's value is not valid UTF-8.
    #[error("{variable} is not UTF-8 text")]
    NotText {
        /// The variable.
        variable: String,
    },
    /// The endpoint is not a valid URL to call.
    #[error("the endpoint '{url}'{} {problem}", found(.origin.as_deref()))]
    Endpoint {
        /// The endpoint.
        url: String,
        /// The variable or profile that contains it; `None` if the caller passed it.
        origin: Option<String>,
        /// A description of the problem and of the expected form.
        problem: String,
    },
    /// The region is not a valid part of a host name.
    #[error("the region '{region}'{} is not a region's name, such as us-east-1", found(*.origin))]
    Region {
        /// The region.
        region: String,
        /// The variable or file that contains it; `None` if the caller passed it.
        origin: Option<&'static str>,
    },
    /// No region is configured.
    #[error("no AWS region is configured: set AWS_REGION, or `region` in the profile")]
    NoRegion,
    /// The proxy's URL is invalid. It may contain a password and is not shown.
    #[error("{variable} is not the URL of an HTTP proxy, such as http://proxy.example:3128")]
    Proxy {
        /// The variable.
        variable: &'static str,
    },
}

/// Formats the origin of a value.
fn found(origin: Option<&str>) -> String {
    origin.map(|origin| format!(" (from {origin})")).unwrap_or_default()
}

/// There are no credentials, or their provider failed. Found among the sources of a [`StoreError`](super::StoreError).
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
    /// The error of the credentials provider.
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

    /// Finds this error among an error and its sources.
    pub fn find<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(<dyn std::error::Error>::downcast_ref)
    }
}

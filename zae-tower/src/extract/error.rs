//! The error of an extractor: [`ExtractError`].

use std::{fmt, time::Duration};

use zae_limiter::ValidationError;

/// The reason why a request has no usable identity, resource, cost or limits. It becomes the response.
///
/// The text is sent to the client and logged: describe the problem, never include the value.
///
/// ```
/// use zae_tower::extract::ExtractError;
/// let error = ExtractError::bad_request("header x-user-id must be a number");
/// assert_eq!(error.to_string(), "header x-user-id must be a number");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtractError {
    kind: ExtractErrorKind,
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtractErrorKind {
    BadRequest,
    Unauthorized,
    ContentTooLarge,
    NotFound,
    TimedOut,
    Unavailable { retry_after: Duration },
}

impl ExtractError {
    /// The request has an unusable value: 400.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self { kind: ExtractErrorKind::BadRequest, detail: detail.into() }
    }

    /// The request has no credible identity: 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self { kind: ExtractErrorKind::Unauthorized, detail: detail.into() }
    }

    /// The request is larger than the extractor's limit: 413.
    pub fn content_too_large(detail: impl Into<String>) -> Self {
        Self { kind: ExtractErrorKind::ContentTooLarge, detail: detail.into() }
    }

    /// The request names something that does not exist: 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self { kind: ExtractErrorKind::NotFound, detail: detail.into() }
    }

    /// The request took too long to arrive: 408.
    pub fn timed_out(detail: impl Into<String>) -> Self {
        Self { kind: ExtractErrorKind::TimedOut, detail: detail.into() }
    }

    /// A dependency of the extractor is unreachable: 503 with `Retry-After`.
    pub fn unavailable(detail: impl Into<String>, retry_after: Duration) -> Self {
        Self { kind: ExtractErrorKind::Unavailable { retry_after }, detail: detail.into() }
    }

    /// An extractor that needs the table is used without a layer.
    pub(crate) fn unknown_resources() -> Self {
        let detail = "the table's resources are only known within a ZaeLimit layer; list them with `among`";
        Self::unavailable(detail, Duration::from_secs(1))
    }

    pub(crate) fn kind(&self) -> ExtractErrorKind {
        self.kind
    }

    /// Returns the description of the problem.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for ExtractError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ExtractError {}

/// A value that violates a rule is a bad request; the message names the rule and omits the value.
impl From<ValidationError> for ExtractError {
    fn from(error: ValidationError) -> Self {
        Self::bad_request(error.to_string())
    }
}

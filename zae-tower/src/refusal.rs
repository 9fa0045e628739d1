//! The reason for a refusal, and the response that describes it: [`Refusal`].
//!
//! A refusal is decided as a value and becomes a response in the last step, so metrics, logs, custom renderings and the
//! two formats (HTTP problem details, gRPC trailers) all use the same value. Configuration errors are answered with a
//! bare 500 and described in the log: a client could do nothing with the description.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use zae_limiter::{AcquireError, LimitStatus, error::ValidationReason};

use crate::{
    extract::{ExtractError, ExtractErrorKind},
    grpc,
    headers::HeaderDialect,
    problem::{self, Problem},
};

/// The reason why the layer answered a request itself.
///
/// | | HTTP | gRPC | `Retry-After` |
/// |---|---|---|---|
/// | a limit is exceeded | 429 | `RESOURCE_EXHAUSTED` | yes |
/// | the amount is larger than the capacity | 429 | `RESOURCE_EXHAUSTED` | no: waiting does not help |
/// | the store is away, and the policy is to block | 503 | `UNAVAILABLE` | yes |
/// | an operator has disabled the resource or the entity | 403 | `PERMISSION_DENIED` | no |
/// | a value in the request cannot be used | 400 | `INVALID_ARGUMENT` | no |
/// | the request is larger than its extractors read | 413 | `INVALID_ARGUMENT` | no |
/// | the model or resource is not among those offered | 404 | `NOT_FOUND` | no |
/// | the body takes too long to arrive | 408 | `DEADLINE_EXCEEDED` | no |
/// | too many bodies are being read at once | 503 | `UNAVAILABLE` | yes |
/// | no identity, and one is required | 401 | `UNAUTHENTICATED` | no |
/// | no limits apply, or the cost names none that do | 500 | `INTERNAL` | no |
///
/// See [`Decision`](crate::Decision) for an example.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The limiter did not grant a lease.
    #[error(transparent)]
    Limiter(#[from] AcquireError),
    /// A part of the request is missing or invalid.
    #[error(transparent)]
    Request(#[from] ExtractError),
}

/// The seven kinds of answers, which are also the values of the metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// Not yet available.
    Exceeded,
    /// Can never be granted.
    NeverFits,
    /// Disabled by an operator.
    Disabled,
    /// The limiter's store, or the memory for bodies, cannot serve it now.
    Unavailable,
    /// The client's mistake.
    BadRequest,
    /// No identity.
    Unauthorized,
    /// A configuration or programming error.
    Misconfigured,
}

impl RefusalKind {
    /// Returns the label of the metric.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::NeverFits => "never_fits",
            Self::Disabled => "disabled",
            Self::Unavailable => "unavailable",
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Misconfigured => "misconfigured",
        }
    }
}

impl Refusal {
    /// Returns the time to wait before a retry makes sense; `None` when waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limiter(error) => error.retry_after(),
            Self::Request(error) => match error.kind() {
                ExtractErrorKind::Unavailable { retry_after } => Some(retry_after),
                _ => None,
            },
        }
    }

    /// Returns every limit's status if limits were the reason.
    pub fn statuses(&self) -> &[LimitStatus] {
        match self {
            Self::Limiter(AcquireError::Exceeded(exceeded)) => exceeded.statuses(),
            Self::Limiter(AcquireError::NeverFits(never)) => never.violations(),
            _ => &[],
        }
    }

    /// Maps the reason to one of the seven kinds.
    pub(crate) fn answer(&self) -> RefusalKind {
        match self {
            Self::Limiter(AcquireError::Exceeded(_)) => RefusalKind::Exceeded,
            Self::Limiter(AcquireError::NeverFits(_)) => RefusalKind::NeverFits,
            Self::Limiter(AcquireError::Disabled(_)) => RefusalKind::Disabled,
            Self::Limiter(AcquireError::Unavailable(_)) => RefusalKind::Unavailable,
            // The amount was computed from the client's input; everything else that can be invalid is the program's
            // own.
            Self::Limiter(AcquireError::Invalid(error))
                if matches!(error.reason(), ValidationReason::TooLarge { .. }) =>
            {
                RefusalKind::BadRequest
            }
            Self::Limiter(_) => RefusalKind::Misconfigured,
            Self::Request(error) => match error.kind() {
                ExtractErrorKind::BadRequest
                | ExtractErrorKind::ContentTooLarge
                | ExtractErrorKind::NotFound
                | ExtractErrorKind::TimedOut => RefusalKind::BadRequest,
                ExtractErrorKind::Unauthorized => RefusalKind::Unauthorized,
                ExtractErrorKind::Unavailable { .. } => RefusalKind::Unavailable,
            },
        }
    }

    /// Describes the reason to the client.
    pub(crate) fn problem(&self) -> Problem {
        match (self, self.answer()) {
            (Self::Limiter(AcquireError::Exceeded(exceeded)), _) => problem::quota_exceeded(exceeded),
            (Self::Limiter(AcquireError::NeverFits(never)), _) => problem::never_fits(never),
            (Self::Request(error), _) if error.kind() == ExtractErrorKind::ContentTooLarge => {
                problem::plain(StatusCode::PAYLOAD_TOO_LARGE, error.detail())
            }
            (Self::Request(error), _) if error.kind() == ExtractErrorKind::NotFound => {
                problem::plain(StatusCode::NOT_FOUND, error.detail())
            }
            (Self::Request(error), _) if error.kind() == ExtractErrorKind::TimedOut => {
                problem::plain(StatusCode::REQUEST_TIMEOUT, error.detail())
            }
            (_, RefusalKind::Disabled) => problem::disabled(),
            (_, RefusalKind::Unavailable) => problem::unavailable(self.retry_after().unwrap_or(Duration::from_secs(1))),
            (_, RefusalKind::BadRequest) => problem::bad_request("bad-request", &self.to_string()),
            (_, RefusalKind::Unauthorized) => problem::unauthorized(&self.to_string()),
            _ => problem::misconfigured(),
        }
    }

    /// Builds the response, in the format that the client expects.
    pub(crate) fn response(&self, style: RequestStyle, dialect: HeaderDialect) -> Response<Bytes> {
        let problem = self.problem();
        let mut response = Response::new(Bytes::new());
        match style {
            RequestStyle::Grpc => {
                let (status, headers) = grpc::refusal(&problem);
                *response.status_mut() = status;
                *response.headers_mut() = headers;
            }
            RequestStyle::Http => {
                *response.status_mut() = problem.status();
                *response.headers_mut() = problem.headers().clone();
                *response.body_mut() = problem.body().clone();
            }
        }
        dialect.write(response.headers_mut(), self.statuses(), self.retry_after());
        response
    }
}

/// The response format that the client expects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestStyle {
    /// Status, headers, JSON.
    Http,
    /// Trailers only.
    Grpc,
}

impl RequestStyle {
    /// Determines the format from the content type of the request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if grpc::is_grpc(headers) { Self::Grpc } else { Self::Http }
    }
}

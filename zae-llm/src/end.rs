//! The end of a response: [`End`].

/// The way in which a response ended, or its absence.
///
/// Usage before the end is final only if the end was seen:
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use zae_llm::{ApiFormat, End, Reading, Usage, UsageReader};
///
/// let mut reader = UsageReader::new(ApiFormat::Auto, StatusCode::OK, &HeaderMap::new());
/// reader.push(b"data: {\"usage\":{\"prompt_tokens\":12,\"completion_tokens\":30}}\n\n");
/// assert_eq!(reader.clone().finish(End::Complete), Reading::Final(Usage::new(12, 30)));
/// assert_eq!(reader.finish(End::Dropped), Reading::SoFar(Usage::new(12, 30)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// The body was read to its end.
    Complete,
    /// The body failed with an error.
    BodyFailed,
    /// The response or its body was dropped before its end: the client disconnected, or (as for `HEAD`) it is not read.
    Dropped,
    /// There is no response: the called service failed with an error, or was never reached.
    ServiceFailed,
}

impl End {
    /// Returns the label for metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::BodyFailed => "body_failed",
            Self::Dropped => "dropped",
            Self::ServiceFailed => "service_failed",
        }
    }
}

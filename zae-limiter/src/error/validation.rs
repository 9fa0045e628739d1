//! Input that cannot be used.
//!
//! One type for all of it: which field, and which rule of a closed list. Messages of rules are written once, for the
//! command line, problem documents and logs alike.

use std::{convert::Infallible, fmt};

/// Maximum length of the part of a bad value that an error keeps, in characters.
const KEPT_CHARS: usize = 50;

/// A value that breaks a rule; nothing was sent to the store.
///
/// The value is kept for programs ([`ValidationError::value`], cut to 50 characters) and left out of what is displayed
/// and debugged, so that a secret pasted into the wrong field does not reach a log. Only the name of a limit is
/// displayed, where the error is which of several it is.
///
/// ```
/// use zae_limiter::{EntityId, error::ValidationReason};
///
/// let error = EntityId::new("user#1").unwrap_err();
/// assert_eq!(error.field(), "entity_id");
/// assert_eq!(error.reason(), &ValidationReason::ContainsHash);
/// assert!(!error.to_string().contains("user#1")); // values stay out of logs
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ValidationError {
    /// The field's name in code.
    field: &'static str,
    /// The field's name in plain words.
    what: &'static str,
    /// The value, cut, for programs only.
    value: String,
    /// The rule that was broken.
    reason: ValidationReason,
}

impl ValidationError {
    /// Describes a value that breaks a rule.
    pub(crate) fn new(field: &'static str, value: impl AsRef<str>, reason: ValidationReason) -> Self {
        let value = value.as_ref();
        let kept = match value.char_indices().nth(KEPT_CHARS) {
            Some((end, _)) => format!("{}...", &value[..end]),
            None => value.to_owned(),
        };
        Self { field, what: field, value: kept, reason }
    }

    /// The same with another word for the field in its message.
    pub(crate) fn called(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// Returns the name of the input, for example `entity_id`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The value, cut to 50 characters.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the rule that it breaks.
    pub fn reason(&self) -> &ValidationReason {
        &self.reason
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, value, reason, .. } = self;
        match reason {
            ValidationReason::UnknownLimit { known } if value.is_empty() => {
                write!(f, "invalid {what}: none of the limits that apply counts requests ({known}); name one of them")
            }
            ValidationReason::Duplicate | ValidationReason::UnknownLimit { .. } => {
                write!(f, "invalid {what}: `{value}` {reason}")
            }
            _ => write!(f, "invalid {what}: {reason}"),
        }
    }
}

impl std::error::Error for ValidationError {}

impl fmt::Debug for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, reason, .. } = self;
        f.debug_struct("ValidationError").field("field", field).field("reason", reason).finish_non_exhaustive()
    }
}

impl From<Infallible> for ValidationError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The rule that a value breaks.
///
/// See [`ValidationError`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidationReason {
    /// Nothing was given.
    Empty,
    /// More characters than allowed.
    TooLong {
        /// The most characters allowed.
        max: usize,
    },
    /// A character that acts on a terminal instead of being shown.
    ContainsControl,
    /// `#` separates the parts of keys.
    ContainsHash,
    /// Stack names have no underscores.
    ContainsUnderscore,
    /// Stack names have no periods.
    ContainsPeriod,
    /// Stack names have no spaces.
    ContainsSpace,
    /// The name has a meaning of its own.
    Reserved,
    /// A character that is not allowed where it stands.
    Pattern {
        /// A description of what is allowed.
        allowed: &'static str,
    },
    /// Zero where at least one is needed.
    NotPositive,
    /// An amount beyond the largest that can be stored.
    TooLarge {
        /// The largest amount.
        max: u64,
    },
    /// More entries than allowed.
    TooMany {
        /// The most entries.
        max: usize,
    },
    /// The same name twice.
    Duplicate,
    /// A cost names a limit that is not among those that apply.
    UnknownLimit {
        /// The limits that apply, separated by commas.
        known: String,
    },
    /// A cost of nothing but zeros.
    NothingRequested,
    /// Anything else, in words.
    Other(String),
}

impl fmt::Display for ValidationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("must not be empty"),
            Self::TooLong { max } => write!(f, "must be at most {max} characters long"),
            Self::ContainsControl => f.write_str("must not contain control characters"),
            Self::ContainsHash => f.write_str("must not contain '#', which separates the parts of keys"),
            Self::ContainsUnderscore => f.write_str("must not contain underscores; use hyphens"),
            Self::ContainsPeriod => f.write_str("must not contain periods; use hyphens"),
            Self::ContainsSpace => f.write_str("must not contain spaces; use hyphens"),
            Self::Reserved => f.write_str("is reserved; choose another name"),
            Self::Pattern { allowed } => write!(f, "must be {allowed}"),
            Self::NotPositive => f.write_str("must be at least 1"),
            Self::TooLarge { max } => write!(f, "must be at most {max}"),
            Self::TooMany { max } => write!(f, "must be at most {max} entries"),
            Self::Duplicate => f.write_str("is given twice"),
            Self::UnknownLimit { known } => write!(f, "is not among the limits that apply ({known})"),
            Self::NothingRequested => f.write_str("asks for nothing; name at least one limit with 1 token or more"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

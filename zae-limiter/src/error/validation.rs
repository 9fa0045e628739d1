//! Errors of invalid input.
//!
//! One type covers all input: a field, and a rule from a closed list. The messages of rules are defined once, for the
//! command line, problem documents and logs alike.

use std::{convert::Infallible, fmt};

/// Maximum length of the part of an invalid value that an error keeps, in characters.
const KEPT_CHARS: usize = 50;

/// A value violates a rule; nothing was sent to the store.
///
/// The value is available to programs ([`ValidationError::value`], cut to 50 characters) and omitted from `Display` and
/// `Debug`, so that a secret pasted into the wrong field does not reach a log. The exception is a limit's name, which
/// is displayed when the error is about one of several limits.
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
    /// The truncated value, for programs only.
    value: String,
    /// The violated rule.
    reason: ValidationReason,
}

impl ValidationError {
    /// Describes a value that violates a rule.
    pub(crate) fn new(field: &'static str, value: impl AsRef<str>, reason: ValidationReason) -> Self {
        let value = value.as_ref();
        let kept = match value.char_indices().nth(KEPT_CHARS) {
            Some((end, _)) => format!("{}...", &value[..end]),
            None => value.to_owned(),
        };
        Self { field, what: field, value: kept, reason }
    }

    /// Renames the field in the message.
    pub(crate) fn called(self, what: &'static str) -> Self {
        Self { what, ..self }
    }

    /// Returns the name of the field, for example `entity_id`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the value, cut to 50 characters.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Returns the violated rule.
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

/// The rule that a value violates.
///
/// See [`ValidationError`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidationReason {
    /// The value is empty.
    Empty,
    /// The value is too long.
    TooLong {
        /// Maximum number of characters.
        max: usize,
    },
    /// A character that controls a terminal instead of being displayed.
    ContainsControl,
    /// `#` separates the parts of keys.
    ContainsHash,
    /// Stack names have no underscores.
    ContainsUnderscore,
    /// Stack names have no periods.
    ContainsPeriod,
    /// Stack names have no spaces.
    ContainsSpace,
    /// The name is reserved.
    Reserved,
    /// A character that is not allowed at its position.
    Pattern {
        /// A description of what is allowed.
        allowed: &'static str,
    },
    /// Zero, but at least one is required.
    NotPositive,
    /// The amount exceeds the largest that can be stored.
    TooLarge {
        /// Maximum amount.
        max: u64,
    },
    /// Too many entries.
    TooMany {
        /// Maximum number of entries.
        max: usize,
    },
    /// The same name occurs twice.
    Duplicate,
    /// A cost names a limit that is not among those that apply.
    UnknownLimit {
        /// The limits that apply, separated by commas.
        known: String,
    },
    /// All amounts of a cost are zero.
    NothingRequested,
    /// Any other rule, in words.
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

//! Validated names and ids, which can become part of a key.
//!
//! Keys join parts with `#`, as in `{namespace}/ENTITY#{id}`. A part that contained one could address another item, so
//! no name may contain it, and each kind allows only the characters that the Python package allows. A macro gives all
//! of them the same conversions; only the check differs.
//!
//! Names are `Arc<str>`: an entity's id is copied into each status, error and lease, and a copy only increments a
//! reference count.
//!
//! - `scope` selects one of an entity's limit sets.
//! - `from_model` derives a resource name from any model's name.

mod from_model;
mod scope;

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

pub use scope::LimitScope;

use crate::error::{ValidationError, ValidationReason};

/// Maximum length of an entity id or a principal, in characters.
pub const MAX_IDENTIFIER_LEN: usize = 256;
/// Maximum length of a limit or resource name, in characters.
pub const MAX_NAME_LEN: usize = 64;
/// Maximum length of a stack name, in characters.
pub const MAX_STACK_NAME_LEN: usize = 55;
/// The reserved limit that the Python package keeps on every bucket for DynamoDB write units.
pub(crate) const WCU: &str = "wcu";
/// The namespace id of the registry and the version record.
pub(crate) const RESERVED_NAMESPACE: &str = "_";

/// Checks the rules that all names share: not empty, not too long, no `#`.
fn check_common(field: &'static str, value: &str, max: usize) -> Result<(), ValidationError> {
    let reason = if value.is_empty() {
        ValidationReason::Empty
    } else if value.len() > max && value.chars().count() > max {
        ValidationReason::TooLong { max }
    } else if value.contains('#') {
        ValidationReason::ContainsHash
    } else {
        return Ok(());
    };
    Err(ValidationError::new(field, value, reason))
}

/// Checks the first byte and the rest by two predicates.
fn check_pattern(
    field: &'static str,
    value: &str,
    first: impl Fn(u8) -> bool,
    rest: impl Fn(u8) -> bool,
    allowed: &'static str,
) -> Result<(), ValidationError> {
    // All allowed characters are ASCII.
    let mut bytes = value.bytes();
    if bytes.next().is_some_and(first) && bytes.all(rest) {
        return Ok(());
    }
    Err(ValidationError::new(field, value, ValidationReason::Pattern { allowed }))
}

/// Checks a free-text name: no control characters, which a terminal would interpret.
pub(crate) fn check_visible(field: &'static str, value: &str) -> Result<(), ValidationError> {
    if value.contains(char::is_control) {
        return Err(ValidationError::new(field, value, ValidationReason::ContainsControl));
    }
    Ok(())
}

/// Checks an entity id, parent id or principal: 1 to 256 characters, a letter or digit first, then letters, digits
/// and `_ . : @ -`.
///
/// # Errors
/// [`ValidationError`] naming `field` and the first violated rule.
pub fn validate_identifier(field: &'static str, value: &str) -> Result<(), ValidationError> {
    check_common(field, value, MAX_IDENTIFIER_LEN)?;
    check_pattern(
        field,
        value,
        |c| c.is_ascii_alphanumeric(),
        |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b':' | b'@' | b'-'),
        "a letter or digit first, then letters, digits and _ . : @ -",
    )
}

/// Checks a limit name: 1 to 64 characters, a letter first, then letters, digits and `_ . -`; `wcu` is reserved.
///
/// # Errors
/// [`ValidationError`] naming `field` and the first violated rule.
pub fn validate_limit_name(field: &'static str, value: &str) -> Result<(), ValidationError> {
    check_common(field, value, MAX_NAME_LEN)?;
    if value == WCU {
        return Err(ValidationError::new(field, value, ValidationReason::Reserved));
    }
    check_pattern(
        field,
        value,
        |c| c.is_ascii_alphabetic(),
        |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-'),
        "a letter first, then letters, digits and _ . -",
    )
}

/// Checks a resource name: 1 to 64 characters, a letter first, then letters, digits and `_ . / : -`.
///
/// # Errors
/// [`ValidationError`] naming `field` and the first violated rule.
pub fn validate_resource_name(field: &'static str, value: &str) -> Result<(), ValidationError> {
    check_common(field, value, MAX_NAME_LEN)?;
    check_pattern(
        field,
        value,
        |c| c.is_ascii_alphabetic(),
        |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'/' | b':' | b'-'),
        "a letter first, then letters, digits and _ . / : -",
    )
}

/// Checks a stack (and so table) name: 1 to 55 characters, a letter first, then letters, digits and hyphens.
///
/// # Errors
/// [`ValidationError`] on field `name`; underscores, periods and spaces have their own reasons.
pub fn validate_stack_name(value: &str) -> Result<(), ValidationError> {
    let fail = |reason| Err(ValidationError::new("name", value, reason));
    if value.is_empty() {
        return fail(ValidationReason::Empty);
    }
    for (character, reason) in [
        ('_', ValidationReason::ContainsUnderscore),
        ('.', ValidationReason::ContainsPeriod),
        (' ', ValidationReason::ContainsSpace),
    ] {
        if value.contains(character) {
            return fail(reason);
        }
    }
    check_pattern(
        "name",
        value,
        |c| c.is_ascii_alphabetic(),
        |c| c.is_ascii_alphanumeric() || c == b'-',
        "a letter first, then letters, digits and hyphens",
    )?;
    if value.len() > MAX_STACK_NAME_LEN {
        return fail(ValidationReason::TooLong { max: MAX_STACK_NAME_LEN });
    }
    Ok(())
}

/// An argument for a name or an id: the value itself, a reference to it, or its text, which is then validated.
///
/// It is implemented for everything that converts, so there is no need to implement it: see the [`TryFrom`]
/// implementations of the target type.
///
/// ```
/// use zae_limiter::{EntityId, IntoName};
/// let id = EntityId::new("user-1")?;
/// assert_eq!(IntoName::<EntityId>::into_name("user-1")?, id);
/// assert_eq!(IntoName::<EntityId>::into_name(&id)?, id);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
pub trait IntoName<T>: Send {
    /// Converts the argument.
    ///
    /// # Errors
    /// [`ValidationError`] with the rule that the text violates.
    fn into_name(self) -> Result<T, ValidationError>;
}

impl<T, V: TryInto<T, Error: Into<ValidationError>> + Send> IntoName<T> for V {
    fn into_name(self) -> Result<T, ValidationError> {
        self.try_into().map_err(Into::into)
    }
}

macro_rules! validated_name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Validates `value`.
            ///
            /// # Errors
            /// [`ValidationError`] with the rule that the value violates.
            pub fn new(value: impl AsRef<str>) -> Result<Self, ValidationError> {
                let value = value.as_ref();
                let check: fn(&str) -> Result<(), ValidationError> = $check;
                check(value)?;
                Ok(Self(value.into()))
            }

            /// Returns the name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ValidationError;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Self::new(value)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = ValidationError;
            fn try_from(value: &str) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ValidationError;
            fn try_from(value: String) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl TryFrom<&String> for $name {
            type Error = ValidationError;
            fn try_from(value: &String) -> Result<Self, Self::Error> {
                Self::new(value)
            }
        }

        impl From<&$name> for $name {
            fn from(value: &$name) -> Self {
                value.clone()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.as_ref().to_owned()
            }
        }
    };
}

validated_name! {
    /// The entity to limit: a user, an API key, a project. 1 to 256 characters; a letter or digit first, then letters,
    /// digits and `_ . : @ -`.
    ///
    /// ```
    /// use zae_limiter::EntityId;
    /// assert!(EntityId::new("user@example.com").is_ok());
    /// assert!(EntityId::new("a#b").is_err());
    /// ```
    EntityId, |v| validate_identifier("entity_id", v)
}

validated_name! {
    /// The author of a change, as the audit trail records it: an identifier or an AWS ARN.
    ///
    /// ```
    /// use zae_limiter::Principal;
    /// assert!(Principal::new("ops@example.com").is_ok());
    /// assert!(Principal::new("arn:aws:iam::123456789012:user/x").is_ok());
    /// ```
    Principal, |v| match v.starts_with("arn:") {
        true => check_visible("principal", v),
        false => validate_identifier("principal", v),
    }
}

validated_name! {
    /// The name of one limit, such as `rpm`. 1 to 64 characters; a letter first, then letters, digits and `_ . -`.
    ///
    /// ```
    /// use zae_limiter::LimitName;
    /// assert!(LimitName::new("tpm").is_ok());
    /// assert!(LimitName::new("wcu").is_err(), "reserved");
    /// ```
    LimitName, |v| validate_limit_name("name", v)
}

validated_name! {
    /// The resource to limit: a model, a route, an API. 1 to 64 characters; a letter first, then letters, digits and
    /// `_ . / : -`.
    ///
    /// ```
    /// use zae_limiter::ResourceName;
    /// assert!(ResourceName::new("openai/gpt-4").is_ok());
    /// assert!(ResourceName::new("_default_").is_err());
    /// ```
    ResourceName, |v| validate_resource_name("resource", v)
}

validated_name! {
    /// The name of a stack and of its table. 1 to 55 characters; a letter first, then letters, digits and hyphens.
    ///
    /// ```
    /// use zae_limiter::StackName;
    /// assert!(StackName::new("limiter").is_ok());
    /// assert!(StackName::new("rate_limits").is_err());
    /// ```
    StackName, |v| validate_stack_name(v).map_err(|error| error.called("stack name"))
}

validated_name! {
    /// The human name of a namespace. Anything but the empty string and the reserved `_`.
    ///
    /// ```
    /// use zae_limiter::NamespaceName;
    /// assert!(NamespaceName::new("tenant-alpha").is_ok());
    /// assert!(NamespaceName::new("_").is_err());
    /// ```
    NamespaceName, |v| match v {
        "" => Err(ValidationError::new("namespace", v, ValidationReason::Empty)),
        RESERVED_NAMESPACE => Err(ValidationError::new("namespace", v, ValidationReason::Reserved)),
        _ if v.chars().count() > MAX_IDENTIFIER_LEN => {
            Err(ValidationError::new("namespace", v, ValidationReason::TooLong { max: MAX_IDENTIFIER_LEN }))
        }
        _ => Ok(()),
    }
}

validated_name! {
    /// The opaque id of a namespace, the first part of every key: 11 characters of URL-safe base64 when generated.
    ///
    /// ```
    /// use zae_limiter::NamespaceId;
    /// assert!(NamespaceId::new("hdvwQXnpESw").is_ok());
    /// assert!(NamespaceId::new("a/b").is_err());
    /// ```
    NamespaceId, |v| match v {
        "" => Err(ValidationError::new("namespace_id", v, ValidationReason::Empty)),
        RESERVED_NAMESPACE => Err(ValidationError::new("namespace_id", v, ValidationReason::Reserved)),
        _ => check_pattern(
            "namespace_id",
            v,
            |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'),
            |c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'),
            "letters, digits, _ and -",
        ),
    }
}

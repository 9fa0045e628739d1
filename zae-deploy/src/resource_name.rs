//! Names of resources as typed by users: resource names, or providers' names of models.

use zae_limiter::{LimitScope, ResourceName, ValidationError};

/// Converts `text` to a resource. A text that is not a valid name is mapped by [`ResourceName::from_model`] as a model,
/// unless it contains white space, control characters or a `#`: then it is more likely a mistake.
///
/// # Errors
/// [`ValidationError`] of the name.
pub(crate) fn named(text: &str) -> Result<ResourceName, ValidationError> {
    let is_model = |character: char| !character.is_whitespace() && !character.is_control() && character != '#';
    match ResourceName::new(text) {
        Err(_) if !text.is_empty() && text.chars().all(is_model) => Ok(ResourceName::from_model(text)),
        named => named,
    }
}

/// Like [`named`], or the scope of everything else.
///
/// # Errors
/// [`ValidationError`] of the name.
pub(crate) fn scope(text: &str) -> Result<LimitScope, ValidationError> {
    if text == LimitScope::DEFAULT { Ok(LimitScope::Default) } else { named(text).map(LimitScope::Resource) }
}

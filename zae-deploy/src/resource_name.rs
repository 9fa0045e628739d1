//! Names of resources as people write them: names, or what providers call a model.

use zae_limiter::{LimitScope, ResourceName, ValidationError};

/// The resource `text`. One that is no valid name stands for a model, as [`ResourceName::from_model`] maps it, unless
/// it has white space, control characters or a `#`: then it is more likely a mistake.
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

/// As [`named`], or the scope of everything else.
///
/// # Errors
/// [`ValidationError`] of the name.
pub(crate) fn scope(text: &str) -> Result<LimitScope, ValidationError> {
    if text == LimitScope::DEFAULT { Ok(LimitScope::Default) } else { named(text).map(LimitScope::Resource) }
}

//! Resources on the command line.

use zae_limiter::{LimitScope, ResourceName};

use super::{CliError, output::Output};
use crate::resource_name;

/// Parses the resource named by `text`; prints a note if its name differs.
pub(super) fn resource(text: &str, out: &Output) -> Result<ResourceName, CliError> {
    let resource = resource_name::named(text)?;
    say(text, resource.as_str(), out);
    Ok(resource)
}

/// Like [`resource`], or `_default_`.
pub(super) fn scope(text: &str, out: &Output) -> Result<LimitScope, CliError> {
    let scope = resource_name::scope(text)?;
    say(text, scope.as_str(), out);
    Ok(scope)
}

fn say(text: &str, name: &str, out: &Output) {
    if text != name {
        out.progress(&format!("The model '{text}' is the resource '{name}'."));
    }
}

//! Incomplete parts of a stack that a deployment alone does not complete, each with the command that does.

use serde::Serialize;
use zae_limiter::{RepositoryError, name::DEFAULT_NAMESPACE, namespace::Registry, version::VersionRecord};

use crate::{
    cli::Context,
    stack::{DeployedFunction, Runs},
};

/// A missing part.
#[derive(Debug, Serialize)]
pub(super) struct Lack {
    pub(super) what: String,
    pub(super) next: String,
}

/// The table's records that determine who may use it.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) version: Option<VersionRecord>,
    default_is_missing: bool,
}

impl Records {
    /// Reads them; a deleted namespace does not count as missing.
    pub(super) async fn read(registry: &Registry) -> Result<Self, RepositoryError> {
        let version = registry.version_record().await?;
        let named = registry.namespaces().await?;
        let mut known = named.iter().map(|info| &info.name);
        let default_is_missing = !known.any(|name| name.as_str() == DEFAULT_NAMESPACE)
            && !registry.orphan_namespaces().await?.iter().any(|info| info.name.as_str() == DEFAULT_NAMESPACE);
        Ok(Self { version, default_is_missing })
    }

    /// Finds a missing record.
    pub(super) fn lack(&self, cx: &Context) -> Option<Lack> {
        let what = match (self.default_is_missing, &self.version) {
            (true, None) => "The namespace 'default' and the version record are missing",
            (true, Some(_)) => "The namespace 'default' is missing",
            (false, None) => "The version record is missing",
            (false, Some(_)) => return None,
        };
        let next = format!("{} creates what is missing", cx.command("namespace register default"));
        Some(Lack { what: what.to_owned(), next })
    }
}

/// Finds a missing or incomplete function.
pub(super) fn function(cx: &Context, function: &DeployedFunction) -> Option<Lack> {
    let name = &function.name;
    let (what, next) = match function.runs {
        Runs::Placeholder => (
            format!("{name} is a placeholder that fails"),
            format!(
                "{} uploads its code; for a template of your own, {} and `aws lambda update-function-code`",
                cx.command("upgrade"),
                "`zae-deploy lambda-export`"
            ),
        ),
        Runs::Missing => (format!("{name} was deleted"), format!("{} brings it back", cx.command("deploy"))),
        _ => return None,
    };
    Some(Lack { what, next })
}

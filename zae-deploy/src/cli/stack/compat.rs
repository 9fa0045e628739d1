//! Checks the compatibility of this tool and a table.

use serde::Serialize;
use zae_limiter::version::{COMPATIBILITY_LEVEL, Compatibility, SCHEMA_VERSION, VersionRecord};

use crate::cli::{CliError, Context, error::Doing};

/// The versions of this tool and of a table's record.
#[derive(Serialize)]
pub(super) struct Versions {
    pub(super) client: &'static str,
    pub(super) level: &'static str,
    pub(super) schema: &'static str,
    pub(super) record: Option<VersionRecord>,
    pub(super) result: Fit,
}

/// The result of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fit", content = "because")]
pub(super) enum Fit {
    NotInitialized,
    Compatible,
    UpdateAvailable(String),
    Incompatible(String),
}

impl Versions {
    /// Reads the stack's record.
    pub(super) async fn read(cx: &Context, doing: &str) -> Result<Self, CliError> {
        let record = cx.registry().await?.version_record().await.doing(doing)?;
        let level = COMPATIBILITY_LEVEL.parse()?;
        let result = record.as_ref().map_or(Fit::NotInitialized, |record| match record.compatibility(&level) {
            Compatibility::Compatible => Fit::Compatible,
            Compatibility::LambdaOutdated => {
                let lambda = record.lambda_version.as_deref().unwrap_or("unknown");
                Fit::UpdateAvailable(format!("Lambda update available: {lambda} -> {COMPATIBILITY_LEVEL}"))
            }
            Compatibility::ClientTooOld { minimum } => Fit::Incompatible(format!(
                "The table asks for clients of level {minimum} or newer, and this is {COMPATIBILITY_LEVEL}. Please \
                 upgrade \
                 this tool."
            )),
            Compatibility::IncompatibleSchema { schema } => Fit::Incompatible(format!(
                "The table has schema {schema}, and this tool uses {SCHEMA_VERSION}. Schema migration required."
            )),
            _ => Fit::Incompatible(
                "The table asks for what this tool does not know. Please upgrade this \
                tool."
                    .to_owned(),
            ),
        });
        Ok(Self {
            client: env!("CARGO_PKG_VERSION"),
            level: COMPATIBILITY_LEVEL,
            schema: SCHEMA_VERSION,
            record,
            result,
        })
    }

    pub(super) fn lambda(&self) -> &str {
        self.record.as_ref().and_then(|record| record.lambda_version.as_deref()).unwrap_or("unknown")
    }
}

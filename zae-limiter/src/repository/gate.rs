//! Features that older aggregators and clients would corrupt or ignore: they are stored only where the table's version
//! record says that the deployed functions know them, and then raise the minimum for clients.
//!
//! The gate comes before every other write of the change, so a change that fails afterwards leaves the minimum raised.
//! It is never lowered.

use std::sync::atomic::Ordering;

use super::Repository;
use crate::{
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::version::{COMPATIBILITY_LEVEL, Version, VersionRecord},
    store::{ConditionalWrite, Store},
    wire::version,
};

/// Number of tries to raise the minimum when others change the record.
const TRIES: u32 = 3;

/// A feature with a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gated {
    /// Limits that never refuse.
    SoftLimits,
    /// Decisions on who charges the parent.
    CascadePolicies,
    /// Entities that get another parent.
    Moves,
    /// Everything let through.
    Bypasses,
    /// Quotas whose ceiling is raised for a period.
    TopUps,
    /// Quotas that are restored by the first use after a window.
    SessionQuotas,
}

impl Gated {
    /// Returns the name of the feature, and the level that it came with.
    fn describe(self) -> (&'static str, &'static str) {
        match self {
            Self::SoftLimits => ("soft limits", "0.17.0"),
            Self::CascadePolicies => ("cascade policies", "0.16.0"),
            Self::Moves => ("moves of entities", "0.17.0"),
            Self::Bypasses => ("bypasses", "0.17.0"),
            Self::TopUps => ("top-ups of quotas", "0.17.0"),
            Self::SessionQuotas => ("session quotas", "0.15.0"),
        }
    }
}

impl Repository {
    /// Checks that the deployed functions know `feature`, and sees to it that clients which do not are turned away.
    pub(super) async fn pass_gate(&self, feature: Gated) -> Result<(), RepositoryError> {
        self.store().pass_gate(feature).await
    }

    /// Checks that the deployed functions know session quotas, for an acquire that brings one itself. Nothing is stored
    /// for other clients, so their minimum stays.
    ///
    /// Reads the version record until it says so once: functions are not replaced by older ones.
    pub(crate) async fn check_session_quotas(&self) -> Result<(), RepositoryError> {
        let known = &self.resolutions().knows_sessions;
        if known.load(Ordering::Relaxed) {
            return Ok(());
        }
        let (_, since) = Gated::SessionQuotas.describe();
        let record = self.store().version_record().await?;
        knows(Gated::SessionQuotas, record.as_ref(), &since.parse()?)?;
        known.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Store {
    /// Checks the functions' level, and raises the minimum for clients under the condition that it is the one that was
    /// read.
    async fn pass_gate(&self, feature: Gated) -> Result<(), RepositoryError> {
        let (_, since) = feature.describe();
        let (threshold, own): (Version, Version) = (since.parse()?, COMPATIBILITY_LEVEL.parse()?);
        for _ in 0..TRIES {
            let record = self.version_record().await?;
            let record = knows(feature, record.as_ref(), &threshold)?;
            let seen = record.client_min_version.as_deref();
            let Some(target) = raised(seen, &own, &threshold) else { return Ok(()) };
            let raise = version::raise_minimum(&target.to_string(), seen);
            if self.update(&version::key(), raise).await? == ConditionalWrite::Done {
                return Ok(());
            }
        }
        let source = "others keep changing the version record; try again";
        Err(StoreError::new("UpdateItem", StoreErrorKind::NotApplied, source).into())
    }
}

/// Returns the minimum for clients of `own` level that replaces `stored`, for a feature that came with `threshold`;
/// `None` where it is high enough.
fn raised(stored: Option<&str>, own: &Version, threshold: &Version) -> Option<Version> {
    let target = own.min(threshold);
    let minimum: Option<Version> = stored.and_then(|text| text.parse().ok());
    minimum.is_none_or(|minimum| minimum < *target).then(|| target.clone())
}

/// Returns the record if the functions that it speaks of know `feature`, which came with `threshold`.
fn knows<'a>(
    feature: Gated,
    record: Option<&'a VersionRecord>,
    threshold: &Version,
) -> Result<&'a VersionRecord, RepositoryError> {
    let (name, since) = feature.describe();
    let refuse = |functions: Option<String>| RepositoryError::FunctionsTooOld {
        feature: name.to_owned(),
        needs: since.to_owned(),
        functions,
    };
    let record = record.ok_or_else(|| refuse(None))?;
    let functions = record.lambda_version.as_deref().ok_or_else(|| refuse(None))?;
    let level = functions.parse::<Version>().ok().filter(|level| level.has_release_of(threshold));
    level.map(|_| record).ok_or_else(|| refuse(Some(functions.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of a function whose own version can be read: ours always can.
    fn vectors(function: &str) -> Vec<serde_json::Value> {
        let all: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/ttl-versions.json")).unwrap();
        let is_meant = |vector: &&serde_json::Value| vector["fn"] == function && vector["input"]["own"] != "x";
        all["vectors"].as_array().unwrap().iter().filter(is_meant).cloned().collect()
    }

    #[test]
    fn features_may_be_stored_and_minimums_are_raised_as_in_the_reference() {
        let (stored, raises) = (vectors("feature_may_be_stored"), vectors("raised_minimum"));
        assert_eq!((stored.len(), raises.len()), (30, 48));
        let version = |value: &serde_json::Value| value.as_str().unwrap().parse::<Version>().unwrap();
        for vector in stored {
            let input = &vector["input"];
            let functions = input["lambda_version"].as_str().map(str::to_owned);
            let record = VersionRecord { lambda_version: functions, ..VersionRecord::default() };
            let found = knows(Gated::SoftLimits, Some(&record), &version(&input["minimum"])).is_ok();
            assert_eq!(vector["expected"], found, "{input}");
        }
        for vector in raises {
            let input = &vector["input"];
            let found = raised(input["stored"].as_str(), &version(&input["own"]), &version(&input["minimum"]));
            assert_eq!(found, vector["expected"].as_str().map(|text| text.parse().unwrap()), "{input}");
        }
    }

    #[test]
    fn only_functions_of_the_level_or_newer_know_a_feature() {
        let threshold = "0.17.0".parse().unwrap();
        let record = |lambda: Option<&str>| VersionRecord {
            lambda_version: lambda.map(str::to_owned),
            ..VersionRecord::default()
        };
        for (lambda, known) in [
            (Some("0.17.0"), true),
            (Some("0.17.0-rc1"), true),
            (Some("0.18.3"), true),
            (Some("0.16.9"), false),
            (Some("newest"), false),
            (None, false),
        ] {
            let record = record(lambda);
            assert_eq!(knows(Gated::SoftLimits, Some(&record), &threshold).is_ok(), known, "{lambda:?}");
        }
        let error = knows(Gated::SoftLimits, None, &threshold).unwrap_err().to_string();
        assert!(error.contains("soft limits") && error.contains("0.17.0"), "{error}");
    }
}

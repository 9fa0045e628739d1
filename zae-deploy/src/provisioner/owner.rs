//! The owner of managed limits: a custom resource only removes its own declarations, and restores those that it
//! replaced.
//!
//! CloudFormation deletes a resource in three situations, which its event does not distinguish: the resource was
//! removed from its template, it was replaced (renamed, or moved to another namespace), or the operation that created
//! it is rolled back. The record of managed limits therefore contains the owner of the current manifest, and the claim
//! that this owner replaced, until that one is released or can no longer be restored.

use serde_json::Value;
use zae_limiter::provision::{ManifestClaim, ProvisionerState};

use super::{Applied, ProvisionError, Provisioner};
use crate::manifest::Manifest;

/// Maximum length of a manifest that is kept, in bytes of JSON: two of them and all names fit into an item.
const LONGEST_KEPT: usize = 100_000;

/// The owner of manifests that the command line applies.
const COMMAND: &str = "command";

/// The owner for whom manifests are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Owner {
    /// The command line and programs.
    #[default]
    Command,
    /// A custom resource that may have replaced another one.
    Resource(String),
    /// A custom resource whose earlier operations are over: claims that it replaced cannot be restored.
    SettledResource(String),
}

/// The claims in a record after an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) claim: Option<ManifestClaim>,
    pub(super) replaced: Option<ManifestClaim>,
}

impl Claims {
    pub(super) fn of(state: &ProvisionerState) -> Self {
        Self { claim: state.claim.clone(), replaced: state.replaced.clone() }
    }
}

impl Owner {
    /// Returns the name of a custom resource: the stack and the name in its template.
    pub(super) fn name(event: &Value) -> Option<String> {
        let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        Some(format!("{} {}", text("StackId")?, text("LogicalResourceId")?))
    }

    /// Returns the claims after `manifest`, which has `hash`, is applied over `seen`. A command that applies the
    /// current manifest does not take over ownership.
    pub(super) fn claims(&self, seen: &ProvisionerState, manifest: &Manifest, hash: &str) -> Claims {
        let claim = |owner: &str| {
            let text = Some(manifest.to_json().to_string()).filter(|text| text.len() <= LONGEST_KEPT);
            Some(ManifestClaim { owner: Some(owner.to_owned()), manifest: text })
        };
        match self {
            Self::Command if seen.applied_hash.as_deref() == Some(hash) => Claims::of(seen),
            Self::Command => Claims { claim: claim(COMMAND), replaced: None },
            Self::SettledResource(name) if is_owned_by(seen, name) => Claims { claim: claim(name), replaced: None },
            Self::Resource(name) if is_owned_by(seen, name) => {
                Claims { claim: claim(name), replaced: seen.replaced.clone() }
            }
            Self::Resource(name) | Self::SettledResource(name) => {
                let replaced = seen.claim.clone().or_else(|| manages(seen).then(ManifestClaim::default));
                Claims { claim: claim(name), replaced }
            }
        }
    }
}

fn is_owned_by(state: &ProvisionerState, name: &str) -> bool {
    state.claim.as_ref().is_some_and(|claim| claim.owner.as_deref() == Some(name))
}

fn manages(state: &ProvisionerState) -> bool {
    state.managed_system || !state.managed_resources.is_empty() || !state.managed_entities.is_empty()
}

/// The meaning of a record without an owner for a resource that is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unowned {
    /// It belongs to the resource: another tool, which stores no owners, created it.
    Own,
    /// It belongs to another owner.
    Foreign,
}

impl Provisioner {
    /// Ends the management by the resource `name`: removes its declarations, or restores those it replaced. If the
    /// resource is not the owner, limits are unchanged.
    pub(super) async fn release(&self, name: Option<&str>, unowned: Unowned) -> Result<Applied, ProvisionError> {
        let seen = self.repository.provisioner_state().await?;
        let own = match &seen.claim {
            None => unowned == Unowned::Own,
            Some(_) => name.is_some_and(|name| is_owned_by(&seen, name)),
        };
        if !own {
            return self.forget(&seen, name).await;
        }
        let Some(previous) = seen.replaced.clone() else {
            let manifest = Manifest::default();
            let comparison = self.compare(&manifest, &seen).await?;
            return self.apply_over(&seen, &manifest, comparison, Claims::of(&seen), Claims::default()).await;
        };
        let manifest = previous.manifest.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        let manifest = manifest.and_then(|value| Manifest::from_json(&value).ok());
        let claim = previous.owner.is_some().then_some(previous);
        if let Some(manifest) = manifest {
            let restored = Claims { claim, replaced: None };
            let comparison = self.compare(&manifest, &seen).await?;
            return self.apply_over(&seen, &manifest, comparison, Claims::of(&seen), restored).await;
        }
        // Its declarations are unknown, but all of them are still managed.
        self.record(&seen, ProvisionerState { claim, replaced: None, ..seen.clone() }).await?;
        Ok(Applied::default())
    }

    /// Forgets a replaced claim whose owner is released, because it will not be restored.
    async fn forget(&self, seen: &ProvisionerState, name: Option<&str>) -> Result<Applied, ProvisionError> {
        let released = |claim: &ManifestClaim| claim.owner.is_none() || claim.owner.as_deref() == name;
        if seen.replaced.as_ref().is_some_and(released) {
            self.record(seen, ProvisionerState { replaced: None, ..seen.clone() }).await?;
        }
        Ok(Applied::default())
    }

    async fn record(&self, seen: &ProvisionerState, state: ProvisionerState) -> Result<(), ProvisionError> {
        match self.repository.swap_provisioner_state(seen, &state).await? {
            true => Ok(()),
            false => Err(ProvisionError::Busy(self.repository.namespace_name().to_string())),
        }
    }
}

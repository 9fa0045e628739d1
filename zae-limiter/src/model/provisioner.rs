//! The state of declarative configuration: [`ProvisionerState`].
//!
//! The record is replaced only if it still is the one that was seen, so that two tools that apply manifests at once
//! notice each other. A [`ManifestClaim`] names the owner, because removing a manifest must not remove what another
//! owner's manifest declares by now.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of the last applied manifest of a namespace, so that the next one can tell what it no longer names.
///
/// Names are kept as text, as they are stored: other writers do not check them, and what they wrote must still be found
/// to be removed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, provision::ProvisionerState};
///
/// let repository = Repository::embedded().await?;
/// let before = repository.provisioner_state().await?;
/// let after = ProvisionerState { applied_hash: Some("3f2a".to_owned()), ..before.clone() };
/// assert!(repository.swap_provisioner_state(&before, &after).await?);
/// assert!(!repository.swap_provisioner_state(&before, &after).await?); // somebody else was faster
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProvisionerState {
    /// True if the system's defaults are managed.
    pub managed_system: bool,
    /// The resources whose defaults are managed.
    pub managed_resources: Vec<String>,
    /// The entities whose limits are managed, each with its resources (`_default_` included).
    pub managed_entities: BTreeMap<String, Vec<String>>,
    /// When a manifest was last applied, RFC 3339.
    pub last_applied: Option<String>,
    /// The hash of that manifest.
    pub applied_hash: Option<String>,
    /// The manifest in force and its owner; `None` where another tool applied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ManifestClaim>,
    /// The claim that the one in force replaced, until its owner has released it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ManifestClaim>,
}

/// A manifest that was applied, and its owner: the only one whose removal removes what it declared.
///
/// ```
/// use zae_limiter::provision::{ManifestClaim, ProvisionerState};
///
/// fn is_owned_by(state: &ProvisionerState, owner: &str) -> bool {
///     matches!(&state.claim, Some(ManifestClaim { owner: Some(name), .. }) if name == owner)
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ManifestClaim {
    /// The owner's name for itself; `None` where another tool applied the manifest.
    pub owner: Option<String>,
    /// The manifest as JSON; `None` where it was too long to be kept.
    pub manifest: Option<String>,
}

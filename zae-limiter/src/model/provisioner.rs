//! The state of declarative configuration: [`ProvisionerState`].
//!
//! The record is replaced only if it has not changed since it was read, so that two tools that apply manifests
//! concurrently notice each other. A [`ManifestClaim`] names the owner, because removing a manifest must not remove
//! resources that another owner's manifest declares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of a namespace's last applied manifest, from which the next one determines what it no longer declares.
///
/// Names are kept as text, as stored: other writers do not validate them, and their entries must still be found in
/// order to be removed.
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
    /// Time of the last application of a manifest, RFC 3339.
    pub last_applied: Option<String>,
    /// The hash of that manifest.
    pub applied_hash: Option<String>,
    /// The manifest in effect and its owner; `None` if another tool applied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<ManifestClaim>,
    /// The claim replaced by the current one, until its owner has released it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ManifestClaim>,
}

/// An applied manifest and its owner, the only one whose removal removes what it declares.
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
    /// The owner's name for itself; `None` if another tool applied the manifest.
    pub owner: Option<String>,
    /// The manifest as JSON; `None` if it was too long to be kept.
    pub manifest: Option<String>,
}

//! Limits as code: the manifest that `limits plan` and `limits apply` read.
//!
//! One YAML file declares all limits of one namespace. Only `capacity` is required of a limit; `refill_amount` is then
//! the same, and `refill_period` 60 seconds.
//!
//! ```
//! use zae_deploy::manifest::Manifest;
//! let manifest = Manifest::from_yaml("
//! namespace: default
//! system:
//!   on_unavailable: block
//!   limits:
//!     rpm: { capacity: 1000 }
//! resources:
//!   gpt-4:
//!     limits:
//!       tpm: { capacity: 50000, refill_amount: 10000, refill_period: 12 }
//! ")?;
//! assert_eq!(manifest.resources.len(), 1);
//! # Ok::<(), zae_deploy::manifest::ManifestError>(())
//! ```

mod limit;
mod node;
mod normal;
mod problem;
mod read;
mod section;
mod template;

use std::collections::BTreeMap;

use zae_limiter::{
    EntityId, LimitScope, Limits, NamespaceName, ResourceName, StoredPolicy,
    access::{Access, Cascade},
    provision::ProvisionerState,
};

pub use problem::{ManifestError, Place, Problem};
pub use template::template;

use node::Node;
use read::Spelling;

/// The JSON Schema (draft 2020-12) of the manifest, for editors.
pub const SCHEMA: &str = include_str!("limits.schema.json");

/// The declarations for one namespace. Everything in it is valid.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// The namespace of these limits, where the document names it.
    pub namespace: Option<NamespaceName>,
    /// The section that holds for everything without limits of its own; `None` leaves it alone.
    pub system: Option<SystemSection>,
    /// Defaults by resource.
    pub resources: BTreeMap<ResourceName, Section>,
    /// Limits by entity and resource.
    pub entities: BTreeMap<EntityId, BTreeMap<LimitScope, Section>>,
}

/// The declarations for a resource, or for an entity on a resource.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// The limits; `None` where only something else is declared.
    pub limits: Option<Limits>,
    /// The switch (`disabled`); `None` leaves alone what operators have set.
    pub access: Option<Access>,
    /// The policy on charging the parent (`cascade`); `None` leaves alone what operators have set.
    pub cascade: Option<Cascade>,
}

/// The namespace's own level.
///
/// See the [module](crate::manifest) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SystemSection {
    /// The behaviour of acquires while the table cannot be reached.
    pub on_unavailable: Option<StoredPolicy>,
    /// The limits.
    pub limits: Option<Limits>,
}

impl Manifest {
    /// Reads YAML or JSON text.
    ///
    /// # Errors
    /// All that is wrong with it, with line and column. Unknown keys are refused: a misspelled limit would otherwise be
    /// one that nobody enforces.
    pub fn from_yaml(text: &str) -> Result<Self, ManifestError> {
        read::read(&Node::from_yaml(text)?, Spelling::Snake)
    }

    /// Reads a document that was parsed already, as it travels to the provisioner.
    ///
    /// # Errors
    /// As [`Manifest::from_yaml`], without places.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, ManifestError> {
        read::read(&Node::from_json(value), Spelling::Snake)
    }

    /// Reads the properties of a `Custom::ZaeLimiterLimits` resource: the same document with keys like `RefillAmount`,
    /// and numbers as text, because CloudFormation makes text of them.
    ///
    /// # Errors
    /// As [`Manifest::from_yaml`], without places.
    pub fn from_properties(value: &serde_json::Value) -> Result<Self, ManifestError> {
        read::read(&Node::from_json(value), Spelling::Camel)
    }

    /// The document as it travels to the provisioner, every declaration spelled out.
    pub fn to_json(&self) -> serde_json::Value {
        normal::json(self)
    }

    /// `sha256:` and the hash of [`Manifest::to_json`] for `namespace`, in the form that the reference computes.
    pub fn hash(&self, namespace: &NamespaceName) -> String {
        let named = Self { namespace: Some(namespace.clone()), ..self.clone() };
        normal::hash(&named)
    }

    /// Returns what a namespace has under management when all of this is applied.
    pub fn managed(&self) -> ProvisionerState {
        let names = |scopes: &BTreeMap<LimitScope, Section>| scopes.keys().map(LimitScope::to_string).collect();
        ProvisionerState {
            managed_system: self.system.is_some(),
            managed_resources: self.resources.keys().map(ResourceName::to_string).collect(),
            managed_entities: self.entities.iter().map(|(id, scopes)| (id.to_string(), names(scopes))).collect(),
            ..ProvisionerState::default()
        }
    }
}

//! The differences between what is declared and what is stored: comparison without I/O.

mod compare;
mod items;

use std::fmt;

pub(super) use compare::Compared;
pub(super) use items::{Content, Item, Items, Stored};
use serde::{Deserialize, Serialize};

/// The changes that make a namespace what its manifest says, in the order in which they are made.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The changes.
    pub changes: Vec<Change>,
    /// Warnings about things that could not be taken into account, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Plan {
    /// The changes that are about values: what is merely put under management is none.
    pub fn drift(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action != Action::Adopt)
    }
}

/// One change.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The action.
    pub action: Action,
    /// The level.
    pub level: Level,
    /// The target: a resource, `entity/resource`, or nothing for the system.
    pub target: Option<String>,
    /// Value by value, in order of names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Difference>,
}

/// One value that changes.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// Its name, for example `rpm.capacity`.
    pub name: String,
    /// As it is stored; `None` when it is not.
    pub from: Option<String>,
    /// As it will be; `None` when it will be gone.
    pub to: Option<String>,
}

/// The action on an item.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Action {
    /// It is not there and will be.
    Create,
    /// Some of its values change.
    Update,
    /// It is managed, no longer declared, and will be gone.
    Delete,
    /// It is as declared already and only comes under management.
    Adopt,
}

impl Action {
    /// The sign in front of a line: `+`, `~`, `-` or `=`.
    pub fn symbol(self) -> char {
        match self {
            Self::Create => '+',
            Self::Update => '~',
            Self::Delete => '-',
            Self::Adopt => '=',
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Adopt => "adopt",
        })
    }
}

/// The level at which limits are configured.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Level {
    /// The namespace's defaults.
    System,
    /// A resource's defaults.
    Resource,
    /// One entity's limits for one resource.
    Entity,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Resource => "resource",
            Self::Entity => "entity",
        })
    }
}

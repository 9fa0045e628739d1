//! The entities to limit: [`Entity`].
//!
//! An entity need not be stored to be limited: an acquire for an unknown id uses the limits of the levels above. A
//! record is needed for three things only: a parent, a display name, and metadata. Two levels of a hierarchy are
//! charged. A third would make an acquire depend on three items, and "all or nothing" over three conditional writes has
//! a race that two do not have.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::model::name::EntityId;

/// A stored entity: a user, an API key, a project.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{EntityId, NewEntity, Repository};
///
/// let repository = Repository::embedded().await?;
/// let project = EntityId::new("project-1")?;
/// repository.create_entity(NewEntity::new(project.clone()).name("Search")).await?;
/// repository.create_entity(NewEntity::new(EntityId::new("key-1")?).parent(project.clone()).cascading()).await?;
///
/// let keys = repository.children(&project).await?;
/// assert!(keys[0].is_child() && keys[0].cascade);
/// # Ok(())
/// # }
/// ```
///
/// Read by [`Repository::entity`](crate::Repository::entity) and [`Repository::children`](crate::Repository::children).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entity {
    /// Its id.
    pub id: EntityId,
    /// A display name; defaults to the id.
    pub name: String,
    /// The entity that is also charged if `cascade` is set.
    pub parent_id: Option<EntityId>,
    /// True if acquires also charge the parent; they never charge the parent's parent.
    pub cascade: bool,
    /// Free-form metadata.
    pub metadata: BTreeMap<String, Value>,
    /// Time of creation, `YYYY-MM-DDTHH:MM:SSZ`.
    pub created_at: Option<String>,
}

impl Entity {
    /// Returns true if it is at the top of a hierarchy: it has no parent, and may or may not have children.
    pub fn is_parent(&self) -> bool {
        self.parent_id.is_none()
    }

    /// Returns true if it has a parent.
    pub fn is_child(&self) -> bool {
        self.parent_id.is_some()
    }
}

/// The description of a new entity for [`Repository::create_entity`](crate::Repository::create_entity).
///
/// ```
/// use zae_limiter::{EntityId, NewEntity};
/// let project = EntityId::new("proj-1")?;
/// let key = NewEntity::new(EntityId::new("key-1")?).name("CI key").parent(project).cascading().metadata("team", "a");
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewEntity {
    /// The id of the entity to create.
    pub(crate) id: EntityId,
    /// Its display name.
    pub(crate) name: Option<String>,
    /// Its parent.
    pub(crate) parent_id: Option<EntityId>,
    /// True if acquires also charge the parent.
    pub(crate) cascade: bool,
    /// Free-form metadata.
    pub(crate) metadata: BTreeMap<String, Value>,
}

impl NewEntity {
    /// Creates a description without parent and metadata, named like its id.
    pub fn new(id: EntityId) -> Self {
        Self { id, name: None, parent_id: None, cascade: false, metadata: BTreeMap::new() }
    }

    /// Sets a display name; an empty one counts as none.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into()).filter(|name| !name.is_empty());
        self
    }

    /// Sets the parent. It need not exist yet.
    #[must_use]
    pub fn parent(mut self, parent: EntityId) -> Self {
        self.parent_id = Some(parent);
        self
    }

    /// Makes acquires of this entity also charge its parent.
    ///
    /// Only two levels are charged: if the parent cascades itself, its own parent is not charged for this entity.
    /// [`Repository::third_level`](crate::Repository::third_level) finds such chains, and the first acquire that
    /// encounters one logs a warning.
    #[must_use]
    pub fn cascading(mut self) -> Self {
        self.cascade = true;
        self
    }

    /// Adds a metadata entry.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

//! Entities: creating, reading, listing children, deleting with everything that belongs to them.
//!
//! An entity need not be created before it is limited: limits and buckets refer to its id alone. Creating it adds a
//! name, metadata, a parent, and whether acquires are charged to the parent too.
//!
//! A deletion removes limits one by one, each with its count in the registry, and the entity itself last. So an
//! interrupted deletion leaves the entity, and the next one completes it.

use super::{Repository, configs::Trail, trail::AuditChange};
use crate::{
    bucket::incarnation::Incarnation,
    error::{RepositoryError, StoreErrorKind, ValidationError, ValidationReason},
    model::{
        entity::{Entity, NewEntity},
        name::{EntityId, IntoName, LimitScope, check_visible},
    },
    store::{Committed, Consistency, Query, TransactPart},
    wire::{
        self, Item,
        config::{ConfigLevel, StoredConfig},
        expression::{Expression, Key},
        keys::{self, CONFIG_PREFIX},
        operation,
        time::timestamp,
        values::{from_map, get_bool, get_s, item, s, s_or_null, to_map},
    },
};

impl Repository {
    /// Stores a new entity. The parent need not exist yet. Acquires charge an entity and, if it cascades, its parent; a
    /// parent's own cascade is not followed ([`Repository::third_level`]).
    ///
    /// Cancel safe: a dropped call has stored all or nothing.
    ///
    /// # Errors
    /// [`RepositoryError::EntityExists`] when there is an entity of that id, which is left as it was;
    /// [`RepositoryError::Invalid`] for an entity that would be its own parent.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, NewEntity, Repository};
    /// let repository = Repository::embedded().await?;
    /// let (project, key) = (EntityId::new("proj-1")?, EntityId::new("key-1")?);
    /// repository.create_entity(NewEntity::new(project.clone())).await?;
    /// repository.create_entity(NewEntity::new(key.clone()).parent(project.clone()).cascading()).await?;
    /// let children = repository.children(&project).await?;
    /// assert_eq!(children.iter().map(|child| &child.id).collect::<Vec<_>>(), [&key]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn create_entity(&self, entity: NewEntity) -> Result<Entity, RepositoryError> {
        if entity.parent_id.as_ref() == Some(&entity.id) {
            let reason = ValidationReason::Other("must be another entity: this one would be charged twice".to_owned());
            return Err(ValidationError::new("parent_id", entity.id.as_str(), reason).into());
        }
        if let Some(name) = &entity.name {
            check_visible("name", name)?;
        }
        let mut item = encode(&entity, self.ns(), self.now_ms());
        let marks = wire::owner::marks(Incarnation::draw().to_string(), self.now_ms());
        item.extend(marks.map(|(name, value)| (name.to_owned(), value)));
        let stored = decode(&item)?;
        let event = self.trail(&AuditChange::EntityCreated(&entity), None).await?;
        if self.store().transact(&[TransactPart::Put(item, Expression::absent()), event]).await? != Committed::Done {
            return Err(RepositoryError::EntityExists(entity.id));
        }
        self.forget_limits_of(&stored.id);
        Ok(stored)
    }

    /// An entity; `None` when there is none of that id. Limits and buckets may exist without an entity.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, NewEntity, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let key = EntityId::new("key-1")?;
    /// repository.create_entity(NewEntity::new(key.clone()).name("CI")).await?;
    /// assert_eq!(repository.entity(&key).await?.map(|entity| entity.name).as_deref(), Some("CI"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when the stored entity cannot be read.
    pub async fn entity(&self, id: impl IntoName<EntityId>) -> Result<Option<Entity>, RepositoryError> {
        let id = &id.into_name()?;
        let item = self.store().get(&self.meta(id), Consistency::Strong).await?;
        item.as_ref().map(decode).transpose()
    }

    /// The entities whose parent is `parent`, by id. Read from an index, which lags behind by moments.
    ///
    /// Cancel safe: it only reads.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, NewEntity, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let team = EntityId::new("team-a")?;
    /// repository.create_entity(NewEntity::new(team.clone())).await?;
    /// repository.create_entity(NewEntity::new(EntityId::new("key-1")?).parent(team.clone())).await?;
    /// let keys = repository.children(&team).await?;
    /// assert_eq!(keys.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when a stored entity cannot be read.
    pub async fn children(&self, parent: impl IntoName<EntityId>) -> Result<Vec<Entity>, RepositoryError> {
        let parent = &parent.into_name()?;
        let children = Query::index("GSI1", keys::gsi1_pk_parent(self.ns(), parent.as_str()));
        self.store().query_all(children).await?.iter().map(decode).collect()
    }

    /// Finds the chain of three cascading levels that `entity` is part of, lowest first; `None` where there is none.
    /// Acquires charge an entity and its parent: the third of them is not charged for the first. Reads the parent and
    /// the children.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Malformed`] when a stored entity cannot be read.
    pub async fn third_level(&self, entity: &Entity) -> Result<Option<[EntityId; 3]>, RepositoryError> {
        let above = |entity: &Entity| entity.parent_id.clone().filter(|_| entity.cascade);
        let Some(parent) = above(entity) else { return Ok(None) };
        if let Some(grandparent) = self.entity(&parent).await?.as_ref().and_then(above) {
            return Ok(Some([entity.id.clone(), parent, grandparent]));
        }
        let child = self.children(&entity.id).await?.into_iter().find(|child| child.cascade);
        Ok(child.map(|child| [child.id, entity.id.clone(), parent]))
    }

    /// Deletes an entity with its limits, usage and buckets, and answers how many records that were; 0 when there was
    /// nothing. Its audit events stay, and so do its children.
    ///
    /// Not cancel safe, but repeatable: what an interrupted call left is removed by the next one.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, NewEntity, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// let key = EntityId::new("key-1")?;
    /// repository.create_entity(NewEntity::new(key.clone())).await?;
    /// repository.delete_entity(&key).await?;
    /// assert!(repository.entity(&key).await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when its limits use a feature of newer clients: delete it with one of those.
    pub async fn delete_entity(&self, id: impl IntoName<EntityId>) -> Result<usize, RepositoryError> {
        let id = &id.into_name()?;
        let own = Query::table(keys::pk_entity(self.ns(), id.as_str())).strong();
        let buckets = Query::index("GSI3", keys::gsi3_pk_entity(self.ns(), id.as_str()));
        let own = self.store().query_all(own).await?;
        // Before anything is gone: half a deletion would be one without a trace.
        for config in own.iter().filter(|item| get_s(item, "SK").is_some_and(|sk| sk.starts_with(CONFIG_PREFIX))) {
            StoredConfig::decode_leniently(config).supported()?;
        }
        let own: Vec<Key> = own.iter().filter_map(Key::of).collect();
        // Records of operations first: without their buckets nobody would look for them.
        let operations = Query::index("GSI4", self.ns()).prefix(operation::listed_prefix(id));
        let operations = match self.store().query_all(operations).await {
            // The policies of an older stack do not allow it. The records end by themselves, and name who they were of.
            Err(RepositoryError::Store(error)) if error.kind() == StoreErrorKind::AccessDenied => Vec::new(),
            listed => listed?,
        };
        let buckets = self.store().query_all(buckets).await?;
        let mut rest: Vec<Key> = operations.iter().chain(&buckets).filter_map(Key::of).collect();
        let records = own.len() + rest.len();
        if records == 0 {
            return Ok(0);
        }
        for key in own {
            // Limits are counted in a registry, so each goes together with its count.
            let scope = key.sk.strip_prefix(CONFIG_PREFIX).and_then(|scope| LimitScope::try_from(scope).ok());
            match scope {
                Some(scope) => drop(self.remove_config(ConfigLevel::Entity(id, &scope), Trail::Elsewhere).await?),
                // The entity itself goes last, so that an interrupted deletion is completed by the next one.
                None if key.sk == keys::sk_meta() => {}
                None => rest.push(key),
            }
        }
        self.store().batch_delete(&rest).await?;
        let event = self.trail(&AuditChange::EntityDeleted(id, records), None).await?;
        self.store().transact(&[TransactPart::Delete(self.meta(id), Expression::default()), event]).await?;
        self.forget_limits_of(id);
        Ok(records)
    }

    /// The key of an entity's record.
    fn meta(&self, id: &EntityId) -> Key {
        Key::new(keys::pk_entity(self.ns(), id.as_str()), keys::sk_meta())
    }
}

/// The item of a new entity.
fn encode(entity: &NewEntity, ns: &str, now_ms: i64) -> Item {
    let id = entity.id.as_str();
    let parent = entity.parent_id.as_ref().map(EntityId::as_str);
    let mut stored = item([
        ("PK", s(keys::pk_entity(ns, id))),
        ("SK", s(keys::sk_meta())),
        ("entity_id", s(id)),
        ("name", s(entity.name.as_deref().unwrap_or(id))),
        ("parent_id", s_or_null(parent)),
        ("cascade", aws_sdk_dynamodb::types::AttributeValue::Bool(entity.cascade)),
        ("metadata", to_map(&entity.metadata)),
        ("created_at", s(timestamp(now_ms))),
        ("GSI4PK", s(ns)),
        ("GSI4SK", s(keys::pk_entity(ns, id))),
    ]);
    if let Some(parent) = parent {
        stored.extend(item([("GSI1PK", s(keys::gsi1_pk_parent(ns, parent))), ("GSI1SK", s(keys::gsi1_sk_child(id)))]));
    }
    stored
}

/// Reads an entity's record.
fn decode(item: &Item) -> Result<Entity, RepositoryError> {
    let key = || format!("{} {}", get_s(item, "PK").unwrap_or_default(), get_s(item, "SK").unwrap_or_default());
    let malformed = |problem: String| RepositoryError::Malformed { key: key(), problem };
    let id = |text: &str| EntityId::new(text).map_err(|error| malformed(error.to_string()));
    let own = id(get_s(item, "entity_id").ok_or_else(|| malformed("entity_id is missing".to_owned()))?)?;
    let metadata = item.get("metadata").and_then(|value| value.as_m().ok()).map(from_map).unwrap_or_default();
    Ok(Entity {
        name: get_s(item, "name").filter(|name| !name.is_empty()).unwrap_or(own.as_str()).to_owned(),
        parent_id: get_s(item, "parent_id").filter(|parent| !parent.is_empty()).map(id).transpose()?,
        cascade: get_bool(item, "cascade").unwrap_or(false),
        metadata,
        created_at: get_s(item, "created_at").map(str::to_owned),
        id: own,
    })
}

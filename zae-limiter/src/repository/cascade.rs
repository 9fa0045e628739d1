//! Policies on who charges its parent, and moves of an entity to another parent.

use super::{Repository, fanout::Copies, gate::Gated, settings::Setting, trail::AuditChange};
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        access::{Cascade, ConfigTarget},
        name::{EntityId, IntoName},
    },
    store::{Committed, Consistency, TransactPart},
    wire::{self, Item, config::ConfigLevel, expression::Key, keys, values::get_s},
};

/// Steps from an entity to those above it that are looked at for a circle.
const MAX_ANCESTORS: u32 = 32;
/// Number of tries of a move against others that move the same entity.
const TRIES: u32 = 10;

/// A move that was stored.
struct Moved {
    /// The key of its audit event.
    event: Option<Key>,
    /// The parent until then.
    from: Option<EntityId>,
}

impl Repository {
    /// Decides for `target` if acquires charge the parent as well, whatever the entity's own record says. Nothing is
    /// charged where there is no parent. Returns the number of buckets that were told.
    ///
    /// The nearest policy decides: of the entity and resource, of the entity, of the resource.
    ///
    /// Not cancel safe, but repeatable: a dropped call may have stored the policy without reaching all buckets.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{Repository, access::{Cascade, ConfigTarget}};
    ///
    /// let repository = Repository::embedded().await?;
    /// let model = ConfigTarget::resource("gpt-4")?;
    /// repository.set_cascade(&model, Cascade::Off).await?;
    /// assert_eq!(repository.cascade(&model).await?, Some(Cascade::Off));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::FunctionsTooOld`] where functions are deployed that do not know policies,
    /// [`RepositoryError::FanoutIncomplete`] when the policy is stored and not all buckets could be told.
    pub async fn set_cascade(
        &self,
        target: impl Into<ConfigTarget> + Send,
        cascade: Cascade,
    ) -> Result<u64, RepositoryError> {
        self.pass_gate(Gated::CascadePolicies).await?;
        self.set(&target.into(), Setting::Cascade(Some(cascade))).await
    }

    /// Removes the policy of `target`, so that the next level decides, in the end the entity's own record. Returns the
    /// number of buckets that were told.
    ///
    /// Cancel safe in the way of [`Repository::set_cascade`].
    ///
    /// # Errors
    /// As [`Repository::set_cascade`].
    pub async fn clear_cascade(&self, target: impl Into<ConfigTarget> + Send) -> Result<u64, RepositoryError> {
        self.pass_gate(Gated::CascadePolicies).await?;
        self.set(&target.into(), Setting::Cascade(None)).await
    }

    /// The policy of `target` itself; `None` where the next level decides.
    ///
    /// # Errors
    /// [`RepositoryError::Unsupported`] when it is one that only newer clients know.
    pub async fn cascade(&self, target: impl Into<ConfigTarget> + Send) -> Result<Option<Cascade>, RepositoryError> {
        let target = target.into();
        let key = ConfigLevel::from(&target).key(self.ns());
        let item = self.store().get(&key, Consistency::Strong).await?;
        Ok(item.as_ref().map(wire::config::cascade).transpose()?.flatten())
    }

    /// Moves `entity` below `parent`, and tells its buckets. What was charged to the old parent stays there, and what
    /// leases hold goes back to whom it was taken from. Returns the number of buckets that were told.
    ///
    /// Not cancel safe, but repeatable: moving it to the same parent again finishes an interrupted move.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, NewEntity, Repository};
    ///
    /// let repository = Repository::embedded().await?;
    /// for project in ["proj-1", "proj-2"] {
    ///     repository.create_entity(NewEntity::new(EntityId::new(project)?)).await?;
    /// }
    /// let key = EntityId::new("key-1")?;
    /// repository.create_entity(NewEntity::new(key.clone()).parent(EntityId::new("proj-1")?)).await?;
    /// repository.set_parent(&key, "proj-2").await?;
    /// let moved = repository.entity(&key).await?.and_then(|entity| entity.parent_id);
    /// assert_eq!(moved, Some(EntityId::new("proj-2")?));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::EntityNotFound`] when either does not exist, [`RepositoryError::Invalid`] for an entity that
    /// would be above itself, [`RepositoryError::FunctionsTooOld`] and [`RepositoryError::FanoutIncomplete`] as
    /// [`Repository::set_cascade`].
    pub async fn set_parent(
        &self,
        entity: impl IntoName<EntityId>,
        parent: impl IntoName<EntityId>,
    ) -> Result<u64, RepositoryError> {
        let (entity, parent) = (&entity.into_name()?, &parent.into_name()?);
        self.check_ancestors(entity, parent).await?;
        self.pass_gate(Gated::Moves).await?;
        let moved = self.store_move(entity, Some(parent)).await?;
        // Somebody may have moved the parent below the entity since they were looked at. Of two who did so to each
        // other one at least sees it here.
        if let Err(circle @ RepositoryError::Invalid(_)) = self.check_ancestors(entity, parent).await {
            let back = self.store_move(entity, moved.from.as_ref()).await?;
            self.tell_move(entity, back).await?;
            return Err(circle);
        }
        self.tell_move(entity, moved).await
    }

    /// Takes `entity` away from its parent: nobody else is charged any more. Otherwise as [`Repository::set_parent`].
    ///
    /// # Errors
    /// As [`Repository::set_parent`].
    pub async fn remove_parent(&self, entity: impl IntoName<EntityId>) -> Result<u64, RepositoryError> {
        let entity = &entity.into_name()?;
        self.pass_gate(Gated::Moves).await?;
        let moved = self.store_move(entity, None).await?;
        self.tell_move(entity, moved).await
    }

    async fn meta_item(&self, entity: &EntityId) -> Result<Item, RepositoryError> {
        let key = Key::new(keys::pk_entity(self.ns(), entity.as_str()), keys::sk_meta());
        let item = self.store().get(&key, Consistency::Strong).await?;
        item.ok_or_else(|| RepositoryError::EntityNotFound(entity.clone()))
    }

    /// Checks that `entity` is not above `parent`, nor itself.
    async fn check_ancestors(&self, entity: &EntityId, parent: &EntityId) -> Result<(), RepositoryError> {
        let invalid = |reason: &str| {
            let reason = ValidationReason::Other(reason.to_owned());
            RepositoryError::from(ValidationError::new("parent_id", parent.as_str(), reason))
        };
        if entity == parent {
            return Err(invalid("must be another entity: this one would be charged twice"));
        }
        let mut above = parent.clone();
        for _ in 0..MAX_ANCESTORS {
            let meta = match self.meta_item(&above).await {
                // Of those above the parent, some may never have been created.
                Err(RepositoryError::EntityNotFound(_)) if above != *parent => return Ok(()),
                other => other?,
            };
            let next = get_s(&meta, "parent_id").and_then(|next| EntityId::new(next).ok());
            let Some(next) = next else { return Ok(()) };
            if next == *entity {
                return Err(invalid("is below the entity: they would be a circle"));
            }
            above = next;
        }
        Err(invalid("has too many entities above it"))
    }

    /// Tells the buckets of `entity` that it was moved, and notes in the event how many that were.
    async fn tell_move(&self, entity: &EntityId, moved: Moved) -> Result<u64, RepositoryError> {
        let all = ConfigTarget::from(entity.clone());
        let (stamped, result) = match self.fan_out(&all, Copies::Owner).await {
            Err(RepositoryError::FanoutIncomplete { what: _, stamped, source }) => {
                let what = format!("the parent of entity {entity}");
                (stamped, Err(RepositoryError::FanoutIncomplete { what, stamped, source }))
            }
            Err(error) => return Err(error),
            Ok(stamped) => (stamped, Ok(stamped)),
        };
        if let Some(event) = moved.event {
            self.count_stamped(&event, stamped).await;
        }
        result
    }

    /// Moves it and records that.
    async fn store_move(&self, entity: &EntityId, parent: Option<&EntityId>) -> Result<Moved, RepositoryError> {
        let key = Key::new(keys::pk_entity(self.ns(), entity.as_str()), keys::sk_meta());
        for _ in 0..TRIES {
            let before = self.meta_item(entity).await?;
            let generation = wire::owner::stamp(&before).generation.saturating_add(1);
            let old = get_s(&before, "parent_id").filter(|old| !old.is_empty());
            let change = AuditChange::Moved { entity, from: old, to: parent, generation };
            let event = self.trail(&change, None).await?;
            let event_key = match &event {
                TransactPart::Put(item, _) => Key::of(item),
                _ => None,
            };
            let update = wire::owner::moved(self.ns(), entity, parent, &before);
            if self.store().transact(&[TransactPart::Update(key.clone(), update), event]).await? == Committed::Done {
                self.forget_limits_of(entity);
                let from = old.and_then(|old| EntityId::new(old).ok());
                return Ok(Moved { event: event_key, from });
            }
        }
        Err(super::configs::busy(&key))
    }
}

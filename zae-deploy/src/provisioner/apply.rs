//! Making the changes, and keeping the record of what is managed true at every step.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use zae_limiter::{RepositoryError, SystemDefaults, provision::ProvisionerState};

use super::{
    ProvisionError, Provisioner,
    debts::Debts,
    live::Comparison,
    owner::Claims,
    plan::{Action, Change, Compared, Content, Item, Plan, Stored},
};
use crate::manifest::Manifest;

/// The result of applying a manifest.
///
/// See the [module](crate::provisioner) for an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Applied {
    /// The plan that was to be carried out.
    #[serde(flatten)]
    pub plan: Plan,
    /// Items created.
    pub created: usize,
    /// Items changed.
    pub updated: usize,
    /// Items removed.
    pub deleted: usize,
    /// Failures, in words; everything else was done.
    pub errors: Vec<String>,
    /// Fan-outs to buckets that somebody still owes: this apply could not do them, or another one is at it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like this")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Provisioner {
    /// Makes the namespace what `manifest` says. The manifest's own namespace is not looked at.
    ///
    /// One item that fails does not stop the others; [`Applied::errors`] says what failed, and the record of what is
    /// managed then says what is really in place. Not cancel safe in one respect: a dropped call leaves the items that
    /// it had reached changed, all of them on record, and buckets untold. The next apply of any manifest tells those;
    /// applying again finishes the work.
    ///
    /// # Errors
    /// [`ProvisionError::Repository`] when the table cannot be read or the record cannot be written,
    /// [`ProvisionError::Busy`] when somebody else applies at the same time. Nothing was changed then.
    pub async fn apply(&self, manifest: &Manifest) -> Result<Applied, ProvisionError> {
        let seen = self.repository.provisioner_state().await?;
        let comparison = self.compare(manifest, &seen).await?;
        self.apply_compared(&seen, manifest, comparison).await
    }

    /// Makes the namespace what `manifest` says if that still takes exactly the changes of `planned`, a plan that
    /// somebody has looked at.
    ///
    /// Compared with what is stored right before the first write; a change that somebody makes while this runs is
    /// overwritten, as by [`apply`](Provisioner::apply).
    ///
    /// # Errors
    /// [`ProvisionError::Moved`] when other changes would be made than planned; nothing was changed then. Otherwise as
    /// [`apply`](Provisioner::apply).
    pub async fn apply_planned(&self, manifest: &Manifest, planned: &Plan) -> Result<Applied, ProvisionError> {
        let seen = self.repository.provisioner_state().await?;
        let comparison = self.compare(manifest, &seen).await?;
        let plan = comparison.plan();
        if plan != *planned {
            return Err(ProvisionError::Moved(plan.into()));
        }
        self.apply_compared(&seen, manifest, comparison).await
    }

    async fn apply_compared(
        &self,
        seen: &ProvisionerState,
        manifest: &Manifest,
        comparison: Comparison,
    ) -> Result<Applied, ProvisionError> {
        let hash = manifest.hash(self.repository.namespace_name());
        let claims = self.owner.claims(seen, manifest, &hash);
        self.apply_over(seen, manifest, comparison, claims.clone(), claims).await
    }

    /// Applies over the state that was read. The record has the claims `begun` while that lasts and where it fails, and
    /// `done` in the end.
    pub(super) async fn apply_over(
        &self,
        seen: &ProvisionerState,
        manifest: &Manifest,
        comparison: Comparison,
        begun: Claims,
        done: Claims,
    ) -> Result<Applied, ProvisionError> {
        let namespace = self.repository.namespace_name();
        let plan = comparison.plan();
        let hash = manifest.hash(namespace);
        let target = manifest.managed();
        let same = same_items(seen, &target) && seen.applied_hash.as_ref() == Some(&hash);
        let mut debts = Debts::take_over(&self.repository).await?;
        if plan.changes.is_empty() && same && Claims::of(seen) == done {
            let mut errors = self.assert_switches(&comparison.items).await;
            let pending = debts.settle(&mut errors).await;
            return Ok(Applied { plan, errors, pending, ..Applied::default() });
        }
        // First the record says more than is true, so that nothing is forgotten when this process ends in between.
        let intent = ProvisionerState {
            last_applied: Some(now()),
            applied_hash: None,
            claim: begun.claim.clone(),
            replaced: begun.replaced.clone(),
            ..union(seen, &target)
        };
        if !self.repository.swap_provisioner_state(seen, &intent).await? {
            return Err(ProvisionError::Busy(namespace.to_string()));
        }
        let mut applied = Applied { plan, ..Applied::default() };
        let mut managed = target;
        for compared in &comparison.items {
            let Some(change) = compared.change() else { continue };
            match self.make(compared, &mut debts).await {
                Ok(()) => match change.action {
                    Action::Create => applied.created += 1,
                    Action::Update => applied.updated += 1,
                    Action::Delete => applied.deleted += 1,
                    Action::Adopt => {}
                },
                Err(error) => {
                    applied.errors.push(failure(&change, &error));
                    remain(&mut managed, compared);
                }
            }
        }
        applied.errors.extend(self.assert_switches(&comparison.items).await);
        applied.pending = debts.settle(&mut applied.errors).await;
        // A manifest that was not wholly applied is not the one in force.
        let (applied_hash, left) = match applied.errors.is_empty() {
            true => (Some(hash), done),
            false => (seen.applied_hash.clone(), begun),
        };
        let Claims { claim, replaced } = left;
        let done = ProvisionerState { last_applied: Some(now()), applied_hash, claim, replaced, ..managed };
        if !self.repository.swap_provisioner_state(&intent, &done).await? {
            let problem = "another manifest was applied at the same time: run `limits plan` for both".to_owned();
            applied.errors.push(problem);
        }
        Ok(applied)
    }

    /// Tells the buckets once more of every switch that is declared and was stored before: whoever stored it may have
    /// been interrupted. Returns what failed, in words.
    async fn assert_switches(&self, items: &[Compared]) -> Vec<String> {
        let mut errors = Vec::new();
        for compared in items.iter().filter(|compared| compared.asserts_switch()) {
            let Some(target) = compared.item.config_target() else { continue };
            if let Err(error) = self.repository.restamp_access(&target).await {
                let item = compared.item.target().unwrap_or_default();
                errors.push(format!("stamp {} {item}: {error}", compared.item.level()));
            }
        }
        errors
    }

    /// The switch first: who is to be refused is not let in for a moment by new limits.
    async fn make(&self, compared: &Compared, debts: &mut Debts<'_>) -> Result<(), RepositoryError> {
        debts.promise(compared).await?;
        self.set(compared).await?;
        self.make_limits(compared).await?;
        debts.done(compared).await
    }

    async fn set(&self, compared: &Compared) -> Result<(), RepositoryError> {
        let Some(target) = compared.item.config_target() else { return Ok(()) };
        let wanted = compared.declared.clone().unwrap_or_default();
        let stored = match &compared.stored {
            Stored::Content(stored) => stored.clone(),
            Stored::Absent => Content::default(),
            // Settings of operators beside broken limits stay, unless they are declared.
            Stored::Broken(_) => Content {
                access: if wanted.access.is_some() { self.repository.access(&target).await? } else { None },
                cascade: if wanted.cascade.is_some() { self.repository.cascade(&target).await? } else { None },
                ..Content::default()
            },
        };
        if wanted.access != stored.access {
            self.repository.set_access(&target, wanted.access).await?;
        }
        match wanted.cascade {
            policy if policy == stored.cascade => {}
            Some(policy) => drop(self.repository.set_cascade(&target, policy).await?),
            None => drop(self.repository.clear_cascade(&target).await?),
        }
        Ok(())
    }

    async fn make_limits(&self, compared: &Compared) -> Result<(), RepositoryError> {
        let repository = &self.repository;
        let same = |declared: &Content| match &compared.stored {
            Stored::Content(stored) => {
                stored.limits == declared.limits && stored.on_unavailable == declared.on_unavailable
            }
            Stored::Absent => declared.limits.is_none() && declared.on_unavailable.is_none(),
            Stored::Broken(_) => false,
        };
        match (&compared.item, &compared.declared) {
            // Only management or the switch changes.
            (_, Some(declared)) if same(declared) => Ok(()),
            (Item::System, Some(declared)) => {
                let defaults = declared.limits.as_ref().map(SystemDefaults::from).unwrap_or_default();
                repository.set_system_defaults(defaults.on_unavailable(declared.on_unavailable)).await
            }
            (Item::Resource(resource), Some(declared)) => match &declared.limits {
                Some(limits) => repository.set_resource_defaults(resource, limits).await,
                None => repository.delete_resource_defaults(resource).await.map(drop),
            },
            (Item::Entity(entity, scope), Some(declared)) => match &declared.limits {
                Some(limits) => repository.set_limits(entity, scope, limits).await,
                None => repository.delete_limits(entity, scope).await.map(drop),
            },
            (Item::System, None) => repository.delete_system_defaults().await.map(drop),
            (Item::Resource(resource), None) => repository.delete_resource_defaults(resource).await.map(drop),
            (Item::Entity(entity, scope), None) => repository.delete_limits(entity, scope).await.map(drop),
        }
    }
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00").to_string()
}

fn failure(change: &Change, error: &RepositoryError) -> String {
    let target = change.target.as_deref().map(|target| format!(" {target}")).unwrap_or_default();
    format!("{} {}{target}: {error}", change.action, change.level)
}

fn same_items(a: &ProvisionerState, b: &ProvisionerState) -> bool {
    let items = |state: &ProvisionerState| {
        let mut all: Vec<(String, String)> = Vec::new();
        all.extend(state.managed_resources.iter().map(|name| (String::new(), name.clone())));
        for (entity, names) in &state.managed_entities {
            all.extend(names.iter().map(|name| (entity.clone(), name.clone())));
        }
        all.sort_unstable();
        (state.managed_system, all)
    };
    items(a) == items(b)
}

fn union(a: &ProvisionerState, b: &ProvisionerState) -> ProvisionerState {
    let mut all = a.clone();
    all.managed_system |= b.managed_system;
    all.managed_resources.extend(b.managed_resources.iter().cloned());
    all.managed_resources.sort_unstable();
    all.managed_resources.dedup();
    for (entity, names) in &b.managed_entities {
        let own = all.managed_entities.entry(entity.clone()).or_default();
        own.extend(names.iter().cloned());
        own.sort_unstable();
        own.dedup();
    }
    all
}

/// Takes an item that could not be changed back to the side of management on which it was.
fn remain(state: &mut ProvisionerState, compared: &Compared) {
    let put_back = |names: &mut Vec<String>, name: &str| {
        names.retain(|other| other != name);
        if compared.managed {
            names.push(name.to_owned());
            names.sort_unstable();
        }
    };
    match &compared.item {
        Item::System => state.managed_system = compared.managed,
        Item::Resource(resource) => put_back(&mut state.managed_resources, resource.as_str()),
        Item::Entity(entity, scope) => {
            let names = state.managed_entities.entry(entity.to_string()).or_default();
            put_back(names, scope.as_str());
            if names.is_empty() {
                state.managed_entities.remove(entity.as_str());
            }
        }
    }
}

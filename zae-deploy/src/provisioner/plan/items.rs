//! The items that a manifest declares, or that its predecessor did, with the content that each is to have.

use zae_limiter::{
    EntityId, LimitScope, Limits, ResourceName, StoredPolicy,
    access::{Access, Cascade, ConfigTarget},
    provision::ProvisionerState,
};

use super::Level;
use crate::{
    manifest::{Manifest, Section},
    provisioner::declared::{Declared, Wishes},
};

/// One configuration item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provisioner) enum Item {
    System,
    Resource(ResourceName),
    Entity(EntityId, LimitScope),
}

impl Item {
    pub(in crate::provisioner) fn level(&self) -> Level {
        match self {
            Self::System => Level::System,
            Self::Resource(_) => Level::Resource,
            Self::Entity(..) => Level::Entity,
        }
    }

    /// The place of its settings beside limits.
    pub(in crate::provisioner) fn config_target(&self) -> Option<ConfigTarget> {
        match self {
            Self::System => None,
            Self::Resource(resource) => Some(resource.clone().into()),
            Self::Entity(entity, scope) => Some((entity.clone(), scope.clone()).into()),
        }
    }

    pub(in crate::provisioner) fn target(&self) -> Option<String> {
        match self {
            Self::System => None,
            Self::Resource(resource) => Some(resource.to_string()),
            Self::Entity(entity, scope) => Some(format!("{entity}/{scope}")),
        }
    }
}

/// The content that an item has, or is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::provisioner) struct Content {
    pub(in crate::provisioner) limits: Option<Limits>,
    pub(in crate::provisioner) on_unavailable: Option<StoredPolicy>,
    pub(in crate::provisioner) access: Option<Access>,
    pub(in crate::provisioner) cascade: Option<Cascade>,
}

/// The present state of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::provisioner) enum Stored {
    Absent,
    Content(Content),
    /// It is there and makes no sense: replacing it is the cure.
    Broken(String),
}

/// The items that a manifest or its predecessor names, in the order in which they are changed.
#[derive(Debug, Default)]
pub(in crate::provisioner) struct Items {
    pub(in crate::provisioner) items: Vec<Declared>,
    pub(in crate::provisioner) warnings: Vec<String>,
}

impl Items {
    pub(in crate::provisioner) fn of(manifest: &Manifest, state: &ProvisionerState) -> Self {
        let mut all = Self::default();
        let before = previous(state);
        let content = |section: &Section| Some(Content { limits: section.limits.clone(), ..Content::default() });
        if manifest.system.is_some() || state.managed_system {
            let section = manifest.system.as_ref();
            let content = section.map(|section| Content {
                limits: section.limits.clone(),
                on_unavailable: section.on_unavailable,
                ..Content::default()
            });
            let (managed, wishes) = (state.managed_system, Wishes::default());
            all.items.push(Declared { item: Item::System, managed, content, wishes });
        }
        for (resource, section) in &manifest.resources {
            let managed = state.managed_resources.iter().any(|name| name == resource.as_str());
            let wishes = Wishes::of(Some(section), before.resources.get(resource));
            let item = Item::Resource(resource.clone());
            all.items.push(Declared { item, managed, content: content(section), wishes });
        }
        let mut gone: Vec<&String> = state.managed_resources.iter().collect();
        gone.sort_unstable();
        for name in gone {
            match ResourceName::new(name) {
                Ok(resource) if manifest.resources.contains_key(&resource) => {}
                Ok(resource) => {
                    let wishes = Wishes::of(None, before.resources.get(&resource));
                    let item = Item::Resource(resource);
                    all.items.push(Declared { item, managed: true, content: None, wishes });
                }
                Err(_) => all.unreadable(Level::Resource, name),
            }
        }
        for (entity, scopes) in &manifest.entities {
            let managed = state.managed_entities.get(entity.as_str());
            for (scope, section) in scopes {
                let managed = managed.is_some_and(|names| names.iter().any(|name| name == scope.as_str()));
                let wishes = Wishes::of(Some(section), declared(&before, entity, scope));
                let item = Item::Entity(entity.clone(), scope.clone());
                all.items.push(Declared { item, managed, content: content(section), wishes });
            }
        }
        for (entity, names) in &state.managed_entities {
            let mut names: Vec<&String> = names.iter().collect();
            names.sort_unstable();
            for name in names {
                match (EntityId::new(entity), LimitScope::try_from(name.as_str())) {
                    (Ok(id), Ok(scope)) => {
                        if manifest.entities.get(&id).is_none_or(|scopes| !scopes.contains_key(&scope)) {
                            let wishes = Wishes::of(None, declared(&before, &id, &scope));
                            let item = Item::Entity(id, scope);
                            all.items.push(Declared { item, managed: true, content: None, wishes });
                        }
                    }
                    _ => all.unreadable(Level::Entity, &format!("{entity}/{name}")),
                }
            }
        }
        all
    }

    fn unreadable(&mut self, level: Level, name: &str) {
        let warning = format!("the managed {level} '{name}' has a name that cannot be used; it is left as it is");
        self.warnings.push(warning);
    }
}

/// The manifest in force; an empty one where it is not known.
fn previous(state: &ProvisionerState) -> Manifest {
    let text = state.claim.as_ref().and_then(|claim| claim.manifest.as_deref());
    let value = text.and_then(|text| serde_json::from_str(text).ok());
    value.and_then(|value| Manifest::from_json(&value).ok()).unwrap_or_default()
}

fn declared<'a>(manifest: &'a Manifest, entity: &EntityId, scope: &LimitScope) -> Option<&'a Section> {
    manifest.entities.get(entity)?.get(scope)
}

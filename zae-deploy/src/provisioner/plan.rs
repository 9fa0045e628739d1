//! The differences between what is declared and what is stored: comparison without I/O.

use std::fmt;

use serde::{Deserialize, Serialize};
use zae_limiter::{
    EntityId, Limit, LimitScope, Limits, ResourceName, StoredPolicy,
    access::{Access, ConfigTarget},
    provision::ProvisionerState,
};

use crate::manifest::{Manifest, Section};

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

/// One configuration item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    System,
    Resource(ResourceName),
    Entity(EntityId, LimitScope),
}

impl Item {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::System => Level::System,
            Self::Resource(_) => Level::Resource,
            Self::Entity(..) => Level::Entity,
        }
    }

    /// The place of its switch.
    pub(super) fn access_target(&self) -> Option<ConfigTarget> {
        match self {
            Self::System => None,
            Self::Resource(resource) => Some(resource.clone().into()),
            Self::Entity(entity, scope) => Some((entity.clone(), scope.clone()).into()),
        }
    }

    pub(super) fn target(&self) -> Option<String> {
        match self {
            Self::System => None,
            Self::Resource(resource) => Some(resource.to_string()),
            Self::Entity(entity, scope) => Some(format!("{entity}/{scope}")),
        }
    }
}

/// The content that an item has, or is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) limits: Option<Limits>,
    pub(super) on_unavailable: Option<StoredPolicy>,
    pub(super) access: Option<Access>,
}

/// The present state of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    Absent,
    Content(Content),
    /// It is there and makes no sense: replacing it is the cure.
    Broken(String),
}

/// The intention for the switch of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeclaredSwitch {
    /// It stays as operators have set it.
    Left,
    /// It is declared now, or was until now.
    Wanted(Option<Access>),
}

impl DeclaredSwitch {
    /// The switch of an item declared as `now` that was declared as `before`.
    fn of(now: Option<&Section>, before: Option<&Section>) -> Self {
        let declared = |section: Option<&Section>| section.and_then(|section| section.access);
        match (declared(now), declared(before)) {
            (None, None) => Self::Left,
            (now, _) => Self::Wanted(now),
        }
    }
}

/// An item with its declaration.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) item: Item,
    pub(super) managed: bool,
    /// `None`: it is to be gone.
    pub(super) content: Option<Content>,
    pub(super) switch: DeclaredSwitch,
}

impl Declared {
    /// The declaration beside what is stored.
    pub(super) fn beside(self, stored: Stored) -> Compared {
        let Self { item, managed, mut content, switch } = self;
        let current = match &stored {
            Stored::Content(stored) => stored.access,
            Stored::Absent | Stored::Broken(_) => None,
        };
        let access = match switch {
            DeclaredSwitch::Left => current,
            DeclaredSwitch::Wanted(access) => access,
        };
        match &mut content {
            Some(content) => content.access = access,
            // Switches set by operators outlive the limits.
            None if access.is_some() => content = Some(Content { access, ..Content::default() }),
            None => {}
        }
        Compared { item, managed, declared: content, stored, switch }
    }
}

/// An item with what it is and what it is to be.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    pub(super) item: Item,
    pub(super) managed: bool,
    /// `None`: it is to be gone.
    pub(super) declared: Option<Content>,
    pub(super) stored: Stored,
    switch: DeclaredSwitch,
}

/// The items that a manifest or its predecessor names, in the order in which they are changed.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) items: Vec<Declared>,
    pub(super) warnings: Vec<String>,
}

impl Items {
    pub(super) fn of(manifest: &Manifest, state: &ProvisionerState) -> Self {
        let mut all = Self::default();
        let before = previous(state);
        let content = |section: &Section| Some(Content { limits: section.limits.clone(), ..Content::default() });
        if manifest.system.is_some() || state.managed_system {
            let section = manifest.system.as_ref();
            let content = section.map(|section| Content {
                limits: section.limits.clone(),
                on_unavailable: section.on_unavailable,
                access: None,
            });
            let (managed, switch) = (state.managed_system, DeclaredSwitch::Left);
            all.items.push(Declared { item: Item::System, managed, content, switch });
        }
        for (resource, section) in &manifest.resources {
            let managed = state.managed_resources.iter().any(|name| name == resource.as_str());
            let switch = DeclaredSwitch::of(Some(section), before.resources.get(resource));
            let item = Item::Resource(resource.clone());
            all.items.push(Declared { item, managed, content: content(section), switch });
        }
        let mut gone: Vec<&String> = state.managed_resources.iter().collect();
        gone.sort_unstable();
        for name in gone {
            match ResourceName::new(name) {
                Ok(resource) if manifest.resources.contains_key(&resource) => {}
                Ok(resource) => {
                    let switch = DeclaredSwitch::of(None, before.resources.get(&resource));
                    let item = Item::Resource(resource);
                    all.items.push(Declared { item, managed: true, content: None, switch });
                }
                Err(_) => all.unreadable(Level::Resource, name),
            }
        }
        for (entity, scopes) in &manifest.entities {
            let managed = state.managed_entities.get(entity.as_str());
            for (scope, section) in scopes {
                let managed = managed.is_some_and(|names| names.iter().any(|name| name == scope.as_str()));
                let switch = DeclaredSwitch::of(Some(section), declared(&before, entity, scope));
                let item = Item::Entity(entity.clone(), scope.clone());
                all.items.push(Declared { item, managed, content: content(section), switch });
            }
        }
        for (entity, names) in &state.managed_entities {
            let mut names: Vec<&String> = names.iter().collect();
            names.sort_unstable();
            for name in names {
                match (EntityId::new(entity), LimitScope::try_from(name.as_str())) {
                    (Ok(id), Ok(scope)) => {
                        if manifest.entities.get(&id).is_none_or(|scopes| !scopes.contains_key(&scope)) {
                            let switch = DeclaredSwitch::of(None, declared(&before, &id, &scope));
                            let item = Item::Entity(id, scope);
                            all.items.push(Declared { item, managed: true, content: None, switch });
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

impl Compared {
    /// The change that this item needs, if any.
    pub(super) fn change(&self) -> Option<Change> {
        let nothing = Content::default();
        let (action, from, to) = match (&self.stored, &self.declared) {
            // An absent item needs no removal.
            (Stored::Absent, None) => return None,
            // A section without anything in it is what a missing item says, too.
            (Stored::Absent, Some(declared)) if *declared == nothing => return self.adopted(),
            (Stored::Absent, Some(declared)) => (Action::Create, &nothing, declared),
            (Stored::Content(stored), Some(declared)) if stored == declared => return self.adopted(),
            (Stored::Content(stored), Some(declared)) => (Action::Update, stored, declared),
            (Stored::Content(stored), None) => (Action::Delete, stored, &nothing),
            (Stored::Broken(problem), declared) => {
                let action = if declared.is_some() { Action::Update } else { Action::Delete };
                let broken = Difference { name: "item".to_owned(), from: Some(problem.clone()), to: None };
                let mut change = self.changed(action, &nothing, declared.as_ref().unwrap_or(&nothing));
                change.attributes.insert(0, broken);
                return Some(change);
            }
        };
        Some(self.changed(action, from, to))
    }

    /// Returns true if the switch is declared, and is stored as it is declared.
    pub(super) fn asserts_switch(&self) -> bool {
        let stored = match &self.stored {
            Stored::Content(stored) => stored.access,
            Stored::Absent | Stored::Broken(_) => None,
        };
        stored.is_some() && self.switch == DeclaredSwitch::Wanted(stored)
    }

    fn adopted(&self) -> Option<Change> {
        let nothing = Content::default();
        (!self.managed).then(|| self.changed(Action::Adopt, &nothing, &nothing))
    }

    fn changed(&self, action: Action, from: &Content, to: &Content) -> Change {
        Change { action, level: self.item.level(), target: self.item.target(), attributes: differences(from, to) }
    }
}

fn differences(from: &Content, to: &Content) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut compare = |name: String, from: Option<String>, to: Option<String>| {
        if from != to {
            found.push(Difference { name, from, to });
        }
    };
    let policy = |content: &Content| content.on_unavailable.map(|policy| policy.as_str().to_owned());
    compare("on_unavailable".to_owned(), policy(from), policy(to));
    let access = |content: &Content| content.access.map(|access| access.as_str().to_owned());
    compare("access".to_owned(), access(from), access(to));
    let limits = |content: &Content| content.limits.iter().flat_map(|set| set.iter().cloned()).collect::<Vec<_>>();
    let (from, to) = (limits(from), limits(to));
    let mut names: Vec<&str> = from.iter().chain(&to).map(|limit| limit.name().as_str()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let of = |limits: &[Limit]| limits.iter().find(|limit| limit.name().as_str() == name).cloned();
        let (from, to) = (of(&from), of(&to));
        for (field, value) in [
            ("capacity", Limit::capacity as fn(&Limit) -> u64),
            ("refill_amount", Limit::refill_amount),
            ("refill_period", |limit| limit.refill_period().as_secs()),
        ] {
            let shown = |limit: &Option<Limit>| limit.as_ref().map(|limit| value(limit).to_string());
            compare(format!("{name}.{field}"), shown(&from), shown(&to));
        }
    }
    found
}

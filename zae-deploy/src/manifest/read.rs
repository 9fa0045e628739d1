//! From a tree to a checked manifest. Every problem is collected, so that one run shows them all.

use std::collections::{BTreeMap, btree_map};

use zae_limiter::{EntityId, LimitScope, NamespaceName, StoredPolicy, ValidationError};

use super::{
    Manifest, Section, SystemSection,
    node::{Entry, Node, Value},
    problem::{ManifestError, Place, Problem},
};
use crate::resource_name;

/// The way that the keys of a document are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// `refill_amount`, as in a file.
    Snake,
    /// `RefillAmount`, as in the properties of a CloudFormation resource, where every number arrives as text.
    Camel,
}

/// The keys with a meaning, in both spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Namespace,
    System,
    Resources,
    Entities,
    Limits,
    Disabled,
    Cascade,
    OnUnavailable,
    Capacity,
    RefillAmount,
    RefillPeriod,
    Burst,
    Soft,
    ResetSchedule,
    ResetAfterSeconds,
    Schedule,
    Cron,
    Tz,
    Scale,
    RefillPeriodSeconds,
    /// A key that CloudFormation and the resource's own addressing need beside the manifest.
    Envelope(&'static str),
}

const ROOT: &[Key] = &[Key::Namespace, Key::System, Key::Resources, Key::Entities];
const ENVELOPE: &[Key] = &[
    Key::Envelope("ServiceToken"),
    Key::Envelope("ServiceTimeout"),
    Key::Envelope("TableName"),
    Key::Envelope("NamespaceId"),
];
const SYSTEM: &[Key] = &[Key::OnUnavailable, Key::Limits];
pub(super) const RESOURCE: &[Key] = &[Key::Limits, Key::Disabled, Key::Cascade];
const ENTITY: &[Key] = &[Key::Resources];

impl Key {
    pub(super) fn spelled(self, spelling: Spelling) -> &'static str {
        let (snake, camel) = match self {
            Self::Namespace => ("namespace", "Namespace"),
            Self::System => ("system", "System"),
            Self::Resources => ("resources", "Resources"),
            Self::Entities => ("entities", "Entities"),
            Self::Limits => ("limits", "Limits"),
            Self::Disabled => ("disabled", "Disabled"),
            Self::Cascade => ("cascade", "Cascade"),
            Self::OnUnavailable => ("on_unavailable", "OnUnavailable"),
            Self::Capacity => ("capacity", "Capacity"),
            Self::RefillAmount => ("refill_amount", "RefillAmount"),
            Self::RefillPeriod => ("refill_period", "RefillPeriod"),
            Self::Burst => ("burst", "Burst"),
            Self::Soft => ("soft", "Soft"),
            Self::ResetSchedule => ("reset_schedule", "ResetSchedule"),
            Self::ResetAfterSeconds => ("reset_after_seconds", "ResetAfterSeconds"),
            Self::Schedule => ("schedule", "Schedule"),
            Self::Scale => ("scale", "Scale"),
            Self::RefillPeriodSeconds => ("refill_period_seconds", "RefillPeriodSeconds"),
            Self::Cron => ("cron", "Cron"),
            Self::Tz => ("tz", "Tz"),
            Self::Envelope(name) => (name, name),
        };
        if spelling == Spelling::Snake { snake } else { camel }
    }
}

/// Reads and checks a whole document.
pub(super) fn read(root: &Node, spelling: Spelling) -> Result<Manifest, ManifestError> {
    let mut reader = Reader { spelling, problems: Vec::new() };
    let manifest = reader.manifest(root);
    if reader.problems.is_empty() { Ok(manifest) } else { Err(ManifestError::new(reader.problems)) }
}

pub(super) struct Reader {
    pub(super) spelling: Spelling,
    pub(super) problems: Vec<Problem>,
}

/// A place in the document: the keys that lead there.
#[derive(Clone, Copy)]
pub(super) struct Path<'a> {
    up: Option<&'a Path<'a>>,
    key: &'a str,
}

impl Path<'_> {
    const ROOT: Path<'static> = Path { up: None, key: "" };

    pub(super) fn at<'a>(&'a self, key: &'a str) -> Path<'a> {
        Path { up: Some(self), key }
    }

    fn text(&self) -> String {
        match self.up {
            Some(up) if up.up.is_some() => format!("{}.{}", up.text(), self.key),
            _ => self.key.to_owned(),
        }
    }
}

impl Reader {
    pub(super) fn problem(&mut self, place: Option<Place>, path: &Path<'_>, message: impl Into<String>) {
        self.problems.push(Problem { place, path: path.text(), message: message.into() });
    }

    fn manifest(&mut self, root: &Node) -> Manifest {
        let path = Path::ROOT;
        let mut manifest = Manifest::default();
        let mut allowed = ROOT.to_vec();
        if self.spelling == Spelling::Camel {
            allowed.extend(ENVELOPE);
        }
        let Value::Map(_) = root.value else {
            let found = root.value.kind();
            let message = format!("a manifest is a mapping with `system`, `resources` and `entities`, this is {found}");
            self.problem(root.place, &path, message);
            return manifest;
        };
        for (key, entry) in self.known(root, &path, &allowed) {
            let path = path.at(&entry.key);
            match key {
                Key::Namespace => manifest.namespace = self.namespace(&entry.value, &path),
                Key::System => manifest.system = Some(self.system(&entry.value, &path)),
                Key::Resources => {
                    let name = resource_name::named;
                    manifest.resources = self.by_name(&entry.value, &path, name, Self::resource);
                }
                Key::Entities => {
                    let id = |id: &str| EntityId::new(id);
                    manifest.entities =
                        self.by_name(&entry.value, &path, id, |r, node, path| Some(r.entity(node, path)));
                }
                _ => {}
            }
        }
        manifest.entities.retain(|_, scopes| !scopes.is_empty());
        manifest
    }

    fn namespace(&mut self, node: &Node, path: &Path<'_>) -> Option<NamespaceName> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Whole(number) => number.to_string(),
            Value::Null => return None,
            other => {
                let found = other.kind();
                self.problem(node.place, path, format!("a namespace is text, this is {found}"));
                return None;
            }
        };
        self.valid(NamespaceName::new(text), node.place, path)
    }

    fn system(&mut self, node: &Node, path: &Path<'_>) -> SystemSection {
        let mut system = SystemSection::default();
        for (key, entry) in self.known(node, path, SYSTEM) {
            let path = path.at(&entry.key);
            match key {
                Key::Limits => system.limits = self.limits(&entry.value, &path),
                Key::OnUnavailable => system.on_unavailable = self.policy(&entry.value, &path),
                _ => {}
            }
        }
        system
    }

    fn policy(&mut self, node: &Node, path: &Path<'_>) -> Option<StoredPolicy> {
        match &node.value {
            Value::Text(text) if text == "allow" => Some(StoredPolicy::Allow),
            Value::Text(text) if text == "block" => Some(StoredPolicy::Block),
            Value::Null => None,
            Value::Text(text) => {
                let near = nearest(text, ["allow", "block"].into_iter());
                self.problem(node.place, path, format!("must be `allow` or `block`, this is `{text}`{near}"));
                None
            }
            other => {
                let found = other.kind();
                self.problem(node.place, path, format!("must be `allow` or `block`, this is {found}"));
                None
            }
        }
    }

    fn entity(&mut self, node: &Node, path: &Path<'_>) -> BTreeMap<LimitScope, Section> {
        let mut scopes = BTreeMap::new();
        for (key, entry) in self.known(node, path, ENTITY) {
            if key == Key::Resources {
                let path = path.at(&entry.key);
                let scope = resource_name::scope;
                scopes = self.by_name(&entry.value, &path, scope, Self::resource);
            }
        }
        scopes
    }

    /// A mapping whose keys are names of the user's choice. Nothing at all counts as an empty one.
    pub(super) fn by_name<K: Ord, V>(
        &mut self,
        node: &Node,
        path: &Path<'_>,
        parse: impl Fn(&str) -> Result<K, ValidationError>,
        read: impl Fn(&mut Self, &Node, &Path<'_>) -> Option<V>,
    ) -> BTreeMap<K, V> {
        let mut found = BTreeMap::new();
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                let found = other.kind();
                self.problem(node.place, path, format!("must be a mapping of names, this is {found}"));
                &[]
            }
        };
        for entry in entries {
            let path = path.at(&entry.key);
            let key = self.valid(parse(&entry.key), entry.place, &path);
            let value = read(self, &entry.value, &path);
            let (Some(key), Some(value)) = (key, value) else { continue };
            match found.entry(key) {
                btree_map::Entry::Vacant(vacant) => {
                    vacant.insert(value);
                }
                btree_map::Entry::Occupied(_) => self.problem(entry.place, &path, "is given twice"),
            }
        }
        found
    }

    /// The entries with a meaning here, each at most once. Everything else is a problem.
    pub(super) fn known<'n>(&mut self, node: &'n Node, path: &Path<'_>, allowed: &[Key]) -> Vec<(Key, &'n Entry)> {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            other => {
                let keys: Vec<String> = allowed.iter().map(|key| format!("`{}`", key.spelled(self.spelling))).collect();
                let message = format!("must be a mapping with {}, this is {}", keys.join(", "), other.kind());
                self.problem(node.place, path, message);
                &[]
            }
        };
        let mut known: Vec<(Key, &Entry)> = Vec::new();
        for entry in entries {
            let key = allowed.iter().find(|key| key.spelled(self.spelling) == entry.key);
            match key {
                Some(key) if known.iter().any(|(seen, _)| seen == key) => {
                    self.problem(entry.place, &path.at(&entry.key), "is given twice");
                }
                Some(key) => known.push((*key, entry)),
                None => {
                    let names = allowed.iter().map(|key| key.spelled(self.spelling));
                    let near = nearest(&entry.key, names.clone());
                    let hint = if near.is_empty() {
                        format!("; known here: {}", names.collect::<Vec<_>>().join(", "))
                    } else {
                        near
                    };
                    self.problem(entry.place, path, format!("unknown key `{}`{hint}", entry.key));
                }
            }
        }
        known
    }

    pub(super) fn valid<T>(
        &mut self,
        value: Result<T, ValidationError>,
        place: Option<Place>,
        path: &Path<'_>,
    ) -> Option<T> {
        value.map_err(|error| self.problem(place, path, error.to_string())).ok()
    }
}

/// `; did you mean …?` when one of `known` is close to what was written, else nothing.
pub(super) fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let scored = known.map(|known| (strsim::jaro_winkler(&plain(written), &plain(known)), known));
    match scored.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((score, known)) if score >= 0.8 => format!("; did you mean `{known}`?"),
        _ => String::new(),
    }
}

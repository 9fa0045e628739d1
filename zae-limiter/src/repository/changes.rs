//! Changes made here since limits were read: they make such a reading out of date, however recent it is.
//!
//! Each change gets a number, and each reading of limits remembers the number it started at. A reading is out of date
//! if a later change concerns its entity or, for resources and the system, everybody. Comparing numbers instead of
//! removing entries also catches the read that was under way during the change. For a few seconds after a change, reads
//! are strongly consistent, because a replica may not have it yet.
//!
//! In numbers: a read of `key-1` begins when 7 changes are known, so it has *seen* 7. While it is under way its limits
//! are changed, as change 8. When the read comes back it is remembered with 7, and 7 < 8, so the next acquire reads
//! again. Removing the entry on change 8 would not have helped: it was not there yet.
//!
//! Four numbers per process and one for each entity with a recent change are all that is kept. If there are too many of
//! those, the oldest becomes a change of everything, which costs reads and never a stale limit.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
};

use moka::{notification::RemovalCause, sync::Cache};

use crate::{
    model::name::{EntityId, NamespaceId},
    store::Consistency,
};

/// Number of entities whose last change is tracked by itself; beyond that, all readings before the oldest of them count
/// as old.
const MAX_ENTITIES: u64 = 10_000;
/// Time after a change in which a read of any replica may still miss it, in ms; usually it is well below a second.
const SETTLING_MS: i64 = 5_000;

/// The changes made through the repositories that share it.
///
/// Dropping a cache's entry is not enough: a read that was under way during the change would put the old limits back,
/// for as long as they are believed.
#[derive(Debug)]
pub(crate) struct Changes {
    /// The number of the last change.
    count: AtomicU64,
    /// Number of changes that can be seen here.
    noted: AtomicU64,
    /// When that was, epoch ms.
    last_ms: AtomicI64,
    /// The last change that concerns everybody.
    everything: Arc<AtomicU64>,
    /// The last change of each entity, made with the first: most processes make none.
    entities: OnceLock<Cache<(NamespaceId, EntityId), u64>>,
}

impl Changes {
    /// Starts without changes.
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            noted: AtomicU64::new(0),
            last_ms: AtomicI64::new(i64::MIN),
            everything: Arc::default(),
            entities: OnceLock::new(),
        }
    }

    /// The cache, made with the first change.
    fn entities(&self) -> &Cache<(NamespaceId, EntityId), u64> {
        self.entities.get_or_init(|| {
            let forgotten = Arc::clone(&self.everything);
            let entities = Cache::builder().max_capacity(MAX_ENTITIES).eviction_listener(move |_, change, cause| {
                if cause == RemovalCause::Size {
                    forgotten.fetch_max(change, SeqCst);
                }
            });
            entities.build()
        })
    }

    /// The changes so far: what a reading that starts now has seen.
    pub(crate) fn seen(&self) -> u64 {
        self.count.load(SeqCst)
    }

    /// Notes a change that concerns everybody: of a resource, the system, or a namespace.
    pub(crate) fn of_everything(&self, now_ms: i64) {
        self.everything.fetch_max(self.next(now_ms), SeqCst);
        self.noted.fetch_add(1, SeqCst);
    }

    /// Notes a change that concerns one entity.
    pub(crate) fn of_entity(&self, namespace: &NamespaceId, entity: &EntityId, now_ms: i64) {
        self.entities().insert((namespace.clone(), entity.clone()), self.next(now_ms));
        self.noted.fetch_add(1, SeqCst);
    }

    /// Grows with every change, once [`since`](Changes::since) knows of it: as long as it stays the same, so do the
    /// answers.
    pub(crate) fn noted(&self) -> u64 {
        self.noted.load(SeqCst)
    }

    /// Returns true if a reading that had seen the first `seen` changes lacks one that concerns `entity`.
    pub(crate) fn since(&self, seen: u64, namespace: &NamespaceId, entity: &EntityId) -> bool {
        let own = || {
            let entities = self.entities.get()?;
            entities.get(&(namespace.clone(), entity.clone()))
        };
        seen < self.everything.load(SeqCst) || own().is_some_and(|change| seen < change)
    }

    /// Returns true if a reading that had seen the first `seen` changes lacks one that concerns everybody.
    pub(crate) fn of_everything_since(&self, seen: u64) -> bool {
        seen < self.everything.load(SeqCst)
    }

    /// Returns the consistency to read with so that no change made here is missed.
    pub(crate) fn consistency(&self, now_ms: i64) -> Consistency {
        let age = now_ms.saturating_sub(self.last_ms.load(SeqCst));
        if age < SETTLING_MS { Consistency::Strong } else { Consistency::Eventual }
    }

    /// Numbers a change.
    fn next(&self, now_ms: i64) -> u64 {
        self.last_ms.store(now_ms, SeqCst);
        self.count.fetch_add(1, SeqCst) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_an_entity_makes_its_own_readings_old_and_no_others() {
        let (changes, ns) = (Changes::new(), NamespaceId::new("AAAAAAAAAAA").unwrap());
        let [one, two] = ["one", "two"].map(|id| EntityId::new(id).unwrap());
        let before = changes.seen();
        changes.of_entity(&ns, &one, 0);
        assert!(changes.since(before, &ns, &one));
        assert!(!changes.since(before, &ns, &two));
        assert!(!changes.since(before, &NamespaceId::new("BBBBBBBBBBB").unwrap(), &one));
        let between = changes.seen();
        changes.of_everything(0);
        assert!(changes.since(between, &ns, &one) && changes.since(between, &ns, &two));
        assert!(!changes.since(changes.seen(), &ns, &one));
    }

    #[test]
    fn what_is_forgotten_counts_as_a_change_of_everything() {
        let (changes, ns) = (Changes::new(), NamespaceId::new("AAAAAAAAAAA").unwrap());
        let entity = |number: u64| EntityId::new(format!("e{number}")).unwrap();
        let before = changes.seen();
        for number in 0..2 * MAX_ENTITIES {
            changes.of_entity(&ns, &entity(number), 0);
        }
        changes.entities().run_pending_tasks();
        assert!((0..2 * MAX_ENTITIES).all(|number| changes.since(before, &ns, &entity(number))));
    }

    #[test]
    fn reads_soon_after_a_change_are_strong() {
        let changes = Changes::new();
        assert_eq!(changes.consistency(0), Consistency::Eventual);
        changes.of_everything(10_000);
        assert_eq!(changes.consistency(14_999), Consistency::Strong);
        assert_eq!(changes.consistency(15_000), Consistency::Eventual);
    }
}

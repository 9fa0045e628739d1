//! A cache of the limits and lanes of the busiest callers, without waiting: [`Front`].
//!
//! Many acquires of a few hundred keys need the same limits and lanes each time. The repository's cache takes an
//! asynchronous lookup, a clone of three names for its key, and bookkeeping of recent use. This cache takes one hash,
//! one read lock of a slot, and a comparison. A slot keeps its latest caller; two busy callers that share a slot evict
//! each other and use the larger cache, which is why there are many slots and the hash is seeded.

use std::{
    hash::BuildHasher,
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::{SharedSeed, fast::SeedableRandomState};

use crate::{
    engine::acquire::resolve::ResolvedTargets,
    model::{
        limit::Limits,
        name::{EntityId, ResourceName},
    },
};

/// Bounds the number of entities in the cache.
const MAX_SLOTS: u64 = 4_096;
/// An entry keeps its lanes alive, so the number of entries is at most this fraction of the remembered lanes.
const PART_OF_LANES: u64 = 8;

/// The data for an entity's acquires of a resource.
#[derive(Debug)]
struct FrontEntry {
    /// Limits and lanes.
    resolved: Arc<ResolvedTargets>,
    /// The defaults with which it was resolved.
    default_limits: Option<Limits>,
}

/// A cache with one slot for each hash, which holds its latest caller. It is therefore bounded, and a lookup takes one
/// lock and one comparison; a caller whose slot holds another one uses the larger caches behind it.
#[derive(Debug)]
pub(crate) struct Front {
    /// Determines the slot of a caller.
    hasher: SeedableRandomState,
    /// One caller each.
    slots: Box<[RwLock<Option<FrontEntry>>]>,
}

impl Front {
    /// Creates an empty cache; the slots depend on `seed`.
    pub(crate) fn new(max_lanes: u64, seed: u64) -> Self {
        let slots = (max_lanes / PART_OF_LANES).clamp(1, MAX_SLOTS);
        let hasher = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Self { hasher, slots: (0..slots).map(|_| RwLock::default()).collect() }
    }

    /// Returns the slot of a caller.
    #[inline]
    fn slot(&self, entity: &EntityId, resource: &ResourceName) -> &RwLock<Option<FrontEntry>> {
        let hash = self.hasher.hash_one((entity, resource));
        &self.slots[usize::try_from(hash % self.slots.len() as u64).unwrap_or(0)]
    }

    /// Returns the targets resolved for this entity and resource with these defaults.
    #[inline]
    pub(crate) fn get(
        &self,
        entity: &EntityId,
        resource: &ResourceName,
        default_limits: Option<&Limits>,
    ) -> Option<Arc<ResolvedTargets>> {
        let slot = self.slot(entity, resource).read().unwrap_or_else(PoisonError::into_inner);
        let known = slot.as_ref()?;
        let child = &known.resolved.child;
        let same_defaults = match (&known.default_limits, default_limits) {
            (None, None) => true,
            (Some(known), Some(given)) => known.same(given),
            _ => false,
        };
        (child.entity() == entity && child.resource() == resource && same_defaults).then(|| Arc::clone(&known.resolved))
    }

    /// Stores resolved targets.
    pub(crate) fn put(&self, resolved: Arc<ResolvedTargets>, default_limits: Option<Limits>) {
        let slot = self.slot(resolved.child.entity(), resolved.child.resource());
        *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(FrontEntry { resolved, default_limits });
    }
}

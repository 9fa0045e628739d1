//! The limits and lanes of those who acquire most, found without waiting: [`Front`].
//!
//! Many acquires of a few hundred keys find the same limits and lanes each time. The repository's cache answers that
//! with an asynchronous lookup, a clone of three names for its key, and bookkeeping of what was used last. Here it is
//! one hash, one read lock of a slot, and a comparison. A slot keeps whoever came last; two busy callers that share one
//! evict each other and pay for the larger cache, which is why slots are many and the hash is seeded.

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
/// An entry keeps its lanes alive, so there are at most this part of those that are remembered beside it.
const PART_OF_LANES: u64 = 8;

/// The data that an entity's acquires for a resource need.
#[derive(Debug)]
struct FrontEntry {
    /// Limits and lanes.
    resolved: Arc<ResolvedTargets>,
    /// The defaults that it was resolved with.
    default_limits: Option<Limits>,
}

/// A cache with one place for each hash: the last one who came has it. So it is bounded, and a lookup is one lock and
/// one comparison; who finds somebody else in their place asks the larger caches behind it.
#[derive(Debug)]
pub(crate) struct Front {
    /// Tells the slot of a caller.
    hasher: SeedableRandomState,
    /// One caller each.
    slots: Box<[RwLock<Option<FrontEntry>>]>,
}

impl Front {
    /// The places depend on `seed`.
    pub(crate) fn new(max_lanes: u64, seed: u64) -> Self {
        let slots = (max_lanes / PART_OF_LANES).clamp(1, MAX_SLOTS);
        let hasher = SeedableRandomState::with_seed(seed, SharedSeed::global_fixed());
        Self { hasher, slots: (0..slots).map(|_| RwLock::default()).collect() }
    }

    /// The slot of a caller.
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

    /// Remembers what was resolved.
    pub(crate) fn put(&self, resolved: Arc<ResolvedTargets>, default_limits: Option<Limits>) {
        let slot = self.slot(resolved.child.entity(), resolved.child.resource());
        *slot.write().unwrap_or_else(PoisonError::into_inner) = Some(FrontEntry { resolved, default_limits });
    }
}

//! The owner of a bucket: [`Owner`], as copied onto the bucket, and the stamp that tells which of two copies is newer.
//!
//! A bucket's copy says who is charged, to clients that remember nothing else. Generations of one creation of an
//! entity are ordered: each move to another parent is one more. Where an entity was deleted and created again, the
//! creation of the later one is the greater generation, because it is the time of it.

use std::sync::Arc;

/// An entity's place in the hierarchy.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Owner {
    /// True if its acquires also charge the parent.
    pub(crate) cascade: bool,
    /// The parent.
    pub(crate) parent: Option<Arc<str>>,
    /// The state of the entity that this is a copy of; `None` where there is no record of the entity, and on buckets
    /// that older clients wrote.
    pub(crate) stamp: Option<OwnerStamp>,
}

/// A state of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnerStamp {
    /// The creation of the entity that it is of.
    pub(crate) incarnation: Arc<str>,
    /// Grows with each move.
    pub(crate) generation: i64,
}

impl Owner {
    /// Returns true if a bucket whose copy is `seen` is to be given this one.
    pub(crate) fn replaces(&self, seen: &Self) -> bool {
        let is_newer = match (&self.stamp, &seen.stamp) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(seen)) => own.generation >= seen.generation,
        };
        is_newer && self != seen
    }

    /// Returns true if `seen` charges otherwise than this, and may be the newer one.
    pub(crate) fn is_doubted_by(&self, seen: &Self) -> bool {
        let is_older = match (&self.stamp, &seen.stamp) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(seen)) => seen.generation < own.generation,
        };
        !is_older && self.charged() != seen.charged()
    }

    /// The parent that is charged.
    pub(crate) fn charged(&self) -> Option<&Arc<str>> {
        self.parent.as_ref().filter(|_| self.cascade)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(parent: &str, stamp: Option<(&str, i64)>) -> Owner {
        let stamp = stamp.map(|(incarnation, generation)| OwnerStamp { incarnation: incarnation.into(), generation });
        Owner { cascade: true, parent: Some(parent.into()), stamp }
    }

    #[test]
    fn a_copy_is_replaced_by_no_older_one() {
        for (own, seen, replaces, doubts) in [
            (owner("p", None), owner("p", None), false, false),
            (owner("p", None), owner("q", None), true, false),
            (owner("p", Some(("a", 0))), owner("p", None), true, false),
            (owner("p", None), owner("q", Some(("a", 0))), false, true),
            (owner("p", None), owner("p", Some(("a", 0))), false, false),
            (owner("p", Some(("a", 2))), owner("q", Some(("a", 1))), true, false),
            (owner("p", Some(("a", 1))), owner("q", Some(("a", 2))), false, true),
            // Of one generation: a policy was changed, before or after ours was read.
            (owner("p", Some(("a", 1))), owner("q", Some(("a", 1))), true, true),
            (owner("p", Some(("b", 9))), owner("q", Some(("a", 3))), true, false),
            (owner("p", Some(("a", 3))), owner("q", Some(("b", 9))), false, true),
        ] {
            assert_eq!((own.replaces(&seen), own.is_doubted_by(&seen)), (replaces, doubts), "{own:?} {seen:?}");
        }
        let child_alone = Owner { cascade: false, ..owner("q", Some(("a", 2))) };
        assert!(owner("p", Some(("a", 1))).is_doubted_by(&child_alone), "nobody else is charged any more");
    }
}

//! A small interner: the most recent equal values share allocations ([`Interner`]).
//!
//! Thousands of entities have the same few sets of limits, each read from its own item. Sharing them saves memory, and
//! makes "are these the same limits?" a comparison of pointers when two lanes, a front's slot or a queue compare them.
//! Sixteen values in a list are faster than a hash map at this size, and the list needs no eviction: used values move
//! to the front and the last drops out.

use std::sync::{Mutex, PoisonError};

/// Bounds the number of values it compares with. Most entities have one of a few sets of limits.
const KEPT: usize = 16;

/// The most recently seen values, shared by all who have equal ones.
#[derive(Debug)]
pub(crate) struct Interner<T>(Mutex<Vec<T>>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(Mutex::new(Vec::new()))
    }
}

impl<T: Clone> Interner<T> {
    /// Returns a recent value that is the `same` as `value`, otherwise `value`.
    pub(crate) fn intern(&self, value: T, same: impl Fn(&T, &T) -> bool) -> T {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = values.iter().position(|known| same(known, &value)) {
            values[..=index].rotate_right(1);
            return values[0].clone();
        }
        values.truncate(KEPT - 1);
        values.insert(0, value.clone());
        value
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn equal_values_become_the_same_until_they_were_not_seen_for_long() {
        let recent = Interner::default();
        let intern = |value: usize| recent.intern(Arc::new(value), |a, b| a == b);
        let first = intern(0);
        for value in 1..KEPT {
            intern(value);
            assert!(Arc::ptr_eq(&first, &intern(0)), "seen between {KEPT} others");
        }
        for value in 1..=KEPT {
            intern(value);
        }
        assert!(!Arc::ptr_eq(&first, &intern(0)), "others came since");
    }
}

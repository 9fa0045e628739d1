//! A bounded cache that allocates nothing until its first entry: [`LazyCache`].

use std::{fmt, hash::Hash, sync::OnceLock};

use moka::sync::Cache;

/// A bounded cache that allocates its tables with the first entry. Many limiters never use all of their caches, and an
/// empty one takes tens of kibibytes.
pub(crate) struct LazyCache<K, V> {
    /// The cache, made with the first entry.
    entries: OnceLock<Cache<K, V>>,
    /// Number of entries that it keeps at the most.
    most: u64,
}

impl<K, V> fmt::Debug for LazyCache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LazyCache").field("most", &self.most).finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Send + Sync + 'static, V: Clone + Send + Sync + 'static> LazyCache<K, V> {
    /// Creates a cache of at most `most` entries.
    pub(crate) fn new(most: u64) -> Self {
        Self { entries: OnceLock::new(), most }
    }

    /// Returns a copy of the entry; `None` also where none was ever made.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.entries.get()?.get(key)
    }

    /// Adds an entry, or replaces it.
    pub(crate) fn insert(&self, key: K, value: V) {
        self.entries.get_or_init(|| Cache::new(self.most)).insert(key, value);
    }

    /// Removes an entry, if it is there.
    pub(crate) fn remove(&self, key: &K) {
        if let Some(entries) = self.entries.get() {
            entries.invalidate(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_or_removed_takes_no_memory_before_something_is_put_there() {
        let cache = LazyCache::new(10);
        assert_eq!(cache.get(&1), None);
        cache.remove(&1);
        assert!(cache.entries.get().is_none());
        cache.insert(1, "one");
        assert_eq!(cache.get(&1), Some("one"));
        cache.remove(&1);
        assert_eq!(cache.get(&1), None);
    }
}

//! The memory that buffered bodies may take in all: [`BodyBudget`].
//!
//! Extractors hold bodies in memory until the handler is done with them. A per-body limit alone would let many slow
//! uploads add up, so their buffers are paid for by a common budget, by capacity, as they grow. When it is used up,
//! further bodies are refused with 503 until others are done.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Maximum size of all buffered bodies of a program together, in bytes, unless a layer has a budget of its own.
pub const DEFAULT_BODY_BUDGET: usize = 256 * 1024 * 1024;

static SHARED: LazyLock<BodyBudget> = LazyLock::new(|| BodyBudget::new(DEFAULT_BODY_BUDGET));

/// Bounds the bytes that the bodies read by extractors may take together, over all requests; see
/// [`ZaeLimit::body_budget`](crate::ZaeLimit::body_budget). A body counts as long as it is in memory, its handler's
/// time included. Clones are the same budget, so that several layers can share one.
///
/// ```
/// use zae_tower::extract::BodyBudget;
/// let budget = BodyBudget::new(64 * 1024 * 1024);
/// assert_eq!((budget.used(), budget.size()), (0, 64 * 1024 * 1024));
/// ```
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    size: usize,
    used: AtomicUsize,
}

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Counts { size: bytes, used: AtomicUsize::new(0) }))
    }

    /// The one that all layers without one of their own share, of [`DEFAULT_BODY_BUDGET`] bytes.
    pub(crate) fn shared() -> Self {
        SHARED.clone()
    }

    /// Returns the number of bytes in use.
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    /// Returns the size of the budget, in bytes.
    pub fn size(&self) -> usize {
        self.0.size
    }

    fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.0.size);
        self.0.used.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

/// A buffer whose capacity is paid for by a budget, until it is dropped.
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    paid: usize,
    budget: BodyBudget,
}

/// The budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsedUp;

impl Buffer {
    pub(super) fn new(budget: BodyBudget) -> Self {
        Self { bytes: Vec::new(), paid: 0, budget }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends `data`. The buffer grows to twice its size, and never beyond `most` where that is enough.
    pub(super) fn push(&mut self, data: &[u8], most: usize) -> Result<(), UsedUp> {
        let needed = self.bytes.len() + data.len();
        if needed > self.paid {
            let capacity = needed.max((2 * self.paid).min(most));
            if !self.budget.take(capacity - self.paid) {
                return Err(UsedUp);
            }
            self.paid = capacity;
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Gives back what was reserved and is not needed.
    pub(super) fn shrunk(mut self) -> Self {
        self.bytes.shrink_to_fit();
        let surplus = self.paid - self.bytes.len();
        self.paid -= surplus;
        self.budget.0.used.fetch_sub(surplus, Relaxed);
        self
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.budget.0.used.fetch_sub(self.paid, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_buffer_costs_its_capacity_and_a_body_its_bytes() {
        let budget = BodyBudget::new(10_000);
        let mut buffer = Buffer::new(budget.clone());
        for _ in 0..1_000 {
            buffer.push(b"12345", 5_000).unwrap();
            assert!(buffer.bytes.capacity() <= budget.used() && budget.used() <= 5_000);
        }
        let body = Bytes::from_owner(buffer.shrunk());
        let part = body.slice(10..20);
        drop(body);
        assert_eq!(budget.used(), 5_000, "the slice keeps the whole");
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn nobody_gets_more_than_there_is() {
        let budget = BodyBudget::new(10);
        let mut first = Buffer::new(budget.clone());
        first.push(b"1234567", 7).unwrap();
        let mut second = Buffer::new(budget.clone());
        assert_eq!(second.push(b"1234", 4), Err(UsedUp));
        assert_eq!(second.push(b"123", 3), Ok(()));
        assert_eq!((budget.used(), first.push(b"8", 8)), (10, Err(UsedUp)));
        drop((first, second));
        assert_eq!(budget.used(), 0);
    }
}

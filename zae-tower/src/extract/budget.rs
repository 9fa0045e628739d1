//! The total memory for buffered bodies: [`BodyBudget`].
//!
//! Extractors hold bodies in memory until the handler is done with them. With a limit per body alone, many slow uploads
//! would add up. Their buffers therefore draw on a shared budget as their capacity grows. While it is used up, further
//! bodies are refused with 503.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Maximum total size of a program's buffered bodies, in bytes, for layers without a budget of their own.
pub const DEFAULT_BODY_BUDGET: usize = 256 * 1024 * 1024;

static SHARED: LazyLock<BodyBudget> = LazyLock::new(|| BodyBudget::new(DEFAULT_BODY_BUDGET));

/// Bounds the bytes that bodies read by extractors may occupy in total, over all requests; see
/// [`ZaeLimit::body_budget`](crate::ZaeLimit::body_budget). A body counts as long as it is in memory, which includes
/// the time in the handler. Clones share the budget, so several layers can use the same one.
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
    /// Creates a budget of that many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(Counts { size: bytes, used: AtomicUsize::new(0) }))
    }

    /// Returns the budget of [`DEFAULT_BODY_BUDGET`] bytes shared by all layers without their own.
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

/// A buffer whose capacity is drawn from a budget until it is dropped.
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

    /// Appends `data`. The buffer doubles in size, but does not exceed `most` if that is sufficient.
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

    /// Returns the reserved but unused capacity.
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

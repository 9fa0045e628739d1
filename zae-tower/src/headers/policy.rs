//! A cache of policy lines: the line is the same in every response until limits change.
//!
//! Building the line costs more than a grant from a reserve, and it only depends on the limits. Each thread therefore
//! keeps the last few lines with their limits, and compares numbers instead of formatting text.

use std::cell::RefCell;

use http::HeaderValue;

use super::standing::Standing;

/// Number of policies kept per thread: most services have a few sets of limits.
const KEPT: usize = 8;

thread_local! {
    /// Least recently used first. Per thread, so that there is no contention.
    static KNOWN: RefCell<Vec<Policy>> = const { RefCell::new(Vec::new()) };
}

/// A policy line, and the limits from which it was built.
#[derive(Debug)]
struct Policy {
    /// The parameters from which the line was built.
    limits: Vec<Parameters>,
    value: HeaderValue,
}

#[derive(Debug)]
struct Parameters {
    /// The limit's name.
    name: Box<str>,
    capacity: u64,
    refill_amount: u64,
    refill_period_seconds: u64,
}

impl Policy {
    /// Returns true if the line was built from these limits, in this order.
    fn is_of(&self, limits: &[&Standing<'_>]) -> bool {
        self.limits.len() == limits.len() && self.limits.iter().zip(limits).all(|(known, limit)| known.are_of(limit))
    }
}

impl Parameters {
    fn of(limit: &Standing<'_>) -> Self {
        let Standing { name, capacity, refill_amount, refill_period_seconds, .. } = *limit;
        Self { name: name.into(), capacity, refill_amount, refill_period_seconds }
    }

    fn are_of(&self, limit: &Standing<'_>) -> bool {
        self.capacity == limit.capacity
            && self.refill_amount == limit.refill_amount
            && self.refill_period_seconds == limit.refill_period_seconds
            && *self.name == *limit.name
    }
}

/// Returns the line for `limits`, built by `make` unless it is in this thread's cache.
pub(super) fn line(limits: &[&Standing<'_>], make: impl FnOnce() -> Option<HeaderValue>) -> Option<HeaderValue> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(index) = known.iter().rposition(|policy| policy.is_of(limits)) {
            let last = known.len() - 1;
            known.swap(index, last);
            return Some(known[last].value.clone());
        }
        let value = make()?;
        if known.len() >= KEPT {
            known.remove(0);
        }
        let limits = limits.iter().map(|limit| Parameters::of(limit)).collect();
        known.push(Policy { limits, value: value.clone() });
        Some(value)
    })
}

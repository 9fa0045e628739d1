//! The policy line of limits that were seen a moment ago: it is the same in every response until limits change.
//!
//! Making the line costs more than a grant from a reserve, and it only depends on the limits. So each thread keeps the
//! last few lines with the limits they were made of, and compares numbers instead of writing text.

use std::cell::RefCell;

use http::HeaderValue;

use super::standing::Standing;

/// Number of policies that a thread keeps: most services have a few sets of limits.
const KEPT: usize = 8;

thread_local! {
    /// The one used last comes last. Kept per thread, so that there is no contention.
    static KNOWN: RefCell<Vec<Policy>> = const { RefCell::new(Vec::new()) };
}

/// A policy line, and the limits that it was made of.
#[derive(Debug)]
struct Policy {
    /// The parameters that the line was made of.
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
    /// Returns true if the line is of these limits, in this order.
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

/// The line for `limits`, made by `make` unless this thread has made it lately.
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

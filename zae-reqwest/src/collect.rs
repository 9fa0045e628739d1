//! Large calls among small ones: [`collect`].
//!
//! Tokens go to the first process that asks, and a small call can ask earlier than a large one: a bucket from which
//! small calls take whatever is refilled never holds enough for a large one. A refused call that takes long to refill,
//! or that others keep overtaking, therefore asks for one token, as the smallest of calls, and takes the rest into
//! [debt](zae_tower::Lease::overdraw). The table shows that debt to all processes, so nothing overtakes it, and the
//! call is sent once refill has paid it: no sooner than its tokens exist.
//!
//! A debt is worth at most [`SLICE`] at a time. After each, the call steps aside for as long, as far as its own time
//! allows, so that the small ones go on, those of its own process included.
//!
//! In numbers: a limit refills 6 000 tokens a second, and a call asks for 30 000 of an empty bucket. It takes one token
//! as soon as there is one, and then 10 000 into debt: nothing else fits for 1.7 s. For 1.7 s others go on, then come
//! the next 10 000, a pause, and the last: the call is sent after some 8 s. By waiting for 30 000 in one piece, it
//! would never be, as long as others keep the bucket below that.
//!
//! The last token of a part is only asked for, not taken into debt: the table's refusal says how long the debt lasts.
//! When that time is over, the token is due, and is written with the settlement.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use zae_tower::{AcquireError, Cost, Lease, zae_limiter::error::RateLimitExceeded};

use crate::{
    admit::{Patience, STORE_RETRY},
    error::CallError,
    wait::{QueuePlace, WaitReason},
};

/// The longest time for which a debt keeps other calls waiting.
const SLICE: Duration = Duration::from_secs(2);
/// A call that takes as long to refill is a large one.
const LARGE: Duration = Duration::from_secs(1);
/// So is one that takes as long and was overtaken as often.
const NOT_SMALL: Duration = Duration::from_millis(100);
const OVERTAKEN: u32 = 6;
/// Tokens that other processes give back may pay a debt early, which is looked for after an eighth of the time, but no
/// more and no less often than this.
const LOOK: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// Counts how often others took the tokens that a call waited for.
#[derive(Debug, Default)]
pub(crate) struct Overtaken {
    times: u32,
    /// The instant at which the tokens should have been there.
    due: Option<Instant>,
}

impl Overtaken {
    /// Notes a refusal, after which the tokens should be there in `left`. Returns the count.
    pub(crate) fn refused(&mut self, left: Duration) -> u32 {
        let now = Instant::now();
        self.times += u32::from(self.due.is_some_and(|due| due <= now));
        self.due = Some(now + left);
        self.times
    }
}

/// A refused call that takes long to refill.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    /// By limit, in whole tokens.
    amounts: Vec<(String, u64)>,
    /// Time in which it is refilled.
    refilled_in: Duration,
}

impl Large {
    /// Returns the call that was refused, if it is a large one; `overtaken` counts how often it was overtaken.
    ///
    /// Its refill time is that of what is missing, scaled to the whole. A cost of a single token cannot be taken in
    /// parts, and fits as soon as anything does.
    pub(crate) fn of(exceeded: &RateLimitExceeded, overtaken: u32) -> Option<Self> {
        let primary = exceeded.primary();
        let refilled_in = primary.retry_after.mul_f64(primary.requested as f64 / primary.deficit().max(1) as f64);
        let mut amounts: Vec<(String, u64)> = Vec::new();
        for status in exceeded.statuses().iter().filter(|status| status.requested > 0) {
            let name = status.limit.name().as_str();
            // A parent's limit of the same name is asked for the same.
            if amounts.iter().all(|(known, _)| known != name) {
                amounts.push((name.to_owned(), status.requested));
            }
        }
        let long = if overtaken >= OVERTAKEN { NOT_SMALL } else { LARGE };
        (primary.requested > 1 && refilled_in >= long).then_some(Self { amounts, refilled_in })
    }

    /// Returns its first part: one token of each limit.
    pub(crate) fn first(&self) -> Cost {
        one_each(&self.amounts)
    }
}

/// Takes the rest of `large` beside the first part that `lease` holds, ahead of calls that come later.
///
/// `place` is at the head of its line: it blocks the line while a debt lasts, and steps aside between two of them.
///
/// Cancel-safe: if it is dropped at any point, what was taken is given back.
pub(crate) async fn collect(
    mut lease: Lease,
    large: Large,
    patience: &mut Patience<'_>,
    place: &mut QueuePlace,
) -> Result<Lease, CallError> {
    let slices = u32::try_from(large.refilled_in.as_millis().div_ceil(SLICE.as_millis())).unwrap_or(u32::MAX).max(1);
    let each = large.refilled_in / slices;
    let mut left: Vec<(String, u64)> = large.amounts.into_iter().map(|(name, amount)| (name, amount - 1)).collect();
    for slices in (1..=slices).rev() {
        left.retain(|(_, amount)| *amount > 0);
        let mut part = left.clone();
        part.iter_mut().for_each(|(_, amount)| *amount = amount.div_ceil(u64::from(slices)));
        left.iter_mut().zip(&part).for_each(|((_, left), (_, part))| *left -= part);
        if part.is_empty() {
            break;
        }
        lease = slice(lease, part, patience, place).await?;
        if slices > 1 {
            // Half of the limit is left to others, unless that would take too long.
            let spare = patience.end.saturating_duration_since(Instant::now()).saturating_sub(each * (slices - 1));
            place.step_aside();
            sleep(each.min(spare / slices)).await;
        }
    }
    Ok(lease)
}

/// Takes `part` into debt but for one token of each limit, and waits until refill has paid it and that token.
async fn slice(
    mut lease: Lease,
    part: Vec<(String, u64)>,
    patience: &mut Patience<'_>,
    place: &mut QueuePlace,
) -> Result<Lease, CallError> {
    let debt = part.iter().filter(|(_, amount)| *amount > 1).map(|(name, amount)| (name, amount - 1));
    if let Some(debt) = cost(debt) {
        lease = overdrawn(lease, debt).await?;
    }
    let mut paid_at: Option<Instant> = None;
    while paid_at.is_none_or(|at| Instant::now() < at) {
        match lease.consume(one_each(&part)).await {
            Ok(()) => return Ok(lease),
            Err(AcquireError::Exceeded(exceeded)) => {
                let at = match paid_at {
                    // Debts that others take later do not count.
                    Some(at) => at,
                    None => {
                        let left = exceeded.retry_after();
                        patience.begin_wait(place, WaitReason::Limit(Arc::new(exceeded)), left, Duration::ZERO)?;
                        *paid_at.insert(Instant::now() + left)
                    }
                };
                let left = at.saturating_duration_since(Instant::now());
                place.wait((left / 8).clamp(LOOK.0, LOOK.1).min(left)).await;
            }
            Err(AcquireError::Unavailable(_)) if Instant::now() < patience.end => sleep(STORE_RETRY).await,
            Err(error) => return Err(CallError::Limiter(error)),
        }
    }
    // The debt is paid, so the last token is due; it is written with the settlement.
    for (name, _) in &part {
        lease.adjust(name, 1).map_err(|error| CallError::Limiter(error.into()))?;
    }
    Ok(lease)
}

/// Takes `debt` in a task of its own, so that the lease gives it back even if the call is dropped meanwhile.
async fn overdrawn(lease: Lease, debt: Cost) -> Result<Lease, CallError> {
    let taken = tokio::spawn(async move { lease.overdraw(debt).await.map(|()| lease) }).await;
    match taken {
        Ok(taken) => taken.map_err(CallError::Limiter),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

/// Returns one token of each limit.
fn one_each(amounts: &[(String, u64)]) -> Cost {
    cost(amounts.iter().map(|(name, _)| (name, 1))).unwrap_or_else(|| Cost::requests(1))
}

/// Returns the cost of these amounts by limit; `None` if there are none.
fn cost<'a>(mut amounts: impl Iterator<Item = (&'a String, u64)>) -> Option<Cost> {
    let (name, amount) = amounts.next()?;
    Some(amounts.fold(Cost::of(name, amount), |cost, (name, amount)| cost.and(name, amount)))
}

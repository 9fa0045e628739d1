//! Splits a bucket that DynamoDB throttles because one item is written too often.
//!
//! A throttled write says which limit it met. Where that is the item's own, the lane starts a task that waits for a
//! random moment, so that of a thousand processes which are throttled together one begins, and most of the others find
//! it done. The task reads all shards, computes the split ([`split`]), and sends it as one transaction. It is refused
//! where a neighbour has refilled a shard in between; after a few such losses, what a shard has gained since its last
//! refill is left for later, which neighbours do not disturb.
//!
//! The process may end between any two calls: a transaction is done or not, and nothing else is written.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout};

use super::{Lane, ask::Ask, lock};
use crate::{
    bucket::{
        incarnation::Incarnation,
        limit_set::LimitSet,
        split::{Credit, MOST_SHARDS, split},
    },
    error::{RepositoryError, StoreError, StoreErrorKind},
    model::{name::LimitName, shards::Shards},
    store::shards,
};

/// The time over which processes that were throttled together spread their first attempts.
const SPREAD: Duration = Duration::from_millis(500);
/// A lane tries to split its bucket once in this time.
const AGAIN: Duration = Duration::from_secs(2);
/// The same for a bucket that cannot be split.
const AGAIN_IF_WHOLE: Duration = Duration::from_secs(10);
/// Attempts at a split.
const TRIES: u32 = 12;
/// Attempts that credit what a shard has gained.
const CREDITING: u32 = 3;
/// The time that the calls of one attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest pause after an attempt that was refused, and after one that was throttled, in ms.
const REFUSED_MS: u64 = 20;
const THROTTLED_MS: u64 = 300;

impl Lane {
    /// Starts a split of the bucket if `error` says that its item is written too often.
    pub(super) fn split_if_hot(self: &Arc<Self>, error: &StoreError, limit_set: &LimitSet, asks: &[Ask]) {
        if self.shared.options.shards != Shards::OnDemand || !error.is_of_key_range() || self.reserve().is_some() {
            return;
        }
        let asked = limit_set.applied.iter().enumerate().map(|(slot, limit)| {
            let most = asks.iter().filter_map(|ask| ask.amounts.get(slot)).max();
            (limit.name.clone(), most.copied().unwrap_or(0))
        });
        let asked: Vec<(LimitName, i64)> = asked.collect();
        let now = Instant::now();
        let known = {
            let mut state = lock(&self.state);
            let known = state.image.as_ref().map_or(1, |image| image.shards());
            if known >= MOST_SHARDS || state.split_again.is_some_and(|again| now < again) {
                return;
            }
            state.split_again = Some(now + AGAIN);
            known
        };
        if let Some(home) = self.shared.home.handle() {
            drop(self.shared.tasks.spawn_on(split_bucket(Arc::clone(self), known, asked), &home));
        }
    }
}

/// Splits the bucket of `lane`, which had `known` shards when it was throttled, unless somebody else does. Ends with
/// the limiter.
async fn split_bucket(lane: Arc<Lane>, known: u32, asked: Vec<(LimitName, i64)>) {
    let work = async {
        sleep(SPREAD.mul_f64(lane.shared.random.of(0.0..1.0))).await;
        for attempt in 0..TRIES {
            if lane.image().is_some_and(|image| image.shards() != known) {
                return;
            }
            // A call that is lost ends the task: the next throttled write starts another.
            let Ok(outcome) = timeout(PATIENCE, attempt_split(&lane, known, &asked, attempt)).await else { return };
            let pause = match outcome {
                Ok(Attempt::Over) => return,
                Ok(Attempt::Refused) => REFUSED_MS,
                Err(RepositoryError::Store(error)) if error.kind() == StoreErrorKind::NotApplied => THROTTLED_MS,
                Err(error) => {
                    let (entity, resource) = (&lane.key.entity, &lane.key.resource);
                    tracing::warn!(%entity, %resource, %error, "a bucket was not split");
                    return;
                }
            };
            sleep(Duration::from_millis(lane.shared.random.of(1..=pause))).await;
        }
    };
    tokio::select! {
        biased;
        () = lane.shared.closing.begun() => {}
        () = work => {}
    }
}

/// The end of one attempt.
enum Attempt {
    /// It is split, or is not to be.
    Over,
    /// Neighbours have written in between.
    Refused,
}

async fn attempt_split(
    lane: &Arc<Lane>,
    known: u32,
    asked: &[(LimitName, i64)],
    attempt: u32,
) -> Result<Attempt, RepositoryError> {
    let (store, namespace) = (&lane.shared.store, &lane.shared.namespace);
    let images = shards::read(store, namespace, &lane.key).await?;
    if images.first().is_none_or(|first| first.shards() != known) {
        return Ok(Attempt::Over);
    }
    let (entity, resource) = (&lane.key.entity, &lane.key.resource);
    let credit = if attempt < CREDITING { Credit::Now } else { Credit::Later };
    let now = lane.shared.clock.now_ms();
    let drawn = || Incarnation::drawn_from(&lane.shared.random);
    let halves = match split(&images, asked, credit, now, drawn) {
        Ok(halves) => halves,
        Err(reason) => {
            tracing::debug!(%entity, %resource, ?reason, "a hot bucket stays as it is");
            lock(&lane.state).split_again = Some(Instant::now() + AGAIN_IF_WHOLE);
            return Ok(Attempt::Over);
        }
    };
    if !shards::split(store, namespace, &lane.key, &halves).await? {
        return Ok(Attempt::Refused);
    }
    tracing::info!(%entity, %resource, shards = known * 2, "a bucket that was written too often is split");
    Ok(Attempt::Over)
}

//! Brings one round of a lane to its end: a write, and another where the image was out of date.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    hold::Hold,
    image::Image,
    lane::{Answer, Ask, Failure, Lane, Pending, Round},
    refuse::{At, answer_refused, booked, in_line, shards, whole},
    round::{Decision, Freshness, Opening, Terms, decide, decide_new},
    send::{self, Outcome},
};
use crate::{
    bucket::{MILLI, Params},
    error::{RepositoryError, StoreError, StoreErrorKind, UnavailableReason},
    model::{name::LimitName, status::LimitStatus},
};

/// How long a write of nothing but settlements may take: nobody waits, so it gets more time than an acquire.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often settlements are tried while the store is busy.
const SETTLE_ATTEMPTS: u32 = 8;
/// How often a round starts over because a neighbour was faster, before the store counts as too contended to ask.
const MAX_LOST: u32 = 64;
/// Lost conditions in a row after which neighbours are given way, by a random pause.
const PATIENCE: u32 = 3;

/// Brings `round` to its end: everybody in it is answered.
pub(crate) async fn drive(lane: &Arc<Lane>, round: Round) {
    let Round { terms, mut asks, mut pending } = round;
    let mut freshness = match lane.image() {
        Some(image) if in_line(&image, &terms) => lane.freshness(),
        _ => Freshness::Stale,
    };
    let (mut lost, mut busy) = (0_u32, 0_u32);
    while !asks.is_empty() || !pending.is_empty() {
        let now = lane.shared.clock.now_ms();
        let timeout = if asks.is_empty() { SETTLE_TIMEOUT } else { lane.shared.options.write_timeout };
        let (outcome, served) = match lane.image() {
            Some(image) => {
                drop_strangers(&mut pending, &image);
                let adjust = booked(&pending);
                let amounts: Vec<&[i64]> = asks.iter().map(|ask| ask.amounts.as_slice()).collect();
                let shards = shards(&asks, &image);
                let decision = decide(&image, &terms, &amounts, &adjust, shards, now, freshness);
                let Decision { served, refused, write } = decision;
                let kept = answer_refused(
                    lane,
                    &terms,
                    &mut asks,
                    &adjust,
                    &served,
                    &refused,
                    &At { image: &image, shards, now },
                );
                let Some(write) = write else {
                    finish(pending, &Ok(()));
                    return;
                };
                (send::update(&lane.shared.store, &lane.shared.namespace, &lane.key, &write, timeout).await, kept)
            }
            None => {
                // There is no bucket: what was owed to it or by it is void.
                finish(std::mem::take(&mut pending), &Ok(()));
                if asks.is_empty() {
                    return;
                }
                let amounts: Vec<&[i64]> = asks.iter().map(|ask| ask.amounts.as_slice()).collect();
                let (served, image) = decide_new(&terms, &amounts, opening(lane, &terms, &asks, now), now);
                (send::create(&lane.shared.store, &lane.shared.namespace, &lane.key, image, timeout).await, served)
            }
        };
        metrics::counter!("zae_store_writes_total", "kind" => kind(&outcome)).increment(1);
        match outcome {
            Outcome::Done(image) => {
                lane.shared.breaker.succeeded();
                let image = Arc::new(image);
                lane.remember(Some(Arc::clone(&image)));
                metrics::histogram!("zae_batch_size").record(served.len() as f64);
                grant(lane, &terms, &mut asks, &served, &image, now);
                finish(std::mem::take(&mut pending), &Ok(()));
                freshness = Freshness::Fresh;
                (lost, busy) = (0, 0);
            }
            Outcome::Lost(image) => {
                lane.shared.breaker.succeeded();
                lane.remember(image.map(Arc::new));
                freshness = Freshness::Fresh;
                lost += 1;
                if lost > MAX_LOST {
                    return fail(asks, pending, contended());
                }
                if lost > PATIENCE {
                    pause(lost - PATIENCE).await;
                }
            }
            Outcome::NotApplied(error) => {
                busy += 1;
                let patience = asks.iter().any(|ask| Instant::now() < ask.deadline);
                if (asks.is_empty() && busy >= SETTLE_ATTEMPTS) || (!asks.is_empty() && !patience) {
                    lane.shared.breaker.failed(Instant::now());
                    return fail(asks, pending, error.into());
                }
                pause(busy).await;
            }
            Outcome::Failed(error) => {
                if is_outage(&error) {
                    lane.shared.breaker.failed(Instant::now());
                }
                return fail(asks, pending, error);
            }
        }
        asks.retain(|ask| !ask.reply.is_closed());
    }
}

fn contended() -> RepositoryError {
    let source = format!("{MAX_LOST} attempts in a row met another writer");
    StoreError { operation: "UpdateItem", kind: StoreErrorKind::NotApplied, code: None, source: source.into() }.into()
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done(_) => "done",
        Outcome::Lost(_) => "condition_failed",
        Outcome::NotApplied(_) => "throttled",
        Outcome::Failed(_) => "failed",
    }
}

/// Whether an error says something about the store's health rather than about the request.
pub(crate) fn is_outage(error: &RepositoryError) -> bool {
    matches!(error, RepositoryError::Store(error)
        if matches!(error.kind, StoreErrorKind::Ambiguous | StoreErrorKind::NotApplied | StoreErrorKind::NotSent))
}

/// A short random pause, longer with each try, so that processes that collided do not collide again.
async fn pause(tries: u32) {
    let ceiling = 2_u64 << tries.min(5);
    tokio::time::sleep(Duration::from_millis(rand::random_range(1..=ceiling))).await;
}

/// Removes settlements that belong to a bucket which was deleted since.
fn drop_strangers(pending: &mut Vec<Pending>, image: &Image) {
    let strangers = pending.extract_if(.., |pending| pending.incarnation != image.incarnation);
    finish(strangers.collect(), &Ok(()));
}

fn finish(pending: Vec<Pending>, result: &Result<(), Arc<str>>) {
    for settlement in pending {
        settlement.finish(result.clone());
    }
}

/// What a bucket that does not exist starts with. A further shard starts with its part of what shard 0 holds beyond its
/// own share, so that all shards together never hold more than the one bucket did.
fn opening(lane: &Arc<Lane>, terms: &Terms, asks: &[Ask], now: i64) -> Opening {
    let shards = asks.iter().map(|ask| ask.shards).max().unwrap_or(1).max(1);
    let first = (lane.key.shard > 0).then(|| asks.iter().find_map(|ask| ask.first_shard.clone())).flatten();
    let balances = (lane.key.shard > 0).then(|| {
        let surplus = |(name, whole): &(LimitName, Params)| {
            let Some(image) = first.as_deref() else { return 0 };
            let Some(stored) = image.limit(name.as_str()) else { return 0 };
            let level = super::image::Level::at(image, Some(stored), *whole, 1, now);
            let beyond = level.tokens.saturating_sub(whole.share(shards).capacity).max(0);
            beyond / i64::from(shards.saturating_sub(1).max(1))
        };
        terms.params.iter().map(surplus).collect()
    });
    Opening { shards, balances, incarnation: send::new_incarnation(), wcu: crate::wire::bucket::new_wcu() }
}

fn grant(lane: &Arc<Lane>, terms: &Terms, asks: &mut Vec<Ask>, served: &[usize], image: &Image, now: i64) {
    let shards = shards(asks, image);
    let levels = super::plan::levels(image, &terms.goal(&[], &[], shards, now));
    for (index, ask) in std::mem::take(asks).into_iter().enumerate() {
        if !served.contains(&index) {
            asks.push(ask);
            continue;
        }
        let names = terms.params.iter().map(|(name, _)| name.clone());
        let taken: Vec<(LimitName, i64)> = names.zip(ask.amounts.iter().copied()).collect();
        let statuses = terms.limits.iter().zip(&levels).zip(&ask.amounts);
        let statuses = statuses
            .map(|((limit, level), amount)| LimitStatus {
                entity_id: lane.key.entity.clone(),
                resource: lane.key.resource.clone(),
                limit: limit.clone(),
                available: level.tokens.div_euclid(MILLI),
                requested: whole(*amount),
                exceeded: false,
                retry_after: Duration::ZERO,
            })
            .collect();
        let hold = Hold::new(Arc::clone(lane), image.incarnation.clone(), taken, statuses);
        // If nobody waits any more, the hold comes back, is dropped, and so gives the tokens back.
        let _ = ask.reply.send(Answer::Granted(hold));
    }
}

fn fail(asks: Vec<Ask>, pending: Vec<Pending>, error: RepositoryError) {
    let error = Arc::new(error);
    if !pending.is_empty() {
        metrics::counter!("zae_settlements_lost_total").increment(pending.len() as u64);
        tracing::warn!(error = %error, settlements = pending.len(), "settlements may be lost");
        finish(pending, &Err(error.to_string().into()));
    }
    let failure = if is_outage(&error) {
        Failure::Unavailable(UnavailableReason::StoreFailed, Some(error))
    } else {
        Failure::Hard(error)
    };
    for ask in asks {
        let _ = ask.reply.send(Answer::Failed(failure.clone()));
    }
}

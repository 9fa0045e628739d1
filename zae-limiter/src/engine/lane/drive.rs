//! Brings one round of a lane to its end: a write, and another where the image was out of date.

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::{
        Amounts, Params,
        image::{Balance, Image, WcuImage},
        incarnation::Incarnation,
        limit_set::LimitSet,
        opening::{Opening, further_balance},
        refund::{self, Baseline, Booking, Neighbours},
    },
    engine::{
        lane::{
            Contention, Lane, Round,
            ask::{Ask, AskOutcome, Failure, Pending},
            decide::{Decision, Freshness, Situation, decide, decide_new},
            hold::{Hold, Tokens},
            queue::{Fetch, Waiting},
            refuse::{At, answer_refused, booked, in_line, shards},
            returned,
            stop::stops,
            target::FromReserve,
        },
        reserve::lots::{Expiry, ReserveLot},
        runtime::deadlines::{Passed, after},
        telemetry::{self, Over, Stocked, Under},
    },
    error::{RepositoryError, StoreError, StoreErrorKind, UnavailableReason},
    model::{name::LimitName, reserve::Exactness},
    store::bucket::{self, WriteOutcome, WriteReport},
};

/// Time limit for a write of nothing but settlements: nobody waits, so it gets more time than an acquire.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of attempts at settlements while the store is busy.
const SETTLE_ATTEMPTS: u32 = 8;
/// Bounds the number of times that a round nobody waits for starts over because a neighbour was faster.
const MAX_LOST: u32 = 256;
/// Lost conditions in a row after which neighbours are given way, by a random pause.
const PATIENCE: u32 = 8;

/// Everything about one write that its answer is read with.
struct WriteDraft {
    sent_at: Instant,
    /// Epoch ms.
    now: i64,
    served: Vec<usize>,
    ahead: Amounts,
    adjust: Vec<Booking>,
    /// The stamp of its refund, if it is one.
    refund: Option<i64>,
    /// The bucket that it was decided from.
    before: Option<Arc<Image>>,
}

/// Brings `round` to its end: everybody in it is answered.
pub(crate) async fn drive(lane: &Arc<Lane>, round: Round) {
    let Round { terms, mut asks, mut pending, mut fetch } = round;
    serve_from_stock(lane, &terms, &mut asks, &mut pending);
    let reserving = fetch == Fetch::Yes || asks.iter().any(|ask| ask.exactness == Exactness::Reserved);
    let began = Instant::now();
    telemetry::queued(asks.iter().map(|ask| began.saturating_duration_since(ask.asked_at)));
    telemetry::settling(pending.iter().map(|pending| began.saturating_duration_since(pending.booked_at)));
    let mut freshness = match lane.image() {
        Some(image) if in_line(&image, &terms) => lane.freshness(),
        _ => Freshness::Stale,
    };
    if reserving
        && freshness == Freshness::Stale
        && lane.is_shared()
        && lane.stock().is_some_and(|stock| stock.is_scarce())
    {
        freshness = Box::pin(look(lane)).await;
    }
    let (mut lost, mut busy, mut writes) = (0_u32, 0_u32, 0_u32);
    let refund_id = rand::random::<i64>().saturating_abs();
    while !asks.is_empty() || !pending.is_empty() || fetch == Fetch::Yes {
        let now = lane.shared.clock.now_ms();
        let timeout = if asks.is_empty() { SETTLE_TIMEOUT } else { lane.shared.options.write_timeout };
        let image = lane.image();
        if let Some(image) = &image
            && let Some(reason) = stops(lane, image, freshness, &asks)
        {
            if let Some(error) = reason.answer(&mut asks) {
                return fail(asks, pending, error);
            }
            fetch = Fetch::No;
            continue;
        }
        let was_in_line = image.as_ref().is_none_or(|image| in_line(image, &terms));
        let (sent, written) = match image {
            Some(image) => {
                drop_strangers(&mut pending, &image);
                let amounts: Vec<&[i64]> = asks.iter().map(|ask| ask.amounts.as_slice()).collect();
                let shards = shards(&asks, &image);
                let adjust = booked(&pending, &image, shards, now);
                let known = Situation { image: &image, freshness, terms: &terms, shards, now };
                let mut order = |left: &[i64]| {
                    let may = reserving && shards == 1 && !image.disabled && in_line(&image, &terms);
                    if may { lane.stock()?.order(left, Instant::now()) } else { None }
                };
                let Decision { served, refused, ahead, write } = decide(known, &amounts, &adjust, &mut order);
                let at = At { image: &image, shards, now };
                let served = answer_refused(lane, &terms, &mut asks, &adjust, &served, &refused, &at);
                let Some(write) = write else {
                    finish(pending, &Ok(()));
                    return rest(lane, &terms, &image, now, writes);
                };
                let write = if lane.is_crowded(now) { write.leaving_room(shards) } else { write };
                let neighbours = if lane.is_shared() { Neighbours::Some } else { Neighbours::None };
                let write = write.stamped(refund_id, &image, neighbours);
                let refund = write.refund.map(|stamp| stamp.id);
                let sent_at = Instant::now();
                // Boxed, here as below: a worker that only waits for its next write is small, and cheap to start.
                let update = bucket::update(&lane.shared.store, &lane.shared.namespace, &lane.key, &write, now);
                let sent = answer(lane, sent_at, timeout, &asks, "UpdateItem", Box::pin(update)).await;
                (sent, WriteDraft { sent_at, now, served, ahead, adjust, refund, before: Some(image) })
            }
            None => {
                // There is no bucket: what was owed to it or by it is void.
                finish(std::mem::take(&mut pending), &Ok(()));
                if asks.is_empty() {
                    return;
                }
                let amounts: Vec<&[i64]> = asks.iter().map(|ask| ask.amounts.as_slice()).collect();
                let (served, image) = decide_new(&terms, &amounts, opening(lane, &terms, &asks, now), now);
                let sent_at = Instant::now();
                let create = bucket::create(&lane.shared.store, &lane.shared.namespace, &lane.key, image);
                let sent = answer(lane, sent_at, timeout, &asks, "PutItem", Box::pin(create)).await;
                (
                    sent,
                    WriteDraft {
                        sent_at,
                        now,
                        served,
                        ahead: Amounts::new(),
                        adjust: Vec::new(),
                        refund: None,
                        before: None,
                    },
                )
            }
        };
        let WriteReport { outcome, units } = sent;
        writes += 1;
        telemetry::wrote(kind(&outcome), units, written.sent_at.elapsed());
        let outcome = match outcome {
            // The network delivered it twice: the second says no, because the first was done.
            WriteOutcome::Lost(Some(image)) if written.refund.is_some() && image.last_refund == written.refund => {
                WriteOutcome::Done(image)
            }
            outcome => outcome,
        };
        match outcome {
            WriteOutcome::Done(image) => {
                lane.shared.breaker.succeeded();
                if let Some(before) = &written.before {
                    telemetry::clock_ahead(&lane.key, before, &image, written.now);
                }
                let image = Arc::new(image);
                lane.remember(Some(Arc::clone(&image)));
                telemetry::served(written.served.len());
                debts(&image, &written.adjust);
                let baseline = grant(lane, &terms, &mut asks, &image, &written);
                stock_up(lane, &terms, &image, &written, baseline);
                finish(std::mem::take(&mut pending), &Ok(()));
                freshness = Freshness::Fresh;
                fetch = Fetch::No;
                (lost, busy) = (0, 0);
            }
            WriteOutcome::Lost(image) => {
                lane.shared.breaker.succeeded();
                if was_in_line && image.as_ref().is_some_and(|image| !in_line(image, &terms)) {
                    // The limits were changed by somebody who knows better than a resolution from before. Whoever asks
                    // again in spite of it knows better still.
                    asks.drain(..).for_each(|ask| drop(ask.reply.send(AskOutcome::Outdated)));
                    fetch = Fetch::No;
                }
                if let Some(image) = &image {
                    lane.observe(&terms, image, &balances(&terms, image, written.now), written.now);
                }
                lane.remember(image.map(Arc::new));
                freshness = Freshness::Fresh;
                telemetry::again("condition");
                lane.met(Contention::Somebody);
                lost += 1;
                if lost > 1 {
                    // The first may have been the fault of an old image.
                    lane.crowd(lane.shared.clock.now_ms());
                }
                // Those who wait have their deadlines; what nobody waits for must end some time.
                let patience = asks.iter().any(|ask| Instant::now() < ask.deadline);
                if lost > MAX_LOST && !patience {
                    return fail(asks, pending, contended());
                }
                // The image is the newest there is, and grows old with every moment: a pause makes the next attempt a
                // lost one too. Only now and then is way given, so that attempts that keep step fall out of it.
                if lost.is_multiple_of(PATIENCE) {
                    pause(lane, lost / PATIENCE).await;
                }
            }
            WriteOutcome::NotApplied(error) => {
                // What nobody waits for is not worth pressing a busy store.
                fetch = Fetch::No;
                busy += 1;
                let patience = asks.iter().any(|ask| Instant::now() < ask.deadline);
                if (asks.is_empty() && busy >= SETTLE_ATTEMPTS) || (!asks.is_empty() && !patience) {
                    lane.shared.breaker.failed(Instant::now());
                    return fail(asks, pending, error.into());
                }
                if !asks.is_empty() || !pending.is_empty() {
                    telemetry::again("throttled");
                    pause(lane, busy).await;
                }
            }
            WriteOutcome::Failed(error) => {
                if error.outage().is_some() {
                    lane.shared.breaker.failed(Instant::now());
                    unknown(&terms, &asks, &written);
                }
                return fail(asks, pending, error);
            }
        }
        asks.retain(|ask| !ask.reply.is_closed());
    }
    telemetry::answered(writes);
}

/// Waits for a write's answer: for `timeout`, and for as long as somebody waits whose own deadline is later.
async fn answer(
    lane: &Lane,
    sent_at: Instant,
    timeout: Duration,
    asks: &[Ask],
    operation: &'static str,
    mut write: Pin<Box<impl Future<Output = WriteReport>>>,
) -> WriteReport {
    let mut until = after(sent_at, timeout);
    loop {
        if let Ok(sent) = lane.shared.deadlines.until(until, write.as_mut()).await {
            return sent;
        }
        let now = Instant::now();
        let waiting = asks.iter().filter(|ask| ask.is_wanted() && now < ask.deadline);
        let Some(deadline) = waiting.map(|ask| ask.deadline).max() else {
            return bucket::timed_out(operation, now - sent_at);
        };
        // In steps, because whoever waits may give up: the bucket's next write does not wait for nobody.
        until = deadline.min(after(now, timeout));
    }
}

/// Reads a bucket of which an old image is likely out of date: neighbours write it as soon as something has come in. A
/// read costs a fifth of a lost condition.
async fn look(lane: &Lane) -> Freshness {
    telemetry::looked();
    let before = lane.image();
    let now = lane.shared.clock.now_ms();
    let read = bucket::read(&lane.shared.store, &lane.shared.namespace, &lane.key, now);
    match lane.shared.deadlines.until(after(Instant::now(), lane.shared.options.write_timeout), read).await {
        Ok(Ok(image)) => {
            lane.met(if image.as_ref() == before.as_deref() { Contention::Nobody } else { Contention::Somebody });
            lane.remember(image.map(Arc::new));
            Freshness::Fresh
        }
        // What is wrong, the write will tell.
        Ok(Err(_)) | Err(Passed) => Freshness::Stale,
    }
}

/// Answers those whom the stock can serve after all: it was filled while they waited.
fn serve_from_stock(lane: &Lane, terms: &Arc<LimitSet>, asks: &mut Vec<Ask>, pending: &mut Vec<Pending>) {
    if !asks.iter().any(|ask| ask.exactness == Exactness::Reserved) {
        return;
    }
    if let Some(mut stock) = lane.stock() {
        pending.extend(stock.adopt(terms, Instant::now()).and_then(returned));
    }
    for ask in std::mem::take(asks) {
        if ask.exactness == Exactness::Strict {
            asks.push(ask);
            continue;
        }
        match ask.level.ask_stock_again(&ask.amounts) {
            FromReserve::Granted(hold) => drop(ask.reply.send(AskOutcome::Granted(hold))),
            FromReserve::Refused(refusal) => drop(ask.reply.send(AskOutcome::Refused(refusal))),
            FromReserve::Ask => asks.push(ask),
        }
    }
}

/// Notes that there is nothing to write.
fn rest(lane: &Lane, terms: &LimitSet, image: &Image, now: i64, writes: u32) {
    if let Some(mut stock) = lane.stock() {
        let left = left(terms, image, now);
        stock.observe(&left, Instant::now(), &lane.shared.random);
    }
    if writes > 0 {
        telemetry::answered(writes);
    }
}

fn left(terms: &LimitSet, image: &Image, now: i64) -> Amounts {
    balances(terms, image, now).iter().map(|balance| balance.tokens).collect()
}

fn balances(terms: &LimitSet, image: &Image, now: i64) -> Vec<Balance> {
    crate::bucket::plan::levels(image, &terms.goal(&[], &[], image.shards(), now))
}

/// Puts what was debited ahead into the stock, and tells it what the bucket holds.
fn stock_up(lane: &Lane, terms: &LimitSet, image: &Image, written: &WriteDraft, baseline: Baseline) {
    let Some(mut stock) = lane.stock() else { return };
    let now = Instant::now();
    if !written.ahead.is_empty() {
        let names = terms.params.iter().map(|(name, _)| name);
        telemetry::reserve_tokens(Stocked::Debited, names.zip(written.ahead.iter().copied()));
        let term = Expiry::starting(written.sent_at, lane.shared.options.reserve_life);
        let lot = ReserveLot { tokens: written.ahead.clone(), baseline, term };
        stock.stock_up(lot, image.incarnation.as_ref(), now);
    }
    stock.observe(&left(terms, image, written.now), now, &lane.shared.random);
}

/// Counts what adjustments took from balances that did not have it.
fn debts(image: &Image, adjust: &[Booking]) {
    for Booking { name, out: amount, .. } in adjust {
        let tokens = image.limit(name.as_str()).and_then(|limit| limit.tokens).unwrap_or(0);
        telemetry::over(Over::Debt, name, (-tokens).min(*amount));
    }
}

/// Counts what a write of unknown outcome may have taken for nobody.
fn unknown(terms: &LimitSet, asks: &[Ask], written: &WriteDraft) {
    for (slot, (name, _)) in terms.params.iter().enumerate() {
        let taken: i64 = written.served.iter().filter_map(|index| asks.get(*index)).map(|ask| ask.amounts[slot]).sum();
        let ahead = written.ahead.get(slot).copied().unwrap_or(0);
        telemetry::under(Under::UnknownWrite, name, taken.saturating_add(ahead));
    }
}

fn contended() -> RepositoryError {
    let source = format!("{MAX_LOST} attempts in a row met another writer");
    StoreError::new("UpdateItem", StoreErrorKind::NotApplied, source).into()
}

fn kind(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Done(_) => "done",
        WriteOutcome::Lost(_) => "condition_failed",
        WriteOutcome::NotApplied(_) => "throttled",
        WriteOutcome::Failed(error) => match error.outage() {
            Some(UnavailableReason::DeadlineExceeded) => "timed_out",
            Some(UnavailableReason::Unreachable) => "unreachable",
            _ => "failed",
        },
    }
}

/// A short random pause, longer with each try, so that processes that collided do not collide again.
async fn pause(lane: &Lane, tries: u32) {
    let ceiling = 2_u64 << tries.min(5);
    tokio::time::sleep(Duration::from_millis(lane.shared.random.of(1..=ceiling))).await;
}

/// Removes settlements that belong to a bucket which was deleted since.
fn drop_strangers(pending: &mut Vec<Pending>, image: &Image) {
    let strangers = pending.extract_if(.., |pending| pending.incarnation != image.incarnation);
    finish(strangers.collect(), &Ok(()));
}

fn finish(pending: Vec<Pending>, result: &Result<(), Arc<RepositoryError>>) {
    for settlement in pending {
        settlement.finish(result.clone());
    }
}

/// Returns the state that the lane's bucket is created with.
fn opening(lane: &Arc<Lane>, terms: &LimitSet, asks: &[Ask], now: i64) -> Opening {
    let shards = asks.iter().map(|ask| ask.shards).max().unwrap_or(1).max(1);
    let first = (lane.key.shard > 0).then(|| asks.iter().find_map(|ask| ask.first_shard.clone())).flatten();
    let balances = (lane.key.shard > 0).then(|| {
        let surplus = |(name, whole): &(LimitName, Params)| {
            let Some(image) = first.as_deref() else { return 0 };
            image.limit(name.as_str()).map_or(0, |stored| further_balance(image, stored, *whole, shards, now))
        };
        terms.params.iter().map(surplus).collect()
    });
    Opening { shards, balances, incarnation: Incarnation::drawn_from(&lane.shared.random), wcu: WcuImage::full() }
}

/// Grants what was written to those who are served. Returns the state of the bucket right after.
fn grant(lane: &Lane, terms: &Arc<LimitSet>, asks: &mut Vec<Ask>, image: &Image, written: &WriteDraft) -> Baseline {
    let (served, now) = (&written.served, written.now);
    let shards = shards(asks, image);
    let levels = crate::bucket::plan::levels(image, &terms.goal(&[], &[], shards, now));
    let baseline = lane.observe(terms, image, &levels, now);
    let available: Amounts = levels.iter().map(|level| level.tokens).collect();
    let mut served = served.iter().copied().peekable();
    for (index, ask) in std::mem::take(asks).into_iter().enumerate() {
        if served.next_if_eq(&index).is_none() {
            asks.push(ask);
            continue;
        }
        let Ask { level, amounts, reply, .. } = ask;
        let incarnation = image.incarnation.clone();
        let (available, baseline) = (available.clone(), baseline.clone());
        let tokens = Tokens { incarnation, taken: amounts, available, baseline, term: None };
        // If nobody waits any more, the hold comes back, is dropped, and so gives the tokens back.
        let _ = reply.send(AskOutcome::Granted(Hold::new(level, tokens)));
    }
    baseline
}

/// Ends with an error whatever was to be done.
pub(super) fn fail(asks: Vec<Ask>, pending: Vec<Pending>, error: RepositoryError) {
    let error = Arc::new(error);
    if !pending.is_empty() {
        telemetry::settlements_lost(pending.len(), &error);
        for (name, amount) in refund::sums(pending.iter().flat_map(|pending| &pending.amounts)) {
            telemetry::under(Under::LostRefund, &name, -amount);
        }
        finish(pending, &Err(Arc::clone(&error)));
    }
    let failure = match error.outage() {
        Some(reason) => Failure::Unavailable(reason, Some(error)),
        None => Failure::Hard(error),
    };
    for ask in asks {
        let _ = ask.reply.send(AskOutcome::Failed(failure.clone()));
    }
}

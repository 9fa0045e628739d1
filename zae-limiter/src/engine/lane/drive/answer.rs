//! The answer to a round's write: waiting for it, and what each kind of it does to asks, settlements and the lane.
//!
//! The table of the [room](super) says what follows from each answer. Done and lost keep the round going, so the plan
//! is made again for those who are left. All others end it: nobody in it waits any longer than for this answer.

use std::{ops::ControlFlow, pin::Pin, sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    bucket::image::Image,
    engine::{
        lane::{
            Lane,
            ask::{AskOutcome, SettleFailure},
            decide::Freshness,
            drive::{
                Drive,
                late::{self, LateWrite},
                outcome::{contended, deduplicated, fail, finish, kind, unknown},
                request::{Sending, WriteDraft, WriteRequest},
                round::{balances, debts, fill_up, grant, note_left},
            },
            memory::Contention,
            queue::{Fetch, Waiting},
            refuse::in_line,
        },
        runtime::{breaker::Evidence, deadlines::after},
        telemetry,
    },
    error::{RepositoryError, SettleOutlook, StoreError},
    store::bucket::{WriteOutcome, WriteReport},
};

/// Time limit for a write of nothing but settlements: nobody waits, so it gets more time than an acquire.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds the number of times that a round nobody waits for starts over because a neighbour was faster.
pub(super) const MAX_LOST: u32 = 256;
/// Lost conditions in a row after which neighbours are given way, by a random pause.
const PATIENCE: u32 = 8;

impl Drive<'_> {
    /// Sends a write, waits for its answer, and deals with it.
    pub(super) async fn write(&mut self, draft: WriteDraft, request: WriteRequest) -> ControlFlow<()> {
        let operation = request.operation();
        let mut write = request.send(Arc::clone(self.lane));
        self.writes += 1;
        let Some(WriteReport { outcome, units }) = self.answer(draft.sent_at.monotonic, write.as_mut()).await else {
            return self.too_late(draft, write, operation);
        };
        telemetry::wrote(kind(&outcome), units, draft.sent_at.monotonic.elapsed());
        match deduplicated(outcome, draft.refund) {
            WriteOutcome::Done(image) => {
                self.done(image, &draft);
                ControlFlow::Continue(())
            }
            WriteOutcome::Lost(image) => self.lost(image, draft.now).await,
            WriteOutcome::Moved => self.moved(),
            WriteOutcome::NotApplied(error) => self.not_applied(error),
            WriteOutcome::Failed(error) => self.failed(error, &draft),
        }
    }

    /// Waits for a write's answer: for its timeout, and for as long as somebody waits whose own deadline is later.
    /// `None` when it has not come by then.
    ///
    /// The write's own timeout is the limiter's deadline, which the first asks in it have used up partly. One with a
    /// longer deadline of its own keeps the round waiting in steps, as long as its caller still does. Without asks two
    /// seconds are enough: only settlements wait.
    async fn answer(
        &self,
        sent_at: Instant,
        mut write: Pin<&mut (dyn Future<Output = WriteReport> + Send)>,
    ) -> Option<WriteReport> {
        let timeout = if self.asks.is_empty() { SETTLE_TIMEOUT } else { self.lane.shared.options.write_timeout };
        let mut until = after(sent_at, timeout);
        loop {
            if let Ok(sent) = self.lane.shared.deadlines.until(until, write.as_mut()).await {
                return Some(sent);
            }
            let now = Instant::now();
            let waiting = self.asks.iter().filter(|ask| ask.is_wanted() && now < ask.deadline);
            let deadline = waiting.map(|ask| ask.deadline).max()?;
            // In steps, because whoever waits may give up: the bucket's next write does not wait for nobody.
            until = deadline.min(after(now, timeout));
        }
    }

    /// Hands out what the write took, and remembers the image that it left.
    fn done(&mut self, image: Image, draft: &WriteDraft) {
        self.lane.succeeded();
        if let Some(before) = &draft.before {
            telemetry::clock_ahead(&self.lane.key, before, &image, draft.now);
        }
        let image = Arc::new(image);
        self.lane.remember(Some(Arc::clone(&image)));
        telemetry::served(draft.served.len());
        debts(&image, &draft.adjust);
        self.lane.note_writers(&self.limit_set, &image, &draft.consumed, draft.now);
        let baseline = grant(self.lane, &self.limit_set, &mut self.asks, &image, draft);
        self.lane.refunded(&self.limit_set, &draft.adjust);
        fill_up(self.lane, &self.limit_set, &image, draft, baseline);
        finish(std::mem::take(&mut self.pending), &Ok(()));
        self.freshness = Freshness::Fresh;
        self.fetch = Fetch::No;
        self.lost = 0;
    }

    /// Takes the newer image, and gives way now and then.
    async fn lost(&mut self, image: Option<Image>, now: i64) -> ControlFlow<()> {
        let lane = self.lane;
        lane.succeeded();
        if self.was_in_line && image.as_ref().is_some_and(|image| !in_line(image, &self.limit_set)) {
            // The limits were changed by somebody who knows better than a resolution from before. Whoever asks again in
            // spite of it knows better still.
            for ask in self.asks.drain(..) {
                let _ = ask.reply.send(AskOutcome::Outdated);
            }
            self.fetch = Fetch::No;
        }
        if let Some(image) = &image {
            lane.observe(&self.limit_set, image, &balances(&self.limit_set, image, now), now);
            lane.note_writers(&self.limit_set, image, &[], now);
            note_left(lane, &self.limit_set, image, now);
        }
        lane.remember(image.map(Arc::new));
        self.freshness = Freshness::Fresh;
        telemetry::again("condition");
        lane.note_contention(Contention::Somebody);
        self.lost += 1;
        self.lost_at = now;
        if self.lost > 1 {
            // The first may have been the fault of an old image.
            lane.crowd(lane.shared.clock.now_ms());
        }
        // Waiters bound this with their deadlines; without waiters, it ends after so many attempts.
        let patience = self.asks.iter().any(|ask| Instant::now() < ask.deadline);
        if self.lost > MAX_LOST && !patience {
            fail(std::mem::take(&mut self.asks), Vec::new(), Arc::new(contended()));
            self.keep_pending(Instant::now() + SETTLE_TIMEOUT, &Arc::new(contended()));
            return ControlFlow::Break(());
        }
        // The image is the newest there is, and grows old with every moment: a pause makes the next attempt a lost one
        // too. Only now and then is way given, so that attempts that keep step fall out of it.
        if self.lost.is_multiple_of(PATIENCE) {
            pause(lane, self.lost / PATIENCE).await;
        }
        ControlFlow::Continue(())
    }

    /// The bucket has no such shard: whoever asked has to look how many there are. There is nothing to settle.
    fn moved(&mut self) -> ControlFlow<()> {
        self.lane.succeeded();
        self.lane.remember(None);
        for ask in self.asks.drain(..) {
            let _ = ask.reply.send(AskOutcome::Moved);
        }
        finish(std::mem::take(&mut self.pending), &Ok(()));
        ControlFlow::Break(())
    }

    /// DynamoDB takes no more writes of this bucket for now. The lane's next write waits, and all that wait share it;
    /// those who cannot wait so long are told.
    fn not_applied(&mut self, error: StoreError) -> ControlFlow<()> {
        self.lane.split_if_hot(&error, &self.limit_set, &self.asks);
        let error = Arc::new(RepositoryError::from(error));
        let next = self.lane.throttled(Instant::now());
        if let Some(mut reserve) = self.lane.reserve() {
            reserve.observe_throttled(self.lane.shared.moment(), &self.lane.shared.random);
        }
        telemetry::again("throttled");
        let late = self.asks.extract_if(.., |ask| ask.deadline <= next).collect();
        fail(late, Vec::new(), Arc::clone(&error));
        self.keep_pending(next, &error);
        ControlFlow::Break(())
    }

    /// Answers everybody. Settlements of a write that was never sent are kept, and all others count as lost.
    fn failed(&mut self, error: RepositoryError, draft: &WriteDraft) -> ControlFlow<()> {
        let error = Arc::new(error);
        let asks = std::mem::take(&mut self.asks);
        if error.outage().is_none() {
            fail(asks, std::mem::take(&mut self.pending), error);
            return ControlFlow::Break(());
        }
        let now = Instant::now();
        if error.was_never_sent() {
            self.lane.failed(now, Evidence::NoConnection);
            fail(asks, Vec::new(), Arc::clone(&error));
            self.keep_pending(self.lane.throttled(now), &error);
            return ControlFlow::Break(());
        }
        self.lane.failed(now, Evidence::Silence);
        unknown(&self.limit_set, draft, |index| asks.get(index).map(|ask| &ask.amounts));
        fail(asks, std::mem::take(&mut self.pending), error);
        ControlFlow::Break(())
    }

    /// Answers everybody, and goes on waiting for the answer: it tells what there is to give back.
    ///
    /// The write stays under way with all that it carries; the lane goes on without it. Its next plan starts from the
    /// image before this write. If that is stale by then, its condition fails, which costs one round trip and nothing
    /// else.
    fn too_late(&mut self, draft: WriteDraft, write: Sending, operation: &'static str) -> ControlFlow<()> {
        let after = draft.sent_at.monotonic.elapsed();
        telemetry::wrote("timed_out", 0.0, after);
        self.lane.failed(Instant::now(), Evidence::Silence);
        let error = Arc::new(RepositoryError::from(StoreError::timed_out(operation, after)));
        let asks = std::mem::take(&mut self.asks);
        let served = draft.served.iter().filter_map(|index| asks.get(*index));
        let served = served.map(|ask| (Arc::clone(&ask.target), ask.amounts.clone())).collect();
        fail(asks, Vec::new(), Arc::clone(&error));
        let mut pending = std::mem::take(&mut self.pending);
        let unknown = SettleFailure { source: error, outlook: SettleOutlook::Unknown };
        pending.iter_mut().for_each(|settlement| settlement.tell(Err(unknown.clone())));
        late::follow(self.lane, LateWrite { write, draft, limit_set: Arc::clone(&self.limit_set), served, pending });
        ControlFlow::Break(())
    }

    /// Puts asks and settlements that certainly were not written back into the queue, for a write not before `next`.
    ///
    /// Asks go back in front of those that came meanwhile, so their order stays that of arrival.
    fn keep_pending(&mut self, next: Instant, why: &Arc<RepositoryError>) {
        let asks = std::mem::take(&mut self.asks);
        self.lane.put_back(asks, std::mem::take(&mut self.pending), next, why);
    }
}

/// A short random pause, longer with each try, so that processes that collided do not collide again.
async fn pause(lane: &Lane, tries: u32) {
    let ceiling = 2_u64 << tries.min(5);
    tokio::time::sleep(Duration::from_millis(lane.shared.random.of(1..=ceiling))).await;
}

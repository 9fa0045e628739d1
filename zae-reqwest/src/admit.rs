//! Admission of a call by the limiter: pause, line, tokens.
//!
//! ```text
//!   is the line busy? ──yes──► stand in line until at its head
//!          │ no                          │
//!          ▼                             ▼
//!   does the provider pause? ──yes──► wait it out ──► ask again
//!          │ no
//!          ▼
//!   are there tokens? ──no──► wait for them at the head of the line ──► ask again
//!          │ yes        └──── a large call takes them into debt (`collect`)
//!          ▼
//!        send
//! ```
//!
//! Each wait is checked against the time that the call has left before it begins, so that a call which cannot be served
//! in time fails at once and says when to retry. The store is asked within that time too.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};
use zae_tower::{AcquireError, Lease, zae_limiter::Acquire};

use crate::{
    collect::{Large, Overtaken, collect},
    error::{CallError, NotYet},
    outgoing::{OutgoingLimit, Subject},
    pause::LONGEST,
    wait::{QueuePlace, Wait, WaitReason, jitter},
};

/// Minimum `retry_after` for calls whose time is up before they reach the head of the line.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);

/// The first wait after a failure of the store; it doubles with each further failure, up to a maximum.
pub(crate) const STORE_RETRY: Duration = Duration::from_millis(50);
const MOST_DOUBLINGS: u32 = 4;
/// The limiter's deadline, unless another is set.
const STORE_DEADLINE: Duration = Duration::from_millis(250);
/// Minimum time that the store is given.
const ROUND_TRIP: Duration = Duration::from_millis(50);

/// An admitted call and its tokens, which it gives back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) lease: Lease,
    pub(crate) waited: Duration,
}

/// The two ways in which a call reaches the head of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    First,
    BehindOthers,
}

/// The time that a call may wait, and the reporting of its waits.
pub(crate) struct Patience<'a> {
    limit: &'a OutgoingLimit,
    subject: &'a Subject,
    started: Instant,
    /// The instant by which it has to be served.
    pub(crate) end: Instant,
    /// True once it has waited for anything; before that, its time counts as none.
    waited: bool,
}

impl OutgoingLimit {
    /// Waits for the tokens of `subject`, up to the maximum wait.
    ///
    /// Cancel-safe: if it is dropped at any point, it leaves its place in the line, and tokens already taken are given
    /// back.
    pub(crate) async fn admit(&self, subject: &Subject) -> Result<Admitted, CallError> {
        let started = Instant::now();
        let end = started + subject.max_wait.min(LONGEST);
        let mut patience = Patience { limit: self, subject, started, end, waited: false };
        let admitted = self.wait_for_tokens(&mut patience).await;
        let waited = if patience.waited { started.elapsed() } else { Duration::ZERO };
        let outcome = match &admitted {
            Ok(_) if patience.waited => "waited",
            Ok(_) => "at_once",
            Err(CallError::NotYet(_)) => "not_yet",
            Err(_) => "failed",
        };
        metrics::counter!("zae_client_calls_total", "outcome" => outcome).increment(1);
        metrics::histogram!("zae_client_wait_seconds").record(waited.as_secs_f64());
        match admitted {
            Ok(lease) => Ok(Admitted { lease, waited }),
            Err(error) => {
                tracing::debug!(entity = %subject.entity, resource = %subject.resource, %error, "call not made");
                Err(error)
            }
        }
    }

    /// Asks until the tokens are there, and waits in between for whatever stands in the way.
    ///
    /// The place in line is taken at the first wait, or at once if others wait already, and kept until the end.
    async fn wait_for_tokens(&self, patience: &mut Patience<'_>) -> Result<Lease, CallError> {
        let subject = patience.subject;
        let key = (subject.entity.clone(), subject.resource.clone());
        let mut place = match self.lines.is_busy(&key) {
            true => Some(patience.line_up().await?.0),
            false => None,
        };
        let mut troubles = 0;
        let mut refusals = 0;
        let mut overtaken = Overtaken::default();
        let mut large: Option<Large> = None;
        loop {
            // A pause that cannot be read in time is ignored.
            let pause = timeout_at(patience.store_end(), self.pauses.current(&subject.scope)).await;
            if let Ok(Some(pause)) = pause {
                let left = pause.until.saturating_duration_since(Instant::now());
                let reason = WaitReason::Provider { said: pause.said };
                patience.wait(&mut place, reason, left, jitter(left, 0)).await?;
                continue;
            }
            let cost = large.as_ref().map_or_else(|| subject.cost.clone(), Large::first);
            let acquire = Acquire::new(&subject.entity, &subject.resource, cost);
            let acquire = acquire.map_err(|error| CallError::Limiter(error.into()))?;
            let acquire = patience.bounded(self.acquire.apply(acquire));
            match self.limiter.acquire_with(acquire).await {
                Ok(mut lease) => {
                    if let (Some(large), Some(place)) = (large, &mut place) {
                        lease = collect(lease, large, patience, place).await?;
                    }
                    if let Some(place) = place {
                        place.served();
                    }
                    return Ok(lease);
                }
                Err(AcquireError::Exceeded(exceeded)) => {
                    let left = exceeded.retry_after();
                    let fits_in_time = left <= patience.end.saturating_duration_since(Instant::now());
                    let overtaken = overtaken.refused(left);
                    if large.is_none()
                        && fits_in_time
                        && let Some(refused) = Large::of(&exceeded, overtaken)
                    {
                        large = Some(refused);
                        if place.is_none() {
                            place = Some(patience.line_up().await?.0);
                        }
                        continue;
                    }
                    let later = jitter(left, refusals);
                    refusals += 1;
                    patience.wait(&mut place, WaitReason::Limit(Arc::new(exceeded)), left, later).await?;
                }
                Err(error @ AcquireError::Unavailable(_)) => {
                    let pause = STORE_RETRY.saturating_mul(1 << troubles);
                    let pause = pause + jitter(pause, 0);
                    troubles = (troubles + 1).min(MOST_DOUBLINGS);
                    if pause >= patience.end.saturating_duration_since(Instant::now()) {
                        return Err(CallError::Limiter(error));
                    }
                    patience.tell(&WaitReason::Store, pause);
                    sleep(pause).await;
                }
                Err(error) => return Err(CallError::Limiter(error)),
            }
        }
    }
}

impl Patience<'_> {
    /// Returns the instant by which the store has to answer: the call's own deadline, but at least one round trip away;
    /// a call that may not wait for tokens at all gets the store's usual deadline.
    fn store_end(&self) -> Instant {
        let least = if self.subject.max_wait.is_zero() { 2 * STORE_DEADLINE } else { ROUND_TRIP };
        self.end.max(Instant::now() + least)
    }

    /// Bounds the store's time by the time that the call may still wait.
    fn bounded(&self, acquire: Acquire) -> Acquire {
        let left = self.end.saturating_duration_since(Instant::now());
        let sooner = self.limit.acquire.deadline.unwrap_or(STORE_DEADLINE);
        if self.subject.max_wait.is_zero() || left >= sooner { acquire } else { acquire.deadline(left.max(ROUND_TRIP)) }
    }

    /// Builds the error of a call whose time does not suffice.
    fn not_yet(&self, reason: WaitReason, retry_after: Duration) -> CallError {
        let waited = if self.waited { self.started.elapsed() } else { Duration::ZERO };
        let Self { subject, .. } = self;
        let (entity, resource) = (subject.entity.clone(), subject.resource.clone());
        NotYet { entity, resource, reason, retry_after, waited }.into()
    }

    /// Reports a wait that begins: to the caller's function, the log and the metrics.
    fn tell(&mut self, reason: &WaitReason, expected: Duration) {
        let Self { subject, limit, .. } = self;
        let waited = if self.waited { self.started.elapsed() } else { Duration::ZERO };
        self.waited = true;
        metrics::counter!("zae_client_waits_total", "reason" => reason.as_str()).increment(1);
        tracing::debug!(entity = %subject.entity, resource = %subject.resource, %reason, ?expected, "call waits");
        if let Some(tell) = &limit.on_wait {
            tell(&Wait { entity: &subject.entity, resource: &subject.resource, reason, expected, waited });
        }
    }

    /// Goes to the end of the line, and waits until it is at the head.
    async fn line_up(&mut self) -> Result<(QueuePlace, Arrival), CallError> {
        let mut place = self.limit.lines.join((self.subject.entity.clone(), self.subject.resource.clone()));
        if place.is_at_head() {
            place.head().await;
            return Ok((place, Arrival::First));
        }
        // A call that may not wait as long as the head must fails at once.
        if let Some((reason, until)) = place.reason().filter(|(_, until)| *until > self.end) {
            return Err(self.not_yet(reason, until.saturating_duration_since(Instant::now())));
        }
        self.tell(&WaitReason::Line, self.end.saturating_duration_since(Instant::now()));
        match timeout_at(self.end, place.head()).await {
            Ok(()) => Ok((place, Arrival::BehindOthers)),
            Err(_) => {
                let (reason, until) = place.reason().unwrap_or((WaitReason::Line, Instant::now()));
                let left = until.saturating_duration_since(Instant::now());
                Err(self.not_yet(reason, left.max(SHORTEST_RETRY)))
            }
        }
    }

    /// Waits for `left` and `jitter` at the head of the line. If others were there first, it waits for them and then
    /// returns at once, because the situation has changed.
    async fn wait(
        &mut self,
        place: &mut Option<QueuePlace>,
        reason: WaitReason,
        left: Duration,
        jitter: Duration,
    ) -> Result<(), CallError> {
        let head = match place {
            Some(head) => head,
            None => {
                if left > self.end.saturating_duration_since(Instant::now()) {
                    return Err(self.not_yet(reason, left));
                }
                let (head, arrival) = self.line_up().await?;
                let head = place.insert(head);
                if arrival == Arrival::BehindOthers {
                    return Ok(());
                }
                head
            }
        };
        let is_for_tokens = matches!(reason, WaitReason::Limit(_));
        let expected = self.begin_wait(head, reason, left, jitter)?;
        match is_for_tokens {
            true => head.wait(expected).await,
            false => sleep(expected).await,
        }
        Ok(())
    }

    /// Begins to wait for `left` at the head of the line, and for `jitter` as far as there is time. Returns the time to
    /// wait, or fails if there is too little.
    pub(crate) fn begin_wait(
        &mut self,
        head: &mut QueuePlace,
        reason: WaitReason,
        left: Duration,
        jitter: Duration,
    ) -> Result<Duration, CallError> {
        let now = Instant::now();
        let time = self.end.saturating_duration_since(now);
        if left > time {
            return Err(self.not_yet(reason, left));
        }
        let refilled = if matches!(reason, WaitReason::Limit(_)) { head.expected(left) } else { left };
        let expected = (refilled + jitter).min(time);
        head.blocked(&reason, now + expected);
        self.tell(&reason, expected);
        Ok(expected)
    }
}

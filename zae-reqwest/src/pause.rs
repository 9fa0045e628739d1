//! Pauses requested by the provider: observed in this process, and shared through the table.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::StatusCode;
use tokio::time::{Instant, timeout};
use zae_tower::{Repository, ResourceName};

use crate::provider::{Answer, Verdict};

/// Time for which a value read from the table is used.
const BELIEVED: Duration = Duration::from_secs(1);
/// Age at which a value is read again, while callers still use it.
const STALE: Duration = Duration::from_millis(500);
/// Bounds the time that a read or write of the table may delay a call.
const PATIENCE: Duration = Duration::from_millis(250);
/// Shorter pauses are not shared: they are over before other processes could learn of them.
const WORTH_SHARING: Duration = Duration::from_millis(500);
/// Bounds the number of remembered scopes; beyond it, expired ones are dropped.
const MAX_SCOPES: usize = 10_000;
/// The first pause after a refusal without a time; it doubles with each consecutive one.
const FIRST_GUESS: Duration = Duration::from_secs(1);

/// Handling of the pauses that a provider requests.
///
/// ```
/// # fn example(limit: zae_reqwest::OutgoingLimit) -> zae_reqwest::OutgoingLimit {
/// use zae_reqwest::Pauses;
/// limit.pauses(Pauses::Local) // keep pauses in this process
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pauses {
    /// All processes on the table observe them: the process that receives one writes it there, and each reads at most
    /// once a second per scope.
    #[default]
    Shared,
    /// Only this process observes them.
    Local,
    /// No process observes them.
    Ignored,
}

/// A pause in effect.
#[derive(Clone, Debug)]
pub(crate) struct Pausing {
    pub(crate) until: Instant,
    pub(crate) said: Arc<str>,
}

/// The state of one scope in this process.
#[derive(Default)]
struct Scope {
    /// The longest pause that is known, possibly over.
    pause: Option<Pausing>,
    /// The instant of the last read of the table, whatever it found.
    read_at: Option<Instant>,
    /// Held while reading; other callers wait for the result.
    reading: Arc<tokio::sync::Mutex<()>>,
    /// Number of pauses after refusals without a time, since the last success.
    guesses: u32,
    /// The end of the last of them. The refusal of a call that was sent before it adds no information.
    guessed_until: Option<Instant>,
}

/// Longer than any process waits. The maximum of an `Instant` is unknown, so additions must stay small.
pub(crate) const LONGEST: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The pauses of one client.
pub(crate) struct PauseBook {
    pub(crate) mode: Pauses,
    pub(crate) cap: Duration,
    repository: Repository,
    scopes: Mutex<HashMap<ResourceName, Scope>>,
}

impl PauseBook {
    /// Creates a book without pauses; none will be longer than `cap`.
    pub(crate) fn new(repository: Repository, mode: Pauses, cap: Duration) -> Self {
        Self { mode, cap: cap.min(LONGEST), repository, scopes: Mutex::default() }
    }

    /// Copies the settings except these two, with nothing learned yet.
    pub(crate) fn with(&self, mode: Pauses, cap: Duration) -> Self {
        Self::new(self.repository.clone(), mode, cap)
    }

    fn scopes(&self) -> MutexGuard<'_, HashMap<ResourceName, Scope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current pause of `scope`, if any; reads the table if the cached value is too old.
    ///
    /// Cancel-safe: only the result is lost.
    pub(crate) async fn current(self: &Arc<Self>, scope: &ResourceName) -> Option<Pausing> {
        let now = Instant::now();
        let age = {
            let mut scopes = self.scopes();
            self.make_room(&mut scopes, now);
            let known = scopes.entry(scope.clone()).or_default();
            match (self.mode, known.live(now)) {
                (Pauses::Ignored, _) => return None,
                (_, Some(pause)) => return Some(pause),
                (Pauses::Local, None) => return None,
                (Pauses::Shared, None) => known.read_at.map(|at| now - at),
            }
        };
        match age {
            Some(age) if age < STALE => {}
            Some(age) if age < BELIEVED => {
                let (this, scope) = (Arc::clone(self), scope.clone());
                drop(tokio::spawn(async move { this.read(&scope, STALE).await }));
            }
            _ => self.read(scope, BELIEVED).await,
        }
        self.scopes().get(scope)?.live(Instant::now())
    }

    /// Reads the table, unless another call did so recently or is doing so.
    async fn read(&self, scope: &ResourceName, older_than: Duration) {
        let reading = Arc::clone(&self.scopes().entry(scope.clone()).or_default().reading);
        let _reading = reading.lock().await;
        let read_at = self.scopes().get(scope).and_then(|known| known.read_at);
        if read_at.is_some_and(|at| at.elapsed() < older_than) {
            return;
        }
        let answer = timeout(PATIENCE, self.repository.pause(scope)).await;
        let left = match answer {
            Ok(Ok(pause)) => pause
                .map(|pause| Pausing { until: Instant::now() + pause.left.min(self.cap), said: pause.reason.into() }),
            Ok(Err(error)) => {
                tracing::debug!(%scope, %error, "the pauses of other processes could not be read");
                None
            }
            Err(_) => {
                tracing::debug!(%scope, "the pauses of other processes could not be read in time");
                None
            }
        };
        let mut scopes = self.scopes();
        let known = scopes.entry(scope.clone()).or_default();
        known.read_at = Some(Instant::now());
        if let Some(pause) = left {
            known.extend(pause);
        }
    }

    /// Records the pause that `answer` asks for, in response to a call sent at `sent`, and shares it. Returns it,
    /// capped.
    pub(crate) async fn learn(
        &self,
        scope: &ResourceName,
        status: StatusCode,
        answer: &Answer,
        sent: Instant,
    ) -> Option<Duration> {
        let now = Instant::now();
        let said = match answer.verdict {
            Verdict::Served => "nothing left",
            _ => status.as_str(),
        };
        let (pause, before) = {
            let mut scopes = self.scopes();
            let known = scopes.entry(scope.clone()).or_default();
            let asked = match (&answer.verdict, answer.pause()) {
                (_, Some(pause)) => Some(pause),
                (Verdict::NotYet { .. }, None) => Some(known.guess(sent, now, self.cap)),
                (_, None) => None,
            };
            // A failing provider reveals nothing about its limits.
            if answer.verdict == Verdict::Served && status.is_success() {
                known.guesses = 0;
            }
            let pause = asked?.min(self.cap);
            if self.mode == Pauses::Ignored || pause.is_zero() {
                return None;
            }
            let before = known.live(now).map(|pause| pause.until - now);
            known.extend(Pausing { until: now + pause, said: said.into() });
            (pause, before)
        };
        // Many calls are refused together, and one of them is enough to inform the other processes.
        let news = before.is_none_or(|before| pause > before + WORTH_SHARING);
        if self.mode == Pauses::Shared && news && pause >= WORTH_SHARING {
            metrics::counter!("zae_client_pauses_shared_total").increment(1);
            tracing::info!(%scope, ?pause, said, "the provider asked for a pause; all processes on the table keep it");
            match timeout(PATIENCE, self.repository.extend_pause(scope, pause, said)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(%scope, %error, "a pause could not be shared with other processes"),
                Err(_) => tracing::warn!(%scope, "a pause could not be shared with other processes in time"),
            }
        }
        Some(pause)
    }

    /// Forgets scopes without a pause if there are too many.
    fn make_room(&self, scopes: &mut HashMap<ResourceName, Scope>, now: Instant) {
        if scopes.len() >= MAX_SCOPES {
            scopes.retain(|_, known| known.live(now).is_some() || known.read_at.is_some_and(|at| now - at < BELIEVED));
        }
    }
}

impl Scope {
    /// Returns the pause, unless it is over.
    fn live(&self, now: Instant) -> Option<Pausing> {
        self.pause.clone().filter(|pause| pause.until > now)
    }

    /// Returns the pause after a refusal without a time. A burst is refused call by call, but is a single reason to
    /// pause: calls that were sent before the last pause ended keep its remainder.
    fn guess(&mut self, sent: Instant, now: Instant, cap: Duration) -> Duration {
        match self.guessed_until {
            Some(until) if sent < until => until.saturating_duration_since(now),
            _ => {
                self.guesses = self.guesses.saturating_add(1);
                let pause = FIRST_GUESS.saturating_mul(1 << (self.guesses - 1).min(16)).min(cap);
                self.guessed_until = Some(now + pause);
                pause
            }
        }
    }

    /// Replaces the pause by a longer one.
    fn extend(&mut self, pause: Pausing) {
        if self.pause.as_ref().is_none_or(|known| known.until < pause.until) {
            self.pause = Some(pause);
        }
    }
}

impl fmt::Debug for PauseBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PauseBook").field("mode", &self.mode).field("cap", &self.cap).finish_non_exhaustive()
    }
}

//! A client of one process: it acquires, works and settles, and records the answers.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use zae_limiter::{AcquireError, Cost, EntityId, Lease, LeaseOrigin, RateLimiter, ResourceName};

use crate::{
    schedule::{Acquire, Ends},
    world::{
        Shared, entity_name,
        history::{Ask, AskAnswer, Kind},
        limit_name,
    },
};

/// Maximum time that a client waits before it asks again, in ms.
const PATIENCE: u64 = 600_000;

/// A running instance.
#[derive(Clone, Debug)]
pub(super) struct Site {
    pub(super) world: Shared,
    pub(super) instance: usize,
    pub(super) process: usize,
    pub(super) limiter: RateLimiter,
    pub(super) resource: ResourceName,
}

impl Site {
    pub(super) fn is_dead(&self) -> bool {
        self.world.lock().instances[self.instance].dead
    }

    /// Shuts down, and checks that no work is left.
    pub(super) async fn shut_down(self) {
        self.limiter.shutdown().await;
        let mut world = self.world.lock();
        world.history.ended.push(self.instance);
        world.note(Kind::ShutDown { instance: self.instance });
    }
}

/// One client.
pub(super) struct Client {
    pub(super) site: Site,
    /// The step that created it.
    pub(super) step: Option<usize>,
    pub(super) wish: Acquire,
}

impl Client {
    /// Runs the client.
    pub(super) async fn live(self) {
        let (ask, lease) = self.ask(None).await;
        if let Some(lease) = lease {
            return self.use_up(ask, lease).await;
        }
        let answer = self.site.world.lock().history.asks[ask].answer.clone();
        let Some(AskAnswer::NotYet(wait)) = answer.filter(|_| self.wish.again) else { return };
        if wait > PATIENCE {
            return;
        }
        sleep(Duration::from_millis(wait)).await;
        if self.site.is_dead() {
            return;
        }
        if let (ask, Some(lease)) = self.ask(Some(ask)).await {
            self.use_up(ask, lease).await;
        }
    }

    async fn ask(&self, after: Option<usize>) -> (usize, Option<Lease>) {
        let Self { site, wish, .. } = self;
        let ask = {
            let mut world = site.world.lock();
            let begun = world.now();
            world.history.asks.push(Ask {
                step: self.step,
                after,
                instance: site.instance,
                entity: wish.entity,
                tokens: wish.tokens.clone(),
                begun,
                ended: None,
                answer: None,
                used: None,
                settled_at: None,
                unsettled: None,
            });
            let ask = world.history.asks.len() - 1;
            world.note(Kind::Asked { ask });
            ask
        };
        let (answer, lease) = match self.acquire().await {
            None => (AskAnswer::Cancelled, None),
            Some(Ok(lease)) => (granted(&lease), Some(lease)),
            Some(Err(error)) => (answer_of(&error), None),
        };
        if site.is_dead() {
            return (ask, None);
        }
        let mut world = site.world.lock();
        let now = world.now();
        let record = &mut world.history.asks[ask];
        (record.ended, record.answer) = (Some(now), Some(answer));
        world.note(Kind::Ended { ask });
        (ask, lease)
    }

    async fn acquire(&self) -> Option<Result<Lease, AcquireError>> {
        let Self { site, wish, .. } = self;
        let named = wish.tokens.iter().enumerate().filter(|(_, tokens)| **tokens > 0);
        let mut cost: Option<Cost> = None;
        for (index, tokens) in named {
            let (name, tokens) = (limit_name(index), *tokens);
            cost = Some(match cost {
                None => Cost::of(name, tokens),
                Some(cost) => cost.and(name, tokens),
            });
        }
        let entity = EntityId::new(entity_name(wish.entity)).map_err(AcquireError::from);
        let acquire = async {
            match cost {
                Some(cost) => site.limiter.acquire(entity?, site.resource.clone(), cost).await,
                None => site.limiter.acquire(entity?, site.resource.clone(), Cost::of("a", 1)).await,
            }
        };
        match wish.cancelled {
            Some(after) => timeout(Duration::from_millis(after), acquire).await.ok(),
            None => Some(acquire.await),
        }
    }

    async fn use_up(&self, ask: usize, lease: Lease) {
        let Self { site, wish, .. } = self;
        sleep(Duration::from_millis(wish.work)).await;
        if site.is_dead() {
            return;
        }
        let granted: Vec<i64> = wish.tokens.iter().map(|tokens| i64::try_from(*tokens).unwrap_or(i64::MAX)).collect();
        let used: Vec<i64> = match &wish.ends {
            Ends::Keeps => granted,
            // The amount used is never negative.
            Ends::Adjusts(more) => granted.iter().zip(more).map(|(granted, more)| (granted + more).max(0)).collect(),
            Ends::RollsBack | Ends::Drops => vec![0; granted.len()],
        };
        {
            let mut world = site.world.lock();
            let now = world.now();
            let record = &mut world.history.asks[ask];
            (record.used, record.settled_at) = (Some(used), Some(now));
            world.note(Kind::Settling { ask });
        }
        if let Ends::Adjusts(more) = &wish.ends {
            // A blind lease only contains the limits named in the cost.
            let has = |index: usize| lease.origin() == LeaseOrigin::Stored || wish.tokens[index] > 0;
            for (index, more) in more.iter().enumerate().filter(|(index, _)| has(*index)) {
                if let Err(error) = lease.adjust(limit_name(index), *more) {
                    site.world.lock().history.violate(format!("an adjustment failed: {error}"));
                }
            }
        }
        let settlement = match wish.ends {
            Ends::Keeps | Ends::Adjusts(_) => lease.commit(),
            Ends::RollsBack => lease.roll_back(),
            Ends::Drops => return drop(lease),
        };
        // Every other client does not await it.
        if ask % 2 == 1 {
            return;
        }
        let stored = settlement.await;
        if site.is_dead() {
            return;
        }
        let mut world = site.world.lock();
        if let Err(error) = stored {
            world.history.asks[ask].unsettled = Some(error.to_string());
        }
        world.note(Kind::Settled { ask });
    }
}

fn granted(lease: &Lease) -> AskAnswer {
    match lease.origin() {
        LeaseOrigin::Blind => AskAnswer::Blind,
        LeaseOrigin::Local => AskAnswer::Local,
        _ => AskAnswer::Granted,
    }
}

fn answer_of(error: &AcquireError) -> AskAnswer {
    match error {
        AcquireError::Exceeded(exceeded) => {
            let wait = exceeded.retry_after();
            AskAnswer::NotYet(u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX))
        }
        AcquireError::NeverFits(_) => AskAnswer::Never,
        AcquireError::Unavailable(unavailable) => AskAnswer::Unavailable(unavailable.to_string()),
        other => AskAnswer::Failed(other.to_string()),
    }
}

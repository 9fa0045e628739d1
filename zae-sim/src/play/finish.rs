//! The end of a run: all troubles end, everything settles, and then all tokens must be there.

use std::time::Duration;

use tokio::time::sleep;
use zae_limiter::{ValidationError, sim};

use super::{Client, Stage};
use crate::{
    schedule::{Acquire, Ends, Limit},
    table::number,
    world::{
        history::{AskAnswer, Kind},
        limit_name,
    },
};

/// Maximum time for settlements after recovery, in ms: a few rounds of retries.
const SETTLES_WITHIN: u64 = 60_000;
/// Number of attempts to give a bucket its new limits, with deadlines that are barely long enough.
const RENEWALS: usize = 20;
/// Time for which limits are cached, in ms.
const REMEMBERED: u64 = 60_000;

impl Stage {
    /// Ends all troubles, waits for all clients and settlements, and checks that all tokens are there.
    pub(super) async fn finish(&mut self) -> Result<(), ValidationError> {
        for client in std::mem::take(&mut self.clients) {
            if client.await.is_err() {
                self.world.lock().history.violate("a client panicked".to_owned());
            }
        }
        self.settle().await;
        self.world.lock().note(Kind::Quiet);
        self.count();
        if let Some(aggregator) = self.aggregator.take() {
            aggregator.finish(&self.world, &self.names).await?;
        }
        self.versions = {
            let schedule = &self.world.lock().schedule;
            let versions = |entity| schedule.limits(entity).into_iter().map(|(_, limits)| limits.to_vec()).collect();
            (0..schedule.entities.len()).map(versions).collect()
        };
        if self.versions.iter().any(|versions| versions.len() > 1) {
            sleep(Duration::from_millis(REMEMBERED)).await;
        }
        self.probe().await?;
        let sites = std::mem::take(&mut self.sites);
        for site in sites {
            site.shut_down().await;
        }
        Ok(())
    }

    /// Waits until all instances are idle.
    async fn settle(&self) {
        let busy = || {
            let alive = self.sites.iter().chain(&self.shut_down).filter(|site| !site.is_dead());
            alive.filter(|site| !sim::is_idle(&site.limiter)).map(|site| site.process).collect::<Vec<_>>()
        };
        for _ in 0..SETTLES_WITHIN / 100 {
            if busy().is_empty() {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let busy = busy();
        self.world.lock().history.violate(format!("processes {busy:?} are still busy after {SETTLES_WITHIN} ms"));
    }

    /// Reads the accounts.
    fn count(&self) {
        let mut world = self.world.lock();
        for entity in 0..world.schedule.entities.len() {
            let limits = world.schedule.entities[entity].limits.len();
            let items = world.items(entity);
            let consumed = |limit: usize| {
                let name = format!("b_{}_tc", limit_name(limit));
                items.iter().filter_map(|item| number(item, &name)).sum()
            };
            let counted = (!items.is_empty()).then(|| (0..limits).map(consumed).collect());
            world.history.counted[entity] = counted;
        }
    }

    /// Returns the final limits of an entity.
    fn last_limits(&self, entity: usize) -> &[Limit] {
        self.versions[entity].last().map_or(&[], Vec::as_slice)
    }

    /// Waits until every bucket is full, including any debt.
    async fn refill(&self) {
        let wait = {
            let world = self.world.lock();
            let waits = self.versions.iter().enumerate().flat_map(|(entity, all)| {
                let items = world.items(entity);
                let shards = items.len().max(1) as i128;
                let wait = |limits: &[Limit], index: usize| {
                    let (limit, name) = (limits[index], format!("b_{}_tk", limit_name(index)));
                    let tokens = items.iter().map(|item| number(item, &name).unwrap_or(0)).min().unwrap_or(0);
                    let missing = (i128::from(limit.capacity) * 1_000 - tokens).max(0);
                    missing * i128::from(limit.period) * shards / i128::from(limit.refill) + 1
                };
                // Until the next write, a bucket refills with its previous limits.
                let waits = all.iter().flat_map(|limits| (0..limits.len()).map(|index| wait(limits, index)));
                waits.collect::<Vec<_>>()
            });
            u64::try_from(waits.max().unwrap_or(0)).unwrap_or(0) + world.schedule.skew()
        };
        // Exceeds the memory of any image or breaker.
        sleep(Duration::from_millis(wait + 10_000)).await;
    }

    /// Takes all tokens from every bucket, which must be full by now, whatever happened before.
    async fn probe(&self) -> Result<(), ValidationError> {
        let parents: Vec<Option<usize>> =
            self.world.lock().schedule.entities.iter().map(|entity| entity.parent).collect();
        for (entity, parent) in parents.into_iter().enumerate() {
            let shards = |entity: usize| u64::from(self.world.lock().history.sharded[entity]);
            let parts = shards(entity).max(parent.map_or(1, shards));
            let share = |entity: usize, limit: &Limit| limit.capacity / shards(entity).max(parts);
            let of_parent = parent.map(|parent| (parent, self.last_limits(parent)));
            let limits = self.last_limits(entity);
            let tokens: Vec<u64> = limits
                .iter()
                .enumerate()
                .map(|(index, limit)| {
                    let most = of_parent.as_ref().map(|(parent, limits)| share(*parent, &limits[index]));
                    most.map_or(share(entity, limit), |most| most.min(share(entity, limit)))
                })
                .collect();
            if tokens.iter().all(|tokens| *tokens == 0) {
                continue;
            }
            if std::iter::once(entity).chain(parent).any(|level| self.versions[level].len() > 1) {
                if parts > 1 {
                    // Any of its items may still have the previous limits.
                    continue;
                }
                self.renew(entity, &tokens).await;
            }
            self.refill().await;
            self.ask(entity, tokens, None).await;
        }
        Ok(())
    }

    /// Writes a bucket's new limits; its balance is still that of the old ones.
    async fn renew(&self, entity: usize, tokens: &[u64]) {
        for _ in 0..RENEWALS {
            self.refill().await;
            let ask = self.world.lock().history.asks.len();
            self.ask(entity, tokens.iter().map(|tokens| (*tokens).min(1)).collect(), Some(usize::MAX)).await;
            if self.world.lock().history.asks[ask].answer == Some(AskAnswer::Granted) {
                return;
            }
        }
    }

    async fn ask(&self, entity: usize, tokens: Vec<u64>, step: Option<usize>) {
        let site = self.sites[entity % self.sites.len()].clone();
        let ends = Ends::RollsBack;
        let wish = Acquire { process: site.process, entity, tokens, cancelled: None, work: 0, ends, again: false };
        Client { site, step, wish }.live().await;
    }
}

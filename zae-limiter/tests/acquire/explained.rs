//! An explanation predicts the outcome.

use std::time::Duration;

use zae_limiter::{
    AcquireError, Cost, EntityId, Limit, LimitScope, Limits, NewEntity, RateLimiter, Repository,
    access::ConfigTarget,
    explain::{LimitsLevel, Verdict},
};
use zae_testkit::{Bench, DEADLINE, limits, rpm, tpm};

/// A generator of small numbers, deterministic for every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One or two limits, or none.
    fn limits(&mut self) -> Option<Limits> {
        let small = |numbers: &mut Self| 1 + numbers.below(6);
        let one = |numbers: &mut Self, limit: Limit| if numbers.one_in(6) { limit.soft() } else { limit };
        let (rpm, tpm) = (rpm(small(self)), tpm(small(self) * 10));
        let (rpm, tpm) = (one(self, rpm), one(self, tpm));
        match self.below(4) {
            0 => None,
            1 => Some(limits([rpm])),
            _ => Some(limits([rpm, tpm])),
        }
    }
}

/// Returns the number of configurations: a few hundred per second.
fn configurations() -> u64 {
    std::env::var("ZAE_EXPLAINED").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

async fn configure(repository: &Repository, numbers: &mut Numbers, case: u64) -> (EntityId, String) {
    let (child, parent) = (format!("child-{case}"), format!("parent-{case}"));
    let resource = format!("resource-{case}");
    repository.create_entity(NewEntity::new(EntityId::new(&parent).unwrap())).await.unwrap();
    let cascade = numbers.one_in(2);
    let entity = NewEntity::new(EntityId::new(&child).unwrap()).parent(EntityId::new(&parent).unwrap());
    repository.create_entity(if cascade { entity.cascading() } else { entity }).await.unwrap();
    if let Some(limits) = numbers.limits() {
        repository.set_resource_defaults(&resource, limits).await.unwrap();
        if numbers.one_in(8) {
            repository.disable(ConfigTarget::resource(&resource).unwrap()).await.unwrap();
        }
    }
    for entity in [&child, &parent] {
        for scope in [LimitScope::DEFAULT, &resource] {
            if let Some(limits) = numbers.limits().filter(|_| numbers.one_in(3)) {
                repository.set_limits(entity.as_str(), scope, limits).await.unwrap();
                if numbers.one_in(8) {
                    repository.disable(ConfigTarget::entity(entity, scope).unwrap()).await.unwrap();
                }
            }
        }
    }
    repository.invalidate_config_cache();
    (EntityId::new(&child).unwrap(), resource)
}

/// Returns the verdict that corresponds to an acquire's outcome.
fn verdict(outcome: &Result<(), AcquireError>) -> Result<Verdict, String> {
    match outcome {
        Ok(()) => Ok(Verdict::Passes),
        Err(AcquireError::Exceeded(refused)) => Ok(Verdict::NotYet { retry_after: refused.retry_after() }),
        Err(AcquireError::NeverFits(_)) => Ok(Verdict::Never),
        Err(AcquireError::Disabled(it)) => Ok(Verdict::Disabled { entity_id: it.entity.clone(), level: it.level }),
        Err(AcquireError::NoLimits { entity, .. }) => Ok(Verdict::NoLimits { entity_id: entity.clone() }),
        Err(other) => Err(other.to_string()),
    }
}

#[tokio::test]
async fn an_explanation_agrees_with_what_the_acquire_then_does() {
    let bench = Bench::embedded();
    let (_, repository) = bench.process().await;
    let mut numbers = Numbers(7);
    let mut seen = [0_u64; 5];
    for case in 0..configurations() {
        let (entity, resource) = configure(&repository, &mut numbers, case).await;
        let limiter = RateLimiter::builder(repository.clone()).deadline(DEADLINE).build();
        for _ in 0..3 {
            let cost = Cost::of("rpm", 1 + numbers.below(4));
            let cost = if numbers.one_in(2) { cost } else { cost.and("tpm", numbers.below(30)) };
            let explained = limiter.explain(&entity, resource.as_str(), &cost).await;
            let acquired = match limiter.acquire(&entity, resource.as_str(), cost.clone()).await {
                Ok(lease) => lease.commit().await.map_err(|error| panic!("{error}")),
                Err(error) => Err(error),
            };
            match (&explained, verdict(&acquired)) {
                (Ok(explanation), Ok(verdict)) => {
                    assert_eq!(explanation.verdict, verdict, "case {case}, {cost:?}: {explanation:#?}");
                    seen[kind(&verdict)] += 1;
                }
                (Err(explained), Err(acquired)) => assert_eq!(explained.to_string(), acquired, "case {case}"),
                other => panic!("case {case}, {cost:?}: {other:?}"),
            }
            bench.advance(numbers.below(40_000));
        }
        limiter.shutdown().await;
    }
    assert!(seen.iter().all(|count| *count > 0), "every kind of outcome was met: {seen:?}");
}

fn kind(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Passes => 0,
        Verdict::NotYet { .. } => 1,
        Verdict::Never => 2,
        Verdict::Disabled { .. } => 3,
        _ => 4,
    }
}

#[tokio::test]
async fn the_levels_are_all_named_and_the_strongest_applies() {
    let bench = Bench::embedded();
    let (_, repository) = bench.process().await;
    repository.set_system_defaults(rpm(10)).await.unwrap();
    repository.set_limits("key-1", "_default_", rpm(20)).await.unwrap();
    let limiter = RateLimiter::builder(repository.clone()).deadline(DEADLINE).build();
    let explained = limiter.explain("key-1", "gpt-4", &Cost::of("rpm", 5)).await.unwrap();
    let levels: Vec<LimitsLevel> = explained.buckets[0].levels.iter().map(|level| level.level).collect();
    assert_eq!(levels, [LimitsLevel::EntityDefault, LimitsLevel::System]);
    assert_eq!(explained.buckets[0].applies, Some(LimitsLevel::EntityDefault));
    assert_eq!(explained.buckets[0].limits[0].available, 20);

    // Another process changes them: an explanation uses the stored limits.
    let (_, other) = bench.process().await;
    other.set_limits("key-1", "gpt-4", rpm(2)).await.unwrap();
    let explained = limiter.explain("key-1", "gpt-4", &Cost::of("rpm", 2)).await.unwrap();
    assert_eq!(explained.buckets[0].applies, Some(LimitsLevel::Entity));
    limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 2)).await.unwrap().commit().await.unwrap();
    let explained = limiter.explain("key-1", "gpt-4", &Cost::of("rpm", 1)).await.unwrap();
    assert_eq!(explained.verdict, Verdict::NotYet { retry_after: Duration::from_secs(30) });
    limiter.shutdown().await;
}

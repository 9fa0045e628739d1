//! Several resources in one acquire: from all of them, or from none; and what is there without taking anything.

use serde_json::Value;
use zae_limiter::{
    Acquire, AcquireError, Cost, Lease, LeaseOrigin, Limit, Limits, MAX_RESOURCES, OnUnavailable, RateLimiter,
    Repository, ResourceName, access::ConfigTarget,
};
use zae_testkit::{Bench, Fault, Wire, limits, raw, rpm, tpm};

/// A model of a hundred requests and a thousand tokens, and a search of five requests a minute.
async fn bench() -> (Bench, Wire, RateLimiter) {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    for (resource, limits) in [("model", limits([rpm(100), tpm(1_000)])), ("search", limits([rpm(5)]))] {
        repository.set_resource_defaults(resource, limits).await.unwrap();
    }
    let limiter = RateLimiter::new(repository);
    (bench, wire, limiter)
}

fn both(tokens: u64, searches: u64) -> Acquire {
    let request = Acquire::new("e", "model", Cost::of("rpm", 1).and("tpm", tokens)).unwrap();
    request.also("search", Cost::of("rpm", searches)).unwrap()
}

async fn acquire(limiter: &RateLimiter, tokens: u64, searches: u64) -> Result<Lease, AcquireError> {
    limiter.acquire_with(both(tokens, searches)).await
}

async fn bucket(repository: &Repository, resource: &str) -> Value {
    raw::get(repository, &format!("{}/BUCKET#e#{resource}#0", repository.namespace_id()), "#STATE").await
}

/// Balances of the model's tokens and of searches, in mt.
async fn stored(repository: &Repository) -> [Option<i64>; 2] {
    let (model, search) = (bucket(repository, "model").await, bucket(repository, "search").await);
    [raw::number(&model, "b_tpm_tk"), raw::number(&search, "b_rpm_tk")]
}

#[tokio::test]
async fn all_are_charged_and_each_part_is_settled_by_what_it_used() {
    let (_bench, wire, limiter) = bench().await;
    let r = limiter.repository().clone();
    let lease = acquire(&limiter, 400, 2).await.unwrap();
    assert_eq!(stored(&r).await, [Some(600_000), Some(3_000)]);
    assert_eq!(lease.resources().map(ResourceName::as_str).collect::<Vec<_>>(), ["model", "search"]);
    let search = lease.part("search").unwrap();
    assert_eq!((search.consumed()["rpm"], lease.consumed()["tpm"]), (2, 400));
    assert!(lease.part("model").is_some() && lease.part("other").is_none());
    lease.adjust("tpm", -100).unwrap();
    search.adjust("rpm", 1).unwrap();
    wire.take();
    lease.commit().await.unwrap();
    assert_eq!(stored(&r).await, [Some(700_000), Some(2_000)]);
    assert_eq!(wire.take().get("UpdateItem"), Some(&2), "one write for each part that was adjusted");
    assert!(lease.part("search").unwrap().is_settled());
}

#[tokio::test]
async fn nothing_is_taken_where_one_refuses_and_the_refusal_tells_of_all() {
    let (_bench, wire, limiter) = bench().await;
    let r = limiter.repository().clone();
    acquire(&limiter, 100, 4).await.unwrap().commit().await.unwrap();
    // A process that has not seen the buckets yet asks for both.
    let newcomer = RateLimiter::new(r.clone());
    let refused = acquire(&newcomer, 100, 2).await.unwrap_err();
    let AcquireError::Exceeded(refusal) = refused else { panic!("{refused:?}") };
    assert_eq!((refusal.primary().resource.as_str(), refusal.retry_after().as_secs()), ("search", 12));
    let seen: Vec<_> = refusal.statuses().iter().map(|status| (status.resource.as_str(), status.exceeded)).collect();
    assert_eq!(seen, [("search", true), ("model", false), ("model", false)]);
    newcomer.flush().await.unwrap();
    assert_eq!(stored(&r).await, [Some(900_000), Some(1_000)], "the model gives back what it had granted");
    // A process that has seen one of them refuse asks for neither.
    wire.take();
    assert!(matches!(acquire(&limiter, 100, 2).await, Err(AcquireError::Exceeded(_))));
    assert_eq!(wire.count(), 0);
    // A refusal for good comes before one for now.
    let never = acquire(&limiter, 1_001, 2).await;
    limiter.flush().await.unwrap();
    assert!(matches!(&never, Err(AcquireError::NeverFits(_))), "{never:?}");
    assert_eq!(stored(&r).await, [Some(900_000), Some(1_000)]);
}

#[tokio::test]
async fn memory_refuses_with_the_worst_that_is_known_and_with_all_that_refuse() {
    let (_bench, wire, limiter) = bench().await;
    acquire(&limiter, 900, 4).await.unwrap().commit().await.unwrap();
    for (tokens, searches) in [(200, 1), (100, 2)] {
        assert!(acquire(&limiter, tokens, searches).await.is_err(), "both were seen to refuse");
    }
    wire.take();
    let refused = limiter.refused_at_once(&both(200, 2)).unwrap();
    let AcquireError::Exceeded(refusal) = refused else { panic!("{refused:?}") };
    let exceeded = refusal.statuses().iter().filter(|status| status.exceeded);
    assert_eq!(exceeded.map(|status| status.resource.as_str()).collect::<Vec<_>>(), ["model", "search"]);
    let never = limiter.refused_at_once(&both(200, 6)).unwrap();
    assert!(matches!(&never, AcquireError::NeverFits(_)), "{never:?}");
    // A resource that is not known here may be disabled.
    let unknown = both(200, 2).also("other", Cost::of("rpm", 1)).unwrap();
    assert!(limiter.refused_at_once(&unknown).is_none());
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn a_lease_that_is_dropped_gives_all_of_it_back() {
    let (_bench, _, limiter) = bench().await;
    drop(acquire(&limiter, 400, 2).await.unwrap());
    limiter.flush().await.unwrap();
    assert_eq!(stored(limiter.repository()).await, [Some(1_000_000), Some(5_000)]);
}

#[tokio::test]
async fn disabled_is_said_before_refused() {
    let (_bench, _, limiter) = bench().await;
    let r = limiter.repository().clone();
    acquire(&limiter, 1_000, 1).await.unwrap().commit().await.unwrap();
    r.disable(ConfigTarget::resource("search").unwrap()).await.unwrap();
    let other = RateLimiter::new(r.clone());
    let answer = other.acquire_with(both(1, 1)).await;
    assert!(matches!(&answer, Err(AcquireError::Disabled(d)) if d.resource.as_str() == "search"), "{answer:?}");
    other.flush().await.unwrap();
    assert_eq!(stored(&r).await, [Some(0), Some(4_000)]);
}

#[tokio::test]
async fn mistakes_are_said_before_anything_is_asked() {
    let (_bench, wire, limiter) = bench().await;
    wire.take();
    let one = || Acquire::new("e", "r0", Cost::of("rpm", 1)).unwrap();
    let cost = || Cost::of("rpm", 1);
    let mut most = one();
    for index in 1..MAX_RESOURCES {
        most = most.also(format!("r{index}"), cost()).unwrap();
    }
    for (mistake, expected) in [
        (one().also("r0", cost()), "twice"),
        (one().also("r1", cost()).unwrap().also("r1", cost()), "twice"),
        (most.also("one-more", cost()), "16"),
        (one().also("a#b", cost()), "#"),
    ] {
        let error = mistake.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let own: Limits = rpm(5).into();
    for mistake in [
        one().also("r1", cost()).unwrap().limits(own),
        one().also("r1", Cost::of("rpm", 0)).unwrap(),
        one().also("r1", Cost::of("rpm", u64::MAX)).unwrap(),
    ] {
        let answer = limiter.acquire_with(mistake).await;
        assert!(matches!(&answer, Err(AcquireError::Invalid(_))), "{answer:?}");
    }
    assert_eq!(wire.count(), 0);
    // One that has no limits fails the whole.
    let unknown = one().also("model", cost()).unwrap();
    assert!(matches!(limiter.acquire_with(unknown).await, Err(AcquireError::NoLimits { .. })));
}

#[tokio::test]
async fn an_outage_of_one_makes_all_of_it_blind_or_nothing() {
    let (_bench, wire, limiter) = bench().await;
    let r = limiter.repository().clone();
    acquire(&limiter, 100, 1).await.unwrap().commit().await.unwrap();
    // Searches cannot be written, the model can.
    wire.fail_marked("#search#", Fault::LostBefore);
    let blocked = acquire(&limiter, 100, 1).await;
    assert!(matches!(&blocked, Err(AcquireError::Unavailable(_))), "{blocked:?}");
    let lease = limiter.acquire_with(both(100, 1).on_unavailable(OnUnavailable::Allow)).await.unwrap();
    assert_eq!((lease.origin(), lease.part("search").unwrap().origin()), (LeaseOrigin::Blind, LeaseOrigin::Blind));
    lease.commit().await.unwrap();
    limiter.flush().await.unwrap();
    assert_eq!(raw::number(&bucket(&r, "model").await, "b_tpm_tk"), Some(900_000), "it gave back what it was granted");
}

#[tokio::test]
async fn availability_is_read_and_nothing_is_taken() {
    let (bench, wire, limiter) = bench().await;
    let r = limiter.repository().clone();
    acquire(&limiter, 900, 5).await.unwrap().commit().await.unwrap();
    wire.take();
    let model = limiter.check_availability("e", "model", &Cost::of("tpm", 300).and("rpm", 1)).await.unwrap();
    let calls = wire.take();
    assert!(calls.keys().all(|call| call.contains("Get")) && calls.values().sum::<u64>() == 1, "{calls:?}");
    let status = model.status("tpm").unwrap();
    assert_eq!((status.available, status.deficit(), status.retry_after.as_secs()), (100, 200, 12));
    assert!(!model.is_allowed() && !model.never_fits && model.status("other").is_none());
    assert_eq!(model.exceeded().map(|status| status.limit.name().as_str()).collect::<Vec<_>>(), ["tpm"]);
    assert_eq!(model.retry_after().map(|wait| wait.as_secs()), Some(12));
    let never = limiter.check_availability("e", "model", &Cost::of("tpm", 1_001)).await.unwrap();
    assert_eq!((never.is_allowed(), never.retry_after()), (false, None));
    // A soft limit and a bypass refuse nothing.
    r.bypass(ConfigTarget::resource("search").unwrap()).await.unwrap();
    r.set_resource_defaults("model", Limit::per_minute("tpm", 1_000).unwrap().soft()).await.unwrap();
    bench.advance(1);
    for (resource, cost) in [("search", Cost::of("rpm", 9)), ("model", Cost::of("tpm", 9_000))] {
        let all = limiter.check_availability("e", resource, &cost).await.unwrap();
        assert!(all.is_allowed() && !all.never_fits, "{all:?}");
        assert_eq!(all.is_bypassed, resource == "search");
    }
    let unknown = limiter.check_availability("e", "model", &Cost::of("rps", 1)).await;
    assert!(matches!(unknown, Err(AcquireError::Invalid(_))), "{unknown:?}");
}

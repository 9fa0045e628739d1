//! Limits that change while their buckets are in use.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use zae_limiter::{AcquireError, Cost, LimitScope, RateLimiter, ResourceName};
use zae_testkit::{Bench, Fault, limits, raw, rpm, tpm};

use crate::names::id;

fn scope() -> LimitScope {
    ResourceName::new("gpt-4").unwrap().into()
}

async fn spend(limiter: &RateLimiter, limit: &str, tokens: u64) -> Result<(), AcquireError> {
    let lease = limiter.acquire("user-1", "gpt-4", Cost::of(limit, tokens)).await?;
    lease.commit().await.unwrap();
    Ok(())
}

async fn stored(limiter: &RateLimiter, attribute: &str) -> Option<i64> {
    let repository = limiter.repository();
    let pk = format!("{}/BUCKET#user-1#gpt-4#0", repository.namespace_id());
    raw::number(&raw::get(repository, &pk, "#STATE").await, attribute)
}

#[tokio::test(start_paused = true)]
async fn an_entitys_own_limits_come_and_go_with_the_bucket_in_use() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let repository = limiter.repository().clone();
    spend(&limiter, "rpm", 4).await.unwrap();

    repository.set_limits(&id("user-1"), &scope(), &limits([rpm(100), tpm(50)])).await.unwrap();
    assert!(matches!(spend(&limiter, "rpm", 7).await, Err(AcquireError::Exceeded(_))), "6 are left, of more");
    spend(&limiter, "tpm", 50).await.expect("a limit that was not there starts full");
    bench.advance(3_000);
    tokio::time::advance(Duration::from_secs(1)).await;
    spend(&limiter, "rpm", 11).await.expect("6 and 3 s of the new rate");
    assert!(matches!(spend(&limiter, "rpm", 1).await, Err(AcquireError::Exceeded(_))));
    assert_eq!(stored(&limiter, "ttl").await, None);

    assert!(repository.delete_limits(&id("user-1"), &scope()).await.unwrap());
    assert_eq!(stored(&limiter, "b_rpm_cp").await, Some(10_000));
    assert_eq!(stored(&limiter, "b_tpm_tk").await, None);
    assert!(stored(&limiter, "ttl").await.is_some());
    assert!(matches!(spend(&limiter, "rpm", 11).await, Err(AcquireError::NeverFits(_))), "the default holds again");
    assert!(matches!(spend(&limiter, "tpm", 1).await, Err(AcquireError::Invalid(_))));
    bench.advance(60_000);
    tokio::time::advance(Duration::from_secs(1)).await;
    spend(&limiter, "rpm", 10).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn changing_limits_neither_mints_nor_loses_count_of_tokens() {
    let bench = Bench::new();
    let (wire, limiter) = bench.limiter(&limits([rpm(60)])).await;
    let limiter = Arc::new(limiter);
    spend(&limiter, "rpm", 1).await.unwrap();
    wire.fail(|_, call| Fault::Slow(call * 7 % 5));
    let mut spenders = JoinSet::new();
    for task in 0..80_u64 {
        let limiter = Arc::clone(&limiter);
        spenders.spawn(async move {
            tokio::time::sleep(Duration::from_millis(task % 16 * 2)).await;
            spend(&limiter, "rpm", 1).await
        });
    }
    let (admin_wire, admin) = bench.process().await;
    admin_wire.fail(|_, call| Fault::Slow(call * 3 % 4));
    for round in 0..12 {
        let rate = if round % 2 == 0 { 59 } else { 90 };
        admin.set_limits(&id("user-1"), &scope(), &limits([rpm(rate)])).await.unwrap();
    }
    let mut granted = 1;
    while let Some(spent) = spenders.join_next().await {
        match spent.unwrap() {
            Ok(()) => granted += 1,
            Err(AcquireError::Exceeded(_)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    // The clock stands still: no more than the bucket's initial content is granted, however the limits change.
    assert!(granted <= 60, "{granted}");
    assert_eq!(stored(&limiter, "b_rpm_tc").await, Some(granted * 1_000));
    assert!(stored(&limiter, "b_rpm_tk").await.unwrap() <= (60 - granted) * 1_000);
}

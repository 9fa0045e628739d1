//! `bucket …`.

use aws_sdk_dynamodb::types::AttributeValue;
use zae_limiter::{Cost, RateLimiter, version::VersionUpdate};

use crate::stage::Stage;

/// Creates an entity that has used two resources.
fn with_buckets() -> Stage {
    let stage = Stage::deployed();
    // So slow that nothing is refilled while the test runs.
    stage.ok(&["system", "set-defaults", "-l", "rpm:1/day:100", "-l", "tpm:60/day:90000"]);
    let limiter = RateLimiter::new(stage.repository("default"));
    stage.runtime.block_on(async {
        for (resource, requests, tokens) in [("gpt-4", 85, 80_000), ("claude", 1, 10)] {
            let cost = Cost::of("rpm", requests).and("tpm", tokens);
            limiter.acquire("user-1", resource, cost).await.unwrap().commit().await.unwrap();
        }
        limiter.shutdown().await;
    });
    stage
}

/// Shards a bucket as a Python client does with a bucket that is written very often.
fn shard(stage: &Stage) {
    let of_gpt = |item: &crate::stage::Item| item["PK"].as_s().unwrap().ends_with("/BUCKET#user-1#gpt-4#0");
    let mut item = stage.items().into_iter().find(of_gpt).unwrap();
    item.insert("shard_count".to_owned(), AttributeValue::N("2".to_owned()));
    stage.put(item.clone());
    for name in ["PK", "GSI2SK", "GSI3SK", "GSI4SK"] {
        let text = item[name].as_s().unwrap();
        let other = format!("{}1", text.strip_suffix('0').unwrap());
        item.insert(name.to_owned(), AttributeValue::S(other));
    }
    item.insert("b_rpm_tk".to_owned(), AttributeValue::N("5000".to_owned()));
    stage.put(item);
}

#[test]
fn what_is_left_is_shown() {
    let stage = with_buckets();
    stage.shows("bucket-show", &["bucket", "show", "user-1"]);
    stage.shows("bucket-show-resource", &["bucket", "show", "user-1", "--resource", "claude"]);
    stage.shows("bucket-show-none", &["bucket", "show", "nobody"]);
}

#[test]
fn a_sharded_bucket_becomes_one() {
    let stage = with_buckets();
    shard(&stage);
    stage.snapshot("bucket-show-sharded.txt", &stage.ok(&["bucket", "show", "user-1", "-r", "gpt-4"]));
    let before = stage.items();
    stage.fails("bucket-fold-unasked", &["bucket", "fold", "user-1", "-r", "gpt-4"], 1);
    assert_eq!(stage.items(), before);
    stage.snapshot("bucket-fold.txt", &stage.ok(&["bucket", "fold", "user-1", "-r", "gpt-4", "--yes"]));
    stage.shows("bucket-fold-again", &["bucket", "fold", "user-1", "-r", "gpt-4"]);
    stage.fails("bucket-fold-none", &["bucket", "fold", "user-1", "-r", "gpt-5"], 1);
}

#[test]
fn the_reference_s_aggregator_is_warned_of() {
    let stage = with_buckets();
    shard(&stage);
    let update = VersionUpdate::default().updated_by("cli:0.17.0");
    stage.runtime.block_on(stage.repository("default").set_version_record(&update)).unwrap();
    let ran = stage.run(&["bucket", "fold", "user-1", "-r", "gpt-4", "--yes"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    stage.snapshot("bucket-fold-warned.err", &ran.stderr);
}

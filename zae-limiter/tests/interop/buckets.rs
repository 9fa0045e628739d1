//! Buckets created and used by both sides: consumption, refill, cascade, refund and debt, to the millitoken.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    side::Side,
    table::{By, Table},
};

fn row(name: &str, capacity: u64) -> Value {
    json!({ "name": name, "capacity": capacity, "refill_amount": capacity, "refill_period_seconds": 60 })
}

/// Creates a table with default limits of 60 requests and 6000 tokens a minute.
async fn limited(by: By) -> Option<Table> {
    let table = Table::open(by).await?;
    let rows = [row("rpm", 60), row("tpm", 6_000)];
    table.side(by).ok("set_system_defaults", json!({ "rows": rows, "principal": "ops" })).await;
    Some(table)
}

fn ask(entity: &str, requests: u64, tokens: u64) -> Value {
    json!({ "entity_id": entity, "resource": "gpt-4", "consume": { "rpm": requests, "tpm": tokens } })
}

fn with(mut ask: Value, field: &str, value: Value) -> Value {
    ask[field] = value;
    ask
}

/// Returns the balances that both sides report; they must agree.
async fn left(table: &Table, entity: &str) -> (i64, i64) {
    let question = json!({ "entity_id": entity, "resource": "gpt-4" });
    let ours = table.ours.ok("available", question.clone()).await;
    assert_eq!(table.theirs.ok("available", question).await, ours, "the sides disagree about {entity}");
    (ours["rpm"].as_i64().unwrap(), ours["tpm"].as_i64().unwrap())
}

/// Waits until an unawaited refund has been written. Time stands still in the test, so only the refund can change the
/// balance.
async fn settled(table: &Table, entity: &str, (rpm, tpm): (i64, i64)) {
    let patience = Instant::now() + Duration::from_secs(10);
    loop {
        let bucket = table.bucket(entity, "gpt-4").await;
        if (bucket["rpm"].0, bucket["tpm"].0) == (rpm * 1_000, tpm * 1_000) {
            return;
        }
        assert!(Instant::now() < patience, "{entity} still has {bucket:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the numbers of a refusal for one limit.
async fn refusal(side: &Side, ask: Value, limit: &str) -> (i64, i64, u64) {
    let map = side.refused("acquire", ask).await;
    assert_eq!(map["error"], "rate_limit_exceeded");
    let limits = map["limits"].as_array().unwrap();
    let status = limits.iter().find(|status| status["limit_name"] == limit && status["exceeded"] == true);
    let status = status.unwrap_or_else(|| panic!("{limit} did not refuse: {map:?}"));
    let number = |field: &str| status[field].as_i64().unwrap();
    // The Python package adds a millisecond even without rounding; clients are given whole seconds.
    let wait = (status["retry_after_seconds"].as_f64().unwrap() - 0.002).ceil();
    (number("available"), number("requested"), wait as u64)
}

async fn consumption(by: By) {
    let Some(table) = limited(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    writer.ok("acquire", ask("user-1", 1, 100)).await;
    reader.ok("acquire", ask("user-1", 2, 200)).await;
    writer.ok("acquire", ask("user-1", 3, 300)).await;
    let bucket = table.bucket("user-1", "gpt-4").await;
    assert_eq!((bucket["rpm"], bucket["tpm"]), ((54_000, 6_000), (5_400_000, 600_000)));
    assert_eq!(left(&table, "user-1").await, (54, 5_400));

    // Both refuse alike, with the same wait, and take nothing.
    for side in [writer, reader] {
        assert_eq!(refusal(side, ask("user-1", 1, 5_500), "tpm").await, (5_400, 5_500, 1));
        assert_eq!(refusal(side, ask("user-1", 57, 0), "rpm").await, (54, 57, 3));
    }
    assert_eq!(left(&table, "user-1").await, (54, 5_400));

    // Two seconds refill two requests and 200 tokens, whichever side writes them.
    table.advance(2);
    assert_eq!(left(&table, "user-1").await, (56, 5_600));
    reader.ok("acquire", ask("user-1", 56, 5_600)).await;
    assert_eq!(left(&table, "user-1").await, (0, 0));
    table.advance(3);
    writer.ok("acquire", ask("user-1", 3, 300)).await;
    for side in [writer, reader] {
        assert_eq!(refusal(side, ask("user-1", 1, 1), "rpm").await, (0, 1, 1));
    }
    // The counters are the sum of both sides' grants.
    let bucket = table.bucket("user-1", "gpt-4").await;
    assert_eq!((bucket["rpm"].1, bucket["tpm"].1), (65_000, 6_500_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_consume_from_our_bucket() {
    consumption(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_consume_from_their_bucket() {
    consumption(By::Them).await;
}

async fn cascade(by: By) {
    let Some(table) = limited(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    writer.ok("create_entity", json!({ "entity": { "entity_id": "proj-1" }, "principal": "ops" })).await;
    for key in ["key-1", "key-2"] {
        let entity = json!({ "entity_id": key, "parent_id": "proj-1", "cascade": true });
        writer.ok("create_entity", json!({ "entity": entity, "principal": "ops" })).await;
    }
    writer.ok("acquire", ask("key-1", 10, 100)).await;
    reader.ok("acquire", ask("key-1", 20, 200)).await;
    reader.ok("acquire", ask("key-2", 25, 500)).await;
    assert_eq!(left(&table, "key-1").await, (30, 5_700));
    assert_eq!(left(&table, "key-2").await, (35, 5_500));
    assert_eq!(left(&table, "proj-1").await, (5, 5_200));
    // The parent refuses although the child could grant: neither loses anything.
    for side in [writer, reader] {
        assert_eq!(refusal(side, ask("key-2", 6, 0), "rpm").await, (5, 6, 1));
        settled(&table, "key-2", (35, 5_500)).await;
        assert_eq!(left(&table, "proj-1").await, (5, 5_200));
    }
    // Failed work is given back at both levels.
    for side in [writer, reader] {
        side.ok("acquire", with(ask("key-2", 5, 700), "abandon", json!(true))).await;
        assert_eq!((left(&table, "key-2").await, left(&table, "proj-1").await), ((35, 5_500), (5, 5_200)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn they_cascade_through_our_entities() {
    cascade(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_cascade_through_their_entities() {
    cascade(By::Them).await;
}

async fn refunds(by: By) {
    let Some(table) = limited(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    writer.ok("acquire", ask("user-1", 10, 1_000)).await;
    for side in [reader, writer] {
        // The estimate was too high …
        side.ok("acquire", with(ask("user-1", 1, 500), "release", json!({ "tpm": 380 }))).await;
        // … or too low …
        side.ok("acquire", with(ask("user-1", 1, 100), "adjust", json!({ "tpm": 30 }))).await;
        // … or the work failed.
        side.ok("acquire", with(ask("user-1", 1, 900), "abandon", json!(true))).await;
    }
    assert_eq!(left(&table, "user-1").await, (46, 4_500));
    let bucket = table.bucket("user-1", "gpt-4").await;
    assert_eq!((bucket["rpm"], bucket["tpm"]), ((46_000, 14_000), (4_500_000, 1_500_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_refund_to_our_bucket() {
    refunds(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_refund_to_their_bucket() {
    refunds(By::Them).await;
}

async fn debt(by: By) {
    let Some(table) = limited(by).await else { return };
    let (writer, reader) = table.writer_and_reader(by);
    // The response was much longer than expected.
    writer.ok("acquire", with(ask("user-1", 1, 6_000), "adjust", json!({ "tpm": 1_500 }))).await;
    assert_eq!(left(&table, "user-1").await, (59, -1_500));
    for side in [reader, writer] {
        assert_eq!(refusal(side, ask("user-1", 1, 100), "tpm").await, (-1_500, 100, 16));
        let wait = json!({ "entity_id": "user-1", "resource": "gpt-4", "needed": { "tpm": 100 } });
        let seconds = side.ok("wait", wait).await.as_f64().unwrap();
        assert!((seconds - 16.0).abs() < 0.01, "{seconds}");
    }
    table.advance(15);
    assert_eq!(left(&table, "user-1").await, (60, 0));
    assert_eq!(refusal(reader, ask("user-1", 1, 1), "tpm").await, (0, 1, 1));
    table.advance(1);
    reader.ok("acquire", ask("user-1", 1, 100)).await;
    assert_eq!(left(&table, "user-1").await, (59, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn they_wait_until_our_debt_is_paid() {
    debt(By::Us).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn we_wait_until_their_debt_is_paid() {
    debt(By::Them).await;
}

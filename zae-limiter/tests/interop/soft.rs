//! Soft limits on one table: stored by one side, honoured by the other.

use serde_json::{Value, json};

use super::table::{By, Table};

fn rows(soft: bool) -> Value {
    json!([{ "name": "rpm", "capacity": 10, "refill_amount": 10, "refill_period_seconds": 60, "soft": soft }])
}

fn acquire(tokens: u64) -> Value {
    json!({ "entity_id": "user-1", "resource": "gpt-4", "consume": { "rpm": tokens } })
}

/// One side stores a limit at each level, soft and then hard; both take from the bucket.
#[tokio::test(flavor = "multi_thread")]
async fn both_sides_let_pass_what_a_soft_limit_lets_pass_and_refuse_when_it_is_hard_again() {
    for by in [By::Us, By::Them] {
        let Some(table) = Table::open(by).await else { return };
        let (writer, other) = table.writer_and_reader(by);
        writer.ok("create_entity", json!({ "entity": { "entity_id": "user-1" } })).await;
        let mut taken = 0;
        for (op, target) in [
            ("set_system_defaults", json!({})),
            ("set_resource_defaults", json!({ "resource": "gpt-4" })),
            ("set_limits", json!({ "entity_id": "user-1", "resource": "gpt-4" })),
        ] {
            let store = |soft| {
                let mut arguments = target.clone();
                arguments["rows"] = rows(soft);
                arguments
            };
            writer.ok(op, store(true)).await;
            for side in [other, writer, other] {
                side.ok("acquire", acquire(12)).await;
                taken += 12_000;
            }
            assert_eq!(table.bucket("user-1", "gpt-4").await["rpm"], (10_000 - taken, taken), "{op} {by:?}");
            writer.ok(op, store(false)).await;
            for side in [other, writer] {
                side.refused("acquire", acquire(1)).await;
            }
        }
    }
}

/// Their stamps expire while nothing changes: neither side refuses because of that, and each renews the stamps it
/// finds.
#[tokio::test(flavor = "multi_thread")]
async fn stamps_that_run_out_stop_neither_side() {
    let Some(table) = Table::open(By::Them).await else { return };
    table.theirs.ok("create_entity", json!({ "entity": { "entity_id": "user-1" } })).await;
    table.theirs.ok("set_system_defaults", json!({ "rows": rows(true) })).await;
    let mut taken = 0;
    for turn in 0..6 {
        let side = table.side(if turn % 2 == 0 { By::Us } else { By::Them });
        side.ok("acquire", acquire(100)).await;
        taken += 100_000;
        let bucket = table.bucket("user-1", "gpt-4").await["rpm"];
        assert_eq!(bucket.1, taken);
        assert!(bucket.0 < 0, "{bucket:?}");
        table.advance(61);
    }
}

//! The shared vectors of quotas (`tests/vectors/quota.json`).

use serde_json::{Value, json};

use super::{
    Period, QuotaImage, Shard, Turn,
    grant::{Sibling, grant},
};
use crate::{
    bucket::{MILLI, Params, schedule::accrual::Course},
    model::schedule::{Resets, Schedule, Zone, vectors::vectors},
};

const VECTORS: &str = include_str!("../../../tests/vectors/quota.json");

fn int(value: &Value, key: &str) -> Option<i64> {
    value[key].as_i64()
}

fn stored(state: &Value) -> QuotaImage {
    QuotaImage {
        grant_count: int(state, "gc").map(|count| u32::try_from(count).unwrap()),
        topped_up: int(state, "tu"),
        window: int(state, "ws"),
        length: int(state, "rsa"),
        applied: int(state, "wa"),
        counter_mark: int(state, "wtc").map(i128::from),
    }
}

fn resets(value: &Value) -> Option<Resets> {
    value["rsched"].as_str().and_then(|text| Resets::decode(text, Zone::utc()).unwrap())
}

fn period<'a>(value: &Value, resets: Option<&'a Resets>) -> Period<'a> {
    resets.map_or_else(|| Period::Session { length: int(value, "rsa").unwrap() * 1_000 }, Period::Calendar)
}

/// Returns the shard after a pass, as the Python package reports it: before the balance is cut to the capacity.
fn materialised(shard: &Shard<'_>, turn: Turn, tokens: i64, now: i64) -> Value {
    let n = shard.course.shards;
    let running = turn == Turn::Running;
    let session = matches!(shard.period, Period::Session { .. });
    let window = if turn == Turn::Opened { Some(now) } else { shard.stored.window };
    json!({
        "opened_ws": (turn == Turn::Opened).then_some(now),
        "reset_applied": turn == Turn::Reset,
        "rolled": matches!(turn, Turn::Opened | Turn::Told),
        "tk": if running { shard.tokens } else { tokens },
        "gc": if running { shard.stored.grant_count } else { Some(n) },
        "tu": if running { shard.stored.topped_up } else { None },
        "ws": window,
        "wa": if session && !running { window } else { shard.stored.applied },
    })
}

#[test]
fn a_quota_is_restored_cut_and_granted_as_python_does() {
    let vectors = vectors(VECTORS, "quota_pass");
    assert_eq!(vectors.len(), 220);
    for vector in vectors {
        let (state, expected) = (&vector["input"]["state"], &vector["expected"]);
        let (now, requested) = (int(&vector["input"], "now_ms").unwrap(), int(&vector["input"], "requested").unwrap());
        let resets = resets(state);
        let schedule = state["sched"].as_str().and_then(|text| Schedule::decode(text, Zone::utc()).unwrap());
        let base = Params {
            capacity: int(state, "cp").unwrap(),
            refill: int(state, "ra").unwrap(),
            period: int(state, "rp").unwrap(),
        };
        let shards = u32::try_from(int(state, "n").unwrap()).unwrap();
        let course = Course { base, schedule: schedule.as_ref(), resets: resets.as_ref(), shards };
        let shard = Shard {
            course,
            period: period(state, resets.as_ref()),
            tokens: int(state, "tk").unwrap(),
            consumed: int(state, "tc").map(i128::from),
            last_refill: int(state, "rf").unwrap(),
            stored: stored(state),
        };
        let standing = shard.at(now);
        assert_eq!(course.at(now).capacity, int(expected, "reset_target").unwrap(), "{vector}");
        assert_eq!(shard.ceiling(now), int(expected, "ceiling").unwrap(), "{vector}");
        assert_eq!(materialised(&shard, standing.turn, standing.tokens, now), expected["materialised"], "{vector}");

        let admit = &expected["admit"];
        let granted = standing.tokens >= requested * MILLI;
        let left = if granted { standing.tokens - requested * MILLI } else { standing.tokens };
        assert_eq!(json!(granted), admit["ok"], "{vector}");
        assert_eq!(json!(left), admit["tk_after"], "{vector}");
        assert_eq!(json!(standing.tokens.div_euclid(MILLI)), admit["available"], "{vector}");
        let session = resets.is_none();
        // The Python package only reports the end of sessions.
        assert_eq!(json!(standing.resets_at.filter(|_| session)), admit["resets_at_ms"], "{vector}");
        let theirs = (admit["retry_after"].as_f64().unwrap() * 1_000.0).round() as i64;
        let ours = shard.wait(requested * MILLI, now).unwrap();
        // It waits one ms beyond a calendar's instant.
        assert_eq!(ours + i64::from(!session && ours > 0), theirs, "{vector}");
        assert_eq!(json!(standing.resets_at.filter(|_| !session)), expected["next_edge"], "{vector}");
        assert_eq!(json!(shard.next_boundary(now)), expected["vu"], "{vector}");
    }
}

#[test]
fn a_further_shard_takes_from_the_sibling_that_python_takes_from() {
    let vectors = vectors(VECTORS, "grant");
    assert_eq!(vectors.len(), 90);
    for vector in vectors {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        let number = |value: &Value, key| u32::try_from(int(value, key).unwrap()).unwrap();
        let siblings: Vec<Sibling> = input["siblings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|sibling| Sibling {
                shard: number(sibling, "shard"),
                tokens: int(sibling, "tk").unwrap(),
                grant_count: number(sibling, "gc"),
                current: sibling["current"] == true,
            })
            .collect();
        let ours = grant(number(input, "shard"), int(input, "share").unwrap(), &siblings);
        let donor = ours.donor;
        let told = json!({
            "donor": donor.map(|donor| donor.shard),
            "tokens": ours.tokens,
            "donor_gc": donor.map(|donor| donor.grant_count),
        });
        assert_eq!(told, *expected, "{vector}");
    }
}

#[test]
fn a_shard_has_applied_the_running_period_where_python_says_so() {
    let vectors = vectors(VECTORS, "period_current");
    assert_eq!(vectors.len(), 60);
    for vector in vectors {
        let input = &vector["input"];
        let resets = resets(input);
        let base = Params { capacity: 1, refill: 0, period: 1 };
        let shard = Shard {
            course: Course { base, schedule: None, resets: resets.as_ref(), shards: 1 },
            period: period(input, resets.as_ref()),
            tokens: 0,
            consumed: None,
            last_refill: int(input, "rf").unwrap(),
            stored: stored(input),
        };
        assert_eq!(json!(shard.is_current(int(input, "now_ms").unwrap())), vector["expected"], "{vector}");
    }
}

#[test]
fn an_unnoted_grant_is_inferred_from_what_is_held() {
    use super::grant::inferred_count;
    assert_eq!(inferred_count(100_000, 100_000, 4), 1);
    assert_eq!(inferred_count(50_000, 100_000, 4), 2);
    assert_eq!(inferred_count(25_000, 100_000, 4), 4);
    assert_eq!(inferred_count(-1, 100_000, 4), 4);
    assert_eq!(inferred_count(1_000_000, 100_000, 0), 1);
}

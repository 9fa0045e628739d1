//! The shared vectors of the Python package's arithmetic (`tests/vectors/bucket.json`). If a vector notes that 0.17.0
//! differs, 0.17.0 is right.

use std::time::Duration;

use serde_json::Value;

use super::{MILLI, Params, clamp, ttl_at, ttl_seconds};
use crate::model::{
    limit::{Limit, Limits},
    name::LimitName,
    parameters::{LimitSchedule, Parameters},
};

const VECTORS: &str = include_str!("../../tests/vectors/bucket.json");

/// One limit of a bucket at its last refill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// Balance, in mt; negative in debt.
    tokens: i64,
    /// Time of the last refill, in epoch ms.
    last_refill: i64,
    /// The parameters of its refill.
    params: Params,
}

impl State {
    /// Returns the balance and refill instant at `now`. A clock that went backwards changes nothing.
    fn refilled(self, now: i64) -> Self {
        let Params { capacity, refill, period } = self.params;
        let unchanged = Self { tokens: self.tokens.min(capacity), ..self };
        let elapsed = i128::from(now) - i128::from(self.last_refill);
        if elapsed <= 0 || period <= 0 || refill <= 0 {
            return unchanged;
        }
        let gained = elapsed * i128::from(refill) / i128::from(period);
        if gained == 0 {
            return unchanged;
        }
        let used = gained * i128::from(period) / i128::from(refill);
        let tokens = (i128::from(self.tokens) + gained).min(i128::from(capacity));
        Self { tokens: clamp(tokens), last_refill: clamp(i128::from(self.last_refill) + used), ..self }
    }

    /// Returns the whole tokens at `now`, rounded down: −1 mt is −1 token.
    fn available(self, now: i64) -> i64 {
        self.refilled(now).tokens.div_euclid(MILLI)
    }

    /// Returns the ms until `needed` tokens are available; 0 if they are.
    fn wait_for(self, needed: u64, now: i64) -> u128 {
        self.params.wait_ms(self.missing(needed, now))
    }

    /// Returns the missing mt of `needed` tokens at `now`; negative if there are more.
    fn missing(self, needed: u64, now: i64) -> i64 {
        clamp(i128::from(needed) * i128::from(MILLI) - i128::from(self.refilled(now).tokens))
    }
}

fn int(value: &Value, key: &str) -> i64 {
    value[key].as_i64().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn state(value: &Value) -> State {
    State {
        tokens: int(value, "tokens_milli"),
        last_refill: int(value, "last_refill_ms"),
        params: Params {
            capacity: int(value, "capacity_milli"),
            refill: int(value, "refill_amount_milli"),
            period: int(value, "refill_period_ms"),
        },
    }
}

/// Returns a wait as the Python package reports it: it rounds down and adds one ms, which is one too many if nothing
/// was rounded.
fn seconds(params: Params, deficit: i64) -> f64 {
    let wait = params.wait_ms(deficit);
    let even = wait > 0 && (i128::from(deficit) * i128::from(params.period)) % i128::from(params.refill) == 0;
    (wait + u128::from(even)) as f64 / 1000.0
}

fn limits(value: &Value) -> Option<Limits> {
    let limits = value["limits"].as_array()?.iter().enumerate().map(|(index, limit)| {
        let unsigned = |key| u64::try_from(int(limit, key)).unwrap();
        // The vectors repeat names; only the numbers matter here.
        let name = LimitName::new(format!("l{index}")).unwrap();
        Limit::of_seconds(name, unsigned("capacity"), unsigned("refill_amount"), unsigned("refill_period_seconds"))
            .unwrap()
    });
    Limits::new(limits).ok()
}

fn try_consume(state: State, requested: i64, now: i64) -> Value {
    let refilled = state.refilled(now);
    let missing = clamp(i128::from(requested) * i128::from(MILLI) - i128::from(refilled.tokens));
    let success = missing <= 0;
    let tokens = if success { refilled.tokens - requested * MILLI } else { refilled.tokens };
    serde_json::json!({
        "success": success,
        "new_tokens_milli": tokens,
        "new_last_refill_ms": refilled.last_refill,
        "available": state.available(now),
        "retry_after_seconds": if success { 0.0 } else { seconds(state.params, missing) },
    })
}

fn would_refill_satisfy(input: &Value) -> Option<Value> {
    let (consume, now) = (input["consume"].as_object().unwrap(), int(input, "now_ms"));
    let mut statuses = Vec::new();
    for bucket in input["buckets"].as_array().unwrap() {
        let name = bucket["limit_name"].as_str().unwrap();
        let Some(requested) = consume.get(name).and_then(Value::as_i64) else { continue };
        LimitName::new(name).ok()?;
        let state = state(bucket);
        let result = try_consume(state, requested, now);
        let whole = |mt: i64| mt.div_euclid(MILLI).max(1);
        let available = state.available(now);
        statuses.push(serde_json::json!({
            "entity_id": bucket["entity_id"], "resource": bucket["resource"], "limit_name": name,
            "limit": {
                "name": name, "capacity": whole(state.params.capacity), "refill_amount": whole(state.params.refill),
                "refill_period_seconds": whole(state.params.period),
            },
            "available": available, "requested": requested, "exceeded": !result["success"].as_bool()?,
            "retry_after_seconds": result["retry_after_seconds"], "deficit": (requested - available).max(0),
        }));
    }
    let satisfied = statuses.iter().all(|status| status["exceeded"] == false);
    Some(serde_json::json!({"would_satisfy": satisfied, "statuses": statuses}))
}

fn answer(function: &str, input: &Value) -> Option<Value> {
    let now = input["now_ms"].as_i64().unwrap_or(0);
    Some(match function {
        "refill_bucket" => {
            let refilled = state(input).refilled(now);
            serde_json::json!({"new_tokens_milli": refilled.tokens, "new_last_refill_ms": refilled.last_refill})
        }
        "try_consume" => try_consume(state(&input["state"]), int(input, "requested"), now),
        "calculate_retry_after" => {
            let params = Params {
                capacity: 0,
                refill: int(input, "refill_amount_milli"),
                period: int(input, "refill_period_ms"),
            };
            seconds(params, int(input, "deficit_milli")).into()
        }
        "calculate_available" => state(&input["state"]).available(now).into(),
        "calculate_time_until_available" => {
            let state = state(&input["state"]);
            let needed = u64::try_from(int(input, "needed")).unwrap_or(0);
            let missing = state.missing(needed, now);
            assert_eq!(state.wait_for(needed, now), state.params.wait_ms(missing));
            seconds(state.params, missing).into()
        }
        "force_consume" => {
            let refilled = state(&input["state"]).refilled(now);
            serde_json::json!({
                "new_tokens_milli": refilled.tokens - int(input, "amount") * MILLI,
                "new_last_refill_ms": refilled.last_refill,
            })
        }
        "would_refill_satisfy" => return would_refill_satisfy(input),
        "calculate_bucket_ttl_seconds" | "calculate_bucket_ttl" => {
            let multiplier = u32::try_from(int(input, "multiplier")).unwrap_or(0);
            let seconds = limits(input).and_then(|limits| ttl_seconds(&limits, multiplier));
            let at = |s| if function == "calculate_bucket_ttl" { ttl_at(now, s) } else { s };
            seconds.map(at).into()
        }
        "calculate_ttl" => ttl_at(now, int(input, "ttl_seconds")).into(),
        other => panic!("no such function: {other}"),
    })
}

#[test]
fn every_vector_holds() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let mut failures = Vec::new();
    for vector in vectors {
        let answer = answer(vector["fn"].as_str().unwrap(), &vector["input"]);
        // A division by zero in the Python package means "nothing changes" here.
        let ours_is_total = vector["raises"] == "ZeroDivisionError" && vector["fn"] == "refill_bucket";
        let holds = match (vector.get("upstream_0_17_0"), vector.get("raises")) {
            (Some(newest), _) => answer.as_ref() == Some(newest),
            (None, Some(_)) => answer.is_none() || ours_is_total,
            (None, None) => answer.as_ref() == Some(&vector["expected"]),
        };
        if !holds {
            failures.push(format!("{}: {answer:?}", vector["id"]));
        }
    }
    assert!(failures.is_empty(), "{} of {}: {:#?}", failures.len(), vectors.len(), &failures[..failures.len().min(5)]);
    assert_eq!(vectors.len(), 2_554);
}

/// A limit as the vectors of lifetimes name it.
fn named(text: &str) -> Limit {
    let per_minute = || Limit::per_minute("l", 100).unwrap();
    let at_nine = |parameters: Parameters| {
        let schedule = LimitSchedule::builder().replace("* 9 * * *", parameters).build().unwrap();
        per_minute().scheduled(schedule).unwrap()
    };
    match text {
        "rate 100/min" => per_minute(),
        "rate 1000, 10/60 s" => Limit::per_minute("l", 10).unwrap().with_burst(1_000).unwrap(),
        "rate 1, 1000/s" => Limit::per_second("l", 1_000).unwrap().with_burst(1).unwrap(),
        "quota 5 h" => Limit::quota("l", 100).session(Duration::from_secs(18_000)).build().unwrap(),
        "rate 100/min, scale 0.001 at hour 9" => {
            let schedule = LimitSchedule::builder().scale("* 9 * * *", 0.001).build().unwrap();
            per_minute().scheduled(schedule).unwrap()
        }
        "rate 100/min, refill 1 at hour 9" => at_nine(Parameters::default().refill_amount(1)),
        "rate 100/min, capacity 1000000 at hour 9" => at_nine(Parameters::default().capacity(1_000_000)),
        quota => {
            let cron = quota.strip_prefix("quota cron ").unwrap_or_else(|| panic!("{quota}"));
            Limit::quota("l", 100).every(cron).build().unwrap()
        }
    }
}

#[test]
fn buckets_of_all_kinds_live_as_long_as_in_the_reference() {
    let vectors: Value = serde_json::from_str(include_str!("../../tests/vectors/ttl-versions.json")).unwrap();
    let mut read = 0;
    for vector in vectors["vectors"].as_array().unwrap().iter().filter(|v| v["fn"] == "bucket_ttl_seconds") {
        // A multiplier below nothing is nothing there, and no number of this type.
        let Ok(multiplier) = u32::try_from(int(&vector["input"], "multiplier")) else { continue };
        let limits = Limits::from(named(vector["input"]["limit"].as_str().unwrap()));
        assert_eq!(ttl_seconds(&limits, multiplier), vector["expected"].as_i64(), "{vector}");
        read += 1;
    }
    assert_eq!(read, 56);
}

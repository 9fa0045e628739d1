//! The shared vectors of operations (`tests/vectors/operations.json`): rates and calendar quotas.

use serde_json::Value;

use super::*;
use crate::{
    bucket::{
        Params,
        image::{LimitImage, StoredParams, WcuImage},
        quota::{
            grant::inferred_count,
            stored::{StoredPeriod, StoredQuota},
        },
    },
    model::schedule::{Resets, Zone, vectors::vectors},
};

const VECTORS: &str = include_str!("../../../tests/vectors/operations.json");

fn int(value: &Value, key: &str) -> Option<i64> {
    value[key].as_i64()
}

fn shares(value: &Value) -> BTreeMap<u32, i64> {
    let map = value.as_object().unwrap().iter();
    map.map(|(shard, amount)| (shard.parse().unwrap(), amount.as_i64().unwrap())).collect()
}

fn name(text: &str) -> LimitName {
    LimitName::new(text).unwrap()
}

#[test]
fn amounts_are_spread_as_python_does() {
    for (function, argument) in [("split_weighted", "weights"), ("split_by_headroom", "headroom")] {
        let vectors = vectors(VECTORS, function);
        assert_eq!(vectors.len(), 60);
        for vector in vectors {
            let (total, given) = (int(&vector["input"], "total").unwrap(), shares(&vector["input"][argument]));
            let parts =
                if argument == "weights" { split::by_weight(total, &given) } else { split::by_room(total, &given) };
            assert_eq!(parts, shares(&vector["expected"]), "{vector}");
        }
    }
}

/// A shard of a vector: the limit `q`, a rate `o` of 60 a minute, and the reserved limit.
fn image(shard: &Value) -> Image {
    let state = &shard["q"];
    let shards = u32::try_from(int(state, "n").unwrap()).unwrap();
    let resets = state["rsched"].as_str().map(|text| Resets::decode(text, Zone::utc()).unwrap().unwrap());
    let limit = |name: LimitName, tokens, params: StoredParams, quota| LimitImage {
        name,
        tokens: Some(tokens),
        params,
        fraction: 0,
        refunded: None,
        soft: None,
        consumed: Some(0),
        quota,
        schedule: None,
    };
    let params = StoredParams { capacity: int(state, "cp"), refill: int(state, "ra"), period: int(state, "rp") };
    let quota = resets.map(|resets| StoredQuota {
        period: StoredPeriod::Calendar(resets),
        grant_count: int(state, "gc").map(|count| u32::try_from(count.max(0)).unwrap()),
        topped_up: int(state, "tu"),
        resets_by_hand: 0,
    });
    let other = Params { capacity: 60_000, refill: 60_000, period: 60_000 };
    Image {
        last_refill: int(state, "rf").unwrap(),
        shard_count: Some(shards),
        limits: vec![
            limit(name("q"), int(state, "tk").unwrap(), params, quota),
            limit(name("o"), int(shard, "o_tk").unwrap(), other.into(), None),
        ],
        wcu: Some(WcuImage { tokens: 500_000, ..WcuImage::full() }),
        ..Image::default()
    }
}

#[test]
fn operations_on_rates_and_calendar_quotas_are_those_of_python() {
    let mut compared = 0;
    for vector in vectors(VECTORS, "plan") {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        // The package is told what a grant is that nobody noted; here it follows from what is held.
        let infers = |shard: &Value| {
            let (state, told) = (&shard["q"], int(shard, "legacy_gc"));
            let of = |field| int(state, field).unwrap();
            told.is_none_or(|told| i64::from(inferred_count(of("tk"), of("cp"), of("n").try_into().unwrap())) == told)
        };
        if input["kind"] == "session" || !input["shards"].as_array().unwrap().iter().all(infers) {
            continue;
        }
        let images: Vec<(u32, Image)> = input["shards"]
            .as_array()
            .unwrap()
            .iter()
            .map(|shard| (u32::try_from(int(shard, "shard").unwrap()).unwrap(), image(shard)))
            .collect();
        let shards: Vec<(u32, &Image)> = images.iter().map(|(number, image)| (*number, image)).collect();
        let named = input["named"].as_object().unwrap();
        let operation = if input["operation"] == "reset" {
            Operation::Reset(named.keys().map(|text| name(text)).collect())
        } else {
            Operation::TopUp(named.iter().map(|(text, tokens)| (name(text), tokens.as_i64().unwrap())).collect())
        };
        let count = images.iter().map(|(_, image)| image.shards()).max().unwrap();
        let plan = plan(&shards, &operation, count, int(input, "now_ms").unwrap()).unwrap();
        let amounts: BTreeMap<String, i64> =
            plan.amounts.iter().map(|(name, tokens)| (name.to_string(), *tokens)).collect();
        assert_eq!(serde_json::json!(amounts), expected["amounts"], "{vector}");
        assert_eq!(plan.raises_ceiling, expected["raises_ceiling"].as_bool().unwrap(), "{vector}");
        for (write, expected) in plan.writes.iter().zip(expected["writes"].as_array().unwrap()) {
            assert_eq!(write.set_refill, int(expected, "rf").unwrap(), "{vector}");
            assert_eq!(write.wcu_credit, int(&expected["tk_add"], "wcu").unwrap_or(0), "{vector}");
            for limit in &write.limits {
                let called = limit.name.as_str();
                assert_eq!(limit.add, int(&expected["tk_add"], called).unwrap_or(0), "{called} of {vector}");
                let counted = |field: &str| int(&expected[field], called);
                assert_eq!(limit.grant_count.map(i64::from), counted("gc"), "{called} of {vector}");
                assert_eq!(limit.topped_up.flatten(), counted("tu"), "{called} of {vector}");
                let listed = |field: &str| expected[field].as_array().unwrap().iter().any(|name| *name == called);
                assert_eq!(limit.topped_up == Some(None), listed("tu_removed"), "{called} of {vector}");
                assert_eq!(limit.counts_reset, listed("rn_add_1"), "{called} of {vector}");
            }
        }
        compared += 1;
    }
    assert!(compared > 80, "{compared}");
}

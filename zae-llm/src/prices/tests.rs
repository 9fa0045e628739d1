//! A thousand random calls over ten models: the amounts reserved, settled and refunded in money, compared with an
//! independent calculation in fractions.

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};
use zae_limiter::{Limit, Limits, RateLimiter, Repository};

use super::{PriceBook, Prices};
use crate::{Accounting, MICRODOLLARS, Reading, ServiceTier, Tariff, Usage};

/// Ten models with every condition that a book supports, except for dates.
fn book() -> Value {
    let row = |model: &str, prices: Value| json!({"model": model, "per_million": prices, "source": "test"});
    let with = |mut row: Value, name: &str, value: Value| {
        row[name] = value;
        row
    };
    let mut rows = vec![
        row("flat", json!({"input": 1.25, "output": 10})),
        row("cached", json!({"input": 3, "cache_read": 0.3, "cache_write": 3.75, "cache_write_1h": 6, "output": 15})),
        row("thinking", json!({"input": 0.55, "output": 2.19, "reasoning": 0.07})),
        row("sounds", json!({"input": 2.5, "audio_input": 40, "output": 10, "audio_output": 80})),
        row("pictures", json!({"input": 5, "image_input": 8, "output": 40, "image_output": 32.5})),
        row("tiny", json!({"input": 0.000_001, "output": 0.000_003})),
        row("free", json!({"input": 0, "output": 0})),
        row("long", json!({"input": 1.25, "output": 10, "cache_read": 0.31})),
        with(row("long", json!({"input": 2.5, "output": 15})), "above", json!(200_000)),
        row("tiers", json!({"input": 1, "output": 4})),
        with(row("tools", json!({"input": 2, "output": 8})), "each", json!({"tool_call": 0.01, "search_unit": 0.002})),
    ];
    for (tier, factor) in [("flex", 0.5), ("priority", 2.0), ("batch", 0.5)] {
        rows.push(with(row("tiers", json!({"input": factor, "output": 4.0 * factor})), "tier", json!(tier)));
    }
    json!({ "models": rows })
}

const MODELS: [&str; 10] =
    ["flat", "cached", "thinking", "sounds", "pictures", "tiny", "free", "long", "tiers", "tools"];

/// Returns dollars times 10^12 per unit, computed from the book's text independently of the crate.
fn independent(book: &Value, model: &str, usage: &Usage) -> u64 {
    let exact = |value: &Value, exponent: i32| -> i128 {
        let text = value.to_string();
        let (digits, shift) =
            text.split_once('e').map_or((text.as_str(), 0), |(digits, e)| (digits, e.parse().unwrap()));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let number: i128 = format!("{whole}{fraction}").parse().unwrap();
        let scale = exponent + shift - i32::try_from(fraction.len()).unwrap();
        number * 10_i128.pow(u32::try_from(scale).unwrap())
    };
    let rows: Vec<&Value> = book["models"].as_array().unwrap().iter().filter(|row| row["model"] == model).collect();
    let price = |kinds: &[&str]| -> i128 {
        for kind in kinds {
            let mut found = None;
            for row in &rows {
                let tier = row["tier"].as_str().unwrap_or("standard");
                if row["above"].as_u64().is_some_and(|above| usage.input() <= above)
                    || !(tier == "standard" || tier == usage.tier.as_str())
                {
                    continue;
                }
                let special = tier != "standard" || row["above"].is_u64();
                for (place, exponent) in [("per_million", 6), ("each", 12)] {
                    if let Some(value) = row[place].get(*kind)
                        && (special || found.is_none())
                    {
                        found = Some(exact(value, exponent));
                    }
                }
            }
            if let Some(found) = found {
                return found;
            }
        }
        0
    };
    let units = |count: u64| i128::from(count);
    let (write_5m, write_1h) = (usage.cache_write - usage.cache_write_1h, usage.cache_write_1h);
    let plain_in = usage.input_uncached - usage.audio_input - usage.image_input;
    let mut left = usage.output;
    let mut part = |count: u64| {
        let count = count.min(left);
        left -= count;
        count
    };
    let (audio, image, rejected) = (part(usage.audio_output), part(usage.image_output), part(usage.rejected));
    let reasoning = part(usage.reasoning);
    let sum = units(plain_in) * price(&["input"])
        + units(usage.audio_input) * price(&["audio_input", "input"])
        + units(usage.image_input) * price(&["image_input", "input"])
        + units(usage.cache_read) * price(&["cache_read", "input"])
        + units(write_5m) * price(&["cache_write", "input"])
        + units(write_1h) * price(&["cache_write_1h", "cache_write", "input"])
        + units(audio) * price(&["audio_output", "output"])
        + units(image) * price(&["image_output", "output"])
        + units(rejected) * price(&["output"])
        + units(reasoning) * price(&["reasoning", "output"])
        + units(left) * price(&["output"])
        + units(usage.tool_calls) * price(&["tool_call"])
        + units(usage.search_units) * price(&["search_unit"]);
    u64::try_from((sum + 999_999) / 1_000_000).unwrap()
}

fn usage() -> impl Strategy<Value = Usage> {
    let tokens = || prop_oneof![0..50_u64, 0..300_000_u64];
    let tier = prop_oneof![
        Just(ServiceTier::Standard),
        Just(ServiceTier::Flex),
        Just(ServiceTier::Priority),
        Just(ServiceTier::Batch)
    ];
    (prop::array::uniform10(tokens()), 0..20_u64, 0..5_u64, tier).prop_map(|(tokens, tools, units, tier)| {
        let [input, output, read, write, hour, reasoning, audio_in, image_in, audio_out, rejected] = tokens;
        Usage::new(input, output)
            .cache_read_beside(read)
            .cache_write_beside(write)
            .cache_write_1h_within(hour)
            .reasoning_within(reasoning)
            .audio_input_within(audio_in)
            .image_input_within(image_in)
            .audio_output_within(audio_out)
            .rejected_within(rejected)
            .with_tool_calls(tools)
            .with_search_units(units)
            .with_tier(tier)
    })
}

#[test]
fn a_thousand_calls_cost_what_an_independent_calculation_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let limiter = runtime.block_on(async {
        let repository = Repository::embedded().await.unwrap();
        let minute = |name| Limit::per_minute(name, 1_000_000_000_000).unwrap();
        let limits = Limits::new([minute("rpm"), minute("tpm"), minute(MICRODOLLARS)]).unwrap();
        repository.set_system_defaults(&limits).await.unwrap();
        RateLimiter::builder(repository).deadline(std::time::Duration::from_secs(30)).build()
    });
    let book = book();
    let prices = Prices::new(PriceBook::from_json(book.to_string().as_bytes()).unwrap());
    let accounting = Accounting::new(Tariff::priced(&prices));
    let config = Config { cases: 1_000, failure_persistence: None, ..Config::default() };
    let calls = (prop::sample::select(&MODELS[..]), usage(), usage());
    let run = TestRunner::new(config).run(&calls, |(model, estimate, used)| {
        let tariff = accounting.tariff().for_model(Some(model)).unwrap();
        let (reserved, settled) = runtime.block_on(async {
            let lease = limiter.acquire("key", "models", tariff.cost(&estimate)).await.unwrap();
            let reserved = lease.consumed().get(MICRODOLLARS).copied().unwrap_or(0);
            tariff.adjust_by(&lease, &Reading::Final(used)).unwrap();
            let settled = lease.consumed().get(MICRODOLLARS).copied().unwrap_or(0);
            drop(lease.commit());
            (reserved, settled)
        });
        prop_assert_eq!(reserved as u64, independent(&book, model, &estimate), "{} {:?}", model, estimate);
        prop_assert_eq!(settled as u64, independent(&book, model, &used), "{} {:?}", model, used);
        Ok(())
    });
    run.unwrap();
}

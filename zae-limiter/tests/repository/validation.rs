//! Names and limits that the Python package accepts, and its reasons for refusing others
//! (`tests/vectors/validation.json`).
//!
//! Deliberate differences: a trailing newline is refused, `:` is allowed in resource names as in later releases, and
//! negative numbers are ruled out by the types.

use std::time::Duration;

use serde_json::Value;
use zae_limiter::{
    Limit, ValidationError,
    error::ValidationReason,
    name::{validate_identifier, validate_limit_name, validate_resource_name, validate_stack_name},
};

fn reason_code(error: &ValidationError) -> String {
    match error.reason() {
        ValidationReason::Empty => "empty".to_owned(),
        ValidationReason::TooLong { .. } => "too_long".to_owned(),
        ValidationReason::ContainsHash => "contains_hash".to_owned(),
        ValidationReason::ContainsUnderscore => "underscore".to_owned(),
        ValidationReason::ContainsPeriod => "period".to_owned(),
        ValidationReason::ContainsSpace => "spaces".to_owned(),
        ValidationReason::Reserved => "reserved".to_owned(),
        ValidationReason::Pattern { .. } => "pattern".to_owned(),
        ValidationReason::NotPositive => format!("{}_not_positive", error.field()),
        other => format!("{other:?}"),
    }
}

fn limit(function: &str, vector: &Value) -> Option<Result<Limit, ValidationError>> {
    let args = vector["args"].as_array().unwrap();
    let name = args[0].as_str().unwrap();
    let numbers: Option<Vec<u64>> = args[1..].iter().map(Value::as_u64).collect();
    let numbers = numbers?;
    let limit = match (function, &numbers[..]) {
        ("Limit.per_second", [rate]) => Limit::per_second(name, *rate),
        ("Limit.per_minute", [rate]) => Limit::per_minute(name, *rate),
        ("Limit.per_hour", [rate]) => Limit::per_hour(name, *rate),
        ("Limit.per_day", [rate]) => Limit::per_day(name, *rate),
        ("Limit.custom", [capacity, refill, period]) => {
            Limit::per(name, *refill, Duration::from_secs(*period)).and_then(|limit| limit.with_burst(*capacity))
        }
        other => panic!("{other:?}"),
    };
    match vector["kwargs"].get("burst") {
        Some(burst) => Some(limit.and_then(|limit| limit.with_burst(burst.as_u64().unwrap()))),
        None => Some(limit),
    }
}

fn field(name: &str) -> &'static str {
    ["entity_id", "parent_id", "principal", "name"].into_iter().find(|known| *known == name).unwrap()
}

#[test]
fn names_are_judged_as_by_the_reference() {
    let file: Value = serde_json::from_str(include_str!("../vectors/validation.json")).unwrap();
    let mut checked = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let (function, args) = (vector["fn"].as_str().unwrap(), vector["args"].as_array().unwrap());
        let text = |index: usize| args[index].as_str().unwrap();
        let result = match function {
            "validate_identifier" => validate_identifier(field(text(1)), text(0)),
            "validate_name" => validate_limit_name(field(text(1)), text(0)),
            "validate_resource" => validate_resource_name("resource", text(0)),
            "validate_stack_name" => validate_stack_name(text(0)),
            _ => continue,
        };
        checked += 1;
        let accepted = vector.get("raises").is_none();
        if accepted && text(0).ends_with('\n') {
            assert!(result.is_err(), "{vector}");
        } else if accepted || (function == "validate_resource" && ["a:b", "llama3:8b"].contains(&text(0))) {
            assert_eq!(result, Ok(()), "{vector}");
        } else {
            let error = result.expect_err(&vector.to_string());
            assert_eq!(reason_code(&error), vector["reason_code"], "{vector}");
            assert_eq!(error.field(), vector["field"], "{vector}");
            assert_eq!(error.value(), vector["value"], "{vector}");
        }
    }
    assert_eq!(checked, 110);
}

#[test]
fn limits_are_judged_as_by_the_reference() {
    let file: Value = serde_json::from_str(include_str!("../vectors/validation.json")).unwrap();
    let mut checked = 0;
    for vector in file["vectors"].as_array().unwrap() {
        let function = vector["fn"].as_str().unwrap();
        if !function.starts_with("Limit.") {
            continue;
        }
        let Some(result) = limit(function, vector) else { continue };
        checked += 1;
        match vector.get("expected") {
            Some(expected) => {
                let limit = result.unwrap_or_else(|error| panic!("{vector}: {error}"));
                assert_eq!(limit.name().as_str(), expected["name"], "{vector}");
                assert_eq!(limit.capacity(), expected["capacity"], "{vector}");
                assert_eq!(limit.refill_amount(), expected["refill_amount"], "{vector}");
                assert_eq!(limit.refill_period().as_secs(), expected["refill_period_seconds"], "{vector}");
                let rate = expected["refill_rate"].as_f64().unwrap();
                assert!((limit.refill_rate() / rate - 1.0).abs() < 1e-12, "{vector}");
            }
            None => assert_eq!(reason_code(&result.unwrap_err()), vector["reason_code"], "{vector}"),
        }
    }
    assert_eq!(checked, 37);
}

//! The shared vectors of the schedule grammar (`tests/vectors/schedule-grammar.json`).

use serde_json::{Value, json};

use super::{Change, Cron, Entry, Resets, Schedule, ScheduleError, Zone, compact};

const VECTORS: &str = include_str!("../../../tests/vectors/schedule-grammar.json");

/// The vectors with this `fn`.
pub(crate) fn vectors(text: &str, function: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(text).unwrap();
    let all = document["vectors"].as_array().unwrap();
    assert_eq!(document["count"], all.len());
    all.iter().filter(|vector| vector["fn"] == function).cloned().collect()
}

/// The members of a set of bits.
fn members(set: u64, numbers: std::ops::RangeInclusive<u64>) -> Value {
    numbers.filter(|number| set & 1 << number != 0).collect::<Vec<_>>().into()
}

/// Our weekdays begin with Sunday, those of the vectors with Monday.
fn iso_weekdays(cron: &Cron) -> Value {
    members(cron.weekdays() & !1 | (cron.weekdays() & 1) << 7, 1..=7)
}

fn described(cron: &Cron, compact: &str, decoded: &Cron) -> Value {
    json!({
        "compact": compact,
        "minutes": members(cron.minutes(), 0..=59),
        "hours": members(cron.hours(), 0..=23),
        "days": members(cron.days(), 1..=31),
        "months": members(cron.months(), 1..=12),
        "weekdays_iso": iso_weekdays(cron),
        "day_and": cron.needs_both_days(),
        "decoded_cron": [numbers(decoded)],
        "reencoded": compact,
        "display_cron": decoded.to_string(),
    })
}

/// The expression with numbers for names.
fn numbers(cron: &Cron) -> String {
    cron.fields().map(|(_, field)| &*field.text).collect::<Vec<_>>().join(" ")
}

fn parse_entry(input: &Value) -> Result<Value, ScheduleError> {
    let cron: Cron = input["cron"].as_str().unwrap().parse()?;
    if input["reset"] == true {
        let resets = Resets::new([cron.clone()], Zone::utc())?;
        let decoded = Resets::decode(resets.text(), Zone::utc())?.unwrap();
        assert_eq!(decoded, resets);
        return Ok(described(&cron, resets.text(), &decoded.crons()[0]));
    }
    let change = Change::scale(input["scale"].as_f64().unwrap())?;
    let schedule = Schedule::new([Entry { cron: cron.clone(), change }], Zone::utc())?;
    let decoded = Schedule::decode(schedule.text(), Zone::utc())?.unwrap();
    assert_eq!(decoded, schedule);
    Ok(described(&cron, schedule.text(), &decoded.entries()[0].cron))
}

#[test]
fn expressions_mean_and_are_stored_as_python_has_them() {
    let vectors = vectors(VECTORS, "parse_entry");
    assert_eq!(vectors.len(), 180);
    for vector in vectors {
        let ours = parse_entry(&vector["input"]);
        let always = ["* * * * *", "*,5 * * * *"].map(Value::from).contains(&vector["input"]["cron"]);
        if always && vector["input"]["reset"] == true {
            // It never resets. The first is stored as `1` by the reference, which nobody can read back.
            assert_eq!(ours, Err(ScheduleError::NeverResets));
        } else if vector["raises"].is_null() {
            assert_eq!(ours.as_ref(), Ok(&vector["expected"]), "{}", vector["input"]);
        } else {
            assert!(ours.is_err(), "{vector}");
        }
    }
}

/// An entry's change by name, as the reference shows it.
fn modifiers(change: Change) -> Value {
    match change {
        Change::Scale { per_mille } => json!({ "scale": f64::from(per_mille) / 1_000.0 }),
        Change::Replace { capacity, refill_amount, refill_period } => {
            let values =
                [("capacity", capacity), ("refill_amount", refill_amount), ("refill_period_seconds", refill_period)];
            values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?)))).collect()
        }
    }
}

fn change(input: &Value) -> Result<Change, ScheduleError> {
    // Rust's types rule out values that are not numbers; a manifest has checks of its own.
    let whole = |name: &str| match &input[name] {
        Value::Null => Ok(None),
        value => value.as_u64().map(Some).ok_or(ScheduleError::Change),
    };
    let replaced = (whole("capacity")?, whole("refill_amount")?, whole("refill_period_seconds")?);
    match &input["scale"] {
        Value::Null => Change::replace(replaced.0, replaced.1, replaced.2),
        _ if replaced != (None, None, None) => Err(ScheduleError::Change),
        Value::String(text) => Change::scale(text.parse().unwrap()),
        // Python takes a boolean for a number.
        Value::Bool(true) => Change::scale(1.0),
        scale => Change::scale(scale.as_f64().unwrap()),
    }
}

#[test]
fn changes_are_bounded_and_rounded_as_python_has_them() {
    let vectors = vectors(VECTORS, "modifier");
    assert_eq!(vectors.len(), 37);
    for vector in vectors {
        let cron: Cron = "* 9 * * *".parse().unwrap();
        let ours = change(&vector["input"]).and_then(|change| Schedule::new([Entry { cron, change }], Zone::utc()));
        if !vector["raises"].is_null() {
            assert!(ours.is_err(), "{vector}");
            continue;
        }
        let ours = ours.unwrap();
        let mut decoded = modifiers(Schedule::decode(ours.text(), Zone::utc()).unwrap().unwrap().entries()[0].change);
        decoded["cron"] = "* 9 * * *".into();
        assert_eq!(json!({ "compact": ours.text(), "decoded": decoded }), vector["expected"], "{vector}");
    }
}

#[test]
fn stored_forms_are_read_as_python_reads_them() {
    let vectors = vectors(VECTORS, "decode");
    assert_eq!(vectors.len(), 68);
    for vector in vectors {
        let text = vector["input"]["compact"].as_str().unwrap();
        let ours: Result<Vec<Value>, ScheduleError> = if vector["input"]["reset"] == true {
            compact::crons(text).map(|crons| crons.iter().map(|cron| json!({ "cron": numbers(cron) })).collect())
        } else {
            compact::entries(text).map(|entries| {
                let value = |entry: &Entry| {
                    let mut value = modifiers(entry.change);
                    value["cron"] = numbers(&entry.cron).into();
                    value
                };
                entries.iter().map(value).collect()
            })
        };
        if !vector["raises"].is_null() {
            assert!(ours.is_err(), "{vector}");
            continue;
        }
        let mut expected = vector["expected"].clone();
        for entry in expected.as_array_mut().unwrap() {
            // White space inside of a stored field is kept there and dropped here; a lone Sunday is 7 here.
            let cron = entry["cron"].as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
            entry["cron"] = cron.strip_suffix(" 0").map_or(cron.clone(), |fields| format!("{fields} 7")).into();
        }
        assert_eq!(Value::from(ours.unwrap()), expected, "{vector}");
    }
}

#[test]
fn zones_are_those_of_the_database_by_their_exact_names() {
    let vectors = vectors(VECTORS, "timezone");
    assert_eq!(vectors.len(), 20);
    for vector in vectors {
        let zone = Zone::new(vector["input"].as_str().unwrap());
        assert_eq!(zone.is_ok(), vector["raises"].is_null(), "{vector}");
    }
}

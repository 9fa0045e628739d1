//! Usage snapshots as items.
//!
//! An hour, a day and a month may start at the same instant. The Python package's sort keys end in the start, so it
//! adds all three up in one item. The keys of our days and months therefore also contain the length
//! (`#USAGE#{resource}#{start}#daily`); all readers search by the prefix of a key, and find both.
//!
//! A snapshot adds up the use of a resource by an entity in one window: a counter per limit in whole tokens, and the
//! number of records counted. `z#{shard}` is the number of the last record counted from that shard of the bucket. A
//! write adds on the condition that its records are newer, so that each record counts once.

use std::collections::HashMap;

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::TimeZone,
};

use super::{
    keys,
    table::is_key_attribute,
    time,
    values::{get_count, get_s, n, s},
};
use crate::{
    model::{
        name::{EntityId, LimitName, ResourceName},
        usage::{UsageSnapshot, UsageWindow},
    },
    wire::{
        Item,
        expression::{Expression, Key},
        sequence::SequenceNumber,
        snapshot::{self, Addition, Snapshot},
    },
};

/// The text form of a window's start.
pub(crate) const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// Returns the first second of the window that contains `at` (epoch ms).
pub(crate) fn window_start(at: i64, window: &UsageWindow) -> Option<String> {
    let at: DateTime = Timestamp::from_millisecond(at).ok()?.to_zoned(TimeZone::UTC).datetime();
    let start = match window {
        UsageWindow::Hourly => at.with().minute(0).second(0).subsec_nanosecond(0).build().ok()?,
        UsageWindow::Daily => at.date().to_datetime(jiff::civil::Time::midnight()),
        UsageWindow::Monthly => at.date().first_of_month().to_datetime(jiff::civil::Time::midnight()),
        UsageWindow::Other(_) => return None,
    };
    Some(start.strftime(FORMAT).to_string())
}

/// Returns the last second of a window. For an unknown length or an invalid start, it returns the start.
pub(crate) fn window_end(start: &str, window: &UsageWindow) -> String {
    end(start, window).map_or_else(|| start.to_owned(), |end| end.strftime(FORMAT).to_string())
}

/// Returns the last second of a window of known length.
fn end(start: &str, window: &UsageWindow) -> Option<DateTime> {
    let at = DateTime::strptime(FORMAT, start).ok()?;
    match window {
        UsageWindow::Hourly => at.with().minute(59).second(59).build().ok(),
        UsageWindow::Daily => at.with().hour(23).minute(59).second(59).build().ok(),
        UsageWindow::Monthly => {
            let next: Date = at.date().first_of_month().checked_add(1.month()).ok()?;
            DateTime::from_parts(next, at.time()).checked_sub(1.second()).ok()
        }
        UsageWindow::Other(_) => None,
    }
}

/// The attribute that every complete snapshot has.
pub(crate) const START: &str = "window_start";

/// Returns the start of a snapshot's window, even if an index has only its keys.
pub(crate) fn start(item: &Item) -> Option<&str> {
    get_s(item, START).filter(|start| !start.is_empty()).or_else(|| keys::parse_gsi2_sk_usage(get_s(item, "GSI2SK")?))
}

/// Decodes a snapshot; `None` for an item without entity, resource or time.
///
/// Every number under the name of a limit is a counter, except for the two attributes of the snapshot itself.
pub(crate) fn decode(item: &Item) -> Option<UsageSnapshot> {
    let entity_id = EntityId::new(get_s(item, "entity_id")?).ok()?;
    let resource = ResourceName::new(get_s(item, "resource")?).ok()?;
    let window_start = get_s(item, START).filter(|start| !start.is_empty())?.to_owned();
    let window = get_s(item, "window").unwrap_or_default();
    let window: UsageWindow = window.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
    let counter = |name: &String| {
        let own = matches!(name.as_str(), "total_events" | "ttl");
        let name = LimitName::new(name).ok().filter(|_| !own)?;
        let value = get_count(item, name.as_str())?;
        Some((name, value))
    };
    let overdrawn = |name: &String| {
        let limit = LimitName::new(name.strip_suffix(OVERDRAWN)?).ok()?;
        Some((limit, get_count(item, name)?))
    };
    Some(UsageSnapshot {
        window_end: window_end(&window_start, &window),
        counters: item.keys().filter_map(counter).collect(),
        overdrawn: item.keys().filter_map(overdrawn).collect(),
        total_events: get_count(item, "total_events").unwrap_or(0),
        entity_id,
        resource,
        window,
        window_start,
    })
}

/// Prefix of a bucket's shard: its value is the last record counted in the snapshot. No limit can have such a name, and
/// as text it is not a counter for any reader.
const MARK: &str = "z#";
/// Seconds in a day of retention.
/// The end of a counter of the times that a soft limit was left in debt.
const OVERDRAWN: &str = "#od";
const SECONDS_PER_DAY: i64 = 86_400;

/// Returns the key of a snapshot.
pub(crate) fn key(snapshot: &Snapshot) -> Key {
    let start = keys::sk_usage(&snapshot.resource, &snapshot.start);
    let sk = match &snapshot.window {
        UsageWindow::Hourly => start,
        longer => format!("{start}#{longer}"),
    };
    Key::new(snapshot::pk(snapshot), sk)
}

/// Returns true if a counter of this name would collide with another attribute of a snapshot; such a limit cannot be
/// counted.
fn is_taken(limit: &str) -> bool {
    let own = ["entity_id", "resource", "window", "window_start", "total_events", "ttl"];
    own.contains(&limit) || is_key_attribute(limit)
}

/// Adds to a snapshot, on the condition that none of the records was counted.
///
/// One `UpdateItem` for any number of records: facts are set, counters added to, and for each shard the mark moves from
/// below the first record to the last. If a shard's mark is not below the first, the whole write is refused, and the
/// caller omits the records that were already counted.
pub(crate) fn encode(snapshot: &Snapshot, addition: &Addition, now_ms: i64, retention_days: u32) -> Expression {
    let expires = time::epoch_seconds(now_ms).saturating_add(i64::from(retention_days) * SECONDS_PER_DAY);
    let pk = snapshot::pk(snapshot);
    let always = [
        ("entity_id", s(&snapshot.entity)),
        ("GSI2PK", s(keys::gsi2_pk_resource(&snapshot.namespace, &snapshot.resource))),
        ("GSI2SK", s(keys::gsi2_sk_usage(&snapshot.start, &snapshot.entity))),
    ];
    let once = [
        ("resource", s(&snapshot.resource)),
        ("window", s(snapshot.window.as_str())),
        ("window_start", s(&snapshot.start)),
        ("GSI4PK", s(&snapshot.namespace)),
        ("GSI4SK", s(&pk)),
        ("ttl", n(expires)),
    ];
    Expression::of(|e| {
        for (name, value) in always {
            let name = e.name(name);
            e.set(&name, value);
        }
        for (name, value) in once {
            let name = e.name(name);
            e.set_once(&name, value);
        }
        for (shard, (first, last)) in &addition.marks {
            let mark = e.name(format!("{MARK}{shard}"));
            e.set(&mark, s(last.stored()));
            e.absent_or(&mark, "<", s(first.stored()));
        }
        e.add("total_events", addition.events);
        for (limit, tokens) in addition.tokens.iter().filter(|(limit, _)| !is_taken(limit)) {
            let counter = e.name(limit.clone());
            e.add(&counter, *tokens);
        }
        for (limit, times) in &addition.overdrawn {
            let counter = e.name([limit, OVERDRAWN].concat());
            e.add(&counter, *times);
        }
    })
}

/// Returns the last counted record of each of a bucket's shards.
pub(crate) fn marks(item: &Item) -> HashMap<u32, SequenceNumber> {
    let mark = |name: &String| {
        let shard = name.strip_prefix(MARK)?.parse().ok()?;
        Some((shard, SequenceNumber::new(get_s(item, name)?)?))
    };
    item.keys().filter_map(mark).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::wire::values::item;

    #[test]
    fn times_in_debt_are_told_from_counters() {
        let item = item([
            ("entity_id", s("e")),
            ("resource", s("gpt-4")),
            ("window", s("hourly")),
            ("window_start", s("2026-01-01T00:00:00Z")),
            ("tokens", n(120)),
            ("tokens#od", n(3)),
        ]);
        let snapshot = decode(&item).unwrap();
        let one = |name: &str, count| BTreeMap::from([(LimitName::new(name).unwrap(), count)]);
        assert_eq!((snapshot.counters, snapshot.overdrawn), (one("tokens", 120), one("tokens", 3)));
    }

    #[test]
    fn windows_start_where_the_reference_says() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        for (moment, hourly, daily, monthly) in [
            ("2024-01-15T14:35:22Z", "2024-01-15T14:00:00Z", "2024-01-15T00:00:00Z", "2024-01-01T00:00:00Z"),
            ("2024-12-31T23:59:59.999Z", "2024-12-31T23:00:00Z", "2024-12-31T00:00:00Z", "2024-12-01T00:00:00Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-02-01T00:00:00Z"),
        ] {
            let start = |window| window_start(at(moment), &window).unwrap();
            assert_eq!(start(UsageWindow::Hourly), hourly);
            assert_eq!(start(UsageWindow::Daily), daily);
            assert_eq!(start(UsageWindow::Monthly), monthly);
        }
        assert_eq!(window_start(at("2024-01-01T00:00:00Z"), &UsageWindow::Other("weekly".to_owned())), None);
    }

    #[test]
    fn windows_end_as_the_reference_says() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/vectors/validation.json")).unwrap();
        let vectors = vectors["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == "window_end");
        let mut checked = 0;
        for vector in vectors {
            let arg = |index: usize| vector["args"][index].as_str().unwrap();
            let end = window_end(arg(0), &arg(1).parse().unwrap());
            assert_eq!(end, vector["expected"].as_str().unwrap(), "{}", vector["id"]);
            checked += 1;
        }
        assert_eq!(checked, 11);
    }
}

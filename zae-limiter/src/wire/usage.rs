//! Usage snapshots as items.
//!
//! An hour, a day and a month may start at the same instant. The reference, whose sort keys end in the start, then adds
//! all three up in one item. So the keys of days and months end in the length as well (`#USAGE#{resource}#{start}#daily`);
//! readers of either kind look for what a key begins with, and find both.

use jiff::{
    ToSpan,
    civil::{Date, DateTime},
};

use super::values::{get_n, get_s};
use crate::{
    model::{
        name::{EntityId, LimitName, ResourceName},
        usage::{UsageSnapshot, UsageWindow},
    },
    repository::store::Item,
};

const FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// The last second of a window. An unknown length, or a start that is none, gives the start.
pub(crate) fn window_end(start: &str, window: &UsageWindow) -> String {
    end(start, window).map_or_else(|| start.to_owned(), |end| end.strftime(FORMAT).to_string())
}

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

/// Reads a snapshot; `None` for an item that lacks who, what or when.
///
/// Every number under the name of a limit is a counter, but for the two that a snapshot has itself.
pub(crate) fn decode(item: &Item) -> Option<UsageSnapshot> {
    let entity_id = EntityId::new(get_s(item, "entity_id")?).ok()?;
    let resource = ResourceName::new(get_s(item, "resource")?).ok()?;
    let window_start = get_s(item, "window_start").filter(|start| !start.is_empty())?.to_owned();
    let window = get_s(item, "window").unwrap_or_default();
    let window: UsageWindow = window.parse().unwrap_or_else(|never: std::convert::Infallible| match never {});
    let counter = |name: &String| {
        let own = matches!(name.as_str(), "total_events" | "ttl");
        let name = LimitName::new(name).ok().filter(|_| !own)?;
        let value = get_n(item, name.as_str())?;
        Some((name, value))
    };
    Some(UsageSnapshot {
        window_end: window_end(&window_start, &window),
        counters: item.keys().filter_map(counter).collect(),
        total_events: get_n(item, "total_events").unwrap_or(0),
        entity_id,
        resource,
        window,
        window_start,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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

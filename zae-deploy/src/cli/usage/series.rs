//! Converts snapshots to time series: one per resource, without gaps between first and last.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use zae_limiter::{
    EntityId, LimitName, ResourceName,
    usage::{UsageSnapshot, UsageWindow},
};

/// Maximum number of windows; in longer series, gaps are not filled in.
const LONGEST: usize = 10_000;

/// The usage of one resource, oldest first.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) resource: ResourceName,
    pub(super) window: UsageWindow,
    pub(super) entities: BTreeSet<EntityId>,
    pub(super) first: String,
    pub(super) last: String,
    /// The number of windows, including those without use.
    pub(super) points: usize,
    pub(super) by_limit: BTreeMap<LimitName, Vec<i64>>,
}

/// Builds the series of snapshots. Windows of different lengths count the same use, so only the shortest ones are
/// drawn; the use of a resource by several entities in a window is added up.
pub(super) fn of(snapshots: &[UsageSnapshot]) -> Vec<Series> {
    let Some(shortest) = snapshots.iter().map(|snapshot| &snapshot.window).min() else { return Vec::new() };
    let mut by_resource: BTreeMap<&ResourceName, Vec<&UsageSnapshot>> = BTreeMap::new();
    for snapshot in snapshots.iter().filter(|snapshot| snapshot.window == *shortest) {
        by_resource.entry(&snapshot.resource).or_default().push(snapshot);
    }
    by_resource.into_iter().map(|(resource, snapshots)| series(resource, shortest, &snapshots)).collect()
}

fn series(resource: &ResourceName, window: &UsageWindow, snapshots: &[&UsageSnapshot]) -> Series {
    let starts: BTreeSet<&str> = snapshots.iter().map(|snapshot| snapshot.window_start.as_str()).collect();
    let (first, last) = (starts.first().copied().unwrap_or_default(), starts.last().copied().unwrap_or_default());
    let windows = all_windows(window, first, last)
        .filter(|windows| starts.iter().all(|start| windows.iter().any(|window| window == start)))
        .unwrap_or_else(|| starts.iter().map(|start| (*start).to_owned()).collect());
    let place: BTreeMap<&str, usize> = windows.iter().enumerate().map(|(i, window)| (window.as_str(), i)).collect();
    let mut by_limit: BTreeMap<LimitName, Vec<i64>> = BTreeMap::new();
    for snapshot in snapshots {
        let Some(index) = place.get(snapshot.window_start.as_str()) else { continue };
        for (limit, tokens) in &snapshot.counters {
            let values = by_limit.entry(limit.clone()).or_insert_with(|| vec![0; windows.len()]);
            values[*index] = values[*index].saturating_add(*tokens);
        }
    }
    Series {
        resource: resource.clone(),
        window: window.clone(),
        entities: snapshots.iter().map(|snapshot| snapshot.entity_id.clone()).collect(),
        first: first.to_owned(),
        last: last.to_owned(),
        points: windows.len(),
        by_limit,
    }
}

/// Returns the starts of all windows from the first to the last; `None` if they cannot be determined, or are too many.
fn all_windows(window: &UsageWindow, first: &str, last: &str) -> Option<Vec<String>> {
    let step = match window {
        UsageWindow::Hourly => 1.hour(),
        UsageWindow::Daily => 1.day(),
        UsageWindow::Monthly => 1.month(),
        _ => return None,
    };
    let last: Timestamp = last.parse().ok()?;
    let mut at = first.parse::<Timestamp>().ok()?.to_zoned(TimeZone::UTC);
    let mut windows = Vec::new();
    while at.timestamp() <= last {
        if windows.len() == LONGEST {
            return None;
        }
        windows.push(at.timestamp().to_string());
        at = at.checked_add(step).ok()?;
    }
    Some(windows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::all_windows;
    use zae_limiter::usage::UsageWindow;

    #[test]
    fn windows_follow_the_calendar() {
        let windows = |window, first, last| all_windows(&window, first, last).unwrap();
        assert_eq!(
            json!(windows(UsageWindow::Monthly, "2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z")),
            json!(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"])
        );
        assert_eq!(windows(UsageWindow::Hourly, "2026-01-01T22:00:00Z", "2026-01-02T01:00:00Z").len(), 4);
        assert_eq!(all_windows(&UsageWindow::Hourly, "0001-01-01T00:00:00Z", "2026-01-02T01:00:00Z"), None);
        assert_eq!(all_windows(&UsageWindow::Daily, "no time", "2026-01-02T01:00:00Z"), None);
    }
}

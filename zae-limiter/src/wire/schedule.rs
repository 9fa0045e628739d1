//! Stored schedules, read once and shared: [`resets`].
//!
//! Every answer of a write has the schedule of each of its limits as text. The most recent ones are kept as they were
//! read, so that reading one again is a comparison of texts.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::model::schedule::{Resets, ScheduleError, Zone};

/// The zone of schedules that name none.
const DEFAULT_ZONE: &str = "UTC";
/// The text that says that a limit of an item with a schedule has none itself.
pub(in crate::wire) const NONE: &str = "-";
/// Number of schedules that are kept.
const KEPT: usize = 64;

static KNOWN: Mutex<VecDeque<(String, Resets)>> = Mutex::new(VecDeque::new());

/// Reads resets in the zone called `zone`; `None` where the text says that there are none.
pub(in crate::wire) fn resets(text: &str, zone: Option<&str>) -> Result<Option<Resets>, ScheduleError> {
    if text.is_empty() || text == NONE {
        return Ok(None);
    }
    let zone = zone.unwrap_or(DEFAULT_ZONE);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, resets)) = known.iter().find(|(stored, resets)| stored == text && resets.zone().name() == zone) {
        return Ok(Some(resets.clone()));
    }
    let resets = Resets::decode(text, Zone::new(zone)?)?;
    if let Some(resets) = &resets {
        known.truncate(KEPT - 1);
        known.push_front((text.to_owned(), resets.clone()));
    }
    Ok(resets)
}

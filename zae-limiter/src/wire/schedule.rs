//! Stored schedules, read once and shared: [`resets`], [`parameters`].
//!
//! Every answer of a write has the schedule of each of its limits as text. The most recent ones are kept as they were
//! read, so that reading one again is a comparison of texts.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use crate::model::schedule::{Resets, Schedule, ScheduleError, Zone};

/// The zone of schedules that name none.
const DEFAULT_ZONE: &str = "UTC";
/// The text that says that a limit of an item with a schedule has none itself.
pub(in crate::wire) const NONE: &str = "-";
/// Number of schedules that are kept.
const KEPT: usize = 64;

static KNOWN: Mutex<VecDeque<(String, Resets)>> = Mutex::new(VecDeque::new());

static KNOWN_PARAMETERS: Mutex<VecDeque<(String, Schedule)>> = Mutex::new(VecDeque::new());

/// Reads a schedule of parameters in the zone called `zone`; `None` where the text says that there is none.
pub(in crate::wire) fn parameters(text: &str, zone: Option<&str>) -> Result<Option<Schedule>, ScheduleError> {
    let zone = zone.unwrap_or(DEFAULT_ZONE);
    let read = |text: &str| Schedule::decode(text, Zone::new(zone)?);
    remembered(&KNOWN_PARAMETERS, text, |known| known.zone().name() == zone, read)
}

/// Reads resets in the zone called `zone`; `None` where the text says that there are none.
pub(in crate::wire) fn resets(text: &str, zone: Option<&str>) -> Result<Option<Resets>, ScheduleError> {
    let zone = zone.unwrap_or(DEFAULT_ZONE);
    let read = |text: &str| Resets::decode(text, Zone::new(zone)?);
    remembered(&KNOWN, text, |known| known.zone().name() == zone, read)
}

/// Finds what `text` was read as, or reads it.
fn remembered<T: Clone>(
    known: &Mutex<VecDeque<(String, T)>>,
    text: &str,
    is_same: impl Fn(&T) -> bool,
    read: impl FnOnce(&str) -> Result<Option<T>, ScheduleError>,
) -> Result<Option<T>, ScheduleError> {
    if text.is_empty() || text == NONE {
        return Ok(None);
    }
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, value)) = known.iter().find(|(stored, value)| stored == text && is_same(value)) {
        return Ok(Some(value.clone()));
    }
    let value = read(text)?;
    if let Some(value) = &value {
        known.truncate(KEPT - 1);
        known.push_front((text.to_owned(), value.clone()));
    }
    Ok(value)
}

//! Schedules and quotas on a bucket item.
//!
//! | attribute | meaning |
//! |---|---|
//! | `sched`, `rsched` | schedules of the limits that have none of their own; `-` stands for none |
//! | `b_{limit}_sched`, `b_{limit}_rsched` | a limit's own |
//! | `sched_tz` | the zone of all of them; `UTC` where it is absent |
//! | `b_{limit}_gc` | number of shards by which the grant of the running period was cut |
//! | `b_{limit}_tu` | topped up in this period, in mt |
//! | `b_{limit}_rn` | number of resets by hand |
//! | `b_{limit}_rsa` | length of a session quota's window, in s |
//! | `b_{limit}_ws`, `_wa` | start of the window that was opened last, and of the one that was applied last, in epoch ms |
//! | `b_{limit}_wtc` | the consumption counter when a neighbour told of a window, in mt |
//!
//! A limit is a calendar quota if its refill is 0 and a reset schedule applies to it, and a session quota if its refill
//! is 0 and it has a window's length.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    count,
    found::{Found, FoundLimit},
    key, s,
};
use crate::{
    bucket::{
        clamp,
        image::{Image, Leftover, LimitImage, StoredParams},
        quota::stored::{
            Beginning, NewPeriod, QuotaWrite, SchedulePlace, StoredPeriod, StoredQuota, StoredSchedule, Window,
        },
        write::BucketWrite,
    },
    error::{RepositoryError, Unsupported},
    model::schedule::Schedule,
    wire::{
        Item,
        expression::ExpressionBuilder,
        keys,
        schedule::{self, NONE},
        values::n,
    },
};

/// The schedule of parameters of a limit, which newer clients write.
pub(in crate::wire) const SCHEDULE: &str = "sched";
/// The instants at which a quota is restored, in compact text.
pub(in crate::wire) const RESETS: &str = "rsched";
/// The time zone of all schedules of the item.
pub(in crate::wire) const ZONE: &str = "sched_tz";

/// The parts of a limit of the item that are about time.
#[derive(Debug, Default)]
pub(super) struct OverTime {
    /// Set where it is a quota.
    pub(super) quota: Option<StoredQuota>,
    /// Its parameters at certain times.
    pub(super) schedule: Option<StoredSchedule>,
}

/// Reads the quota that a limit of the item is, and the schedule of its parameters.
///
/// # Errors
/// `Unsupported` when a schedule cannot be read.
pub(super) fn read(
    item: &Item,
    found: &Found<'_>,
    limit: &FoundLimit<'_>,
    params: StoredParams,
) -> Result<OverTime, RepositoryError> {
    // Without a capacity it is no limit, only what is left of one.
    if params.capacity.is_none() {
        return Ok(OverTime::default());
    }
    let unsupported = |field: &str, own: Option<&AttributeValue>| {
        let attribute = own.map_or_else(|| field.to_owned(), |_| keys::bucket_attr(limit.name, field));
        RepositoryError::from(Unsupported { attribute, item: key(item) })
    };
    let applying = |field: &str, own: Option<&AttributeValue>, of_item: Option<&AttributeValue>| {
        let Some(value) = own.or(of_item) else { return Ok::<_, RepositoryError>(None) };
        let text = value.as_s().map_err(|_| unsupported(field, own))?;
        Ok((!text.is_empty() && text != NONE).then(|| text.clone()))
    };
    let zone = match found.zone {
        Some(zone) => Some(zone.as_s().map_err(|_| unsupported(ZONE, None))?.as_str()),
        None => None,
    };
    let schedule = applying(SCHEDULE, limit.schedule, found.schedule)?;
    let schedule = schedule.map(|text| schedule::parameters(&text, zone)).transpose();
    let schedule = schedule.map_err(|_| unsupported(SCHEDULE, limit.schedule))?.flatten();
    let place = if limit.schedule.is_some() { SchedulePlace::Own } else { SchedulePlace::Item };
    let schedule = schedule.map(|schedule| StoredSchedule { schedule, place });
    if params.refill != Some(0) {
        return Ok(OverTime { quota: None, schedule });
    }
    let number = |field: &str, value| {
        Ok::<_, RepositoryError>(count(item, value, || keys::bucket_attr(limit.name, field))?.map(clamp))
    };
    let resets = applying(RESETS, limit.resets, found.resets)?;
    let resets = resets.map(|text| schedule::resets(&text, zone)).transpose();
    let resets = resets.map_err(|_| unsupported(RESETS, limit.resets))?.flatten();
    let period = match (resets, number("rsa", limit.length)?) {
        (Some(resets), _) => StoredPeriod::Calendar(resets),
        (None, Some(seconds)) => StoredPeriod::Session {
            length: seconds.max(1).saturating_mul(1_000),
            window: Window {
                start: number("ws", limit.window)?,
                applied: number("wa", limit.applied)?,
                counter_mark: count(item, limit.counter_mark, || keys::bucket_attr(limit.name, "wtc"))?,
            },
        },
        (None, None) => return Ok(OverTime { quota: None, schedule }),
    };
    let grant_count = number("gc", limit.grant_count)?.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    let topped_up = number("tu", limit.topped_up)?;
    let resets_by_hand = number("rn", limit.resets_by_hand)?.unwrap_or(0);
    Ok(OverTime { quota: Some(StoredQuota { period, grant_count, topped_up, resets_by_hand }), schedule })
}

/// The attributes of a limit that are about time.
pub(super) const FIELDS: [&str; 9] = [SCHEDULE, RESETS, "gc", "tu", "rn", "rsa", "ws", "wa", "wtc"];
/// The attributes of a quota beside the rule by which it is restored.
const OF_QUOTAS: [&str; 3] = ["gc", "tu", "rn"];
/// The attributes of a session quota.
const OF_SESSIONS: [&str; 4] = ["rsa", "ws", "wa", "wtc"];

/// Takes the attributes that a quota has off the list of what is left of quotas.
pub(super) fn claim(image: &mut Image) {
    let mut owned: Vec<String> = Vec::new();
    for limit in &image.limits {
        let Some(quota) = &limit.quota else { continue };
        let of_session = if matches!(quota.period, StoredPeriod::Session { .. }) { &OF_SESSIONS[..] } else { &[] };
        owned.extend(OF_QUOTAS.iter().chain(of_session).map(|field| keys::bucket_attr(limit.name.as_str(), field)));
    }
    image.leftovers.retain(|Leftover { attribute, .. }| !owned.contains(attribute));
}

/// The attributes of a limit's quota and schedule on a new item.
pub(super) fn put_new(item: &mut Item, limit: &LimitImage) {
    let attribute = |field: &str| keys::bucket_attr(limit.name.as_str(), field);
    let mut zone = None;
    if let Some(stored) = &limit.schedule {
        item.insert(attribute(SCHEDULE), s(stored.schedule.text()));
        zone = Some(stored.schedule.zone());
    }
    if let Some(quota) = &limit.quota {
        match &quota.period {
            StoredPeriod::Calendar(resets) => {
                item.insert(attribute(RESETS), s(resets.text()));
                zone = Some(resets.zone());
            }
            StoredPeriod::Session { length, window } => {
                item.insert(attribute("rsa"), n(*length / 1_000));
                for (field, value) in [("ws", window.start), ("wa", window.applied)] {
                    item.extend(value.map(|value| (attribute(field), n(value))));
                }
            }
        }
        item.extend(quota.grant_count.map(|count| (attribute("gc"), n(count))));
        item.extend(quota.topped_up.map(|topped_up| (attribute("tu"), n(topped_up))));
    }
    item.extend(zone.map(|zone| (ZONE.to_owned(), s(zone.name()))));
}

/// Adds the change of quotas and schedules to an update.
pub(super) fn update(e: &mut ExpressionBuilder, write: &BucketWrite) {
    let mut zone = None;
    for limit in &write.limits {
        let attribute = |field: &str| keys::bucket_attr(limit.name.as_str(), field);
        if let Some(stored) = &limit.schedule.expect {
            let name = match stored.place {
                SchedulePlace::Own => e.name(attribute(SCHEDULE)),
                SchedulePlace::Item => e.name(SCHEDULE),
            };
            e.expect(&name, Some(s(stored.schedule.text())));
        }
        if let Some(schedule) = &limit.schedule.set {
            let own = e.name(attribute(SCHEDULE));
            e.set(&own, s(schedule.as_ref().map_or(NONE, |schedule| schedule.text())));
            zone = zone.or(schedule.as_ref().map(Schedule::zone));
        }
        match &limit.quota {
            QuotaWrite::Nothing => {}
            QuotaWrite::Ends => {
                let own = e.name(attribute(RESETS));
                e.set(&own, s(NONE));
                for owned in OF_QUOTAS.iter().chain(&OF_SESSIONS) {
                    let owned = e.name(attribute(owned));
                    e.remove(&owned);
                }
            }
            QuotaWrite::Restored(begins) => begin(e, limit.name.as_str(), *begins),
            QuotaWrite::Becomes { period, begins } => {
                let own = e.name(attribute(RESETS));
                match period {
                    NewPeriod::Calendar(resets) => {
                        e.set(&own, s(resets.text()));
                        zone = zone.or(Some(resets.zone()));
                        for owned in OF_SESSIONS {
                            let owned = e.name(attribute(owned));
                            e.remove(&owned);
                        }
                    }
                    NewPeriod::Session(length) => {
                        e.set(&own, s(NONE));
                        let name = e.name(attribute("rsa"));
                        e.set(&name, *length / 1_000);
                    }
                }
                if let Some(begins) = begins {
                    begin(e, limit.name.as_str(), *begins);
                }
            }
        }
    }
    if let Some(zone) = zone {
        let name = e.name(ZONE);
        e.set(&name, s(zone.name()));
    }
}

/// Adds the beginning of a quota's period.
fn begin(e: &mut ExpressionBuilder, limit: &str, begins: Beginning) {
    let attribute = |field: &str| keys::bucket_attr(limit, field);
    let count = e.name(attribute("gc"));
    e.set(&count, i64::from(begins.grant_count));
    if begins.topped_up {
        let name = e.name(attribute("tu"));
        e.remove(&name);
    }
    let Some(window) = begins.window else { return };
    for field in ["ws", "wa"] {
        let name = e.name(attribute(field));
        e.set(&name, window.start);
    }
    if window.marked {
        let name = e.name(attribute("wtc"));
        e.remove(&name);
    }
}

//! A bucket item for tests of writes, without a table: [`apply`].

use crate::bucket::{
    image::{Image, LimitImage},
    leftovers::Enabled,
    quota::stored::{Beginning, QuotaWrite, SchedulePlace, StoredPeriod, StoredQuota, StoredSchedule, Window},
    stamp::TimedStamp,
    write::{BucketWrite, TokenWrite, Validity},
};

/// Applies a write the way DynamoDB would: all conditions on the item as it is, then all changes, or nothing.
pub(crate) fn apply(item: &mut Image, write: &BucketWrite) -> bool {
    let valid = match write.expect_valid {
        Validity::AbsentOrAfter(now) => item.valid_until.is_none_or(|until| until > now),
        Validity::Expired(stamp) => item.valid_until == Some(stamp),
        Validity::Renewed { seen, .. } => item.valid_until == seen,
    };
    let facts = write.expect_refill.is_none_or(|rf| rf == item.last_refill)
        && write.advance.is_none_or(|advance| item.last_refill <= advance.at_most)
        && write.expect_shards == item.shard_count
        && write.set_ttl.flatten().is_none_or(|ttl| item.ttl.is_none_or(|stored| stored <= ttl))
        && write.expect_ttl.is_none_or(|ttl| item.ttl.is_none_or(|stored| stored >= ttl))
        && write.expect_incarnation.as_ref().is_none_or(|incarnation| *incarnation == item.incarnation)
        && write.bypass.is_none_or(|stamp| stamp.expect == item.bypass)
        && valid;
    let stamp = write.refund.is_none_or(|refund| refund.may_follow(&item.refunds));
    let enabled = write.expect_enabled == Enabled::Any || !item.disabled;
    let over = write.remove.iter().all(|leftover| item.leftovers.contains(leftover));
    let bounds = write.ladder.as_ref().is_none_or(|ladder| ladder.holds(item, &write.limits));
    if !facts || !stamp || !enabled || !over || !bounds || !limits_hold(item, write) {
        return false;
    }
    for limit in &write.limits {
        let index = item.limits.iter().position(|l| l.name == limit.name).unwrap_or_else(|| {
            item.limits.push(LimitImage {
                name: limit.name.clone(),
                tokens: None,
                params: Default::default(),
                fraction: 0,
                refunded: None,
                soft: None,
                consumed: None,
                quota: None,
                schedule: None,
            });
            item.limits.len() - 1
        });
        let stored = &mut item.limits[index];
        stored.tokens = match limit.tokens {
            TokenWrite::Add { delta, .. } => Some(stored.tokens.unwrap_or(0) + delta),
            TokenWrite::Keep => stored.tokens,
            TokenWrite::Set { to, .. } | TokenWrite::Fill { to } => Some(to),
        };
        stored.consumed = Some(stored.consumed.unwrap_or(0) + i128::from(limit.consumed));
        stored.fraction = limit.set_fraction.unwrap_or(stored.fraction);
        if let Some(refund) = limit.refund {
            stored.refunded = Some(stored.refunded.unwrap_or(0) + refund.add);
        }
        if let Some(set) = limit.soft.and_then(|soft| soft.set) {
            stored.soft = set.map(TimedStamp::Until);
        }
        if let Some(params) = limit.set_params {
            stored.params = params;
        }
        stored.quota = quota_after(stored.quota.take(), &limit.quota);
        if let Some(schedule) = &limit.schedule.set {
            let place = SchedulePlace::Own;
            stored.schedule = schedule.clone().map(|schedule| StoredSchedule { schedule, place });
        }
    }
    if let Some(mark) = write.refund.map(|refund| refund.mark) {
        item.refunds.last = Some(mark.number);
        mark.slot.into_iter().for_each(|slot| item.refunds.note(slot.into(), mark.number));
    }
    item.last_refill = write.set_refill.unwrap_or(item.last_refill);
    item.last_refill += write.advance.map_or(0, |advance| advance.by);
    item.leftovers.retain(|leftover| !write.remove.contains(leftover));
    if let Some(set) = write.bypass.and_then(|stamp| stamp.set) {
        item.bypass = set.map(TimedStamp::Until);
    }
    item.ttl = write.set_ttl.unwrap_or(item.ttl);
    item.watch = write.set_watch.unwrap_or(item.watch);
    item.shared_until = write.set_shared.or(item.shared_until);
    item.shard_count = write.set_shards.or(item.shard_count);
    match write.expect_valid {
        Validity::Expired(_) => item.valid_until = None,
        Validity::Renewed { until, .. } => item.valid_until = until,
        Validity::AbsentOrAfter(_) => {}
    }
    true
}

/// Returns true if the conditions on limits hold.
fn limits_hold(item: &Image, write: &BucketWrite) -> bool {
    write.limits.iter().all(|limit| {
        let stored = item.limit(limit.name.as_str());
        let tokens = stored.and_then(|s| s.tokens);
        let params = stored.map(|s| s.params).unwrap_or_default();
        params == limit.expect_params
            && limit.expect_fraction.is_none_or(|fraction| stored.is_some_and(|s| s.fraction == fraction))
            && limit.refund.is_none_or(|refund| {
                refund.at_most.is_none_or(|most| stored.and_then(|s| s.refunded).unwrap_or(0) <= most)
            })
            && limit.soft.is_none_or(|soft| stored.and_then(|s| s.soft) == soft.expect)
            && limit.schedule.expect.as_ref().is_none_or(|seen| stored.and_then(|s| s.schedule.as_ref()) == Some(seen))
            && match limit.tokens {
                TokenWrite::Add { at_least, at_most, .. } => {
                    tokens.is_some_and(|t| at_least.is_none_or(|least| t >= least) && t <= at_most)
                }
                TokenWrite::Keep => true,
                TokenWrite::Set { from, .. } => tokens == from,
                TokenWrite::Fill { .. } => write.ladder.is_some() && tokens.is_some(),
            }
    })
}

/// The quota after a write.
fn quota_after(stored: Option<StoredQuota>, write: &QuotaWrite) -> Option<StoredQuota> {
    match write {
        QuotaWrite::Nothing => stored,
        QuotaWrite::Ends => None,
        QuotaWrite::Restored(begins) => stored.map(|quota| begun(quota, begins)),
        QuotaWrite::Becomes { period, begins } => {
            let before = stored.as_ref().map(StoredQuota::window).unwrap_or_default();
            let period = match period.stored() {
                StoredPeriod::Session { length, .. } => StoredPeriod::Session { length, window: before },
                calendar => calendar,
            };
            let (grant_count, topped_up) = stored.as_ref().map_or((None, None), |q| (q.grant_count, q.topped_up));
            let resets_by_hand = stored.as_ref().map_or(0, |quota| quota.resets_by_hand);
            let quota = StoredQuota { period, grant_count, topped_up, resets_by_hand };
            Some(begins.as_ref().map_or(quota.clone(), |begins| begun(quota, begins)))
        }
    }
}

/// The quota at the beginning of a period.
fn begun(mut quota: StoredQuota, begins: &Beginning) -> StoredQuota {
    if let (StoredPeriod::Session { window, .. }, Some(new)) = (&mut quota.period, begins.window) {
        *window = Window { start: Some(new.start), applied: Some(new.start), counter_mark: None };
    }
    StoredQuota { grant_count: Some(begins.grant_count), topped_up: None, ..quota }
}

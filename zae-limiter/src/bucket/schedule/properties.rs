//! Compares schedules with a minute-by-minute evaluation ([`naive`](super::naive)).

use proptest::{prelude::*, test_runner::TestCaseResult};

use super::{
    MINUTE,
    accrual::Course,
    naive::{NaiveCron, ZONES, crons, daily_crons, minutes, yearly_crons},
};
use crate::{
    bucket::Params,
    model::schedule::{Change, Cron, Entry, Resets, Schedule, Zone},
};

/// Number of minutes tried in each direction.
const AROUND: i64 = 3_000;

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(ZONES.to_vec()).prop_map(|name| Zone::new(name).unwrap())
}

/// Compares the edges of `naive` around `minute` with ours at `now` ms.
fn check_edges(naive: &NaiveCron, cron: Cron, zone: &Zone, now: i64) -> TestCaseResult {
    let Ok(resets) = Resets::new([cron], zone.clone()) else { return Ok(()) };
    let minute = now.div_euclid(MINUTE);
    let edges = naive.edges(zone, minute - AROUND..minute + AROUND);
    let asked = format!("{} in {zone} at {now}", naive.text());
    match edges.iter().rfind(|edge| **edge <= now) {
        Some(last) => prop_assert_eq!(resets.last(now), Some(*last), "last of {}", asked),
        None => prop_assert!(resets.last(now).is_none_or(|edge| edge < (minute - AROUND) * MINUTE), "{}", asked),
    }
    match edges.iter().find(|edge| **edge > now) {
        Some(next) => prop_assert_eq!(resets.next(now), Some(*next), "next of {}", asked),
        None => prop_assert!(resets.next(now).is_none_or(|edge| edge >= (minute + AROUND) * MINUTE), "{}", asked),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn edges_are_those_that_trying_every_minute_finds(
        naive in prop_oneof![daily_crons(), crons()], zone in zones(), minute in minutes(), ms in 0..MINUTE,
    ) {
        if let Some(cron) = naive.cron() {
            check_edges(&naive, cron, &zone, minute * MINUTE + ms)?;
        }
    }

    #[test]
    fn days_of_short_and_long_months_and_leap_years_are_those_that_trying_every_day_finds(
        naive in yearly_crons(), minute in minutes(), ahead in prop::bool::ANY,
    ) {
        const DAY: i64 = super::DAY;
        const DAYS: i64 = 9 * 366;
        let Some(cron) = naive.cron() else { return Ok(()) };
        let utc = Zone::utc();
        let resets = Resets::new([cron], utc.clone()).unwrap();
        let today = minute.div_euclid(DAY);
        let now = today * DAY * MINUTE;
        let matches = |day: &i64| naive.matches(utc.rules(), day * DAY);
        if ahead {
            let found = (today + 1..=today + DAYS).find(matches).map(|day| day * DAY * MINUTE);
            let ours = resets.next(now);
            prop_assert!(found == ours || (found.is_none() && ours > Some(now + DAYS * DAY * MINUTE)),
                "{}: {found:?}, {ours:?}", naive.text());
        } else {
            let found = (today - DAYS..=today).rev().find(matches).map(|day| day * DAY * MINUTE);
            let ours = resets.last(now);
            prop_assert!(found == ours || (found.is_none() && ours < Some(now - DAYS * DAY * MINUTE)),
                "{}: {found:?}, {ours:?}", naive.text());
        }
    }

    #[test]
    fn phases_and_what_is_gained_in_them_are_those_of_every_minute(
        naive in prop::collection::vec(daily_crons(), 1..4),
        zone in zones(),
        minute in minutes(),
        ms in 0..MINUTE,
        length in 1_i64..2_000 * MINUTE,
        tokens in -50_000_i64..200_000,
        refill in 1_i64..100_000,
        shards in 1_u32..4,
    ) {
        let entries = naive.iter().enumerate().filter_map(|(index, naive)| {
            let per_mille = [500, 3_000, 10][index];
            Some((naive, Entry { cron: naive.cron()?, change: Change::Scale { per_mille } }))
        });
        let (naive, entries): (Vec<_>, Vec<_>) = entries.unzip();
        let schedule = Schedule::new(entries, zone.clone()).unwrap();
        let base = Params { capacity: 100_000, refill, period: 60_000 };
        let course = Course { base, schedule: Some(&schedule), resets: None, shards };
        let entry_at = |minute: i64| naive.iter().position(|naive| naive.matches(zone.rules(), minute));
        let share_at = |minute: i64| {
            let factor = entry_at(minute).map_or(1_000, |index| [500, 3_000, 10][index]);
            let scaled = |value: i64| (value * factor / 1_000).max(1) / i64::from(shards);
            (scaled(base.capacity), scaled(base.refill))
        };

        let (from, mut at) = (minute * MINUTE + ms, minute * MINUTE + ms);
        let now = from + length;
        let (mut level, mut stretch, mut began) = (tokens, entry_at(minute), from);
        level = level.min(share_at(minute).0);
        while at < now {
            let next = ((at.div_euclid(MINUTE) + 1) * MINUTE).min(now);
            let (capacity, refill) = share_at(began.div_euclid(MINUTE));
            let ends = next == now || entry_at(next.div_euclid(MINUTE)) != stretch;
            if ends {
                level = (level + (next - began) * refill / base.period).min(capacity);
                (began, stretch) = (next, entry_at(next.div_euclid(MINUTE)));
                level = level.min(share_at(next.div_euclid(MINUTE)).0);
            }
            at = next;
        }
        prop_assert_eq!(course.balance(tokens, from, now), level);

        let phase = schedule.phase(from);
        prop_assert_eq!(phase.entry, entry_at(minute));
        prop_assert!(phase.holds(from));
        let changes = |step: i64| (1..AROUND).find(|by| entry_at(minute + step * by) != phase.entry);
        match changes(1) {
            Some(by) => prop_assert_eq!(phase.until, (minute + by) * MINUTE),
            None => prop_assert!(phase.until >= (minute + AROUND) * MINUTE),
        }
        match changes(-1) {
            Some(by) => prop_assert_eq!(phase.from, (minute - by + 1) * MINUTE),
            None => prop_assert!(phase.from <= (minute - AROUND + 2) * MINUTE),
        }
    }

    #[test]
    fn after_the_wait_the_tokens_are_there_and_one_ms_before_they_are_not(
        naive in daily_crons(),
        zone in zones(),
        now in minutes().prop_map(|minute| minute * MINUTE),
        needed in 1_i64..100_000,
    ) {
        let Some(cron) = naive.cron() else { return Ok(()) };
        // The capacity never limits, so that only gains count.
        let change = Change::replace(None, Some(3), None).unwrap();
        let schedule = Schedule::new([Entry { cron, change }], zone).unwrap();
        let base = Params { capacity: 1_000_000_000, refill: 1_000, period: 60_000 };
        let course = Course { base, schedule: Some(&schedule), resets: None, shards: 1 };
        let wait = course.wait(needed, now).unwrap();
        prop_assert!(course.balance(0, now, now + wait) >= needed);
        prop_assert!(course.balance(0, now, now + wait - 1) < needed);
    }
}

#[test]
fn years_of_idling_are_computed_from_their_end() {
    let zone = Zone::new("Europe/Berlin").unwrap();
    let schedule = Schedule::decode("1m*/2s500", zone).unwrap().unwrap();
    let base = Params { capacity: 100_000, refill: 1_000, period: 60_000 };
    let course = Course { base, schedule: Some(&schedule), resets: None, shards: 1 };
    let now = 1_790_000_000_000;
    let begun = std::time::Instant::now();
    // Twenty seconds into a minute of the full rate.
    assert_eq!(course.balance(-5_000_000, now - 20 * 365 * super::DAY * MINUTE, now), 50_333);
    let even = now + MINUTE;
    assert_eq!(course.balance(-5_000_000, even - 20 * 365 * super::DAY * MINUTE, even), 50_000);
    // Ten million phases would take minutes.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn instants_beyond_every_calendar_have_no_edges_and_panic_nowhere() {
    let resets = Resets::new(["0 0 29 2 *".parse().unwrap()], Zone::new("Europe/Berlin").unwrap()).unwrap();
    let schedule = Schedule::decode("1D29M2s500", Zone::utc()).unwrap().unwrap();
    for now in [i64::MIN, i64::MAX, i64::MIN / 2, i64::MAX / 2, 0, -1] {
        let _ = (resets.last(now), resets.next(now), schedule.phase(now), schedule.next_change(now));
    }
    assert_eq!((resets.next(i64::MAX), resets.last(i64::MIN)), (None, None));
}

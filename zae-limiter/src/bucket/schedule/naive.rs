//! An independent evaluation of cron expressions: lists of numbers instead of sets, the time zone's calendar instead of
//! arithmetic, and minute by minute.

use jiff::{Timestamp, tz::TimeZone};
use proptest::prelude::*;

use super::MINUTE;
use crate::model::schedule::{Cron, Zone};

/// Zones with offsets and changes of an hour, of half an hour and of a day, at midnight, in both hemispheres, and none.
pub(super) const ZONES: [&str; 10] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Kathmandu",
    "Africa/Casablanca",
    "America/Santiago",
];

/// A field as text and as numbers.
#[derive(Clone, Debug)]
pub(super) struct NaiveField {
    text: String,
    numbers: Vec<i64>,
}

/// An expression as its fields.
#[derive(Clone, Debug)]
pub(super) struct NaiveCron([NaiveField; 5]);

impl NaiveCron {
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|field| field.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn cron(&self) -> Option<Cron> {
        self.text().parse().ok()
    }

    pub(super) fn matches(&self, zone: &TimeZone, minute: i64) -> bool {
        let clock = Timestamp::from_second(minute * 60).unwrap().to_zoned(zone.clone());
        let has = |index: usize, number: i64| self.0[index].numbers.contains(&number);
        let day = has(2, clock.day().into());
        let sunday_first = i64::from(clock.weekday().to_sunday_zero_offset());
        let weekday = has(4, sunday_first) || (sunday_first == 0 && has(4, 7));
        let star = |index: usize| self.0[index].text.starts_with('*');
        let days = if star(2) || star(4) { day && weekday } else { day || weekday };
        has(0, clock.minute().into()) && has(1, clock.hour().into()) && has(3, clock.month().into()) && days
    }

    /// Returns the edges in `minutes`, in whole minutes of the epoch.
    pub(super) fn edges(&self, zone: &Zone, minutes: std::ops::Range<i64>) -> Vec<i64> {
        let matched: Vec<bool> =
            (minutes.start - 1..minutes.end).map(|minute| self.matches(zone.rules(), minute)).collect();
        let begins = matched.windows(2).zip(minutes).filter(|(pair, _)| !pair[0] && pair[1]);
        begins.map(|(_, minute)| minute * MINUTE).collect()
    }
}

fn field(first: i64, last: i64) -> impl Strategy<Value = NaiveField> {
    let term = prop_oneof![
        3 => Just(("*".to_owned(), (first..=last).collect::<Vec<_>>())),
        3 => (first..=last).prop_map(|value| (value.to_string(), vec![value])),
        1 => (first..=last, 1..=last).prop_map(move |(value, step)| {
            (format!("{value}/{step}"), (value..=last).step_by(step as usize).collect())
        }),
        1 => (1..=last).prop_map(move |step| (format!("*/{step}"), (first..=last).step_by(step as usize).collect())),
        2 => (first..=last, first..=last).prop_map(|(a, b)| {
            (format!("{}-{}", a.min(b), a.max(b)), (a.min(b)..=a.max(b)).collect())
        }),
    ];
    prop::collection::vec(term, 1..3).prop_map(|terms| NaiveField {
        text: terms.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(","),
        numbers: terms.into_iter().flat_map(|(_, numbers)| numbers).collect(),
    })
}

/// Generates any expression.
pub(super) fn crons() -> impl Strategy<Value = NaiveCron> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| NaiveCron([minute, hour, day, month, weekday]))
}

/// Generates expressions that match some minute of most days.
pub(super) fn daily_crons() -> impl Strategy<Value = NaiveCron> {
    let star = |first, last| NaiveField { text: "*".into(), numbers: (first..=last).collect() };
    (field(0, 59), field(0, 23), prop_oneof![3 => Just(star(0, 7)), 1 => field(0, 7)])
        .prop_map(move |(minute, hour, weekday)| NaiveCron([minute, hour, star(1, 31), star(1, 12), weekday]))
}

/// Generates expressions for days of a year, at midnight.
pub(super) fn yearly_crons() -> impl Strategy<Value = NaiveCron> {
    let midnight = || NaiveField { text: "0".into(), numbers: vec![0] };
    (field(1, 31), field(1, 12), field(0, 7))
        .prop_map(move |(day, month, weekday)| NaiveCron([midnight(), midnight(), day, month, weekday]))
}

/// Generates minutes of the epoch around clock changes, ends of months and leap days, and any of 60 years.
pub(super) fn minutes() -> impl Strategy<Value = i64> {
    let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second() / 60;
    let special = vec![
        at("2026-03-29T01:00:00Z"), // Berlin, forward
        at("2026-10-25T01:00:00Z"), // Berlin, back
        at("2026-03-08T07:00:00Z"), // New York, forward
        at("2026-11-01T06:00:00Z"), // New York, back
        at("2026-04-04T15:00:00Z"), // Lord Howe, back by half an hour
        at("2026-10-03T15:30:00Z"), // Lord Howe, forward by half an hour
        at("2011-12-30T10:00:00Z"), // Apia left out a day
        at("2018-11-04T03:00:00Z"), // Sao Paulo, no midnight
        at("2018-02-18T02:00:00Z"), // Sao Paulo, midnight twice
        at("2026-04-23T22:00:00Z"), // Cairo, forward at midnight
        at("2026-10-29T21:00:00Z"), // Cairo, back at midnight
        at("2026-02-15T02:00:00Z"), // Casablanca, Ramadan
        at("2026-03-22T02:00:00Z"),
        at("2024-02-29T00:00:00Z"),
        at("2100-03-01T00:00:00Z"), // no leap year
        at("2000-02-29T00:00:00Z"),
        at("2026-12-31T23:59:00Z"),
    ];
    prop_oneof![
        3 => (prop::sample::select(special), -3_000_i64..3_000).prop_map(|(minute, offset)| minute + offset),
        1 => at("1972-01-01T00:00:00Z")..at("2120-01-01T00:00:00Z"),
    ]
}

//! Input that cannot be used: each gets an error that says why, and none a panic.

use proptest::prelude::*;

use super::{Change, Cron, Entry, Resets, Schedule, ScheduleError, Zone, compact, cron::MAX_CRON};

fn midnight() -> Cron {
    "0 0 * * *".parse().unwrap()
}

#[test]
fn an_unusable_expression_is_refused_with_the_field_and_the_rule() {
    let table = [
        ("", "has five fields (minute, hour, day of month, month, day of week); this has 0"),
        ("   ", "this has 0"),
        ("@daily", "this has 1"),
        ("0 0 * *", "this has 4"),
        ("0 0 0 * * *", "this has 6"),
        ("60 * * * *", "minute `60`: out of range (allowed: 0-59)"),
        ("* 24 * * *", "hour `24`: out of range (allowed: 0-23)"),
        ("* * 0 * *", "day of month `0`: out of range (allowed: 1-31)"),
        ("* * 32 * *", "day of month `32`: out of range"),
        ("* * * 0 *", "month `0`: out of range (allowed: 1-12 or JAN-DEC)"),
        ("* * * 13 *", "month `13`: out of range"),
        ("* * * * 8", "day of week `8`: out of range (allowed: 0-7 or SUN-SAT"),
        ("* * * * FRI-SUN", "day of week `FRI-SUN`: the range ends before it begins"),
        ("9-5 * * * *", "minute `9-5`: the range ends before it begins"),
        ("*/0 * * * *", "minute `*/0`: a step is a whole number of at least 1"),
        ("*/ * * * *", "minute `*/`: a step"),
        ("*/-1 * * * *", "a step"),
        ("*/1/2 * * * *", "a step"),
        ("1,,2 * * * *", "minute ``: a value is missing"),
        (", * * * *", "a value is missing"),
        ("1- * * * *", "minute `1-`: a value is missing"),
        ("-1 * * * *", "minute `-1`: a value is missing"),
        ("1-2-3 * * * *", "not a number or a name"),
        ("+5 * * * *", "minute `+5`: not a number or a name of this field"),
        ("1e1 * * * *", "not a number"),
        ("\u{665} * * * *", "not a number"),
        ("99999999999999999999 * * * *", "minute `99999999999999999999`: out of range"),
        ("? * * * *", "not a number"),
        ("0 0 L * *", "day of month `L`: not a number"),
        ("0 0 * * 5L", "day of week `5L`: not a number"),
        ("0 0 * * 5#2", "not a number"),
        ("0 0 * * Monday", "not a number"),
        ("0 0 1 MON *", "month `MON`: not a number or a name of this field"),
        ("0 0 31 2 *", "none of the months has such a day"),
        ("0 0 30 FEB *", "none of the months has such a day"),
        ("0 0 31 4,6,9,11 *", "none of the months has such a day"),
        ("\u{1b}[2J * * * *", "minute `\u{fffd}[2J`: not a number"),
    ];
    for (text, expected) in table {
        let error = text.parse::<Cron>().expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let long = format!("{} * * * *", "0,".repeat(MAX_CRON));
    assert_eq!(long.parse::<Cron>(), Err(ScheduleError::TooLong));
    let long = format!("{} * * * *", "x".repeat(100));
    let error = long.parse::<Cron>().unwrap_err().to_string();
    assert!(error.contains("`xxxxxxxxxxxxxxxxxxxx...`"), "{error}");
}

#[test]
fn an_unusable_zone_is_refused_with_its_name() {
    let names =
        ["", "utc", "Europe/berlin", "EUROPE/BERLIN", "+01:00", "../../etc/passwd", "Etc/Unknown", "CEST", " UTC"];
    for name in names {
        let error = Zone::new(name).expect_err(name).to_string();
        assert!(error.contains(&format!("`{name}` is no time zone")), "{error}");
    }
    let error = Zone::new(&"\u{7}".repeat(1_000)).unwrap_err().to_string();
    assert!(!error.contains('\u{7}') && error.len() < 400, "{error}");
}

#[test]
fn an_unusable_change_is_refused() {
    for factor in [0.0, -0.5, f64::NAN, f64::INFINITY, 1_000_000.1, -f64::MIN_POSITIVE] {
        assert_eq!(Change::scale(factor), Err(ScheduleError::Scale), "{factor}");
    }
    assert_eq!(Change::scale(f64::MIN_POSITIVE), Ok(Change::Scale { per_mille: 1 }));
    assert_eq!(Change::replace(None, None, None), Err(ScheduleError::Change));
    let too_much = [
        Change::replace(Some(0), None, None),
        Change::replace(Some(1_000_000_000_000_001), None, None),
        Change::replace(None, Some(0), None),
        Change::replace(None, Some(u64::MAX), None),
        Change::replace(None, None, Some(0)),
        Change::replace(None, None, Some(1_000_000_001)),
    ];
    for refused in too_much {
        assert!(refused.unwrap_err().to_string().contains("is a whole number from 1 to"));
    }
}

#[test]
fn a_schedule_needs_entries_and_resets_have_to_begin_now_and_then() {
    assert_eq!(Schedule::new([], Zone::utc()), Err(ScheduleError::NoEntries));
    assert_eq!(Resets::new([], Zone::utc()), Err(ScheduleError::NoEntries));
    assert!(Resets::new(vec![midnight(); 100], Zone::utc()).is_ok());
    let error = Resets::new(vec![midnight(); 101], Zone::utc()).unwrap_err();
    assert_eq!(error, ScheduleError::TooManyEntries { count: 101 });
    for always in ["* * * * *", "*/1 0-23 1-31 JAN-DEC *", "* * 1 * SUN-SAT"] {
        let always: Cron = always.parse().unwrap();
        assert_eq!(Resets::new([always.clone()], Zone::utc()), Err(ScheduleError::NeverResets), "{always}");
        assert!(Resets::new([always, midnight()], Zone::utc()).is_ok());
    }
}

#[test]
fn a_stored_form_of_a_newer_version_says_so() {
    for text in ["2h9s500", "10h9", "99999999999999999999999"] {
        assert_eq!(Schedule::decode(text, Zone::utc()), Err(ScheduleError::Version), "{text}");
        assert_eq!(Resets::decode(text, Zone::utc()), Err(ScheduleError::Version), "{text}");
    }
}

#[test]
fn resets_at_night_are_told_where_clocks_change() {
    let berlin = Zone::new("Europe/Berlin").unwrap();
    let table = [
        ("30 2 * * *", true),
        ("0 1 * * *", true),
        ("59 1 1 1 *", true),
        ("0 0 * * *", false),
        ("0 3 * * *", false),
        ("* 2-5 * * *", true),
        ("* 0-5 * * *", false),
        ("0 */6 * * *", false),
    ];
    for (text, meets) in table {
        let cron: Cron = text.parse().unwrap();
        assert_eq!(Resets::new([cron.clone()], berlin.clone()).unwrap().meets_clock_changes(), meets, "{text}");
        for zone in ["UTC", "Asia/Kolkata", "America/Sao_Paulo"] {
            let zone = Zone::new(zone).unwrap();
            assert!(!Resets::new([cron.clone()], zone).unwrap().meets_clock_changes());
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(text in "\\PC{0,60}", name in "\\PC{0,60}") {
        let _ = text.parse::<Cron>();
        let _ = compact::entries(&text);
        let _ = compact::crons(&text);
        let _ = Zone::new(&name);
    }

    #[test]
    fn no_text_that_looks_like_a_stored_form_makes_the_reader_panic_and_what_is_read_is_kept(
        text in "1[0-9mhDMwscap;*,/\\- ]{0,40}",
    ) {
        if let Ok(entries) = compact::entries(&text) {
            prop_assert_eq!(compact::entries(&compact::of_entries(&entries)), Ok(entries));
        }
        if let Ok(crons) = compact::crons(&text) {
            // A single expression of nothing but stars has no stored form.
            let stored = compact::of_crons(&crons);
            prop_assert!(stored == "1" || compact::crons(&stored) == Ok(crons));
        }
    }

    #[test]
    fn what_is_shown_means_what_was_read(
        text in "[0-9*,/\\-]{1,6} [0-9*]{1,2} [0-9*]{1,2} [0-9*A-Z]{1,3} [0-7*/]{1,3}",
    ) {
        if let Ok(cron) = text.parse::<Cron>() {
            let shown: Cron = cron.to_string().parse().unwrap();
            let change = Change::Scale { per_mille: 1 };
            let sets = |cron: &Cron| (cron.minutes(), cron.hours(), cron.days(), cron.months(), cron.weekdays());
            prop_assert_eq!(sets(&shown), sets(&cron));
            let entry = Entry { cron, change };
            let stored = compact::of_entries(std::slice::from_ref(&entry));
            prop_assert_eq!(compact::entries(&stored), Ok(vec![entry]));
        }
    }
}

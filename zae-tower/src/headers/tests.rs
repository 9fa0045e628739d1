use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use sfv::{BareItem, List, ListEntry, Parser};

use super::{
    HeaderDialect::{self, Draft07, Draft11, Off, XRateLimit},
    Standing, draft11,
    duration::{go_duration, millis_up, retry_seconds},
    standing::Unit,
};
use crate::line::Line;

fn limit(name: &str, capacity: u64, refill_amount: u64, period: u64, available: i64) -> Standing<'_> {
    let (requested, exceeded, retry_after) = (1, false, Duration::ZERO);
    Standing {
        name,
        capacity,
        refill_amount,
        refill_period_seconds: period,
        available,
        requested,
        exceeded,
        retry_after,
        restored_in: None,
    }
}

fn refused(mut standing: Standing<'_>, wait: Duration) -> Standing<'_> {
    standing.exceeded = true;
    standing.retry_after = wait;
    standing
}

fn written(dialect: HeaderDialect, standings: &[Standing<'_>], retry_after: Option<Duration>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    dialect.write_standings(&mut headers, standings, retry_after);
    headers
}

fn lines(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// Name and parameters of each member, read by an independent implementation of RFC 9651.
fn parsed(line: &str) -> Vec<(String, Vec<(String, BareItem)>)> {
    let list: List = Parser::new(line).parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let members = list.into_iter().map(|entry| {
        let ListEntry::Item(item) = entry else { panic!("{line}: an inner list") };
        let BareItem::String(name) = item.bare_item else { panic!("{line}: not a string") };
        (name.into(), item.params.into_iter().map(|(key, value)| (key.into(), value)).collect())
    });
    members.collect()
}

fn int(value: u64) -> BareItem {
    BareItem::Integer(sfv::Integer::try_from(value).unwrap())
}

#[test]
fn draft11_of_a_request_that_passed() {
    let headers = written(Draft11, &[limit("rpm", 100, 100, 60, 42), limit("tpm", 15_000, 10_000, 60, 14_500)], None);
    assert_eq!(lines(&headers, "ratelimit-policy"), ["\"rpm\";q=100;w=60, \"tpm\";q=15000;qu=\"tokens\";w=90"]);
    // (100 − 42) / (100/60) = 34.8 s; (15000 − 14500) / (10000/60) = 3 s.
    assert_eq!(lines(&headers, "ratelimit"), ["\"rpm\";r=42;t=35, \"tpm\";r=14500;t=3"]);
    assert_eq!(headers.len(), 2);
}

#[test]
fn draft11_of_a_refusal_never_ends_a_window_after_retry_after() {
    let wait = Duration::from_millis(2_001);
    let standings = [
        limit("rpd", 1_000, 1_000, 86_400, 500),
        refused(limit("tpm", 10_000, 10_000, 60, 166), wait),
        limit("rps", 10, 10, 1, 5),
    ];
    let headers = written(Draft11, &standings, Some(wait));
    assert_eq!(lines(&headers, "ratelimit"), ["\"rpd\";r=500, \"tpm\";r=166;t=3, \"rps\";r=5;t=1"]);
}

#[test]
fn waits_are_never_rounded_down() {
    for (millis, seconds) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2), (59_999, 60), (60_000, 60)] {
        let wait = Duration::from_millis(millis);
        assert_eq!(retry_seconds(wait), seconds, "{millis} ms");
        let headers = written(Draft11, &[refused(limit("rpm", 1, 1, 60, 0), wait)], Some(wait));
        assert_eq!(lines(&headers, "ratelimit"), [format!("\"rpm\";r=0;t={seconds}")], "{millis} ms");
    }
    assert_eq!(retry_seconds(Duration::from_nanos(1_000_000_001)), 2);
    assert_eq!(millis_up(Duration::from_nanos(1)), 1);
    assert_eq!(millis_up(Duration::MAX), u64::MAX);
    assert_eq!(retry_seconds(Duration::MAX), u64::MAX.div_ceil(1_000));
}

#[test]
fn a_debt_shows_as_nothing_left_and_as_a_longer_window() {
    let headers = written(Draft11, &[limit("tpm", 60, 60, 60, -30)], None);
    assert_eq!(lines(&headers, "ratelimit"), ["\"tpm\";r=0;t=90"]);
    let headers = written(XRateLimit, &[limit("tpm", 60, 60, 60, i64::MIN)], None);
    assert_eq!(lines(&headers, "x-ratelimit-remaining-tokens"), ["0"]);
}

#[test]
fn the_most_constrained_of_child_and_parent_speaks() {
    let wait = Duration::from_secs(7);
    let child = limit("rpm", 100, 100, 60, 10);
    let parent = limit("rpm", 1_000, 1_000, 60, 3);
    let table = [
        (vec![child.clone(), parent.clone()], "\"rpm\";r=3"),
        (vec![parent.clone(), child.clone()], "\"rpm\";r=3"),
        // The bucket that refused is shown, however many tokens it has.
        (vec![child.clone(), refused(limit("rpm", 1_000, 1_000, 60, 900), wait)], "\"rpm\";r=900"),
        (vec![refused(child.clone(), wait), parent], "\"rpm\";r=10"),
        // Two refusals: the longer wait.
        (vec![refused(child.clone(), wait), refused(limit("rpm", 9, 9, 60, 8), wait * 2)], "\"rpm\";r=8"),
        // A tie stays with the child.
        (vec![child, limit("rpm", 1_000, 1_000, 60, 10)], "\"rpm\";r=10;t=54"),
    ];
    for (standings, expected) in table {
        let headers = written(Draft11, &standings, None);
        let line = lines(&headers, "ratelimit").remove(0);
        assert!(line.starts_with(expected), "{line} for {standings:?}");
        assert_eq!(parsed(&line).len(), 1);
    }
}

#[test]
fn draft11_is_a_structured_field_for_extreme_limits() {
    let huge = 1_000_000_000_000_000;
    let standings = [
        limit("a", huge, 1, 10_000_000_000, i64::MIN),
        limit("B.c_d-e", huge, huge, 1, i64::MAX),
        limit("tokens", 1, huge, 1, 0),
    ];
    let headers = written(Draft11, &standings, None);
    let policies = parsed(&lines(&headers, "ratelimit-policy")[0]);
    let max = int(999_999_999_999_999);
    assert_eq!(policies[0], ("a".into(), vec![("q".into(), max.clone()), ("w".into(), max.clone())]));
    assert_eq!(policies[1], ("B.c_d-e".into(), vec![("q".into(), max.clone()), ("w".into(), int(1))]));
    let unit = BareItem::String(sfv::String::from_string("tokens".into()).unwrap());
    let expected = vec![("q".into(), int(1)), ("qu".into(), unit), ("w".into(), int(1))];
    assert_eq!(policies[2], ("tokens".into(), expected), "a window is never 0");
    let states = parsed(&lines(&headers, "ratelimit")[0]);
    assert_eq!(states[0].1, [("r".into(), int(0)), ("t".into(), max.clone())]);
    assert_eq!(states[1].1, [("r".into(), max), ("t".into(), int(0))]);
}

#[test]
fn strings_are_escaped_and_stay_in_the_grammar() {
    for (text, expected) in [
        ("rpm", "\"rpm\""),
        ("a\"b", r#""a\"b""#),
        (r"a\b", r#""a\\b""#),
        ("a;q=9, \"b\"", r#""a;q=9, \"b\"""#),
        ("\u{e9}\r\n\u{7f}", "\"????\""),
        ("", "\"\""),
    ] {
        let mut quoted = Line::default();
        draft11::push_string(&mut quoted, text);
        assert_eq!(quoted.as_str(), expected);
        assert_eq!(parsed(quoted.as_str()).len(), 1);
    }
}

#[test]
fn nested_draft11_layers_add_up() {
    let mut headers = written(Draft11, &[limit("rpm", 10, 10, 60, 1)], None);
    Draft11.write_standings(&mut headers, &[limit("rpd", 99, 99, 86_400, 9)], None);
    assert_eq!(lines(&headers, "ratelimit-policy"), ["\"rpm\";q=10;w=60", "\"rpd\";q=99;w=86400"]);
    assert_eq!(parsed(&lines(&headers, "ratelimit").join(", ")).len(), 2);
}

#[test]
fn units_by_name() {
    for (name, unit) in [
        ("rpm", Unit::Requests),
        ("RPM", Unit::Requests),
        ("requests", Unit::Requests),
        ("free-rpd", Unit::Requests),
        ("tpm", Unit::Tokens),
        ("tokens", Unit::Tokens),
        ("input-tokens", Unit::Tokens),
        ("itpm", Unit::Tokens),
        ("gpt4.tpm", Unit::Tokens),
        ("credits", Unit::Other),
        ("stpmx", Unit::Other),
    ] {
        assert_eq!(limit(name, 1, 1, 1, 1).unit(), unit, "{name}");
    }
}

#[test]
fn draft07_tells_one_limit_and_all_policies() {
    let standings = [limit("rpm", 100, 100, 60, 42), limit("rpd", 1_000, 1_000, 86_400, 7)];
    let headers = written(Draft07, &standings, None);
    assert_eq!(lines(&headers, "ratelimit-policy"), ["100;w=60, 1000;w=86400"]);
    assert_eq!(lines(&headers, "ratelimit"), ["limit=1000, remaining=7, reset=85796"]);
    let wait = Duration::from_millis(1_500);
    let headers = written(Draft07, &[refused(limit("rpm", 100, 100, 60, 0), wait)], Some(wait));
    assert_eq!(lines(&headers, "ratelimit"), ["limit=100, remaining=0, reset=2"]);
}

#[test]
fn in_nested_draft07_layers_the_tightest_survives() {
    let wait = Duration::from_secs(5);
    let (few, many) = (limit("rpm", 10, 10, 60, 2), limit("rpd", 100, 100, 60, 50));
    for (inner, outer) in [(&few, &many), (&many, &few)] {
        let mut headers = written(Draft07, std::slice::from_ref(inner), None);
        Draft07.write_standings(&mut headers, std::slice::from_ref(outer), None);
        assert_eq!(lines(&headers, "ratelimit"), ["limit=10, remaining=2, reset=48"]);
        assert_eq!(lines(&headers, "ratelimit-policy").len(), 2);
    }
    // The inner refusal takes precedence, although the outer layer has fewer tokens left.
    let inner = refused(limit("tpm", 1_000, 1_000, 60, 900), wait);
    let mut headers = written(Draft07, &[inner], Some(wait));
    headers.insert("retry-after", HeaderValue::from_static("5"));
    Draft07.write_standings(&mut headers, &[few], None);
    assert_eq!(lines(&headers, "ratelimit"), ["limit=1000, remaining=900, reset=5"]);
}

#[test]
fn x_ratelimit_speaks_as_llm_providers_do() {
    let standings = [
        limit("rpm", 60, 60, 60, 59),
        limit("tpm", 150_000, 150_000, 60, 149_984),
        limit("rpd", 10_000, 10_000, 86_400, 12),
        limit("Credits", 5, 1, 3_600, 4),
    ];
    let headers = written(XRateLimit, &standings, None);
    let expected = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "12"),
        ("x-ratelimit-reset-requests", "23h58m16.32s"),
        ("x-ratelimit-limit-tokens", "150000"),
        ("x-ratelimit-remaining-tokens", "149984"),
        ("x-ratelimit-reset-tokens", "7ms"),
        ("x-ratelimit-limit-credits", "5"),
        ("x-ratelimit-remaining-credits", "4"),
        ("x-ratelimit-reset-credits", "1h0m0s"),
    ];
    for (name, value) in expected {
        assert_eq!(lines(&headers, name), [value], "{name}");
    }
    assert_eq!(headers.len(), expected.len());
    let wait = Duration::from_micros(12_001);
    let headers = written(XRateLimit, &[refused(limit("rpm", 1, 1, 60, 0), wait)], Some(wait));
    assert_eq!(lines(&headers, "retry-after-ms"), ["13"]);
}

#[test]
fn in_nested_x_ratelimit_layers_the_tightest_survives_per_unit() {
    let inner = [limit("rpm", 10, 10, 60, 2), limit("tpm", 100, 100, 60, 90)];
    let outer = [limit("rpd", 50, 50, 60, 30), limit("tokens", 500, 500, 60, 80)];
    for (first, second) in [(&inner, &outer), (&outer, &inner)] {
        let mut headers = written(XRateLimit, first, None);
        XRateLimit.write_standings(&mut headers, second, None);
        for (name, value) in [
            ("x-ratelimit-limit-requests", "10"),
            ("x-ratelimit-remaining-requests", "2"),
            ("x-ratelimit-reset-requests", "48s"),
            ("x-ratelimit-limit-tokens", "500"),
            ("x-ratelimit-remaining-tokens", "80"),
            ("x-ratelimit-reset-tokens", "50.4s"),
        ] {
            assert_eq!(lines(&headers, name), [value], "{name}");
        }
    }
}

#[test]
fn values_that_nobody_can_read_are_replaced() {
    for odd in ["-1", "", "many", "1e9", "99999999999999999999999", "\u{80}"] {
        let mut headers = HeaderMap::new();
        headers.insert("x-ratelimit-remaining-requests", HeaderValue::from_bytes(odd.as_bytes()).unwrap());
        headers.insert("ratelimit", HeaderValue::from_bytes(format!("remaining={odd}").as_bytes()).unwrap());
        XRateLimit.write_standings(&mut headers, &[limit("rpm", 10, 10, 60, 2)], None);
        Draft07.write_standings(&mut headers, &[limit("rpm", 10, 10, 60, 2)], None);
        assert_eq!(lines(&headers, "x-ratelimit-remaining-requests"), ["2"], "{odd:?}");
        assert_eq!(lines(&headers, "ratelimit"), ["limit=10, remaining=2, reset=48"], "{odd:?}");
    }
}

#[test]
fn go_durations() {
    for (millis, text) in [
        (0, "0s"),
        (1, "1ms"),
        (12, "12ms"),
        (999, "999ms"),
        (1_000, "1s"),
        (7_660, "7.66s"),
        (60_000, "1m0s"),
        (179_560, "2m59.56s"),
        (360_000, "6m0s"),
        (3_600_001, "1h0m0.001s"),
        (3_723_000, "1h2m3s"),
        (360_000_000, "100h0m0s"),
    ] {
        assert_eq!(go_duration(millis).as_str(), text);
    }
}

#[test]
fn nothing_to_say() {
    for dialect in [Draft11, Draft07, XRateLimit, Off] {
        assert!(written(dialect, &[], None).is_empty(), "{dialect:?}");
    }
    assert!(written(Off, &[limit("rpm", 1, 1, 1, 1)], Some(Duration::from_secs(1))).is_empty());
}

#[test]
fn a_full_header_map_loses_the_headers_and_nothing_else() {
    let mut headers = HeaderMap::new();
    while headers.try_append("x-filler", HeaderValue::from_static("")).is_ok() && headers.len() < 40_000 {}
    for number in 0..40_000 {
        let name = http::HeaderName::try_from(format!("x-filler-{number}")).unwrap();
        if headers.try_insert(name, HeaderValue::from_static("")).is_err() {
            break;
        }
    }
    for dialect in [Draft11, Draft07, XRateLimit] {
        dialect.write_standings(&mut headers, &[limit("rpm", 1, 1, 1, 1)], Some(Duration::from_secs(1)));
    }
    assert!(!headers.contains_key("ratelimit"));
}

#[test]
fn a_quota_is_reset_when_its_period_ends_however_little_was_used() {
    let quota = |available| Standing {
        restored_in: Some(Duration::from_millis(7_200_500)),
        ..limit("usd", 100, 100, 86_400, available)
    };
    assert_eq!((quota(99).full_in_millis(), quota(-5).full_in_millis()), (7_200_500, 7_200_500));
    assert_eq!((quota(100).full_in_millis(), quota(40).window_seconds()), (0, 86_400));
}

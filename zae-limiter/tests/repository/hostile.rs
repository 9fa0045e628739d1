//! Bad input and its errors. It must neither reach the store nor panic.

use std::time::Duration;

use zae_limiter::{
    AcquireError, Cost, EntityId, Limit, LimitName, LimitSchedule, Limits, MAX_LIMITS, MAX_SESSION, MAX_TOKENS,
    NamespaceId, NamespaceName, Parameters, Principal, RateLimiter, ResourceName, StackName, ValidationError,
};
use zae_testkit::store::TestStore;

fn long(length: usize) -> String {
    "a".repeat(length)
}

/// Checks that the message contains `expected`; `None` means that the value is valid.
fn check<T: std::fmt::Debug>(what: &str, value: &str, result: &Result<T, ValidationError>, expected: Option<&str>) {
    match (result, expected) {
        (Ok(_), None) => {}
        (Err(error), Some(expected)) => {
            let text = error.to_string();
            assert!(text.contains(expected), "{what} {value:?}: {text}");
            let leaks = value.len() > 8 && text.contains(value);
            assert!(!leaks, "{what}: the message repeats the value");
            assert!(value.len() <= 8 || !format!("{error:?}").contains(value), "{what}: so does what is debugged");
            assert!(error.value().chars().count() <= 53, "{what}: the error keeps too much of the value");
        }
        (result, expected) => panic!("{what} {value:?}: {result:?}, expected {expected:?}"),
    }
}

#[test]
fn ids() {
    let (fits, too_long) = (long(256), long(257));
    let table: [(&str, Option<&str>); 19] = [
        ("user-1", None),
        ("0", None),
        ("user@example.com", None),
        ("a:b.c_d-e", None),
        (&fits, None),
        (&too_long, Some("256")),
        ("", Some("empty")),
        ("a#b", Some("#")),
        ("#META", Some("#")),
        ("a/b", Some("letters, digits")),
        ("../../etc/passwd", Some("letters, digits")),
        ("-dash-first", Some("letter or digit first")),
        ("_system", Some("letter or digit first")),
        ("a b", Some("letters, digits")),
        ("a\n", Some("letters, digits")),
        ("a\0b", Some("letters, digits")),
        ("ünïcode", Some("letter or digit first")),
        ("a\u{202e}b", Some("letters, digits")),
        ("' OR 1=1 --", Some("letter or digit first")),
    ];
    for (value, expected) in table {
        check("entity id", value, &EntityId::new(value), expected);
        check("principal", value, &Principal::new(value), expected);
    }
    check("principal", "arn:aws:sts::1:assumed-role/x/y", &Principal::new("arn:aws:sts::1:assumed-role/x/y"), None);
}

#[test]
fn names() {
    let (fits, too_long) = (long(64), long(65));
    for (value, limit, resource) in [
        ("rpm", None, None),
        ("a.b-c_d", None, None),
        (fits.as_str(), None, None),
        (too_long.as_str(), Some("64"), Some("64")),
        ("", Some("empty"), Some("empty")),
        ("wcu", Some("reserved"), None),
        ("gpt/4", Some("letters, digits"), None),
        ("gpt:4", Some("letters, digits"), None),
        ("_default_", Some("letter first"), Some("letter first")),
        ("1st", Some("letter first"), Some("letter first")),
        ("a#b", Some("#"), Some("#")),
        ("a b", Some("letters, digits"), Some("letters, digits")),
        ("a\r\nx: y", Some("letters, digits"), Some("letters, digits")),
        ("ａ", Some("letter first"), Some("letter first")),
    ] {
        check("limit name", value, &LimitName::new(value), limit);
        check("resource", value, &ResourceName::new(value), resource);
    }
}

#[test]
fn stacks_and_namespaces() {
    let (fits, too_long) = (long(55), long(56));
    for (value, expected) in [
        ("limiter", None),
        (fits.as_str(), None),
        (too_long.as_str(), Some("55")),
        ("", Some("empty")),
        ("rate_limits", Some("underscore")),
        ("a.b", Some("period")),
        ("a b", Some("space")),
        ("1a", Some("letter first")),
        ("a\n", Some("letter first")),
    ] {
        check("stack", value, &StackName::new(value), expected);
    }
    for (value, expected) in
        [("tenant-a", None), ("", Some("empty")), ("_", Some("reserved")), (&long(300), Some("256"))]
    {
        check("namespace", value, &NamespaceName::new(value), expected);
    }
    for (value, expected) in
        [("hdvwQXnpESw", None), ("a/b", Some("letters")), ("_", Some("reserved")), ("", Some("empty"))]
    {
        check("namespace id", value, &NamespaceId::new(value), expected);
    }
}

#[test]
fn limits() {
    for (capacity, refill, period, expected) in [
        (1, 1, 1, None),
        (MAX_TOKENS, MAX_TOKENS, 1, None),
        (0, 1, 1, Some("capacity")),
        (1, 0, 1, Some("refill_amount")),
        (1, 1, 0, Some("refill_period")),
        (MAX_TOKENS + 1, 1, 1, Some("capacity")),
        (u64::MAX, u64::MAX, u64::MAX, Some("refill_amount")),
        (1, 1, u64::MAX, Some("refill_period")),
    ] {
        let limit = Limit::per("rpm", refill, Duration::from_secs(period)).and_then(|limit| limit.with_burst(capacity));
        check("limit", "", &limit, expected);
    }
    let fraction = Limit::per("rpm", 1, Duration::from_millis(1_500));
    check("limit", "", &fraction, Some("invalid refill_period: must be whole seconds"));
    let rpm = || Limit::per_minute("rpm", 1).unwrap();
    check("limits", "", &Limits::new([]), Some("empty"));
    check("limits", "", &Limits::new([rpm(), rpm()]), Some("twice"));
    let many = (0..=MAX_LIMITS).map(|index| Limit::per_minute(format!("l{index}"), 1).unwrap());
    check("limits", "", &Limits::new(many), Some(&MAX_LIMITS.to_string()));
}

#[test]
fn manifests() {
    for (json, expected) in [
        (r#"{"name":"rpm","capacity":1,"refill_amount":1,"refill_period_seconds":60}"#, None),
        (r#"{"name":"rpm","capacity":-1,"refill_amount":1,"refill_period_seconds":60}"#, Some("-1")),
        (r#"{"name":"rpm","capacity":1.5,"refill_amount":1,"refill_period_seconds":60}"#, Some("1.5")),
        (r#"{"name":"rpm","capacity":0,"refill_amount":1,"refill_period_seconds":60}"#, Some("capacity")),
        (r#"{"name":"r m","capacity":1,"refill_amount":1,"refill_period_seconds":60}"#, Some("letters")),
        (r#"{"name":"rpm","capacity":1,"refill_amount":1}"#, Some("refill_period_seconds")),
        (r#"{"name":"rpm","capacity":1,"refill_amount":1,"refill_period_seconds":60,"burst":9}"#, Some("burst")),
        (r#"{"name":"rpm","capacity":1e400,"refill_amount":1,"refill_period_seconds":60}"#, Some("number")),
        ("[]", Some("")),
        ("", Some("EOF")),
    ] {
        match (serde_json::from_str::<Limit>(json), expected) {
            (Ok(_), None) => {}
            (Err(error), Some(expected)) => assert!(error.to_string().contains(expected), "{json}: {error}"),
            (result, _) => panic!("{json}: {result:?}"),
        }
    }
}

#[tokio::test]
async fn bad_requests_never_reach_the_store() {
    // There is no table: any call that is sent fails with another error than a validation error.
    let repository = TestStore::new().repository().await;
    repository.delete_table().await.unwrap();
    let limiter = RateLimiter::new(repository);
    for (entity, resource, cost, field) in [
        ("a#b", "gpt-4", Cost::of("rpm", 1), "entity_id"),
        ("a", "_default_", Cost::of("rpm", 1), "resource"),
        ("a", "gpt-4", Cost::of("rpm", 0), "cost"),
        ("a", "gpt-4", Cost::of("r m", 1), "name"),
        ("a", "gpt-4", Cost::of("wcu", 1), "name"),
        ("a", "gpt-4", Cost::of("rpm", u64::MAX), "cost"),
        ("a", "gpt-4", Cost::requests(0), "cost"),
    ] {
        match limiter.acquire(entity, resource, cost).await {
            Err(AcquireError::Invalid(error)) => assert_eq!(error.field(), field),
            other => panic!("{entity} {resource}: {other:?}"),
        }
    }
    let error = limiter.acquire("a", "gpt-4", Cost::of("rpm", 1)).await.unwrap_err();
    assert!(!matches!(error, AcquireError::Invalid(_)), "a good request does reach it: {error}");
}

#[test]
fn sets_are_checked_however_they_are_made() {
    let [rpm, tpm] = ["rpm", "tpm"].map(|name| Limit::per_minute(name, 1).unwrap());
    let set = Limits::new([rpm.clone(), tpm.clone()]).unwrap();
    let text = serde_json::to_string(&set).unwrap();
    assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), set);
    assert_eq!((set.len(), set.clone().into_iter().collect::<Vec<_>>()), (2, vec![rpm.clone(), tpm]));
    assert_eq!(set.into_iter().collect::<Result<Limits, _>>().unwrap().len(), 2);

    let twice = vec![rpm.clone(), rpm];
    let text = serde_json::to_string(&twice).unwrap();
    assert!(serde_json::from_str::<Limits>(&text).unwrap_err().to_string().contains("twice"));
    assert!(serde_json::from_str::<Limits>("[]").unwrap_err().to_string().contains("empty"));
    check("limits", "", &Limits::try_from(twice.clone()), Some("twice"));
    check("limits", "", &twice.into_iter().collect::<Result<Limits, _>>(), Some("twice"));
}

/// Checks that a quota or schedule is refused, in words that say `expected` and keep the terminal as it is.
fn refused<T: std::fmt::Debug>(what: &str, result: &Result<T, ValidationError>, expected: &str) {
    let error = result.as_ref().expect_err(what);
    let text = error.to_string();
    assert!(text.contains(expected), "{what}: {text}");
    assert!(text.chars().count() < 320 && !text.chars().any(char::is_control), "{what}: {text:?}");
    assert!(error.value().chars().count() <= 53, "{what}: the error keeps too much of the value");
}

#[test]
fn instants_of_quotas_and_schedules() {
    let (endless, fields) = ("0,".repeat(5_000) + "0 0 * * *", "0 ".repeat(300));
    for (cron, expected) in [
        ("", "this has 0"),
        ("   ", "this has 0"),
        ("* * * *", "this has 4"),
        ("0 0 * * * *", "this has 6"),
        ("@daily", "this has 1"),
        (&fields, "cron expression has"),
        (&endless, "at most"),
        ("60 0 * * *", "out of range"),
        ("0 24 * * *", "out of range"),
        ("0 0 0 * *", "out of range"),
        ("0 0 32 * *", "out of range"),
        ("0 0 * 13 *", "out of range"),
        ("0 0 * * 8", "out of range"),
        ("99999999999999999999 0 * * *", "out of range"),
        ("5-1 0 * * *", "ends before it begins"),
        ("*/0 * * * *", "a step is"),
        ("*/x * * * *", "a step is"),
        ("1,,2 0 * * *", "a value is missing"),
        ("-1 0 * * *", "a value is missing"),
        ("+1 0 * * *", "not a number or a name"),
        ("0 0 ? * *", "not a number or a name"),
        ("0 0 L * *", "not a number or a name"),
        ("0 0 1W * *", "not a number or a name"),
        ("0 0 * * 5#2", "not a number or a name"),
        ("0 0 * FOO *", "not a number or a name"),
        ("٣ 0 * * *", "not a number or a name"),
        ("0 0 * * \u{1b}[2J", "not a number or a name"),
        ("0 0 31 2 *", "none of the months"),
        ("0 0 31 4,6 *", "none of the months"),
    ] {
        refused(cron, &Limit::quota("day", 5).every(cron).build(), expected);
        refused(cron, &LimitSchedule::builder().scale(cron, 0.5).build(), expected);
    }
    refused("always", &Limit::quota("day", 5).every("* * * * *").build(), "never begins");
    for zone in ["", "+01:00", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "UTC\n", &"Z".repeat(9_999)] {
        refused(zone, &Limit::quota("day", 5).daily().zone(zone).build(), "is no time zone");
        refused(zone, &LimitSchedule::builder().zone(zone).scale("* 9 * * *", 0.5).build(), "is no time zone");
    }
}

#[test]
fn windows_amounts_and_changes() {
    let chat = || Limit::quota("chat", 5);
    let hour = Duration::from_secs(3_600);
    refused("no reset", &chat().build(), "needs an instant");
    refused("both", &chat().daily().session(hour).build(), "not by both");
    refused("a zone for windows", &chat().session(hour).zone("UTC").build(), "no time zone");
    refused("no length", &chat().session(Duration::ZERO).build(), "at least 1");
    refused("a part of a second", &chat().session(Duration::from_millis(1_500)).build(), "whole seconds");
    refused("too long", &chat().session(MAX_SESSION + hour).build(), "at most");
    for (amount, expected) in [(0, "at least 1"), (MAX_TOKENS + 1, "at most"), (u64::MAX, "at most")] {
        refused("an amount", &Limit::quota("chat", amount).session(hour).build(), expected);
        refused("an amount", &Limit::quota("chat", amount).daily().build(), expected);
    }
    let change = |parameters: Parameters| LimitSchedule::builder().replace("* 9 * * *", parameters).build();
    for factor in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e7] {
        refused("a factor", &LimitSchedule::builder().scale("* 9 * * *", factor).build(), "greater than 0");
    }
    let none = Parameters::default();
    refused("no change", &change(none), "either a scale");
    for bad in [none.capacity(0), none.capacity(MAX_TOKENS + 1), none.refill_amount(0), none.refill_amount(u64::MAX)] {
        refused("a value", &change(bad), "is a whole number from 1");
    }
    refused("no period", &change(none.refill_period(Duration::ZERO)), "is a whole number from 1");
    refused("a long period", &change(none.refill_period(Duration::MAX)), "whole");
    refused("no entries", &LimitSchedule::builder().build(), "at least one entry");
    let many = (0..101).fold(LimitSchedule::builder(), |builder, _| builder.scale("* 9 * * *", 0.5));
    refused("many entries", &many.build(), "this has 101");
    // Right by themselves, and wrong together.
    let refills = change(none.refill_amount(5)).unwrap();
    refused("a quota that drips", &chat().daily().build().unwrap().scheduled(refills), "gains nothing");
    let berlin = LimitSchedule::builder().zone("Europe/Berlin").scale("* 9 * * *", 0.5).build().unwrap();
    refused("two zones", &chat().daily().build().unwrap().scheduled(berlin.clone()), "another time zone");
    let limits = [chat().daily().build().unwrap(), Limit::per_minute("rpm", 5).unwrap().scheduled(berlin).unwrap()];
    refused("two zones in a set", &Limits::new(limits), "time zone");
}

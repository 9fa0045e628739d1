//! Bad input and its errors. It must neither reach the store nor panic.

use std::time::Duration;

use zae_limiter::{
    AcquireError, Cost, EntityId, Limit, LimitName, Limits, MAX_LIMITS, MAX_TOKENS, NamespaceId, NamespaceName,
    Principal, RateLimiter, ResourceName, StackName, ValidationError,
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

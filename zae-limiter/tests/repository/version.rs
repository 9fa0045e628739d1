//! The clients that may use a table.

use serde_json::Value;
use zae_limiter::{
    AcquireError, Cost, Repository, RepositoryError,
    version::{COMPATIBILITY_LEVEL, Compatibility, SCHEMA_VERSION, Version, VersionRecord, VersionUpdate},
};
use zae_testkit::{
    Bench, limits, rpm,
    table::{Table, item, s},
};

const REGISTRY: &str = "_/SYSTEM#";

async fn bench() -> (Bench, Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (bench, repository, table)
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn vectors(function: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../vectors/validation.json")).unwrap();
    let all = all["vectors"].as_array().unwrap().clone();
    let found: Vec<Value> = all.into_iter().filter(|vector| vector["fn"] == function).collect();
    assert!(!found.is_empty());
    found
}

#[test]
fn versions_are_read_as_the_reference_reads_them() {
    for vector in vectors("parse_version") {
        let text = vector["args"][0].as_str().unwrap();
        let read = text.parse::<Version>().ok().map(|version| version.to_string());
        // The Python package accepts one line break at the end; a version has none.
        let expected = vector["expected"]["str"].as_str().filter(|_| !text.ends_with('\n'));
        // Newer clients read these.
        let expected = match text {
            "1.2" => Some("1.2.0"),
            "0.0.0+unknown" => Some("0.0.0"),
            "1.2.3+build" => Some("1.2.3"),
            _ => expected,
        };
        assert_eq!(read.as_deref(), expected, "{text:?}");
    }
    for text in ["1.2.-3", "+1.2.3", "1.2.3-", " 1.2.3", "99999999999999999999.0.0", "1..3", "1.2.3.dev", "١.2.3"] {
        assert!(text.parse::<Version>().is_err(), "{text:?}");
    }
}

#[test]
fn versions_of_newer_clients_are_read_as_they_read_them() {
    let all: Value = serde_json::from_str(include_str!("../vectors/ttl-versions.json")).unwrap();
    let mut read = 0;
    for vector in all["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == "parse_version") {
        let text = vector["input"].as_str().unwrap();
        let expected = vector["expected"]["release"].as_array().map(|release| {
            let release: Vec<String> = release.iter().map(Value::to_string).collect();
            let pre = vector["expected"]["pre"].as_str().map_or_else(String::new, |pre| format!("-{pre}"));
            version(&format!("{}{pre}", release.join(".")))
        });
        assert_eq!(text.parse::<Version>().ok(), expected, "{text:?}");
        read += 1;
    }
    assert_eq!(read, 20);
}

#[test]
fn versions_are_ordered_as_the_reference_orders_them() {
    for vector in vectors("version_lt") {
        let [a, b] = [0, 1].map(|index| version(vector["args"][index].as_str().unwrap()));
        assert_eq!(Value::Bool(a < b), vector["expected"], "{a} < {b}");
    }
}

#[tokio::test]
async fn records_mean_what_they_mean_to_newer_clients() {
    let (_, repository, table) = bench().await;
    let all: Value = serde_json::from_str(include_str!("../vectors/ttl-versions.json")).unwrap();
    let mut read = 0;
    for vector in all["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == "compatibility") {
        let (input, expected) = (&vector["input"], &vector["expected"]);
        // A client whose own version is unreadable does not exist here.
        let Ok(client) = input["client"].as_str().unwrap().parse::<Version>() else { continue };
        let mut record = item(&[("PK", s(REGISTRY)), ("SK", s("#VERSION"))]);
        for (name, attribute) in
            [("schema", "schema_version"), ("lambda", "lambda_version"), ("min", "client_min_version")]
        {
            record.extend(input[name].as_str().map(|value| (attribute.to_owned(), s(value))));
        }
        table.put(record).await;
        let record = repository.version_record().await.unwrap().unwrap();
        let flags = ["compatible", "lambda_update", "client_upgrade"].map(|flag| expected[flag] == true);
        let found = match record.compatibility(&client) {
            Compatibility::Compatible => [true, false, false],
            Compatibility::LambdaOutdated => [true, true, false],
            Compatibility::ClientTooOld { .. } => [false, false, true],
            Compatibility::IncompatibleSchema { .. } => [false; 3],
            other => panic!("{other:?}"),
        };
        assert_eq!(found, flags, "{vector}");
        read += 1;
    }
    assert_eq!(read, 36);
}

#[tokio::test]
async fn records_mean_what_they_mean_to_the_reference() {
    let (_, repository, table) = bench().await;
    for vector in vectors("check_compatibility") {
        let client = vector["args"][0].as_str().unwrap();
        // A client whose own version is unreadable does not exist here; newer ones read that of `0.0.0+unknown`.
        let Some(client) = client.parse::<Version>().ok().filter(|_| client != "0.0.0+unknown") else { continue };
        let mut record = item(&[("PK", s(REGISTRY)), ("SK", s("#VERSION"))]);
        for (name, value) in vector["args"][1].as_object().unwrap() {
            record.extend(value.as_str().map(|value| (name.clone(), s(value))));
        }
        table.put(record).await;
        let record = repository.version_record().await.unwrap().unwrap();
        let expected = &vector["expected"];
        let flag = |name: &str| expected[name].as_bool().unwrap();
        match record.compatibility(&client) {
            Compatibility::Compatible => assert!(flag("is_compatible") && !flag("requires_lambda_update")),
            Compatibility::LambdaOutdated => assert!(flag("is_compatible") && flag("requires_lambda_update")),
            Compatibility::ClientTooOld { .. } => {
                assert!(!flag("is_compatible") && !flag("requires_schema_migration"));
            }
            // The Python package has no flag for an unreadable schema.
            Compatibility::IncompatibleSchema { schema } => {
                assert!(!flag("is_compatible") && (flag("requires_schema_migration") || schema == "junk"));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_table_without_a_record_gets_one() {
    let (_, repository, table) = bench().await;
    let by = format!("client:zae-limiter-rs/{}", env!("CARGO_PKG_VERSION"));
    let expected = item(&[
        ("PK", s(REGISTRY)),
        ("SK", s("#VERSION")),
        ("schema_version", s(SCHEMA_VERSION)),
        ("lambda_version", s(COMPATIBILITY_LEVEL)),
        ("client_min_version", s("0.0.0")),
        ("updated_at", s("2026-01-01T00:00:00Z")),
        ("updated_by", s(by)),
        ("GSI4PK", s("_")),
        ("GSI4SK", s(REGISTRY)),
    ]);
    assert_eq!(table.get(REGISTRY, "#VERSION").await, Some(expected));
    let record = repository.version_record().await.unwrap().unwrap();
    assert_eq!(record.compatibility(&version(COMPATIBILITY_LEVEL)), Compatibility::Compatible);
}

#[tokio::test]
async fn opening_an_existing_table_leaves_its_record_alone() {
    let (bench, _, table) = bench().await;
    table.set(REGISTRY, "#VERSION", &[("lambda_version", "0.11.0"), ("client_min_version", "0.15.0")]).await;
    let before = table.get(REGISTRY, "#VERSION").await;
    bench.advance(1_000);
    bench.process().await;
    assert_eq!(table.get(REGISTRY, "#VERSION").await, before, "an older aggregator is no obstacle");
}

#[tokio::test]
async fn a_table_for_others_is_not_opened() {
    let (bench, _, table) = bench().await;
    let open = || Repository::builder().client(bench.store.client()).build();
    for (minimum, allowed) in [("0.17.0", true), ("0.17.1", false), ("1.0.0", false), ("junk", true)] {
        table.set(REGISTRY, "#VERSION", &[("client_min_version", minimum)]).await;
        match open().await {
            Ok(_) => assert!(allowed, "{minimum}"),
            Err(RepositoryError::ClientTooOld { client, minimum: asked }) => {
                assert_eq!((client.as_str(), asked.as_str(), allowed), (COMPATIBILITY_LEVEL, minimum, false));
            }
            Err(other) => panic!("{other}"),
        }
    }
    table.set(REGISTRY, "#VERSION", &[("client_min_version", "0.0.0")]).await;
    for schema in ["1.0.0", "2.10.0", "junk", ""] {
        table.set(REGISTRY, "#VERSION", &[("schema_version", schema)]).await;
        let error = open().await.unwrap_err();
        assert!(matches!(error, RepositoryError::IncompatibleSchema { .. }), "{schema:?}: {error}");
    }
}

#[tokio::test]
async fn an_upgrade_never_lowers_the_minimum() {
    let (bench, repository, table) = bench().await;
    let minimum = |record: VersionRecord| record.client_min_version.unwrap();
    let raise = |to: &str| VersionUpdate::default().raise_client_min_version(version(to));
    assert_eq!(minimum(repository.set_version_record(&raise("0.15.0")).await.unwrap()), "0.15.0");
    assert_eq!(minimum(repository.set_version_record(&raise("0.9.0")).await.unwrap()), "0.15.0");

    bench.advance(1_000);
    table.set(REGISTRY, "#VERSION", &[("z_newer", "kept")]).await;
    let upgrade = VersionUpdate::default().lambda_version(version("0.18.0")).updated_by("zae-deploy:0.1.0");
    let record = repository.set_version_record(&upgrade).await.unwrap();
    assert_eq!(repository.version_record().await.unwrap(), Some(record.clone()));
    assert_eq!(record.lambda_version.as_deref(), Some("0.18.0"));
    assert_eq!(record.updated_at.as_deref(), Some("2026-01-01T00:00:01Z"));
    assert_eq!(record.updated_by.as_deref(), Some("zae-deploy:0.1.0"));
    assert_eq!(record.schema_version.as_deref(), Some(SCHEMA_VERSION));
    assert_eq!(minimum(record), "0.15.0");
    let stored = table.get(REGISTRY, "#VERSION").await.unwrap();
    assert_eq!(stored.get("z_newer"), Some(&s("kept")), "what newer clients store stays");

    let record = repository.set_version_record(&raise("0.16.0")).await.unwrap();
    assert_eq!(record.lambda_version.as_deref(), Some("0.18.0"), "an aggregator that is not mentioned stays");
}

#[tokio::test(start_paused = true)]
async fn concurrent_raises_end_at_the_highest() {
    let (bench, repository, _) = bench().await;
    let mut tasks = tokio::task::JoinSet::new();
    for minor in 1..=4 {
        let (wire, repository) = bench.process().await;
        // All have read before the first write, and the highest is written first.
        let read = zae_testkit::Fault::Slow(100 - 10 * minor);
        wire.fail(move |operation, _| if operation == "GetItem" { read } else { zae_testkit::Fault::None });
        tasks.spawn(async move {
            let update = VersionUpdate::default().raise_client_min_version(version(&format!("0.{minor}.0")));
            repository.set_version_record(&update).await.unwrap();
        });
    }
    tasks.join_all().await;
    let record = repository.version_record().await.unwrap().unwrap();
    assert_eq!(record.client_min_version.as_deref(), Some("0.4.0"));
}

#[tokio::test]
async fn opening_writes_nothing_where_nothing_is_to_be_created() {
    let (bench, repository, table) = bench().await;
    table.delete(REGISTRY, "#VERSION").await;
    let before = table.all("").await;
    Repository::builder().client(bench.store.client()).build().await.unwrap();
    assert_eq!(table.all("").await, before);
    assert_eq!(repository.version_record().await.unwrap(), None);
}

#[tokio::test]
async fn a_process_that_runs_for_long_notices_that_the_table_asks_for_newer_clients() {
    let bench = Bench::new();
    let (_, limiter) = bench.limiter(&limits([rpm(10)])).await;
    let acquire = async || {
        limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await?.commit().await.unwrap();
        Ok::<_, AcquireError>(())
    };
    acquire().await.unwrap();
    let (_, ops) = bench.process().await;
    ops.set_version_record(&VersionUpdate::default().raise_client_min_version("99.0.0".parse().unwrap()))
        .await
        .unwrap();
    acquire().await.unwrap();
    bench.advance(61_000);
    match acquire().await {
        Err(AcquireError::Repository(error)) => {
            assert!(matches!(&*error, RepositoryError::ClientTooOld { minimum, .. } if minimum == "99.0.0"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

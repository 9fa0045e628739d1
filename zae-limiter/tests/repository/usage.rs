//! Consumption over time, as written by both aggregators.

use std::collections::BTreeMap;

use zae_limiter::{
    EntityId, LimitName, NamespaceName, Repository, RepositoryError, ResourceName,
    usage::{UsageQuery, UsageSnapshot, UsageWindow},
};
use zae_testkit::{
    Bench,
    table::{Item, Table, item, lean_table, n, s},
};

/// 2026-01-01T00:00:00Z, in ms.
const NEW_YEAR: i64 = 1_767_225_600_000;
const HOUR: i64 = 3_600_000;

async fn bench() -> (Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (repository, table)
}

fn entity(id: &str) -> EntityId {
    EntityId::new(id).unwrap()
}

fn resource(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

fn query(id: &str) -> UsageQuery {
    UsageQuery::entity(entity(id))
}

/// Creates a snapshot as the Python package writes it, or with the window in its key as we do for days and months.
fn snapshot(repository: &Repository, id: &str, res: &str, window: &str, start: &str, counters: &[(&str, i64)]) -> Item {
    let ns = repository.namespace_id();
    let suffix = if window == "hourly" { String::new() } else { format!("#{window}") };
    let mut snapshot = item(&[
        ("PK", s(format!("{ns}/ENTITY#{id}"))),
        ("SK", s(format!("#USAGE#{res}#{start}{suffix}"))),
        ("entity_id", s(id)),
        ("resource", s(res)),
        ("window", s(window)),
        ("window_start", s(start)),
        ("total_events", n(2)),
        ("ttl", n(1_900_000_000)),
        ("GSI2PK", s(format!("{ns}/RESOURCE#{res}"))),
        ("GSI2SK", s(format!("USAGE#{start}#{id}"))),
        ("GSI4PK", s(ns.as_str())),
        ("GSI4SK", s(format!("{ns}/ENTITY#{id}"))),
    ]);
    snapshot.extend(counters.iter().map(|(name, value)| ((*name).to_owned(), n(*value))));
    snapshot
}

fn hour(index: i64) -> String {
    format!("2026-01-{:02}T{:02}:00:00Z", 1 + index / 24, index % 24)
}

async fn read(repository: &Repository, query: &UsageQuery) -> Vec<UsageSnapshot> {
    let page = repository.usage_snapshots(&query.clone().limit(100_000)).await.unwrap();
    assert_eq!(page.next, None);
    page.snapshots
}

fn starts(snapshots: &[UsageSnapshot]) -> Vec<&str> {
    snapshots.iter().map(|snapshot| snapshot.window_start.as_str()).collect()
}

#[tokio::test]
async fn a_snapshot_is_read_with_its_counters_only() {
    let (repository, table) = bench().await;
    let mut stored =
        snapshot(&repository, "key-1", "openai/gpt-4", "hourly", "2026-01-01T14:00:00Z", &[("rpm", 25), ("tpm", -5)]);
    stored.insert("tpm#od".to_owned(), n(3));
    stored.insert("note".to_owned(), s("text"));
    table.put(stored).await;
    let read = read(&repository, &query("key-1")).await;
    let [snapshot] = read.as_slice() else { panic!("{read:?}") };
    let counters: Vec<_> = snapshot.counters.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(counters, [("rpm", 25), ("tpm", -5)]);
    assert_eq!((snapshot.entity_id.as_str(), snapshot.resource.as_str()), ("key-1", "openai/gpt-4"));
    assert_eq!(snapshot.window_end, "2026-01-01T14:59:59Z");
    assert_eq!((&snapshot.window, snapshot.total_events), (&UsageWindow::Hourly, 2));
    let json = serde_json::to_value(snapshot).unwrap();
    assert_eq!((json["window_type"].as_str(), json["counters"]["rpm"].as_i64()), (Some("hourly"), Some(25)));
}

#[tokio::test]
async fn an_hour_a_day_and_a_month_of_one_start_are_three_snapshots() {
    let (repository, table) = bench().await;
    for (window, tokens) in [("hourly", 1), ("daily", 2), ("monthly", 3)] {
        let start = "2026-01-01T00:00:00Z";
        table.put(snapshot(&repository, "key-1", "gpt-4", window, start, &[("rpm", tokens)])).await;
    }
    let rpm = LimitName::new("rpm").unwrap();
    for query in
        [query("key-1"), query("key-1").resource(resource("gpt-4")), UsageQuery::of_resource(resource("gpt-4"))]
    {
        let found: BTreeMap<_, _> = read(&repository, &query)
            .await
            .into_iter()
            .map(|snapshot| (snapshot.window.to_string(), (snapshot.counters[&rpm], snapshot.window_end)))
            .collect();
        let expected = [
            ("daily", 2, "2026-01-01T23:59:59Z"),
            ("hourly", 1, "2026-01-01T00:59:59Z"),
            ("monthly", 3, "2026-01-31T23:59:59Z"),
        ];
        let expected = expected.map(|(window, tokens, end)| (window.to_owned(), (tokens, end.to_owned())));
        assert_eq!(found, expected.into());
    }
}

#[tokio::test]
async fn queries_choose_by_entity_resource_window_and_time() {
    let (repository, table) = bench().await;
    let mut items = Vec::new();
    for index in 0..6 {
        items.push(snapshot(&repository, "key-1", "gpt-4", "hourly", &hour(index), &[("rpm", 1)]));
        items.push(snapshot(&repository, "key-1", "gpt-4-mini", "hourly", &hour(index), &[("rpm", 1)]));
        items.push(snapshot(&repository, "key-2", "gpt-4", "hourly", &hour(index), &[("rpm", 1)]));
    }
    items.push(snapshot(&repository, "key-1", "gpt-4", "daily", &hour(0), &[("rpm", 6)]));
    table.put_all(items).await;
    // Another tenant's.
    let tenant = NamespaceName::new("tenant-a").unwrap();
    repository.register_namespace(&tenant).await.unwrap();
    let scoped = repository.scoped(&tenant).await.unwrap();
    table.put(snapshot(&scoped, "key-1", "gpt-4", "hourly", &hour(0), &[("rpm", 99)])).await;

    assert_eq!(read(&repository, &query("key-1")).await.len(), 13);
    let narrow = query("key-1").resource(resource("gpt-4")).window(UsageWindow::Hourly);
    let newest_first: Vec<String> = (0..6).rev().map(hour).collect();
    assert_eq!(starts(&read(&repository, &narrow).await), newest_first);
    assert_eq!(read(&repository, &UsageQuery::of_resource(resource("gpt-4"))).await.len(), 13);
    assert_eq!(read(&repository, &query("key-1").window(UsageWindow::Monthly)).await, []);
    assert_eq!(read(&scoped, &query("key-1")).await.len(), 1);
    assert_eq!(read(&repository, &query("nobody")).await, []);

    let between = |from: i64, to: i64| narrow.clone().since_ms(NEW_YEAR + from).until_ms(NEW_YEAR + to);
    for (from, to, expected) in [
        (2 * HOUR, 4 * HOUR, vec![4, 3, 2]),
        (2 * HOUR + 1, 4 * HOUR - 1, vec![3]),
        (0, 0, vec![0]),
        (HOUR, 0, vec![]),
        (-HOUR, 100 * HOUR, vec![5, 4, 3, 2, 1, 0]),
    ] {
        let expected: Vec<String> = expected.into_iter().map(hour).collect();
        assert_eq!(starts(&read(&repository, &between(from, to)).await), expected, "{from}..{to}");
    }
}

#[tokio::test]
async fn what_is_no_snapshot_is_left_out() {
    let (repository, table) = bench().await;
    let whole = snapshot(&repository, "key-1", "gpt-4", "hourly", &hour(0), &[]);
    for (index, missing) in ["entity_id", "resource", "window_start"].into_iter().enumerate() {
        let mut broken = whole.clone();
        broken.insert("SK".to_owned(), s(format!("#USAGE#gpt-4#{index}")));
        broken.insert(missing.to_owned(), s(""));
        table.put(broken.clone()).await;
        broken.insert("SK".to_owned(), s(format!("#USAGE#gpt-4#1{index}")));
        broken.remove(missing);
        table.put(broken).await;
    }
    let mut odd = snapshot(&repository, "key-1", "gpt-4", "fortnightly", &hour(1), &[]);
    odd.insert("window_start".to_owned(), s("soon"));
    table.put(odd).await;
    let read = read(&repository, &query("key-1")).await;
    let [snapshot] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!(snapshot.window, UsageWindow::Other("fortnightly".to_owned()));
    assert_eq!((snapshot.window_start.as_str(), snapshot.window_end.as_str()), ("soon", "soon"));
}

#[tokio::test]
async fn pages_continue_where_they_ended_and_are_never_short() {
    let (repository, table) = bench().await;
    let padding = "x".repeat(20_000);
    let mut items = Vec::new();
    for index in 0..48 {
        for (window, res) in [("hourly", "gpt-4"), ("daily", "gpt-4"), ("hourly", "other")] {
            let mut item = snapshot(&repository, "key-1", res, window, &hour(index), &[("rpm", index)]);
            item.insert("padding".to_owned(), s(&padding));
            items.push(item);
        }
    }
    table.put_all(items).await;
    let by_resource = UsageQuery::of_resource(resource("gpt-4"));
    for (query, total) in [
        (query("key-1"), 144),
        (query("key-1").window(UsageWindow::Daily), 48),
        (query("key-1").resource(resource("gpt-4")), 96),
        (by_resource.clone().window(UsageWindow::Hourly), 48),
        (by_resource.since_ms(NEW_YEAR + 40 * HOUR), 16),
    ] {
        let all = read(&repository, &query).await;
        assert_eq!(all.len(), total);
        let (mut seen, mut page_query) = (Vec::new(), query.clone().limit(7));
        loop {
            let page = repository.usage_snapshots(&page_query).await.unwrap();
            seen.extend(page.snapshots.clone());
            let Some(next) = page.next else { break };
            assert_eq!(page.snapshots.len(), 7);
            page_query = page_query.cursor(next);
        }
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn cursors_work_with_their_own_query_only() {
    let (repository, table) = bench().await;
    let hours = (0..3)
        .flat_map(|index| ["key-1", "key-2"].map(|id| snapshot(&repository, id, "gpt-4", "hourly", &hour(index), &[])));
    table.put_all(hours.collect()).await;
    let cursor =
        async |query: &UsageQuery| repository.usage_snapshots(&query.clone().limit(1)).await.unwrap().next.unwrap();
    let mine = cursor(&query("key-1")).await;
    let of_resource = UsageQuery::of_resource(resource("gpt-4"));
    let refused = [
        query("key-2").cursor(&mine),
        of_resource.clone().cursor(&mine),
        query("key-1").cursor(cursor(&of_resource).await),
        query("key-1").resource(resource("other")).cursor(&mine),
        query("key-1").cursor(""),
        query("key-1").cursor("%%%"),
        query("key-1").cursor("W10"),
        query("key-1").cursor("bnVsbA"),
        query("key-1").cursor("x".repeat(100_000)),
    ];
    for query in refused {
        let error = repository.usage_snapshots(&query).await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "cursor"), "{query:?}: {error}");
    }
    let error = repository.usage_snapshots(&query("key-1").limit(0)).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::Invalid(e) if e.field() == "limit"), "{error}");
}

#[tokio::test]
async fn a_summary_adds_up_everything_of_one_window() {
    let (repository, table) = bench().await;
    let hours = 1_300;
    let mut items: Vec<Item> = (0..hours)
        .map(|index| {
            let start = format!("2026-{:02}-{:02}T{:02}:00:00Z", 1 + index / 672, 1 + index / 24 % 28, index % 24);
            snapshot(&repository, "key-1", "gpt-4", "hourly", &start, &[("rpm", 2)])
        })
        .collect();
    items[0].insert("tpm".to_owned(), n(10));
    items[1].insert("tpm".to_owned(), n(-5));
    items.push(snapshot(&repository, "key-1", "gpt-4", "daily", &hour(0), &[("rpm", 48)]));
    table.put_all(items).await;

    let summary = repository.usage_summary(&query("key-1").limit(1)).await.unwrap();
    assert_eq!((summary.window, summary.snapshot_count), (Some(UsageWindow::Hourly), hours));
    let total = |name: &str| summary.totals[&LimitName::new(name).unwrap()];
    assert_eq!((total("rpm").total, total("rpm").snapshots, total("rpm").average), (2_600, hours, 2.0));
    assert_eq!((total("tpm").total, total("tpm").snapshots, total("tpm").average), (5, 2, 2.5));
    assert_eq!(summary.min_window_start.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(summary.max_window_start.as_deref(), Some("2026-02-27T03:00:00Z"));

    let daily = repository.usage_summary(&query("key-1").window(UsageWindow::Daily)).await.unwrap();
    assert_eq!((daily.window, daily.snapshot_count), (Some(UsageWindow::Daily), 1));
    let first_day =
        UsageQuery::of_resource(resource("gpt-4")).window(UsageWindow::Hourly).until_ms(NEW_YEAR + 23 * HOUR);
    assert_eq!(repository.usage_summary(&first_day).await.unwrap().snapshot_count, 24);

    let nothing = repository.usage_summary(&query("nobody")).await.unwrap();
    assert_eq!((nothing.window, nothing.snapshot_count, nothing.totals.len()), (None, 0, 0));
    assert_eq!((nothing.min_window_start, nothing.max_window_start), (None, None));
}

/// Returns the results of all queries for a resource by `repository`.
async fn answers(repository: &Repository) -> (Vec<UsageSnapshot>, Vec<UsageSnapshot>, String) {
    let all = UsageQuery::of_resource(resource("gpt-4"));
    let (mut paged, mut query) = (Vec::new(), all.clone().window(UsageWindow::Hourly).limit(50));
    loop {
        let page = repository.usage_snapshots(&query).await.unwrap();
        paged.extend(page.snapshots);
        let Some(next) = page.next else { break };
        query = query.cursor(next);
    }
    let summary = repository.usage_summary(&all).await.unwrap();
    (read(repository, &all).await, paged, serde_json::to_string(&summary).unwrap())
}

#[tokio::test]
async fn the_current_window_is_the_one_that_now_lies_in() {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    for (window, tokens) in [("hourly", 1), ("daily", 2), ("monthly", 3)] {
        table.put(snapshot(&repository, "key-1", "gpt-4", window, &hour(0), &[("rpm", tokens)])).await;
    }
    let now = async || {
        let mut used = Vec::new();
        for window in [UsageWindow::Hourly, UsageWindow::Daily, UsageWindow::Monthly, "weekly".parse().unwrap()] {
            let found = repository.current_usage("key-1", "gpt-4", &window).await.unwrap();
            used.push(found.map(|snapshot| snapshot.counters["rpm"]));
        }
        used
    };
    assert_eq!(now().await, [Some(1), Some(2), Some(3), None]);
    bench.advance(3_600_000);
    assert_eq!(now().await, [None, Some(2), Some(3), None]);
    bench.advance(23 * 3_600_000);
    assert_eq!(now().await, [None, None, Some(3), None]);
    assert_eq!(repository.current_usage("key-1", "other", &UsageWindow::Monthly).await.unwrap(), None);
}

#[tokio::test]
async fn a_lean_index_gives_the_same_answers() {
    let bench = Bench::new();
    lean_table(&bench.store, "limiter").await;
    let (wire, lean) = bench.process().await;
    let lean_items = Table::of(&bench.store, &lean);
    let (full, items) = self::bench().await;
    for (repository, table) in [(&lean, &lean_items), (&full, &items)] {
        let hours = (0..130).map(|index| {
            let window = if index % 13 == 0 { "daily" } else { "hourly" };
            snapshot(repository, "key-1", "gpt-4", window, &hour(index), &[("rpm", index)])
        });
        table.put_all(hours.collect()).await;
    }
    let (found, paged, summary) = answers(&lean).await;
    assert_eq!((found.len(), paged.len()), (130, 120));
    assert_eq!((found, paged, summary), answers(&full).await);

    // The index contains the start of windows: others are not read.
    let between =
        UsageQuery::of_resource(resource("gpt-4")).since_ms(NEW_YEAR + 5 * HOUR).until_ms(NEW_YEAR + 8 * HOUR);
    wire.take();
    assert_eq!(starts(&read(&lean, &between).await), [hour(8), hour(7), hour(6), hour(5)]);
    assert_eq!(wire.take().get("BatchGetItem"), Some(&1));
    let nothing = UsageQuery::of_resource(resource("gpt-4")).since_ms(NEW_YEAR + 500 * HOUR);
    assert_eq!(lean.usage_summary(&nothing).await.unwrap().snapshot_count, 0);
    assert_eq!(wire.take().get("BatchGetItem"), None);
}

//! `entity …`.

use zae_limiter::{Cost, Limit, Limits, RateLimiter};

use crate::stage::Stage;

#[test]
fn entities_are_created_shown_and_deleted() {
    let stage = Stage::deployed();
    stage.snapshot("entity-create.json", &stage.ok(&["entity", "create", "proj-0", "--output", "json"]));
    let parent = ["entity", "create", "proj-1", "--display-name", "Project One", "-m", "team=a"];
    stage.snapshot("entity-create.txt", &stage.ok(&parent));
    let child = ["entity", "create", "key-1", "--parent", "proj-1", "--cascade"];
    stage.snapshot("entity-create-child.txt", &stage.ok(&child));
    stage.shows("entity-show", &["entity", "show", "proj-1"]);
    stage.shows("entity-show-child", &["entity", "show", "key-1"]);
    stage.fails("entity-create-twice", &["entity", "create", "key-1"], 1);
    stage.fails("entity-show-unknown", &["entity", "show", "nobody"], 1);
    stage.fails("entity-cascade-alone", &["entity", "create", "key-2", "--cascade"], 2);
    let before = stage.items();
    stage.fails("entity-delete-unasked", &["entity", "delete", "proj-1"], 1);
    assert_eq!(stage.items(), before);
    stage.ok(&["entity", "set-limits", "proj-1", "-l", "rpm:1"]);
    stage.snapshot("entity-delete.txt", &stage.ok(&["entity", "delete", "proj-1", "--yes"]));
    stage.shows("entity-delete-none", &["entity", "delete", "proj-1", "--yes"]);
    assert_eq!(stage.run(&["entity", "show", "proj-1"]).code, 1);
}

/// Whichever end of the chain is created last.
#[test]
fn a_third_level_that_is_never_charged_is_told_of_where_it_is_made() {
    let stage = Stage::deployed();
    let create = |id: &str, parent: &str| stage.ok(&["entity", "create", id, "--parent", parent, "--cascade"]);
    let note = "acquires of 'key-1' charge 'team-1', but not 'org' above it";
    assert!(!create("team-1", "org").contains("Note:"));
    let made = create("key-1", "team-1");
    assert!(made.contains(note), "{made}");
    assert!(!create("key-2", "team-2").contains("Note:"));
    let made = create("team-2", "org");
    assert!(made.contains("acquires of 'key-2' charge 'team-2', but not 'org' above it"), "{made}");
    let json = ["entity", "create", "key-3", "--parent", "team-1", "--cascade", "--output", "json"];
    assert!(stage.ok(&json).contains("\"note\": \"two levels are charged"));
}

#[test]
fn limits_of_their_own_are_set_shown_listed_and_deleted() {
    let stage = Stage::deployed();
    let set = ["entity", "set-limits", "user-premium", "--resource", "gpt-4", "-l", "rpm:500", "-l", "tpm:500000"];
    stage.shows("entity-set-limits", &set);
    stage.shows("entity-set-limits-default", &["entity", "set-limits", "user-premium", "-l", "rpm:20/5min"]);
    stage.shows("entity-get-limits", &["entity", "get-limits", "user-premium", "-r", "gpt-4"]);
    stage.shows("entity-get-limits-none", &["entity", "get-limits", "user-premium", "-r", "gpt-3.5-turbo"]);
    stage.ok(&["entity", "set-limits", "user-basic", "-r", "gpt-4", "-l", "rpm:5"]);
    stage.ok(&["entity", "set-limits", "user-third", "-r", "gpt-4", "-l", "rpm:5"]);
    stage.shows("entity-list", &["entity", "list", "--with-custom-limits", "gpt-4"]);
    stage.shows("entity-list-none", &["entity", "list", "--with-custom-limits", "claude"]);
    stage.shows("entity-list-resources", &["entity", "list-resources"]);
    let before = stage.items();
    let delete = ["entity", "delete-limits", "user-premium", "-r", "gpt-4"];
    stage.fails("entity-delete-limits-unasked", &delete, 1);
    assert_eq!(stage.items(), before);
    stage.snapshot("entity-delete-limits.txt", &stage.ok(&[&delete[..], &["--yes"]].concat()));
    stage.shows("entity-delete-limits-none", &[&delete[..], &["--yes"]].concat());
}

#[test]
fn a_limit_on_the_list_is_a_limit_and_the_cursor_goes_on() {
    let stage = Stage::deployed();
    for entity in ["a", "b", "c", "d", "e"] {
        stage.ok(&["entity", "set-limits", entity, "-r", "gpt-4", "-l", "rpm:5"]);
    }
    let list = ["entity", "list", "--with-custom-limits", "gpt-4", "--limit", "2"];
    let mut found = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let next: Vec<&str> = cursor.iter().flat_map(|cursor| ["--cursor", cursor.as_str()]).collect();
        let page = stage.json(&[&list[..], &next].concat());
        let entities = page["entities"].as_array().unwrap();
        assert!(entities.len() <= 2, "{page}");
        found.extend(entities.iter().map(|entity| entity.as_str().unwrap().to_owned()));
        match page["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    assert!(stage.ok(&list).contains("More entities exist. Use --cursor "));
}

#[test]
fn a_resource_that_looks_like_a_typo_is_pointed_out() {
    let stage = Stage::deployed();
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:50"]);
    let set = |resource: &str| stage.ok(&["entity", "set-limits", "user-1", "-r", resource, "-l", "rpm:5"]);
    stage.snapshot("entity-set-limits-doubt.txt", &set("gtp-4"));
    assert!(!set("gpt-4").contains("did you mean"));
    assert!(!set("claude").contains("did you mean"));
}

#[test]
fn an_entity_is_switched_off_and_on() {
    let stage = Stage::deployed();
    stage.ok(&["entity", "create", "key-1"]);
    let repository = stage.repository("default");
    stage.runtime.block_on(async {
        repository.set_system_defaults(zae_limiter::Limit::per_minute("rpm", 5).unwrap()).await.unwrap();
        let limiter = zae_limiter::RateLimiter::new(repository);
        let lease = limiter.acquire("key-1", "gpt-4", zae_limiter::Cost::of("rpm", 1)).await.unwrap();
        lease.commit().await.unwrap();
    });
    stage.shows("entity-disable", &["entity", "disable", "key-1"]);
    stage.snapshot("bucket-show-disabled.txt", &stage.ok(&["bucket", "show", "key-1"]));
    stage.shows("entity-enable", &["entity", "enable", "key-1", "--resource", "gpt-4"]);
    stage.shows("entity-show-switched", &["entity", "show", "key-1"]);
    stage.snapshot("entity-get-limits-disabled.txt", &stage.ok(&["entity", "get-limits", "key-1"]));
    stage.shows("entity-clear-disabled", &["entity", "clear-disabled", "key-1"]);
    assert_eq!(stage.json(&["entity", "show", "key-1"])["access"], serde_json::json!({"gpt-4": "enabled"}));
    stage.snapshot("audit-switches.txt", &stage.ok(&["audit", "list", "-e", "key-1"]));
    let ran = stage.run(&["entity", "disable", "a#b"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
}

#[test]
fn a_resource_and_an_entity_are_bypassed() {
    let stage = Stage::deployed();
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:5"]);
    let said = stage.ok(&["resource", "bypass", "gpt-4"]);
    assert_eq!(said, "Bypassed resource 'gpt-4' (0 buckets stamped)\n");
    let repository = stage.repository("default");
    stage.runtime.block_on(async {
        let limiter = zae_limiter::RateLimiter::new(repository);
        let lease = limiter.acquire("key-1", "gpt-4", zae_limiter::Cost::of("rpm", 50)).await.unwrap();
        lease.commit().await.unwrap();
    });
    assert!(stage.ok(&["resource", "get-defaults", "gpt-4"]).contains("Status: BYPASSED"));
    assert_eq!(stage.json(&["resource", "get-defaults", "gpt-4"])["access"], "bypassed");
    assert!(stage.ok(&["bucket", "show", "key-1"]).contains("gpt-4: BYPASSED, every acquire passes"));
    let said = stage.ok(&["entity", "bypass", "key-1", "--resource", "gpt-4"]);
    assert_eq!(said, "Bypassed entity 'key-1' (1 buckets stamped)\n");
    let json = stage.json(&["entity", "clear-disabled", "key-1", "--resource", "gpt-4"]);
    assert_eq!((&json["access"], &json["buckets_stamped"]), (&serde_json::Value::Null, &1.into()));
    stage.ok(&["resource", "clear-disabled", "gpt-4"]);
    let shown = stage.json(&["bucket", "show", "key-1"]);
    assert_eq!(shown["buckets"][0]["access"], "enabled", "{shown}");
}

#[test]
fn who_is_charged_is_decided_and_moved() {
    let stage = Stage::deployed();
    for entity in ["proj-1", "proj-2"] {
        stage.ok(&["entity", "create", entity]);
    }
    stage.ok(&["entity", "create", "key-1", "--parent", "proj-1"]);
    stage.shows("entity-set-cascade", &["entity", "set-cascade", "key-1", "on", "--resource", "gpt-4"]);
    stage.snapshot("entity-get-limits-cascade.txt", &stage.ok(&["entity", "get-limits", "key-1", "-r", "gpt-4"]));
    stage.shows("entity-clear-cascade", &["entity", "clear-cascade", "key-1", "--resource", "gpt-4"]);
    stage.shows("entity-set-parent", &["entity", "set-parent", "key-1", "--parent", "proj-2"]);
    stage.snapshot("entity-set-parent-none.txt", &stage.ok(&["entity", "set-parent", "key-1", "--none"]));
    stage.fails("entity-set-parent-itself", &["entity", "set-parent", "key-1", "--parent", "key-1"], 1);
    stage.fails("entity-set-parent-unknown", &["entity", "set-parent", "key-1", "--parent", "nobody"], 1);
    assert_eq!(stage.run(&["entity", "set-parent", "key-1"]).code, 2);
    stage.shows("resource-set-cascade", &["resource", "set-cascade", "gpt-4", "off"]);
    stage.snapshot("resource-get-cascade.txt", &stage.ok(&["resource", "get-defaults", "gpt-4"]));
    stage.shows("resource-clear-cascade", &["resource", "clear-cascade", "gpt-4"]);
}

/// Creates a customer with a quota and a rate, and takes tokens of both. So slow that nothing is refilled meanwhile.
fn with_usage(day: u64, rpd: u64) -> Stage {
    let stage = Stage::deployed();
    let repository = stage.repository("default");
    let rate = Limit::per_day("rpd", 1).unwrap().with_burst(60).unwrap();
    let quota = Limit::quota("month", 100_000).every("0 0 1 1 *").build().unwrap();
    let limiter = RateLimiter::new(repository.clone());
    stage.runtime.block_on(async {
        repository.set_resource_defaults("api", Limits::new([quota, rate]).unwrap()).await.unwrap();
        let cost = Cost::of("month", day).and("rpd", rpd);
        limiter.acquire("user-1", "api", cost).await.unwrap().commit().await.unwrap();
        limiter.shutdown().await;
    });
    stage
}

#[test]
fn limits_are_topped_up_and_reset_once_under_a_key() {
    let stage = with_usage(99_990, 60);
    let top_up = ["entity", "top-up", "user-1", "-r", "api", "-a", "month:1,000", "-a", "month:500"];
    let once = [&top_up[..], &["--idempotency-key", "invoice-17"]].concat();
    stage.shows("entity-top-up", &once);
    let month =
        |stage: &Stage| stage.json(&["bucket", "show", "user-1"])["buckets"][0]["limits"][0]["available"].clone();
    assert_eq!(month(&stage), 1_510);
    // With a key drawn for it, the same again.
    assert!(stage.ok(&top_up).contains("Topped up 'user-1' on 'api' (1 shard; month: +1,500)"));
    assert_eq!(month(&stage), 3_010);
    stage.fails("entity-top-up-key-reused", &[&once[..], &["-a", "rpd:1"]].concat(), 1);
    let short = stage.run(&["entity", "top-up", "user-1", "-r", "api", "-a", "rpd:70", "--idempotency-key", "k"]);
    assert_eq!(short.code, 0);
    assert!(short.stdout.contains("rpd: +60"), "{short:?}");
    assert!(short.stderr.contains("rpd: 60 of 70"), "{short:?}");
    let reset = ["entity", "reset", "user-1", "-r", "api", "--idempotency-key", "ticket-42"];
    stage.shows("entity-reset", &reset);
    assert_eq!(month(&stage), 100_000);
    stage.shows("entity-reset-none", &["entity", "reset", "user-2", "-r", "api", "--idempotency-key", "ticket-43"]);
    let none = ["entity", "top-up", "user-2", "-r", "api", "-a", "rpd:5", "--idempotency-key", "ticket-44"];
    stage.shows("entity-top-up-none", &none);
    stage.fails("entity-reset-unknown", &["entity", "reset", "user-1", "-r", "api", "-l", "tpm"], 1);
    let trail = stage.json(&["audit", "list", "-e", "user-1"]);
    let actions: Vec<_> = trail["events"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
    assert_eq!(actions, ["bucket_reset", "bucket_topped_up", "bucket_topped_up", "bucket_topped_up"]);
}

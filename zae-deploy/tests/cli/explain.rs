//! `explain`: the explanation of a request before it is made.

use zae_limiter::{Cost, EntityId, NewEntity, RateLimiter};

use crate::stage::Stage;

fn stage() -> Stage {
    let stage = Stage::deployed();
    stage.ok(&["system", "set-defaults", "-l", "rpm:10", "-l", "tpm:1000"]);
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:5", "-l", "tpm:500"]);
    stage
}

#[test]
fn a_request_that_passes_one_that_waits_and_one_that_never_fits() {
    let stage = stage();
    stage.shows("explain-passes", &["explain", "user-1", "gpt-4"]);
    stage.shows("explain-never", &["explain", "user-1", "gpt-4", "-c", "rpm=1,tpm=501"]);
    let repository = stage.repository("default");
    stage.runtime.block_on(async {
        let limiter = RateLimiter::new(repository);
        limiter.acquire("user-1", "gpt-4", Cost::of("rpm", 5)).await.unwrap().commit().await.unwrap();
        limiter.shutdown().await;
    });
    let explained = stage.json(&["explain", "user-1", "gpt-4", "-c", "rpm=5"]);
    assert_eq!(explained["verdict"]["outcome"], "not_yet", "{explained}");
    let wait = explained["verdict"]["retry_after_seconds"].as_f64().unwrap();
    assert!((50.0..=60.0).contains(&wait), "{wait}");
    let text = stage.ok(&["explain", "user-1", "gpt-4", "-c", "rpm=5"]);
    assert!(text.starts_with("user-1 on gpt-4: refused now; fits in "), "{text}");
}

#[test]
fn a_parent_is_explained_as_well() {
    let stage = stage();
    let repository = stage.repository("default");
    stage.runtime.block_on(async {
        let project = EntityId::new("project").unwrap();
        repository.create_entity(NewEntity::new(project.clone())).await.unwrap();
        let key = NewEntity::new(EntityId::new("key").unwrap()).parent(project).cascading();
        repository.create_entity(key).await.unwrap();
    });
    stage.ok(&["entity", "set-limits", "project", "--resource", "gpt-4", "-l", "rpm:2"]);
    stage.shows("explain-parent", &["explain", "key", "gpt-4", "-c", "rpm=3"]);
}

#[test]
fn bad_costs_are_refused_before_anything_is_read() {
    let stage = stage();
    for (cost, code) in [("rpm", 2), ("rpm=", 2), ("rpm=x", 2), ("rpm=-1", 2), ("ghost=1", 1)] {
        let ran = stage.run(&["explain", "user-1", "gpt-4", "-c", cost]);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{cost}: {ran:?}");
    }
}

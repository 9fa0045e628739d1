//! Plan and apply against a table.

use aws_sdk_dynamodb::types::AttributeValue;
use zae_deploy::{
    aggregator::Archive,
    manifest::Manifest,
    provisioner::{Action, Change, Functions, Plan, Provisioner},
    stack::StackProvisioner,
};
use zae_limiter::{
    Cost, EntityId, Limit, LimitScope, Limits, RateLimiter, Repository, ResourceName, StoredPolicy, SystemDefaults,
    access::{Access, Cascade, ConfigTarget},
    audit::AuditTarget,
    provision::{Fanout, FanoutKind, FanoutLease, ProvisionerState},
};

use super::manifests::SEED;

async fn open() -> (Repository, Provisioner) {
    let repository = Repository::embedded().await.unwrap();
    (repository.clone(), Provisioner::new(repository))
}

fn manifest(text: &str) -> Manifest {
    Manifest::from_yaml(text).unwrap()
}

fn lines(plan: &Plan) -> Vec<String> {
    let line =
        |change: &Change| format!("{} {} {}", change.action, change.level, change.target.as_deref().unwrap_or("-"));
    plan.changes.iter().map(line).collect()
}

fn resource(name: &str) -> ResourceName {
    ResourceName::new(name).unwrap()
}

fn rpm(capacity: u64) -> Limits {
    Limit::per_minute("rpm", capacity).unwrap().into()
}

#[tokio::test]
async fn what_holds_a_client_is_debugged_in_a_line_without_a_secret() {
    let (repository, provisioner) = open().await;
    let keys = aws_sdk_dynamodb::config::Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI", None, None, "test");
    let client = repository.client().config().to_builder().credentials_provider(keys.clone()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(client);
    let s3 = aws_sdk_s3::Config::builder().behavior_version(aws_sdk_s3::config::BehaviorVersion::latest());
    let s3 = aws_sdk_s3::Client::from_conf(s3.credentials_provider(keys).build());
    for (what, text) in [
        ("Provisioner", format!("{provisioner:?}")),
        ("Functions", format!("{:?}", Functions::new(client, "limiter"))),
        ("Archive", format!("{:?}", Archive::new(s3, "archive"))),
        ("StackProvisioner", format!("{:?}", StackProvisioner::if_missing())),
    ] {
        assert!(text.starts_with(what) && text.len() <= 1_200 && !text.contains('\n'), "{}: {text:.1500}", text.len());
        assert!(!text.contains("AKID") && !text.contains("wJalr"), "{text:.800}");
    }
}

#[tokio::test]
async fn the_seed_is_created_once_and_then_there_is_nothing_to_do() {
    let (repository, provisioner) = open().await;
    let seed = manifest(SEED);
    let plan = provisioner.plan(&seed).await.unwrap();
    let expected = [
        "create system -",
        "create resource gpt-3.5-turbo",
        "create resource gpt-4",
        "create entity user-premium/gpt-4",
    ];
    assert_eq!(lines(&plan), expected);
    assert_eq!(repository.provisioner_state().await.unwrap(), ProvisionerState::default(), "a plan writes nothing");

    let applied = provisioner.apply(&seed).await.unwrap();
    assert_eq!((applied.created, applied.updated, applied.deleted, applied.errors.len()), (4, 0, 0, 0));
    let state = repository.provisioner_state().await.unwrap();
    assert_eq!(state.applied_hash.as_deref(), Some(seed.hash(repository.namespace_name()).as_str()));
    assert!(state.last_applied.is_some());

    assert_eq!(lines(&provisioner.plan(&seed).await.unwrap()), Vec::<String>::new());
    let again = provisioner.apply(&seed).await.unwrap();
    assert_eq!((again.created, again.updated, again.deleted), (0, 0, 0));
    assert_eq!(repository.provisioner_state().await.unwrap(), state, "nothing to do writes nothing");
}

#[tokio::test]
async fn everything_else_sees_what_was_declared() {
    let (repository, _) = open().await;
    let provisioner = Provisioner::new(repository.acting_as("ci@example.com").unwrap());
    provisioner.apply(&manifest(SEED)).await.unwrap();
    assert_eq!(repository.resources_with_defaults().await.unwrap(), [resource("gpt-3.5-turbo"), resource("gpt-4")]);
    let scope = LimitScope::Resource(resource("gpt-4"));
    assert_eq!(repository.resources_with_entity_limits().await.unwrap(), std::slice::from_ref(&scope));
    let premium = EntityId::new("user-premium").unwrap();
    assert_eq!(repository.entities_with_limits(&scope).await.unwrap(), std::slice::from_ref(&premium));
    for target in [AuditTarget::System, AuditTarget::Resource(resource("gpt-4")), AuditTarget::Entity(premium)] {
        let page = repository.audit_events(&target, 10, None).await.unwrap();
        let principals: Vec<_> = page.events.iter().map(|event| event.principal.as_deref()).collect();
        assert_eq!(principals, [Some("ci@example.com")], "{target}");
    }
}

#[tokio::test]
async fn only_what_differs_is_changed_value_by_value() {
    let (repository, provisioner) = open().await;
    provisioner.apply(&manifest(SEED)).await.unwrap();
    // Another user changes one limit, deletes the other, and removes a resource.
    repository.set_resource_defaults(&resource("gpt-4"), &rpm(900)).await.unwrap();
    repository.delete_resource_defaults(&resource("gpt-3.5-turbo")).await.unwrap();
    let plan = provisioner.plan(&manifest(SEED)).await.unwrap();
    assert_eq!(lines(&plan), ["create resource gpt-3.5-turbo", "update resource gpt-4"]);
    let shown: Vec<_> = plan.changes[1]
        .attributes
        .iter()
        .map(|d| (d.name.as_str(), d.from.as_deref().unwrap_or("-"), d.to.as_deref().unwrap_or("-")))
        .collect();
    assert_eq!(
        shown,
        [
            ("rpm.capacity", "900", "500"),
            ("rpm.refill_amount", "900", "500"),
            ("tpm.capacity", "-", "50000"),
            ("tpm.refill_amount", "-", "50000"),
            ("tpm.refill_period", "-", "60"),
        ]
    );
    let applied = provisioner.apply(&manifest(SEED)).await.unwrap();
    assert_eq!((applied.created, applied.updated, applied.deleted), (1, 1, 0));
    assert!(provisioner.plan(&manifest(SEED)).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn what_is_no_longer_declared_goes_and_what_others_set_stays() {
    let (repository, provisioner) = open().await;
    provisioner.apply(&manifest(SEED)).await.unwrap();
    repository.set_resource_defaults(&resource("claude-3"), &rpm(5)).await.unwrap();
    let reduced = manifest("resources: {gpt-4: {limits: {rpm: {capacity: 500}, tpm: {capacity: 50000}}}}");
    let plan = provisioner.plan(&reduced).await.unwrap();
    assert_eq!(lines(&plan), ["delete system -", "delete resource gpt-3.5-turbo", "delete entity user-premium/gpt-4"]);
    let applied = provisioner.apply(&reduced).await.unwrap();
    assert_eq!((applied.created, applied.updated, applied.deleted), (0, 0, 3));
    assert_eq!(repository.resources_with_defaults().await.unwrap(), [resource("claude-3"), resource("gpt-4")]);
    assert_eq!(repository.system_defaults().await.unwrap(), SystemDefaults::default());

    let applied = provisioner.apply(&Manifest::default()).await.unwrap();
    assert_eq!(applied.deleted, 1);
    assert_eq!(repository.resources_with_defaults().await.unwrap(), [resource("claude-3")]);
    assert_eq!(repository.provisioner_state().await.unwrap().managed_resources, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_as_declared_already_is_adopted_without_being_written() {
    let (repository, provisioner) = open().await;
    repository.set_resource_defaults(&resource("gpt-4"), &rpm(500)).await.unwrap();
    let declared = manifest("resources: {gpt-4: {limits: {rpm: {capacity: 500}}}}");
    let plan = provisioner.plan(&declared).await.unwrap();
    assert_eq!(lines(&plan), ["adopt resource gpt-4"]);
    assert_eq!(plan.drift().count(), 0);
    let applied = provisioner.apply(&declared).await.unwrap();
    assert_eq!((applied.created, applied.updated, applied.plan.changes[0].action), (0, 0, Action::Adopt));
    let trail = repository.audit_events(&AuditTarget::Resource(resource("gpt-4")), 10, None).await.unwrap();
    assert_eq!(trail.events.len(), 1, "the values were not written again");
    assert_eq!(provisioner.apply(&Manifest::default()).await.unwrap().deleted, 1);
}

#[tokio::test]
async fn a_policy_without_limits_is_a_system_section_too() {
    let (repository, provisioner) = open().await;
    let declared = manifest("system: {on_unavailable: allow}");
    assert_eq!(provisioner.apply(&declared).await.unwrap().created, 1);
    let stored = repository.system_defaults().await.unwrap();
    assert_eq!(stored, SystemDefaults::default().on_unavailable(StoredPolicy::Allow));
    assert!(provisioner.plan(&declared).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn a_failure_is_told_and_what_is_managed_stays_true() {
    let (repository, provisioner) = open().await;
    // A feature of newer clients, which a plain replacement would undo.
    let ns = repository.namespace_id();
    let item =
        [("PK", format!("{ns}/RESOURCE#gpt-4")), ("SK", "#CONFIG".to_owned()), ("disabled", "sometimes".to_owned())];
    let item = item.map(|(name, value)| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value)));
    let put = repository.client().put_item().table_name(repository.stack().as_str()).set_item(Some(item.into()));
    put.send().await.unwrap();
    let error = provisioner.plan(&manifest(SEED)).await.unwrap_err().to_string();
    assert!(error.contains("disabled") && error.contains("RESOURCE#gpt-4"), "{error}");
    assert!(provisioner.apply(&manifest(SEED)).await.is_err());
    assert_eq!(repository.provisioner_state().await.unwrap(), ProvisionerState::default());
}

#[tokio::test]
async fn of_two_who_apply_at_once_each_learns_of_the_other_or_both_are_done() {
    let (repository, provisioner) = open().await;
    let a = manifest("resources: {a: {limits: {rpm: {capacity: 1}}}}");
    let b = manifest("resources: {b: {limits: {rpm: {capacity: 1}}}}");
    let (first, second) = tokio::join!(provisioner.apply(&a), provisioner.apply(&b));
    let clean = |result: &Result<zae_deploy::provisioner::Applied, _>| {
        result.as_ref().is_ok_and(|applied| applied.errors.is_empty())
    };
    let stored = repository.resources_with_defaults().await.unwrap();
    let managed = repository.provisioner_state().await.unwrap().managed_resources;
    for name in &stored {
        let known = managed.iter().any(|managed| managed == name.as_str());
        assert!(known || !(clean(&first) && clean(&second)), "{name} was forgotten: {first:?} {second:?}");
    }
}

#[tokio::test]
async fn a_switch_holds_as_long_as_it_is_declared_and_otherwise_belongs_to_operators() {
    let (repository, provisioner) = open().await;
    let target = ConfigTarget::from(resource("gpt-4"));
    let plain = "resources: {gpt-4: {limits: {rpm: {capacity: 5}}}}";
    let off = "resources: {gpt-4: {disabled: true, limits: {rpm: {capacity: 5}}}}";
    let access = async || repository.access(&target).await.unwrap();

    provisioner.apply(&manifest(plain)).await.unwrap();
    repository.disable(&target).await.unwrap();
    assert_eq!(lines(&provisioner.plan(&manifest(plain)).await.unwrap()), Vec::<String>::new());
    provisioner.apply(&manifest("resources: {gpt-4: {limits: {rpm: {capacity: 6}}}}")).await.unwrap();
    assert_eq!(access().await, Some(Access::Disabled), "an operator's switch outlives new limits");
    repository.clear_access(&target).await.unwrap();

    let plan = provisioner.plan(&manifest(off)).await.unwrap();
    let changes: Vec<_> = plan.changes[0].attributes.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(changes, ["access", "rpm.capacity", "rpm.refill_amount"]);
    provisioner.apply(&manifest(off)).await.unwrap();
    assert_eq!(access().await, Some(Access::Disabled));
    assert_eq!(repository.resource_defaults(resource("gpt-4")).await.unwrap(), Some(rpm(5)));
    repository.enable(&target).await.unwrap();
    assert_eq!(lines(&provisioner.plan(&manifest(off)).await.unwrap()), ["update resource gpt-4"]);
    provisioner.apply(&manifest(off)).await.unwrap();
    assert_eq!(access().await, Some(Access::Disabled), "what is declared holds");
    provisioner.apply(&manifest(plain)).await.unwrap();
    assert_eq!(access().await, None, "no longer declared");

    let only = "resources: {gpt-4: {disabled: true}}";
    provisioner.apply(&manifest(only)).await.unwrap();
    assert_eq!(
        (access().await, repository.resource_defaults(resource("gpt-4")).await.unwrap()),
        (Some(Access::Disabled), None)
    );
    provisioner.apply(&Manifest::default()).await.unwrap();
    assert_eq!(access().await, None);
}

#[tokio::test]
async fn a_declared_switch_is_stamped_again_by_every_apply() {
    let (repository, provisioner) = open().await;
    let limiter = RateLimiter::new(repository.clone());
    let text = "system: {limits: {rpm: {capacity: 5}}}\nresources: {gpt-4: {disabled: true}}";
    limiter_takes(&limiter, &repository).await;
    provisioner.apply(&manifest(text)).await.unwrap();
    let stamped = async || repository.buckets("e").await.unwrap()[0].access;
    assert_eq!(stamped().await, Access::Disabled);
    // As if the process that disabled it had ended before it reached this bucket.
    let key = |name: &str, text: String| (name.to_owned(), AttributeValue::S(text));
    let bucket = [key("PK", format!("{}/BUCKET#e#gpt-4#0", repository.namespace_id())), key("SK", "#STATE".to_owned())];
    let update = repository.client().update_item().table_name(repository.stack().as_str());
    update.set_key(Some(bucket.into())).update_expression("REMOVE disabled").send().await.unwrap();
    assert_eq!(stamped().await, Access::Enabled);
    provisioner.apply(&manifest(text)).await.unwrap();
    assert_eq!(stamped().await, Access::Disabled);
}

async fn limiter_takes(limiter: &RateLimiter, repository: &Repository) {
    repository.set_system_defaults(rpm(5)).await.unwrap();
    limiter.acquire("e", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_declared_bypass_lets_everything_through_until_it_is_no_longer_declared() {
    let (repository, provisioner) = open().await;
    let limiter = RateLimiter::new(repository.clone());
    limiter_takes(&limiter, &repository).await;
    let with = |switch: &str| format!("resources: {{gpt-4: {{{switch}limits: {{rpm: {{capacity: 5}}}}}}}}");
    for (declared, passes) in [("disabled: bypass, ", true), ("", false)] {
        let applied = provisioner.apply(&manifest(&with(declared))).await.unwrap();
        assert_eq!(applied.errors, [""; 0]);
        assert_eq!(limiter.acquire("e", "gpt-4", Cost::of("rpm", 50)).await.is_ok(), passes, "{declared}");
        assert_eq!(lines(&provisioner.plan(&manifest(&with(declared))).await.unwrap()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_cascade_policy_holds_as_long_as_it_is_declared() {
    let (repository, provisioner) = open().await;
    let target = ConfigTarget::from((EntityId::new("e").unwrap(), LimitScope::Default));
    let text = |policy: &str| {
        format!("entities: {{e: {{resources: {{_default_: {{{policy}limits: {{rpm: {{capacity: 5}}}}}}}}}}}}")
    };
    for (declared, stored) in
        [("cascade: false, ", Some(Cascade::Off)), ("cascade: true, ", Some(Cascade::On)), ("", None)]
    {
        let applied = provisioner.apply(&manifest(&text(declared))).await.unwrap();
        assert_eq!(applied.errors, [""; 0]);
        assert_eq!(repository.cascade(&target).await.unwrap(), stored, "{declared}");
        assert_eq!(lines(&provisioner.plan(&manifest(&text(declared))).await.unwrap()), Vec::<String>::new());
    }
}

/// A bucket of `key-1` for `gpt-4`, and a switch that was stored for it while nobody told the bucket.
async fn untold(repository: &Repository) -> Fanout {
    repository.set_system_defaults(Limit::per_minute("rpm", 10).unwrap()).await.unwrap();
    let limiter = RateLimiter::new(repository.clone());
    limiter.acquire("key-1", "gpt-4", Cost::of("rpm", 1)).await.unwrap().commit().await.unwrap();
    repository.disable(&ConfigTarget::resource("gpt-4").unwrap()).await.unwrap();
    let pk = format!("{}/BUCKET#key-1#gpt-4#0", repository.namespace_id());
    let key =
        [("PK", pk), ("SK", "#STATE".to_owned())].map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let update = repository.client().update_item().table_name(repository.stack().as_str());
    update.set_key(Some(key.into())).update_expression("REMOVE disabled").send().await.unwrap();
    assert!(!is_told(repository).await);
    Fanout::new(FanoutKind::Disabled, Some(ConfigTarget::resource("gpt-4").unwrap()))
}

async fn is_told(repository: &Repository) -> bool {
    let buckets = repository.buckets(EntityId::new("key-1").unwrap()).await.unwrap();
    buckets[0].access == Access::Disabled
}

#[tokio::test]
async fn what_an_interrupted_apply_owed_is_done_by_the_next_one_of_any_manifest() {
    let (repository, provisioner) = open().await;
    let fanout = untold(&repository).await;
    repository.promise_fanout(&fanout, &FanoutLease::new("gone", 1)).await.unwrap();
    let applied = provisioner.apply(&manifest("resources: { other: { limits: { rpm: { capacity: 5 } } } }")).await;
    let applied = applied.unwrap();
    assert_eq!((applied.created, applied.pending, applied.errors), (1, 0, vec![]));
    assert!(is_told(&repository).await);
    assert_eq!(repository.pending_fanouts().await.unwrap(), []);
}

#[tokio::test]
async fn what_another_apply_is_at_is_left_to_it() {
    let (repository, provisioner) = open().await;
    let fanout = untold(&repository).await;
    let live = FanoutLease::new("busy", i64::MAX);
    repository.promise_fanout(&fanout, &live).await.unwrap();
    let applied = provisioner.apply(&manifest("resources: {}")).await.unwrap();
    assert_eq!((applied.pending, applied.errors), (1, vec![]));
    assert!(!is_told(&repository).await);
    // Two owe the same: the record stays until both are done.
    let other = FanoutLease::new("other", i64::MAX);
    repository.promise_fanout(&fanout, &other).await.unwrap();
    repository.release_fanout(&fanout, &live).await.unwrap();
    assert_eq!(repository.pending_fanouts().await.unwrap().len(), 1);
    repository.release_fanout(&fanout, &other).await.unwrap();
    assert_eq!(repository.pending_fanouts().await.unwrap(), []);
}

#[tokio::test]
async fn a_kind_of_newer_releases_is_reported_and_left() {
    let (repository, provisioner) = open().await;
    let item = [
        ("PK", format!("{}/SYSTEM#", repository.namespace_id())),
        ("SK", "#PROVISIONER#PENDING#colour#resource#gpt-4".to_owned()),
        ("kind", "colour".to_owned()),
        ("level", "resource".to_owned()),
        ("target", "gpt-4".to_owned()),
    ];
    let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value)));
    let put = repository.client().put_item().table_name(repository.stack().as_str());
    put.set_item(Some(item.into())).send().await.unwrap();
    let applied = provisioner.apply(&manifest("resources: {}")).await.unwrap();
    assert_eq!(applied.pending, 1);
    assert!(applied.errors[0].contains("PENDING#colour#resource#gpt-4 is a fan-out"), "{:?}", applied.errors);
}

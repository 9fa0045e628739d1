//! Limits removed by deleted custom resources, by owner: the events of whole operations, in CloudFormation's order. A
//! rename is a creation and, in the clean-up, a deletion; a rollback deletes what was created, and sends the others
//! nothing.

use serde_json::{Value, json};
use zae_deploy::provisioner::Functions;
use zae_limiter::{NamespaceName, Repository, ResourceName};

use super::resource::{CloudFormation, TIME, one, open, properties};

const STACK: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/my-app-limits/0a1b";
const OTHER: &str = "arn:aws:cloudformation:us-east-1:123456789012:stack/other-limits/2c3d";

/// A table, its provisioner and a CloudFormation.
struct Stage {
    repository: Repository,
    functions: Functions,
    cloudformation: CloudFormation,
}

impl Stage {
    async fn new() -> Self {
        let (repository, functions) = open().await;
        Self { repository, functions, cloudformation: CloudFormation::start(0).await }
    }

    /// Sends an event of the resource `name` of `stack`. Returns its id from then on.
    async fn send(&self, stack: &str, name: &str, kind: &str, id: Option<&str>, properties: &Value) -> String {
        let mut event = self.cloudformation.event(kind, id, properties.clone());
        event["StackId"] = stack.into();
        event["LogicalResourceId"] = name.into();
        self.functions.handle(&event, TIME).await.unwrap();
        let (_, answer) = self.cloudformation.take();
        assert_eq!(answer["Status"], "SUCCESS", "{answer}");
        answer["PhysicalResourceId"].as_str().unwrap().to_owned()
    }

    async fn create(&self, name: &str, capacity: &str) -> String {
        self.send(STACK, name, "Create", None, &properties(one(capacity))).await
    }

    async fn delete(&self, name: &str, id: &str) {
        self.send(STACK, name, "Delete", Some(id), &properties(one("500"))).await;
    }

    /// Applies a manifest from the command line.
    async fn command(&self, capacity: u64) {
        let manifest = json!({"resources": {"gpt-4": {"limits": {"rpm": {"capacity": capacity}}}}});
        let event = json!({"action": "apply", "table_name": "limiter", "manifest": manifest});
        self.functions.handle(&event, TIME).await.unwrap();
    }

    async fn capacity(&self) -> Option<u64> {
        capacity(&self.repository).await
    }

    /// Removes this project's attributes from the record, as a client that replaces it does.
    async fn forget_owners(&self) {
        let key = [("PK", format!("{}/SYSTEM#", self.repository.namespace_id())), ("SK", "#PROVISIONER".to_owned())];
        let key = key.map(|(name, value)| (name.to_owned(), aws_sdk_dynamodb::types::AttributeValue::S(value)));
        let update = self.repository.client().update_item().table_name("limiter").set_key(Some(key.into()));
        update.update_expression("REMOVE z_owner, z_manifest, z_replaced").send().await.unwrap();
    }
}

async fn capacity(repository: &Repository) -> Option<u64> {
    let limits = repository.resource_defaults(&ResourceName::new("gpt-4").unwrap()).await.unwrap();
    limits.map(|limits| limits.as_slice()[0].capacity())
}

#[tokio::test]
async fn a_renamed_resource_keeps_its_limits() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    assert_eq!(stage.create("Limits", "600").await, id);
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, Some(600));
    stage.delete("Limits", &id).await;
    assert_eq!(stage.capacity().await, None);
}

#[tokio::test]
async fn a_rename_that_is_rolled_back_leaves_what_was_there_before() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    stage.create("Limits", "600").await;
    // Lambda repeats an invocation whose end it did not see.
    stage.create("Limits", "600").await;
    stage.delete("Limits", &id).await;
    assert_eq!(stage.capacity().await, Some(500));
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, None);
}

#[tokio::test]
async fn a_creation_that_fails_halfway_is_taken_back() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    stage.create("Limits", "600").await;
    // The answer never arrived, so CloudFormation has no id.
    stage.delete("Limits", "failed").await;
    assert_eq!(stage.capacity().await, Some(500));
    stage.delete("Limits", "failed").await;
    assert_eq!(stage.capacity().await, Some(500));
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, None);
}

#[tokio::test]
async fn a_resource_that_moves_to_another_namespace_takes_its_limits_along() {
    let stage = Stage::new().await;
    let tenant = NamespaceName::new("tenant").unwrap();
    stage.repository.register_namespace(&tenant).await.unwrap();
    let there = stage.repository.scoped(&tenant).await.unwrap();
    let here = properties(one("500"));
    let mut moved = properties(one("700"));
    moved["Namespace"] = "tenant".into();

    let old = stage.create("TenantLimits", "500").await;
    let new = stage.send(STACK, "TenantLimits", "Update", Some(&old), &moved).await;
    assert_ne!(old, new);
    // Another resource of the stack fails: back to the old namespace, and the new one is cleaned up.
    let back = stage.send(STACK, "TenantLimits", "Update", Some(&new), &here).await;
    assert_eq!(back, old);
    stage.send(STACK, "TenantLimits", "Delete", Some(&new), &moved).await;
    assert_eq!((stage.capacity().await, capacity(&there).await), (Some(500), None));

    let new = stage.send(STACK, "TenantLimits", "Update", Some(&old), &moved).await;
    stage.send(STACK, "TenantLimits", "Delete", Some(&old), &here).await;
    assert_eq!((stage.capacity().await, capacity(&there).await), (None, Some(700)));
    stage.send(STACK, "TenantLimits", "Delete", Some(&new), &moved).await;
    assert_eq!(capacity(&there).await, None);
}

#[tokio::test]
async fn a_resource_that_moves_into_a_namespace_of_another_gives_it_back() {
    let stage = Stage::new().await;
    let tenant = NamespaceName::new("tenant").unwrap();
    stage.repository.register_namespace(&tenant).await.unwrap();
    let there = stage.repository.scoped(&tenant).await.unwrap();
    let mut theirs = properties(one("900"));
    theirs["Namespace"] = "tenant".into();
    stage.send(OTHER, "Limits", "Create", None, &theirs).await;

    let old = stage.create("TenantLimits", "500").await;
    let mut moved = properties(one("700"));
    moved["Namespace"] = "tenant".into();
    let new = stage.send(STACK, "TenantLimits", "Update", Some(&old), &moved).await;
    assert_eq!(capacity(&there).await, Some(700));
    stage.send(STACK, "TenantLimits", "Delete", Some(&new), &moved).await;
    assert_eq!((stage.capacity().await, capacity(&there).await), (Some(500), Some(900)));
}

#[tokio::test]
async fn another_stack_s_deletion_changes_nothing() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    let theirs = properties(one("600"));
    stage.send(OTHER, "TenantLimits", "Create", None, &theirs).await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, Some(600));
    // With the first owner gone, there is nothing to restore.
    stage.send(OTHER, "TenantLimits", "Delete", Some(&id), &theirs).await;
    assert_eq!(stage.capacity().await, None);
}

#[tokio::test]
async fn what_the_command_line_applied_comes_back_only_from_a_rollback() {
    let stage = Stage::new().await;
    stage.command(50).await;
    let id = stage.create("TenantLimits", "500").await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, Some(50));

    let id = stage.create("TenantLimits", "500").await;
    // An update shows that the creation is over.
    stage.send(STACK, "TenantLimits", "Update", Some(&id), &properties(one("550"))).await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, None);

    let id = stage.create("TenantLimits", "500").await;
    stage.command(500).await;
    stage.command(60).await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, Some(60), "the command line has taken over");
}

#[tokio::test]
async fn a_command_that_changes_nothing_takes_nothing_over() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    stage.command(500).await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, None);
}

#[tokio::test]
async fn a_record_without_an_owner_belongs_to_the_resource_with_its_id() {
    let stage = Stage::new().await;
    let id = stage.create("TenantLimits", "500").await;
    stage.forget_owners().await;
    // Renamed, and rolled back: the other tool's declaration is no longer known, but its limits stay.
    stage.create("Limits", "500").await;
    stage.delete("Limits", &id).await;
    assert_eq!(stage.capacity().await, Some(500));
    // Renamed permanently.
    stage.create("Limits", "500").await;
    stage.delete("TenantLimits", &id).await;
    assert_eq!(stage.capacity().await, Some(500));
    stage.forget_owners().await;
    stage.delete("Limits", "failed").await;
    assert_eq!(stage.capacity().await, Some(500), "what was never created is nobody's");
    stage.delete("Limits", &id).await;
    assert_eq!(stage.capacity().await, None);
}

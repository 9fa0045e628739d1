//! Permissions of each principal.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    calls::{Call, Target},
    policy::{Policy, Principal},
    python,
    runs::{Calls, Table},
};
use crate::resolve::{self, Parameters};

/// Returns a managed policy of the template.
fn managed(name: &str) -> Policy {
    let resolved = resolve::resolve(&resolve::template(), &Parameters::new());
    Policy::new(resolved["Resources"][name]["Properties"]["PolicyDocument"].clone())
}

/// Returns the policy that is written into a role of the template.
fn inline(role: &str) -> Policy {
    let resolved = resolve::resolve(&resolve::template(), &Parameters::new());
    let policies = &resolved["Resources"][role]["Properties"]["Policies"];
    let table = policies.as_array().unwrap().iter().find(|policy| policy["PolicyName"] == "DynamoDBAccess").unwrap();
    Policy::new(table["PolicyDocument"].clone())
}

#[track_caller]
fn all_allowed(policy: &Policy, principal: &Principal, calls: &Calls) {
    assert!(!calls.is_empty());
    let denied: Vec<&Call> = calls.iter().filter(|call| !policy.allows(principal, call)).collect();
    assert!(denied.is_empty(), "denied: {denied:#?}");
}

#[track_caller]
fn none_allowed<'a>(policy: &Policy, principal: &Principal, calls: impl IntoIterator<Item = &'a Call>) {
    let mut asked = 0;
    let allowed: Vec<&Call> =
        calls.into_iter().inspect(|_| asked += 1).filter(|call| policy.allows(principal, call)).collect();
    assert!(allowed.is_empty(), "allowed: {allowed:#?}");
    assert!(asked > 0, "nothing was asked");
}

fn writes(call: &Call) -> bool {
    let writing = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];
    writing.iter().any(|name| call.action == format!("dynamodb:{name}"))
}

fn is_on_buckets(call: &Call) -> bool {
    call.leading_keys.iter().all(|key| key.contains("/BUCKET#"))
}

fn call(action: &str, keys: &[&str]) -> Call {
    let leading_keys = keys.iter().map(|key| (*key).to_owned()).collect();
    Call { action: format!("dynamodb:{action}"), target: Target::Table, leading_keys }
}

const NOBODY: fn() -> Principal = Principal::default;

#[tokio::test]
async fn applications_acquire_and_change_nothing_else() {
    let table = Table::new().await;
    let acquire = table.acquire().await;
    let policy = managed("AcquireOnlyPolicy");
    all_allowed(&policy, &NOBODY(), &acquire);
    // Exactly what it needs: every action of the policy is one that acquiring makes, except for queries, which the
    // customer's document grants.
    let used: BTreeSet<&str> = acquire.iter().map(|call| call.action.as_str()).collect();
    let needed = ["BatchGetItem", "GetItem", "PutItem", "UpdateItem"].map(|name| format!("dynamodb:{name}"));
    assert!(used.iter().all(|action| needed.iter().any(|needed| needed == action)), "{used:?}");
    assert!(acquire.iter().filter(|call| writes(call)).all(is_on_buckets));

    let administer: Calls = table.administer().await.union(&table.administer_table().await).cloned().collect();
    none_allowed(&policy, &NOBODY(), administer.iter().filter(|call| writes(call) && !is_on_buckets(call)));
    none_allowed(
        &policy,
        &NOBODY(),
        &[
            call("DeleteItem", &["a7x/BUCKET#user-1#gpt-4#0"]),
            call("BatchWriteItem", &["a7x/BUCKET#user-1#gpt-4#0"]),
            call("PutItem", &["a7x/BUCKET#user-1#gpt-4#0", "a7x/SYSTEM#"]),
            call("PutItem", &[]),
            call("UpdateItem", &["_/SYSTEM#"]),
            call("Scan", &[]),
            call("DescribeTable", &[]),
            call("DeleteTable", &[]),
            call("UpdateTable", &[]),
        ],
    );
}

#[tokio::test]
async fn applications_on_the_python_package_acquire_too() {
    let table = Table::new().await;
    let Some(acquire) = python::acquire(&table).await else { return };
    let check = "dynamodb:ConditionCheckItem";
    assert!(acquire.iter().any(|call| call.action == check), "it creates buckets in transactions: {acquire:#?}");
    all_allowed(&managed("AcquireOnlyPolicy"), &NOBODY(), &acquire);
    let own = Principal::of_namespace(&table.id);
    all_allowed(&managed("NamespaceAcquirePolicy"), &own, &acquire);
    let other = Principal::of_namespace(&table.other);
    none_allowed(&managed("NamespaceAcquirePolicy"), &other, acquire.iter().filter(in_namespace));
    // A check reveals no more than reading, and is confined to the namespace like reading.
    let registry = call("ConditionCheckItem", &["_/SYSTEM#"]);
    none_allowed(&managed("NamespaceAcquirePolicy"), &own, [&registry]);
    none_allowed(&managed("ReadOnlyPolicy"), &NOBODY(), acquire.iter().filter(|call| writes(call)));
}

#[tokio::test]
async fn administrators_do_all_of_it_and_leave_the_table_itself() {
    let table = Table::new().await;
    let policy = managed("FullAccessPolicy");
    for calls in [
        table.acquire().await,
        table.administer().await,
        table.administer_table().await,
        table.monitor().await,
        table.monitor_table().await,
        table.provision().await,
    ] {
        all_allowed(&policy, &NOBODY(), &calls);
    }
    none_allowed(&policy, &NOBODY(), &["DeleteTable", "UpdateTable", "CreateTable"].map(|name| call(name, &[])));
}

#[tokio::test]
async fn monitoring_reads_everything_and_writes_nothing() {
    let table = Table::new().await;
    let policy = managed("ReadOnlyPolicy");
    all_allowed(&policy, &NOBODY(), &table.monitor().await);
    all_allowed(&policy, &NOBODY(), &table.monitor_table().await);
    for calls in [table.acquire().await, table.administer().await, table.administer_table().await] {
        none_allowed(&policy, &NOBODY(), calls.iter().filter(|call| writes(call)));
    }
}

/// Returns true for a call on another namespace than the registry's.
fn in_namespace(call: &&Call) -> bool {
    call.leading_keys.iter().any(|key| !key.starts_with("_/"))
}

#[tokio::test]
async fn namespace_policies_end_at_the_namespace() {
    let table = Table::new().await;
    let (own, other) = (Principal::of_namespace(&table.id), Principal::of_namespace(&table.other));
    let (acquire, administer, monitor) = (table.acquire().await, table.administer().await, table.monitor().await);
    for (policy, calls) in [
        ("NamespaceAcquirePolicy", &acquire),
        ("NamespaceFullAccessPolicy", &acquire),
        ("NamespaceFullAccessPolicy", &administer),
        ("NamespaceFullAccessPolicy", &monitor),
        ("NamespaceReadOnlyPolicy", &monitor),
    ] {
        let policy = managed(policy);
        all_allowed(&policy, &own, calls);
        none_allowed(&policy, &other, calls.iter().filter(in_namespace));
        // Without the tag nothing is allowed, not even the registry.
        none_allowed(&policy, &NOBODY(), calls);
        none_allowed(&policy, &Principal::of_namespace("*"), calls.iter().filter(in_namespace));
        none_allowed(&policy, &Principal::of_namespace(""), calls.iter().filter(in_namespace));
    }
    none_allowed(
        &managed("NamespaceAcquirePolicy"),
        &own,
        administer.iter().filter(|c| writes(c) && !is_on_buckets(c)),
    );
    none_allowed(&managed("NamespaceReadOnlyPolicy"), &own, administer.iter().filter(|call| writes(call)));
}

#[tokio::test]
async fn nobody_with_a_namespace_policy_writes_the_registry_or_reads_all() {
    let table = Table::new().await;
    let registry = table.administer_table().await;
    for policy in ["NamespaceAcquirePolicy", "NamespaceFullAccessPolicy", "NamespaceReadOnlyPolicy"] {
        let policy = managed(policy);
        for principal in [Principal::of_namespace(&table.id), Principal::of_namespace("_"), NOBODY()] {
            none_allowed(&policy, &principal, registry.iter().filter(|call| writes(call) && !in_namespace(call)));
            none_allowed(&policy, &principal, &[call("Scan", &[]), call("DescribeTable", &[])]);
            let mixed = call("BatchGetItem", &[&format!("{}/SYSTEM#", table.id), &format!("{}/SYSTEM#", table.other)]);
            none_allowed(&policy, &principal, &[mixed]);
        }
    }
}

#[tokio::test]
async fn the_aggregator_reads_and_writes_items_and_removes_none_but_shards_of_buckets() {
    let table = Table::new().await;
    let policy = inline("AggregatorRole");
    let calls = table.aggregate().await;
    all_allowed(&policy, &NOBODY(), &calls);
    assert!(calls.iter().any(writes), "{calls:?}");
    assert!(calls.iter().any(|call| call.action == "dynamodb:DeleteItem"), "a bucket is folded: {calls:?}");
    none_allowed(&policy, &NOBODY(), &["DeleteItem", "BatchWriteItem"].map(|name| call(name, &["a7x/ENTITY#user-1"])));
    none_allowed(&policy, &NOBODY(), &[call("DeleteItem", &[])]);
    none_allowed(&policy, &NOBODY(), &["Scan", "DescribeTable", "DeleteTable"].map(|name| call(name, &[])));
}

#[tokio::test]
async fn the_provisioner_applies_manifests() {
    let table = Table::new().await;
    let policy = inline("ProvisionerRole");
    all_allowed(&policy, &NOBODY(), &table.provision().await);
    none_allowed(&policy, &NOBODY(), &["Scan", "DescribeTable", "DeleteTable"].map(|name| call(name, &[])));
}

#[test]
fn the_namespace_tag_reaches_iam_as_a_variable() {
    let template = resolve::template();
    let text = template["Resources"]["NamespaceAcquirePolicy"].to_string();
    assert!(text.contains("${aws:PrincipalTag/zael_namespace_id}/BUCKET#*"));
    let resources = template["Resources"].as_object().unwrap();
    let policies = resources.values().filter(|resource| resource["Type"] == "AWS::IAM::ManagedPolicy");
    for policy in policies {
        assert_eq!(policy["Condition"], "DeployIAM");
        let statements: Vec<&Value> =
            policy["Properties"]["PolicyDocument"]["Statement"].as_array().unwrap().iter().collect();
        let transactions = statements.iter().any(|statement| statement.to_string().contains("TransactWriteItems"));
        assert!(!transactions, "IAM has no such action");
    }
}

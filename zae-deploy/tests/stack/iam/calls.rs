//! Calls as seen by IAM, recorded on the wire.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::client::http::HttpConnector;
use serde_json::Value;
use zae_testkit::tap;

/// One authorisation that a request needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Call {
    /// For example `dynamodb:GetItem`.
    pub(crate) action: String,
    pub(crate) target: Target,
    /// The values of `dynamodb:LeadingKeys`; none if the operation has no keys.
    pub(crate) leading_keys: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    Table,
    Index(String),
}

/// Records the calls between a client and the store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder {
    calls: Arc<Mutex<BTreeSet<Call>>>,
}

impl Recorder {
    /// Creates a client that behaves like `client`, and the recorder of its calls.
    pub(crate) fn tap(client: &Client) -> (Self, Client) {
        let recorder = Self::default();
        let seen = Arc::clone(&recorder.calls);
        let client = tap(client, move |connector, request| {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default();
            let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
            seen.lock().unwrap().extend(calls(operation, &body));
            connector.call(request)
        });
        (recorder, client)
    }

    /// Returns the calls since the last time.
    pub(crate) fn take(&self) -> BTreeSet<Call> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

/// Returns the permissions that a request asks IAM for. A transaction has no action of its own, but one for each of its
/// parts.
pub(super) fn calls(operation: &str, body: &Value) -> Vec<Call> {
    let action = |name: &str| format!("dynamodb:{name}");
    let on_table =
        |name: &str, leading_keys: Vec<String>| Call { action: action(name), target: Target::Table, leading_keys };
    match operation {
        "GetItem" | "UpdateItem" | "DeleteItem" => vec![on_table(operation, vec![partition(&body["Key"])])],
        "PutItem" => vec![on_table(operation, vec![partition(&body["Item"])])],
        "Query" => {
            let index = body["IndexName"].as_str().map(|name| Target::Index(name.to_owned()));
            vec![Call {
                action: action(operation),
                target: index.unwrap_or(Target::Table),
                leading_keys: vec![queried(body)],
            }]
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object().unwrap().values();
            let keys = tables.flat_map(|table| table["Keys"].as_array().unwrap()).map(partition);
            vec![on_table(operation, keys.collect())]
        }
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object().unwrap().values();
            let writes = tables.flat_map(|table| table.as_array().unwrap());
            let keys = writes.map(|write| match write.get("PutRequest") {
                Some(put) => partition(&put["Item"]),
                None => partition(&write["DeleteRequest"]["Key"]),
            });
            vec![on_table(operation, keys.collect())]
        }
        "TransactWriteItems" => {
            let parts = body["TransactItems"].as_array().unwrap().iter();
            parts
                .map(|part| {
                    let (kind, part) = part.as_object().unwrap().iter().next().unwrap();
                    match kind.as_str() {
                        "Put" => on_table("PutItem", vec![partition(&part["Item"])]),
                        "Update" => on_table("UpdateItem", vec![partition(&part["Key"])]),
                        "Delete" => on_table("DeleteItem", vec![partition(&part["Key"])]),
                        "ConditionCheck" => on_table("ConditionCheckItem", vec![partition(&part["Key"])]),
                        other => panic!("{other} in a transaction"),
                    }
                })
                .collect()
        }
        "Scan" | "DescribeTable" => vec![on_table(operation, Vec::new())],
        other => panic!("{other} is not known here"),
    }
}

fn partition(item: &Value) -> String {
    item["PK"]["S"].as_str().unwrap_or_else(|| panic!("no key in {item}")).to_owned()
}

/// Returns the partition of a query: the value in its first condition.
fn queried(body: &Value) -> String {
    let expression = body["KeyConditionExpression"].as_str().unwrap();
    let (name, rest) = expression.split_once('=').unwrap();
    let name = name.trim().trim_start_matches('(');
    let name = body["ExpressionAttributeNames"][name].as_str().unwrap_or(name);
    assert!(name.ends_with("PK"), "{expression} begins with the partition");
    let value = rest.trim().split([' ', ')']).next().unwrap();
    body["ExpressionAttributeValues"][value]["S"].as_str().unwrap().to_owned()
}

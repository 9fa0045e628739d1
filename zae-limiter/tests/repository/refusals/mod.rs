//! Requests at and over DynamoDB's limits, and their errors: the same on every store, except for those in
//! [`differences`].

mod expressions;
mod items;
mod many;
mod operators;

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata};
use serde_json::{Map, Value, json};

use zae_testkit::store::TestStore;

const OK: &str = "";
const VALIDATION: &str = "ValidationException";
const CONDITION: &str = "ConditionalCheckFailedException";
const CANCELED: &str = "TransactionCanceledException";
const TABLE: &str = "limiter";

/// A request and the expected type of error; [`OK`] if there is none.
type Row = (&'static str, &'static str, Value, &'static str);

fn s(text: impl Into<String>) -> Value {
    json!({ "S": text.into() })
}

fn n(number: &str) -> Value {
    json!({ "N": number })
}

fn long(length: usize) -> String {
    "x".repeat(length)
}

fn key(pk: &str, sk: &str) -> Value {
    json!({ "PK": s(pk), "SK": s(sk) })
}

/// Merges the fields of both objects.
fn with(base: Value, more: Value) -> Value {
    match (base, more) {
        (Value::Object(base), Value::Object(more)) => base.into_iter().chain(more).collect::<Map<_, _>>().into(),
        (base, more) => panic!("{base} and {more} are objects"),
    }
}

fn put(attributes: Value) -> Value {
    json!({ "TableName": TABLE, "Item": with(key("a", "b"), attributes) })
}

fn get(key: Value) -> Value {
    Map::from_iter([("TableName".to_owned(), TABLE.into()), ("Key".to_owned(), key)]).into()
}

/// Creates an update of the item `known` with the value `:v`, extended by `more`.
fn update(more: Value) -> Value {
    let values = json!({ "ExpressionAttributeValues": { ":v": n("1") } });
    with(with(get(key("known", "b")), values), more)
}

fn set(expression: impl Into<String>) -> Value {
    update(json!({ "UpdateExpression": expression.into() }))
}

/// Creates a request with a condition that never holds, so that nothing is stored.
fn condition(expression: impl Into<String>) -> Value {
    update(json!({ "UpdateExpression": "SET z = :v", "ConditionExpression": expression.into() }))
}

/// Applies `of` to the first `count` of many short names, and joins the results by `by`.
fn each(count: usize, by: &str, of: impl Fn(&str) -> String) -> String {
    let letters = || b"bcdfghjklmnpqrstvwxz".iter().map(|letter| char::from(*letter));
    let names = letters().flat_map(|first| letters().map(move |second| format!("{first}{second}")));
    names.take(count).map(|name| of(&name)).collect::<Vec<_>>().join(by)
}

/// Pads `text` with blanks.
fn padded(text: &str, length: usize) -> String {
    format!("{text:length$}")
}

/// Returns requests that the two engines answer differently.
fn differences(store: &TestStore) -> Vec<Row> {
    let on = |embedded, local| match store {
        TestStore::Embedded(_) => embedded,
        TestStore::Local(_) => local,
    };
    let transaction = json!({ "TransactItems": [{ "Update": set("ADD t :v") }] });
    vec![
        // DynamoDB rejects it, as it does for a put.
        ("an index's key of a wrong type by an update", "UpdateItem", set("SET GSI1PK = :v"), on(VALIDATION, OK)),
        // DynamoDB cancels the transaction with the reason.
        ("ADD to text in a transaction", "TransactWriteItems", transaction, on(CANCELED, VALIDATION)),
    ]
}

/// Sends `body` unchanged; returns the type of error, or [`OK`].
async fn send(client: &Client, operation: &'static str, body: &Value) -> String {
    let body = body.to_string();
    // Any operation will do: target and body are replaced, so that the SDK performs no checks.
    let request = client.list_tables().customize().mutate_request(move |request| {
        let headers = request.headers_mut();
        headers.insert("x-amz-target", format!("DynamoDB_20120810.{operation}"));
        headers.insert("content-length", body.len().to_string());
        *request.body_mut() = body.clone().into();
    });
    match request.send().await {
        Ok(_) => OK.to_owned(),
        Err(error) => error.code().unwrap_or_else(|| panic!("{operation}: {error:?}")).to_owned(),
    }
}

#[tokio::test]
async fn every_store_refuses_what_dynamodb_refuses() {
    let store = TestStore::new();
    all_rows(&store, &store.client()).await;
}

/// The engine's own server has checks of its own, and lacks ours.
#[tokio::test]
async fn every_store_refuses_the_same_over_http() {
    let store = TestStore::new();
    let url = store.serve().await.url;
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = store.client().config().to_builder().endpoint_url(url).http_client(http).build();
    all_rows(&store, &Client::from_conf(config)).await;
}

async fn all_rows(store: &TestStore, client: &Client) {
    store.repository().await;
    let stored = with(key("known", "b"), json!({ "z": n("1"), "t": s("text"), "big": n(&"9".repeat(38)) }));
    let mut wrong = Vec::new();
    let rows = [operators::rows(), expressions::rows(), items::rows(), many::rows(), differences(store)];
    for (what, operation, body, expected) in rows.into_iter().flatten() {
        assert_eq!(send(client, "PutItem", &json!({ "TableName": TABLE, "Item": stored })).await, OK);
        let found = send(client, operation, &body).await;
        if found != expected {
            wrong.push(format!("{what}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

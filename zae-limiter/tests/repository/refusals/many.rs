//! Rules for the combination of requests in batches and transactions.

use serde_json::{Value, json};

use super::{CANCELED, OK, Row, TABLE, VALIDATION, condition, get, key, long, n, put, s, set, with};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let keys = |count: usize| (0..count).map(|index| key(&index.to_string(), "b")).collect::<Vec<_>>();
    let puts = |count: usize| {
        let puts = keys(count).into_iter().map(|item| json!({ "PutRequest": { "Item": item } })).collect::<Vec<_>>();
        json!({ "RequestItems": { TABLE: puts } })
    };
    let gets = |keys: Vec<Value>| json!({ "RequestItems": { TABLE: { "Keys": keys } } });
    let writes = |count: usize| {
        let puts = keys(count).into_iter().map(|item| json!({ "Put": { "TableName": TABLE, "Item": item } }));
        json!({ "TransactItems": puts.collect::<Vec<_>>() })
    };
    let reads = |keys: Vec<Value>| {
        let gets = keys.into_iter().map(|key| json!({ "Get": get(key) })).collect::<Vec<_>>();
        json!({ "TransactItems": gets })
    };
    let same = || vec![key("a", "b"), key("a", "b")];
    let item = with(key("a", "b"), json!({ "f": n("1") }));
    let half = |pk: &str| json!({ "Put": put(with(key(pk, "b"), json!({ "f": s(long(399_000)) }))) });
    vec![
        ("a batch of 25 writes", "BatchWriteItem", puts(25), OK),
        ("a batch of 26 writes", "BatchWriteItem", puts(26), VALIDATION),
        ("a batch of no writes", "BatchWriteItem", puts(0), VALIDATION),
        ("a batch for no table", "BatchWriteItem", json!({ "RequestItems": {} }), VALIDATION),
        (
            "one item twice in a batch",
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: [
            { "PutRequest": { "Item": item } }, { "DeleteRequest": { "Key": key("a", "b") } }] } }),
            VALIDATION,
        ),
        (
            "a batch's request that puts and deletes",
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: [
            { "PutRequest": { "Item": item }, "DeleteRequest": { "Key": key("c", "b") } }] } }),
            VALIDATION,
        ),
        (
            "a batch's request that does nothing",
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: [{}] } }),
            VALIDATION,
        ),
        (
            "an empty key in a batch of writes",
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: [
            { "DeleteRequest": { "Key": key("", "b") } }] } }),
            VALIDATION,
        ),
        ("a batch of 100 reads", "BatchGetItem", gets(keys(100)), OK),
        ("a batch of 101 reads", "BatchGetItem", gets(keys(101)), VALIDATION),
        ("a batch of no reads", "BatchGetItem", gets(Vec::new()), VALIDATION),
        ("one key twice in a batch", "BatchGetItem", gets(same()), VALIDATION),
        ("an empty key in a batch of reads", "BatchGetItem", gets(vec![key("a", "")]), VALIDATION),
        ("a sort key over 1 KB in a batch", "BatchGetItem", gets(vec![key("a", &long(1_025))]), VALIDATION),
        ("a transaction of 100 writes", "TransactWriteItems", writes(100), OK),
        ("a transaction of 101 writes", "TransactWriteItems", writes(101), VALIDATION),
        ("a transaction of no writes", "TransactWriteItems", writes(0), VALIDATION),
        (
            "one item twice in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Put": put(json!({})) }, { "ConditionCheck": with(get(key("a", "b")), json!({
                "ConditionExpression": "attribute_exists(PK)" })) }] }),
            VALIDATION,
        ),
        (
            "a transaction's action of two kinds",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Put": put(json!({})), "Delete": get(key("c", "b")) }] }),
            VALIDATION,
        ),
        ("a transaction's action of no kind", "TransactWriteItems", json!({ "TransactItems": [{}] }), VALIDATION),
        (
            "a check without a condition",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "ConditionCheck": get(key("a", "b")) }] }),
            VALIDATION,
        ),
        (
            "a transaction of over 4 MB",
            "TransactWriteItems",
            json!({ "TransactItems":
            (0..11).map(|index| half(&format!("h{index}"))).collect::<Vec<_>>() }),
            VALIDATION,
        ),
        (
            "a client token of 37 characters",
            "TransactWriteItems",
            with(writes(1), json!({ "ClientRequestToken": long(37) })),
            VALIDATION,
        ),
        (
            "an empty key in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Delete": get(key("", "b")) }] }),
            VALIDATION,
        ),
        (
            "a reserved word in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Update": set("SET ttl = :v") }] }),
            VALIDATION,
        ),
        (
            "an unused value in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Update": set("SET a = a") }] }),
            VALIDATION,
        ),
        (
            "a condition that does not hold in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Update": condition("zz = :v") }] }),
            CANCELED,
        ),
        ("a transaction of 100 reads", "TransactGetItems", reads(keys(100)), OK),
        ("a transaction of 101 reads", "TransactGetItems", reads(keys(101)), VALIDATION),
        ("one item read twice in a transaction", "TransactGetItems", reads(same()), VALIDATION),
    ]
}

//! Permitted contents and length of expressions.

use serde_json::json;

use super::{CONDITION, OK, Row, TABLE, VALIDATION, condition, get, key, long, n, padded, s, set, update, with};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let named = |name: String| {
        update(json!({
        "UpdateExpression": format!("SET {name} = :v"), "ExpressionAttributeNames": { name: "a" } }))
    };
    let valued = |name: String| {
        with(
            get(key("known", "b")),
            json!({
        "UpdateExpression": format!("SET a = {name}"), "ExpressionAttributeValues": { name: n("1") } }),
        )
    };
    vec![
        ("an update of 4 KB", "UpdateItem", set(padded("SET a = :v", 4_096)), OK),
        ("an update over 4 KB", "UpdateItem", set(padded("SET a = :v", 4_097)), VALIDATION),
        ("a condition of 4 KB", "UpdateItem", condition(padded("zz = :v", 4_096)), CONDITION),
        ("a condition over 4 KB", "UpdateItem", condition(padded("zz = :v", 4_097)), VALIDATION),
        (
            "a key condition over 4 KB",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": padded("PK = :p", 4_097),
            "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a filter over 4 KB",
            "Scan",
            json!({ "TableName": TABLE, "FilterExpression": padded("a = :v", 4_097),
            "ExpressionAttributeValues": { ":v": n("1") } }),
            VALIDATION,
        ),
        (
            "a projection over 4 KB",
            "GetItem",
            with(
                get(key("a", "b")),
                json!({
            "ProjectionExpression": padded("a", 4_097) }),
            ),
            VALIDATION,
        ),
        (
            "a condition over 4 KB in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Update": condition(padded("zz = :v", 4_097)) }] }),
            VALIDATION,
        ),
        ("a name's placeholder of 255 bytes", "UpdateItem", named(format!("#{}", long(254))), OK),
        ("a name's placeholder of 256 bytes", "UpdateItem", named(format!("#{}", long(255))), VALIDATION),
        ("a value's placeholder of 256 bytes", "UpdateItem", valued(format!(":{}", long(255))), VALIDATION),
        ("an unused value", "UpdateItem", set("SET a = a"), VALIDATION),
        (
            "an unused name",
            "UpdateItem",
            update(json!({
            "UpdateExpression": "SET a = :v", "ExpressionAttributeNames": { "#x": "x" } })),
            VALIDATION,
        ),
        ("a value that is not there", "UpdateItem", set("SET a = :v, b = :w"), VALIDATION),
        ("a name that is not there", "UpdateItem", set("SET #a = :v"), VALIDATION),
        ("values without an expression", "UpdateItem", update(json!({})), VALIDATION),
        (
            "a value of two types",
            "UpdateItem",
            update(json!({ "UpdateExpression": "SET a = :v",
            "ExpressionAttributeValues": { ":v": { "S": "1", "N": "1" } } })),
            VALIDATION,
        ),
        (
            "a value of no type",
            "UpdateItem",
            update(json!({ "UpdateExpression": "SET a = :v",
            "ExpressionAttributeValues": { ":v": {} } })),
            VALIDATION,
        ),
        ("a reserved word", "UpdateItem", set("SET ttl = :v"), VALIDATION),
        ("a reserved word in a condition", "UpdateItem", condition("name = :v"), VALIDATION),
        ("an empty update", "UpdateItem", set(""), VALIDATION),
        ("an empty condition", "UpdateItem", condition(""), VALIDATION),
        ("an empty projection", "GetItem", with(get(key("a", "b")), json!({ "ProjectionExpression": "" })), VALIDATION),
        ("two SET", "UpdateItem", set("SET a = :v SET b = :v"), VALIDATION),
        ("one attribute set twice", "UpdateItem", set("SET a = :v, a = :v"), VALIDATION),
        ("one attribute set and removed", "UpdateItem", set("SET a = :v REMOVE a"), VALIDATION),
        ("overlapping paths", "UpdateItem", set("SET m.a = :v, m = :v"), VALIDATION),
        (
            "one attribute projected twice",
            "GetItem",
            with(
                get(key("a", "b")),
                json!({
            "ProjectionExpression": "a, a" }),
            ),
            VALIDATION,
        ),
        ("a path into nothing", "UpdateItem", set("SET nothing.a = :v"), VALIDATION),
        ("a path into a number", "UpdateItem", set("SET z.a = :v"), VALIDATION),
        ("a sum with nothing", "UpdateItem", set("SET a = nothing + :v"), VALIDATION),
        ("a sum with text", "UpdateItem", set("SET a = PK + :v"), VALIDATION),
        ("ADD to text", "UpdateItem", set("ADD t :v"), VALIDATION),
        (
            "ADD of text",
            "UpdateItem",
            update(json!({ "UpdateExpression": "ADD z :v",
            "ExpressionAttributeValues": { ":v": s("1") } })),
            VALIDATION,
        ),
        ("DELETE of a number", "UpdateItem", set("DELETE z :v"), VALIDATION),
        (
            "a change of the key",
            "UpdateItem",
            update(json!({ "UpdateExpression": "SET SK = :v",
            "ExpressionAttributeValues": { ":v": s("1") } })),
            VALIDATION,
        ),
        (
            "a removal of the key",
            "UpdateItem",
            with(
                get(key("known", "b")),
                json!({
            "UpdateExpression": "REMOVE PK" }),
            ),
            VALIDATION,
        ),
        ("redundant parentheses", "UpdateItem", condition("((zz = :v))"), VALIDATION),
        (
            "a range upside down",
            "UpdateItem",
            with(
                condition("z BETWEEN :w AND :v"),
                json!({
            "ExpressionAttributeValues": { ":v": n("1"), ":w": n("2") } }),
            ),
            VALIDATION,
        ),
        (
            "a range of two types",
            "UpdateItem",
            with(
                condition("z BETWEEN :v AND :w"),
                json!({
            "ExpressionAttributeValues": { ":v": n("1"), ":w": s("2") } }),
            ),
            VALIDATION,
        ),
        ("an unknown function", "UpdateItem", condition("exists(z)"), VALIDATION),
        ("a function with a wrong number of operands", "UpdateItem", condition("begins_with(t) OR z = :v"), VALIDATION),
        ("begins_with a number", "UpdateItem", condition("begins_with(t, :v)"), VALIDATION),
        (
            "an unknown type",
            "UpdateItem",
            with(
                condition("attribute_type(t, :w) AND z = :v"),
                json!({
            "ExpressionAttributeValues": { ":v": n("1"), ":w": s("TEXT") } }),
            ),
            VALIDATION,
        ),
        (
            "an expression and a legacy parameter",
            "UpdateItem",
            with(
                set("SET a = :v"),
                json!({
            "AttributeUpdates": { "a": { "Value": n("1"), "Action": "PUT" } } }),
            ),
            VALIDATION,
        ),
        (
            "a filter on the key",
            "Query",
            json!({ "TableName": TABLE, "KeyConditionExpression": "PK = :p",
            "FilterExpression": "SK = :p", "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a key condition without the partition",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": "SK = :p", "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a key condition with OR",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": "PK = :p OR SK = :p", "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a key condition on a range of partitions",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": "PK > :p", "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a key condition of a wrong type",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": "PK = :p", "ExpressionAttributeValues": { ":p": n("1") } }),
            VALIDATION,
        ),
        (
            "a key condition with an empty value",
            "Query",
            json!({ "TableName": TABLE,
            "KeyConditionExpression": "PK = :p", "ExpressionAttributeValues": { ":p": s("") } }),
            VALIDATION,
        ),
        (
            "an index that is not there",
            "Query",
            json!({ "TableName": TABLE, "IndexName": "GSI9",
            "KeyConditionExpression": "PK = :p", "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a strong read of a global index",
            "Query",
            json!({ "TableName": TABLE, "IndexName": "GSI1",
            "ConsistentRead": true, "KeyConditionExpression": "GSI1PK = :p",
            "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a page of nothing",
            "Query",
            json!({ "TableName": TABLE, "Limit": 0, "KeyConditionExpression": "PK = :p",
            "ExpressionAttributeValues": { ":p": s("a") } }),
            VALIDATION,
        ),
        (
            "a start outside of the partition",
            "Query",
            json!({ "TableName": TABLE, "KeyConditionExpression": "PK = :p",
            "ExpressionAttributeValues": { ":p": s("a") }, "ExclusiveStartKey": key("b", "b") }),
            VALIDATION,
        ),
        (
            "a start that is no key",
            "Scan",
            json!({ "TableName": TABLE,
            "ExclusiveStartKey": { "PK": s("a") } }),
            VALIDATION,
        ),
        (
            "a segment beyond the last",
            "Scan",
            json!({ "TableName": TABLE, "Segment": 2, "TotalSegments": 2 }),
            VALIDATION,
        ),
    ]
}

//! The rules for items, keys and numbers.

use serde_json::{Value, json};

use super::{OK, Row, TABLE, VALIDATION, get, key, long, n, put, s, set, update, with};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    // An attribute's name counts, as do PK, SK and their values.
    let room = 400 * 1_024 - "PKaSKb".len() - "f".len();
    let digits = |count: usize| "1".repeat(count);
    let number = |text: &str| put(json!({ "f": n(text) }));
    vec![
        ("an item of 400 KB", "PutItem", put(json!({ "f": s(long(room)) })), OK),
        ("an item over 400 KB", "PutItem", put(json!({ "f": s(long(room + 1)) })), VALIDATION),
        (
            "an update beyond 400 KB",
            "UpdateItem",
            update(json!({ "UpdateExpression": "SET a = :v, b = :v",
            "ExpressionAttributeValues": { ":v": s(long(210_000)) } })),
            VALIDATION,
        ),
        (
            "an item over 400 KB in a batch",
            "BatchWriteItem",
            json!({ "RequestItems": { TABLE: [
            { "PutRequest": { "Item": with(key("a", "b"), json!({ "f": s(long(room + 1)) })) } }] } }),
            VALIDATION,
        ),
        (
            "an item over 400 KB in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "Put": put(json!({ "f": s(long(room + 1)) })) }] }),
            VALIDATION,
        ),
        ("a partition key of 2 KB", "PutItem", put(key(&long(2_048), "b")), OK),
        ("a partition key over 2 KB", "PutItem", put(key(&long(2_049), "b")), VALIDATION),
        ("a sort key of 1 KB", "PutItem", put(key("a", &long(1_024))), OK),
        ("a sort key over 1 KB", "PutItem", put(key("a", &long(1_025))), VALIDATION),
        ("a partition key over 2 KB, read", "GetItem", get(key(&long(2_049), "b")), VALIDATION),
        (
            "a sort key over 1 KB, updated",
            "UpdateItem",
            with(set("SET a = :v"), get(key("a", &long(1_025)))),
            VALIDATION,
        ),
        ("a partition key over 2 KB, deleted", "DeleteItem", get(key(&long(2_049), "b")), VALIDATION),
        (
            "an index's partition key over 2 KB",
            "PutItem",
            put(json!({ "GSI1PK": s(long(2_049)), "GSI1SK": s("a") })),
            VALIDATION,
        ),
        (
            "an index's sort key over 1 KB",
            "PutItem",
            put(json!({ "GSI1PK": s("a"), "GSI1SK": s(long(1_025)) })),
            VALIDATION,
        ),
        ("an empty partition key", "PutItem", put(key("", "b")), VALIDATION),
        ("an empty sort key", "PutItem", put(key("a", "")), VALIDATION),
        ("an empty partition key, read", "GetItem", get(key("", "b")), VALIDATION),
        ("an empty sort key, updated", "UpdateItem", with(set("SET a = :v"), get(key("a", ""))), VALIDATION),
        ("an index's empty key", "PutItem", put(json!({ "GSI1PK": s(""), "GSI1SK": s("a") })), VALIDATION),
        ("an index's key of a wrong type", "PutItem", put(json!({ "GSI1PK": n("1"), "GSI1SK": s("a") })), VALIDATION),
        ("a key of a wrong type", "PutItem", put(json!({ "PK": n("1") })), VALIDATION),
        ("a key without its sort key", "GetItem", get(json!({ "PK": s("a") })), VALIDATION),
        ("a key with more than a key", "GetItem", get(with(key("a", "b"), json!({ "f": s("a") }))), VALIDATION),
        ("an item without a key", "PutItem", json!({ "TableName": TABLE, "Item": { "PK": s("a") } }), VALIDATION),
        ("an empty text", "PutItem", put(json!({ "f": s("") })), OK),
        ("an empty set", "PutItem", put(json!({ "f": { "SS": [] } })), VALIDATION),
        ("a set with one member twice", "PutItem", put(json!({ "f": { "SS": ["a", "a"] } })), VALIDATION),
        ("a set of numbers with one member twice", "PutItem", put(json!({ "f": { "NS": ["1", "1.0"] } })), VALIDATION),
        ("a NULL that is none", "PutItem", put(json!({ "f": { "NULL": false } })), VALIDATION),
        ("38 digits", "PutItem", number(&digits(38)), OK),
        ("39 digits", "PutItem", number(&digits(39)), VALIDATION),
        ("39 digits, one of which is a trailing zero", "PutItem", number(&format!("{}0", digits(38))), OK),
        ("the greatest exponent", "PutItem", number("9.9E125"), OK),
        ("a number too great", "PutItem", number("1E126"), VALIDATION),
        ("a number too small", "PutItem", number("1E-131"), VALIDATION),
        ("no number", "PutItem", number("one"), VALIDATION),
        ("an empty number", "PutItem", number(""), VALIDATION),
        ("infinity", "PutItem", number("Infinity"), VALIDATION),
        (
            "a sum of too many digits",
            "UpdateItem",
            update(json!({ "UpdateExpression": "ADD big :v",
            "ExpressionAttributeValues": { ":v": n("0.1") } })),
            VALIDATION,
        ),
        ("31 levels", "PutItem", put(json!({ "f": nested(31) })), OK),
        ("33 levels", "PutItem", put(json!({ "f": nested(33) })), VALIDATION),
        ("an attribute's name of 65 535 bytes", "PutItem", put(json!({ long(65_535): n("1") })), OK),
        ("an attribute's name over 65 535 bytes", "PutItem", put(json!({ long(65_536): n("1") })), VALIDATION),
        ("an attribute without a name", "PutItem", put(json!({ "": n("1") })), VALIDATION),
    ]
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(n("1"), |inner, _| json!({ "L": [inner] }))
}

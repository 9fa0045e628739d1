//! Maximum number of operators and operands in an expression.

use serde_json::{Map, Value, json};

use super::{CONDITION, OK, Row, TABLE, VALIDATION, condition, each, get, key, n, put, s, set, with};

#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    let plus = |count| set(format!("SET {}", each(count, ",", |a| format!("{a}=z+:v"))));
    let equal = |count| condition(each(count, " OR ", |a| format!("{a}=:v")));
    vec![
        ("300 sums", "UpdateItem", plus(300), OK),
        ("301 sums", "UpdateItem", plus(301), VALIDATION),
        (
            "302 operators of functions and sums",
            "UpdateItem",
            set(format!("SET {}", each(151, ",", |a| format!("{a}=if_not_exists({a},:v)+:v")))),
            VALIDATION,
        ),
        (
            "300 operators of functions and sums",
            "UpdateItem",
            set(format!("SET {}", each(150, ",", |a| format!("{a}=if_not_exists({a},:v)+:v")))),
            OK,
        ),
        ("302 additions by ADD", "UpdateItem", set(format!("ADD {}", each(302, ",", |a| format!("{a} :v")))), OK),
        ("302 assignments", "UpdateItem", set(format!("SET {}", each(302, ",", |a| format!("{a}=:v")))), OK),
        (
            "302 removals",
            "UpdateItem",
            with(
                get(key("known", "b")),
                json!({
            "UpdateExpression": format!("REMOVE {}", each(302, ",", str::to_owned)) }),
            ),
            OK,
        ),
        ("150 comparisons, 299 operators", "UpdateItem", equal(150), CONDITION),
        ("151 comparisons, 301 operators", "UpdateItem", equal(151), VALIDATION),
        (
            "101 negations, 302 operators",
            "UpdateItem",
            condition(each(101, " and ", |a| format!("not {a}<>:v"))),
            VALIDATION,
        ),
        (
            "100 functions, 299 operators",
            "UpdateItem",
            condition(each(100, " AND ", |a| format!("size({a})<:v"))),
            CONDITION,
        ),
        (
            "101 functions, 302 operators",
            "UpdateItem",
            condition(each(101, " AND ", |a| format!("size ({a}) >= :v"))),
            VALIDATION,
        ),
        (
            "150 ranges, 299 operators",
            "UpdateItem",
            condition(each(150, " AND ", |a| format!("{a} BETWEEN :v AND :v"))),
            CONDITION,
        ),
        (
            "151 ranges, 301 operators",
            "UpdateItem",
            condition(each(151, " AND ", |a| format!("{a} BETWEEN :v AND :v"))),
            VALIDATION,
        ),
        (
            "150 lists, 299 operators",
            "UpdateItem",
            condition(each(150, " AND ", |a| format!("{a} IN (:v)"))),
            CONDITION,
        ),
        (
            "151 lists, 301 operators",
            "UpdateItem",
            condition(each(151, " AND ", |a| format!("{a} IN (:v)"))),
            VALIDATION,
        ),
        (
            "200 operators in each of two expressions",
            "UpdateItem",
            with(
                equal(100),
                json!({
            "UpdateExpression": format!("SET {}", each(200, ",", |a| format!("{a}=z+:v"))) }),
            ),
            CONDITION,
        ),
        (
            "a filter of 301 operators",
            "Query",
            json!({ "TableName": TABLE, "KeyConditionExpression": "PK = :p",
            "FilterExpression": each(151, " OR ", |a| format!("{a}=:v")),
            "ExpressionAttributeValues": { ":p": s("known"), ":v": n("1") } }),
            VALIDATION,
        ),
        (
            "a scan's filter of 301 operators",
            "Scan",
            json!({ "TableName": TABLE,
            "FilterExpression": each(151, " OR ", |a| format!("{a}=:v")),
            "ExpressionAttributeValues": { ":v": n("1") } }),
            VALIDATION,
        ),
        (
            "a put's condition of 301 operators",
            "PutItem",
            with(
                put(json!({})),
                json!({
            "ConditionExpression": each(151, " OR ", |a| format!("{a}=:v")),
            "ExpressionAttributeValues": { ":v": n("1") } }),
            ),
            VALIDATION,
        ),
        (
            "a delete's condition of 301 operators",
            "DeleteItem",
            with(
                get(key("a", "b")),
                json!({
            "ConditionExpression": each(151, " OR ", |a| format!("{a}=:v")),
            "ExpressionAttributeValues": { ":v": n("1") } }),
            ),
            VALIDATION,
        ),
        (
            "301 operators in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [{ "Update": plus(301) }] }),
            VALIDATION,
        ),
        (
            "a condition of 301 operators in a transaction",
            "TransactWriteItems",
            json!({ "TransactItems": [
            { "ConditionCheck": with(get(key("a", "b")), json!({
                "ConditionExpression": each(151, " OR ", |a| format!("{a}=:v")),
                "ExpressionAttributeValues": { ":v": n("1") } })) }] }),
            VALIDATION,
        ),
        ("a list of 100 operands", "UpdateItem", operands(100), CONDITION),
        ("a list of 101 operands", "UpdateItem", operands(101), VALIDATION),
    ]
}

fn operands(count: usize) -> Value {
    let names: Vec<String> = (0..count).map(|index| format!(":v{index}")).collect();
    let mut values: Map<_, _> = names.iter().map(|name| (name.clone(), n("7"))).collect();
    values.insert(":v".to_owned(), n("1"));
    with(condition(format!("z IN ({})", names.join(","))), json!({ "ExpressionAttributeValues": values }))
}

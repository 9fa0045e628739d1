//! Tests of the table alone.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use zae_limiter::sim::{Answer, ItemKey, Request};
use zae_sim::table::{Item, Table, number};

fn item(number: i64) -> Item {
    let text = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
    HashMap::from([text("PK", "p"), text("SK", "s"), ("n".to_owned(), AttributeValue::N(number.to_string()))])
}

#[test]
fn a_read_that_is_behind_sees_what_was() {
    let (mut table, key) = (Table::default(), ItemKey { pk: "p".into(), sk: "s".into() });
    let mut seen = |at: u64, behind: u64| {
        table.set(key.clone(), Some(item(i64::try_from(at).unwrap())), at);
        let read = Request::Read { keys: vec![key.clone()], strong: false };
        let Answer::Read(items) = table.apply(&read, at, behind).unwrap().answer else { panic!("a read") };
        items.first().and_then(|item| number(item, "n"))
    };
    assert_eq!(seen(100, 1_000), None, "there was nothing");
    assert_eq!([seen(500, 0), seen(1_000, 1), seen(1_500, 1_000)], [Some(500), Some(500), Some(500)]);
    assert_eq!(seen(9_000, 1_000), Some(1_500));
}

#[test]
fn a_condition_that_does_not_hold_changes_nothing_and_shows_the_item() {
    let mut table = Table::default();
    let put = |number| Request::Put { item: item(number), condition: "attribute_not_exists(n)".to_owned() };
    assert!(matches!(table.apply(&put(1), 0, 0).unwrap().answer, Answer::Written(_)));
    let refused = table.apply(&put(2), 0, 0).unwrap();
    let Answer::Refused(Some(there)) = refused.answer else { panic!("{refused:?}") };
    assert_eq!((number(&there, "n"), refused.changes.is_empty()), (Some(1), true));
}

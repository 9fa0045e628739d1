//! Tests of the part of DynamoDB's language that the table supports.

use zae_sim::table::expression::{Assigned, Condition, Operand, Update, condition, update};

#[test]
fn and_binds_closer_than_or() {
    let read = condition("a = :0 AND (attribute_not_exists(b) OR b > :1) AND NOT c <> #2").unwrap();
    let Condition::All(parts) = read else { panic!("{read:?}") };
    assert!(matches!(&parts[1], Condition::Any(two) if two.len() == 2));
    assert!(matches!(&parts[2], Condition::Not(_)));
    assert!(matches!(condition("a = :0 OR b = :1 AND c = :2").unwrap(), Condition::Any(two) if two.len() == 2));
}

#[test]
fn every_clause_of_an_update_is_read() {
    let read = update("SET a = :0, b = if_not_exists(b, :1) + :2, c = c - :3 ADD d :4, #5 :6 REMOVE #7, e").unwrap();
    assert_eq!((read.set.len(), read.add.len(), read.remove.len()), (3, 2, 2));
    assert!(matches!(&read.set[1].1, Assigned::Sum(Operand::IfNotExists(..), Operand::Value(_))));
    assert_eq!(update("").unwrap(), Update::default());
}

#[test]
fn what_is_not_understood_is_an_error() {
    for text in ["a =", "a ~ :0", "a = :0 b", "size(a) = :0", "(a = :0"] {
        assert!(condition(text).is_err(), "{text}");
    }
    for text in ["PUT a :0", "SET a :0", "SET a = :0,"] {
        assert!(update(text).is_err(), "{text}");
    }
}

//! Compares the table with real engines: every request of whole runs must be answered alike by the embedded store, and
//! by a DynamoDB Local if the environment names one.

use std::sync::Arc;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError, update_item::UpdateItemError},
    types::{
        AttributeValue, ConditionCheck, KeysAndAttributes, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem, Update,
    },
};
use zae_limiter::{
    Repository, StackName,
    sim::{Answer, ItemKey, Request},
};

use zae_sim::{
    dice::Dice,
    play::recorded,
    schedule::generate::generate,
    table::{Item, Table, key_of},
    world::recording::{Recorded, Recording},
};
use zae_testkit::store::TestStore;

const TABLE: &str = "as-dynamodb";

async fn client() -> Client {
    let client = TestStore::new().client();
    let repository = Repository::builder().stack(TABLE).client(client.clone()).create_table();
    repository.build_registry().await.unwrap();
    client
}

fn key(key: &ItemKey) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    [("PK".to_owned(), text(&key.pk)), ("SK".to_owned(), text(&key.sk))].into()
}

/// Returns the answer of a real engine.
async fn answer(client: &Client, request: &Request) -> Result<Answer, String> {
    let refused = ReturnValuesOnConditionCheckFailure::AllOld;
    match request {
        Request::Read { keys, .. } => {
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys.iter().map(key).collect()));
            let wanted = wanted.consistent_read(true).build().unwrap();
            let answer = client.batch_get_item().request_items(TABLE, wanted).send().await.unwrap();
            let items = answer.responses.and_then(|mut tables| tables.remove(TABLE)).unwrap_or_default();
            Ok(Answer::Read(items.into_iter().map(Arc::new).collect()))
        }
        Request::Put { item, condition } => {
            let put = client.put_item().table_name(TABLE).set_item(Some(item.clone())).condition_expression(condition);
            match put.return_values_on_condition_check_failure(refused).send().await {
                Ok(_) => Ok(Answer::Written(Arc::new(item.clone()))),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    PutItemError::ConditionalCheckFailedException(lost) => Ok(Answer::Refused(lost.item.map(Arc::new))),
                    other => Err(format!("{other:?}")),
                },
                Err(other) => panic!("{other:?}"),
            }
        }
        Request::Update { key: of, update, condition, names, values } => {
            let sent = client
                .update_item()
                .table_name(TABLE)
                .set_key(Some(key(of)))
                .set_update_expression((!update.is_empty()).then(|| update.clone()))
                .set_condition_expression((!condition.is_empty()).then(|| condition.clone()))
                .set_expression_attribute_names((!names.is_empty()).then(|| names.clone()))
                .set_expression_attribute_values((!values.is_empty()).then(|| values.clone()))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(refused);
            match sent.send().await {
                Ok(output) => Ok(Answer::Written(Arc::new(output.attributes.unwrap_or_default()))),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    UpdateItemError::ConditionalCheckFailedException(lost) => {
                        Ok(Answer::Refused(lost.item.map(Arc::new)))
                    }
                    other => Err(format!("{other:?}")),
                },
                Err(other) => panic!("{other:?}"),
            }
        }
        Request::Transact { parts } => {
            let parts = parts.iter().map(part).collect();
            match client.transact_write_items().set_transact_items(Some(parts)).send().await {
                Ok(_) => Ok(Answer::Committed),
                Err(SdkError::ServiceError(error)) => match error.into_err() {
                    TransactWriteItemsError::TransactionCanceledException(cancelled) => {
                        let reasons = cancelled.cancellation_reasons().iter().enumerate();
                        let refused = reasons.filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"));
                        Ok(Answer::Cancelled(refused.map(|(index, _)| index).collect()))
                    }
                    other => Err(format!("{other:?}")),
                },
                Err(other) => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// Returns a part of a transaction.
fn part(request: &Request) -> TransactWriteItem {
    let item = TransactWriteItem::builder();
    match request {
        Request::Put { item: put, condition } => {
            let put = Put::builder().table_name(TABLE).set_item(Some(put.clone())).condition_expression(condition);
            item.put(put.build().unwrap()).build()
        }
        Request::Update { key: of, update, condition, names, values } if update.is_empty() => {
            let check = ConditionCheck::builder().table_name(TABLE).set_key(Some(key(of)));
            let check = check.condition_expression(condition).set_expression_attribute_names(Some(names.clone()));
            item.condition_check(check.set_expression_attribute_values(Some(values.clone())).build().unwrap()).build()
        }
        Request::Update { key: of, update, condition, names, values } => {
            let change = Update::builder().table_name(TABLE).set_key(Some(key(of))).update_expression(update);
            let change = change.condition_expression(condition).set_expression_attribute_names(Some(names.clone()));
            item.update(change.set_expression_attribute_values(Some(values.clone())).build().unwrap()).build()
        }
        other => panic!("{other:?}"),
    }
}

async fn delete(client: &Client, of: &ItemKey) {
    client.delete_item().table_name(TABLE).set_key(Some(key(of))).send().await.unwrap();
}

/// Sorts items, because their order depends on the engine.
fn sorted(answer: Answer) -> String {
    let text = |item: &Item| {
        let mut attributes: Vec<_> = item.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        attributes.sort_unstable();
        attributes.join(" ")
    };
    match answer {
        Answer::Read(items) => {
            let mut items: Vec<_> = items.iter().map(|item| text(item)).collect();
            items.sort_unstable();
            format!("read {items:?}")
        }
        Answer::Written(item) => format!("written {}", text(&item)),
        Answer::Refused(item) => format!("refused {:?}", item.as_deref().map(text)),
        Answer::Committed => "committed".to_owned(),
        Answer::Cancelled(refused) => format!("cancelled for {refused:?}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn every_request_of_whole_runs_is_answered_alike() {
    StackName::new(TABLE).unwrap();
    let recordings: Vec<Recording> = (0..25).map(|seed| recorded(generate(seed)).unwrap()).collect();
    let requests = recordings.iter().flatten().filter(|part| matches!(part, Recorded::Request(..))).count();
    assert!(requests > 1_000, "{requests} requests");
    runtime().block_on(async {
        let client = client().await;
        for (seed, recording) in recordings.into_iter().enumerate() {
            let mut touched = Vec::new();
            for part in recording {
                match part {
                    Recorded::Removed(key) => delete(&client, &key).await,
                    Recorded::Set(item) => {
                        touched.extend(key_of(&item));
                        client.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
                    }
                    // An eventually consistent read may be stale and cannot be compared.
                    Recorded::Request(Request::Read { strong: false, .. }, _) => {}
                    Recorded::Request(request, expected) => {
                        let found = answer(&client, &request).await.map(sorted);
                        match &request {
                            Request::Put { item, .. } => touched.extend(key_of(item)),
                            Request::Update { key, .. } => touched.push(key.clone()),
                            _ => {}
                        }
                        assert_eq!(found, Ok(sorted(expected)), "seed {seed}: {request:?}");
                    }
                }
            }
            for key in touched {
                delete(&client, &key).await;
            }
        }
    });
}

/// Creates a random request about a few attributes of one item.
fn random(dice: &mut Dice) -> Request {
    let simple = |dice: &mut Dice| match dice.of_range(0, 3) {
        0 => format!("attribute_exists({})", dice.one(&["a", "b", "#2"])),
        1 => format!("attribute_not_exists({})", dice.one(&["a", "b", "#2"])),
        _ => {
            let left = dice.one(&["a", "b", "#2"]);
            let sign = dice.one(&["=", "<>", "<", "<=", ">", ">="]);
            // DynamoDB rejects a comparison of an attribute with itself.
            let others = ["a", "b", "#2", ":0", ":1", ":2"].map(|other| if other == left { ":0" } else { other });
            format!("{left} {sign} {}", dice.one(&others))
        }
    };
    let condition = match dice.of_range(0, 3) {
        0 => simple(dice),
        1 => format!("{} AND ({} OR {})", simple(dice), simple(dice), simple(dice)),
        2 => format!("NOT {} OR {}", simple(dice), simple(dice)),
        _ => format!("{} OR {} AND {}", simple(dice), simple(dice), simple(dice)),
    };
    let update = match dice.of_range(0, 4) {
        0 => "SET a = :0, b = :1".to_owned(),
        1 => "SET b = if_not_exists(b, :0) + :1 ADD a :2".to_owned(),
        2 => "ADD a :0, #2 :1 REMOVE b".to_owned(),
        3 => "REMOVE a, #2 SET b = :2".to_owned(),
        _ => "SET a = b - :0, #2 = a".to_owned(),
    };
    let used = |sign: &str| condition.contains(sign) || update.contains(sign);
    let mut values = std::collections::HashMap::new();
    for sign in [":0", ":1", ":2"] {
        let value = value(dice);
        if used(sign) {
            values.insert(sign.to_owned(), value);
        }
    }
    let names = if used("#2") { [("#2".to_owned(), "c.d-e".to_owned())].into() } else { Default::default() };
    let key = ItemKey { pk: format!("p{}", dice.of_range(0, 3)), sk: "s".to_owned() };
    Request::Update { key, update, condition, names, values }
}

/// Usually a small number, sometimes a large one or a text.
fn value(dice: &mut Dice) -> AttributeValue {
    let small = i64::try_from(dice.of_range(0, 6)).unwrap() - 3;
    match dice.of_range(0, 19) {
        0 => AttributeValue::N((small * 1_000_000_000_000_000).to_string()),
        1 | 2 => AttributeValue::S(dice.one(&["a", "b", "ab", "10", "9"]).to_owned()),
        _ => AttributeValue::N(small.to_string()),
    }
}

/// Creates a random conditional put.
fn random_put(dice: &mut Dice) -> Request {
    let text = |text: String| AttributeValue::S(text);
    let mut item = Item::from([
        ("PK".to_owned(), text(format!("p{}", dice.of_range(0, 3)))),
        ("SK".to_owned(), text("s".to_owned())),
    ]);
    for name in ["a", "b", "c.d-e"] {
        if dice.chance(60) {
            item.insert(name.to_owned(), value(dice));
        }
    }
    let condition = dice.one(&["attribute_not_exists(PK)", "attribute_exists(a)", "attribute_not_exists(b)"]);
    Request::Put { item, condition: condition.to_owned() }
}

/// Number of operations in the gate, unless the environment sets another: `scripts/sim-store` runs a million.
const OPERATIONS: u64 = 2_000;

fn operations() -> u64 {
    std::env::var("ZAE_SIM_OPERATIONS").map_or(OPERATIONS, |text| text.parse().expect("a number of operations"))
}

#[test]
fn random_requests_are_answered_alike_refused_ones_included() {
    let (mut table, mut dice) = (Table::default(), Dice::of(7));
    let (mut answers, operations) = ([0_u64; 3], operations());
    runtime().block_on(async {
        let client = client().await;
        for number in 0..operations {
            let request = match dice.of_range(0, 19) {
                0..3 => random_put(&mut dice),
                3 => {
                    let key = ItemKey { pk: format!("p{}", dice.of_range(0, 3)), sk: "s".to_owned() };
                    delete(&client, &key).await;
                    table.set(key, None, number);
                    continue;
                }
                4 => {
                    let keys = (0..4).map(|key| ItemKey { pk: format!("p{key}"), sk: "s".to_owned() });
                    Request::Read { keys: keys.collect(), strong: true }
                }
                _ => random(&mut dice),
            };
            let ours = table.apply(&request, number, 0).map(|outcome| outcome.answer);
            answers[match &ours {
                Ok(Answer::Written(_)) => 0,
                Ok(_) => 1,
                Err(_) => 2,
            }] += 1;
            let theirs = answer(&client, &request).await;
            assert_eq!(ours.is_err(), theirs.is_err(), "{request:?}: {ours:?} and {theirs:?}");
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(sorted(ours), sorted(theirs), "{request:?}");
            }
        }
    });
    assert!(answers.iter().all(|count| *count * 50 > operations), "{answers:?}: done, refused, wrong");
}

//! The table seen without the repository: what other clients, crashes and accidents leave in it.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
        ProjectionType, PutRequest, ScalarAttributeType, WriteRequest,
    },
};
use zae_limiter::Repository;

use crate::store::TestStore;

pub type Item = HashMap<String, AttributeValue>;

/// A table under a client of its own.
#[derive(Clone)]
pub struct Table {
    pub client: Client,
    pub name: String,
}

impl Table {
    pub fn of(store: &TestStore, repository: &Repository) -> Self {
        Self { client: store.client(), name: repository.stack().to_string() }
    }

    pub async fn put(&self, item: Item) {
        self.client.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    pub async fn put_all(&self, items: Vec<Item>) {
        for chunk in items.chunks(25) {
            let requests = chunk.iter().map(|item| {
                let put = PutRequest::builder().set_item(Some(item.clone())).build().unwrap();
                WriteRequest::builder().put_request(put).build()
            });
            let request = self.client.batch_write_item().request_items(&self.name, requests.collect());
            let left = request.send().await.unwrap().unprocessed_items.unwrap_or_default();
            assert!(left.is_empty(), "nothing throttles a test");
        }
    }

    pub async fn get(&self, pk: &str, sk: &str) -> Option<Item> {
        let request = self.client.get_item().table_name(&self.name).key("PK", s(pk)).key("SK", s(sk));
        request.consistent_read(true).send().await.unwrap().item
    }

    pub async fn delete(&self, pk: &str, sk: &str) {
        let request = self.client.delete_item().table_name(&self.name).key("PK", s(pk)).key("SK", s(sk));
        request.send().await.unwrap();
    }

    /// Changes text attributes of an item that exists.
    pub async fn set(&self, pk: &str, sk: &str, attributes: &[(&str, &str)]) {
        let mut item = self.get(pk, sk).await.unwrap();
        item.extend(attributes.iter().map(|(name, value)| ((*name).to_owned(), s(*value))));
        self.put(item).await;
    }

    /// All items whose partition key begins with `prefix`, by partition and sort key.
    pub async fn all(&self, prefix: &str) -> BTreeMap<(String, String), Item> {
        let mut items = BTreeMap::new();
        let mut start = None;
        loop {
            let scan = self.client.scan().table_name(&self.name).set_exclusive_start_key(start).send().await.unwrap();
            for item in scan.items.unwrap_or_default() {
                let key = (text(&item, "PK"), text(&item, "SK"));
                if key.0.starts_with(prefix) {
                    items.insert(key, item);
                }
            }
            start = scan.last_evaluated_key;
            if start.is_none() {
                return items;
            }
        }
    }
}

/// A table whose GSI2 holds keys only, as a lean deployment has it.
pub async fn lean_table(store: &TestStore, name: &str) {
    let key = |name: &str, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
    let mut request = store
        .client()
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key("PK", KeyType::Hash))
        .key_schema(key("SK", KeyType::Range));
    let mut attributes = vec!["PK".to_owned(), "SK".to_owned()];
    for index in ["GSI1", "GSI2", "GSI3", "GSI4"] {
        let (pk, sk) = (format!("{index}PK"), format!("{index}SK"));
        let definition = GlobalSecondaryIndex::builder()
            .index_name(index)
            .key_schema(key(&pk, KeyType::Hash))
            .key_schema(key(&sk, KeyType::Range))
            .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build());
        request = request.global_secondary_indexes(definition.build().unwrap());
        attributes.extend([pk, sk]);
    }
    for attribute in attributes {
        let definition =
            AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S);
        request = request.attribute_definitions(definition.build().unwrap());
    }
    request.send().await.unwrap();
}

pub fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub fn n(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub fn item(attributes: &[(&str, AttributeValue)]) -> Item {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

pub fn text(item: &Item, name: &str) -> String {
    item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

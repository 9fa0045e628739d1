//! Reads: one item, many items, a query with all its pages.
//!
//! Batches are split to DynamoDB's maximum per call, and unprocessed items are requested again, after a pause. Queries
//! follow their pages to the end unless a single page is requested, and a cursor is an opaque text that is only valid
//! for its own query.
//!
//! Reads are eventually consistent by default: for acquires, a stale image costs a failed condition at most; for
//! listings, indexes are no better. Changes of configuration use strong reads, because they decide by what they read.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{error::BuildError, types::KeysAndAttributes};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    store::{Store, rejected},
    wire::{
        Item,
        expression::Key,
        values::{get_s, s},
    },
};

/// Maximum number of items per BatchGetItem.
const BATCH: usize = 100;
/// The first pause before unprocessed items are requested again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Selects the consistency of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consistency {
    /// Half the price, and possibly stale.
    Eventual,
    /// Sees every previously acknowledged write.
    Strong,
}

/// The order of sort keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Smallest sort key first.
    Ascending,
    /// Largest sort key first, which is the newest for time-based keys.
    Descending,
}

/// The part of the table or of an index to read: one partition, or its sort keys with a common prefix.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    /// The index's name; `None` for the table itself.
    index: Option<&'static str>,
    /// The value of the partition key.
    partition: String,
    /// The prefix of sort keys.
    prefix: Option<String>,
    /// The order of sort keys.
    order: Order,
    /// Maximum number of items per page.
    limit: Option<i32>,
    /// The key after which to start.
    start: Option<Item>,
    /// For the table only; global indexes have no strong reads.
    consistency: Consistency,
}

/// One page of a query.
#[derive(Debug)]
pub(crate) struct Page {
    /// The items, complete or as projected by the index.
    pub(crate) items: Vec<Item>,
    /// The start of the next page; `None` on the last page.
    pub(crate) next: Option<Item>,
}

impl Query {
    /// Selects a partition of the table.
    pub(crate) fn table(partition: impl Into<String>) -> Self {
        Self {
            index: None,
            partition: partition.into(),
            prefix: None,
            order: Order::Ascending,
            limit: None,
            start: None,
            consistency: Consistency::Eventual,
        }
    }

    /// Selects a partition of an index.
    pub(crate) fn index(name: &'static str, partition: impl Into<String>) -> Self {
        Self { index: Some(name), ..Self::table(partition) }
    }

    /// Restricts the query to sort keys that begin with `prefix`.
    pub(crate) fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets the order of sort keys; ascending by default.
    pub(crate) fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Starts at `start`, which is the `next` of the previous page.
    pub(crate) fn starting(self, start: Item) -> Self {
        Self { start: Some(start), ..self }
    }

    /// Sets the number of items per page.
    pub(crate) fn limit(mut self, items: u32) -> Self {
        self.limit = Some(i32::try_from(items).unwrap_or(i32::MAX).max(1));
        self
    }

    /// Makes the read see every previously acknowledged write; not possible for global indexes.
    pub(crate) fn strong(mut self) -> Self {
        self.consistency = Consistency::Strong;
        self
    }

    /// Continues after the last key of a page.
    pub(crate) fn start(mut self, key: Option<Item>) -> Self {
        self.start = key;
        self
    }

    /// Returns the text with which a caller can continue after `item`.
    pub(crate) fn cursor(&self, item: &Item) -> Option<String> {
        let names = self.key_names();
        let key: Option<Vec<&str>> = names.iter().map(|name| get_s(item, name)).collect();
        Some(URL_SAFE_NO_PAD.encode(serde_json::to_vec(&key?).ok()?))
    }

    /// Continues from a cursor.
    ///
    /// # Errors
    /// If it is not a valid cursor, or belongs to another query.
    pub(crate) fn after(self, cursor: &str) -> Result<Self, ValidationError> {
        let allowed = "the `next` of a page of the same query";
        let error = || ValidationError::new("cursor", cursor, ValidationReason::Pattern { allowed });
        let text = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| error())?;
        let values: Vec<String> = serde_json::from_slice(&text).map_err(|_| error())?;
        let names = self.key_names();
        let prefix = self.prefix.as_deref().unwrap_or_default();
        if values.len() != names.len() || values[0] != self.partition || !values[1].starts_with(prefix) {
            return Err(error());
        }
        let key = names.into_iter().zip(values).map(|(name, value)| (name, s(value))).collect();
        Ok(self.start(Some(key)))
    }

    /// Returns the names of the key attributes that it reads along, partition and sort key first.
    fn key_names(&self) -> Vec<String> {
        let own = ["PK", "SK"];
        let names = self.index.into_iter().flat_map(|index| own.map(|key| format!("{index}{key}")));
        names.chain(own.map(str::to_owned)).collect()
    }
}

/// A growing pause between repeated requests.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// Starts with the shortest pause.
    pub(super) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Waits, and doubles the next wait.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}

impl Store {
    /// Reads one item.
    pub(crate) async fn get(&self, key: &Key, consistency: Consistency) -> Result<Option<Item>, RepositoryError> {
        #[cfg(feature = "sim")]
        if let Some(table) = &self.model {
            return Ok(super::model::read(self, &**table, [key], consistency).await?.pop());
        }
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key.attributes()));
        let answer = request.consistent_read(consistency == Consistency::Strong).send().await;
        Ok(answer.map_err(|error| self.fail("GetItem", error))?.item)
    }

    /// Reads the items of `keys` that exist. Duplicates are requested once; unprocessed items are requested again.
    pub(crate) async fn batch_get(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<HashMap<Key, Item>, RepositoryError> {
        let mut found = HashMap::new();
        let mut wanted: Vec<&Key> = keys.iter().collect();
        wanted.sort_unstable_by_key(|key| (&key.pk, &key.sk));
        wanted.dedup();
        #[cfg(feature = "sim")]
        if let Some(table) = &self.model {
            let items = super::model::read(self, &**table, wanted, consistency).await?;
            return Ok(items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))).collect());
        }
        for chunk in wanted.chunks(BATCH) {
            let mut open: Vec<Item> = chunk.iter().map(|key| key.attributes()).collect();
            let mut backoff = Backoff::new();
            while !open.is_empty() {
                let asked = KeysAndAttributes::builder().set_keys(Some(open));
                let asked = asked.consistent_read(consistency == Consistency::Strong).build().map_err(malformed)?;
                let answer = self.client.batch_get_item().request_items(&self.table, asked).send().await;
                let mut answer = answer.map_err(|error| self.fail("BatchGetItem", error))?;
                let items = answer.responses.as_mut().and_then(|tables| tables.remove(&self.table)).unwrap_or_default();
                found.extend(items.into_iter().filter_map(|item| Some((Key::of(&item)?, item))));
                let left = answer.unprocessed_keys.as_mut().and_then(|tables| tables.remove(&self.table));
                open = left.map(|left| left.keys).unwrap_or_default();
                if !open.is_empty() {
                    backoff.pause().await;
                }
            }
        }
        Ok(found)
    }

    /// Completes the items listed by an index, in the same order. Items without the attribute `sign` were projected by
    /// their keys only, and are read; those that no longer exist are omitted.
    pub(crate) async fn whole(&self, listed: Vec<Item>, sign: &str) -> Result<Vec<Item>, RepositoryError> {
        let lean = listed.iter().filter(|item| !item.contains_key(sign));
        let keys: Vec<Key> = lean.filter_map(Key::of).collect();
        let mut read = self.batch_get(&keys, Consistency::Eventual).await?;
        let whole = |item: Item| if item.contains_key(sign) { Some(item) } else { read.remove(&Key::of(&item)?) };
        Ok(listed.into_iter().filter_map(whole).collect())
    }

    /// Reads one page.
    pub(crate) async fn query_page(&self, query: &Query) -> Result<Page, RepositoryError> {
        let names = query.key_names();
        let mut request = self
            .client
            .query()
            .table_name(&self.table)
            .set_index_name(query.index.map(str::to_owned))
            .expression_attribute_names("#pk", &names[0])
            .expression_attribute_values(":pk", s(&query.partition))
            .consistent_read(query.consistency == Consistency::Strong)
            .scan_index_forward(query.order == Order::Ascending)
            .set_limit(query.limit)
            .set_exclusive_start_key(query.start.clone());
        request = match &query.prefix {
            Some(prefix) => request
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :sk)")
                .expression_attribute_names("#sk", &names[1])
                .expression_attribute_values(":sk", s(prefix)),
            None => request.key_condition_expression("#pk = :pk"),
        };
        let answer = request.send().await.map_err(|error| self.fail("Query", error))?;
        Ok(Page {
            items: answer.items.unwrap_or_default(),
            next: answer.last_evaluated_key.filter(|key| !key.is_empty()),
        })
    }

    /// Reads all pages.
    pub(crate) async fn query_all(&self, query: Query) -> Result<Vec<Item>, RepositoryError> {
        let mut query = query;
        let mut items = Vec::new();
        loop {
            let page = self.query_page(&query).await?;
            items.extend(page.items);
            match page.next {
                Some(next) => query.start = Some(next),
                None => return Ok(items),
            }
        }
    }
}

/// Converts an invalid request of our own into an error.
fn malformed(error: BuildError) -> RepositoryError {
    rejected("BatchGetItem", error)
}

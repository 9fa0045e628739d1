//! A table that replaces DynamoDB in a simulation: it receives the requests as DynamoDB would, expressions included,
//! and answers below the SDK.
//!
//! The seam is this low so that a simulation exercises the real expressions: an incorrect condition fails there too. It
//! only skips the SDK (serialisation, signing, retries), which is the most expensive part and not ours.

use std::{borrow::Borrow, collections::HashMap, fmt, future::Future, pin::Pin, sync::Arc};

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::time::Instant;

use crate::{
    error::{Heard, RepositoryError, ServiceMessage, StoreError, StoreErrorKind},
    store::{
        Committed, ConditionalUpdate, Consistency, HOT_ITEM, Store, TransactPart,
        bucket::{WriteReport, done, failed, lost},
    },
    wire::{
        Item,
        expression::{Expression, Key},
    },
};

/// A primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemKey {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

/// One request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Request {
    /// GetItem and BatchGetItem.
    Read {
        /// The requested items.
        keys: Vec<ItemKey>,
        /// True if every previously acknowledged write must be visible.
        strong: bool,
    },
    /// PutItem.
    Put {
        /// The item.
        item: HashMap<String, AttributeValue>,
        /// Its condition.
        condition: String,
    },
    /// UpdateItem, answered with the complete item.
    Update {
        /// The key of the item to change.
        key: ItemKey,
        /// The update; empty if nothing changes.
        update: String,
        /// The condition.
        condition: String,
        /// The names that placeholders stand for.
        names: HashMap<String, String>,
        /// The values that placeholders stand for.
        values: HashMap<String, AttributeValue>,
    },
    /// TransactWriteItems: all parts or none.
    Transact {
        /// Creations and updates; an update that changes nothing is a condition alone.
        parts: Vec<Request>,
    },
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The items that exist.
    Read(Vec<Arc<HashMap<String, AttributeValue>>>),
    /// The write succeeded; contains the new item.
    Written(Arc<HashMap<String, AttributeValue>>),
    /// The condition did not hold; contains the current item.
    Refused(Option<Arc<HashMap<String, AttributeValue>>>),
    /// All parts of a transaction were written.
    Committed,
    /// None was: the conditions of the parts with these indices did not hold.
    Cancelled(Vec<usize>),
}

/// A request's failure without a response of the service.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Rejected because of load; it had no effect.
    Throttled {
        /// DynamoDB's error code.
        code: String,
        /// Its message.
        message: String,
    },
    /// The server failed, possibly after doing the work.
    Failed,
    /// The connection broke, possibly after the work was done.
    Broken,
    /// No connection was established.
    Refused,
}

/// The future of an answer.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// A table.
pub trait Table: Send + Sync + fmt::Debug + 'static {
    /// Takes a request, which is then under way even if its answer is not awaited.
    fn call(&self, request: Request) -> Answering;

    /// Returns the `Date` of the last response, in epoch ms, if responses have one.
    fn date_ms(&self) -> Option<i64> {
        None
    }
}

impl From<Key> for ItemKey {
    fn from(Key { pk, sk }: Key) -> Self {
        Self { pk, sk }
    }
}

/// Creates the request of an update.
pub(super) fn update(key: Key, change: Expression) -> Request {
    let Expression { condition, update, names, values } = change;
    Request::Update { key: key.into(), update, condition, names, values }
}

/// Sends `request`, and records the date of its response.
async fn send(store: &Store, table: &dyn Table, answering: Answering) -> Result<Answer, Fault> {
    let answer = answering.await;
    let answered = matches!(answer, Ok(_) | Err(Fault::Throttled { .. } | Fault::Failed));
    if let Some(date) = table.date_ms().filter(|_| answered) {
        store.dates.note_ms(date, Instant::now());
    }
    answer
}

/// Reads the items of `keys` that exist.
pub(super) async fn read(
    store: &Store,
    table: &dyn Table,
    keys: impl IntoIterator<Item: Borrow<Key>>,
    consistency: Consistency,
) -> Result<Vec<Item>, RepositoryError> {
    let keys = keys.into_iter().map(|key| key.borrow().clone().into()).collect();
    let request = table.call(Request::Read { keys, strong: consistency == Consistency::Strong });
    match send(store, table, request).await {
        Ok(Answer::Read(items)) => Ok(items.into_iter().map(Arc::unwrap_or_clone).collect()),
        Ok(_) => Ok(Vec::new()),
        Err(fault) => Err(fault.error("BatchGetItem").into()),
    }
}

/// Executes a bucket's write.
pub(super) async fn write(store: &Store, table: &dyn Table, operation: &'static str, request: Request) -> WriteReport {
    match send(store, table, table.call(request)).await {
        Ok(Answer::Written(item)) => WriteReport { outcome: done(Some(&item)), units: 1.0 },
        Ok(Answer::Refused(item)) => lost(item.as_deref()).into(),
        Ok(_) => lost(None).into(),
        Err(fault) => failed(fault.error(operation)).into(),
    }
}

/// Executes a write of another item.
pub(super) async fn change(
    store: &Store,
    table: &dyn Table,
    operation: &'static str,
    request: Request,
) -> Result<ConditionalUpdate, RepositoryError> {
    match send(store, table, table.call(request)).await {
        Ok(Answer::Written(_)) => Ok(ConditionalUpdate::Done),
        Ok(Answer::Refused(item)) => Ok(ConditionalUpdate::Refused(item.map(Arc::unwrap_or_clone))),
        Ok(_) => Ok(ConditionalUpdate::Refused(None)),
        Err(fault) => Err(fault.error(operation).into()),
    }
}

/// Executes a transaction.
pub(super) async fn transact(
    store: &Store,
    table: &dyn Table,
    parts: &[TransactPart],
) -> Result<Committed, RepositoryError> {
    let request = |part: &TransactPart| match part.clone() {
        TransactPart::Put(item, Expression { condition, .. }) => Some(Request::Put { item, condition }),
        TransactPart::Update(key, change) | TransactPart::Check(key, change) => Some(update(key, change)),
        TransactPart::Delete(..) => None,
    };
    let Some(parts) = parts.iter().map(request).collect() else {
        return Err(Fault::Failed.error("TransactWriteItems").into());
    };
    match send(store, table, table.call(Request::Transact { parts })).await {
        Ok(Answer::Committed) => Ok(Committed::Done),
        Ok(Answer::Cancelled(refused)) => Ok(Committed::Refused(refused)),
        Ok(_) => Ok(Committed::Refused(Vec::new())),
        Err(fault) => Err(fault.error("TransactWriteItems").into()),
    }
}

impl Fault {
    /// Converts a fault into the error that the SDK would have produced.
    fn error(self, operation: &'static str) -> StoreError {
        let is_of_key_range = matches!(&self, Self::Throttled { message, .. } if message.contains(HOT_ITEM));
        let (kind, code, heard) = match self {
            Self::Throttled { code, message } => {
                (StoreErrorKind::NotApplied, Some(ServiceMessage { code, message: Some(message) }), Heard::Answer)
            }
            Self::Failed => {
                let said = ServiceMessage { code: "InternalServerError".to_owned(), message: None };
                (StoreErrorKind::Ambiguous, Some(said), Heard::Answer)
            }
            Self::Broken => (StoreErrorKind::Ambiguous, None, Heard::Nothing),
            Self::Refused => (StoreErrorKind::NotConnected, None, Heard::Nothing),
        };
        let source = code.as_ref().map_or_else(|| "the connection failed".to_owned(), |said| said.code.clone());
        StoreError { operation, kind, code, heard, is_of_key_range, source: source.into() }
    }
}

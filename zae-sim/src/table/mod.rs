//! A table with DynamoDB's semantics: conditional writes on items, and stale reads.

pub mod apply;
pub mod expression;
pub mod load;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use apply::Placeholders;
use aws_sdk_dynamodb::types::AttributeValue;
use zae_limiter::sim::{Answer, ItemKey, Request};

/// An item.
pub type Item = HashMap<String, AttributeValue>;

/// Time for which a version is kept for stale reads, in ms.
pub const STALE_MS: u64 = 1_000;

/// The versions of one item, the newest last, each with its time in ms.
type Versions = Vec<(u64, Option<Arc<Item>>)>;

/// A table's items.
#[derive(Clone, Debug, Default)]
pub struct Table {
    items: BTreeMap<ItemKey, Versions>,
}

/// The effect of a write.
#[derive(Clone, Debug)]
pub struct Change {
    /// The previous item.
    pub before: Option<Arc<Item>>,
    /// The new item.
    pub after: Option<Arc<Item>>,
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The answer.
    pub answer: Answer,
    /// The changes that it made: one, or those of a transaction.
    pub changes: Vec<Change>,
}

impl Table {
    /// Returns the current item.
    pub fn item(&self, key: &ItemKey) -> Option<&Arc<Item>> {
        self.items.get(key)?.last()?.1.as_ref()
    }

    /// Returns all items, in the order of their keys.
    pub fn items(&self) -> impl Iterator<Item = (&ItemKey, &Arc<Item>)> {
        self.items.iter().filter_map(|(key, versions)| Some((key, versions.last()?.1.as_ref()?)))
    }

    /// Returns the item as it was `behind` ms before `now`.
    fn item_behind(&self, key: &ItemKey, now: u64, behind: u64) -> Option<&Arc<Item>> {
        let versions = self.items.get(key)?;
        let then = now.saturating_sub(behind);
        // The oldest version that is kept stands for all earlier ones.
        let version = versions.iter().rev().find(|(at, _)| *at <= then).or_else(|| versions.first());
        version?.1.as_ref()
    }

    /// Replaces the item unconditionally with `item`, or removes it.
    pub fn set(&mut self, key: ItemKey, item: Option<Item>, now: u64) -> Change {
        self.put(key, item.map(Arc::new), now)
    }

    fn put(&mut self, key: ItemKey, after: Option<Arc<Item>>, now: u64) -> Change {
        let versions = self.items.entry(key).or_default();
        let before = versions.last().and_then(|(_, item)| item.clone());
        // The version from `STALE_MS` ago is still visible.
        let first = versions.iter().rposition(|(at, _)| at + STALE_MS <= now).unwrap_or(0);
        versions.drain(..first);
        if versions.is_empty() {
            versions.push((0, None));
        }
        versions.push((now, after.clone()));
        Change { before, after }
    }

    /// Executes `request` at `now` (ms); an eventually consistent read is `behind` ms stale.
    ///
    /// # Errors
    /// The reason for which DynamoDB would reject it.
    pub fn apply(&mut self, request: &Request, now: u64, behind: u64) -> Result<Outcome, String> {
        match request {
            Request::Read { keys, strong } => {
                let behind = if *strong { 0 } else { behind };
                let items = keys.iter().filter_map(|key| self.item_behind(key, now, behind));
                let answer = Answer::Read(items.map(Arc::clone).collect());
                Ok(Outcome { answer, changes: Vec::new() })
            }
            Request::Put { item, condition } => {
                let key = key_of(item).ok_or("an item without a key")?;
                let none = (HashMap::new(), HashMap::new());
                let by = Placeholders { names: &none.0, values: &none.1 };
                self.write(key, condition, by, now, |_, _| Ok(item.clone()))
            }
            Request::Update { key, update, condition, names, values } => {
                let by = Placeholders { names, values };
                apply::check(update, by)?;
                self.write(key.clone(), condition, by, now, |key, before| apply::updated(update, key, before, by))
            }
            Request::Transact { parts } => self.transact(parts, now),
            _ => Err("a request that this table does not know".to_owned()),
        }
    }

    /// Writes all parts, or none where a condition does not hold.
    fn transact(&mut self, parts: &[Request], now: u64) -> Result<Outcome, String> {
        let mut refused = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            let none = (HashMap::new(), HashMap::new());
            let (key, condition, by) = match part {
                Request::Put { item, condition } => {
                    let by = Placeholders { names: &none.0, values: &none.1 };
                    (key_of(item).ok_or("an item without a key")?, condition, by)
                }
                Request::Update { key, condition, names, values, .. } => {
                    (key.clone(), condition, Placeholders { names, values })
                }
                _ => return Err("a part that no transaction has".to_owned()),
            };
            if !apply::holds(condition, self.item(&key).map(|item| &**item), by)? {
                refused.push(index);
            }
        }
        if !refused.is_empty() {
            return Ok(Outcome { answer: Answer::Cancelled(refused), changes: Vec::new() });
        }
        let mut changes = Vec::new();
        let writes = parts.iter().filter(|part| !matches!(part, Request::Update { update, .. } if update.is_empty()));
        for part in writes {
            changes.extend(self.apply(part, now, 0)?.changes);
        }
        Ok(Outcome { answer: Answer::Committed, changes })
    }

    fn write(
        &mut self,
        key: ItemKey,
        condition: &str,
        by: Placeholders<'_>,
        now: u64,
        new: impl FnOnce(&ItemKey, Option<&Item>) -> Result<Item, String>,
    ) -> Result<Outcome, String> {
        let before = self.item(&key);
        let seen = before.map(|item| &**item);
        if !apply::holds(condition, seen, by)? {
            return Ok(Outcome { answer: Answer::Refused(before.cloned()), changes: Vec::new() });
        }
        let item = Arc::new(new(&key, seen)?);
        let answer = Answer::Written(Arc::clone(&item));
        let changes = vec![self.put(key, Some(item), now)];
        Ok(Outcome { answer, changes })
    }
}

/// Returns the key of an item.
pub fn key_of(item: &Item) -> Option<ItemKey> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(ItemKey { pk: text("PK")?, sk: text("SK")? })
}

/// Returns a whole number of an item; `None` if it has none.
pub fn number(item: &Item, name: &str) -> Option<i128> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

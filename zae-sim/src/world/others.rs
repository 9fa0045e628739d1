//! Actions outside of the limiters: DynamoDB's removal of expired items, operators, and Python clients.

use aws_sdk_dynamodb::types::AttributeValue;
use zae_limiter::sim::{ItemKey, Names, Request};

use super::{EPOCH, World, entity_name, history::Kind, limits, recording::Recorded};
use crate::{
    schedule::Limit,
    table::{Item, number},
};

impl World {
    /// Removes all expired items.
    pub fn sweep(&mut self) {
        let now = self.now();
        let epoch_s = (EPOCH + i64::try_from(now).unwrap_or(0)) / 1_000;
        let over = |item: &Item| number(item, "ttl").is_some_and(|ttl| ttl < i128::from(epoch_s));
        let gone: Vec<ItemKey> =
            self.table.items().filter(|(_, item)| over(item)).map(|(key, _)| key.clone()).collect();
        for key in gone {
            if let Some(entity) = self.buckets.get(&key).copied() {
                self.history.blur(entity);
                self.history.removed[entity] = true;
                self.note(Kind::Removed { entity, by: "its lifetime" });
            }
            self.record(|| Recorded::Removed(key.clone()));
            self.table.set(key, None, now);
        }
    }

    /// Deletes a bucket, regardless of its content.
    pub fn delete(&mut self, entity: usize) {
        let now = self.now();
        let keys: Vec<ItemKey> =
            self.buckets.iter().filter(|(_, whose)| **whose == entity).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.record(|| Recorded::Removed(key.clone()));
            if self.table.set(key, None, now).before.is_some() {
                self.history.blur(entity);
                self.history.removed[entity] = true;
                self.history.deleted.push((now, entity));
                self.note(Kind::Removed { entity, by: "an operator" });
            }
        }
    }

    /// Takes from a bucket as a Python client does, unless a transaction holds it.
    pub fn neighbour(&mut self, entity: usize, tokens: u64) {
        let Some(key) = self.bucket(entity) else { return };
        if !self.is_held_key(&key, self.now()) {
            self.take(entity, tokens);
        }
    }

    fn take(&mut self, entity: usize, tokens: u64) {
        let now = self.now();
        let Some(key) = self.bucket(entity) else { return };
        let amount = i64::try_from(tokens * 1_000).unwrap_or(i64::MAX);
        let request = plainly(key, amount);
        match self.table.apply(&request, now, 0) {
            Ok(outcome) => {
                self.record(|| Recorded::Request(request.clone(), outcome.answer.clone()));
                for change in &outcome.changes {
                    self.changed(None, change);
                    self.history.taken_by_neighbours(entity, i128::from(amount));
                }
            }
            Err(problem) => self.history.violate(problem),
        }
    }

    /// Starts a transaction, which locks the items of `entity` and its parent for `lasts` ms. Returns true if it could.
    pub fn begin_transaction(&mut self, entity: usize, lasts: u64) -> bool {
        let now = self.now();
        let keys: Vec<ItemKey> = self.schedule.levels(entity).filter_map(|level| self.bucket(level)).collect();
        let free = !keys.iter().any(|key| self.is_held_key(key, now));
        if free {
            self.held.retain(|(_, until)| *until > now);
            self.held.extend(keys.into_iter().map(|key| (key, now + lasts)));
        }
        free
    }

    /// Ends a transaction, which takes from both levels if both have enough.
    pub fn end_transaction(&mut self, entity: usize, tokens: u64) {
        let levels = self.schedule.levels(entity);
        let amount = i128::from(tokens) * 1_000;
        let has = |world: &Self, level: usize| {
            let item = world.bucket(level).and_then(|key| world.table.item(&key).cloned());
            item.is_some_and(|item| number(&item, "b_a_tk").is_some_and(|held| held >= amount))
        };
        let enough = levels.clone().all(|level| has(self, level));
        for level in levels.filter(|_| enough) {
            self.take(level, tokens);
        }
    }

    pub(super) fn is_held(&self, request: &Request, now: u64) -> bool {
        match request {
            Request::Put { item, .. } => crate::table::key_of(item).is_some_and(|key| self.is_held_key(&key, now)),
            Request::Update { key, .. } => self.is_held_key(key, now),
            Request::Transact { parts } => parts.iter().any(|part| self.is_held(part, now)),
            _ => false,
        }
    }

    fn is_held_key(&self, key: &ItemKey, now: u64) -> bool {
        self.held.iter().any(|(held, until)| held == key && *until > now)
    }

    /// Spreads a bucket over `shards` items, if it exists.
    pub fn shard(&mut self, entity: usize, shards: u32) {
        let now = self.now();
        let Some(key) = self.bucket(entity) else { return };
        let request = Request::Update {
            key,
            update: "SET shard_count = :shards".to_owned(),
            condition: "attribute_exists(rf) AND (attribute_not_exists(shard_count) OR shard_count < :shards)"
                .to_owned(),
            names: Default::default(),
            values: [(":shards".to_owned(), AttributeValue::N(shards.to_string()))].into(),
        };
        match self.table.apply(&request, now, 0) {
            Ok(outcome) => {
                self.record(|| Recorded::Request(request.clone(), outcome.answer.clone()));
                for change in &outcome.changes {
                    self.changed(None, change);
                    self.history.sharded[entity] = shards;
                    self.note(Kind::Sharded { entity, shards });
                }
            }
            Err(problem) => self.history.violate(problem),
        }
    }

    /// Changes the own limits of `entity`.
    pub fn limit(&mut self, entity: usize, new: &[Limit]) {
        let now = self.now();
        let Some(key) = self.configs.get(entity).cloned() else { return };
        let stored = Names::new().and_then(|names| {
            let id = zae_limiter::EntityId::new(entity_name(entity))?;
            Ok(names.limits(&id, &limits(new)?))
        });
        match stored {
            Ok(item) => {
                self.record(|| Recorded::Set(item.clone()));
                self.table.set(key, Some(item), now);
                self.note(Kind::Limited { entity });
            }
            Err(problem) => self.history.violate(problem.to_string()),
        }
    }
}

/// Takes from a bucket's first limit without considering the time.
fn plainly(key: ItemKey, amount: i64) -> Request {
    let n = |number: i64| AttributeValue::N(number.to_string());
    Request::Update {
        key,
        update: "ADD b_a_tk :less, b_a_tc :more".to_owned(),
        condition: "attribute_exists(rf) AND b_a_tk >= :more".to_owned(),
        names: Default::default(),
        values: [(":less".to_owned(), n(-amount)), (":more".to_owned(), n(amount))].into(),
    }
}

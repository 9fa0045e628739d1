//! A sequence of scenarios on one table. Each begins with the buckets that the reference left after the one before it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use zae_limiter::{
    Acquire, Clock, Cost, EntityId, Lease, Limits, ManualClock, RateLimiter, Repository, ResourceName,
    access::ConfigTarget, operation::OperationKey,
};
use zae_testkit::{Bench, DEADLINE, Wire, limits, raw, table::Table};

use super::{
    answers,
    items::{Findings, absent, normal_bucket, plain_item, raw_bucket},
};

const VECTORS: &str = include_str!("../../vectors/calls.json");

/// The principal of the reference's calls.
const PRINCIPAL: &str = "arn:aws:iam::123456789012:user/admin";

/// Returns the scenarios by name.
pub(super) fn scenarios() -> BTreeMap<String, Value> {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let scenarios = vectors["scenarios"].as_array().unwrap().iter();
    scenarios.map(|scenario| (scenario["name"].as_str().unwrap().to_owned(), scenario.clone())).collect()
}

pub(super) fn entity(id: &str) -> EntityId {
    EntityId::new(id).unwrap()
}

pub(super) fn resource(name: &str) -> ConfigTarget {
    ConfigTarget::from(ResourceName::new(name).unwrap())
}

pub(super) fn own(entity: &str, resource: &str) -> ConfigTarget {
    ConfigTarget::entity(entity, resource).unwrap()
}

pub(super) fn cost(amounts: &[(&str, u64)]) -> Cost {
    let named = amounts.iter().fold(None, |cost: Option<Cost>, (limit, tokens)| match cost {
        Some(cost) => Some(cost.and(limit, *tokens)),
        None => Some(Cost::of(limit, *tokens)),
    });
    // The cost that names nothing.
    named.unwrap_or_else(|| Cost::requests(1))
}

/// A request of the entity `u` on the resource `api`.
pub(super) fn of_u(amounts: &[(&str, u64)]) -> Acquire {
    on("u", "api", amounts)
}

pub(super) fn on(entity: &str, resource: &str, amounts: &[(&str, u64)]) -> Acquire {
    Acquire::new(entity, resource, cost(amounts)).unwrap()
}

fn leave_out(value: &mut Value, limit: &str) {
    match value {
        Value::Object(members) => {
            members.retain(|name, _| name != limit && !name.starts_with(&format!("b_{limit}_")));
            members.values_mut().for_each(|member| leave_out(member, limit));
        }
        Value::Array(values) => values.iter_mut().for_each(|value| leave_out(value, limit)),
        _ => {}
    }
}

/// Returns the count of all that was ever taken from a bucket as stored; `None` without one.
fn consumption(bucket: &Value) -> Option<i64> {
    let names = bucket.as_object()?.keys().filter(|name| name.ends_with("_tc"));
    Some(names.filter_map(|name| raw::number(bucket, name)).sum())
}

pub(super) struct Story {
    pub(super) bench: Bench,
    /// The repository of an administrator.
    pub(super) ops: Repository,
    pub(super) findings: Findings,
    table: Table,
    scenarios: BTreeMap<String, Value>,
    /// The buckets with which the next scenario begins.
    buckets: Vec<Value>,
    name: String,
    limiters: Vec<RateLimiter>,
    /// The key of the scenario's operation, where the caller gives none.
    pub(super) key: OperationKey,
}

impl Story {
    pub(super) async fn new() -> Self {
        let bench = Bench::embedded();
        let (_, repository) = bench.process().await;
        let table = Table::of(&bench.store, &repository);
        Self {
            bench,
            ops: repository.acting_as(PRINCIPAL).unwrap(),
            findings: Findings::default(),
            table,
            scenarios: scenarios(),
            buckets: Vec::new(),
            name: String::new(),
            limiters: Vec::new(),
            key: OperationKey::draw(),
        }
    }

    /// Creates a story on resource `api` with these limits.
    pub(super) async fn of(permitted: impl IntoIterator<Item = zae_limiter::Limit>) -> Self {
        let story = Self::new().await;
        story.permit("api", &limits(permitted)).await;
        story
    }

    /// Takes a limit out of all that the reference had and made.
    pub(super) fn without(mut self, limit: &str) -> Self {
        self.scenarios.values_mut().for_each(|scenario| leave_out(scenario, limit));
        self
    }

    pub(super) async fn permit(&self, resource: &str, limits: &Limits) {
        self.ops.set_resource_defaults(resource, limits.clone()).await.unwrap();
    }

    pub(super) fn ns(&self) -> &str {
        self.ops.namespace_id().as_str()
    }

    fn scenario(&self) -> &Value {
        self.scenarios.get(&self.name).unwrap_or_else(|| panic!("no scenario {}", self.name))
    }

    /// Lets the next scenario begin with the buckets that `name` ended with.
    pub(super) fn after(&mut self, name: &str) {
        self.buckets = self.scenarios[name]["buckets_after"].as_array().unwrap().clone();
    }

    /// Begins a scenario at its time.
    pub(super) async fn begin(&mut self, name: &str) {
        self.begin_early(name).await;
        self.arrive();
    }

    /// Begins a scenario before its time.
    pub(super) async fn begin_early(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.key = OperationKey::draw();
        self.restore().await;
    }

    /// Advances the clock to the time of the scenario.
    pub(super) fn arrive(&self) {
        let ahead = self.scenario()["now_ms"].as_i64().unwrap() - self.bench.clock.now_ms();
        self.bench.clock.advance(Duration::from_millis(u64::try_from(ahead).unwrap()));
    }

    async fn restore(&self) {
        for ((pk, sk), _) in self.table.all(&format!("{}/BUCKET#", self.ns())).await {
            if sk == "#STATE" {
                self.table.delete(&pk, &sk).await;
            }
        }
        for bucket in &self.buckets {
            raw::put(&self.ops, &raw_bucket(bucket, self.ns())).await;
        }
    }

    /// Changes attributes of a bucket as stored; null removes one.
    pub(super) async fn change(&self, bucket: &str, attributes: &Value) {
        let mut item = plain_item(&self.stored(&format!("NS/BUCKET#{bucket}"), "#STATE").await, self.ns());
        assert!(item.is_object(), "no bucket {bucket}");
        for (name, value) in attributes.as_object().unwrap() {
            match value {
                Value::Null => drop(item.as_object_mut().unwrap().remove(name)),
                value => item[name] = value.clone(),
            }
        }
        raw::put(&self.ops, &raw_bucket(&item, self.ns())).await;
    }

    pub(super) async fn forget(&self, bucket: &str) {
        self.table.delete(&format!("{}/BUCKET#{bucket}", self.ns()), "#STATE").await;
    }

    /// Returns an item as stored; `pk` is in the notation of the vectors.
    async fn stored(&self, pk: &str, sk: &str) -> Value {
        let pk = pk.strip_prefix("NS").map_or_else(|| pk.to_owned(), |remainder| format!("{}{remainder}", self.ns()));
        raw::get(&self.ops, &pk, sk).await
    }

    /// Creates a process that has read nothing yet.
    pub(super) async fn process(&mut self) -> (Wire, RateLimiter) {
        let (wire, repository) = self.bench.process().await;
        let limiter = RateLimiter::builder(repository).deadline(DEADLINE).build();
        self.limiters.push(limiter.clone());
        (wire, limiter)
    }

    /// Creates a process whose clock is `ahead` ms ahead.
    pub(super) async fn process_ahead(&mut self, ahead: i64) -> RateLimiter {
        let clock = Arc::new(ManualClock::at(self.bench.clock.now_ms() + ahead));
        let builder = Repository::builder().client(self.bench.store.client()).clock(clock).create_table();
        let limiter = RateLimiter::builder(builder.build().await.unwrap()).deadline(DEADLINE).build();
        self.limiters.push(limiter.clone());
        limiter
    }

    pub(super) async fn limiter(&mut self) -> RateLimiter {
        self.process().await.1
    }

    /// Plays a scenario of one acquire that is committed at once.
    pub(super) async fn take(&mut self, name: &str, request: Acquire) {
        self.begin(name).await;
        self.take_now(request).await;
    }

    /// Plays the acquire of a scenario that has begun.
    pub(super) async fn take_now(&mut self, request: Acquire) {
        let limiter = self.limiter().await;
        let answer = match limiter.acquire_with(request).await {
            Ok(lease) => {
                let answer = answers::granted(&lease);
                lease.commit().await.unwrap();
                answer
            }
            Err(error) => answers::refused(&error),
        };
        self.end(answer).await;
    }

    /// Begins a scenario whose acquire turns to a certain shard, which our client chooses for itself: an acquire that
    /// turns to another one first is undone.
    pub(super) async fn lease_on(&mut self, name: &str, shard: u32, request: &Acquire) -> Lease {
        let bucket = format!("NS/BUCKET#u#api#{shard}");
        for _ in 0..64 {
            self.begin(name).await;
            let before = consumption(&self.stored(&bucket, "#STATE").await);
            let buckets = self.count().await + usize::from(before.is_none());
            let limiter = self.limiter().await;
            let lease = limiter.acquire_with(request.clone()).await.unwrap();
            let after = consumption(&self.stored(&bucket, "#STATE").await);
            if after > before && self.count().await == buckets {
                return lease;
            }
            lease.roll_back().await.unwrap();
            limiter.shutdown().await;
        }
        panic!("shard {shard} is never chosen");
    }

    /// Returns the number of buckets.
    async fn count(&self) -> usize {
        self.table.all(&format!("{}/BUCKET#", self.ns())).await.into_keys().filter(|(_, sk)| sk == "#STATE").count()
    }

    /// Plays a scenario of one acquire on a certain shard that is committed at once.
    pub(super) async fn take_on(&mut self, name: &str, shard: u32, request: Acquire) {
        let lease = self.lease_on(name, shard, &request).await;
        let answer = answers::granted(&lease);
        lease.commit().await.unwrap();
        self.end(answer).await;
    }

    /// Compares what has become of the scenario; `answer` is null where there is none to compare.
    pub(super) async fn end(&mut self, answer: Value) {
        for limiter in self.limiters.drain(..) {
            limiter.shutdown().await;
        }
        let (name, scenario) = (self.name.clone(), self.scenario().clone());
        let expected = answers::normal(&scenario["result"]);
        match (&expected, &answers::normal(&answer)) {
            (_, Value::Null) => {}
            (Value::Object(expected), ours) => {
                for (member, value) in expected {
                    let ours = ours.get(member).cloned().unwrap_or_else(absent);
                    self.findings.compare(&name, format!("result {member}"), value, &ours);
                }
            }
            (expected, ours) => self.findings.compare(&name, "result".to_owned(), expected, ours),
        }
        self.compare_buckets(&name, &scenario).await;
        if expected.get("raises").is_none() {
            self.compare_records(&name, &scenario).await;
        }
        self.findings.played.insert(name);
    }

    async fn compare_buckets(&mut self, name: &str, scenario: &Value) {
        let Some(expected) = scenario["buckets_after"].as_array() else { return };
        let label = |bucket: &Value| bucket["PK"].as_str().unwrap().replacen("NS/BUCKET#", "", 1);
        let expected: BTreeMap<String, &Value> = expected.iter().map(|bucket| (label(bucket), bucket)).collect();
        let mut ours = BTreeMap::new();
        for ((_, sk), item) in self.table.all(&format!("{}/BUCKET#", self.ns())).await {
            if sk == "#STATE" {
                let bucket = plain_item(&raw::json_item(&item), self.ns());
                ours.insert(label(&bucket), bucket);
            }
        }
        let labels = expected.keys().chain(ours.keys()).cloned().collect::<BTreeSet<_>>();
        for label in labels {
            let (expected, ours) = (expected.get(&label).copied().unwrap_or(&Value::Null), ours.get(&label));
            let ours = ours.map_or(Value::Null, normal_bucket);
            self.findings.compare_items(name, &label, &normal_bucket(expected), &ours);
        }
        self.buckets = scenario["buckets_after"].as_array().unwrap().clone();
    }

    /// Compares the records beside buckets that the reference wrote.
    async fn compare_records(&mut self, name: &str, scenario: &Value) {
        for call in scenario["calls"].as_array().unwrap() {
            let items = call["items"].as_array();
            let transacted = items.into_iter().flatten().flat_map(|item| item.as_object().unwrap().iter());
            let writes: Vec<(&str, &Value)> = match call["op"].as_str().unwrap() {
                "PutItem" => vec![("put", call)],
                "UpdateItem" => vec![("update", call)],
                "TransactWriteItems" => transacted.map(|(kind, write)| (kind.as_str(), write)).collect(),
                _ => Vec::new(),
            };
            for (kind, write) in writes {
                let (pk, sk) = (write["pk"].as_str().unwrap(), write["sk"].as_str().unwrap());
                if sk != "#STATE" && kind != "conditioncheck" {
                    self.compare_record(name, kind, (pk, sk), write).await;
                }
            }
        }
    }

    async fn compare_record(&mut self, name: &str, kind: &str, (pk, sk): (&str, &str), write: &Value) {
        let stored = match sk {
            "#AUDIT#EVENT" => {
                let partition = pk.replacen("NS", self.ns(), 1);
                raw::partition(&self.ops, &partition).await.pop().unwrap_or(Value::Null)
            }
            "#OP#OPID" => self.stored(pk, &format!("#OP#{}", self.key)).await,
            _ => self.stored(pk, sk).await,
        };
        let mut ours = plain_item(&stored, self.ns());
        if let Some(key) = ours.get_mut("GSI4SK") {
            *key = key.as_str().unwrap().replace(self.key.as_str(), "OPID").into();
        }
        let label = format!("{} {sk}", pk.trim_start_matches("NS/"));
        match kind {
            "put" => {
                if let Some(details) = ours.get_mut("details").and_then(Value::as_object_mut) {
                    // The configuration before a change, which only we record.
                    details.retain(|name, _| !name.starts_with("previous_"));
                }
                for key in ["PK", "SK"] {
                    ours.as_object_mut().and_then(|item| item.remove(key));
                }
                self.findings.compare_items(name, &label, &write["item"], &ours);
            }
            "delete" => self.findings.compare_items(name, &label, &Value::Null, &ours),
            "update" => {
                for (attribute, value) in write["set"].as_object().into_iter().flatten().filter(|(_, v)| !v.is_array())
                {
                    let stored = ours.get(attribute).cloned().unwrap_or_else(absent);
                    self.findings.compare(name, format!("{label} {attribute}"), value, &stored);
                }
                for attribute in write["remove"].as_array().into_iter().flatten() {
                    let stored = ours.get(attribute.as_str().unwrap()).cloned().unwrap_or_else(absent);
                    self.findings.compare(name, format!("{label} {attribute}"), &absent(), &stored);
                }
            }
            other => panic!("{other}"),
        }
    }

    /// Lets the version record name these functions; null is for none.
    pub(super) async fn deployed(&self, functions: &Value) {
        let mut record = raw::get(&self.ops, "_/SYSTEM#", "#VERSION").await;
        record["lambda_version"] = match functions {
            Value::Null => json!({"NULL": true}),
            version => json!({"S": version}),
        };
        raw::put(&self.ops, &record).await;
    }
}

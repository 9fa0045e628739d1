//! Bucket items: reading them into an [`Image`], creating them, and turning a [`BucketWrite`] into an update.
//!
//! Two attributes are our own and unknown to the reference, which keeps what it does not know:
//! `z_{limit}_fr` (N), the fraction of a millitoken left over by the last refill in 1/period mt, and `z_inc` (S), which
//! creation of the bucket this is, so that a refund does not reach a bucket that was deleted and made anew.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use aws_sdk_dynamodb::types::AttributeValue;

use super::keys;
use crate::{
    bucket::{MILLI, Params},
    engine::{
        image::{Image, LimitImage, Owner, StoredParams, WcuImage},
        plan::{BucketWrite, LimitWrite, TokenWrite, Validity},
    },
    error::{RepositoryError, Unsupported},
    model::name::{EntityId, LimitName, NamespaceId, ResourceName, WCU},
    repository::store::{Expression, Item},
};

pub(super) const REFILL: &str = "rf";
pub(super) const SHARDS: &str = "shard_count";
const VALID_UNTIL: &str = "vu";
const INCARNATION: &str = "z_inc";
/// Features of newer clients that a plain conditional write would enforce wrongly.
const UNSUPPORTED: [&str; 5] = ["disabled", "bypass", "sched", "rsched", "sched_tz"];
const UNSUPPORTED_FIELDS: [&str; 10] =
    ["_soft", "_sched", "_rsched", "_ws", "_rsa", "_wa", "_wtc", "_gc", "_tu", "_rn"];
/// The reserved limit on a new bucket: 1000 write units, refilled at 1000 per second.
const WCU_PARAMS: Params = Params { capacity: 1_000 * MILLI, refill: 1_000 * MILLI, period: 1_000 };

pub(super) fn fraction_attr(limit: &str) -> String {
    format!("z_{limit}_fr")
}

fn n(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// Reads a bucket item. `None` when it is no bucket: a skeleton that an adjustment left behind has no refill instant.
///
/// # Errors
/// `Unsupported` when the item uses a feature of newer clients, `Malformed` when a number is none.
pub(crate) fn decode(item: &Item) -> Result<Option<Image>, RepositoryError> {
    let key = || item.get("PK").and_then(|v| v.as_s().ok()).cloned().unwrap_or_default();
    let number = |name: &str| -> Result<Option<i64>, RepositoryError> {
        let Some(value) = item.get(name) else { return Ok(None) };
        let parsed = value.as_n().ok().and_then(|text| text.parse::<i64>().ok());
        parsed.map(Some).ok_or_else(|| RepositoryError::Malformed {
            key: key(),
            problem: format!("attribute {name} is not a whole number of 64 bits"),
        })
    };
    let Some(last_refill) = number(REFILL)? else { return Ok(None) };
    if let Some(attribute) = unsupported(item) {
        return Err(Unsupported { attribute, item: key() }.into());
    }
    let mut image = Image {
        last_refill,
        shard_count: number(SHARDS)?.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX)),
        ttl: number("ttl")?,
        valid_until: number(VALID_UNTIL)?,
        owner: Owner {
            cascade: matches!(item.get("cascade"), Some(AttributeValue::Bool(true))),
            parent: item.get("parent_id").and_then(|v| v.as_s().ok()).map(|parent| parent.as_str().into()),
        },
        owner_stamped: item.contains_key("pgen") || item.contains_key("pinc"),
        incarnation: item.get(INCARNATION).and_then(|v| v.as_s().ok()).map(|text| text.as_str().into()),
        ..Image::default()
    };
    let stored_params = |name: &str| -> Result<StoredParams, RepositoryError> {
        let field = |field| number(&keys::bucket_attr(name, field));
        Ok(StoredParams { capacity: field("cp")?, refill: field("ra")?, period: field("rp")? })
    };
    let mut names: Vec<&str> = item.keys().filter_map(|name| keys::parse_bucket_attr(name)).map(|(l, _)| l).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let tokens = number(&keys::bucket_attr(name, "tk"))?;
        let params = stored_params(name)?;
        if name == WCU {
            image.wcu = tokens.zip(params.complete()).map(|(tokens, params)| WcuImage { tokens, params });
            continue;
        }
        // A name that is no limit name cannot have been written by any client; it can't be charged either.
        let Ok(name) = LimitName::new(name) else { continue };
        image.limits.push(LimitImage {
            tokens,
            params,
            fraction: number(&fraction_attr(name.as_str()))?.unwrap_or(0),
            consumed: number(&keys::bucket_attr(name.as_str(), "tc"))?,
            name,
        });
    }
    Ok(Some(image))
}

fn unsupported(item: &Item) -> Option<String> {
    if let Some(name) = UNSUPPORTED.iter().find(|name| item.contains_key(**name)) {
        return Some((*name).to_owned());
    }
    // `a_ws` is a fine name for a limit: its own `b_a_ws_tk` ends in a known field.
    let per_limit =
        |name: &&String| name.starts_with("b_") && UNSUPPORTED_FIELDS.iter().any(|field| name.ends_with(field));
    item.keys().find(per_limit).cloned()
}

/// Everything a new bucket starts with.
#[derive(Debug)]
pub(crate) struct NewBucket<'a> {
    pub(crate) namespace: &'a NamespaceId,
    pub(crate) entity: &'a EntityId,
    pub(crate) resource: &'a ResourceName,
    pub(crate) shard: u32,
    pub(crate) image: &'a Image,
}

/// The item of a new bucket.
pub(crate) fn encode_new(bucket: &NewBucket<'_>) -> Item {
    let NewBucket { namespace, entity, resource, shard, image } = bucket;
    let (ns, id, res) = (namespace.as_str(), entity.as_str(), resource.as_str());
    let mut item = HashMap::from([
        ("PK".to_owned(), s(keys::pk_bucket(ns, id, res, *shard))),
        ("SK".to_owned(), s(keys::sk_state())),
        ("entity_id".to_owned(), s(id)),
        ("resource".to_owned(), s(res)),
        (REFILL.to_owned(), n(image.last_refill)),
        ("cascade".to_owned(), AttributeValue::Bool(image.owner.cascade)),
        (SHARDS.to_owned(), n(i64::from(image.shards()))),
        ("GSI2PK".to_owned(), s(keys::gsi2_pk_resource(ns, res))),
        ("GSI2SK".to_owned(), s(keys::gsi2_sk_bucket(id, *shard))),
        ("GSI3PK".to_owned(), s(keys::gsi3_pk_entity(ns, id))),
        ("GSI3SK".to_owned(), s(keys::gsi3_sk_bucket(res, *shard))),
        ("GSI4PK".to_owned(), s(ns)),
        ("GSI4SK".to_owned(), s(keys::gsi4_sk_bucket(id, res, *shard))),
    ]);
    if let Some(parent) = &image.owner.parent {
        item.insert("parent_id".to_owned(), s(&**parent));
    }
    if let Some(ttl) = image.ttl {
        item.insert("ttl".to_owned(), n(ttl));
    }
    if let Some(incarnation) = &image.incarnation {
        item.insert(INCARNATION.to_owned(), s(&**incarnation));
    }
    let mut put = |name: &str, tokens: i64, params: StoredParams, consumed: i64| {
        let fields = [
            ("tk", Some(tokens)),
            ("cp", params.capacity),
            ("ra", params.refill),
            ("rp", params.period),
            ("tc", Some(consumed)),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                item.insert(keys::bucket_attr(name, field), n(value));
            }
        }
    };
    put(WCU, WCU_PARAMS.capacity, WCU_PARAMS.into(), 0);
    for limit in &image.limits {
        put(limit.name.as_str(), limit.tokens.unwrap_or(0), limit.params, limit.consumed.unwrap_or(0));
    }
    item
}

/// The reserved limit of a new bucket, as an image has it.
pub(crate) fn new_wcu() -> WcuImage {
    WcuImage { tokens: WCU_PARAMS.capacity, params: WCU_PARAMS }
}

/// The parts of an UpdateItem request.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) condition: String,
    pub(crate) expression: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// Collects names and values under numbered placeholders: limit names may have characters that placeholders may not. On the
/// way of every write, so the clauses are put together as they come.
struct Expressions {
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    condition: Clause,
    set: Clause,
    add: Clause,
    remove: Clause,
}

type Placeholder = Cow<'static, str>;

/// The first placeholders, more than a write usually needs, made once.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!("#{number}")).collect());
static VALUES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!(":{number}")).collect());

fn placeholder(number: usize, made: &'static LazyLock<Vec<String>>, sign: &str) -> Placeholder {
    made.get(number).map_or_else(|| Cow::Owned(format!("{sign}{number}")), |made| Cow::Borrowed(made.as_str()))
}

/// Parts with something between them.
struct Clause {
    text: String,
    between: &'static str,
}

impl Clause {
    fn new(capacity: usize, between: &'static str) -> Self {
        Self { text: String::with_capacity(capacity), between }
    }

    fn push(&mut self, parts: &[&str]) {
        if !self.text.is_empty() {
            self.text.push_str(self.between);
        }
        parts.iter().for_each(|part| self.text.push_str(part));
    }
}

impl Expressions {
    /// Room for a plain write of two limits.
    fn new() -> Self {
        Self {
            names: HashMap::with_capacity(20),
            values: HashMap::with_capacity(20),
            condition: Clause::new(320, " AND "),
            set: Clause::new(64, ", "),
            add: Clause::new(64, ", "),
            remove: Clause::new(0, ", "),
        }
    }

    fn name(&mut self, attribute: impl Into<String>) -> Placeholder {
        let placeholder = placeholder(self.names.len(), &NAMES, "#");
        self.names.insert(placeholder.to_string(), attribute.into());
        placeholder
    }

    fn value(&mut self, value: AttributeValue) -> Placeholder {
        let placeholder = placeholder(self.values.len(), &VALUES, ":");
        self.values.insert(placeholder.to_string(), value);
        placeholder
    }

    /// The attribute must have this value, or be absent.
    fn expect(&mut self, name: &str, value: Option<AttributeValue>) {
        match value {
            Some(value) => {
                let value = self.value(value);
                self.condition.push(&[name, " = ", &value]);
            }
            None => self.condition.push(&["attribute_not_exists(", name, ")"]),
        }
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        let value = self.value(value);
        self.set.push(&[name, " = ", &value]);
    }

    fn add(&mut self, name: &str, value: i64) {
        let value = self.value(n(value));
        self.add.push(&[name, " ", &value]);
    }

    fn set_or_remove(&mut self, name: &str, value: Option<AttributeValue>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove.push(&[name]),
        }
    }

    fn limit(&mut self, limit: &LimitWrite) {
        let attribute = |field| keys::bucket_attr(limit.name.as_str(), field);
        let tokens = self.name(attribute("tk"));
        match limit.tokens {
            TokenWrite::Add { delta, at_least, at_most } => {
                if let Some(least) = at_least {
                    let least = self.value(n(least));
                    self.condition.push(&[&tokens, " >= ", &least]);
                }
                let most = self.value(n(at_most));
                self.condition.push(&[&tokens, " <= ", &most]);
                self.add(&tokens, delta);
            }
            TokenWrite::Set { to, from } => {
                self.expect(&tokens, from.map(n));
                self.set(&tokens, n(to));
            }
        }
        // The counter exists on every limit that was ever written, also when nothing is consumed.
        if limit.consumed != 0 || limit.set_params.is_some() {
            let consumed = self.name(attribute("tc"));
            self.add(&consumed, limit.consumed);
        }
        let stored = limit.expect_params;
        let wanted = limit.set_params;
        for (field, stored, wanted) in [
            ("cp", stored.capacity, wanted.map(|p| p.capacity)),
            ("ra", stored.refill, wanted.map(|p| p.refill)),
            ("rp", stored.period, wanted.map(|p| p.period)),
        ] {
            let wanted = wanted.filter(|wanted| stored != Some(*wanted));
            // Where none of them is stored, one speaks for all: expressions are short of room.
            let expected = limit.expect_params != StoredParams::default() || field == "cp";
            if !expected && wanted.is_none() {
                continue;
            }
            let name = self.name(attribute(field));
            if expected {
                self.expect(&name, stored.map(n));
            }
            if let Some(wanted) = wanted {
                self.set(&name, n(wanted));
            }
        }
        if limit.expect_fraction.is_none() && limit.set_fraction.is_none() {
            return;
        }
        let name = self.name(fraction_attr(limit.name.as_str()));
        if let Some(fraction) = limit.expect_fraction {
            self.expect(&name, Some(n(fraction)));
        }
        if let Some(fraction) = limit.set_fraction {
            self.set_or_remove(&name, (fraction != 0).then(|| n(fraction)));
        }
    }

    fn finish(self) -> Update {
        let mut expression = Clause::new(160, " ");
        for (keyword, clause) in [("SET ", &self.set), ("ADD ", &self.add), ("REMOVE ", &self.remove)] {
            if !clause.text.is_empty() {
                expression.push(&[keyword, &clause.text]);
            }
        }
        Update { condition: self.condition.text, expression: expression.text, names: self.names, values: self.values }
    }
}

/// Turns a write into an update. The expression is empty when there is nothing to change.
pub(crate) fn encode_update(write: &BucketWrite) -> Update {
    let mut e = Expressions::new();
    let refill = e.name(REFILL);
    match write.expect_refill {
        Some(at) => e.expect(&refill, Some(n(at))),
        // Whatever it is, it must be there: an item without it is no bucket.
        None => e.condition.push(&["attribute_exists(", &refill, ")"]),
    }
    let shards = e.name(SHARDS);
    e.expect(&shards, write.expect_shards.map(|count| n(i64::from(count))));
    // These two are stamped onto buckets without anything else that would stop a plain write.
    for feature in ["disabled", "bypass"] {
        let feature = e.name(feature);
        e.expect(&feature, None);
    }
    let valid = e.name(VALID_UNTIL);
    match write.expect_valid {
        Validity::AbsentOrAfter(now) => {
            let now = e.value(n(now));
            e.condition.push(&["(attribute_not_exists(", &valid, ") OR ", &valid, " > ", &now, ")"]);
        }
        Validity::Expired(stamp) => {
            e.expect(&valid, Some(n(stamp)));
            e.remove.push(&[&valid]);
        }
    }
    if let Some(incarnation) = &write.expect_incarnation {
        let name = e.name(INCARNATION);
        e.expect(&name, incarnation.as_deref().map(s));
    }
    if let Some(at) = write.set_refill {
        e.set(&refill, n(at));
    }
    for limit in &write.limits {
        e.limit(limit);
    }
    if write.wcu_credit != 0 {
        let name = e.name(keys::bucket_attr(WCU, "tk"));
        e.add(&name, write.wcu_credit);
    }
    if let Some(ttl) = write.set_ttl {
        let name = e.name("ttl");
        e.set_or_remove(&name, ttl.map(n));
    }
    if let Some(owner) = &write.set_owner {
        let cascade = e.name("cascade");
        e.set(&cascade, AttributeValue::Bool(owner.cascade));
        let parent = e.name("parent_id");
        e.set_or_remove(&parent, owner.parent.as_deref().map(s));
    }
    e.finish()
}

/// Takes `limit` off its bucket, unless somebody consumed from it or was refunded since the image.
pub(crate) fn encode_removal(limit: &LimitImage) -> Expression {
    let name = limit.name.as_str();
    let fields = ["tk", "cp", "ra", "rp", "tc"].map(|field| keys::bucket_attr(name, field));
    let attributes = fields.into_iter().chain([fraction_attr(name)]);
    let mut removal = Expression::default();
    let mut placeholders = Vec::new();
    for (index, attribute) in attributes.enumerate() {
        let placeholder = format!("#{index}");
        removal = removal.name(&placeholder, attribute);
        placeholders.push(placeholder);
    }
    removal.update = format!("REMOVE {}", placeholders.join(", "));
    match limit.consumed {
        Some(consumed) => removal.when("attribute_exists(PK) AND #4 = :consumed").value(":consumed", n(consumed)),
        None => removal.when("attribute_exists(PK) AND attribute_not_exists(#4)"),
    }
}

//! One record of the stream.
//!
//! A record is JSON as Lambda delivers it. Only three kinds matter here: a bucket that was created or changed, an audit
//! event that was removed, and an item without a namespace, which a deployment has to migrate. All others are
//! [`StreamChange::Other`].
//!
//! Consumption is the difference of the counters `tc` between the old and the new image, and not of the balances:
//! refills change balances, and only consumption changes the counters. A stream without old images is therefore an
//! error, because counting whole counters would count everything again.

use serde_json::Value;

use super::archive::RemovedAuditEvent;
use crate::{
    bucket::{clamp, image::Image},
    error::RepositoryError,
    model::name::WCU,
    wire::{Item, bucket, keys, sequence::SequenceNumber, values},
};

/// A record with its position in the stream.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StreamRecord {
    /// Its position, by which a failed record is reported to Lambda.
    pub sequence: SequenceNumber,
    /// The change.
    pub change: StreamChange,
}

/// The subject of a record.
///
/// See the [module](crate::stream) for an example.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StreamChange {
    /// A bucket was created or changed.
    Bucket(Box<BucketChange>),
    /// An audit event was removed, usually because its retention ended.
    AuditRemoved(RemovedAuditEvent),
    /// An item whose key has no namespace, from an old table without namespaces.
    Foreign(String),
    /// Anything else, which is ignored.
    Other,
}

/// A created or changed bucket.
///
/// See the [module](crate::stream) for an example.
///
/// Names are those in the key; the writes that follow validate them.
#[derive(Clone, Debug)]
pub struct BucketChange {
    /// The namespace's id.
    pub(super) namespace: String,
    /// The entity's id, not validated.
    pub(super) entity: String,
    /// The resource's name, not validated.
    pub(super) resource: String,
    /// The shard's index.
    pub(super) shard: u32,
    /// Time of the change, epoch ms.
    pub(super) at: i64,
    /// Consumption by limit, in mt; only limits that changed.
    pub(super) consumed: Vec<(String, i64)>,
    /// The soft limits that consumed tokens and were in debt afterwards.
    pub(super) overdrawn: Vec<String>,
    /// Its previous number of shards, if it existed.
    pub(super) shards_before: Option<u32>,
    /// Its previous refill instant, in epoch ms.
    pub(super) refilled_before: Option<i64>,
    /// The new item; `None` if it is not a bucket, or uses features of newer clients.
    pub(super) image: Option<Image>,
}

impl BucketChange {
    /// Returns the bucket's entity.
    pub fn entity(&self) -> &str {
        &self.entity
    }

    /// Returns the bucket's resource.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Returns true if anything was consumed or given back.
    pub fn has_consumption(&self) -> bool {
        !self.consumed.is_empty()
    }

    /// Returns the time of the change, in epoch ms.
    pub fn at_ms(&self) -> i64 {
        self.at
    }
}

/// A record that is permanently unreadable.
///
/// ```
/// use zae_limiter::stream::StreamRecord;
/// let error = StreamRecord::parse(&serde_json::json!({ "eventName": "INSERT" })).unwrap_err();
/// assert_eq!(error.record, "without a sequence number");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stream record {record} cannot be read: {problem}")]
#[non_exhaustive]
pub struct StreamRecordError {
    /// Its sequence number, or `without a sequence number`.
    pub record: String,
    /// Its position, if it has one.
    pub sequence: Option<SequenceNumber>,
    /// Description of the problem.
    pub problem: String,
}

impl StreamRecord {
    /// Parses a record as Lambda delivers it: `eventName`, and `dynamodb` with images in DynamoDB's JSON.
    ///
    /// # Errors
    /// [`StreamRecordError`] if a number is invalid, or a required part is missing.
    pub fn parse(record: &Value) -> Result<Self, StreamRecordError> {
        let dynamodb = &record["dynamodb"];
        let text = dynamodb["SequenceNumber"].as_str();
        let sequence = text.and_then(SequenceNumber::new);
        let fail = |problem: String| StreamRecordError {
            record: text.unwrap_or("without a sequence number").to_owned(),
            sequence: sequence.clone(),
            problem,
        };
        let Some(sequence) = sequence.clone() else { return Err(fail("it has no sequence number".to_owned())) };
        let image = |name: &str| match dynamodb.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(image) => values::from_wire(image).map(Some).map_err(|problem| fail(format!("{name}: {problem}"))),
        };
        let change = match record["eventName"].as_str() {
            Some(kind @ ("INSERT" | "MODIFY")) => {
                let Some(new) = image("NewImage")? else { return Err(fail("it has no new image".to_owned())) };
                let pk = values::get_s(&new, "PK").unwrap_or_default();
                if keys::parse_namespace(pk).is_none() {
                    StreamChange::Foreign(pk.to_owned())
                } else if values::get_s(&new, "SK") != Some(keys::sk_state()) {
                    StreamChange::Other
                } else if keys::parse_bucket_pk(pk).is_some() {
                    let old = image("OldImage")?;
                    if kind == "MODIFY" && old.is_none() {
                        let problem = "a change without the old image: the stream must have new and old images";
                        return Err(fail(problem.to_owned()));
                    }
                    let at = creation(&dynamodb["ApproximateCreationDateTime"]);
                    StreamChange::Bucket(Box::new(bucket_change(&new, old.as_ref(), at).map_err(fail)?))
                } else {
                    StreamChange::Other
                }
            }
            Some("REMOVE") => match image("OldImage")? {
                Some(old) => match keys::parse_namespace(values::get_s(&old, "PK").unwrap_or_default()) {
                    Some((_, rest)) if rest.starts_with("AUDIT#") => {
                        StreamChange::AuditRemoved(RemovedAuditEvent::new(&old).map_err(fail)?)
                    }
                    _ => StreamChange::Other,
                },
                None => StreamChange::Other,
            },
            Some(other) => return Err(fail(format!("its kind is '{other}'"))),
            None => return Err(fail("it has no kind".to_owned())),
        };
        Ok(Self { sequence, change })
    }
}

#[cfg(feature = "sim")]
impl StreamRecord {
    /// Creates the record of a change of a bucket from `old` to `new` at `at` (epoch ms).
    ///
    /// # Errors
    /// The reason why it is not a valid record.
    pub(crate) fn of_bucket(sequence: SequenceNumber, old: Option<&Item>, new: &Item, at: i64) -> Result<Self, String> {
        Ok(Self { sequence, change: StreamChange::Bucket(Box::new(bucket_change(new, old, Some(at))?)) })
    }
}

/// Converts seconds since 1970, possibly fractional, to ms. The stream's own clock is coarse, as are the windows that
/// are counted.
fn creation(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite())?;
    Some((seconds * 1_000.0) as i64)
}

/// Compares a bucket's images.
fn bucket_change(new: &Item, old: Option<&Item>, at: Option<i64>) -> Result<BucketChange, String> {
    let number = |item: &Item, name: &str| match item.get(name) {
        None => Ok(None),
        Some(value) => {
            let parsed = value.as_n().ok().and_then(|text| text.parse::<i64>().ok());
            parsed.map(Some).ok_or_else(|| format!("attribute {name} is not a whole number of 64 bits"))
        }
    };
    let pk = values::get_s(new, "PK").unwrap_or_default();
    let address = keys::parse_bucket_pk(pk).ok_or_else(|| format!("{pk} is no bucket's key"))?;
    let (mut consumed, mut overdrawn) = (Vec::new(), Vec::new());
    let count = |item: &Item, name: &str| match item.get(name) {
        None => Ok(0),
        Some(value) => values::counter(value).ok_or_else(|| format!("attribute {name} is not a number")),
    };
    for name in new.keys() {
        let Some((limit, "tc")) = keys::parse_bucket_attr(name) else { continue };
        if limit == WCU {
            continue;
        }
        let now = count(new, name)?;
        // A new limit had not consumed anything before.
        let before = old.map(|old| count(old, name)).transpose()?.unwrap_or(0);
        let delta = clamp(now.saturating_sub(before));
        if delta != 0 {
            consumed.push((limit.to_owned(), delta));
        }
        let is_soft = new.contains_key(&keys::bucket_attr(limit, "soft"));
        let tokens = new.get(&keys::bucket_attr(limit, "tk")).and_then(values::counter);
        if delta > 0 && is_soft && tokens.is_some_and(|tokens| tokens < 0) {
            overdrawn.push(limit.to_owned());
        }
    }
    consumed.sort_unstable();
    let image = match bucket::decode_plain(new) {
        Ok(image) => image,
        // Buckets that only newer clients understand are left to those, but their consumption is counted.
        Err(RepositoryError::Unsupported(_)) => None,
        Err(error) => return Err(error.to_string()),
    };
    let shards_before = old.map(|old| number(old, "shard_count")).transpose()?.map(|count| count.unwrap_or(1));
    let shards_before = shards_before.map(|count| u32::try_from(count.max(1)).unwrap_or(u32::MAX));
    let refilled = image.as_ref().map(|image| image.last_refill);
    Ok(BucketChange {
        namespace: address.namespace.to_owned(),
        entity: address.entity.to_owned(),
        resource: address.resource.to_owned(),
        shard: address.shard,
        // Without the time of the event, the last refill is the best known approximation.
        at: at.or(refilled).ok_or_else(|| "it has no time".to_owned())?,
        consumed,
        overdrawn,
        shards_before,
        refilled_before: old.map(|old| number(old, "rf")).transpose()?.flatten(),
        image,
    })
}

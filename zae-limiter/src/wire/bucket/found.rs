//! The attributes of a bucket's item, found in one walk over it.
//!
//! Every answer of a write is read here. A lookup by name takes a hash and a comparison for each attribute of each
//! limit, and has to build the name first; a walk takes one comparison with the few fixed names and splits the others
//! at their last underscore. Values are borrowed, and nothing is parsed that is not there.
//!
//! Attributes that are not understood are sorted into three kinds: what says nothing about limits (keys, names) is
//! passed over, what may be left of a quota is collected with its value, and what would be enforced wrongly is reported
//! by name.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AHEAD, BYPASS, CASCADE, DISABLED, FRACTION, INCARNATION, LAST_REFUND, QUOTA_FIELDS, REFILL, REFUND_SLOTS, REFUNDED,
    SHARDS, SHARED, TTL, VALID_UNTIL,
    quota::{RESETS, SCHEDULE, ZONE},
};
use crate::wire::{
    Item, keys,
    owner::{self, PARENT},
};

/// The attributes of a bucket that an item has.
#[derive(Debug, Default)]
pub(super) struct Found<'a> {
    /// `rf`.
    pub(super) last_refill: Option<&'a AttributeValue>,
    /// `shard_count`.
    pub(super) shards: Option<&'a AttributeValue>,
    /// `ttl`.
    pub(super) ttl: Option<&'a AttributeValue>,
    /// `vu`.
    pub(super) valid_until: Option<&'a AttributeValue>,
    /// `cascade`.
    pub(super) cascade: Option<&'a AttributeValue>,
    /// `parent_id`.
    pub(super) parent: Option<&'a AttributeValue>,
    /// `z_inc`.
    pub(super) incarnation: Option<&'a AttributeValue>,
    /// `z_ahead`.
    pub(super) ahead: Option<&'a AttributeValue>,
    /// `z_rid`.
    pub(super) last_refund: Option<&'a AttributeValue>,
    /// `z_r0`, `z_r1`, …
    pub(super) refund_slots: Vec<(usize, &'a AttributeValue)>,
    /// `z_shared`.
    pub(super) shared: Option<&'a AttributeValue>,
    /// `disabled`.
    pub(super) disabled: Option<&'a AttributeValue>,
    /// `sched`.
    pub(super) schedule: Option<&'a AttributeValue>,
    /// `rsched`.
    pub(super) resets: Option<&'a AttributeValue>,
    /// `sched_tz`.
    pub(super) zone: Option<&'a AttributeValue>,
    /// `pinc`.
    pub(super) owner_incarnation: Option<&'a AttributeValue>,
    /// `pgen`.
    pub(super) owner_generation: Option<&'a AttributeValue>,
    /// `bypass`.
    pub(super) bypass: Option<&'a AttributeValue>,
    /// Attributes that are over unless their limit is a quota.
    pub(super) leftovers: Vec<(&'a str, &'a AttributeValue)>,
    /// By name.
    pub(super) limits: Vec<FoundLimit<'a>>,
}

/// The attributes of one limit that an item has.
#[derive(Debug, Default)]
pub(super) struct FoundLimit<'a> {
    /// The limit's name, unchecked.
    pub(super) name: &'a str,
    /// `tk`.
    pub(super) tokens: Option<&'a AttributeValue>,
    /// `cp`.
    pub(super) capacity: Option<&'a AttributeValue>,
    /// `ra`.
    pub(super) refill: Option<&'a AttributeValue>,
    /// `rp`.
    pub(super) period: Option<&'a AttributeValue>,
    /// `tc`.
    pub(super) consumed: Option<&'a AttributeValue>,
    /// `b_{limit}_soft`.
    pub(super) soft: Option<&'a AttributeValue>,
    /// `z_{limit}_fr`.
    pub(super) fraction: Option<&'a AttributeValue>,
    /// `z_{limit}_rb`.
    pub(super) refunded: Option<&'a AttributeValue>,
    /// `sched`, its own.
    pub(super) schedule: Option<&'a AttributeValue>,
    /// `rsched`, its own.
    pub(super) resets: Option<&'a AttributeValue>,
    /// `gc`.
    pub(super) grant_count: Option<&'a AttributeValue>,
    /// `tu`.
    pub(super) topped_up: Option<&'a AttributeValue>,
    /// `rn`.
    pub(super) resets_by_hand: Option<&'a AttributeValue>,
    /// `rsa`.
    pub(super) length: Option<&'a AttributeValue>,
    /// `ws`.
    pub(super) window: Option<&'a AttributeValue>,
    /// `wa`.
    pub(super) applied: Option<&'a AttributeValue>,
    /// `wtc`.
    pub(super) counter_mark: Option<&'a AttributeValue>,
}

impl<'a> Found<'a> {
    /// Walks over the item. Our own attributes wait until all limits are known: one of a limit that is not there is
    /// nothing.
    pub(super) fn in_item(item: &'a Item) -> Self {
        let mut found = Self::default();
        let mut ours = Vec::new();
        for (name, value) in item {
            match name.as_str() {
                REFILL => found.last_refill = Some(value),
                SHARDS => found.shards = Some(value),
                TTL => found.ttl = Some(value),
                VALID_UNTIL => found.valid_until = Some(value),
                CASCADE => found.cascade = Some(value),
                PARENT => found.parent = Some(value),
                INCARNATION => found.incarnation = Some(value),
                AHEAD => found.ahead = Some(value),
                LAST_REFUND => found.last_refund = Some(value),
                SHARED => found.shared = Some(value),
                DISABLED => found.disabled = Some(value),
                BYPASS => found.bypass = Some(value),
                SCHEDULE => found.schedule = Some(value),
                RESETS => found.resets = Some(value),
                ZONE => found.zone = Some(value),
                owner::INCARNATION => found.owner_incarnation = Some(value),
                owner::GENERATION => found.owner_generation = Some(value),
                other => match keys::parse_bucket_attr(other) {
                    Some((limit, field)) => found.limit(limit, field, other, value),
                    None => match refund_slot(other) {
                        Some(slot) => found.refund_slots.push((slot, value)),
                        None => ours.extend(ours_of(other).map(|(limit, field)| (limit, field, value))),
                    },
                },
            }
        }
        for (limit, field, value) in ours {
            let Some(stored) = found.limits.iter_mut().find(|stored| stored.name == limit) else { continue };
            match field {
                Ours::Fraction => stored.fraction = Some(value),
                Ours::Refunded => stored.refunded = Some(value),
            }
        }
        found.limits.sort_unstable_by_key(|stored| stored.name);
        found
    }

    /// Sorts in one attribute of a limit.
    fn limit(&mut self, name: &'a str, field: &str, attribute: &'a str, value: &'a AttributeValue) {
        let index = self.limits.iter().position(|stored| stored.name == name).unwrap_or_else(|| {
            self.limits.push(FoundLimit { name, ..FoundLimit::default() });
            self.limits.len() - 1
        });
        let stored = &mut self.limits[index];
        match field {
            "tk" => stored.tokens = Some(value),
            "cp" => stored.capacity = Some(value),
            "ra" => stored.refill = Some(value),
            "rp" => stored.period = Some(value),
            "tc" => stored.consumed = Some(value),
            "soft" => stored.soft = Some(value),
            // `a_ws` is a fine name for a limit: its own `b_a_ws_tk` ends in a known field.
            SCHEDULE => stored.schedule = Some(value),
            RESETS => stored.resets = Some(value),
            _ if QUOTA_FIELDS.iter().any(|quota| attribute.ends_with(quota)) => {
                match field {
                    "gc" => stored.grant_count = Some(value),
                    "tu" => stored.topped_up = Some(value),
                    "rn" => stored.resets_by_hand = Some(value),
                    "rsa" => stored.length = Some(value),
                    "ws" => stored.window = Some(value),
                    "wa" => stored.applied = Some(value),
                    "wtc" => stored.counter_mark = Some(value),
                    _ => {}
                }
                self.leftovers.push((attribute, value));
            }
            _ => {}
        }
    }
}

/// Tells the slot of an attribute that has a refund's number.
fn refund_slot(attribute: &str) -> Option<usize> {
    REFUND_SLOTS.iter().position(|slot| *slot == attribute)
}

/// An attribute of one limit that only our clients know.
enum Ours {
    /// The remainder of the last refill.
    Fraction,
    /// The count of refunds.
    Refunded,
}

/// Tells the limit and the field of an attribute of ours.
fn ours_of(attribute: &str) -> Option<(&str, Ours)> {
    let rest = attribute.strip_prefix("z_")?;
    let of = |end, field| Some((rest.strip_suffix(end)?, field));
    of(FRACTION, Ours::Fraction).or_else(|| of(REFUNDED, Ours::Refunded))
}

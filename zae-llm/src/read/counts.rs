//! Counts of tokens in a usage object, by the shapes of the providers: [`parse`].
//!
//! A usage object is processed in three steps:
//!
//! 1. *Select the shape.* The first one for this location with all members of one sign ([`is_marked`]).
//! 2. *Read the counts.* Each [`Kind`] has paths, of which the first that leads to a value counts ([`Counts::read`]). A
//!    path may lead through objects, and through a list to the object with some member, as in
//!    `promptTokensDetails[modality=AUDIO]`. Steps that the counts omit are added, such as Anthropic's compaction of a
//!    context.
//! 3. *Compute the usage* ([`Counts::usage`]). The shape defines if cached tokens are within the input or beside it,
//!    and reasoning within the output or beside it. Some providers deviate from their shape, which the numbers reveal:
//!    a part that exceeds its whole, or that the total counts in addition, is beside it.
//!
//! Counts of one response are merged before the third step, because a later object may name a part of an earlier count:
//! merged as stated, the parts stay within their whole.
//!
//! An impossible count (negative, a fraction, more than a billion, a text that is no number) makes the whole object
//! absurd. It is never treated as zero, which would be a refund.

use serde_json::Value;

use crate::{
    ApiFormat, Region, ServiceTier, Usage,
    providers::{
        Shape,
        table::{Counted, Fields, Kind, Paths, Place, Remainder, UsageShape},
        tables,
    },
};

/// Maximum plausible number of tokens in one call.
pub(super) const MAX_COUNT: u64 = 1_000_000_000;

/// A parsed usage object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    /// The provider's format, by the matching shape.
    pub(super) format: ApiFormat,
    /// The shape, which defines the relation of parts and wholes.
    pub(super) shape: &'static UsageShape,
    /// The counts as stated.
    pub(super) counts: Counts,
}

/// Counts as stated in a usage object. A later object of the same response may omit or retract an earlier count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Each count by its [`Kind`], in tokens, calls, images or milliseconds; `None` if the object has none.
    counts: [Option<u64>; Kind::ALL.len()],
    /// The tier of service, if the object names one.
    tier: Option<ServiceTier>,
    /// The region of the call, if the object names one.
    region: Option<Region>,
}

/// A number that cannot be a count of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absurd;

impl Stated {
    /// Returns the usage computed from the counts by the rules of their shape.
    pub(super) fn usage(&self) -> Usage {
        self.counts.usage(self.shape)
    }

    /// Returns true if both count in the same way, so that they can be compared kind by kind.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let way = |stated: &Self| (stated.shape.cached, stated.shape.reasoning, stated.shape.rest);
        way(self) == way(other)
    }
}

impl Counts {
    /// Merges both: the larger count of each kind, because no call gives tokens back.
    pub(super) fn merged(self, later: Self) -> Self {
        let mut counts = self.counts;
        for (count, later) in counts.iter_mut().zip(later.counts) {
            *count = (*count).max(later);
        }
        Self { counts, tier: later.tier.or(self.tier), region: later.region.or(self.region) }
    }

    /// Adds the counts of a further call.
    pub(super) fn added(mut self, more: Self) -> Self {
        for kind in Kind::ALL {
            self.add(kind, more.get(kind).unwrap_or(0));
        }
        Self { tier: more.tier.or(self.tier), region: more.region.or(self.region), ..self }
    }

    /// Uses the tier stated beside the usage, if the usage has none.
    pub(super) fn or_tier(mut self, tier: Option<ServiceTier>) -> Self {
        self.tier = self.tier.or(tier);
        self
    }

    /// Returns a count; `None` if the object has none.
    fn get(&self, kind: Kind) -> Option<u64> {
        self.counts[kind as usize]
    }

    /// Reads all counts of the object `value`.
    ///
    /// # Errors [`Absurd`] for the first value that cannot be a count; the others do not matter then.
    fn read(fields: &Fields, value: &Value) -> Result<Self, Absurd> {
        let mut read = Self::default();
        for kind in Kind::ALL {
            let paths = fields.paths(kind);
            read.counts[kind as usize] = match kind {
                Kind::ToolCalls => sum(value, paths)?,
                Kind::Seconds => first(value, paths, milliseconds)?,
                _ => first(value, paths, whole)?,
            };
        }
        if let Some(more) = first(value, fields.more_input, whole)? {
            read.add(Kind::Input, more);
        }
        let text = |paths: Paths| paths.iter().find_map(|path| member(value, path)?.as_str());
        read.tier = text(fields.tier).map(ServiceTier::named);
        read.region = text(fields.region).map(Region::named);
        if let Some(steps) = fields.steps {
            let list = member(value, steps.list).and_then(Value::as_array);
            let is_left_out = |step: &&Value| {
                step.get("type").and_then(Value::as_str).is_some_and(|kind| steps.left_out.contains(&kind))
            };
            for step in list.into_iter().flatten().filter(is_left_out) {
                for kind in
                    [Kind::Input, Kind::Output, Kind::CacheRead, Kind::CacheWrite, Kind::CacheWrite1h, Kind::Reasoning]
                {
                    read.add(kind, first(step, fields.paths(kind), whole)?.unwrap_or(0));
                }
            }
        }
        Ok(read)
    }

    /// Adds to a count. Adding nothing to an absent count leaves it absent, so that it is not taken for zero.
    fn add(&mut self, kind: Kind, count: u64) {
        let known = &mut self.counts[kind as usize];
        if count > 0 || known.is_some() {
            *known = Some(known.unwrap_or(0).saturating_add(count));
        }
    }

    /// Computes the usage. Parts that exceed their whole are cut to it, so that sums stay correct.
    fn usage(&self, shape: &UsageShape) -> Usage {
        let get = |kind| self.get(kind).unwrap_or(0);
        let (input, output, reasoning) = (get(Kind::Input), get(Kind::Output), get(Kind::Reasoning));
        let plain = Usage::new(input, output);
        let (read, write) = (get(Kind::CacheRead), get(Kind::CacheWrite));
        // Some providers that usually report a part within its whole do not: the total reveals that, or without one a
        // part larger than the whole.
        let total = self.get(Kind::Total);
        let has_beside = match total {
            Some(total) => {
                let parts = read.saturating_add(write);
                parts > 0 && total == plain.total().saturating_add(parts)
            }
            None => read > input || write > input,
        };
        let cached = match shape.cached {
            Counted::Within if !has_beside => plain.cache_read_within(read).cache_write_within(write),
            Counted::Within | Counted::Beside => plain.cache_read_beside(read).cache_write_beside(write),
        };
        let all = cached.total().saturating_add(reasoning);
        let fits = reasoning <= output && total != Some(all) || total == Some(cached.total());
        let usage = match shape.reasoning {
            Counted::Within if fits => cached.reasoning_within(reasoning),
            Counted::Within | Counted::Beside => cached.reasoning_beside(reasoning),
        };
        let rest = total.unwrap_or(0).saturating_sub(usage.total());
        let usage = match shape.rest {
            Remainder::Reasoning => usage.reasoning_beside(rest),
            Remainder::AudioInput => usage.audio_input_beside(rest),
        };
        let usage = usage
            .cache_write_1h_within(get(Kind::CacheWrite1h))
            .audio_input_within(get(Kind::AudioInput))
            .image_input_within(get(Kind::ImageInput))
            .audio_output_within(get(Kind::AudioOutput))
            .image_output_within(get(Kind::ImageOutput))
            .rejected_within(get(Kind::Rejected))
            .with_tool_calls(get(Kind::ToolCalls))
            .with_milliseconds(get(Kind::Seconds))
            .with_images(get(Kind::Images))
            .with_search_units(get(Kind::SearchUnits));
        usage.with_tier(self.tier.unwrap_or_default()).with_region(self.region.unwrap_or_default())
    }
}

/// Parses the value at `place`; `None` if it contains nothing.
pub(super) fn parse(place: Place, bytes: &[u8]) -> Option<Result<Stated, Absurd>> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => return Some(Err(Absurd)),
    };
    if value.is_null() {
        return None;
    }
    if !value.is_object() {
        // A member of the same name, further in, may be anything.
        return place.within.is_empty().then_some(Err(Absurd));
    }
    fitting(tables().shapes(place), &value)
}

/// Parses the counts that are stated beside other members of a document.
pub(super) fn parse_members(members: &Value) -> Option<Result<Stated, Absurd>> {
    fitting(tables().counted(), members)
}

/// Parses `value` by the first shape that fits it; `None` if no shape does, or if it has no counts.
fn fitting(shapes: &[Shape], value: &Value) -> Option<Result<Stated, Absurd>> {
    let (format, shape) = shapes.iter().find(|(_, shape)| is_marked(value, shape.signs))?;
    match Counts::read(&shape.fields, value) {
        // An object with only unknown members, or an empty one.
        Ok(counts) if counts.counts.iter().all(Option::is_none) => None,
        Ok(counts) => Some(Ok(Stated { format: *format, shape, counts })),
        Err(absurd) => Some(Err(absurd)),
    }
}

/// Returns true if `value` has all members of one of the sets; always true without sets.
fn is_marked(value: &Value, signs: &[&[&str]]) -> bool {
    let has = |path: &&str| member(value, path).is_some_and(|value| !value.is_null());
    signs.is_empty() || signs.iter().any(|set| set.iter().all(has))
}

/// Returns the first existing count.
fn first(value: &Value, paths: Paths, count: fn(&Value) -> Result<u64, Absurd>) -> Result<Option<u64>, Absurd> {
    for path in paths {
        if let Some(value) = member(value, path).filter(|value| !value.is_null()) {
            return count(value).map(Some);
        }
    }
    Ok(None)
}

/// Adds up all existing counts.
fn sum(value: &Value, paths: Paths) -> Result<Option<u64>, Absurd> {
    let mut sum = None;
    for path in paths {
        if let Some(value) = member(value, path).filter(|value| !value.is_null()) {
            sum = Some(sum.unwrap_or(0) + whole(value)?);
        }
    }
    Ok(sum)
}

/// Follows a path into `value`: names between dots, and `list[key=text]` for the first object of a list with such a
/// member.
fn member<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let value = match name.strip_suffix(']').and_then(|name| name.split_once('[')) {
        None => value.get(name)?,
        Some((name, sign)) => {
            let (key, text) = sign.split_once('=')?;
            let has_sign = |item: &&Value| item.get(key).and_then(Value::as_str) == Some(text);
            value.get(name)?.as_array()?.iter().find(has_sign)?
        }
    };
    match rest {
        Some(rest) => member(value, rest),
        None => Some(value),
    }
}

/// Parses a count: a whole number from 0 to [`MAX_COUNT`], possibly written as a fraction, `12.0`, or as a text, as the
/// JSON of protobuf writes numbers of 64 bits.
fn whole(value: &Value) -> Result<u64, Absurd> {
    match value.as_u64().or_else(|| value.as_str()?.parse().ok()) {
        Some(count) if count <= MAX_COUNT => Ok(count),
        Some(_) => Err(Absurd),
        // Some languages have no integers.
        None => match value.as_f64() {
            Some(count) if count.fract() == 0.0 && (0.0..=MAX_COUNT as f64).contains(&count) => Ok(count as u64),
            _ => Err(Absurd),
        },
    }
}

/// Converts seconds, possibly fractional, to milliseconds.
fn milliseconds(value: &Value) -> Result<u64, Absurd> {
    match value.as_f64() {
        // Mistral writes an empty object for none.
        None if value.is_object() => Ok(0),
        Some(seconds) if (0.0..=MAX_COUNT as f64).contains(&seconds) => Ok((seconds * 1_000.0).round() as u64),
        _ => Err(Absurd),
    }
}

#[cfg(test)]
mod tests;

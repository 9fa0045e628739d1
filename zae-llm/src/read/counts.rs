//! Counts of tokens as a usage object states them, by the shapes of the providers: [`parse`].

use serde_json::Value;

use crate::{
    ApiFormat, Usage,
    providers::{
        table::{Counted, Fields, Place, UsageShape},
        tables,
    },
};

/// More tokens than this in one call are no usage.
pub(super) const MAX_COUNT: u64 = 1_000_000_000;

/// A usage object, read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    pub(super) format: ApiFormat,
    pub(super) shape: &'static UsageShape,
    pub(super) counts: Counts,
}

/// Counts of a usage object, as it states them. A later object of the same answer may leave out what an earlier one
/// said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    reasoning: Option<u64>,
    total: Option<u64>,
}

/// A number that cannot be a count of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Absurd;

impl Stated {
    pub(super) fn usage(&self) -> Usage {
        self.counts.usage(self.shape)
    }
}

impl Counts {
    /// Merges both; the later one has precedence.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            input: later.input.or(self.input),
            output: later.output.or(self.output),
            cache_read: later.cache_read.or(self.cache_read),
            cache_write: later.cache_write.or(self.cache_write),
            reasoning: later.reasoning.or(self.reasoning),
            total: later.total.or(self.total),
        }
    }

    fn read(fields: &Fields, value: &Value) -> Result<Self, Absurd> {
        let first = |paths: &[&str]| {
            for path in paths {
                if let Some(count) = count(member(value, path))? {
                    return Ok(Some(count));
                }
            }
            Ok(None)
        };
        let (input, more) = (first(fields.input)?, first(fields.more_input)?);
        Ok(Self {
            input: input.map(|input| input + more.unwrap_or(0)).or(more),
            output: first(fields.output)?,
            cache_read: first(fields.cache_read)?,
            cache_write: first(fields.cache_write)?,
            reasoning: first(fields.reasoning)?,
            total: first(fields.total)?,
        })
    }

    fn usage(&self, shape: &UsageShape) -> Usage {
        let plain = Usage::new(self.input.unwrap_or(0), self.output.unwrap_or(0));
        let (read, write) = (self.cache_read.unwrap_or(0), self.cache_write.unwrap_or(0));
        let cached = match shape.cached {
            Counted::Within => plain.cache_read_within(read).cache_write_within(write),
            Counted::Beside => plain.cache_read_beside(read).cache_write_beside(write),
        };
        let reasoning = self.reasoning.unwrap_or(0);
        let usage = match shape.reasoning {
            Counted::Within => cached.reasoning_within(reasoning),
            Counted::Beside => cached.reasoning_beside(reasoning),
        };
        // Some count in the total what they name nowhere else; it was always thinking.
        let rest = self.total.unwrap_or(0).saturating_sub(usage.total());
        usage.reasoning_beside(rest)
    }
}

/// Reads the value at `place`; `None` when there is nothing to it.
pub(super) fn parse(place: Place, bytes: &[u8]) -> Option<Result<Stated, Absurd>> {
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(_) => return Some(Err(Absurd)),
    };
    if value.is_null() {
        return None;
    }
    if !value.is_object() {
        return Some(Err(Absurd));
    }
    let (format, shape) = tables().shapes(place).iter().find(|(_, shape)| is_marked(&value, shape.signs))?;
    match Counts::read(&shape.fields, &value) {
        // An object of unknown members only, or an empty one.
        Ok(counts) if counts == Counts::default() => None,
        Ok(counts) => Some(Ok(Stated { format: *format, shape, counts })),
        Err(absurd) => Some(Err(absurd)),
    }
}

/// Returns true if `value` has all members of one of the sets; without sets, always.
fn is_marked(value: &Value, signs: &[&[&str]]) -> bool {
    let has = |path: &&str| member(value, path).is_some_and(|value| !value.is_null());
    signs.is_empty() || signs.iter().any(|set| set.iter().all(has))
}

fn member<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    match path.bytes().position(|byte| byte == b'.') {
        None => value.get(path),
        Some(dot) => value.get(&path[..dot])?.get(&path[dot + 1..]),
    }
}

fn count(value: Option<&Value>) -> Result<Option<u64>, Absurd> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match value.as_u64() {
        Some(count) if count <= MAX_COUNT => Ok(Some(count)),
        Some(_) => Err(Absurd),
        // Some languages have no integers.
        None => match value.as_f64() {
            Some(count) if count.fract() == 0.0 && (0.0..=MAX_COUNT as f64).contains(&count) => Ok(Some(count as u64)),
            _ => Err(Absurd),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(place: Place, text: &str) -> Option<Result<Usage, Absurd>> {
        parse(place, text.as_bytes()).map(|read| read.map(|stated| stated.usage()))
    }

    #[test]
    fn each_provider_counts_its_own_way() {
        let top = |text| read(Place::usage("", "usage"), text).unwrap().unwrap();
        let expected = Usage::new(100, 50).cache_read_within(80).reasoning_within(30);
        assert_eq!(
            top(r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
                "prompt_tokens_details":{"cached_tokens":80},"completion_tokens_details":{"reasoning_tokens":30}}"#),
            expected
        );
        assert_eq!(
            top(r#"{"input_tokens":100,"output_tokens":50,"total_tokens":150,
                "input_tokens_details":{"cached_tokens":80},"output_tokens_details":{"reasoning_tokens":30}}"#),
            expected
        );
        assert_eq!(
            top(
                r#"{"input_tokens":20,"output_tokens":50,"cache_read_input_tokens":80,"cache_creation_input_tokens":5}"#
            ),
            Usage::new(20, 50).cache_read_beside(80).cache_write_beside(5)
        );
        assert_eq!(
            top(r#"{"inputTokens":20,"outputTokens":50,"totalTokens":70,"cacheReadInputTokens":80}"#),
            Usage::new(20, 50).cache_read_beside(80)
        );
        assert_eq!(
            read(
                Place::usage("", "usageMetadata"),
                r#"{"promptTokenCount":90,"toolUsePromptTokenCount":10,"candidatesTokenCount":20,
                    "thoughtsTokenCount":30,"cachedContentTokenCount":80,"totalTokenCount":150}"#
            ),
            Some(Ok(expected))
        );
        assert_eq!(
            read(
                Place::usage("", "amazon-bedrock-invocationMetrics"),
                r#"{"inputTokenCount":7,"outputTokenCount":8,"invocationLatency":1,"firstByteLatency":1}"#
            ),
            Some(Ok(Usage::new(7, 8)))
        );
        assert_eq!(top(r#"{"prompt_tokens":8,"total_tokens":8}"#), Usage::new(8, 0), "embeddings");
        assert_eq!(
            top(r#"{"prompt_tokens":10,"completion_tokens":5,"total_tokens":40}"#),
            Usage::new(10, 30).reasoning_within(25),
            "what only the total counts is counted"
        );
    }

    #[test]
    fn what_is_no_usage_is_not_taken_for_it() {
        for nothing in ["null", "{}", r#"{"seats":3}"#, r#"{"input_tokens":null}"#] {
            assert_eq!(read(Place::usage("", "usage"), nothing), None, "{nothing}");
        }
        for absurd in [
            "3",
            "[]",
            "\"x\"",
            "{",
            r#"{"prompt_tokens":-1}"#,
            r#"{"prompt_tokens":1.5}"#,
            r#"{"prompt_tokens":1e300}"#,
            r#"{"prompt_tokens":"12"}"#,
            r#"{"prompt_tokens":18446744073709551615}"#,
            r#"{"prompt_tokens":1,"completion_tokens":1000000001}"#,
            r#"{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":-5}}"#,
        ] {
            assert_eq!(read(Place::usage("", "usage"), absurd), Some(Err(Absurd)), "{absurd}");
        }
        assert_eq!(read(Place::usage("", "usage"), r#"{"prompt_tokens":12.0}"#), Some(Ok(Usage::new(12, 0))));
    }
}

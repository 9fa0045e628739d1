//! One limit as reported by a provider: [`Window`].
//!
//! Providers spread a window over three headers, `limit`, `remaining` and `reset`, whose names their tables describe
//! ([`WindowHeaders`](crate::providers::table::WindowHeaders)). They are combined by the window's name:
//!
//! | header | window | part |
//! |---|---|---|
//! | `x-ratelimit-remaining-tokens: 149984` | `tokens` | `remaining` |
//! | `anthropic-ratelimit-input-tokens-reset: 2026-01-01T00:00:12Z` | `input-tokens` | `reset` |
//! | `x-ratelimit-reset: 1767229200` | `x-ratelimit` | `reset` |
//! | `ratelimit: "burst";r=0;t=7` | `burst` | `remaining` and `reset` |

use std::time::Duration;

use http::HeaderMap;
use jiff::Timestamp;

use super::{draft, time};
use crate::providers::{table::HeaderRest, tables};

/// Maximum number of windows.
const MAX_WINDOWS: usize = 64;
/// The length of the windows whose end is given as an instant and that refill gradually: Anthropic's.
const MINUTE: Duration = Duration::from_secs(60);
/// The parts of a window, as named in headers.
const FIELDS: [&str; 3] = ["limit", "remaining", "reset"];

/// One of the provider's limits, as reported in its response. Only a hint: providers round, omit, and send nonsense.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use zae_llm::limits::Answer;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-ratelimit-limit-requests", "60".parse()?);
/// headers.insert("x-ratelimit-remaining-requests", "59".parse()?);
/// let answer = Answer::read(StatusCode::OK, &headers, b"");
/// assert_eq!((answer.windows[0].limit, answer.windows[0].remaining), (Some(60), Some(59)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// Its name, as in the header: `requests`, `input-tokens`, a policy's name, or the header's own name if the
    /// provider has only one.
    pub name: String,
    /// Capacity of the limit, in its own unit.
    pub limit: Option<u64>,
    /// Remaining amount, in its own unit.
    pub remaining: Option<u64>,
    /// Time until it is full again (or, under [`Refill::AtOnce`], until anything is available again).
    pub reset: Option<Duration>,
    /// The way that it refills.
    pub refill: Refill,
}

/// The way that a provider's limit refills.
///
/// See [`Window`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refill {
    /// Continuously: something is available long before the reset.
    Gradual,
    /// Everything at the reset.
    AtOnce,
}

impl Window {
    /// Returns the time until something is available again; `None` if something is available now, or if it is unknown.
    ///
    /// Gradual windows only report when they are full. In windows of requests, one is available after `reset / limit`;
    /// the number of tokens of the next call is unknown, so windows of tokens yield nothing.
    pub fn pause(&self) -> Option<Duration> {
        let (Some(0), Some(reset)) = (self.remaining, self.reset) else { return None };
        match (self.refill, self.limit) {
            (Refill::AtOnce, _) => Some(reset),
            (Refill::Gradual, Some(limit)) if self.name.starts_with("requests") => {
                Some(reset / u32::try_from(limit).unwrap_or(u32::MAX).max(1))
            }
            (Refill::Gradual, _) => None,
        }
        .filter(|pause| !pause.is_zero())
    }
}

/// Returns all windows in the headers. `now` is the time by the provider's clock, if known.
///
/// A window counts if it has a remaining amount and no nonsensical part. Units: those of the provider for amounts,
/// durations for resets.
pub(super) fn windows(headers: &HeaderMap, now: Timestamp) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    let mut nonsense: Vec<&str> = Vec::new();
    for (name, value) in headers {
        let Some((window, field, refill)) = place(name.as_str()) else { continue };
        let index = windows.iter().position(|known| known.name == window).unwrap_or_else(|| {
            windows.push(Window { name: window.to_owned(), limit: None, remaining: None, reset: None, refill });
            windows.len() - 1
        });
        let text = value.to_str().unwrap_or_default();
        match field {
            "reset" if refill == Refill::Gradual && time::is_instant(text) => {
                // The clock may be wrong, or the date a proxy's: such windows are a minute long.
                windows[index].reset = time::reset(text, now).map(|reset| reset.min(MINUTE));
            }
            "reset" => windows[index].reset = time::reset(text, now),
            _ => match (field, count(text)) {
                // Some models have no such limit, and report 0 or -1 of 0 or -1.
                (_, None) | ("limit", Some(0)) => nonsense.push(window),
                ("limit", count) => windows[index].limit = count,
                (_, count) => windows[index].remaining = count,
            },
        }
        if windows.len() == MAX_WINDOWS {
            break;
        }
    }
    windows.retain(|window| !nonsense.contains(&window.name.as_str()) && window.remaining.is_some());
    windows.extend(draft::windows(headers));
    windows.extend(draft::draft7(headers));
    windows
}

/// Returns the window of a header, its part in the header, and the way such windows refill.
fn place(header: &str) -> Option<(&str, &'static str, Refill)> {
    let families = tables().limits.iter().flat_map(|words| words.windows);
    families.into_iter().find_map(|family| {
        let rest = header.strip_prefix(family.prefix)?;
        let (window, field) = FIELDS.into_iter().find_map(|field| Some((name_of(family.rest, rest, field)?, field)))?;
        Some((window, field, family.refill))
    })
}

/// Returns the name of the window whose `field` a header is; `rest` is the header without its prefix.
fn name_of<'h>(form: HeaderRest, rest: &'h str, field: &str) -> Option<&'h str> {
    match form {
        HeaderRest::FieldThenName => rest.strip_prefix(field)?.strip_prefix('-').filter(|name| !name.is_empty()),
        HeaderRest::NameThenField(start) => {
            let name = rest.strip_suffix(field)?.strip_suffix('-')?;
            (!name.is_empty() && name.starts_with(start)).then_some(name)
        }
        HeaderRest::Field(name) => (rest == field).then_some(name),
    }
}

/// Parses a count; fractions, signs and words are rejected. Some gateways send `100, 100;w=60`: the first number
/// counts.
fn count(text: &str) -> Option<u64> {
    let text = text.split([',', ';']).next()?.trim();
    let plain = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Vec<Window> {
        let pairs = pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        windows(&pairs.collect(), "2026-01-01T00:00:00Z".parse().unwrap())
    }

    fn one(pairs: &[(&'static str, &str)]) -> Window {
        let mut windows = read(pairs);
        assert_eq!(windows.len(), 1, "{windows:?}");
        windows.remove(0)
    }

    #[test]
    fn openai_groq_and_cerebras() {
        let openai = read(&[
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-requests", "1m0s"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ]);
        let [requests, tokens] = &openai[..] else { panic!("{openai:?}") };
        assert_eq!((requests.name.as_str(), requests.limit, requests.remaining), ("requests", Some(60), Some(0)));
        assert_eq!(requests.pause(), Some(Duration::from_secs(1)), "one request is there long before all are");
        assert_eq!(
            (tokens.remaining, tokens.reset, tokens.pause()),
            (Some(149_984), Some(Duration::from_secs(360)), None)
        );

        let groq = one(&[
            ("x-ratelimit-limit-tokens", "18000"),
            ("x-ratelimit-remaining-tokens", "17997"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ]);
        assert_eq!(groq.reset, Some(Duration::from_millis(7_660)));

        let cerebras = one(&[
            ("x-ratelimit-limit-requests-day", "1000"),
            ("x-ratelimit-remaining-requests-day", "0"),
            ("x-ratelimit-reset-requests-day", "33011.382867"),
        ]);
        assert_eq!(cerebras.name, "requests-day");
        assert_eq!(cerebras.reset.unwrap().as_secs(), 33_011);
    }

    #[test]
    fn anthropic_dates_and_epochs() {
        let tokens = one(&[
            ("anthropic-ratelimit-input-tokens-limit", "50000"),
            ("anthropic-ratelimit-input-tokens-remaining", "49000"),
            ("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:00:12Z"),
        ]);
        assert_eq!((tokens.name.as_str(), tokens.reset), ("input-tokens", Some(Duration::from_secs(12))));
        let skewed = one(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "0"),
            ("anthropic-ratelimit-requests-reset", "2026-01-01T00:05:12Z"),
        ]);
        assert_eq!(skewed.pause(), Some(MINUTE / 50), "a wrong clock makes no longer pause than the window");
        let unified =
            one(&[("anthropic-ratelimit-unified-remaining", "0"), ("anthropic-ratelimit-unified-reset", "1767225630")]);
        assert_eq!(unified.pause(), Some(Duration::from_secs(30)));
        let priority = one(&[("anthropic-priority-output-tokens-remaining", "8000")]);
        assert_eq!(priority.name, "priority-output-tokens");
    }

    #[test]
    fn github_counts_to_an_instant() {
        let github = one(&[
            ("x-ratelimit-limit", "5000"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-used", "5000"),
            ("x-ratelimit-resource", "core"),
            ("x-ratelimit-reset", "1767229200"),
        ]);
        assert_eq!(github.pause(), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn the_draft_in_all_its_forms() {
        let short = Some(Duration::from_secs(7));
        assert_eq!(one(&[("ratelimit", r#""burst";r=0;t=7"#)]).pause(), short);
        assert_eq!(one(&[("ratelimit", r#""burst";a=0;w=7"#)]).pause(), short);
        assert_eq!(one(&[("ratelimit", "limit=10, remaining=0, reset=7")]).pause(), short);
        let single = [("ratelimit-limit", "10, 10;w=60"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "7")];
        assert_eq!(one(&single).pause(), short);
    }

    #[test]
    fn nonsense_is_no_window() {
        for (limit, remaining) in
            [("-1", "-1"), ("0", "0"), ("-1", "0"), ("60", "-1"), ("", "0"), ("NaN", "0"), ("1e9", "0")]
        {
            let windows = read(&[
                ("x-ratelimit-limit-requests", limit),
                ("x-ratelimit-remaining-requests", remaining),
                ("x-ratelimit-reset-requests", "1h"),
            ]);
            assert_eq!(windows, [], "{limit} {remaining}");
        }
        let absurd = one(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999999999999999999")]);
        assert_eq!((absurd.reset, absurd.pause()), (None, None));
        assert_eq!(one(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "0s")]).pause(), None);
    }
}

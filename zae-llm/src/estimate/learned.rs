//! The output of calls, learned from what was settled: [`Learned`].
//!
//! Of each key and model a quantile of the output is tracked: nine of ten calls stay below it. It takes no samples but
//! moves a little up with each call above and a little down with each below, so that it follows what changes, and costs
//! a few numbers. Until some calls have been settled, the model's own quantile counts, and until then a constant.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{DEFAULT_OUTPUT, Estimator};
use crate::{LlmRequest, Usage};

/// The part of the calls whose output is to stay below the estimate.
const QUANTILE: f64 = 0.9;
/// The size of a step, as a part of the value.
const STEP: f64 = 0.25;
/// So many settled calls are needed before what was learned counts.
const ENOUGH: u32 = 8;
/// Bounds the number of keys and models that are remembered. Those that were settled least recently go first.
const MAX_KEYS: usize = 10_000;

/// An estimate of the input by another estimator, and of the output by what earlier calls of the same key and model
/// used. Made by [`estimate::learned`](super::learned).
///
/// See the [module](super) for an example.
pub struct Learned<E> {
    /// The estimator of the input; its output does not count.
    input: E,
    /// Output in tokens until enough was learned.
    default: u64,
    /// The quantiles; locked for a few comparisons.
    outputs: Mutex<Outputs>,
}

/// Quantiles of the output by key and model.
#[derive(Default)]
struct Outputs {
    /// By a hash of key and model, so that a lookup copies neither; two that share one share an estimate.
    known: HashMap<u64, Quantile>,
    hashes: RandomState,
    /// Counts settled calls.
    now: u64,
}

/// A running estimate of one quantile, by steps and without samples.
#[derive(Clone, Copy, Debug)]
struct Quantile {
    /// The quantile, in tokens; at least 1.
    value: f64,
    /// Number of calls that it was learned from.
    calls: u32,
    /// The count of settled calls when it last learned, to forget the least recent.
    last: u64,
}

impl<E: Estimator> Learned<E> {
    /// Learns outputs beside the input of `input`.
    pub(super) fn over(input: E) -> Self {
        Self { input, default: DEFAULT_OUTPUT, outputs: Mutex::default() }
    }

    /// Sets the output that a request without a bound is estimated at until enough has been learned; 1 000 if not set.
    #[must_use]
    pub fn until_then(mut self, tokens: u64) -> Self {
        self.default = tokens;
        self
    }

    /// Locks the quantiles; a panic elsewhere does no harm to them.
    fn outputs(&self) -> MutexGuard<'_, Outputs> {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outputs {
    /// Returns the output that nine of ten calls of the key stay below, else of the model; `None` where too few were
    /// settled.
    fn typical(&self, key: Option<&str>, model: &str) -> Option<u64> {
        let of = |key: Option<&str>| {
            let known = self.known.get(&self.hash(key, model))?;
            // More than zero, and no model answers so much that the cast loses anything.
            (known.calls >= ENOUGH).then_some(known.value.ceil() as u64)
        };
        key.and_then(|key| of(Some(key))).or_else(|| of(None))
    }

    /// Hashes a key and a model; no key stands for all keys of the model.
    fn hash(&self, key: Option<&str>, model: &str) -> u64 {
        self.hashes.hash_one((key, model))
    }

    /// Learns from a settled call, for its key and for its model.
    fn learn(&mut self, key: Option<&str>, model: &str, output: u64) {
        self.now += 1;
        for key in [key, None].into_iter().take(if key.is_some() { 2 } else { 1 }) {
            if self.known.len() >= MAX_KEYS {
                self.forget();
            }
            let now = self.now;
            let hash = self.hash(key, model);
            let known = self.known.entry(hash);
            let first = Quantile { value: output as f64, calls: 0, last: now };
            known.or_insert(first).learn(output as f64, now);
        }
    }

    /// Makes room for many at once.
    fn forget(&mut self) {
        let mut last: Vec<u64> = self.known.values().map(|known| known.last).collect();
        let middle = last.len() / 2;
        let (_, median, _) = last.select_nth_unstable(middle);
        let median = *median;
        self.known.retain(|_, known| known.last > median);
    }
}

impl Quantile {
    /// Moves up by 22.5 % of the value after a larger output and down by 2.5 % after a smaller one, which balances at
    /// nine of ten.
    fn learn(&mut self, output: f64, now: u64) {
        self.calls = self.calls.saturating_add(1);
        self.last = now;
        let step = if output > self.value { STEP * QUANTILE } else { -STEP * (1.0 - QUANTILE) };
        self.value = (self.value * (1.0 + step)).max(1.0);
    }
}

impl<E: Estimator> Estimator for Learned<E> {
    fn estimate(&self, request: &LlmRequest) -> Usage {
        let typical = self.outputs().typical(request.key(), request.model().unwrap_or_default());
        let output = match (request.max_output(), typical) {
            (Some(bound), Some(typical)) => bound.min(typical.saturating_mul(request.choices())),
            (Some(bound), None) => bound,
            (None, typical) => typical.unwrap_or(self.default).saturating_mul(request.choices()),
        };
        Usage::new(self.input.estimate(request).input(), output)
    }

    fn learn(&self, key: Option<&str>, model: Option<&str>, usage: &Usage) {
        self.outputs().learn(key, model.unwrap_or_default(), usage.output);
        self.input.learn(key, model, usage);
    }
}

impl<E: Estimator + fmt::Debug> fmt::Debug for Learned<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Learned")
            .field("input", &self.input)
            .field("default", &self.default)
            .field("known", &self.outputs().known.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate;

    fn learned() -> Learned<estimate::Fixed> {
        Learned::over(estimate::fixed(Usage::new(10, 0)))
    }

    fn output(learned: &Learned<estimate::Fixed>, key: &str, body: &str) -> u64 {
        learned.estimate(&LlmRequest::parse(body.as_bytes()).of_key(key)).output
    }

    #[test]
    fn the_constant_counts_until_enough_is_known() {
        let learned = learned();
        let ask = |body| output(&learned, "alice", body);
        assert_eq!(ask(r#"{"model":"m"}"#), 1_000);
        assert_eq!(ask(r#"{"model":"m","max_tokens":300}"#), 300);
        assert_eq!(ask(r#"{"model":"m","n":3}"#), 3_000);
        for _ in 0..100 {
            learned.learn(Some("alice"), Some("m"), &Usage::new(10, 50));
        }
        assert!((40..=80).contains(&ask(r#"{"model":"m"}"#)), "{}", ask(r#"{"model":"m"}"#));
        assert!(ask(r#"{"model":"m","max_tokens":30000}"#) <= 80, "a bound that nobody uses holds nothing back");
        assert_eq!(ask(r#"{"model":"m","max_tokens":20}"#), 20);
        assert_eq!(ask(r#"{"model":"other"}"#), 1_000);
    }

    #[test]
    fn nine_of_ten_calls_stay_below_and_what_changes_is_followed() {
        let learned = learned();
        let mut seed = 7_u64;
        let mut random = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % most
        };
        for most in [1_000, 20_000, 400] {
            let mut below = 0;
            for call in 0..2_000 {
                let (guess, used) = (output(&learned, "k", r#"{"model":"m"}"#), random(most));
                below += u32::from(call >= 1_000 && used <= guess);
                learned.learn(Some("k"), Some("m"), &Usage::new(1, used));
            }
            assert!((850..=950).contains(&below), "{below} of 1000 below, at most {most}");
        }
    }

    #[test]
    fn a_key_begins_with_what_is_known_of_its_model() {
        let learned = learned();
        for _ in 0..50 {
            learned.learn(Some("alice"), Some("m"), &Usage::new(1, 5_000));
        }
        let guess = output(&learned, "bob", r#"{"model":"m"}"#);
        assert!((4_000..=8_000).contains(&guess), "{guess}");
    }

    #[test]
    fn memory_is_bounded() {
        let learned = learned();
        for key in 0..3 * MAX_KEYS {
            learned.learn(Some(&key.to_string()), Some("m"), &Usage::new(1, 10));
        }
        assert!(learned.outputs().known.len() <= MAX_KEYS);
        assert!(output(&learned, "new", r#"{"model":"m"}"#) < 100, "the model is remembered");
    }
}

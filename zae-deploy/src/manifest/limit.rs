//! Reading the limits of one level: rates and quotas.

use std::time::Duration;

use zae_limiter::{Limit, LimitName, Limits, ValidationError};

use super::{
    node::{Node, Value, whole},
    read::{Key, Path, Reader, Spelling},
};

const LIMIT: &[Key] = &[Key::Capacity, Key::RefillAmount, Key::RefillPeriod, Key::Burst, Key::Soft, Key::ResetSchedule];
const RESET: &[Key] = &[Key::Cron, Key::Tz];
/// The zone of instants that name none.
const DEFAULT_ZONE: &str = "UTC";

/// A limit as it is declared, before it is one.
struct DeclaredLimit {
    capacity: u64,
    refill: u64,
    period: Duration,
    soft: bool,
    /// The instants at which it is restored; empty for a rate.
    resets: Vec<Reset>,
}

/// An instant at which a quota is restored.
#[derive(Clone, PartialEq, Eq)]
struct Reset {
    cron: String,
    zone: String,
}

impl DeclaredLimit {
    fn limit(self, name: LimitName) -> Result<Limit, ValidationError> {
        let limit = match self.resets.first() {
            None => Limit::per(name, self.refill, self.period)?.with_burst(self.capacity)?,
            Some(first) => {
                let quota = Limit::quota(name, self.capacity).refill_period(self.period).zone(first.zone.as_str());
                self.resets.iter().fold(quota, |quota, reset| quota.every(reset.cron.as_str())).build()?
            }
        };
        Ok(if self.soft { limit.soft() } else { limit })
    }
}

impl Reader {
    /// The limits of one level; `None` when there are none.
    pub(super) fn limits(&mut self, node: &Node, path: &Path<'_>) -> Option<Limits> {
        let problems = self.problems.len();
        let found = self.by_name(
            node,
            path,
            |name: &str| LimitName::new(name),
            |reader, node, path| Some((reader.limit(node, path)?, node.place)),
        );
        if self.problems.len() > problems || found.is_empty() {
            return None;
        }
        let mut limits = Vec::new();
        for (name, (declared, place)) in found {
            let path = path.at(name.as_str());
            limits.extend(self.valid(declared.limit(name.clone()), place, &path));
        }
        if self.problems.len() > problems {
            return None;
        }
        self.valid(Limits::new(limits), node.place, path)
    }

    fn limit(&mut self, node: &Node, path: &Path<'_>) -> Option<DeclaredLimit> {
        let problems = self.problems.len();
        let [mut capacity, mut refill, mut period, mut burst] = [None; 4];
        let (mut soft, mut resets) = (None, Vec::new());
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let key = Key::Capacity.spelled(self.spelling);
            let found = node.value.kind();
            self.problem(node.place, path, format!("a limit is a mapping like `{{ {key}: 100 }}`, this is {found}"));
            return None;
        }
        for (key, entry) in self.known(node, path, LIMIT) {
            let path = path.at(&entry.key);
            match key {
                Key::Soft => soft = self.flag(&entry.value, &path),
                Key::ResetSchedule => resets = self.resets(&entry.value, &path),
                Key::RefillAmount => refill = self.refill(&entry.value, &path),
                Key::RefillPeriod => {
                    period = self.number(&entry.value, &path, zae_limiter::MAX_PERIOD.as_secs());
                }
                Key::Capacity => capacity = self.number(&entry.value, &path, zae_limiter::MAX_TOKENS),
                _ => burst = self.number(&entry.value, &path, zae_limiter::MAX_TOKENS),
            }
        }
        if self.problems.len() > problems {
            return None;
        }
        let Some(capacity) = capacity else {
            let key = Key::Capacity.spelled(self.spelling);
            self.problem(node.place, path, format!("needs `{key}`, the most tokens that the bucket holds"));
            return None;
        };
        let refill_key = Key::RefillAmount.spelled(self.spelling);
        let resets_key = Key::ResetSchedule.spelled(self.spelling);
        if refill == Some(0) && resets.is_empty() {
            let message = format!("`{refill_key}: 0` gains nothing: add a `{resets_key}`, or make it at least 1");
            self.problem(node.place, path, message);
            return None;
        }
        if refill.is_some_and(|refill| refill > 0) && !resets.is_empty() {
            let message = format!("is restored by `{resets_key}`, so that it gains nothing: leave `{refill_key}` out");
            self.problem(node.place, path, message);
            return None;
        }
        // The former name of the ceiling, from before `capacity` was it.
        let capacity = burst.unwrap_or(capacity);
        Some(DeclaredLimit {
            capacity,
            refill: refill.unwrap_or(capacity),
            period: Duration::from_secs(period.unwrap_or(60)),
            soft: soft.unwrap_or(false),
            resets,
        })
    }

    /// A list of cron expressions, all in one zone; empty where it is nothing, or a problem.
    fn resets(&mut self, node: &Node, path: &Path<'_>) -> Vec<Reset> {
        let items = match &node.value {
            Value::List(items) => items,
            Value::Null => return Vec::new(),
            // CloudFormation makes text of nothing.
            Value::Text(text) if text.is_empty() && self.spelling == Spelling::Camel => return Vec::new(),
            other => {
                let (cron, found) = (Key::Cron.spelled(self.spelling), other.kind());
                let message = format!("must be a list like `[{{ {cron}: \"0 0 1 * *\" }}]`, this is {found}");
                self.problem(node.place, path, message);
                return Vec::new();
            }
        };
        let mut resets: Vec<Reset> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let index = index.to_string();
            let path = path.at(&index);
            let (mut cron, mut zone) = (None, None);
            let known = self.known(item, &path, RESET);
            for (key, entry) in known {
                let path = path.at(&entry.key);
                let text = self.text(&entry.value, &path);
                *(if key == Key::Cron { &mut cron } else { &mut zone }) = text;
            }
            let Some(cron) = cron else {
                let key = Key::Cron.spelled(self.spelling);
                self.problem(item.place, &path, format!("needs `{key}`, such as \"0 0 1 * *\" for every month"));
                continue;
            };
            let reset = Reset { cron, zone: zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned()) };
            if let Some(first) = resets.first().filter(|first| first.zone != reset.zone) {
                let message =
                    format!("is in time zone {}, the first one in {}: they share one", reset.zone, first.zone);
                self.problem(item.place, &path, message);
            }
            resets.push(reset);
        }
        resets
    }

    /// Text that is not empty; `None` where it is nothing, or a problem.
    fn text(&mut self, node: &Node, path: &Path<'_>) -> Option<String> {
        match &node.value {
            Value::Text(text) if !text.is_empty() => Some(text.clone()),
            Value::Null | Value::Text(_) => None,
            other => {
                let found = other.kind();
                self.problem(node.place, path, format!("must be text, this is {found}"));
                None
            }
        }
    }

    /// The refill amount, which is 0 for a quota.
    fn refill(&mut self, node: &Node, path: &Path<'_>) -> Option<u64> {
        match &node.value {
            Value::Whole(0) => Some(0),
            Value::Text(text) if self.spelling == Spelling::Camel && text == "0" => Some(0),
            _ => self.number(node, path, zae_limiter::MAX_TOKENS),
        }
    }

    fn number(&mut self, node: &Node, path: &Path<'_>, max: u64) -> Option<u64> {
        let number = match &node.value {
            Value::Whole(number) => Some(*number),
            Value::Text(text) if self.spelling == Spelling::Camel => {
                text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
            }
            _ => None,
        };
        let message = match (number, &node.value) {
            (Some(0), _) => "must be at least 1".to_owned(),
            (Some(number), _) if number > max => format!("must be at most {max}"),
            (Some(number), _) => return Some(number),
            (None, Value::Number(text) | Value::Text(text)) if is_beyond(text, max) => format!("must be at most {max}"),
            (None, Value::Number(text)) => format!("must be a whole number of at least 1, this is {text}"),
            (None, Value::Text(text)) if text.parse::<u64>().is_ok() => {
                format!("must be a number, this is text: write {text} without quotes")
            }
            (None, Value::Text(text)) => format!("must be a whole number, this is `{text}`"),
            (None, other) => format!("must be a whole number, this is {}", other.kind()),
        };
        self.problem(node.place, path, message);
        None
    }
}

/// Returns true if a text is a number greater than `max`.
fn is_beyond(text: &str, max: u64) -> bool {
    text.parse::<f64>().is_ok_and(|number| number > max as f64)
}

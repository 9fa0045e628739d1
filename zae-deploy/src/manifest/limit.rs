//! Reading the limits of one level: rates, quotas, and schedules of their parameters.

use std::time::Duration;

use zae_limiter::{Limit, LimitName, LimitSchedule, Limits, Parameters, ValidationError};

use super::{
    node::{Entry, Node, Value, whole},
    read::{Key, Path, Reader, Spelling},
};

const LIMIT: &[Key] = &[
    Key::Capacity,
    Key::RefillAmount,
    Key::RefillPeriod,
    Key::Burst,
    Key::Soft,
    Key::Schedule,
    Key::ResetSchedule,
    Key::ResetAfterSeconds,
];
const RESET: &[Key] = &[Key::Cron, Key::Tz];
const ENTRY: &[Key] = &[Key::Cron, Key::Tz, Key::Scale, Key::Capacity, Key::RefillAmount, Key::RefillPeriodSeconds];
/// The zone of instants that name none.
const DEFAULT_ZONE: &str = "UTC";

/// A limit as it is declared, before it is one.
struct DeclaredLimit {
    capacity: u64,
    refill: u64,
    period: Duration,
    soft: bool,
    /// The instants at which it is restored; empty where none are.
    resets: Vec<Instant>,
    /// The length of a window, in seconds.
    session: Option<u64>,
    /// Other parameters at certain times.
    schedule: Vec<(Instant, EntryChange)>,
}

/// A cron expression with its zone.
#[derive(Clone, PartialEq, Eq)]
struct Instant {
    cron: String,
    zone: String,
}

/// The change of an entry of a schedule.
enum EntryChange {
    Scale(f64),
    Replace(Parameters),
}

impl DeclaredLimit {
    fn limit(self, name: LimitName) -> Result<Limit, ValidationError> {
        let mut quota = Limit::quota(name.clone(), self.capacity).refill_period(self.period);
        let mut limit = match (self.session, self.resets.first()) {
            (Some(seconds), _) => quota.session(Duration::from_secs(seconds)).build()?,
            (None, Some(first)) => {
                quota = quota.zone(first.zone.as_str());
                self.resets.iter().fold(quota, |quota, reset| quota.every(reset.cron.as_str())).build()?
            }
            (None, None) => Limit::per(name, self.refill, self.period)?.with_burst(self.capacity)?,
        };
        if let Some((first, _)) = self.schedule.first() {
            let schedule = LimitSchedule::builder().zone(first.zone.as_str());
            let schedule = self.schedule.iter().fold(schedule, |schedule, (instant, change)| match change {
                EntryChange::Scale(factor) => schedule.scale(instant.cron.as_str(), *factor),
                EntryChange::Replace(parameters) => schedule.replace(instant.cron.as_str(), *parameters),
            });
            limit = limit.scheduled(schedule.build()?)?;
        }
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
        let (mut soft, mut session, mut resets, mut schedule) = (None, None, Vec::new(), Vec::new());
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let key = Key::Capacity.spelled(self.spelling);
            let found = node.value.kind();
            self.problem(node.place, path, format!("a limit is a mapping like `{{ {key}: 100 }}`, this is {found}"));
            return None;
        }
        for (key, entry) in self.known(node, path, LIMIT) {
            let path = path.at(&entry.key);
            match key {
                Key::RefillAmount | Key::RefillPeriod | Key::Burst if self.is_left_empty(&entry.value) => {}
                Key::Soft => soft = self.flag(&entry.value, &path),
                Key::ResetSchedule => resets = self.resets(&entry.value, &path),
                Key::ResetAfterSeconds => session = self.session(&entry.value, &path),
                Key::Schedule => schedule = self.schedule(&entry.value, &path),
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
        let [refill_key, resets_key, session_key] =
            [Key::RefillAmount, Key::ResetSchedule, Key::ResetAfterSeconds].map(|key| key.spelled(self.spelling));
        let quota_key = if session.is_some() { session_key } else { resets_key };
        let is_quota = session.is_some() || !resets.is_empty();
        let contradiction = match refill {
            _ if session.is_some() && !resets.is_empty() => {
                Some(format!("is restored by `{resets_key}` or by `{session_key}`, and not by both"))
            }
            Some(0) if !is_quota => {
                Some(format!("`{refill_key}: 0` gains nothing: add a `{resets_key}`, or make it at least 1"))
            }
            Some(1..) if is_quota => {
                Some(format!("is restored by `{quota_key}`, so that it gains nothing: leave `{refill_key}` out"))
            }
            _ => None,
        };
        if let Some(message) = contradiction {
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
            session,
            schedule,
        })
    }

    /// The length of a window, in seconds.
    fn session(&mut self, node: &Node, path: &Path<'_>) -> Option<u64> {
        if self.is_nothing(node) { None } else { self.number(node, path, zae_limiter::MAX_SESSION.as_secs()) }
    }

    /// Returns true if a value is left out.
    fn is_nothing(&self, node: &Node) -> bool {
        matches!(node.value, Value::Null) || self.is_left_empty(node)
    }

    /// Returns true if a value is the empty text that CloudFormation makes of one that is left out.
    fn is_left_empty(&self, node: &Node) -> bool {
        matches!(&node.value, Value::Text(text) if text.is_empty() && self.spelling == Spelling::Camel)
    }

    /// The items of a list; none where it is nothing, or a problem.
    fn list<'n>(&mut self, node: &'n Node, path: &Path<'_>) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        if !self.is_nothing(node) {
            let (cron, found) = (Key::Cron.spelled(self.spelling), node.value.kind());
            let message = format!("must be a list like `[{{ {cron}: \"0 0 1 * *\" }}]`, this is {found}");
            self.problem(node.place, path, message);
        }
        &[]
    }

    /// A list of cron expressions, all in one zone.
    fn resets(&mut self, node: &Node, path: &Path<'_>) -> Vec<Instant> {
        let mut resets: Vec<Instant> = Vec::new();
        for (index, item) in self.list(node, path).iter().enumerate() {
            let index = index.to_string();
            let path = path.at(&index);
            let known = self.known(item, &path, RESET);
            resets.extend(self.instant(&known, item, &path, resets.first()));
        }
        resets
    }

    /// The entries of a schedule, all in one zone.
    fn schedule(&mut self, node: &Node, path: &Path<'_>) -> Vec<(Instant, EntryChange)> {
        let mut entries: Vec<(Instant, EntryChange)> = Vec::new();
        for (index, item) in self.list(node, path).iter().enumerate() {
            let index = index.to_string();
            let path = path.at(&index);
            let known = self.known(item, &path, ENTRY);
            let change = self.change(&known, item, &path);
            let instant = self.instant(&known, item, &path, entries.first().map(|(first, _)| first));
            entries.extend(instant.zip(change));
        }
        entries
    }

    /// The cron expression and the zone of an item; the zone has to be that of the first.
    fn instant(
        &mut self,
        known: &[(Key, &Entry)],
        item: &Node,
        path: &Path<'_>,
        first: Option<&Instant>,
    ) -> Option<Instant> {
        let (mut cron, mut zone) = (None, None);
        for (key, entry) in known {
            match key {
                Key::Cron => cron = self.text(&entry.value, &path.at(&entry.key)),
                Key::Tz => zone = self.text(&entry.value, &path.at(&entry.key)),
                _ => {}
            }
        }
        let Some(cron) = cron else {
            let key = Key::Cron.spelled(self.spelling);
            self.problem(item.place, path, format!("needs `{key}`, such as \"0 0 1 * *\" for every month"));
            return None;
        };
        let instant = Instant { cron, zone: zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned()) };
        if let Some(first) = first.filter(|first| first.zone != instant.zone) {
            let message = format!("is in time zone {}, the first one in {}: they share one", instant.zone, first.zone);
            self.problem(item.place, path, message);
        }
        Some(instant)
    }

    /// The change of an entry: a factor, or other parameters.
    fn change(&mut self, known: &[(Key, &Entry)], item: &Node, path: &Path<'_>) -> Option<EntryChange> {
        let (mut scale, mut parameters) = (None, Parameters::default());
        for (key, entry) in known {
            let path = path.at(&entry.key);
            match key {
                _ if self.is_nothing(&entry.value) => {}
                Key::Scale => scale = self.factor(&entry.value, &path),
                Key::Capacity => {
                    let tokens = self.number(&entry.value, &path, zae_limiter::MAX_TOKENS);
                    parameters = tokens.map_or(parameters, |tokens| parameters.capacity(tokens));
                }
                Key::RefillAmount => {
                    let tokens = self.number(&entry.value, &path, zae_limiter::MAX_TOKENS);
                    parameters = tokens.map_or(parameters, |tokens| parameters.refill_amount(tokens));
                }
                Key::RefillPeriodSeconds => {
                    let seconds = self.number(&entry.value, &path, zae_limiter::MAX_PERIOD.as_secs());
                    let period = seconds.map(Duration::from_secs);
                    parameters = period.map_or(parameters, |period| parameters.refill_period(period));
                }
                _ => {}
            }
        }
        match scale {
            Some(factor) if parameters == Parameters::default() => Some(EntryChange::Scale(factor)),
            None if parameters != Parameters::default() => Some(EntryChange::Replace(parameters)),
            _ => {
                let [scale, capacity, refill] =
                    [Key::Scale, Key::Capacity, Key::RefillAmount].map(|key| key.spelled(self.spelling));
                let message = format!("needs either `{scale}` or other values, such as `{capacity}` or `{refill}`");
                self.problem(item.place, path, message);
                None
            }
        }
    }

    /// A factor, which the limit checks.
    fn factor(&mut self, node: &Node, path: &Path<'_>) -> Option<f64> {
        let number = match &node.value {
            Value::Whole(number) => Some(*number as f64),
            Value::Number(text) => text.parse().ok(),
            Value::Text(text) if self.spelling == Spelling::Camel => text.parse().ok(),
            _ => None,
        };
        if number.is_none() {
            let found = node.value.kind();
            self.problem(node.place, path, format!("must be a number, such as 0.5, this is {found}"));
        }
        number
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

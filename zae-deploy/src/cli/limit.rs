//! Limits in their typed and displayed forms: `name:rate[/period][:burst]`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use zae_limiter::{Limit, LimitSchedule, Limits};

use super::{
    CliError,
    access::AccessSettings,
    output::{Page, Report, Tone, units::count},
};

/// `--limit`, repeatable.
#[derive(Args, Debug)]
pub(crate) struct LimitArgs {
    /// A limit as name:rate[/period][:burst], such as rpm:100, rps:5/sec, rpm:100/5min or tpm:10000/min:15000; repeat
    /// it for more
    #[arg(short, long = "limit", required = true, value_name = "LIMIT")]
    limits: Vec<String>,

    /// A limit given by --limit that is metered but never refuses; repeat it for more
    #[arg(long, value_name = "NAME")]
    soft: Vec<String>,
}

impl LimitArgs {
    /// Parses the limits, if all of them are valid.
    pub(crate) fn parse(&self) -> Result<Limits, CliError> {
        let mut limits: Vec<Limit> = self.limits.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        for name in &self.soft {
            let Some(limit) = limits.iter_mut().find(|limit| limit.name().as_str() == name) else {
                return Err(CliError::Invalid(format!("--soft {name}: there is no --limit with this name")));
            };
            *limit = limit.clone().soft();
        }
        Ok(Limits::new(limits)?)
    }
}

fn parse(text: &str) -> Result<Limit, CliError> {
    let format = || {
        let expected = "Expected 'name:rate[/period]' or 'name:rate[/period]:burst'";
        CliError::Invalid(format!("Invalid limit format: {text}. {expected}"))
    };
    let parts: Vec<&str> = text.split(':').collect();
    let (name, rate, burst) = match parts.as_slice() {
        [name, rate] => (*name, *rate, None),
        [name, rate, burst] => (*name, *rate, Some(*burst)),
        _ => return Err(format()),
    };
    let (rate, period) = match rate.split_once('/') {
        Some((rate, period)) => (rate, seconds(period).ok_or_else(|| bad_period(period))?),
        None => (rate, 60),
    };
    let number = |digits: &str| {
        let cause = |cause: String| CliError::Invalid(format!("Invalid limit values in '{text}': {cause}"));
        digits.parse::<u64>().map_err(|_| cause(format!("'{digits}' is not a whole number")))
    };
    let rate = number(rate)?;
    let capacity = burst.map(number).transpose()?.unwrap_or(rate);
    let limit = Limit::per(name, rate, Duration::from_secs(period)).and_then(|limit| limit.with_burst(capacity));
    limit.map_err(|error| CliError::Invalid(format!("'{text}': {error}")))
}

fn bad_period(period: &str) -> CliError {
    CliError::Invalid(format!("Invalid period: '/{period}'. Use /[N]sec, /[N]min, /[N]hour, or /[N]day"))
}

const UNITS: [(&str, u64); 4] = [("day", 86_400), ("hour", 3_600), ("min", 60), ("sec", 1)];

fn seconds(period: &str) -> Option<u64> {
    let digits = period.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = period.split_at(digits);
    let (_, length) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number = if number.is_empty() { 1 } else { number.parse::<u64>().ok()? };
    number.checked_mul(*length)
}

/// Formats a limit for display: `tpm: 10,000/min (burst: 15,000)`.
///
/// Of a quota: `day: 100 quota (resets "0 0 * * *" UTC)`, or `chat: 50 quota (resets 5h after first use)`.
pub(crate) fn shown(limit: &Limit) -> String {
    let resets = limit.reset_schedule();
    let session = limit.session().map(|length| format!("{} after first use", in_units(length)));
    if let Some(resets) = resets.or(session) {
        let soft = if limit.is_soft() { " (soft)" } else { "" };
        return format!("{}: {} quota (resets {resets}){soft}", limit.name(), count(limit.capacity()));
    }
    let burst = if limit.capacity() == limit.refill_amount() {
        String::new()
    } else {
        format!(" (burst: {})", count(limit.capacity()))
    };
    let rate = per_period(limit.refill_amount(), limit.refill_period());
    let soft = if limit.is_soft() { " (soft)" } else { "" };
    format!("{}: {rate}{burst}{soft}", limit.name())
}

/// A length of time in the largest unit that it is a multiple of: `5h`.
fn in_units(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("min", 60)];
    let unit = units.into_iter().find(|(_, unit)| seconds.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{seconds}s"), |(name, unit)| format!("{}{name}", seconds / unit))
}

/// Formats a limit's refill: `10,000/min`. The unit is the largest of which the period is a multiple.
pub(crate) fn per_period(amount: impl Into<i128>, period: Duration) -> String {
    let seconds = period.as_secs();
    let (unit, length) = UNITS.into_iter().find(|(_, length)| seconds.is_multiple_of(*length)).unwrap_or(("sec", 1));
    let number = match seconds / length {
        1 => String::new(),
        several => several.to_string(),
    };
    format!("{}/{number}{unit}", count(amount))
}

/// A list of limits to display.
#[derive(Serialize)]
pub(crate) struct LimitList<S> {
    /// The target of the limits.
    #[serde(flatten)]
    pub(crate) subject: S,
    /// Its settings beside limits, if it has any.
    #[serde(flatten)]
    pub(crate) settings: AccessSettings,
    pub(crate) limits: Vec<Limit>,
    /// The heading above them, or the text instead of them.
    #[serde(skip)]
    pub(crate) heading: String,
    /// The lines below them.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

impl<S: Serialize> Report for LimitList<S> {
    fn page(&self, page: &mut Page) {
        page.line(&self.heading);
        self.settings.page(page);
        for limit in &self.limits {
            page.line(format!("  {}", shown(limit)));
            for (index, line) in limit.schedule().into_iter().flat_map(LimitSchedule::lines).enumerate() {
                if index == 0 {
                    page.line("    Schedule:");
                }
                page.line(format!("      {line}"));
            }
        }
        for note in &self.notes {
            let note = page.paint(Tone::Dim, note);
            page.line(format!("  {note}"));
        }
    }
}

/// Lists the limits that were dropped when `after` replaced `before`.
pub(crate) fn dropped(before: Option<&Limits>, after: &Limits) -> Vec<String> {
    let gone = before.into_iter().flatten().filter(|limit| after.get(limit.name().as_str()).is_none());
    gone.map(|limit| format!("no longer: {}", shown(limit))).collect()
}

/// The result of a deletion.
#[derive(Serialize)]
pub(crate) struct Deletion<S> {
    /// The deleted target.
    #[serde(flatten)]
    pub(crate) subject: S,
    /// True if there was something to delete.
    pub(crate) deleted: bool,
    #[serde(skip)]
    pub(crate) text: String,
}

impl<S: Serialize> Report for Deletion<S> {
    fn page(&self, page: &mut Page) {
        self.text.lines().for_each(|line| page.line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::{LimitArgs, parse, shown};

    #[test]
    fn soft_limits_are_named_beside_their_rates() {
        let args = |soft: &str| LimitArgs {
            limits: ["rpm:5", "tpm:10:20"].map(str::to_owned).into(),
            soft: vec![soft.to_owned()],
        };
        let limits = args("tpm").parse().unwrap();
        let shown: Vec<_> = limits.iter().map(shown).collect();
        assert_eq!(shown, ["rpm: 5/min", "tpm: 10/min (burst: 20) (soft)"]);
        let error = args("other").parse().unwrap_err().to_string();
        assert!(error.contains("--soft other: there is no --limit with this name"), "{error}");
    }

    #[test]
    fn what_is_typed_is_shown_in_the_shortest_form() {
        for (typed, expected) in [
            ("tpm:10000", "tpm: 10,000/min"),
            ("tpm:10000:15000", "tpm: 10,000/min (burst: 15,000)"),
            ("rps:50/sec", "rps: 50/sec"),
            ("tph:100000/hour", "tph: 100,000/hour"),
            ("rpd:1000000/day", "rpd: 1,000,000/day"),
            ("rpm:100/5min", "rpm: 100/5min"),
            ("x:1/90sec", "x: 1/90sec"),
            ("x:1/90min", "x: 1/90min"),
            ("x:1/60min", "x: 1/hour"),
            ("x:1/2day", "x: 1/2day"),
            ("x:10/min:5", "x: 10/min (burst: 5)"),
        ] {
            assert_eq!(shown(&parse(typed).unwrap()), expected, "{typed}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (typed, expected) in [
            ("rpm", "Invalid limit format: rpm. Expected"),
            ("rpm:1:2:3", "Invalid limit format"),
            ("rpm:many", "Invalid limit values in 'rpm:many': 'many' is not a whole number"),
            ("rpm:1:x", "Invalid limit values in 'rpm:1:x'"),
            ("rpm:-1", "Invalid limit values"),
            ("rpm:1/week", "Invalid period: '/week'. Use /[N]sec, /[N]min, /[N]hour, or /[N]day"),
            ("rpm:1/", "Invalid period: '/'"),
            ("rpm:1/99999999999999999999day", "Invalid period"),
            ("rpm:1/999999999999999999day", "Invalid period"),
            ("rpm:0", "'rpm:0': invalid refill_amount: must be at least 1"),
            ("rpm:1/0min", "invalid refill_period"),
            ("wcu:1", "'wcu:1': invalid name: is reserved"),
            (":1", "invalid name: must not be empty"),
        ] {
            let error = parse(typed).unwrap_err().to_string();
            assert!(error.contains(expected), "{typed}: {error}");
        }
    }
}

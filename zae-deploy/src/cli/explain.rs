//! `explain`: the outcome of an acquire, and the reasons.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use zae_limiter::{
    AcquireError, Cost, EntityId, RateLimiter, ResourceName,
    explain::{ConfiguredLevel, ExplainedBucket, Explanation, Verdict},
};

use super::{
    CliError, Context,
    args::NamespaceArgs,
    limit::per_period,
    output::{Align, Cell, Page, Report, Table, Tone, units::count},
    resource_name,
};

/// Explain the outcome of a request: the limits that apply, their level, and if it would pass
#[derive(Args, Debug)]
#[command(
    long_about = "\
Explain the outcome of a request: the limits that apply, their level, their balances, and if this cost would pass or \
when it would; the same for the parent, if the entity cascades to one. Nothing is taken.

Without --cost, one token of each limit is requested. Limits that an application passes to its limiter (defaults, or \
overrides of a call) are not stored, and not known here.",
    after_help = "\
Examples:
  zae-deploy explain user-premium gpt-4
  zae-deploy explain user-premium gpt-4 -c rpm=1,tpm=50000
  zae-deploy explain ip:127.0.0.1 api --output json | jq .verdict"
)]
pub(crate) struct Explain {
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// The entity's id
    entity_id: String,
    /// The resource
    resource: String,
    /// The requested tokens: LIMIT=TOKENS, separated by commas
    #[arg(short, long, value_name = "COST", value_delimiter = ',', value_parser = asked)]
    cost: Vec<(String, u64)>,
}

/// Parses `rpm=1`.
fn asked(text: &str) -> Result<(String, u64), String> {
    let (name, tokens) = text.split_once('=').ok_or("must be LIMIT=TOKENS, such as rpm=1")?;
    let tokens = tokens.replace('_', "").parse().map_err(|_| format!("'{tokens}' is not a whole number of tokens"))?;
    Ok((name.trim().to_owned(), tokens))
}

#[derive(Serialize)]
struct Explained {
    entity_id: EntityId,
    resource: ResourceName,
    #[serde(flatten)]
    explanation: Explanation,
}

impl Explain {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let entity_id = EntityId::new(&self.entity_id)?;
        let resource = resource_name::resource(&self.resource, &cx.output())?;
        let repository = cx.repository(&self.namespace).await?;
        let limiter = RateLimiter::new(repository.clone());
        let cost = match self.cost.split_first() {
            Some(((name, tokens), more)) => {
                more.iter().fold(Cost::of(name, *tokens), |cost, (name, tokens)| cost.and(name, *tokens))
            }
            None => one_of_each(&limiter, &entity_id, &resource).await?,
        };
        let explanation = limiter.explain(&entity_id, &resource, &cost).await;
        limiter.shutdown().await;
        let explanation = match explanation {
            Ok(explanation) => explanation,
            Err(AcquireError::Invalid(error)) => return Err(error.into()),
            Err(error) => return Err(CliError::failed("explain the request", error)),
        };
        cx.output().show(&Explained { entity_id, resource, explanation })
    }
}

/// Creates a cost of one token of each limit that applies; if none apply, of a limit that does not exist.
async fn one_of_each(limiter: &RateLimiter, entity: &EntityId, resource: &ResourceName) -> Result<Cost, CliError> {
    let limits = match limiter.limits_for(entity, resource).await {
        Ok(limits) => limits,
        // The explanation reports it.
        Err(AcquireError::Unsupported(_) | AcquireError::Disabled(_)) => None,
        Err(AcquireError::Repository(error)) => {
            return Err(CliError::failed("read the limits", error.to_string()));
        }
        Err(error) => return Err(CliError::failed("read the limits", error)),
    };
    let names = limits.iter().flat_map(|limits| limits.iter().map(|limit| limit.name().clone()));
    let cost = names.fold(None, |cost: Option<Cost>, name| {
        Some(match cost {
            Some(cost) => cost.and(name.as_str(), 1),
            None => Cost::of(name.as_str(), 1),
        })
    });
    Ok(cost.unwrap_or_else(|| Cost::requests(1)))
}

impl Report for Explained {
    fn page(&self, page: &mut Page) {
        let Self { entity_id, resource, explanation } = self;
        let (says, tone) = verdict(&explanation.verdict);
        let says = page.paint(tone, &says);
        page.line(format!("{entity_id} on {resource}: {says}"));
        for bucket in &explanation.buckets {
            page.blank();
            bucket_of(bucket, page);
        }
    }
}

fn verdict(verdict: &Verdict) -> (String, Tone) {
    match verdict {
        Verdict::Passes => ("passes".to_owned(), Tone::Good),
        Verdict::NotYet { retry_after } => (format!("refused now; fits in {}", waiting(*retry_after)), Tone::Bad),
        Verdict::Never => ("never granted: it is larger than a limit's capacity".to_owned(), Tone::Bad),
        Verdict::Disabled { entity_id, level } => {
            (format!("refused: '{entity_id}' is disabled at the level {}", level.as_str()), Tone::Bad)
        }
        Verdict::NoLimits { entity_id } => {
            (format!("no limits are stored for '{entity_id}'; its own defaults decide"), Tone::Warn)
        }
        Verdict::Unsupported { reason } => (format!("cannot be judged here: {reason}"), Tone::Warn),
        _ => ("something newer than this command".to_owned(), Tone::Warn),
    }
}

fn bucket_of(bucket: &ExplainedBucket, page: &mut Page) {
    let from = match bucket.applies {
        Some(level) => format!("limits of the level {}", level.as_str()),
        None => "no stored limits".to_owned(),
    };
    page.heading(&format!("Bucket of entity '{}': {from}", bucket.entity_id));
    if !bucket.limits.is_empty() {
        let (left, right) = (|name| (name, Align::Left), |name| (name, Align::Right));
        let columns = [left("Limit"), right("Asked"), right("Available"), right("Capacity"), right("Refill")];
        let mut table = Table::new(columns.into_iter().chain([left("Answer")]));
        for status in &bucket.limits {
            let never = status.requested > status.limit.capacity();
            let (answer, tone) = match (status.limit.is_soft(), never, status.exceeded) {
                (true, ..) => ("counted only (soft)".to_owned(), Tone::Good),
                (false, true, _) => ("never".to_owned(), Tone::Bad),
                (false, false, true) => (format!("in {}", waiting(status.retry_after)), Tone::Bad),
                (false, false, false) => ("yes".to_owned(), Tone::Good),
            };
            table.row([
                Cell::from(status.limit.name().as_str()),
                count(status.requested).into(),
                count(status.available).into(),
                count(status.limit.capacity()).into(),
                per_period(status.limit.refill_amount(), status.limit.refill_period()).into(),
                Cell::new(answer).tone(tone),
            ]);
        }
        page.table(&table);
    }
    let mut table = Table::left(["Level", "Stored"]);
    for level in &bucket.levels {
        let applies = bucket.applies == Some(level.level);
        let name = format!("{} {}", if applies { "→" } else { " " }, level.level.as_str());
        table.row([name.into(), Cell::new(stored(level))]);
    }
    if !bucket.levels.is_empty() {
        page.table(&table);
    }
}

fn stored(level: &ConfiguredLevel) -> String {
    let mut parts = Vec::new();
    parts.extend(level.access.map(|access| access.as_str().to_owned()));
    parts.extend(level.unsupported.iter().map(|attribute| format!("{attribute}, which only newer clients know")));
    let limits = level.limits.iter().flat_map(|limits| limits.iter());
    parts.extend(limits.map(|limit| {
        let refill = per_period(limit.refill_amount(), limit.refill_period());
        format!("{}: {} ({refill})", limit.name(), count(limit.capacity()))
    }));
    if parts.is_empty() { "no limits".to_owned() } else { parts.join(", ") }
}

/// Formats a wait: `450 ms`, `12 s`, `3 min 5 s`, `2 h 1 min`.
fn waiting(wait: Duration) -> String {
    let (ms, seconds) = (wait.as_millis(), wait.as_secs() + u64::from(wait.subsec_millis() > 0));
    match seconds {
        _ if ms < 1_000 => format!("{ms} ms"),
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

//! `entity reset` and `entity top-up`.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use zae_limiter::{
    Cost, EntityId, LimitName,
    operation::{OperationKey, OperationReport, ResetLimits},
};

use super::Group;
use crate::cli::{
    CliError, Context,
    error::Doing,
    output::{Output, Page, Report, Tone, units::count},
    resource_name,
};

/// Arguments of a reset.
#[derive(Args, Debug)]
pub(super) struct ResetBucket {
    /// The entity's id
    entity_id: String,
    /// The resource whose bucket is reset
    #[arg(short, long)]
    resource: String,
    /// A limit to reset; all that apply by default
    #[arg(short, long = "limit", value_name = "NAME")]
    limits: Vec<String>,
    #[command(flatten)]
    key: KeyArgs,
}

/// Arguments of a top-up.
#[derive(Args, Debug)]
pub(super) struct TopUp {
    /// The entity's id
    entity_id: String,
    /// The resource whose bucket is topped up
    #[arg(short, long)]
    resource: String,
    /// Tokens to add to a limit; digits may be grouped with `,` or `_`
    #[arg(short, long = "amount", value_name = "LIMIT:TOKENS", required = true, value_parser = amount)]
    amounts: Vec<(String, u64)>,
    #[command(flatten)]
    key: KeyArgs,
}

/// The key under which an operation counts once.
#[derive(Args, Debug)]
struct KeyArgs {
    /// Count the operation once under this key, however often the command is repeated within three days
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl KeyArgs {
    fn parse(&self) -> Result<OperationKey, CliError> {
        let given = self.idempotency_key.as_ref().map(OperationKey::new).transpose()?;
        Ok(given.unwrap_or_else(OperationKey::draw))
    }
}

/// Reads `LIMIT:TOKENS`.
fn amount(text: &str) -> Result<(String, u64), String> {
    let problem = || "must be LIMIT:TOKENS with at least one token, for example day:1,000".to_owned();
    let (name, tokens) = text.rsplit_once(':').ok_or_else(problem)?;
    let digits: String = tokens.chars().filter(|c| !matches!(c, ',' | '_')).collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let tokens = digits.parse().ok().filter(|tokens| is_number && *tokens > 0).ok_or_else(problem)?;
    LimitName::new(name).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), tokens))
}

impl ResetBucket {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let entity = EntityId::new(&self.entity_id)?;
        let resource = resource_name::resource(&self.resource, out)?;
        let key = self.key.parse()?;
        let names: Vec<LimitName> = self.limits.iter().map(LimitName::new).collect::<Result<_, _>>()?;
        let limits = if names.is_empty() { ResetLimits::All } else { ResetLimits::Named(names) };
        let repository = cx.repository_to_write(&group.with.namespace).await?;
        let repository = cx.acting(repository, &group.with.principal).await?;
        let action = format!("reset entity '{entity}' (repeat it with --idempotency-key {key})");
        let report = repository.reset_bucket(&entity, &resource, &limits, &key).await.doing(&action)?;
        out.show(&Operated { kind: Kind::Reset, report })
    }
}

impl TopUp {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let entity = EntityId::new(&self.entity_id)?;
        let resource = resource_name::resource(&self.resource, out)?;
        let key = self.key.parse()?;
        let mut amounts = self.amounts.iter();
        // Clap requires one.
        let Some((name, tokens)) = amounts.next() else { return Ok(()) };
        let cost = amounts.fold(Cost::of(name, *tokens), |cost, (name, tokens)| cost.and(name, *tokens));
        let repository = cx.repository_to_write(&group.with.namespace).await?;
        let repository = cx.acting(repository, &group.with.principal).await?;
        let action = format!("top up entity '{entity}' (repeat it with --idempotency-key {key})");
        let report = repository.top_up(&entity, &resource, &cost, &key).await.doing(&action)?;
        let mut asked: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, tokens) in &self.amounts {
            let sum = asked.entry(name).or_default();
            *sum = sum.saturating_add(*tokens);
        }
        let granted = |name: &str| report.amounts.get(name).copied().unwrap_or(0);
        if report.shards > 0 {
            for (name, tokens) in asked.iter().filter(|(name, tokens)| granted(name).unsigned_abs() < **tokens) {
                let (granted, asked) = (count(granted(name)), count(*tokens));
                cx.warn(&format!("{name}: {granted} of {asked}: a dripping limit takes no more than it has room for"));
            }
        }
        out.show(&Operated { kind: Kind::TopUp, report })
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Reset,
    TopUp,
}

#[derive(Serialize)]
struct Operated {
    #[serde(skip)]
    kind: Kind,
    #[serde(flatten)]
    report: OperationReport,
}

impl Report for Operated {
    fn page(&self, page: &mut Page) {
        let Self { kind, report } = self;
        let OperationReport { entity_id, resource, shards, amounts, operation_id, .. } = report;
        page.line(match (kind, shards) {
            (Kind::Reset, 0) => format!("Nothing to reset: '{entity_id}' has no bucket for '{resource}'"),
            (Kind::TopUp, 0) => {
                format!(
                    "Nothing to top up: '{entity_id}' has no bucket for '{resource}', and a dripping limit starts full"
                )
            }
            (kind, shards) => {
                let done = if matches!(kind, Kind::Reset) { "Reset" } else { "Topped up" };
                let amounts: Vec<String> =
                    amounts.iter().map(|(name, tokens)| format!("{name}: {}", signed(*tokens))).collect();
                let plural = if *shards == 1 { "shard" } else { "shards" };
                format!("{done} '{entity_id}' on '{resource}' ({shards} {plural}; {})", amounts.join(", "))
            }
        });
        let key = page.paint(Tone::Dim, &format!("operation {operation_id}"));
        page.line(format!("  {key}"));
    }
}

/// A number with its sign, in groups of three digits.
fn signed(number: i64) -> String {
    format!("{}{}", if number < 0 { "" } else { "+" }, count(number))
}

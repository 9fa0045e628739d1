//! `cost`: what a month costs, from stated numbers or from stored usage, with the arithmetic shown.

mod bill;
mod workload;

use clap::{Args, ValueEnum};
use serde::Serialize;
use zae_limiter::{
    EntityId,
    usage::{UsageQuery, UsageSnapshot, UsageWindow},
};

use super::{
    CliError, Context,
    args::NamespaceArgs,
    error::Doing,
    output::{Align, Page, Report, Table, units::count},
    usage::when::{self, Edge},
};
use bill::{Bill, Tariff};
use workload::{Aggregation, Debits, Indexes, Workload};

/// Estimate the cost of a month, from stated numbers or from stored usage
#[derive(Args, Debug)]
#[command(
    long_about = "\
Estimate the cost of a month (730 hours) at the prices of DynamoDB on demand and Lambda in us-east-1, with the \
arithmetic shown. Amounts are upper bounds: writes that several acquires share, and refusals from memory, cost less.

With --entity-id or --resource, the writes are those that the aggregator counted; otherwise they are computed from \
--rate.",
    after_help = "\
Examples:
  zae-deploy cost --rate 200
  zae-deploy cost --rate 2000 --processes 250 --keys 1 --reserve all
  zae-deploy cost --rate 500 --keys 10000 --settled 100 --lean
  zae-deploy cost --resource gpt-4 --start 7d --output json"
)]
pub(crate) struct MonthlyCost {
    #[command(flatten)]
    namespace: NamespaceArgs,
    /// Decisions a second, on average
    #[arg(long, value_name = "DECISIONS", value_parser = amount)]
    #[arg(required_unless_present_any = ["entity_id", "resource"])]
    rate: Option<f64>,
    /// Processes that make them
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    processes: u32,
    /// Buckets that are asked equally often: one for each entity and resource
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Tokens debited ahead of use
    #[arg(long, value_enum, default_value_t = ReserveMode::Off)]
    reserve: ReserveMode,
    /// Seconds for which a process keeps what it has debited ahead
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = amount)]
    reserve_life: f64,
    /// Percentage of calls whose cost is corrected afterwards by a write of its own
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    settled: u8,
    /// The stack was deployed with --index-projection lean: a write costs one unit instead of two
    #[arg(long)]
    lean: bool,
    /// The stack was deployed without the aggregator
    #[arg(long)]
    no_aggregator: bool,
    /// Use the stored usage of this entity instead of --rate
    #[arg(short, long, conflicts_with = "rate")]
    entity_id: Option<String>,
    /// Use the stored usage of this resource instead of --rate
    #[arg(short, long, conflicts_with = "rate")]
    resource: Option<String>,
    /// Only usage since this time, with --entity-id or --resource
    #[arg(long, value_name = "TIME", default_value = "7d")]
    start: String,
    /// Dollars per million write units
    #[arg(long, value_name = "DOLLARS", default_value_t = bill::WRITES, value_parser = amount)]
    write_price: f64,
    /// Dollars per million read units
    #[arg(long, value_name = "DOLLARS", default_value_t = bill::READS, value_parser = amount)]
    read_price: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ReserveMode {
    /// Every decision is a write, or part of one
    Off,
    /// Processes that ask often debit ahead
    All,
}

/// Parses a number that is finite and not negative.
fn amount(text: &str) -> Result<f64, String> {
    match text.replace('_', "").parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("must be a number, 0 or more".to_owned()),
    }
}

impl MonthlyCost {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let rate = match self.rate {
            Some(rate) => Rate::Stated { decisions_per_second: rate },
            None => self.counted(cx).await?,
        };
        let workload = Workload {
            decisions: rate.per_second(),
            processes: f64::from(self.processes),
            keys: self.keys as f64,
            debits: match (&rate, self.reserve) {
                (Rate::Counted { .. }, _) => Debits::Counted,
                (_, ReserveMode::Off) => Debits::EachDecision,
                (_, ReserveMode::All) => Debits::Ahead { life: self.reserve_life },
            },
            settled: f64::from(self.settled) / 100.0,
            indexes: if self.lean { Indexes::Lean } else { Indexes::Standard },
            aggregation: if self.no_aggregator { Aggregation::None } else { Aggregation::Deployed },
        };
        let tariff = Tariff { write: self.write_price, read: self.read_price };
        cx.output().show(&Estimated { rate, bill: Bill::of(&workload, &tariff) })
    }

    /// Reads the rate of writes from stored usage.
    async fn counted(&self, cx: &Context) -> Result<Rate, CliError> {
        let resource = self.resource.as_deref().map(crate::resource_name::named).transpose()?;
        let query = match (&self.entity_id, resource) {
            (Some(entity), None) => UsageQuery::entity(EntityId::new(entity)?),
            (Some(entity), Some(resource)) => UsageQuery::entity(EntityId::new(entity)?).resource(resource),
            (None, Some(resource)) => UsageQuery::of_resource(resource),
            (None, None) => return Err(CliError::Invalid("Either --rate, --entity-id or --resource is needed".into())),
        };
        let since = when::parse("--start", &self.start, Edge::Start, cx.now_ms())?;
        let mut query = query.window(UsageWindow::Hourly).since_ms(since).limit(1_000);
        let repository = cx.repository(&self.namespace).await?;
        let mut events = 0_u64;
        let mut seen = false;
        loop {
            let page = repository.usage_snapshots(&query).await.doing("read stored usage")?;
            seen |= !page.snapshots.is_empty();
            events = page.snapshots.iter().fold(events, |sum, snapshot| sum.saturating_add(events_of(snapshot)));
            match page.next {
                Some(next) => query = query.cursor(&next),
                None => break,
            }
        }
        if !seen {
            let advice = "no usage is stored for that time; state --rate, or choose an earlier --start";
            return Err(CliError::Invalid(advice.to_owned()));
        }
        let seconds = (cx.now_ms().saturating_sub(since) as f64 / 1_000.0).max(1.0);
        Ok(Rate::Counted { events, seconds })
    }
}

/// Returns the number of changes that a snapshot counted.
fn events_of(snapshot: &UsageSnapshot) -> u64 {
    u64::try_from(snapshot.total_events).unwrap_or(0)
}

/// The rate that an estimate begins with.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "source", rename_all = "snake_case")]
enum Rate {
    /// Decisions, from the command line.
    Stated { decisions_per_second: f64 },
    /// Writes that the aggregator has counted in some seconds.
    Counted { events: u64, seconds: f64 },
}

impl Rate {
    fn per_second(self) -> f64 {
        match self {
            Self::Stated { decisions_per_second } => decisions_per_second,
            Self::Counted { events, seconds } => events as f64 / seconds,
        }
    }
}

#[derive(Serialize)]
struct Estimated {
    rate: Rate,
    #[serde(flatten)]
    bill: Bill,
}

impl Report for Estimated {
    fn page(&self, page: &mut Page) {
        page.blank();
        page.heading("Cost of a month (730 hours, us-east-1, on demand)");
        page.blank();
        if let Rate::Counted { events, seconds } = self.rate {
            let hours = (seconds / 3_600.0).round() as i128;
            page.line(format!("Usage: {} writes counted in {} hours", count(i128::from(events)), count(hours)));
            page.blank();
        }
        let right = |name| (name, Align::Right);
        let mut table = Table::new([
            ("Item", Align::Left),
            right("A second"),
            right("Price"),
            right("Dollars"),
            ("Arithmetic", Align::Left),
        ]);
        for line in &self.bill.lines {
            table.row([
                line.item.into(),
                bill::figure(line.per_second).into(),
                format!("{} {}", bill::figure(line.price), line.per).into(),
                format!("{:.2}", line.dollars).into(),
                line.arithmetic.as_str().into(),
            ]);
        }
        page.table(&table);
        page.blank();
        let each = self.bill.per_million_decisions.map(|dollars| format!(", {dollars:.2} per million decisions"));
        page.line(format!("Together: at most {:.2} dollars{}", self.bill.dollars, each.unwrap_or_default()));
        for note in &self.bill.notes {
            page.line(note);
        }
    }
}

//! `usage …`: shows consumption by window or in total.

mod list;
mod plot;
mod series;
mod summary;
pub(super) mod when;

use clap::{Args, Subcommand, ValueEnum};
use zae_limiter::{
    EntityId,
    usage::{UsageQuery, UsageWindow},
};

use super::{CliError, Context, args::NamespaceArgs};
use when::Edge;

/// Show consumption as counted by the aggregator.
#[derive(Args, Debug)]
#[command(after_help = "\
Times are instants (2026-01-15T10:00:00Z), days (2026-01-15, UTC), or how long ago (24h, 7d).

Examples:
  zae-deploy usage list --entity-id user-premium --start 24h --plot
  zae-deploy usage list --resource gpt-4 --window daily --start 2026-01-01
  zae-deploy usage summary --entity-id user-premium --output json")]
pub(crate) struct Group {
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List usage snapshots, newest first, or draw them
    #[command(after_help = "\
Examples:
  zae-deploy usage list --entity-id user-premium --start 24h --plot
  zae-deploy usage list --resource gpt-4 --window daily --start 7d")]
    List(list::ListUsage),
    /// Show total usage
    #[command(after_help = "\
Examples:
  zae-deploy usage summary --entity-id user-premium --resource gpt-4")]
    Summary(summary::Summary),
}

/// Options that select snapshots.
#[derive(Args, Debug)]
struct Filter {
    /// Only this entity
    #[arg(short, long)]
    entity_id: Option<String>,
    /// Only this resource
    #[arg(short, long)]
    resource: Option<String>,
    /// Only windows of this length [default: all; for totals and charts: the shortest available]
    #[arg(short, long)]
    window: Option<Window>,
    /// Only windows that start at or after this time
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Only windows that start at or before this time
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Window {
    Hourly,
    Daily,
    Monthly,
}

impl From<Window> for UsageWindow {
    fn from(window: Window) -> Self {
        match window {
            Window::Hourly => Self::Hourly,
            Window::Daily => Self::Daily,
            Window::Monthly => Self::Monthly,
        }
    }
}

impl Filter {
    fn query(&self, cx: &Context) -> Result<UsageQuery, CliError> {
        let resource = self.resource.as_deref().map(crate::resource_name::named).transpose()?;
        let mut query = match (&self.entity_id, resource) {
            (Some(entity), None) => UsageQuery::entity(EntityId::new(entity)?),
            (Some(entity), Some(resource)) => UsageQuery::entity(EntityId::new(entity)?).resource(resource),
            (None, Some(resource)) => UsageQuery::of_resource(resource),
            (None, None) => {
                let problem = "Either --entity-id or --resource must be provided";
                return Err(CliError::Invalid(problem.to_owned()));
            }
        };
        if let Some(window) = self.window {
            query = query.window(window.into());
        }
        if let Some(start) = &self.start {
            query = query.since_ms(when::parse("--start", start, Edge::Start, cx.now_ms())?);
        }
        if let Some(end) = &self.end {
            query = query.until_ms(when::parse("--end", end, Edge::End, cx.now_ms())?);
        }
        Ok(query)
    }
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::List(list) => list.run(&self, cx, &out).await,
            Command::Summary(summary) => summary.run(&self, cx, &out).await,
        }
    }
}

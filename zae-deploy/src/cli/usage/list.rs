//! `usage list`.

use clap::Args;
use serde::Serialize;
use zae_limiter::usage::{UsagePage, UsageSnapshot};

use super::{Filter, Group, plot, series};
use crate::cli::{
    CliError, Context,
    args::Format,
    error::Doing,
    output::{Align, Output, Page, Report, Table, units::count},
};

#[derive(Args, Debug)]
pub(super) struct ListUsage {
    #[command(flatten)]
    filter: Filter,
    /// Maximum number of snapshots
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Continue after an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// Draw a chart of each limit instead of the table
    #[arg(short, long)]
    plot: bool,
}

impl ListUsage {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let mut query = self.filter.query(cx)?.limit(self.limit);
        if let Some(cursor) = &self.cursor {
            query = query.cursor(cursor);
        }
        let repository = cx.repository(&group.namespace).await?;
        let page = repository.usage_snapshots(&query).await.doing("list usage snapshots")?;
        let page = Listed(page);
        if self.plot && out.format() == Format::Table {
            return out.show(&Plotted(page));
        }
        out.show(&page)
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Listed(UsagePage);

const NONE: &str = "No usage snapshots found";

impl Listed {
    fn more(&self, page: &mut Page) {
        if let Some(next) = &self.0.next {
            page.blank();
            page.line(format!("More snapshots exist. Use --cursor {next}"));
        }
    }
}

impl Report for Listed {
    fn page(&self, page: &mut Page) {
        let snapshots = &self.0.snapshots;
        if snapshots.is_empty() {
            return page.line(NONE);
        }
        let left = |name| (name, Align::Left);
        let columns = ["Window Start", "Type", "Resource", "Entity"].map(left);
        let columns = columns.into_iter().chain([("Events", Align::Right), left("Counters")]);
        let mut table = Table::new(columns);
        for snapshot in snapshots {
            table.row([
                snapshot.window_start.as_str().into(),
                snapshot.window.as_str().into(),
                snapshot.resource.as_str().into(),
                snapshot.entity_id.as_str().into(),
                count(snapshot.total_events).into(),
                counters(snapshot).into(),
            ]);
        }
        page.blank();
        page.heading("Usage Snapshots");
        page.blank();
        page.table(&table);
        page.blank();
        page.line(format!("Total: {} snapshots", count(snapshots.len() as i128)));
        self.more(page);
    }
}

fn counters(snapshot: &UsageSnapshot) -> String {
    let counters = snapshot.counters.iter().map(|(limit, tokens)| format!("{limit}={}", count(*tokens)));
    counters.collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
#[serde(transparent)]
struct Plotted(Listed);

impl Report for Plotted {
    fn page(&self, page: &mut Page) {
        let snapshots = &self.0.0.snapshots;
        if snapshots.is_empty() {
            return page.line(NONE);
        }
        for series in series::of(snapshots) {
            plot::draw(&series, page);
        }
        self.0.more(page);
    }
}

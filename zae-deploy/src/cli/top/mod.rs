//! `top`: the busiest and the emptiest buckets, live.
//!
//! Everything is read from the table: each refresh lists the buckets, and the difference of a bucket's counter between
//! two refreshes is its rate. Refusals write nothing, so they are not visible; a bucket that is 100 % used is one that
//! refuses. Reading (`rows`), keys (`state`) and drawing (`view`) are independent of each other's I/O.

pub(super) mod rows;
mod state;
mod terminal;
mod view;

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use clap::Args;
use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use serde::Serialize;
use zae_limiter::{Repository, ResourceName, usage::BucketScope};

use super::{
    CliError, Context,
    args::NamespaceArgs,
    error::Doing,
    output::{Align, Cell, Page, Report, Stream, Table, Tone, units},
    resource_name,
};
use rows::{Looks, Row, Sort, arranged};
use state::{Pressed, Screen};
use terminal::Terminal;

/// Approximate bytes of one bucket's keys in the index that lists all buckets.
const KEYS: f64 = 400.0;
/// Bytes per read unit, for eventually consistent reads.
const UNIT: f64 = 8_192.0;

/// Watch the busiest and the emptiest buckets, live
#[derive(Args, Debug)]
#[command(
    long_about = "\
Watch the busiest and the emptiest buckets, live: each limit's fill as a bar, its rate, the time until it is full.

Everything is read from the table: each refresh reads all buckets of the namespace, half a read unit each, or those \
of one resource, which is much cheaper if the stack has the full index. The top line shows the cost of a refresh. \
Refusals write nothing, so they are not counted; a bucket that is 100 % used refuses.

Keys: ↑ ↓ select, Enter details, s sort, / filter, p pause, q quit.",
    after_help = "\
Examples:
  zae-deploy top --name limiter
  zae-deploy top --resource gpt-4 --sort rate --interval 5
  zae-deploy top --once --output json | jq '.rows[0]'"
)]
pub(crate) struct Top {
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    list: ListArgs,
    /// Print once and exit
    #[arg(long)]
    once: bool,
    /// Seconds between refreshes
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
}

/// The rows to list, and their order.
#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only for this resource
    #[arg(short, long)]
    resource: Option<String>,
    /// Only if the entity or the resource contains this text
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// The order of rows
    #[arg(long, value_enum, default_value_t = Sort::Used)]
    sort: Sort,
    /// Maximum number of rows
    #[arg(long, value_name = "ROWS", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl ListArgs {
    fn resource(&self, cx: &Context) -> Result<Option<ResourceName>, CliError> {
        self.resource.as_ref().map(|text| resource_name::resource(text, &cx.output())).transpose()
    }
}

/// The result of one refresh.
#[derive(Serialize)]
struct Look {
    buckets: usize,
    /// Approximate price of this refresh.
    read_units: f64,
    rows: Vec<Row>,
    /// Number of rows omitted because of `--limit`.
    omitted: usize,
}

impl Report for Look {
    fn page(&self, page: &mut Page) {
        if self.rows.is_empty() {
            return page
                .line("No buckets: a bucket is made by the first request, and removed when it was idle for long");
        }
        let left = |name| (name, Align::Left);
        let right = |name| (name, Align::Right);
        let names = [left("Entity"), left("Resource"), left("Limit"), right("Used"), right("Available")];
        let mut table = Table::new(names.into_iter().chain([right("Capacity"), right("Full In")]));
        for row in &self.rows {
            let tone = match row.used_percent {
                used if used >= 100.0 => Tone::Bad,
                used if used >= 80.0 => Tone::Warn,
                _ => Tone::Plain,
            };
            table.row([
                Cell::from(row.entity_id.as_str()),
                row.resource.as_str().into(),
                row.limit.as_str().into(),
                Cell::new(format!("{:.0} %", row.used_percent)).tone(tone),
                units::count(row.available).into(),
                units::count(row.capacity).into(),
                view::waiting(row.full_in_seconds).into(),
            ]);
        }
        page.table(&table);
        if self.omitted > 0 {
            page.line(format!("{} more; --limit shows them", units::count(self.omitted as i128)));
        }
    }
}

/// Reads the buckets once and prints them.
pub(super) async fn list(cx: &Context, namespace: &NamespaceArgs, args: &ListArgs) -> Result<(), CliError> {
    let resource = args.resource(cx)?;
    let repository = cx.repository(namespace).await?;
    let (rows, buckets, read_units) = look(&repository, &resource, &mut Looks::default(), cx.now_ms()).await?;
    let mut rows = arranged(&rows, args.sort, &args.filter);
    let most = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let omitted = rows.len().saturating_sub(most);
    rows.truncate(most);
    cx.output().show(&Look { buckets, read_units, rows, omitted })
}

async fn look(
    repository: &Repository,
    resource: &Option<ResourceName>,
    looks: &mut Looks,
    now_ms: i64,
) -> Result<(Vec<Row>, usize, f64), CliError> {
    let scope = resource.clone().map_or(BucketScope::Namespace, BucketScope::Resource);
    let buckets = repository.all_buckets(&scope).await.doing("read buckets")?;
    let items: f64 = buckets.iter().map(|bucket| f64::from(bucket.shards_stored)).sum();
    let read_units = match scope {
        BucketScope::Namespace => (items * 0.5 + items * KEYS / UNIT).ceil(),
        // A bucket item has about 600 bytes.
        _ => (items * 600.0 / UNIT).ceil(),
    };
    Ok((looks.rows(&buckets, now_ms), buckets.len(), read_units))
}

impl Top {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        if self.once {
            return list(cx, &self.namespace, &self.list).await;
        }
        if !io::stdout().is_terminal() {
            return Err(CliError::Usage("top needs a terminal; --once prints one look".to_owned()));
        }
        let resource = self.list.resource(cx)?;
        let repository = cx.repository(&self.namespace).await?;
        let place = format!("{} / {}", repository.stack(), repository.namespace_name());
        let mut screen = Screen::new(place, cx.colour(Stream::Stdout), self.list.sort);
        screen.filter.clone_from(&self.list.filter);
        let terminal = Terminal::take().map_err(|error| CliError::failed("use the terminal", error))?;
        let ended = watch(&mut screen, &repository, &resource, Duration::from_secs(self.interval)).await;
        drop(terminal);
        ended
    }
}

/// Refreshes, draws and processes keys until the user quits.
async fn watch(
    screen: &mut Screen,
    repository: &Repository,
    resource: &Option<ResourceName>,
    interval: Duration,
) -> Result<(), CliError> {
    let mut looks = Looks::default();
    let mut keys = EventStream::new();
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due && !screen.paused {
            let now_ms = jiff::Timestamp::now().as_millisecond();
            match look(repository, resource, &mut looks, now_ms).await {
                Ok((rows, buckets, read_units)) => screen.update(rows, buckets, read_units),
                Err(error) => screen.problem = Some(error.to_string()),
            }
            due = Instant::now() + interval;
        }
        terminal::draw(screen).map_err(|error| CliError::failed("draw", error))?;
        let pause = if screen.paused { interval } else { due.saturating_duration_since(Instant::now()) };
        match tokio::time::timeout(pause, keys.next()).await {
            // The terminal is gone.
            Ok(None) => return Ok(()),
            Ok(Some(Ok(Event::Key(key)))) if screen.press(key) == Pressed::Quit => return Ok(()),
            Ok(Some(Err(error))) => return Err(CliError::failed("read keys", error)),
            Ok(Some(Ok(_))) | Err(_) => {}
        }
    }
}

//! `limits simulate`: the refusals that these limits would have caused.
//!
//! The requests of a log are repeated, in order and at their times, with the limiter itself on an embedded store with a
//! driven clock. The result is therefore not a model: it is what the limiter decides, to the request, as long as
//! nothing else takes from the same buckets. Costs are those of the log; a client's reaction to a refusal is unknown,
//! so refused requests are not repeated.

mod log;
mod replay;

use std::{
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        CliError, Context,
        output::{Align, Cell, Page, Report, Table, Tone, units::count},
    },
    manifest::Manifest,
};
use replay::{LogSlice, Replay};

/// Bar heights, in eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The log to replay.
#[derive(Args, Debug)]
pub(super) struct SimulateArgs {
    /// The requests: JSON lines with time, entity, resource, cost, or CSV with a column per limit; - is standard input
    #[arg(long, value_name = "LOG")]
    log: PathBuf,
    /// Maximum number of callers to list
    #[arg(long, value_name = "ROWS", default_value_t = 20)]
    limit: usize,
}

#[derive(Serialize)]
struct Simulated {
    #[serde(flatten)]
    replay: Replay,
    #[serde(skip)]
    listed: usize,
}

pub(super) async fn run(cx: &Context, manifest: &Manifest, args: &SimulateArgs) -> Result<(), CliError> {
    let shown = args.log.display().to_string();
    let input: Box<dyn BufRead> = match args.log == Path::new("-") {
        true => Box::new(BufReader::new(stdin())),
        false => {
            let file = File::open(&args.log).map_err(|error| CliError::failed(format!("read {shown}"), error))?;
            Box::new(BufReader::new(file))
        }
    };
    let requests = log::read(&shown, input)?;
    let replay = replay::run(manifest, &requests).await?;
    cx.output().show(&Simulated { replay, listed: args.limit })
}

impl Report for Simulated {
    fn page(&self, page: &mut Page) {
        let replay = &self.replay;
        if replay.requests == 0 {
            return page.line("The log has no requests.");
        }
        let percent = replay.refused as f64 / replay.requests as f64 * 100.0;
        let requests = count(replay.requests);
        let refused = count(replay.refused);
        page.heading(&format!(
            "{requests} requests: {} granted, {refused} refused ({percent:.1} %)",
            count(replay.granted)
        ));
        if replay.never > 0 {
            page.line(format!("{} of them exceed a limit's capacity and never fit", count(replay.never)));
        }
        if replay.without_limits > 0 {
            page.line(format!("{} of them have no limits: nothing in the file applies", count(replay.without_limits)));
        }
        page.blank();
        let bars = page.paint(Tone::Bad, &bars(&replay.timeline));
        page.line(format!("Refused over time  |{bars}|"));
        page.blank();
        let (left, right) = (|name| (name, Align::Left), |name| (name, Align::Right));
        let columns = [left("Entity"), left("Resource"), right("Requests"), right("Refused"), left("First Refused")];
        let mut table = Table::new(columns.into_iter().chain([right("Longest Wait"), right("Fullest")]));
        for caller in replay.callers.iter().take(self.listed) {
            let tone = if caller.refused > 0 { Tone::Bad } else { Tone::Plain };
            let first = caller.first_refused_at_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            table.row([
                Cell::from(caller.entity_id.as_str()),
                caller.resource.as_str().into(),
                count(caller.requests).into(),
                Cell::new(count(caller.refused)).tone(tone),
                Cell::or_dash(first.map(|time| time.to_string())),
                format!("{:.1} s", caller.longest_wait_seconds).into(),
                format!("{:.0} %", caller.fullest_percent).into(),
            ]);
        }
        page.table(&table);
        let more = replay.callers.len().saturating_sub(self.listed);
        if more > 0 {
            page.line(format!("{} more callers; --limit shows them", count(more as i128)));
        }
    }
}

/// Draws a bar for each part of the time: the refused share of its requests.
fn bars(timeline: &[LogSlice]) -> String {
    let bar = |part: &LogSlice| {
        let eighths = (part.refused * 8).div_ceil(part.requests.max(1));
        EIGHTHS[usize::try_from(eighths).unwrap_or(0).min(8)]
    };
    timeline.iter().map(bar).collect()
}

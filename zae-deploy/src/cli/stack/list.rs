//! `list`: the stacks of a region.

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::{cloud, failed};
use crate::{
    cli::{
        CliError, Context,
        output::{Cell, Output, Page, Report, Table, Tone},
    },
    stack::{LimiterInfo, list_deployed},
};

/// The width of the rules above and below the headings.
const WIDTH: usize = 91;
const NAMES: [&str; 6] = ["Name", "Status", "Version", "Lambda", "Schema", "Created"];
/// The widths of all columns but the last.
const COLUMNS: [usize; 5] = [20, 25, 12, 12, 10];

#[derive(Serialize)]
struct Limiters {
    region: String,
    limiters: Vec<Limiter>,
    #[serde(skip)]
    deploy: String,
}

#[derive(Serialize)]
struct Limiter {
    #[serde(flatten)]
    info: LimiterInfo,
    is_healthy: bool,
    is_in_progress: bool,
    is_failed: bool,
}

impl From<LimiterInfo> for Limiter {
    fn from(info: LimiterInfo) -> Self {
        Self { is_healthy: info.is_healthy(), is_in_progress: info.is_in_progress(), is_failed: info.is_failed(), info }
    }
}

impl Limiter {
    fn symbol(&self) -> (&'static str, Tone) {
        if self.is_in_progress {
            ("⏳", Tone::Warn)
        } else if self.is_failed {
            ("✗", Tone::Bad)
        } else if self.is_healthy {
            ("✓", Tone::Good)
        } else {
            ("?", Tone::Plain)
        }
    }

    fn cells(&self) -> [String; 6] {
        let info = &self.info;
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            info.user_name.clone(),
            format!("{} {}", self.symbol().0, info.stack_status),
            or_dash(&info.version),
            or_dash(&info.lambda_version),
            or_dash(&info.schema_version),
            info.created_at.and_then(date).unwrap_or_else(|| "unknown".to_owned()),
        ]
    }

    fn needs_attention(&self) -> bool {
        self.is_failed || self.is_in_progress
    }
}

impl Report for Limiters {
    fn page(&self, page: &mut Page) {
        if self.limiters.is_empty() {
            page.blank();
            page.line("No rate limiter instances found in region.");
            page.line(format!("  Region: {}", self.region));
            page.blank();
            page.line("Deploy a new instance with:");
            page.line(format!("  {}", self.deploy.trim_matches('`')));
            return page.blank();
        }
        page.heading(&format!("Rate Limiter Instances ({})", self.region));
        page.rule('=', WIDTH);
        page.blank();
        let rows: Vec<[String; 6]> = self.limiters.iter().map(Limiter::cells).collect();
        let widest = rows.iter().map(|cells| row(cells).width()).max().unwrap_or(0).max(WIDTH);
        if page.width().is_some_and(|width| width < widest) {
            let mut table = Table::left(NAMES);
            rows.into_iter().for_each(|cells| table.row(cells.map(Cell::from)));
            page.table(&table);
        } else {
            page.line(row(&NAMES.map(str::to_owned)));
            page.rule('-', WIDTH);
            for (limiter, cells) in self.limiters.iter().zip(&rows) {
                let (symbol, tone) = limiter.symbol();
                page.line(row(cells).replacen(symbol, &page.paint(tone, symbol), 1));
            }
        }
        page.blank();
        page.line(format!("Total: {} instance(s)", self.limiters.len()));
        let attention = self.limiters.iter().filter(|limiter| limiter.needs_attention()).count();
        if attention > 0 {
            page.line(format!("⚠️  {attention} instance(s) need attention"));
        }
    }
}

/// Formats cells in their columns; a cell that is too long moves the following ones.
fn row(cells: &[String; 6]) -> String {
    let padded = cells.iter().zip(COLUMNS).map(|(cell, width)| {
        let space = " ".repeat(width.saturating_sub(cell.width()));
        format!("{cell}{space} ")
    });
    padded.chain(cells.last().cloned()).collect()
}

fn date(seconds: i64) -> Option<String> {
    jiff::Timestamp::from_second(seconds).ok().map(|at| at.strftime("%Y-%m-%d").to_string())
}

pub(super) async fn run(cx: &Context, out: &Output) -> Result<(), CliError> {
    let cloud = cloud(cx).await?;
    let found = list_deployed(&cloud).await.map_err(|error| failed("list stacks", error))?;
    let limiters = found.into_iter().filter(LimiterInfo::is_limiter).map(Limiter::from).collect();
    out.show(&Limiters { region: cloud.region().to_owned(), limiters, deploy: cx.command("deploy") })
}

#[cfg(test)]
mod tests {
    use super::row;

    #[test]
    fn columns_stand_where_they_do_in_the_guide() {
        let cells = |cells: [&str; 6]| row(&cells.map(str::to_owned));
        assert_eq!(
            cells(["prod-api", "✓ CREATE_COMPLETE", "0.2.0", "0.2.0", "1.0.0", "2024-01-15"]),
            "prod-api             ✓ CREATE_COMPLETE         0.2.0        0.2.0        1.0.0      2024-01-15"
        );
        assert_eq!(
            cells(["dev-test", "⏳ UPDATE_IN_PROGRESS", "0.1.0", "0.1.0", "1.0.0", "2023-12-01"]),
            "dev-test             ⏳ UPDATE_IN_PROGRESS     0.1.0        0.1.0        1.0.0      2023-12-01"
        );
        let long = "a-name-that-is-longer-than-its-column";
        assert!(cells([long, "", "", "", "", ""]).starts_with(long));
    }
}

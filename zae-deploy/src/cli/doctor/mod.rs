//! `doctor`: checks everything that can be wrong between this machine and a stack, each with its remedy.
//!
//! Checks run from the outside in: this machine (`place`), the table (`table`), the stack around it (`stack`). Checks
//! that are not possible are skipped with the reason; a failing check only stops those that depend on it.

mod finding;
mod place;
mod stack;
mod table;

use clap::Args;
use serde::Serialize;

use crate::cli::{
    CliError, Context,
    args::NamespaceArgs,
    output::{Page, Report, Tone},
};

use finding::{Finding, State};

/// Diagnose a stack, and this machine's connection to it
#[derive(Args, Debug)]
#[command(
    long_about = "\
Diagnose a stack, and this machine's connection to it: credentials, region, endpoint and clock; the \
table, its time to live, stream and records; the functions, their stream and dead letters; the alarms.

Nothing is changed. Each line begins with ✓ (healthy), ⚠ (works, but needs attention), ✗ (does not work) or - \
(could not be checked), and is followed by the command that fixes it. The exit code is 1 if there is any ✗.",
    after_help = "\
Examples:
  zae-deploy doctor --name limiter --region us-east-1
  zae-deploy doctor --name limiter --namespace tenant-alpha --output json"
)]
pub(crate) struct Doctor {
    #[command(flatten)]
    namespace: NamespaceArgs,
}

#[derive(Serialize)]
struct Diagnosis {
    stack: String,
    healthy: bool,
    checks: Vec<Finding>,
}

impl Report for Diagnosis {
    fn page(&self, page: &mut Page) {
        for check in &self.checks {
            let (sign, tone) = match check.state {
                State::Ok => ("✓", Tone::Good),
                State::Warning => ("⚠", Tone::Warn),
                State::Failed => ("✗", Tone::Bad),
                State::Skipped => ("-", Tone::Dim),
            };
            let sign = page.paint(tone, sign);
            page.line(format!("{sign} {:<14} {}", check.name, check.says));
            for next in &check.next {
                page.line(format!("    → {next}"));
            }
        }
        page.blank();
        let count = |state| self.checks.iter().filter(|check| check.state == state).count();
        page.line(match (count(State::Failed), count(State::Warning)) {
            (0, 0) => format!("Stack '{}' is healthy.", self.stack),
            (0, warnings) => format!("Stack '{}' works; {warnings} thing(s) to look at.", self.stack),
            (failed, warnings) => {
                format!("Stack '{}' is not healthy: {failed} failure(s), {warnings} warning(s).", self.stack)
            }
        });
    }
}

impl Doctor {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let stack = cx.named_stack()?;
        let mut checks = place::variables();
        let (place, found) = place::examine(cx).await;
        checks.extend(found);
        if let Some(place) = place {
            let (found, stands) = table::examine(cx, &place, &stack, &self.namespace).await;
            checks.extend(found);
            checks.extend(stack::examine(cx, &place, &stack, stands).await);
        }
        let healthy = checks.iter().all(|check| check.state != State::Failed);
        cx.output().show(&Diagnosis { stack: stack.to_string(), healthy, checks })?;
        if healthy { Ok(()) } else { Err(CliError::Shown) }
    }
}

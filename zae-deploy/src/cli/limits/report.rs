//! Displays plans, differences and applied changes.

use std::path::Path;

use serde::Serialize;
use zae_limiter::{NamespaceName, StackName};

use crate::{
    cli::{
        CliError,
        output::{Page, Report, Tone},
    },
    provisioner::{Action, Applied, Change, Difference, Plan},
};

#[derive(Serialize)]
pub(super) struct PlanReport {
    stack: StackName,
    namespace: NamespaceName,
    #[serde(flatten)]
    plan: Plan,
    /// The file in which it was saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

impl PlanReport {
    pub(super) fn new(stack: StackName, namespace: NamespaceName, plan: Plan) -> Self {
        Self { stack, namespace, plan, file: None }
    }

    pub(super) fn saved(self, file: Option<&Path>) -> Self {
        Self { file: file.map(|file| file.display().to_string()), ..self }
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.plan.changes
    }
}

impl Report for PlanReport {
    fn page(&self, page: &mut Page) {
        let changes = &self.plan.changes;
        if changes.is_empty() {
            page.line("No changes. Infrastructure is up-to-date.");
        } else {
            page.heading(&format!("Plan: {} change(s)", changes.len()));
            page.blank();
            changes.iter().for_each(|change| write_change(page, change, Some(change.action)));
            page.blank();
            page.line(format!("{} in namespace '{}' of stack '{}'.", tally(changes), self.namespace, self.stack));
        }
        warnings(page, &self.plan);
        if let Some(file) = &self.file {
            page.blank();
            page.line(format!("Saved in {file}; run `zae-deploy limits apply -n {} {file}` to apply it.", self.stack));
        }
    }
}

/// Formats `1 to create, 2 to update` in the order of the plan's signs.
fn tally(changes: &[Change]) -> String {
    let kinds = [Action::Create, Action::Update, Action::Delete, Action::Adopt];
    let counted = kinds.into_iter().filter_map(|kind| {
        let count = changes.iter().filter(|change| change.action == kind).count();
        (count > 0).then(|| format!("{count} to {kind}"))
    });
    counted.collect::<Vec<_>>().join(", ")
}

#[derive(Serialize)]
pub(super) struct DiffReport {
    stack: StackName,
    namespace: NamespaceName,
    drifted: bool,
    changes: Vec<Change>,
    #[serde(skip)]
    plan: Plan,
}

impl DiffReport {
    pub(super) fn new(stack: StackName, namespace: NamespaceName, plan: Plan) -> Self {
        let changes: Vec<Change> = plan.drift().cloned().collect();
        Self { stack, namespace, drifted: !changes.is_empty(), changes, plan }
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }
}

impl Report for DiffReport {
    fn page(&self, page: &mut Page) {
        if self.drifted {
            page.heading(&format!("Drift detected: {} difference(s)", self.changes.len()));
            page.blank();
            self.changes.iter().for_each(|change| write_change(page, change, None));
        } else {
            page.line("No drift detected. Live state matches YAML.");
        }
        warnings(page, &self.plan);
    }
}

#[derive(Serialize)]
pub(super) struct ApplyReport {
    stack: StackName,
    namespace: NamespaceName,
    #[serde(flatten)]
    applied: Applied,
}

impl ApplyReport {
    pub(super) fn new(stack: StackName, namespace: NamespaceName, applied: Applied) -> Self {
        Self { stack, namespace, applied }
    }

    /// Returns the command's result; prints failures on stderr.
    pub(super) fn result(&self) -> Result<(), CliError> {
        let errors = &self.applied.errors;
        if errors.is_empty() {
            return Ok(());
        }
        let list: String = errors.iter().map(|error| format!("\n  - {error}")).collect();
        let problem = format!("Not everything was applied ({}):{list}", errors.len());
        Err(CliError::problem(problem).next("apply the file again to finish the work"))
    }
}

impl Report for ApplyReport {
    fn page(&self, page: &mut Page) {
        let Applied { plan, created, updated, deleted, .. } = &self.applied;
        if plan.changes.is_empty() {
            page.line("No changes. Infrastructure is up-to-date.");
        } else {
            plan.changes.iter().for_each(|change| write_change(page, change, Some(change.action)));
            page.blank();
            page.done(&format!("Applied: {created} created, {updated} updated, {deleted} deleted."));
        }
        warnings(page, plan);
    }
}

/// Lists a plan's deletions, one level a line.
pub(super) fn deletions(plan: &Plan) -> Vec<String> {
    let deleted = plan.changes.iter().filter(|change| change.action == Action::Delete);
    deleted.map(|change| format!("{}: {}", change.level, shown_target(change))).collect()
}

fn shown_target(change: &Change) -> &str {
    change.target.as_deref().unwrap_or("(system defaults)")
}

fn warnings(page: &mut Page, plan: &Plan) {
    for warning in &plan.warnings {
        let label = page.paint(Tone::Warn, "Warning:");
        page.line(format!("{label} {warning}"));
    }
}

fn tone(action: Action) -> Tone {
    match action {
        Action::Create => Tone::Good,
        Action::Update => Tone::Warn,
        Action::Delete => Tone::Bad,
        _ => Tone::Dim,
    }
}

/// Prints one change: with the action's word in a plan, without it as a difference.
fn write_change(page: &mut Page, change: &Change, word: Option<Action>) {
    let symbol = page.paint(tone(change.action), &change.action.symbol().to_string());
    let shown = if word.is_some() { ShownAs::Plan } else { ShownAs::Drift };
    let word = word.map(|action| format!("{action} ")).unwrap_or_default();
    let target = shown_target(change);
    page.line(format!("  {symbol} {word}{}: {target}", change.level));
    // A deleted level needs no list of its former limits.
    if change.action != Action::Delete {
        change.attributes.iter().for_each(|difference| write_difference(page, difference, shown));
    }
}

/// Distinguishes planned changes of values from mere differences.
#[derive(Clone, Copy)]
enum ShownAs {
    Plan,
    Drift,
}

fn write_difference(page: &mut Page, difference: &Difference, shown: ShownAs) {
    let Difference { name, from, to, .. } = difference;
    let (action, values) = match (shown, from, to) {
        (_, None, None) => return,
        (ShownAs::Plan, None, Some(to)) => (Action::Create, to.clone()),
        (ShownAs::Plan, Some(from), Some(to)) => (Action::Update, format!("{from} → {to}")),
        (ShownAs::Plan, Some(from), None) => (Action::Delete, from.clone()),
        (ShownAs::Drift, None, Some(to)) => (Action::Create, format!("not stored, {to} in the file")),
        (ShownAs::Drift, Some(from), Some(to)) => (Action::Update, format!("{from} stored, {to} in the file")),
        (ShownAs::Drift, Some(from), None) => (Action::Delete, format!("{from} stored, not in the file")),
    };
    let symbol = page.paint(tone(action), &action.symbol().to_string());
    page.line(format!("      {symbol} {name}: {values}"));
}

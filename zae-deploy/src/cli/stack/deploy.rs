//! `deploy`: creates or updates a stack.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use zae_limiter::StackName;

use super::{cloud, failed, options::StackArgs, packages::Binaries, summary, watch};
use crate::{
    artifact::Packages,
    cli::{
        CliError, Context,
        args::YesArgs,
        output::{Output, Page, Report},
        prompt::confirm,
    },
    stack::{Cloud, DeployedStack, Deployment, ResourceAction, ResourceChange, StackOptions, StackPlan},
};

/// Creates a stack, or updates an existing one to the given options and leaves everything else unchanged. Changes are
/// shown first, and nothing is removed or replaced without confirmation.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zae-deploy deploy --name limiter --region us-east-1
  zae-deploy deploy --log-retention-days 90 --pitr-recovery-days 7
  zae-deploy deploy --create-iam-roles --role-name-format 'PowerUserPB-{}'

A stack that exists is changed by a change set; that nothing changes is said and is no error.")]
pub(crate) struct Deploy {
    #[command(flatten)]
    stack: StackArgs,
    /// Keep the functions' code; the functions of a new stack are placeholders that fail
    #[arg(long, help_heading = "Lambda code")]
    no_code: bool,
    #[command(flatten)]
    binaries: Binaries,
    /// Wait until CloudFormation is done [default]
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Do not wait; the next deployment, or the first program that opens the table, prepares it
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    #[command(flatten)]
    yes: YesArgs,
}

/// The outcome of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DeployOutcome {
    Created,
    Updated,
    Unchanged,
    Started,
}

#[derive(Serialize)]
pub(super) struct Deployed {
    stack: String,
    region: String,
    outcome: DeployOutcome,
    status: Option<String>,
    stack_id: Option<String>,
    changes: Vec<ResourceChange>,
    outputs: BTreeMap<String, String>,
    #[serde(skip)]
    next: String,
}

impl Report for Deployed {
    fn page(&self, page: &mut Page) {
        let words = |status: &str| status.to_lowercase().replace('_', " ");
        match (self.outcome, &self.status) {
            (DeployOutcome::Started, _) | (_, None) => {
                page.done(&format!("Stack '{}' is under way", self.stack));
                page.line(format!(
                    "  {} shows its progress; the first program that opens it prepares its table",
                    self.next
                ));
            }
            (DeployOutcome::Unchanged, Some(_)) => {
                page.done(&format!("Stack '{}' is up to date; nothing was changed", self.stack));
            }
            (_, Some(status)) => {
                page.done(&format!("Stack {}", words(status)));
                page.line(format!("  Stack ID: {}", self.stack_id.as_deref().unwrap_or("-")));
            }
        }
        if self.outcome != DeployOutcome::Started {
            page.done("Version record and namespace 'default' are in place");
        }
    }
}

impl Deploy {
    pub(super) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let stack = cx.stack()?;
        let options = self.stack.options()?;
        let out = cx.output();
        if has_no_functions(&options) {
            let note = "Note: --no-iam disables aggregator (no IAM role). Use --aggregator-role-arn to provide an \
                external role.";
            out.progress(note);
        }
        let packages = if self.no_code || has_no_functions(&options) {
            Packages::none()
        } else {
            self.binaries.packages().map_err(|error| error.next("--no-code deploys without them"))?
        };
        let cloud = cloud(cx).await?;
        out.progress(&format!("Deploying stack: {stack}"));
        out.progress(&format!("  Table name: {stack}"));
        out.progress(&format!("  Region: {}", cloud.region()));
        let action = format!("deploy stack '{stack}'");
        let deployment = Deployment::new(&cloud, stack.clone(), options.clone(), packages);
        let run = Run { cx, out: &out, cloud: &cloud, stack: &stack, action: &action, deployment: &deployment };
        let plan = run.plan().await?;
        summary::show(&out, &plan.parameters(), &options);
        let plan = run.approve(plan, self.yes).await?;
        let deployed =
            if self.no_wait { run.start(plan, options.audit_retention()).await? } else { run.apply(plan).await? };
        out.show(&deployed)
    }
}

/// Returns true if there is no role for the functions.
fn has_no_functions(options: &StackOptions) -> bool {
    options.creates_iam() == Some(false) && !options.has_aggregator_role()
}

/// One deployment by a command.
pub(super) struct Run<'a> {
    pub(super) cx: &'a Context,
    pub(super) out: &'a Output,
    pub(super) cloud: &'a Cloud,
    pub(super) stack: &'a StackName,
    /// The words after "Failed to".
    pub(super) action: &'a str,
    pub(super) deployment: &'a Deployment<'a>,
}

impl Run<'_> {
    pub(super) async fn plan(&self) -> Result<StackPlan, CliError> {
        let watch = watch::ShownEvents::new(self.cx, self.out);
        let plan = async { self.deployment.plan(&watch).await.map_err(|error| failed(self.action, error)) };
        watch::unless_interrupted(plan, || "Nothing was changed.".to_owned()).await
    }

    /// Shows the changes, and asks for confirmation before something is removed or replaced.
    pub(super) async fn approve(&self, plan: StackPlan, yes: YesArgs) -> Result<StackPlan, CliError> {
        let StackPlan::Update(update) = &plan else { return Ok(plan) };
        let changes = update.changes();
        self.out.progress(&format!("Changes to stack {}:", self.stack));
        changes.changes().iter().for_each(|change| self.out.progress(&shown(change)));
        self.out.progress("");
        let losses: Vec<String> = changes.losses().map(loss).collect();
        if losses.is_empty() {
            return Ok(plan);
        }
        let question = format!("Update stack '{}' and lose what is removed or replaced?", self.stack);
        match confirm(&question, &losses, yes) {
            Ok(()) => Ok(plan),
            Err(error) => {
                self.deployment.discard(plan).await;
                Err(error)
            }
        }
    }

    pub(super) async fn apply(&self, plan: StackPlan) -> Result<Deployed, CliError> {
        let (outcome, changes) = told(&plan);
        let watch = watch::ShownEvents::new(self.cx, self.out);
        let apply = async { self.deployment.apply(plan, &watch).await.map_err(|error| failed(self.action, error)) };
        let status = self.cx.command("status");
        let left = || format!("CloudFormation continues with stack {}: {status} shows its progress.", self.stack);
        let stack = watch::unless_interrupted(apply, left).await?;
        Ok(self.deployed(outcome, changes, Some(stack)))
    }

    async fn start(&self, plan: StackPlan, retention: Option<u32>) -> Result<Deployed, CliError> {
        if let StackPlan::Unchanged(_) = plan {
            return self.apply(plan).await;
        }
        let (_, changes) = told(&plan);
        self.deployment.start(plan).await.map_err(|error| failed(self.action, error))?;
        if let Some(days) = retention {
            let again = self.cx.command(&format!("deploy --audit-retention-days {days}"));
            self.cx.warn(&format!(
                "How long audit events are kept is not stored yet: {again} does that when the stack is ready"
            ));
        }
        Ok(self.deployed(DeployOutcome::Started, changes, None))
    }

    fn deployed(&self, outcome: DeployOutcome, changes: Vec<ResourceChange>, stack: Option<DeployedStack>) -> Deployed {
        Deployed {
            stack: self.stack.to_string(),
            region: self.cloud.region().to_owned(),
            outcome,
            status: stack.as_ref().map(|stack| stack.state.to_string()),
            stack_id: stack.as_ref().map(|stack| stack.id.clone()),
            changes,
            outputs: stack.map(|stack| stack.outputs).unwrap_or_default(),
            next: self.cx.command("status"),
        }
    }
}

fn told(plan: &StackPlan) -> (DeployOutcome, Vec<ResourceChange>) {
    match plan {
        StackPlan::Create(_) => (DeployOutcome::Created, Vec::new()),
        StackPlan::Update(update) => (DeployOutcome::Updated, update.changes().changes().to_vec()),
        StackPlan::Unchanged(_) => (DeployOutcome::Unchanged, Vec::new()),
    }
}

fn verb(action: ResourceAction) -> (&'static str, &'static str) {
    match action {
        ResourceAction::Add => ("+", "add"),
        ResourceAction::Modify => ("~", "modify"),
        ResourceAction::Replace => ("!", "replace"),
        ResourceAction::MayReplace => ("!", "may replace"),
        ResourceAction::Remove => ("-", "remove"),
    }
}

fn shown(change: &ResourceChange) -> String {
    let (symbol, verb) = verb(change.action);
    let properties = match change.properties.as_slice() {
        [] => String::new(),
        properties => format!(": {}", properties.join(", ")),
    };
    format!("  {symbol} {verb:<11} {} ({}){properties}", change.logical_id, change.resource_type)
}

fn loss(change: &ResourceChange) -> String {
    format!("{} {} ({})", verb(change.action).1, change.logical_id, change.resource_type)
}

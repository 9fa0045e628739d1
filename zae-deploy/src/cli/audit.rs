//! `audit …`: who changed what.

use clap::{Args, Subcommand};
use serde::Serialize;
use zae_limiter::{AuditEvent, AuditTarget};

use super::{
    CliError, Context,
    args::{NamespaceArgs, OutputArgs},
    error::Doing,
    output::{Cell, Page, Report, Table},
};

/// The audit trail: every change of entities and limits.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zae-deploy audit list --entity-id user-premium
  zae-deploy audit list --for-resource gpt-4 --limit 20
  zae-deploy audit list --for-system --output json")]
pub(crate) struct Group {
    #[command(flatten)]
    namespace: NamespaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List changes to one entity, resource or the system's defaults, newest first
    List(List),
}

#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    of: Of,
    /// At most this many
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only events older than this one
    #[arg(long, value_name = "EVENT_ID")]
    start_event_id: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Of {
    /// The entity; '$SYSTEM' and '$RESOURCE:name' stand for the defaults (in quotes: the shell knows `$`)
    #[arg(short, long)]
    entity_id: Option<String>,
    /// The defaults of this resource
    #[arg(long, value_name = "RESOURCE")]
    for_resource: Option<String>,
    /// The system's defaults
    #[arg(long)]
    for_system: bool,
}

impl Of {
    fn parse(&self) -> Result<AuditTarget, CliError> {
        match (&self.entity_id, &self.for_resource) {
            (Some(entity), _) => Ok(entity.parse()?),
            (None, Some(resource)) => Ok(crate::resource_name::named(resource)?.into()),
            (None, None) => Ok(AuditTarget::System),
        }
    }
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output(self.output);
        let Command::List(list) = &self.command;
        let target = list.of.parse()?;
        let repository = cx.repository(&self.namespace).await?;
        let page = repository.audit_events(&target, list.limit, list.start_event_id.as_deref()).await;
        let page = page.doing("list audit events")?;
        out.show(&Events { target, events: page.events, next: page.next })
    }
}

#[derive(Serialize)]
struct Events {
    target: AuditTarget,
    events: Vec<AuditEvent>,
    next: Option<String>,
}

impl Report for Events {
    fn page(&self, page: &mut Page) {
        if self.events.is_empty() {
            return page.line(format!("No audit events found for entity: {}", self.target));
        }
        let mut table = Table::left(["Timestamp", "Age", "Action", "Principal", "Resource", "Details"]);
        for event in &self.events {
            table.row([
                event.timestamp.as_str().into(),
                Cell::or_dash(page.ago(&event.timestamp)),
                event.action.as_str().into(),
                Cell::or_dash(event.principal.as_deref()),
                Cell::or_dash(event.resource.as_deref()),
                Cell::or_dash(details(event)),
            ]);
        }
        page.blank();
        page.line(format!("Audit Events for: {}", self.target));
        page.blank();
        page.table(&table);
        page.blank();
        page.line(format!("Total: {} events", self.events.len()));
        if let Some(next) = &self.next {
            page.line(format!("More events may exist. Use --start-event-id {next}"));
        }
    }
}

/// The particulars in a few words: limits as they are typed, and whatever else there is as `key=value`.
fn details(event: &AuditEvent) -> Option<String> {
    let facts: Vec<String> = event.details.iter().filter(|(_, value)| !empty(value)).map(fact).collect();
    (!facts.is_empty()).then(|| facts.join(", "))
}

fn empty(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(false) => true,
        serde_json::Value::Object(map) => map.is_empty(),
        serde_json::Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn fact((key, value): (&String, &serde_json::Value)) -> String {
    let limit =
        |value: &serde_json::Value| serde_json::from_value(value.clone()).ok().map(|it| super::limit::shown(&it));
    match value.as_array() {
        Some(list) if key == "limits" => {
            let limits = list.iter().map(|value| {
                limit(value).unwrap_or_else(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            });
            limits.collect::<Vec<_>>().join(", ")
        }
        _ => match value.as_str() {
            Some(text) => format!("{key}={text}"),
            None => format!("{key}={value}"),
        },
    }
}

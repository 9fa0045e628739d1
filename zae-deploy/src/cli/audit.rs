//! `audit …`: lists changes and their authors.

use clap::{Args, Subcommand};
use serde::Serialize;
use zae_limiter::{
    Limit,
    audit::{AuditAction, AuditEvent, AuditQuery, AuditTarget},
    name::DEFAULT_NAMESPACE,
};

use super::{
    CliError, Context,
    args::NamespaceArgs,
    error::Doing,
    limit::shown,
    output::{Align, Cell, Page, Report, Table},
    usage::when::{self, Edge},
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
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List changes in the namespace, or to one entity, resource or the system's defaults, newest first
    #[command(after_help = EXAMPLES)]
    List(ListEvents),
}

const EXAMPLES: &str = "\
Times are instants (2026-01-15T10:00:00Z), days (2026-01-15, UTC), or how long ago (24h, 7d).

Examples:
  zae-deploy audit list --start 24h
  zae-deploy audit list --for-resource gpt-4 --action limits_set
  zae-deploy audit list --principal ops@example.com --output json";

#[derive(Args, Debug)]
struct ListEvents {
    #[command(flatten)]
    of: EventsOf,
    /// Only changes at or after this time
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Only changes at or before this time
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Only this action: entity_created, entity_deleted, limits_set, limits_deleted
    #[arg(long)]
    action: Option<String>,
    /// Only changes by principals whose name contains this text
    #[arg(long, value_name = "WHO")]
    principal: Option<String>,
    /// Maximum number of events
    #[arg(short, long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Only events older than this id
    #[arg(long, value_name = "EVENT_ID")]
    start_event_id: Option<String>,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
struct EventsOf {
    /// The entity; '$SYSTEM' and '$RESOURCE:name' stand for the defaults (in quotes: the shell knows `$`) [default:
    /// everything in the namespace]
    #[arg(short, long)]
    entity_id: Option<String>,
    /// Only changes of this resource's defaults
    #[arg(long, value_name = "RESOURCE")]
    for_resource: Option<String>,
    /// Only changes of the system's defaults
    #[arg(long)]
    for_system: bool,
}

impl EventsOf {
    /// Parses the target; `None` for the whole namespace.
    fn parse(&self) -> Result<Option<AuditTarget>, CliError> {
        Ok(match (&self.entity_id, &self.for_resource) {
            (Some(entity), _) => Some(entity.parse()?),
            (None, Some(resource)) => Some(crate::resource_name::named(resource)?.into()),
            (None, None) => self.for_system.then_some(AuditTarget::System),
        })
    }
}

impl ListEvents {
    fn query(&self, cx: &Context, target: Option<AuditTarget>) -> Result<AuditQuery, CliError> {
        let mut query = target.map_or_else(AuditQuery::all, AuditQuery::of).limit(self.limit);
        if let Some(id) = &self.start_event_id {
            query = query.before(id);
        }
        if let Some(start) = &self.start {
            query = query.since_ms(when::parse("--start", start, Edge::Start, cx.now_ms())?);
        }
        if let Some(end) = &self.end {
            query = query.until_ms(when::parse("--end", end, Edge::End, cx.now_ms())?);
        }
        if let Some(action) = &self.action {
            query = query.action(action.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}));
        }
        if let Some(principal) = &self.principal {
            query = query.by(principal);
        }
        Ok(query)
    }
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        let Command::List(list) = &self.command;
        let target = list.of.parse()?;
        let query = list.query(cx, target.clone())?;
        let repository = cx.repository(&self.namespace).await?;
        let page = repository.audit_trail(&query).await.doing("list audit events")?;
        let namespace = self.namespace.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        out.show(&Events { target, events: page.events, next: page.next, namespace })
    }
}

#[derive(Serialize)]
struct Events {
    target: Option<AuditTarget>,
    events: Vec<AuditEvent>,
    next: Option<String>,
    #[serde(skip)]
    namespace: String,
}

impl Report for Events {
    fn page(&self, page: &mut Page) {
        if self.events.is_empty() {
            return page.line(match &self.target {
                Some(target) => format!("No audit events found for entity: {target}"),
                None => format!("No audit events found in namespace '{}'", self.namespace),
            });
        }
        let everything = self.target.is_none();
        let names = ["Timestamp", "Age", "Target", "Action", "Principal", "Resource", "Details"];
        let names = names.into_iter().filter(|name| everything || *name != "Target");
        let mut table = Table::new(names.map(|name| (name, Align::Left)));
        for event in &self.events {
            let target = everything.then(|| Cell::new(event.target.to_string()));
            let first = [event.timestamp.as_str().into(), Cell::or_dash(page.ago(&event.timestamp))];
            let rest = [
                event.action.as_str().into(),
                Cell::or_dash(event.principal.as_deref()),
                Cell::or_dash(event.resource.as_deref()),
                Cell::or_dash(details(event)),
            ];
            table.row(first.into_iter().chain(target).chain(rest));
        }
        page.blank();
        page.line(match &self.target {
            Some(target) => format!("Audit Events for: {target}"),
            None => format!("Audit Events in namespace '{}'", self.namespace),
        });
        page.blank();
        page.table(&table);
        page.blank();
        page.line(format!("Total: {} events", self.events.len()));
        if let Some(next) = &self.next {
            page.line(format!("More events may exist. Use --start-event-id {next}"));
        }
    }
}

/// Summarises the details: limits in their typed form, old → new if both are known, and everything else as `key=value`.
fn details(event: &AuditEvent) -> Option<String> {
    let known = |key: &str| event.details.get(key).filter(|value| !empty(value));
    let mut facts = Vec::new();
    let mut told = Vec::new();
    if let Some(old) = known("previous_limits").and_then(limits) {
        let deleted = event.action == AuditAction::LimitsDeleted;
        let new = if deleted { Some(Vec::new()) } else { event.details.get("limits").and_then(limits) };
        if let Some(new) = new {
            facts.extend(compared(&old, &new));
            told.extend(["limits", "previous_limits"]);
        }
    }
    let policy = |key: &str| known(key).and_then(serde_json::Value::as_str);
    if let (Some(old), Some(new)) = (policy("previous_on_unavailable"), policy("on_unavailable")) {
        let value = if old == new { new.to_owned() } else { format!("{old} → {new}") };
        facts.push(format!("on_unavailable={value}"));
        told.extend(["on_unavailable", "previous_on_unavailable"]);
    }
    if let Some(disabled) = event.details.get("disabled") {
        let said = if disabled.is_null() { "cleared".to_owned() } else { disabled.to_string() };
        facts.push(format!("disabled={said}"));
        told.push("disabled");
    }
    let rest = event.details.iter().filter(|(key, value)| !told.contains(&key.as_str()) && !empty(value));
    facts.extend(rest.map(fact));
    (!facts.is_empty()).then(|| facts.join(", "))
}

/// Parses stored limits, if all of them are readable.
fn limits(value: &serde_json::Value) -> Option<Vec<Limit>> {
    value.as_array()?.iter().map(|limit| serde_json::from_value(limit.clone()).ok()).collect()
}

/// Formats each limit as unchanged, changed (old → new), or removed.
fn compared(old: &[Limit], new: &[Limit]) -> Vec<String> {
    let find = |list: &[Limit], name: &Limit| list.iter().find(|limit| limit.name() == name.name()).map(shown);
    let is = new.iter().map(|limit| match find(old, limit) {
        Some(before) if before != shown(limit) => {
            let text = shown(limit);
            let value = text.split_once(": ").map_or(text.as_str(), |(_, value)| value);
            format!("{before} → {value}")
        }
        Some(_) => shown(limit),
        None if old.is_empty() => shown(limit),
        None => format!("new {}", shown(limit)),
    });
    let gone = old.iter().filter(|limit| find(new, limit).is_none()).map(|limit| format!("was {}", shown(limit)));
    is.chain(gone).collect()
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
    let limit = |value: &serde_json::Value| serde_json::from_value(value.clone()).ok().map(|it| shown(&it));
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

//! Limits of individual entities.

use clap::Args;
use serde::Serialize;
use zae_limiter::{EntityId, LimitScope, Limits, Repository, ResourceName, access::ConfigTarget};

use super::Group;
use crate::cli::{
    CliError, Context,
    access::AccessSettings,
    args::YesArgs,
    error::Doing,
    limit::{Deletion, LimitList, dropped, shown},
    output::{Output, Page, Report},
    prompt::confirm,
    resource_name,
    suggest::closest,
};

#[derive(Serialize)]
struct LimitTarget {
    entity_id: EntityId,
    resource: String,
}

impl LimitTarget {
    fn new(entity_id: EntityId, scope: &LimitScope) -> Self {
        Self { entity_id, resource: scope.to_string() }
    }
}

pub(super) async fn set(
    group: &Group,
    cx: &Context,
    out: &Output,
    (entity, scope): (EntityId, LimitScope),
    limits: &Limits,
) -> Result<(), CliError> {
    let action = "set entity limits";
    let repository = cx.repository_to_write(&group.with.namespace).await?;
    let before = repository.limits(&entity, &scope).await.doing(action)?;
    let repository = cx.acting(repository, &group.with.principal).await?;
    repository.set_limits(&entity, &scope, limits).await.doing(action)?;
    let mut notes = dropped(before.as_ref(), limits);
    if let LimitScope::Resource(resource) = &scope {
        notes.extend(doubt(&repository, resource).await);
    }
    let number = limits.as_slice().len();
    out.show(&LimitList {
        heading: format!("Set {number} limit(s) for entity '{entity}' on resource '{scope}':"),
        settings: AccessSettings::NONE,
        limits: limits.as_slice().to_vec(),
        notes,
        subject: LimitTarget::new(entity, &scope),
    })
}

pub(super) async fn get(
    group: &Group,
    cx: &Context,
    out: &Output,
    (entity, scope): (EntityId, LimitScope),
) -> Result<(), CliError> {
    let repository = cx.repository(&group.with.namespace).await?;
    let limits = repository.limits(&entity, &scope).await.doing("get entity limits")?;
    let target = ConfigTarget::Entity(entity.clone(), scope.clone());
    let settings = AccessSettings::read(&repository, &target).await.doing("get entity limits")?;
    let heading = match limits {
        Some(_) => format!("Limits for entity '{entity}' on resource '{scope}':"),
        None => none(&entity, &scope),
    };
    let limits = limits.iter().flatten().cloned().collect();
    out.show(&LimitList { subject: LimitTarget::new(entity, &scope), settings, limits, heading, notes: Vec::new() })
}

/// Returns a note if the resource is unknown, but resembles a known one.
async fn doubt(repository: &Repository, resource: &ResourceName) -> Option<String> {
    let known = repository.resources_with_defaults().await.ok()?;
    if known.contains(resource) {
        return None;
    }
    let alike = closest(resource.as_str(), known.iter().map(ResourceName::as_str))?;
    Some(format!("resource '{resource}' has no defaults; did you mean '{alike}'?"))
}

fn none(entity: &EntityId, scope: &LimitScope) -> String {
    format!("No limits configured for entity '{entity}' on resource '{scope}'")
}

pub(super) async fn delete(
    group: &Group,
    cx: &Context,
    out: &Output,
    (entity, scope): (EntityId, LimitScope),
    yes: YesArgs,
) -> Result<(), CliError> {
    let action = "delete entity limits";
    let repository = cx.repository(&group.with.namespace).await?;
    let Some(limits) = repository.limits(&entity, &scope).await.doing(action)? else {
        let text = format!("{}; nothing to delete", none(&entity, &scope));
        return out.show(&Deletion { subject: LimitTarget::new(entity, &scope), deleted: false, text });
    };
    let losses: Vec<String> = limits.iter().map(shown).collect();
    confirm(&format!("Delete limits for entity '{entity}' on resource '{scope}'?"), &losses, yes)?;
    let repository = cx.acting(repository, &group.with.principal).await?;
    let deleted = repository.delete_limits(&entity, &scope).await.doing(action)?;
    let text = format!("Deleted limits for entity '{entity}' on resource '{scope}'");
    out.show(&Deletion { subject: LimitTarget::new(entity, &scope), deleted, text })
}

#[derive(Args, Debug)]
pub(super) struct List {
    /// The resource; `_default_` for limits that apply to all other resources
    #[arg(long, required = true, value_name = "RESOURCE")]
    with_custom_limits: String,
    /// Maximum number of entities
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Continue after an earlier page
    #[arg(long)]
    cursor: Option<String>,
}

impl List {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let action = "list entities";
        let scope = resource_name::scope(&self.with_custom_limits, out)?;
        let repository = cx.repository(&group.with.namespace).await?;
        let mut entities: Vec<EntityId> = Vec::new();
        let mut cursor = self.cursor.clone();
        loop {
            let open = self.limit.map(|limit| limit.saturating_sub(u32::try_from(entities.len()).unwrap_or(u32::MAX)));
            if open == Some(0) {
                break;
            }
            let size = open.unwrap_or(PAGE).min(PAGE);
            let page = repository.entities_with_limits_page(&scope, size, cursor.as_deref()).await.doing(action)?;
            entities.extend(page.entities);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        out.show(&Entities { resource: scope.to_string(), entities, next: cursor })
    }
}

/// Entities per request.
const PAGE: u32 = 1_000;

#[derive(Serialize)]
struct Entities {
    resource: String,
    entities: Vec<EntityId>,
    next: Option<String>,
}

impl Report for Entities {
    fn page(&self, page: &mut Page) {
        if self.entities.is_empty() {
            page.line(format!("No entities with custom limits for resource '{}'", self.resource));
        }
        self.entities.iter().for_each(|entity| page.line(entity.as_str()));
        if let Some(next) = &self.next {
            page.blank();
            page.line(format!("More entities exist. Use --cursor {next}"));
        }
    }
}

pub(super) async fn list_resources(group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
    let repository = cx.repository(&group.with.namespace).await?;
    let scopes = repository.resources_with_entity_limits().await.doing("list resources")?;
    out.show(&Resources { resources: scopes.iter().map(ToString::to_string).collect() })
}

#[derive(Serialize)]
struct Resources {
    resources: Vec<String>,
}

impl Report for Resources {
    fn page(&self, page: &mut Page) {
        if self.resources.is_empty() {
            return page.line("No resources with entity-level custom limits");
        }
        page.line("Resources with entity-level custom limits:");
        self.resources.iter().for_each(|resource| page.line(format!("  {resource}")));
    }
}

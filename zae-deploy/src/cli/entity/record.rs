//! Creates, shows and deletes an entity.

use std::collections::BTreeMap;

use clap::Args;
use serde::Serialize;
use zae_limiter::{Entity, EntityId, LimitScope, NewEntity, RepositoryError, access::Access};

use super::Group;
use crate::cli::{
    CliError, Context,
    args::YesArgs,
    error::Doing,
    output::{Output, Page, Report, units::count},
    prompt::confirm,
};

#[derive(Args, Debug)]
pub(super) struct Create {
    /// Its id: letters, digits and _ . : @ -
    entity_id: String,
    /// A display name [default: the id]
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// The parent entity, which need not exist yet
    #[arg(long, value_name = "ENTITY_ID")]
    parent: Option<String>,
    /// Also charge the parent
    #[arg(long, overrides_with = "no_cascade")]
    cascade: bool,
    /// Do not charge the parent (the default)
    #[arg(long)]
    no_cascade: bool,
    /// A metadata entry; repeat it for more
    #[arg(short, long, value_name = "KEY=VALUE")]
    metadata: Vec<String>,
}

impl Create {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let mut entity = NewEntity::new(EntityId::new(&self.entity_id)?);
        if let Some(name) = &self.display_name {
            entity = entity.name(name);
        }
        if let Some(parent) = &self.parent {
            entity = entity.parent(EntityId::new(parent)?);
        }
        if self.cascade {
            if self.parent.is_none() {
                return Err(CliError::Usage("--cascade charges the parent, so it requires --parent".to_owned()));
            }
            entity = entity.cascading();
        }
        for fact in &self.metadata {
            let wrong = || CliError::Invalid(format!("Invalid metadata '{fact}'. Use KEY=VALUE."));
            let (key, value) = fact.split_once('=').ok_or_else(wrong)?;
            entity = entity.metadata(key, value);
        }
        let repository = cx.repository_to_write(&group.with.namespace).await?;
        let repository = cx.acting(repository, &group.with.principal).await?;
        match repository.create_entity(entity).await {
            Ok(entity) => {
                // The entity has been created, so a failure to produce this note is ignored.
                let chain = repository.third_level(&entity).await.ok().flatten();
                let note = chain.map(|[lower, middle, top]| {
                    format!("two levels are charged: acquires of '{lower}' charge '{middle}', but not '{top}' above it")
                });
                out.show(&Created { entity, note })
            }
            Err(RepositoryError::EntityExists(id)) => Err(CliError::problem(format!("Entity already exists: {id}"))
                .next(format!("{} shows it", cx.command(&format!("entity show {id}"))))),
            Err(error) => Err(error).doing("create entity"),
        }
    }
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    entity: Entity,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Report for Created {
    fn page(&self, page: &mut Page) {
        let Self { entity, note } = self;
        page.line(format!("Created entity '{}'", entity.id));
        let name = (entity.name != entity.id.as_str()).then(|| ("Name", entity.name.clone()));
        let parent = entity.parent_id.as_ref().map(|parent| ("Parent", parent.to_string()));
        let cascade = ("Cascade", yes_or_no(entity.cascade));
        page.fields(2, name.into_iter().chain(parent).chain([cascade]));
        note.iter().for_each(|note| page.line(format!("  Note: {note}")));
    }
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    entity: Entity,
    children: Vec<EntityId>,
    /// Its own access settings, by resource.
    access: BTreeMap<String, Access>,
}

impl Report for Shown {
    fn page(&self, page: &mut Page) {
        let Self { entity, children, access } = self;
        page.line(format!("Entity: {}", entity.id));
        let none = || "(none)".to_owned();
        let name = (entity.name != entity.id.as_str()).then(|| ("Name", entity.name.clone()));
        let created = entity.created_at.as_deref().map(|at| ("Created", page.when(at)));
        let children = (!children.is_empty()).then(|| {
            let names: Vec<&str> = children.iter().map(EntityId::as_str).collect();
            ("Children", names.join(", "))
        });
        let metadata = (!entity.metadata.is_empty()).then(|| {
            let facts = entity.metadata.iter().map(|(key, value)| match value.as_str() {
                Some(text) => format!("{key}={text}"),
                None => format!("{key}={value}"),
            });
            ("Metadata", facts.collect::<Vec<_>>().join(", "))
        });
        let known = [
            ("Parent", entity.parent_id.as_ref().map_or_else(none, ToString::to_string)),
            ("Cascade", yes_or_no(entity.cascade)),
        ];
        let switched = (!access.is_empty()).then(|| {
            let on = |scope: &str| if scope == LimitScope::DEFAULT { String::new() } else { format!(" on {scope}") };
            let settings = access.iter().map(|(scope, access)| format!("{}{}", access.as_str(), on(scope)));
            ("Access", settings.collect::<Vec<_>>().join(", "))
        });
        page.fields(2, name.into_iter().chain(known).chain(switched).chain(created).chain(children).chain(metadata));
    }
}

pub(super) async fn show(group: &Group, cx: &Context, out: &Output, id: &EntityId) -> Result<(), CliError> {
    let repository = cx.repository(&group.with.namespace).await?;
    let Some(entity) = repository.entity(id).await.doing("show entity")? else {
        return Err(CliError::problem(format!("Entity '{id}' not found"))
            .next("limits and buckets work without an entity record; it only holds name, parent and metadata"));
    };
    let children = repository.children(id).await.doing("show entity")?;
    let access = repository.entity_access(id).await.doing("show entity")?;
    let access = access.into_iter().map(|(scope, access)| (scope.to_string(), access)).collect();
    out.show(&Shown { entity, children: children.into_iter().map(|child| child.id).collect(), access })
}

#[derive(Serialize)]
struct Deleted {
    entity_id: EntityId,
    records_deleted: usize,
}

impl Report for Deleted {
    fn page(&self, page: &mut Page) {
        if self.records_deleted == 0 {
            return page.line(format!("Entity '{}' has no records; nothing to delete", self.entity_id));
        }
        page.line(format!("Deleted entity '{}': {} record(s)", self.entity_id, count(self.records_deleted as i128)));
    }
}

pub(super) async fn delete(
    group: &Group,
    cx: &Context,
    out: &Output,
    id: EntityId,
    yes: YesArgs,
) -> Result<(), CliError> {
    let action = "delete entity";
    let repository = cx.repository(&group.with.namespace).await?;
    let children = repository.children(&id).await.doing(action)?;
    let mut losses = vec!["its record, its own limits, its buckets for all resources, and its usage".to_owned()];
    if !children.is_empty() {
        losses.push(format!("the parent of {} entities, which stay", count(children.len() as i128)));
    }
    confirm(&format!("Delete entity '{id}'? This cannot be undone."), &losses, yes)?;
    let repository = cx.acting(repository, &group.with.principal).await?;
    let records_deleted = repository.delete_entity(&id).await.doing(action)?;
    out.show(&Deleted { entity_id: id, records_deleted })
}

fn yes_or_no(value: bool) -> String {
    if value { "true" } else { "false" }.to_owned()
}

//! `entity set-parent`.

use clap::Args;
use serde::Serialize;
use zae_limiter::{EntityId, RepositoryError};

use super::Group;
use crate::cli::{
    CliError, Context,
    error::Doing,
    output::{Output, Page, Report},
};

/// Arguments of a move.
#[derive(Args, Debug)]
pub(super) struct SetParent {
    /// The entity's id
    entity_id: String,
    #[command(flatten)]
    to: To,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct To {
    /// The new parent
    #[arg(long, value_name = "ENTITY_ID")]
    parent: Option<String>,
    /// No parent any more
    #[arg(long)]
    none: bool,
}

impl SetParent {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let entity_id = EntityId::new(&self.entity_id)?;
        let parent_id = self.to.parent.as_ref().map(EntityId::new).transpose()?;
        let action = format!("move entity '{entity_id}'");
        let repository = cx.repository_to_write(&group.with.namespace).await?;
        let before = repository.entity(&entity_id).await.doing(&action)?;
        let repository = cx.acting(repository, &group.with.principal).await?;
        let moved = match &parent_id {
            Some(parent) => repository.set_parent(&entity_id, parent).await,
            None => repository.remove_parent(&entity_id).await,
        };
        let moved = match moved {
            Err(RepositoryError::FanoutIncomplete { stamped, source, .. }) => {
                let problem =
                    format!("Moved entity '{entity_id}', but only {stamped} buckets were restamped ({source})");
                return Err(CliError::problem(problem).next("repeat the same command to finish"));
            }
            other => other,
        };
        let buckets_stamped = moved.doing(&action)?;
        let old_parent_id = before.and_then(|entity| entity.parent_id);
        out.show(&Moved { entity_id, old_parent_id, parent_id, buckets_stamped })
    }
}

#[derive(Serialize)]
struct Moved {
    entity_id: EntityId,
    old_parent_id: Option<EntityId>,
    parent_id: Option<EntityId>,
    buckets_stamped: u64,
}

impl Report for Moved {
    fn page(&self, page: &mut Page) {
        let Self { entity_id, old_parent_id, parent_id, buckets_stamped } = self;
        let name = |id: &Option<EntityId>| id.as_ref().map_or_else(|| "(none)".to_owned(), ToString::to_string);
        let (from, to) = (name(old_parent_id), name(parent_id));
        page.line(format!("Moved entity '{entity_id}' from {from} to {to} ({buckets_stamped} buckets stamped)"));
    }
}

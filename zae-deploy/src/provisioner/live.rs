//! Reading what is stored of the items that a manifest is about.

use futures_util::{StreamExt, TryStreamExt, stream};
use zae_limiter::{Repository, RepositoryError, provision::ProvisionerState};

use super::{
    ProvisionError, Provisioner,
    declared::Declared,
    plan::{Compared, Content, Item, Items, Plan, Stored},
};
use crate::manifest::Manifest;

/// Items read at a time.
const AT_ONCE: usize = 16;

/// A manifest beside what is stored.
#[derive(Debug)]
pub(super) struct Comparison {
    pub(super) items: Vec<Compared>,
    pub(super) warnings: Vec<String>,
}

impl Comparison {
    pub(super) fn plan(&self) -> Plan {
        let changes = self.items.iter().filter_map(Compared::change).collect();
        Plan { changes, warnings: self.warnings.clone() }
    }
}

impl Provisioner {
    pub(super) async fn compare(
        &self,
        manifest: &Manifest,
        state: &ProvisionerState,
    ) -> Result<Comparison, ProvisionError> {
        let Items { items, warnings } = Items::of(manifest, state);
        let items: Vec<Compared> = stream::iter(items)
            .map(|declared: Declared| async move {
                let stored = stored(&self.repository, &declared.item).await?;
                Ok::<_, RepositoryError>(declared.beside(stored))
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(Comparison { items, warnings })
    }
}

async fn stored(repository: &Repository, item: &Item) -> Result<Stored, RepositoryError> {
    let read = match item {
        Item::System => repository.system_defaults().await.map(|stored| Content {
            limits: sorted(stored.limits),
            on_unavailable: stored.on_unavailable,
            ..Content::default()
        }),
        Item::Resource(resource) => repository.resource_defaults(resource).await.map(of_limits),
        Item::Entity(entity, scope) => repository.limits(entity, scope).await.map(of_limits),
    };
    let (access, cascade) = match &item.config_target() {
        Some(target) => (repository.access(target).await?, repository.cascade(target).await?),
        None => (None, None),
    };
    match read.map(|content| Content { access, cascade, ..content }) {
        Ok(content) if content == Content::default() => Ok(Stored::Absent),
        Ok(content) => Ok(Stored::Content(content)),
        Err(RepositoryError::Malformed { problem, .. }) => Ok(Stored::Broken(problem)),
        Err(error) => Err(error),
    }
}

fn of_limits(limits: Option<zae_limiter::Limits>) -> Content {
    Content { limits: sorted(limits), ..Content::default() }
}

/// Sets are compared in the order of names, in which manifests are read as well.
fn sorted(limits: Option<zae_limiter::Limits>) -> Option<zae_limiter::Limits> {
    let mut list: Vec<_> = limits?.iter().cloned().collect();
    list.sort_by(|a, b| a.name().cmp(b.name()));
    zae_limiter::Limits::new(list).ok()
}

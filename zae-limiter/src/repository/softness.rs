//! Telling buckets that a default limit has become soft, or hard again.
//!
//! Other clients take a bucket's stamp for the configuration's answer, so a bucket that a changed default concerns is
//! brought in line at once. Buckets of entities with limits of their own, and of resources with defaults of their own
//! where the system's changed, are none of them. The index lags behind, so the list is gone through twice.

use std::collections::BTreeSet;

use super::Repository;
use crate::{
    error::RepositoryError,
    model::{
        limit::{Limit, Limits},
        name::{EntityId, LimitName, ResourceName},
    },
    store::Query,
    wire::{Item, config::ConfigLevel, keys, values::get_s},
};

/// Number of passes over the list of buckets.
const PASSES: u32 = 2;

/// The buckets below a level that are brought in line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerned {
    /// Those about whose limits it decides.
    Decided,
    /// All of them.
    All,
}

impl Repository {
    /// Brings the buckets that `level` decides about in line, if other limits of it are soft `after` a change than
    /// `before` it.
    pub(super) async fn tell_softness(
        &self,
        level: ConfigLevel<'_>,
        before: Option<&Limits>,
        after: Option<&Limits>,
    ) -> Result<(), RepositoryError> {
        if soft(before) == soft(after) {
            return Ok(());
        }
        self.tell_level(level, Concerned::Decided).await
    }

    /// Brings all buckets below `level` in line with what holds for them.
    pub(super) async fn tell_limits(&self, level: ConfigLevel<'_>) -> Result<(), RepositoryError> {
        self.tell_level(level, Concerned::All).await
    }

    async fn tell_level(&self, level: ConfigLevel<'_>, concerned: Concerned) -> Result<(), RepositoryError> {
        let (query, what) = match level {
            // Its buckets are brought in line with all of its limits.
            ConfigLevel::Entity(..) => return Ok(()),
            ConfigLevel::Resource(resource) => {
                let query = Query::index("GSI2", keys::gsi2_pk_resource(self.ns(), resource.as_str()));
                (query, format!("the softness of the limits of resource {resource}"))
            }
            ConfigLevel::System => {
                (Query::index("GSI4", self.ns().to_owned()), "the softness of the system's limits".to_owned())
            }
        };
        let query = query.prefix("BUCKET#");
        let mut told = BTreeSet::new();
        for _ in 0..PASSES {
            if let Err(error) = self.tell_buckets(level, concerned, query.clone(), &mut told).await {
                let stamped = u64::try_from(told.len()).unwrap_or(u64::MAX);
                return Err(RepositoryError::FanoutIncomplete { what, stamped, source: Box::new(error) });
            }
        }
        Ok(())
    }

    /// Brings the buckets that `query` finds and that are `concerned` by `level` in line, and adds them to `told`.
    async fn tell_buckets(
        &self,
        level: ConfigLevel<'_>,
        concerned: Concerned,
        query: Query,
        told: &mut BTreeSet<(EntityId, ResourceName)>,
    ) -> Result<(), RepositoryError> {
        for item in self.store().query_all(query).await? {
            let Some(bucket) = bucket(&item).filter(|bucket| !told.contains(bucket)) else { continue };
            let (entity, resource) = &bucket;
            if let Some(effective) = self.effective(entity, resource).await?
                && (concerned == Concerned::All || effective.is_decided_by(level))
            {
                self.apply_to_bucket(entity, resource, &effective, &[], &mut 0).await?;
            }
            told.insert(bucket);
        }
        Ok(())
    }
}

/// Returns the entity and the resource of a bucket's item.
fn bucket(item: &Item) -> Option<(EntityId, ResourceName)> {
    let address = keys::parse_bucket_pk(get_s(item, "PK")?)?;
    Some((EntityId::new(address.entity).ok()?, ResourceName::new(address.resource).ok()?))
}

/// The names of the soft limits.
fn soft(limits: Option<&Limits>) -> BTreeSet<&LimitName> {
    limits.into_iter().flatten().filter(|limit| limit.is_soft()).map(Limit::name).collect()
}

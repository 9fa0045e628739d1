//! `bucket fold`.

use serde::Serialize;
use zae_limiter::{EntityId, ResourceName, usage::FoldedBucket};

use super::{Group, aggregator};
use crate::cli::{
    CliError, Context,
    args::YesArgs,
    error::Doing,
    output::{Output, Page, Report, units::count},
    prompt::confirm,
};

pub(super) async fn run(
    group: &Group,
    cx: &Context,
    out: &Output,
    (entity_id, resource): (EntityId, ResourceName),
    yes: YesArgs,
) -> Result<(), CliError> {
    let action = "fold the bucket";
    let repository = cx.repository(&group.namespace).await?;
    let buckets = repository.buckets(&entity_id).await.doing(action)?;
    let found = buckets.iter().find(|bucket| bucket.resource == resource);
    let Some(bucket) = found else {
        let known: Vec<&str> = buckets.iter().map(|bucket| bucket.resource.as_str()).collect();
        let missing = CliError::problem(format!("Entity '{entity_id}' has no bucket for resource '{resource}'"));
        return Err(match known.as_slice() {
            [] => missing,
            known => missing.next(format!("it has buckets for {}", known.join(", "))),
        });
    };
    if let Some(warning) = aggregator::warning(cx, repository.stack(), &repository.registry()).await {
        cx.warn(&warning);
    }
    let losses = [format!(
        "{} shards with {} items become one; refunds under way for tokens of the others are lost",
        bucket.shard_count, bucket.shards_stored
    )];
    if bucket.shard_count > 1 {
        confirm(&format!("Fold the bucket of '{entity_id}' for '{resource}'?"), &losses, yes)?;
    }
    let folded = repository.fold_bucket(&entity_id, &resource).await.doing(action)?;
    out.show(&Folded { entity_id, resource, folded })
}

#[derive(Serialize)]
struct Folded {
    entity_id: EntityId,
    resource: ResourceName,
    #[serde(flatten)]
    folded: Option<FoldedBucket>,
}

impl Report for Folded {
    fn page(&self, page: &mut Page) {
        let Self { entity_id, resource, folded } = self;
        let Some(folded) = folded else {
            return page
                .line(format!("The bucket of '{entity_id}' for '{resource}' had lapsed; the rest of it is removed"));
        };
        if folded.shards_before <= 1 && folded.items_removed == 0 {
            return page.line(format!("The bucket of '{entity_id}' for '{resource}' is not sharded; nothing to fold"));
        }
        let items = count(i128::from(folded.items_removed));
        page.done(&format!("Folded {} shards into one ({items} item(s) removed)", folded.shards_before));
        for (limit, tokens) in &folded.available {
            page.line(format!("  {limit}: {} available", count(*tokens)));
        }
    }
}

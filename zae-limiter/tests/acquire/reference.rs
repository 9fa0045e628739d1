//! The calls of the Python package and ours, scenario by scenario on the same items (`tests/vectors/calls.json`).

mod answers;
mod exceptions;
mod items;
mod operations;
mod owners;
mod parameters;
mod quotas;
mod races;
mod several;
mod story;
mod switches;
mod troubles;

use items::Findings;

#[tokio::test]
async fn every_scenario_ends_as_with_the_reference_or_is_an_exception() {
    let mut all = Findings::default();
    for found in [
        Box::pin(switches::disable()).await,
        Box::pin(switches::bypass()).await,
        Box::pin(switches::contradicted()).await,
        Box::pin(parameters::soft()).await,
        Box::pin(parameters::schedule()).await,
        Box::pin(quotas::quota()).await,
        Box::pin(quotas::shards()).await,
        Box::pin(quotas::sharded_operations()).await,
        Box::pin(quotas::credits()).await,
        Box::pin(operations::operations()).await,
        Box::pin(operations::sessions()).await,
        Box::pin(several::several()).await,
        Box::pin(owners::owners()).await,
        Box::pin(races::races()).await,
        Box::pin(troubles::troubles()).await,
    ] {
        all.played.extend(found.played);
        all.differences.extend(found.differences);
    }
    exceptions::check(&all, story::scenarios().into_keys());
}

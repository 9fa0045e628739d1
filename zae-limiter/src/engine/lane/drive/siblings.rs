//! The shards beside a missing one, which decide about its part of a quota: [`siblings`].

use tokio::time::Instant;

use crate::{
    bucket::{image::Image, key::BucketKey},
    engine::{
        lane::{Lane, ask::Ask},
        runtime::deadlines::after,
    },
    error::RepositoryError,
    store::bucket,
};

/// A number of shards beyond which something is wrong; no client gets there by load.
const MOST_SHARDS: u32 = 1_024;

/// Reads the other shards of the lane's bucket, one read unit each; `None` where they could not all be read in time.
///
/// Shard 0 is the first that is read, so that a number of shards that was raised meanwhile counts.
pub(super) async fn siblings(lane: &Lane, asks: &[Ask]) -> Option<Vec<(u32, Image)>> {
    let known = asks.iter().map(|ask| ask.shards).max().unwrap_or(1);
    let read = async {
        let (mut siblings, mut shards, mut shard) = (Vec::new(), known, 0);
        while shard < shards.min(MOST_SHARDS) {
            if shard != lane.key.shard {
                let key = BucketKey { shard, ..lane.key.clone() };
                let image = bucket::read(&lane.shared.store, &lane.shared.namespace, &key).await?;
                shards = shards.max(image.as_ref().map_or(1, Image::shards));
                siblings.extend(image.map(|image| (shard, image)));
            }
            shard += 1;
        }
        Ok::<_, RepositoryError>(siblings)
    };
    let until = after(Instant::now(), lane.shared.options.write_timeout);
    lane.shared.deadlines.until(until, read).await.ok()?.ok()
}

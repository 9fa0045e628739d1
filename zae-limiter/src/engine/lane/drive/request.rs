//! One write of a round: what is sent, and everything that its answer is read with.

use std::{pin::Pin, sync::Arc};

use crate::{
    bucket::{Amounts, image::Image, refund::Booking, refund_stamp::RefundMark, write::BucketWrite},
    engine::{lane::Lane, runtime::moment::Moment},
    store::{
        bucket::{self, WriteReport},
        shards,
    },
};

/// A write under way, below the lane that sent it.
pub(super) type Sending = Pin<Box<dyn Future<Output = WriteReport> + Send>>;

/// Everything about one write that its answer is read with.
#[derive(Debug)]
pub(super) struct WriteDraft {
    /// When it was sent.
    pub(super) sent_at: Moment,
    /// Epoch ms.
    pub(super) now: i64,
    /// The asks that it serves, as indices.
    pub(super) served: Vec<usize>,
    /// Taken for the reserve, in mt by limit; empty for nothing.
    pub(super) ahead: Amounts,
    /// The settlements as they were booked.
    pub(super) adjust: Vec<Booking>,
    /// Amounts that it consumes, by limit, in mt.
    pub(super) consumed: Amounts,
    /// The mark of its refund, if it is one.
    pub(super) refund: Option<RefundMark>,
    /// The bucket that it was decided from.
    pub(super) before: Option<Arc<Image>>,
}

/// One of the two calls of the acquire path.
pub(super) enum WriteRequest {
    /// A change to a bucket that exists.
    Update(Box<BucketWrite>),
    /// A new bucket.
    Create(Box<Image>),
}

impl WriteRequest {
    /// The DynamoDB operation, for errors.
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Update(_) => "UpdateItem",
            Self::Create(_) => "PutItem",
        }
    }

    /// Boxed: a worker that only waits for its next write is small, and cheap to start.
    pub(super) fn send(self, lane: Arc<Lane>) -> Sending {
        Box::pin(async move {
            let (store, namespace) = (&lane.shared.store, &lane.shared.namespace);
            match self {
                Self::Update(write) => bucket::update(store, namespace, &lane.key, &write).await,
                Self::Create(image) if lane.key.shard == 0 => bucket::create(store, namespace, &lane.key, *image).await,
                Self::Create(image) => shards::create(store, namespace, &lane.key, *image).await,
            }
        })
    }
}

//! Reasons in a bucket to stop a round before anything is decided: it is disabled, or carries what newer clients left.
//!
//! Asks stop and settlements go on: what they book was taken when it was allowed. The one exception is a limit that is
//! no plain rate (a quota), whose counters only its own clients can adjust.

use std::sync::Arc;

use crate::{
    bucket::{image::Image, limit_set::LimitSet},
    engine::lane::{
        Lane,
        ask::{Ask, AskOutcome, Failure},
        decide::Freshness,
        drive::soft_until,
    },
    error::{Disabled, DisabledLevel, RepositoryError, Unsupported},
    wire::keys,
};

/// Why a round cannot go on as it is.
#[derive(Debug)]
pub(super) enum Stop {
    /// The bucket charges somebody else, or has leftovers of newer clients, which are only over if the limits are plain
    /// rates: both have to be read again first.
    Outdated,
    /// An operator has switched it off. Settlements go on.
    Disabled(RepositoryError),
    /// Nothing can be settled with a limit that is no plain rate.
    Quota(RepositoryError),
}

impl Stop {
    /// Answers those who ask; the error that those are to be told who settle.
    pub(super) fn answer(self, asks: &mut Vec<Ask>) -> Option<RepositoryError> {
        let answer = match self {
            Self::Outdated => None,
            Self::Disabled(error) => Some(Failure::Hard(Arc::new(error))),
            Self::Quota(error) => return Some(error),
        };
        for ask in asks.drain(..) {
            let answer = answer.clone().map_or(AskOutcome::Outdated, AskOutcome::Failed);
            // Whoever has stopped waiting is not told.
            let _ = ask.reply.send(answer);
        }
        None
    }
}

/// Returns the reason for which `image` stops the asks, or the settlements where nobody asks.
pub(super) fn stops(
    lane: &Lane,
    image: &Image,
    freshness: Freshness,
    asks: &[Ask],
    limit_set: &LimitSet,
) -> Option<Stop> {
    let unsupported = |attribute: String| {
        let key = &lane.key;
        let namespace = lane.shared.namespace.as_str();
        let item = keys::pk_bucket(namespace, key.entity.as_str(), key.resource.as_str(), key.shard);
        RepositoryError::from(Unsupported { attribute, item })
    };
    if asks.is_empty() {
        return Some(Stop::Quota(unsupported(image.quota()?.attribute.clone())));
    }
    if image.disabled && freshness != Freshness::Stale {
        let (entity, resource) = (lane.key.entity.clone(), lane.key.resource.clone());
        return Some(Stop::Disabled(Disabled { entity, resource, level: DisabledLevel::Bucket }.into()));
    }
    let owner = lane.doubts_owner(image, limit_set);
    (lane.doubts(image, limit_set, soft_until(asks)) || owner).then_some(Stop::Outdated)
}

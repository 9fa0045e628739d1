//! Calendar quotas on a bucket item: their attributes, and the changes that a write makes to them.
//!
//! The refill instant of the item is the marker of a calendar quota: resets after it are still to be applied. So
//! whoever moves it restores every quota of the item that it moves over a reset.

use crate::{
    bucket::{
        image::{Basis, Image, LimitImage, StoredParams},
        kind::Kind,
    },
    model::schedule::Resets,
};

/// A calendar quota on an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredQuota {
    /// The instants at which it is restored.
    pub(crate) resets: Resets,
    /// `gc`, the number of shards by which the running period's grant was cut.
    pub(crate) grant_count: Option<u32>,
    /// `tu`, topped up in this period, in mt.
    pub(crate) topped_up: Option<i64>,
    /// `rn`, the number of resets by hand.
    pub(crate) resets_by_hand: i64,
}

/// The effect of a write on the attributes that only quotas have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QuotaWrite {
    /// None.
    Nothing,
    /// A period begins.
    Restored {
        /// The number of shards by which its grant is cut.
        grant_count: u32,
        /// True if there is a top-up of the last period to forget.
        topped_up: bool,
    },
    /// The limit is restored by other instants from now on, or becomes a quota.
    Becomes {
        /// The instants.
        resets: Resets,
        /// The number of shards by which its grant is cut, where it is.
        grant_count: Option<u32>,
        /// True if there is a top-up of the last period to forget.
        topped_up: bool,
    },
    /// The limit is a rate from now on.
    Ends,
}

impl QuotaWrite {
    /// The change from `stored` to `wanted`, for a balance on this basis.
    /// On a `scheduled` item, a new rate has to say that it is none.
    pub(crate) fn between(
        stored: Option<&LimitImage>,
        wanted: &Kind,
        basis: Basis,
        image: &Image,
        shards: u32,
    ) -> Self {
        let stored = stored.and_then(|stored| stored.quota.as_ref());
        let restored = stored.is_none() || basis == Basis::Restored;
        let topped_up = restored && stored.is_some_and(|quota| quota.topped_up.is_some());
        match (wanted, stored) {
            (Kind::Rate(_), None) if image.scheduled && basis == Basis::New => Self::Ends,
            (Kind::Rate(_), None) => Self::Nothing,
            (Kind::Rate(_), Some(_)) => Self::Ends,
            (Kind::Quota { resets, .. }, stored) if stored.is_none_or(|stored| stored.resets != *resets) => {
                Self::Becomes { resets: resets.clone(), grant_count: restored.then_some(shards), topped_up }
            }
            (Kind::Quota { .. }, _) if restored => Self::Restored { grant_count: shards, topped_up },
            (Kind::Quota { .. }, _) => Self::Nothing,
        }
    }
}

impl LimitImage {
    /// The kind of limit that it is; `None` when its parameters are incomplete.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match (&self.quota, self.params) {
            (None, params) => params.kind(),
            (Some(quota), StoredParams { capacity: Some(capacity), refill: Some(0), period: Some(period) })
                if capacity > 0 && period > 0 =>
            {
                Some(Kind::Quota { capacity, period, resets: quota.resets.clone() })
            }
            (Some(_), _) => None,
        }
    }

    /// One shard's part of `kind` now: of a quota, the part that was granted for the running period, and what was
    /// topped up.
    pub(crate) fn granted(&self, kind: &Kind, shards: u32) -> Kind {
        match (&self.quota, kind) {
            (Some(quota), Kind::Quota { period, resets, .. }) => {
                let count = quota.grant_count.filter(|count| *count > 0).unwrap_or(shards);
                let granted = kind.share(count).ceiling();
                let capacity = granted.saturating_add(quota.topped_up.unwrap_or(0).max(0));
                Kind::Quota { capacity, period: *period, resets: resets.clone() }
            }
            _ => kind.share(shards),
        }
    }

    /// The number of resets by hand until now, of a quota.
    pub(crate) fn resets_by_hand(&self) -> i64 {
        self.quota.as_ref().map_or(0, |quota| quota.resets_by_hand)
    }
}

impl Image {
    /// A limit that is a quota.
    pub(crate) fn calendar_quota(&self) -> Option<&LimitImage> {
        self.limits.iter().find(|limit| limit.quota.is_some())
    }
}

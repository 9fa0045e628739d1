//! Conditions and removals in a write that concern features of newer clients that are over, and buckets that an
//! operator has switched off.
//!
//! A limit that once was a quota leaves attributes of it. They decide nothing, but stay on the item until somebody
//! takes them off, and a client that refused every bucket with an unknown attribute would refuse for ever. So what is
//! over is recognised, and removed by the next plan, on the condition that it still says what was seen.
//!
//! The condition of a write has room for 300 operators; the limits come first, and as many leftovers are removed as
//! fit.

use crate::{
    bucket::{
        image::{Image, Leftover},
        plan::Goal,
    },
    model::limit::MAX_LIMITS,
};

/// Decides if a write goes through only on a bucket that nobody has switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enabled {
    /// It does: something is taken.
    Yes,
    /// It does not matter: what is settled was taken before.
    Any,
}

/// Lists the leftovers that the write removes. Only callers that know the limits that apply remove any; these limits
/// are plain rates. The list is as long as the condition has room for, at two operators each.
pub(crate) fn leftovers(image: &Image, goal: &Goal<'_>) -> Vec<Leftover> {
    if goal.limits.is_empty() {
        return Vec::new();
    }
    let room = 3 + 6 * MAX_LIMITS.saturating_sub(image.limits.len().max(goal.limits.len()));
    image.leftovers.iter().take(room).cloned().collect()
}

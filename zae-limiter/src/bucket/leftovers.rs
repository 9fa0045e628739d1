//! What a write says about features of newer clients that are over, and about what an operator has switched off.

use crate::{
    bucket::{
        image::{Image, Leftover, LeftoverValue},
        plan::Goal,
    },
    model::limit::MAX_LIMITS,
};

/// Whether a write goes through only on a bucket that nobody has switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enabled {
    /// It does: something is taken.
    Yes,
    /// It does not matter: what is settled was taken before.
    Any,
}

/// A bypass that is over, as it was seen.
pub(crate) fn bypass(image: &Image) -> Option<LeftoverValue> {
    image.leftovers.iter().find(|leftover| leftover.attribute == "bypass").map(|leftover| leftover.value.clone())
}

/// What the write takes off: only for those who know the limits that apply, which are plain rates; as much as the condition
/// has room for, two operators each.
pub(crate) fn leftovers(image: &Image, goal: &Goal<'_>) -> Vec<Leftover> {
    if goal.limits.is_empty() {
        return Vec::new();
    }
    let room = 3 + 6 * MAX_LIMITS.saturating_sub(image.limits.len().max(goal.limits.len()));
    image.leftovers.iter().take(room).cloned().collect()
}

//! Soft limits: they are metered and debited, may go into debt without bound, and never refuse.
//!
//! The configuration decides whether a limit is soft. A bucket carries a copy of that answer with an end, so that other
//! clients can take from it in one write without reading the configuration: a [`TimedStamp`]. We trust our own
//! resolution, which is as old as the copy at the most; but whoever finds that stamp and resolution contradict each
//! other, or the stamp over and the resolution older than it, has the limits read again first ([`contradicts`]). The
//! next write then brings the stamp in line ([`restamp`]), with the stamp that was seen among its conditions.

use crate::bucket::{
    image::{Image, LimitImage},
    kind::{AppliedLimit, Enforcement},
    stamp::{Occasion, StampWrite, TimedStamp, renewed},
};

/// Returns what a write does about the stamp of a limit that applies; `None` if nothing depends on it. `until` is the
/// end of a new stamp, `None` if no stamp may be written: the limits are not those of the configuration.
pub(crate) fn restamp(
    enforcement: Enforcement,
    stored: Option<TimedStamp>,
    until: Option<i64>,
    now: i64,
    occasion: Occasion,
) -> Option<StampWrite> {
    let set = match (enforcement, until) {
        (Enforcement::Hard, Some(_)) => return stored.map(|_| StampWrite { expect: stored, set: Some(None) }),
        (Enforcement::Hard, None) | (Enforcement::Bypassed, _) => return None,
        (Enforcement::Soft, None) => None,
        (Enforcement::Soft, Some(until)) => renewed(stored, until, now, occasion).map(Some),
    };
    Some(StampWrite { expect: stored, set })
}

/// Returns true if the stamps of `image` say something else at `now` than `limits`, which may be copied onto the item
/// until `until`. Whoever asks has to read the limits again.
pub(crate) fn contradicts(image: &Image, limits: &[AppliedLimit], until: Option<i64>, now: i64) -> bool {
    let Some(until) = until else { return false };
    limits.iter().any(|limit| {
        let stamp = stamp(image.limit(limit.name.as_str()));
        match limit.enforcement {
            Enforcement::Hard => stamp.is_some(),
            // Nobody looks at it meanwhile.
            Enforcement::Bypassed => false,
            Enforcement::Soft => stamp.is_none_or(|stamp| !stamp.lasts(now) && until <= now),
        }
    })
}

/// Returns true if a limit's stamp is there where it is soft, and only there.
pub(crate) fn agrees(limit: &AppliedLimit, stored: Option<&LimitImage>) -> bool {
    limit.enforcement == Enforcement::Bypassed || limit.is_soft() == stamp(stored).is_some()
}

/// Returns the stamp of a stored limit.
fn stamp(stored: Option<&LimitImage>) -> Option<TimedStamp> {
    stored.and_then(|stored| stored.soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_written_when_it_is_due_and_not_before() {
        let (now, until) = (1_000_000, Some(1_054_000));
        let stamp = |left: i64| Some(TimedStamp::Until(now + left));
        let set = |stored, until, occasion| restamp(Enforcement::Soft, stored, until, now, occasion).unwrap().set;
        for (stored, needed, opportune) in [
            (None, Some(until), Some(until)),
            (Some(TimedStamp::Flag(true)), Some(until), Some(until)),
            (stamp(0), Some(until), Some(until)),
            (stamp(1), None, Some(until)),
            (stamp(26_999), None, Some(until)),
            (stamp(27_000), None, None),
            (stamp(90_000), None, None),
        ] {
            let found = [Occasion::Needed, Occasion::Opportune].map(|occasion| set(stored, until, occasion));
            assert_eq!(found, [needed, opportune], "{stored:?}");
        }
        assert_eq!(set(stamp(20_000), Some(now + 10_000), Occasion::Opportune), None, "never shortened");
        assert_eq!(set(None, Some(now), Occasion::Opportune), None, "too old to be copied");
        assert_eq!(set(None, None, Occasion::Opportune), None, "a caller's own limits");
        let removal = StampWrite { expect: stamp(9), set: Some(None) };
        assert_eq!(restamp(Enforcement::Hard, stamp(9), until, now, Occasion::Needed), Some(removal));
        assert_eq!(restamp(Enforcement::Hard, stamp(9), None, now, Occasion::Needed), None);
        assert_eq!(restamp(Enforcement::Hard, None, until, now, Occasion::Needed), None);
    }
}

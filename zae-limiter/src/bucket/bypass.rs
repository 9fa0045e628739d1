//! Bypassed buckets: everything is let through and counted, and nothing is debited.
//!
//! The configuration decides, as for [soft limits](super::soft), and a bucket carries a stamp of its answer with an
//! end. A write under a bypass adds to the consumption counters and leaves balances alone, so that many of them succeed
//! side by side. Whoever finds that stamp and resolution contradict each other has the setting read again first
//! ([`contradicts`]); the next write then brings the stamp in line ([`restamp`]), on the condition that it is still the
//! one that was seen. So a bypass that is set or removed meanwhile comes back as an image.

use crate::bucket::{
    image::Image,
    limit_set::LimitSet,
    stamp::{Occasion, StampWrite, renewed},
};

/// Returns what a write does about the stamp that it saw. `until` is the end of a new one, in epoch ms; `None` if no
/// stamp may be written, because nobody asks.
pub(crate) fn restamp(image: &Image, limit_set: &LimitSet, until: Option<i64>, now: i64) -> StampWrite {
    let set = match until {
        None => None,
        Some(_) if !limit_set.bypassed => image.bypass.map(|_| None),
        Some(until) => renewed(image.bypass, until, now, Occasion::Opportune).map(Some),
    };
    StampWrite { expect: image.bypass, set }
}

/// Returns true if the stamp of `image` says something else at `now` (epoch ms) than `limit_set`, or has run out.
pub(crate) fn contradicts(image: &Image, limit_set: &LimitSet, now: i64) -> bool {
    match image.bypass {
        Some(stamp) => !limit_set.bypassed || !stamp.lasts(now),
        None => limit_set.bypassed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bucket::{lifetime::Lifetime, owner::Owner, stamp::TimedStamp},
        model::limit::{Limit, Limits},
    };

    #[test]
    fn a_stamp_follows_the_setting_and_is_renewed_in_time() {
        let limits = Limits::from(Limit::per_minute("rpm", 10).unwrap());
        let limited = LimitSet::new(limits, Lifetime::AsIs, Owner::default());
        let open = limited.clone().bypassed();
        let (now, until) = (1_000_000, Some(1_054_000));
        let stamp = |left: i64| Some(TimedStamp::Until(now + left));
        for (set, stored, written, doubted) in [
            (&limited, None, None, false),
            (&limited, stamp(9), Some(None), true),
            (&limited, stamp(0), Some(None), true),
            (&limited, Some(TimedStamp::Flag(true)), Some(None), true),
            (&open, None, Some(until), true),
            (&open, stamp(0), Some(until), true),
            (&open, stamp(26_999), Some(until), false),
            (&open, stamp(27_000), None, false),
        ] {
            let image = Image { bypass: stored, ..Image::default() };
            let found = restamp(&image, set, until, now);
            assert_eq!(found, StampWrite { expect: stored, set: written }, "{stored:?}");
            assert_eq!(contradicts(&image, set, now), doubted, "{stored:?}");
            assert_eq!(restamp(&image, set, None, now).set, None, "nobody asks: {stored:?}");
        }
    }
}

//! One limit's part of a write, as far as it is about time: sessions that begin, schedules, and the next change.

use super::limit::LimitPlan;
use crate::bucket::{
    image::{Basis, Image, LimitImage},
    quota::stored::Opens,
    write::ScheduleWrite,
};

impl LimitPlan<'_> {
    /// Tells if a session begins.
    pub(super) fn opens(&self) -> Opens {
        if self.take > 0 || self.adjust > 0 { Opens::Yes } else { Opens::No }
    }

    /// Returns true if it is a session that does not begin: nothing about its balance is written.
    pub(super) fn is_left_unopened(&self) -> bool {
        self.balance.basis == Basis::Unopened && self.opens() == Opens::No && !(self.applies && self.is_changed())
    }

    /// Returns true if it becomes a limit of another kind.
    pub(super) fn is_changed(&self) -> bool {
        self.stored.and_then(LimitImage::kind).as_ref() != Some(&self.wanted)
    }

    /// The first instant at which something about it changes by itself once the write is done, in epoch ms; 0 where
    /// the next use changes it.
    pub(super) fn boundary(&self) -> Option<i64> {
        let session = self.wanted.is_session().then(|| match (self.balance.basis, self.opens()) {
            (Basis::Unopened | Basis::New, Opens::No) => 0,
            (Basis::Unopened | Basis::New, Opens::Yes) => {
                self.now.saturating_add(self.wanted.restored_in(self.now).unwrap_or(0))
            }
            _ => self.now.saturating_add(self.balance.restored_in.unwrap_or(0)),
        });
        session.into_iter().chain(self.wanted.next_boundary(self.now)).min()
    }

    /// Returns what the write does about the schedule of its parameters.
    pub(super) fn reschedule(&self, image: &Image) -> ScheduleWrite {
        let stored = self.stored.and_then(|stored| stored.schedule.as_ref());
        let wanted = self.wanted.schedule();
        let same = stored.map(|stored| &stored.schedule) == wanted;
        let says_so = image.scheduled && self.balance.basis == Basis::New;
        let set = (self.applies && (!same || says_so)).then(|| wanted.cloned());
        ScheduleWrite { expect: stored.cloned(), set }
    }
}

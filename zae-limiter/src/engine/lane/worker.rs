//! Who does a lane's work: a task, or one who asks alone.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    super::{
        asked::Part,
        queue::Start,
        shift::{Shift, Work},
    },
    Lane, lock,
};

impl Lane {
    pub(super) fn began(self: &Arc<Self>, start: Start<Work>) {
        match start {
            Start::Worker => self.begin(),
            Start::Task(work) => self.hand_over(work),
            Start::Nothing => self.wake.notify_one(),
        }
    }

    /// Makes sure that somebody does what there is to do.
    pub(crate) fn resume(self: &Arc<Self>) {
        let start = lock(&self.state).queue.start();
        self.began(start);
    }

    /// Not under the lock: a runtime that has ended drops the worker at once.
    fn begin(self: &Arc<Self>) {
        match self.shared.home.handle() {
            Some(home) => {
                let shift = Shift::new(Arc::clone(self), home.id());
                drop(self.shared.tasks.spawn_on(shift.work(), &home));
            }
            None => self.wait_for_a_runtime(),
        }
    }

    pub(in crate::engine) fn wait_for_a_runtime(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.settling = false;
        let holds = self.stock().is_some_and(|stock| stock.due(Instant::now()).is_some());
        if state.queue.abandon() || holds {
            drop(state);
            tracing::debug!(bucket = %self.key, "its runtime has ended; the next one goes on");
            self.shared.strand(Arc::clone(self));
        }
    }

    /// The work of one who asks on the lane's runtime.
    pub(super) fn work_here(self: &Arc<Self>) -> Option<Work> {
        let here = self.shared.home.id_if_here()?;
        let shift = Shift::new(Arc::clone(self), here);
        Some(Work::new(self.shared.tasks.track_future(shift.work())))
    }

    /// Leaves the work of one who asks here until they are polled again.
    pub(in crate::engine) fn leave(&self, work: Work) -> Part {
        let wanted = lock(&self.state).queue.leave(work);
        match wanted {
            None => Part::GoesOn,
            Some(work) => {
                self.hand_over(work);
                Part::Waits
            }
        }
    }

    /// Takes up the work that was left here, if no task has it.
    pub(in crate::engine) fn resume_work(&self) -> Option<Work> {
        lock(&self.state).queue.resume()
    }

    /// Gives the work that one who asks has left here to a task.
    pub(crate) fn take_over(&self) {
        if let Some(work) = self.resume_work() {
            self.hand_over(work);
        }
    }

    /// Gives the work of one who asks to a task.
    pub(in crate::engine) fn hand_over(&self, work: Work) {
        // Without a runtime it is dropped, and so waits for one.
        if let Some(home) = self.shared.home.handle() {
            drop(home.spawn(work));
        }
    }
}

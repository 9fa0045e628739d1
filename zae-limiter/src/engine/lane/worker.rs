//! The work of a lane: done by a task, which a caller that asks alone begins.
//!
//! A lone acquire should not pay for a change of tasks, and must not be the one that everybody depends on: a future may
//! be dropped, or kept and never polled again. So its caller polls the worker's future once. By then the write has been
//! handed to the connection; if it is not done yet, the rest is spawned on the home runtime, and the caller waits for
//! its channel like all others.

use std::{future::poll_fn, sync::Arc, task::Poll};

use tokio::time::Instant;

use super::{Lane, lock, returned};
use crate::{
    engine::{
        lane::{
            ask::Ask,
            drive::fail,
            queue::{Fetch, Next, Start},
            shift::Worker,
        },
        reserve::ReturnCause,
    },
    error::{RepositoryError, StoreError},
};

impl Lane {
    /// Starts a worker, or wakes the one that runs.
    pub(super) fn began(self: &Arc<Self>, start: Start) {
        match start {
            Start::Worker => self.begin(),
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
                let shift = Worker::new(Arc::clone(self), home.id());
                drop(self.shared.tasks.spawn_on(shift.work(None), &home));
            }
            None => self.wait_for_a_runtime(),
        }
    }

    /// Ends the worker's state and leaves the lane's work, if there is any, for the next runtime.
    pub(in crate::engine) fn wait_for_a_runtime(self: &Arc<Self>) {
        let mut state = lock(&self.state);
        state.settling = false;
        let holds = self.reserve().is_some_and(|reserve| reserve.due(Instant::now()).is_some());
        if state.queue.abandon() || holds {
            drop(state);
            tracing::debug!(bucket = %self.key, "its runtime has ended; the next one goes on");
            self.shared.strand(Arc::clone(self));
        }
    }

    /// Ends without a runtime: whoever waits is told that nothing was done.
    pub(in crate::engine) fn give_up(&self) {
        let (asks, mut pending) = lock(&self.state).queue.empty();
        let reserve = self.reserve().and_then(|mut reserve| reserve.give_up(ReturnCause::End, self.shared.moment()));
        pending.extend(reserve.and_then(returned));
        self.hand_over(&pending);
        let error = StoreError::unsent("the runtime ended before it was sent");
        fail(asks.into(), pending, Arc::new(RepositoryError::from(error)));
    }

    /// Does the work until it has to wait for something, then leaves it to a task: the write of a lone acquire is on
    /// its way before there is one.
    pub(super) async fn begin_here(self: &Arc<Self>, ask: Ask) {
        let Some(home) = self.shared.home.if_here() else {
            lock(&self.state).queue.rejoin(ask);
            return self.begin();
        };
        let shift = Worker::new(Arc::clone(self), home.id());
        let first = Next::Drive { asks: vec![ask], pending: Vec::new(), fetch: Fetch::No };
        let mut work = Box::pin(self.shared.tasks.track_future(shift.work(Some(first))));
        let begun = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        if begun.is_pending() {
            drop(home.spawn(work));
        }
    }
}

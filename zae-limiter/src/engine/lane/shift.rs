//! The task that does a lane's work: [`Worker`].
//!
//! A worker lives from the first piece of work until the queue says that nothing is left; most live for one write. If
//! its runtime ends, the task is dropped without having ended, and its drop hands the lane to the next runtime that
//! asks.

use std::{pin::pin, sync::Arc};

use tokio::runtime::Id;

use crate::engine::lane::{
    Lane, Round,
    ask::{Ask, Pending},
    queue::Next,
};

/// Bounds the number of scheduler turns for which a lane waits for more asks.
const TURNS: u32 = 4;

/// One worker's time at a lane.
pub(super) struct Worker {
    /// The lane that it works at.
    lane: Arc<Lane>,
    /// The runtime that it runs on.
    runtime: Id,
    /// True once it stopped by itself.
    ended: bool,
}

impl Worker {
    /// Takes up the work at `lane`.
    pub(super) fn new(lane: Arc<Lane>, runtime: Id) -> Self {
        Self { lane, runtime, ended: false }
    }

    /// Does what there is to do, `first` before anything else.
    pub(super) async fn work(mut self, first: Option<Next<Ask, Pending>>) {
        let lane = &self.lane;
        let mut next = first.unwrap_or_else(|| lane.next());
        loop {
            match next {
                Next::Drive { asks, pending, fetch } => {
                    let served = asks.len();
                    if let Some(limit_set) = lane.limit_set_of(&asks) {
                        // Pinned where it is made: awaited as it is, it would have a second place to be moved to.
                        pin!(crate::engine::lane::drive::drive(lane, Round { limit_set, asks, pending, fetch })).await;
                    }
                    // Nobody else comes to a lane where one asks at a time.
                    if served <= 1 && lane.stop_if_done() {
                        break;
                    }
                    if served + lane.waiting() > 1 {
                        gather(lane).await;
                    }
                }
                Next::Wait(until) => {
                    let closing = &lane.shared.closing;
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep_until(until) => {}
                        () = lane.wake.notified() => {}
                        () = closing.begun(), if !closing.has_begun() => {}
                    }
                }
                Next::Stop => break,
            }
            next = lane.next();
        }
        self.ended = true;
    }
}

/// Lets those who were answered and ask again at once join those who wait: an ask that comes a moment too late waits
/// for a whole write more. Yields to the scheduler as long as this brings another ask, without a delay.
async fn gather(lane: &Lane) {
    let mut waiting = 0;
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        let before = std::mem::replace(&mut waiting, lane.waiting());
        if waiting <= before {
            return;
        }
    }
}

impl Drop for Worker {
    /// Before its end, the runtime has ended: what the write under way was about is lost, the rest waits for another.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if !std::thread::panicking() {
            self.lane.shared.home.lost(self.runtime);
        }
        self.lane.wait_for_a_runtime();
    }
}

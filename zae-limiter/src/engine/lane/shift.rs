//! The task that performs a lane's work: [`Worker`].
//!
//! A worker lives from the first piece of work until the queue is empty; most live for one write. If its runtime ends,
//! the task is dropped before its end, and its drop passes the lane to the next runtime that asks.

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
    /// The lane.
    lane: Arc<Lane>,
    /// The runtime that it runs on.
    runtime: Id,
    /// True once it stopped by itself.
    ended: bool,
}

impl Worker {
    /// Starts the work at `lane`.
    pub(super) fn new(lane: Arc<Lane>, runtime: Id) -> Self {
        Self { lane, runtime, ended: false }
    }

    /// Performs the queued work, `first` before anything else.
    pub(super) async fn work(mut self, first: Option<Next<Ask, Pending>>) {
        let lane = &self.lane;
        let mut next = first.unwrap_or_else(|| lane.next());
        loop {
            match next {
                Next::Drive { asks, pending, fetch } => {
                    let served = asks.len();
                    if let Some(limit_set) = lane.limit_set_of(&asks) {
                        // Pinned in place: awaiting it directly would reserve space for moving it.
                        pin!(crate::engine::lane::drive::drive(lane, Round { limit_set, asks, pending, fetch })).await;
                    }
                    // Asks on this lane arrive one at a time, so there is no other.
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

/// Lets callers that were just answered and ask again join the waiting asks: an ask that arrives a moment too late
/// waits for a whole further write. Yields to the scheduler as long as this brings more asks, without a delay.
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
    /// If it is dropped early, its runtime has ended: the write under way is lost, and the remaining work waits for
    /// another worker.
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

//! The task that does a lane's work: [`Shift`].

use std::sync::Arc;

use tokio::runtime::Id;

use super::{
    lane::{Lane, Round},
    queue::Next,
};

/// One worker's time at a lane.
pub(super) struct Shift {
    lane: Arc<Lane>,
    runtime: Id,
    ended: bool,
}

impl Shift {
    pub(super) fn new(lane: Arc<Lane>, runtime: Id) -> Self {
        Self { lane, runtime, ended: false }
    }

    pub(super) async fn work(mut self) {
        let lane = &self.lane;
        loop {
            match lane.next() {
                Next::Drive { asks, pending, fetch } => {
                    if let Some(terms) = lane.terms_of(&asks) {
                        super::drive::drive(lane, Round { terms, asks, pending, fetch }).await;
                        // Those who were answered and ask again at once come along with those who wait: one turn of the
                        // scheduler, and no delay.
                        tokio::task::yield_now().await;
                    }
                }
                Next::Wait(until) => {
                    let closing = &lane.shared.closing;
                    tokio::select! {
                        () = tokio::time::sleep_until(until) => {}
                        () = lane.wake.notified() => {}
                        () = closing.begun(), if !closing.has_begun() => {}
                    }
                }
                Next::Stop => break,
            }
        }
        self.ended = true;
    }
}

impl Drop for Shift {
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

//! Counts the writes of a function, and stops at one of them.

use std::sync::Mutex;

use tokio::sync::Notify;

/// The time of the function's death relative to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The write never arrives.
    Before,
    /// The write is done, but its response is lost.
    After,
}

/// Counts writes, and stops at one of them.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    state: Mutex<State>,
    reached: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    stop: Option<(usize, When)>,
}

impl Steps {
    /// Resets the count, and stops at the write with this index.
    pub(crate) fn arm(&self, stop: Option<(usize, When)>) {
        *self.state.lock().unwrap() = State { taken: 0, stop };
    }

    /// Returns the number of writes so far.
    pub(crate) fn taken(&self) -> usize {
        self.state.lock().unwrap().taken
    }

    /// Counts a write; returns if it is the one to stop at.
    pub(crate) fn take(&self) -> Option<When> {
        let mut state = self.state.lock().unwrap();
        let index = state.taken;
        state.taken += 1;
        state.stop.filter(|(at, _)| *at == index).map(|(_, when)| when)
    }

    /// Waits at the write to stop at; never returns.
    pub(crate) async fn end(&self) -> ! {
        self.reached.notify_one();
        std::future::pending().await
    }

    /// Waits until that write is reached.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }
}

//! The writes of a function, counted, and one of them at which the world ends.

use std::sync::Mutex;

use tokio::sync::Notify;

/// The moment, seen from a write, at which the function dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The write never arrives.
    Before,
    /// It is done, and nobody hears of it.
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
    /// Counts from nothing, and stops at the write with this index.
    pub(crate) fn arm(&self, stop: Option<(usize, When)>) {
        *self.state.lock().unwrap() = State { taken: 0, stop };
    }

    /// Writes so far.
    pub(crate) fn taken(&self) -> usize {
        self.state.lock().unwrap().taken
    }

    /// Takes the next step; says whether to stop at it.
    pub(crate) fn take(&self) -> Option<When> {
        let mut state = self.state.lock().unwrap();
        let index = state.taken;
        state.taken += 1;
        state.stop.filter(|(at, _)| *at == index).map(|(_, when)| when)
    }

    /// Waits until the step to stop at is reached, from within it: never to return.
    pub(crate) async fn end(&self) -> ! {
        self.reached.notify_one();
        std::future::pending().await
    }

    /// Waits for that.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }
}

//! The runtime on which a limiter runs: [`HomeRuntime`].
//!
//! A limiter may be called on several runtimes, such as those of a server's workers, which are busy with other work and
//! end before the program does. So everything that outlives a call (connections, lanes, settlements) runs on one of
//! them: the one on which the limiter was built, otherwise the first that called it. If that one ends, another takes
//! its place.
//!
//! A handle does not tell if its runtime still runs. This shows in the work: a task that was dropped without a result
//! means that the runtime has ended ([`RuntimeGone`]), and the next caller's runtime takes its place
//! ([`HomeRuntime::lost`]). The id of the runtime is compared, so a late report does not remove its successor.

use std::{
    future::Future,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::{
    runtime::{Handle, Id},
    task::JoinHandle,
};
use tracing::Instrument;

/// The runtime on which a limiter runs.
#[derive(Debug)]
pub(crate) struct HomeRuntime {
    /// The runtime; `None` until there is one.
    handle: Mutex<Option<Handle>>,
}

/// The runtime ended before the work did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeGone;

impl HomeRuntime {
    /// Uses the current runtime, if there is one; otherwise the first that calls.
    pub(crate) fn here() -> Self {
        Self { handle: Mutex::new(Handle::try_current().ok()) }
    }

    /// Locks the handle.
    fn lock(&self) -> MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the runtime to work on; `None` if there never was one, or it has ended and there is no other here.
    pub(crate) fn handle(&self) -> Option<Handle> {
        let mut home = self.lock();
        if home.is_none() {
            *home = Handle::try_current().ok();
        }
        home.clone()
    }

    /// Returns the runtime to work on, if it is the current one.
    pub(crate) fn if_here(&self) -> Option<Handle> {
        let here = Handle::try_current().ok()?;
        self.lock().as_ref().is_some_and(|home| home.id() == here.id()).then_some(here)
    }

    /// Returns the runtime to work on, if it is not the current one.
    pub(crate) fn elsewhere(&self) -> Option<Handle> {
        let here = Handle::try_current().ok().map(|here| here.id());
        self.handle().filter(|home| Some(home.id()) != here)
    }

    /// Records that a runtime has ended. The current one is no replacement if it is the one that has ended.
    pub(crate) fn lost(&self, id: Id) {
        let mut home = self.lock();
        if home.as_ref().is_some_and(|home| home.id() == id) {
            *home = Handle::try_current().ok().filter(|here| here.id() != id);
        }
    }
}

/// Work on another runtime, which is aborted when its waiter is dropped.
#[derive(Debug)]
pub(crate) struct RemoteTask<T>(JoinHandle<T>);

impl<T: Send + 'static> RemoteTask<T> {
    /// Starts `work` on `runtime`, in the caller's span.
    pub(crate) fn start(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self(runtime.spawn(work.in_current_span()))
    }
}

impl<T> Future for RemoteTask<T> {
    type Output = Result<T, RuntimeGone>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(context)) {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(RuntimeGone),
        })
    }
}

impl<T> Drop for RemoteTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

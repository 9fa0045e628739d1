//! The runtime that a limiter works on: [`HomeRuntime`].
//!
//! A limiter may be asked on several runtimes, those of a server's workers for example, which are busy with other
//! things and end before the program does. So everything that outlives a call (connections, lanes, settlements) is done
//! on one of them: the one that the limiter was built on, else the first that asked. If that one ends, another takes
//! its place.
//!
//! A handle does not say whether its runtime still runs. It is found out by what becomes of the work: a task that was
//! dropped without an answer means that the runtime has ended ([`RuntimeGone`]), and the next one that asks takes its
//! place ([`HomeRuntime::lost`]). The number of the runtime is compared, so a late report does not remove its
//! successor.

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

/// The runtime that a limiter works on.
#[derive(Debug)]
pub(crate) struct HomeRuntime {
    /// The runtime; `None` until there is one.
    handle: Mutex<Option<Handle>>,
}

/// The runtime ended before the work did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeGone;

impl HomeRuntime {
    /// The current runtime, if there is one; else the first that asks.
    pub(crate) fn here() -> Self {
        Self { handle: Mutex::new(Handle::try_current().ok()) }
    }

    /// Locks the handle.
    fn lock(&self) -> MutexGuard<'_, Option<Handle>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runtime to work on; `None` when there never was one, or it has ended and there is no other here.
    pub(crate) fn handle(&self) -> Option<Handle> {
        let mut home = self.lock();
        if home.is_none() {
            *home = Handle::try_current().ok();
        }
        home.clone()
    }

    /// The runtime to work on, if it is the current one.
    pub(crate) fn if_here(&self) -> Option<Handle> {
        let here = Handle::try_current().ok()?;
        self.lock().as_ref().is_some_and(|home| home.id() == here.id()).then_some(here)
    }

    /// The runtime to work on, if it is another than the current one.
    pub(crate) fn elsewhere(&self) -> Option<Handle> {
        let here = Handle::try_current().ok().map(|here| here.id());
        self.handle().filter(|home| Some(home.id()) != here)
    }

    /// That runtime has ended. Where this runs is no substitute if it is the one that ends.
    pub(crate) fn lost(&self, id: Id) {
        let mut home = self.lock();
        if home.as_ref().is_some_and(|home| home.id() == id) {
            *home = Handle::try_current().ok().filter(|here| here.id() != id);
        }
    }
}

/// Work that is done on another runtime, and ends with whoever waits for it.
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

//! actix-web's request, for extractors.
//!
//! What the extractors of [`zae_tower`] are handed must be [`Send`], and actix-web's request is not. So they get a
//! [`Head`](crate::Head), and the request itself lies beside them while the decision is made, in a local of the task.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use actix_web::dev::ServiceRequest;
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use zae_tower::{
    RequestHead,
    extract::{ExtractError, Extracted, IntoExtracted},
};

tokio::task_local! {
    static REQUEST: ServiceRequest;
}

type Deciding<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pin_project! {
    /// Work during which extractors find the request, and after which it is there again.
    pub(crate) struct With<T> {
        #[pin]
        work: TaskLocalFuture<ServiceRequest, Deciding<T>>,
    }
}

impl<T> With<T> {
    pub(crate) fn new(request: ServiceRequest, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: REQUEST.scope(request, Box::pin(work)) }
    }
}

impl<T> Future for With<T> {
    /// The request is there unless this was polled after its end.
    type Output = (T, Option<ServiceRequest>);

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut work = self.project().work;
        let done = ready!(work.as_mut().poll(context));
        Poll::Ready((done, work.take_value()))
    }
}

/// What `look` sees in the request that is decided about.
pub(crate) fn with<T>(look: impl FnOnce(&ServiceRequest) -> T) -> Option<T> {
    REQUEST.try_with(look).ok()
}

fn not_here() -> ExtractError {
    ExtractError::unavailable("this extractor works under actix-web only", Duration::from_secs(1))
}

/// `function` as the functions of [`zae_tower`] want it.
pub(crate) fn look<F, O>(function: F) -> impl Fn(&dyn RequestHead) -> Result<O, ExtractError> + Send + Sync + 'static
where
    F: Fn(&ServiceRequest) -> O + Send + Sync + 'static,
    O: 'static,
{
    move |_| with(&function).ok_or_else(not_here)
}

/// As [`look`], where `function` makes a future.
pub(crate) fn look_async<F, W, V>(
    function: F,
) -> impl Fn(&dyn RequestHead) -> Pin<Box<dyn Future<Output = Extracted<V>> + Send>> + Send + Sync + 'static
where
    F: Fn(&ServiceRequest) -> W + Send + Sync + 'static,
    W: Future<Output: IntoExtracted<Value = V>> + Send + 'static,
{
    move |_| {
        let work = with(&function);
        Box::pin(async move {
            match work {
                Some(work) => work.await.into_extracted(),
                None => Err(not_here()),
            }
        })
    }
}

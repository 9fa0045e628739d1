//! Waiting for a bucket's answer: [`Asked`].

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

use super::{
    ask::{Answer, Failure},
    lane::Lane,
    shift::Work,
};
use crate::error::UnavailableReason;

/// What is left to whoever asked.
#[derive(Debug)]
pub(super) enum Part {
    /// Nothing but to wait: others work.
    Waits,
    /// To begin the lane's work, now: nobody else does.
    Begins(Work),
    /// To go on with the work, which lies at the lane; others may have taken it up.
    GoesOn,
}

/// Waits for the answer to an ask. Who is alone does the lane's work here, which spares a task and the ways there and back. A task goes
/// on with it when others come to depend on it, when more than the answer is to be done, and when this is dropped.
#[derive(Debug)]
pub(super) struct Asked {
    lane: Arc<Lane>,
    part: Part,
    answer: oneshot::Receiver<Answer>,
}

impl Part {
    /// The work, if it is still to be done here.
    fn take(&mut self, lane: &Lane) -> Option<Work> {
        match std::mem::replace(self, Self::Waits) {
            Self::Waits => None,
            Self::Begins(work) => Some(work),
            Self::GoesOn => lane.resume_work(),
        }
    }
}

impl Asked {
    pub(super) fn new(lane: Arc<Lane>, part: Part, answer: oneshot::Receiver<Answer>) -> Self {
        Self { lane, part, answer }
    }
}

impl Future for Asked {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let this = &mut *self;
        let work = this.part.take(&this.lane);
        let unfinished = work.and_then(|mut work| Pin::new(&mut work).poll(context).is_pending().then_some(work));
        let answer = Pin::new(&mut this.answer).poll(context);
        match unfinished {
            Some(work) if answer.is_pending() => this.part = this.lane.leave(work),
            Some(work) => this.lane.hand_over(work),
            None => {}
        }
        // Whoever was to answer has ended with its runtime.
        let ended = |_| Answer::Failed(Failure::Unavailable(UnavailableReason::ShuttingDown, None));
        Poll::Ready(ready!(answer).unwrap_or_else(ended))
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(work) = self.part.take(&self.lane) {
            self.lane.hand_over(work);
        }
    }
}

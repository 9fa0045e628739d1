//! The connection of a process to the table: [`Link`].

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};
use zae_limiter::sim::{Answer, Answering, Fault, Request, Table};

use super::{EPOCH, Shared, history::Kind, network::Fate};
use crate::schedule::What;

/// DynamoDB's error code for too many writes of one partition.
const THROTTLED: &str = "ProvisionedThroughputExceededException";

/// One instance's connection to the table.
#[derive(Clone, Debug)]
pub struct Link {
    world: Shared,
    instance: usize,
    /// The second of the last response, in epoch ms; 0 before the first.
    date: Arc<AtomicI64>,
}

impl Link {
    /// Creates the connection of `instance`.
    pub fn new(world: Shared, instance: usize) -> Self {
        Self { world, instance, date: Arc::default() }
    }
}

impl Table for Link {
    fn date_ms(&self) -> Option<i64> {
        Some(self.date.load(Ordering::Relaxed)).filter(|date| *date > 0)
    }

    fn call(&self, request: Request) -> Answering {
        let mut world = self.world.lock();
        if world.instances[self.instance].dead {
            return Box::pin(pending());
        }
        let fate = world.send(self.instance, &request);
        drop(world);
        let (reply, answer) = oneshot::channel();
        // Spawned, so that it arrives even if its sender no longer waits.
        tokio::spawn(travel(self.clone(), fate, request, reply));
        Box::pin(async move {
            match answer.await {
                Ok(answer) => answer,
                Err(_) => pending().await,
            }
        })
    }
}

async fn travel(link: Link, fate: Fate, request: Request, reply: oneshot::Sender<Result<Answer, Fault>>) {
    sleep(Duration::from_millis(fate.there)).await;
    let answer = match fate.wrong {
        Some(What::LosesRequests) => None,
        Some(What::Throttles) => {
            Some(Err(Fault::Throttled { code: THROTTLED.to_owned(), message: "the partition is hot".to_owned() }))
        }
        Some(What::Overheats) if fate.is_write => {
            let message = "TableWriteKeyRangeThroughputExceeded".to_owned();
            Some(Err(Fault::Throttled { code: THROTTLED.to_owned(), message }))
        }
        Some(What::FailsBefore) => Some(Err(Fault::Failed)),
        Some(What::Refuses) => Some(Err(Fault::Refused)),
        _ => Some(link.world.lock().arrive(&fate, &request)),
    };
    let answer = match (fate.wrong, answer) {
        (Some(What::Repeats(later)), Some(Ok(first))) if fate.is_write => {
            repeated(&link, fate.call, later, request, first).await
        }
        (_, answer) => answer,
    };
    let date = EPOCH + i64::try_from(link.world.lock().now() / 1_000 * 1_000).unwrap_or(0);
    sleep(Duration::from_millis(fate.back)).await;
    let answer = match fate.wrong {
        Some(What::LosesAnswers) => None,
        Some(What::FailsAfter) => Some(Err(Fault::Failed)),
        Some(What::Breaks) => Some(Err(Fault::Broken)),
        _ => answer,
    };
    let mut world = link.world.lock();
    let dead = world.instances[link.instance].dead;
    let certain =
        fate.wrong.is_none_or(What::is_certain) || matches!(fate.wrong, Some(What::Delays(_) | What::Holds(_)));
    let now = world.now();
    let heard = match answer.filter(|_| !dead) {
        Some(answer) => {
            world.history.calls[fate.call].answered = Some(now);
            link.date.store(date, Ordering::Relaxed);
            reply.send(answer).is_ok()
        }
        None => {
            // The sender is not notified that no response will come.
            world.unanswered.push(reply);
            false
        }
    };
    if !(heard && certain) {
        world.history.blur_call(fate.call);
    }
    world.note(Kind::Answered { call: fate.call, heard });
}

/// The network delivers a request a second time. Its sender receives the answer to the first delivery, or, of every
/// other request, to the second: the first one's was lost.
async fn repeated(
    link: &Link,
    call: usize,
    later: u64,
    request: Request,
    first: Answer,
) -> Option<Result<Answer, Fault>> {
    let refund = link.world.lock().last_refund(&request);
    if call.is_multiple_of(2) {
        tokio::spawn(repeat(link.clone(), call, later, request));
        return Some(Ok(first));
    }
    sleep(Duration::from_millis(later)).await;
    let mut world = link.world.lock();
    let second = world.arrive_again(call, &request)?;
    // A refund that nobody can recognise any more, as its number was replaced in its slot, stays without an answer.
    refund.is_none_or(|refund| world.shows_refund(&request, refund)).then_some(Ok(second))
}

/// The network delivers a request that was delivered before. Nobody receives the answer.
async fn repeat(link: Link, call: usize, later: u64, request: Request) {
    sleep(Duration::from_millis(later)).await;
    link.world.lock().arrive_again(call, &request);
}

//! Settlements that could not be booked are handed over to the application.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Builder, time::Instant};
use zae_limiter::{
    Clock, Cost, EntityId, RateLimiter, ResourceName, Unsettled,
    sim::{self, Answering, Fault, Names, Request},
};
use zae_sim::{
    schedule::Limit,
    table::{Table, key_of},
    world::{EPOCH, limits},
};

/// A table that throttles writes for a given time.
#[derive(Debug)]
struct Busy {
    table: Mutex<Table>,
    throttles: AtomicBool,
}

impl sim::Table for Busy {
    fn call(&self, request: Request) -> Answering {
        let is_read = matches!(request, Request::Read { .. });
        let answer = if self.throttles.load(Ordering::Relaxed) && !is_read {
            let code = "ProvisionedThroughputExceededException".to_owned();
            Err(Fault::Throttled { code, message: String::new() })
        } else {
            self.table.lock().unwrap().apply(&request, 0, 0).map(|outcome| outcome.answer).map_err(|_| Fault::Failed)
        };
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            answer
        })
    }
}

#[derive(Debug)]
struct Driven(Instant);

impl Clock for Driven {
    fn now_ms(&self) -> i64 {
        EPOCH + i64::try_from(self.0.elapsed().as_millis()).unwrap()
    }
}

/// Returns everything that is handed over for an adjustment that a table throttles for `seconds`, starting before the
/// shutdown.
fn handed_over(seconds: u64) -> Vec<Unsettled> {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (names, entity) = (Names::new().unwrap(), EntityId::new("e").unwrap());
        let resource = ResourceName::new("r").unwrap();
        let mut table = Table::default();
        let limits = limits(&[Limit { capacity: 100, refill: 100, period: 60 }]).unwrap();
        for item in [names.record(), names.entity(&entity, None), names.limits(&entity, &limits)] {
            table.set(key_of(&item).unwrap(), Some(item), 0);
        }
        let table = Arc::new(Busy { table: Mutex::new(table), throttles: AtomicBool::new(false) });
        let clock: Arc<dyn Clock> = Arc::new(Driven(Instant::now()));
        let taken: Arc<Mutex<Vec<Unsettled>>> = Arc::default();
        let take = Arc::clone(&taken);
        let builder = RateLimiter::builder(names.repository(Arc::clone(&table) as Arc<dyn sim::Table>, clock))
            .on_unsettled(move |unsettled| take.lock().unwrap().push(unsettled));
        let limiter = sim::build(builder, 1);
        let mut leases = Vec::new();
        for tokens in [10, 20] {
            leases.push(limiter.acquire(entity.clone(), resource.clone(), Cost::of("a", tokens)).await.unwrap());
        }
        table.throttles.store(true, Ordering::Relaxed);
        leases[0].adjust("a", 7).unwrap();
        for lease in leases {
            drop(lease.commit());
        }
        let busy = Arc::clone(&table);
        let end = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            busy.throttles.store(false, Ordering::Relaxed);
        });
        limiter.shutdown().await;
        end.await.unwrap();
        let taken = taken.lock().unwrap();
        taken.clone()
    })
}

#[test]
fn what_a_shutdown_cannot_book_is_handed_over_once() {
    let handed_over = handed_over(60);
    let [unsettled] = handed_over.as_slice() else { panic!("{handed_over:?}") };
    assert_eq!((unsettled.entity.as_str(), unsettled.resource.as_str()), ("e", "r"));
    let tokens: Vec<(&str, i64)> = unsettled.tokens.iter().map(|(name, tokens)| (name.as_str(), *tokens)).collect();
    assert_eq!(tokens, [("a", 7)]);
}

#[test]
fn nothing_is_handed_over_that_could_be_booked_in_time() {
    assert_eq!(handed_over(20), []);
}

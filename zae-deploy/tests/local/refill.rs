//! The cost of an acquire of a busy bucket while the aggregator refills it.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::Client;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use zae_limiter::{Cost, Repository};

use crate::{Stack, patient};

/// Records the operations that a client calls.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<Mutex<Vec<String>>>);

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        self.0.lock().unwrap().push(target.rsplit('.').next().unwrap_or_default().to_owned());
        Ok(())
    }
}

/// A bucket is emptied much faster than it fills, until the aggregator finds that it would not last and credits it;
/// then it is used further.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_bucket_costs_one_round_trip_an_acquire() {
    const DRAIN: u64 = 300;
    const AFTER: u64 = 20;
    let (stack, _) = Stack::up(&[]);
    stack.ok(&["system", "set-defaults", "-l", "tokens:2000/sec:1000000"]);
    let requests = Requests::default();
    let client = Client::from_conf(stack.config().interceptor(requests.clone()).build());
    let limiter = patient(Repository::builder().client(client).stack("limiter").build().await.unwrap());
    let acquire = async |tokens| {
        let lease = limiter.acquire("key-1", "gpt-4", Cost::of("tokens", tokens)).await.expect("there is enough");
        lease.commit().await.unwrap();
    };
    // Excludes the reads of the configuration and the creation of the bucket.
    acquire(1).await;
    requests.0.lock().unwrap().clear();

    for _ in 0..DRAIN {
        acquire(999_000 / DRAIN).await;
    }
    let (mut refills, started) = (0, Instant::now());
    while refills == 0 {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", stack.ok(&["local", "logs"]));
        tokio::time::sleep(Duration::from_millis(50)).await;
        refills = refilled(&stack);
    }
    for _ in 0..AFTER {
        acquire(100).await;
    }
    limiter.shutdown().await;

    refills = refilled(&stack);
    let sent = std::mem::take(&mut *requests.0.lock().unwrap());
    println!("{} acquires: {} calls, while the aggregator refilled {refills} times", DRAIN + AFTER, sent.len());
    assert!(sent.iter().all(|operation| operation == "UpdateItem"), "{sent:?}");
    // A refill between two acquires does not cost the second anything, unless it was about to credit the same time.
    let calls = DRAIN + AFTER..=DRAIN + AFTER + refills;
    assert!(calls.contains(&(sent.len() as u64)), "{} calls", sent.len());
}

/// Returns the number of refills of the bucket in the log.
fn refilled(stack: &Stack) -> u64 {
    let log = stack.ok(&["local", "logs", "--tail", "10000"]);
    let counts = log.lines().filter_map(|line| line.split("refills_written=").nth(1)?.split(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

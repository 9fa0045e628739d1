//! Fleets in driven time beside a provider with buckets of its own: three processes with their own clocks and caches,
//! twelve callers each, on one table whose answers take 3 to 7 ms.

mod behaviours;
mod provider;
mod turns;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use provider::{Provider, Rules};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::json;
use tokio::time::{Instant, sleep};
use zae_reqwest::{
    CallError, Limit, Limits, MaxWait, OutgoingLimit,
    llm::{Accounting, Admission, Tariff},
};
use zae_testkit::driven;

pub(crate) const PROCESSES: usize = 3;
pub(crate) const CALLERS: usize = 12;
/// Our limits stay a little below the provider's.
pub(crate) const SHARE: f64 = 0.97;
/// Our full buckets last for this part of the time that the provider's last, because of the variance of the way there.
pub(crate) const BURST: f64 = 0.5;

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) input: u64,
    pub(crate) bound: u64,
    pub(crate) output: u64,
}

impl Size {
    /// A chat that uses a tenth to a half of its bound.
    pub(crate) fn chat() -> Self {
        Self { input: 20, bound: 600, output: rand::random_range(60..300) }
    }
}

/// The end of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) process: usize,
    pub(crate) size: Size,
    pub(crate) asked: Instant,
    /// When it had its response, or gave up.
    pub(crate) ended: Instant,
    pub(crate) may_wait: Duration,
    /// The time that it waited; `None` if it was not sent.
    pub(crate) waited: Option<Duration>,
    pub(crate) status: u16,
}

/// Processes beside one provider.
pub(crate) struct Fleet {
    pub(crate) provider: Provider,
    pub(crate) clients: Vec<ClientWithMiddleware>,
    pub(crate) outcomes: Arc<Mutex<Vec<Outcome>>>,
}

impl Fleet {
    pub(crate) async fn new(rules: Rules, admission: Admission) -> Self {
        let table = driven::Fleet::new(Duration::from_millis(5));
        let provider = Provider::new(rules);
        let limit = |name, rate: f64| {
            let rate = (rate * SHARE * 60.0) as u64;
            Limit::per_minute(name, rate)
                .unwrap()
                .with_burst((rate as f64 * BURST * rules.burst / 60.0) as u64)
                .unwrap()
        };
        let limits = Limits::new([limit("rpm", rules.rates[0]), limit("tpm", rules.rates[1])]).unwrap();
        let mut clients = Vec::new();
        for _ in 0..PROCESSES {
            let (_, limiter) = table.process(&limits, |limiter| limiter.deadline(Duration::from_millis(250))).await;
            let limit = OutgoingLimit::new(&limiter).llm(Accounting::new(Tariff::openai()).admission(admission));
            clients.push(ClientBuilder::new(reqwest::Client::new()).with(limit).with(provider.clone()).build());
        }
        Self { provider, clients, outcomes: Arc::default() }
    }

    /// Makes one call of a process, and notes its end.
    pub(crate) async fn call(&self, process: usize, size: Size, may_wait: Duration) {
        let Size { input, bound, output } = size;
        // As many tokens of text as the provider counts.
        let text = "word ".repeat(usize::try_from(input).unwrap() - 6);
        let body = json!({ "model": "m", "prompt": text, "input": input, "max_tokens": bound, "output": output });
        let request = self.clients[process].post("http://provider.test/v1/messages").json(&body);
        let asked = Instant::now();
        let response = request.with_extension(MaxWait(may_wait)).send().await;
        let (waited, status) = match response {
            Ok(response) => {
                let waited = response.extensions().get::<zae_reqwest::Admission>().unwrap().waited();
                let status = response.status().as_u16();
                response.bytes().await.unwrap();
                (Some(waited), status)
            }
            Err(error) => match CallError::find(&error) {
                Some(CallError::NotYet(_)) => (None, 0),
                other => panic!("{other:?} {error:?}"),
            },
        };
        let ended = Instant::now();
        self.outcomes.lock().unwrap().push(Outcome { process, size, asked, ended, may_wait, waited, status });
    }

    /// Makes every caller of the processes call again and again for `time`.
    pub(crate) async fn run(self: &Arc<Self>, time: Duration, size: impl Fn() -> Size + Clone + Send + 'static) {
        let end = Instant::now() + time;
        let mut callers = Vec::new();
        for process in 0..PROCESSES {
            for _ in 0..CALLERS {
                let (fleet, size) = (Arc::clone(self), size.clone());
                callers.push(tokio::spawn(async move {
                    while Instant::now() < end {
                        fleet.call(process, size(), Duration::from_secs(30)).await;
                    }
                }));
            }
        }
        sleep(time).await;
        callers.iter().for_each(tokio::task::JoinHandle::abort);
    }

    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.lock().unwrap().clone()
    }
}

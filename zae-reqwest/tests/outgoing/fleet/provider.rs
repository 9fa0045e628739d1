//! A provider in driven time: buckets of its own, and the ways in which providers count, refuse and report.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue, StatusCode};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{Middleware, Next};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use zae_testkit::START;

/// The way in which a provider counts a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Its input when it comes, its output at the end.
    Usage,
    /// Its bound when it comes.
    Bound,
    /// Its bound when it comes, and gives back at the end what was not used.
    Held,
}

/// The time in a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refuses {
    WithTime,
    Without,
}

/// The windows in its responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reports {
    Nothing,
    /// As Anthropic does, by a clock that is this many seconds ahead of the proxy's `date`.
    Resets(i64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) counts: Counts,
    pub(crate) refuses: Refuses,
    pub(crate) reports: Reports,
    /// Requests and tokens per second.
    pub(crate) rates: [f64; 2],
    /// The seconds for which a full bucket lasts.
    pub(crate) burst: f64,
}

#[derive(Debug)]
struct State {
    levels: [f64; 2],
    at: Instant,
    served: u64,
    refused: u64,
    /// By the rule, in tokens.
    counted: f64,
    /// The end of the last call that was refused.
    refused_at: Option<Instant>,
}

#[derive(Clone, Debug)]
pub(crate) struct Provider {
    rules: Rules,
    started: Instant,
    state: Arc<Mutex<State>>,
}

/// The provider's counts so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    pub(crate) tokens: f64,
}

impl Provider {
    pub(crate) fn new(rules: Rules) -> Self {
        let levels = rules.rates.map(|rate| rate * rules.burst);
        let state = State { levels, at: Instant::now(), served: 0, refused: 0, counted: 0.0, refused_at: None };
        Self { rules, started: Instant::now(), state: Arc::new(Mutex::new(state)) }
    }

    pub(crate) fn counted(&self) -> Counted {
        let state = self.state.lock().unwrap();
        Counted { served: state.served, refused: state.refused, tokens: state.counted }
    }

    /// Lets somebody else use the provider's limits: they are empty, and in debt for `time`.
    pub(crate) fn exhaust(&self, time: Duration) {
        let mut state = self.state.lock().unwrap();
        state.levels = self.rules.rates.map(|rate| -rate * time.as_secs_f64());
        state.at = Instant::now();
    }

    fn take(&self, tokens: f64) -> Result<[f64; 2], Duration> {
        let mut state = self.state.lock().unwrap();
        let (now, rates) = (Instant::now(), self.rules.rates);
        let passed = (now - state.at).as_secs_f64();
        state.at = now;
        for (level, rate) in state.levels.iter_mut().zip(rates) {
            *level = (*level + rate * passed).min(rate * self.rules.burst);
        }
        let costs = [1.0, tokens];
        let wait = (0..2).map(|i| (costs[i] - state.levels[i]) / rates[i]).fold(0.0, f64::max);
        if wait > 0.0 {
            state.refused += 1;
            state.refused_at = Some(now);
            return Err(Duration::from_secs_f64(wait));
        }
        state.levels.iter_mut().zip(costs).for_each(|(level, cost)| *level -= cost);
        state.served += 1;
        state.counted += tokens;
        Ok(state.levels)
    }

    fn settle(&self, tokens: f64) {
        let mut state = self.state.lock().unwrap();
        state.levels[1] -= tokens;
        state.counted += tokens;
    }

    /// The windows as Anthropic reports them, and the date of the proxy before it.
    fn report(&self, levels: [f64; 2], headers: &mut HeaderMap) {
        let Reports::Resets(ahead) = self.rules.reports else { return };
        let now = START / 1_000 + i64::try_from(self.started.elapsed().as_secs()).unwrap();
        let text = |value: String| HeaderValue::try_from(value).unwrap();
        let at = |seconds: i64| jiff::Timestamp::from_second(seconds).unwrap();
        headers.insert(
            "date",
            text(jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&at(now)).unwrap()),
        );
        for (name, index) in [("requests", 0), ("tokens", 1)] {
            let (level, full) = (levels[index].max(0.0), self.rules.rates[index] * self.rules.burst);
            let reset = now + ahead + ((full - level) / self.rules.rates[index]).ceil() as i64;
            for (part, value) in [
                ("limit", (full as u64).to_string()),
                ("remaining", (level as u64).to_string()),
                ("reset", at(reset).to_string()),
            ] {
                let name = http::HeaderName::try_from(format!("anthropic-ratelimit-{name}-{part}")).unwrap();
                headers.insert(name, text(value));
            }
        }
    }

    async fn answer(&self, body: &Value) -> http::Response<Body> {
        let number = |name: &str| body[name].as_f64().unwrap();
        let (input, bound, output) = (number("input"), number("max_tokens"), number("output"));
        let at_first = match self.rules.counts {
            Counts::Usage => input,
            Counts::Bound | Counts::Held => input + bound,
        };
        // On the way.
        sleep(Duration::from_millis(rand::random_range(5..40))).await;
        let levels = match self.take(at_first) {
            Ok(levels) => levels,
            Err(wait) => return self.refusal(wait),
        };
        sleep(Duration::from_millis(rand::random_range(100..500))).await;
        match self.rules.counts {
            Counts::Usage => self.settle(output),
            Counts::Held => self.settle(output - bound),
            Counts::Bound => {}
        }
        let usage = json!({ "input_tokens": input, "output_tokens": output });
        let answer = json!({ "type": "message", "role": "assistant", "content": [], "usage": usage });
        let mut response = http::Response::new(Body::from(answer.to_string()));
        self.report(levels, response.headers_mut());
        response
    }

    fn refusal(&self, wait: Duration) -> http::Response<Body> {
        let mut response = http::Response::new(Body::from(r#"{"error":{"type":"rate_limit_error"}}"#));
        *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        if self.rules.refuses == Refuses::WithTime {
            let seconds = wait.as_secs_f64().ceil().max(1.0);
            response.headers_mut().insert("retry-after", HeaderValue::from(seconds as u64));
        }
        self.report([0.0; 2], response.headers_mut());
        response
    }
}

/// Answers in place of the network.
#[async_trait::async_trait]
impl Middleware for Provider {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> reqwest_middleware::Result<Response> {
        let body = serde_json::from_slice(request.body().unwrap().as_bytes().unwrap()).unwrap();
        let mut response = self.answer(&body).await;
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        Ok(response.into())
    }
}

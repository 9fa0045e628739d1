//! Every recorded response through the layer, in every variation: the charge is its usage, kind by kind.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};
use zae_testkit::{
    Script, limiter,
    recorded::{KINDS, Recorded, Truth},
};
use zae_tower::{
    Lease, Limit, RateLimiter, ZaeLimit,
    llm::{Accounting, Tariff, Weights, estimate},
    settle::{End, SettleRule, Verdict},
};

/// Its estimate is its text and its maximum output.
const REQUEST: &str = r#"{"max_tokens":20,"prompt":"0123456789012345678901234567890123456789"}"#;
const ESTIMATE: [i64; 5] = [10, 0, 0, 20, 0];

type Charges = Arc<Mutex<Vec<BTreeMap<String, i64>>>>;

/// Records the final charge of a call.
#[derive(Debug)]
struct Notes(Charges);

impl SettleRule for Notes {
    fn on_end(&self, _: End, planned: Verdict, lease: &Lease) -> Verdict {
        let consumed = lease.consumed().into_iter().map(|(name, tokens)| (name.as_str().to_owned(), tokens));
        self.0.lock().unwrap().push(consumed.collect());
        planned
    }
}

fn tariff() -> Tariff {
    let none = Weights::none();
    let tariff = Tariff::builder().request("rpm").charge("input", none.uncached(1.0));
    let tariff = tariff.charge("cache_read", none.cache_read(1.0)).charge("cache_write", none.cache_write(1.0));
    let answer = none.output(1.0).reasoning(0.0);
    tariff.charge("answer", answer).charge("reasoning", none.reasoning(1.0)).build().unwrap()
}

fn accounting() -> Accounting {
    Accounting::new(tariff()).estimator(estimate::input_and_max_output(1_000))
}

async fn boundless() -> RateLimiter {
    let limits = ["rpm"].into_iter().chain(KINDS);
    limiter(limits.map(|name| Limit::per_minute(name, 1_000_000_000).unwrap())).await
}

/// The way in which a body is split into frames and ended.
#[derive(Clone, Copy, Debug)]
enum Frames {
    ByEvent,
    ByByte,
    /// In one frame, followed by trailers.
    WithTrailers,
    /// This many events, after which the connection breaks.
    Broken(usize),
}

fn body(recorded: &Recorded, frames: Frames) -> Script {
    let data = |bytes: &[u8]| Ok(Frame::data(Bytes::copy_from_slice(bytes)));
    let frames: Vec<Result<Frame<Bytes>, io::Error>> = match frames {
        Frames::ByEvent => recorded.events().map(data).collect(),
        Frames::ByByte => recorded.body.chunks(1).map(data).collect(),
        Frames::WithTrailers => vec![data(&recorded.body), Ok(Frame::trailers(HeaderMap::new()))],
        Frames::Broken(events) => {
            let broken = Err(io::Error::other("connection reset"));
            recorded.events().take(events).map(data).chain([broken]).collect()
        }
    };
    Script { frames: frames.into(), announces_end: false }
}

/// Makes a call, and returns its charge by kind.
async fn charged(limiter: &RateLimiter, recorded: &Recorded, frames: Frames) -> [i64; 5] {
    let charges = Charges::default();
    let layer = ZaeLimit::new(limiter).llm(accounting()).settle(Notes(Arc::clone(&charges)));
    let layer = layer.deadline(Duration::from_secs(30));
    let service = service_fn(|_: Request<Full<Bytes>>| async {
        let mut response = Response::new(body(recorded, frames));
        *response.status_mut() = recorded.status;
        *response.headers_mut() = recorded.headers.clone();
        Ok::<_, Infallible>(response)
    });
    let response = layer.layer(service).oneshot(Request::new(Full::from(REQUEST))).await.unwrap();
    let mut body = response.into_body();
    while let Some(Ok(frame)) = body.frame().await {
        if frame.is_trailers() {
            // As with servers that know that no frame follows.
            break;
        }
    }
    drop(body);
    let charge = charges.lock().unwrap().pop().unwrap();
    KINDS.map(|kind| charge.get(kind).copied().unwrap_or(0))
}

/// Makes many concurrent calls, which share their calls to the store.
async fn all<F: Future<Output = ()>>(calls: impl IntoIterator<Item = F>) -> usize {
    stream::iter(calls).buffer_unordered(256).count().await
}

fn larger(usage: [i64; 5]) -> [i64; 5] {
    std::array::from_fn(|kind| usage[kind].max(ESTIMATE[kind]))
}

#[tokio::test]
async fn every_recorded_response_is_charged_right_however_it_travels() {
    let limiter = boundless().await;
    let all_of_them: Vec<Recorded> = Recorded::all().iter().flat_map(Recorded::variations).collect();
    let ways = [Frames::ByEvent, Frames::ByByte, Frames::WithTrailers];
    let calls = all(all_of_them.iter().flat_map(|recorded| ways.map(|frames| (recorded, frames))).map(
        async |(recorded, frames)| {
            let expected = match recorded.truth() {
                Truth::Final(usage) => usage,
                Truth::SoFar(usage) => larger(usage),
                Truth::Unknown => ESTIMATE,
            };
            assert_eq!(charged(&limiter, recorded, frames).await, expected, "{} {frames:?}", recorded.name);
        },
    ))
    .await;
    assert!(calls >= 7_000, "{calls}");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_charged_no_less_than_the_estimate_or_its_truth() {
    let limiter = boundless().await;
    let recorded = Recorded::all();
    let cuts = recorded.iter().flat_map(|recorded| (0..=recorded.events().count()).map(move |cut| (recorded, cut)));
    all(cuts.map(async |(recorded, events)| {
        let truth = match recorded.truth() {
            Truth::Final(usage) | Truth::SoFar(usage) => usage,
            Truth::Unknown => ESTIMATE,
        };
        let charged = charged(&limiter, recorded, Frames::Broken(events)).await;
        let least: [i64; 5] = std::array::from_fn(|kind| truth[kind].min(ESTIMATE[kind]));
        let all = charged.iter().sum::<i64>() >= truth.iter().sum::<i64>().min(ESTIMATE.iter().sum());
        let each = charged.iter().zip(least).all(|(charged, least)| *charged >= least);
        assert!(all && each, "{} cut behind {events}: {charged:?}", recorded.name);
    }))
    .await;
}

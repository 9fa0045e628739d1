//! Tests of the layer's final charge, for each way a response can end.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tower::{Layer, ServiceExt, service_fn};
use zae_tower::{
    Limit, RateLimiter, ZaeLimit,
    llm::{Accounting, LlmRequest, Tariff, estimate},
    settle,
};

use zae_testkit::{Log, Script, left, limiter, recorded::Recorded, rpm, tpm};

const CAPACITY: u64 = 100_000;
/// 40 characters of text and at most 2 000 tokens of output.
const REQUEST: &str = r#"{"max_tokens":2000,"prompt":"ten words, of four letters each, a bit long"}"#;
const ESTIMATE: i64 = 11 + 2_000;

/// The part of the response that the client reads.
#[derive(Clone, Copy, Debug)]
enum Client {
    All,
    Frames(usize),
    Nothing,
}

/// The end of the body that the provider sends.
#[derive(Clone, Copy, Debug)]
enum Provider {
    SendsAll,
    /// After this many events.
    DiesAfter(usize),
}

/// The recorded response as a body of one frame per event, as providers stream it.
fn respond(recorded: &Recorded, provider: Provider) -> Response<Script> {
    let mut frames: Vec<_> = recorded.events().map(|event| Ok(Frame::data(Bytes::copy_from_slice(event)))).collect();
    if let Provider::DiesAfter(events) = provider {
        frames.truncate(events);
        frames.push(Err(io::Error::other("connection reset")));
    }
    let mut response = Response::new(Script { frames: frames.into(), announces_end: false });
    *response.status_mut() = recorded.status;
    *response.headers_mut() = recorded.headers.clone();
    response
}

async fn call(layer: &ZaeLimitLlm, recorded: &Recorded, provider: Provider, client: Client) {
    let service = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(respond(recorded, provider)) });
    let response = layer.layer(service).oneshot(Request::new(Full::from(REQUEST))).await.unwrap();
    assert_eq!(response.status(), recorded.status);
    let mut body = response.into_body();
    match client {
        Client::All => while let Some(Ok(_)) = body.frame().await {},
        Client::Frames(count) => {
            for _ in 0..count {
                body.frame().await.unwrap().unwrap();
            }
        }
        Client::Nothing => {}
    }
}

/// Estimates that can be told in advance, however many calls are settled.
fn plain(tariff: Tariff) -> Accounting {
    Accounting::new(tariff).estimator(estimate::input_and_max_output(1_000))
}

type ZaeLimitLlm =
    ZaeLimit<zae_tower::entity::DefaultEntity, zae_tower::resource::DefaultResource, zae_tower::llm::LlmCost>;

fn layer(limiter: &RateLimiter, tariff: Tariff) -> ZaeLimitLlm {
    ZaeLimit::new(limiter).llm(plain(tariff))
}

/// Returns the tokens that one call costs of `tpm`.
async fn charged(recorded: &Recorded, provider: Provider, client: Client) -> i64 {
    let limiter = limiter([rpm(100), tpm(CAPACITY)]).await;
    call(&layer(&limiter, Tariff::openai()), recorded, provider, client).await;
    assert_eq!(left(&limiter, "anonymous", "rpm").await, 99);
    i64::try_from(CAPACITY).unwrap() - left(&limiter, "anonymous", "tpm").await
}

#[tokio::test]
async fn estimates_follow_settled_calls_by_default() {
    let limiter = limiter([rpm(100), tpm(CAPACITY)]).await;
    let accounting = Accounting::new(Tariff::openai());
    let layer = ZaeLimit::new(&limiter).llm(accounting.clone());
    let estimate = |key| accounting.estimate(&LlmRequest::parse(REQUEST.as_bytes()).of_key(key)).output;
    assert_eq!(estimate("anonymous"), 2_000, "the request's bound");
    for _ in 0..10 {
        call(&layer, &Recorded::load("openai_chat.json"), Provider::SendsAll, Client::All).await;
    }
    for key in ["anonymous", "another"] {
        assert!((200..=300).contains(&estimate(key)), "{key}: {} for answers of 246", estimate(key));
    }
}

#[tokio::test]
async fn a_response_that_is_read_to_its_end_costs_what_it_says() {
    for (name, tokens) in [
        ("openai_chat.json", 1_363),
        ("openai_chat.stream", 1_363),
        ("openai_responses.stream", 780),
        ("openai_embeddings.json", 8),
        ("anthropic_messages.stream", 1_140),
        ("anthropic_messages.stream_restated", 12_192),
        ("gemini.stream", 279),
        ("bedrock_converse.json", 1_558),
        ("bedrock_converse.stream", 1_558),
    ] {
        assert_eq!(charged(&Recorded::load(name), Provider::SendsAll, Client::All).await, tokens, "{name}");
    }
    // Bytes pass through unchanged.
    let converse = Recorded::load("bedrock_converse.stream");
    let limiter = limiter([rpm(100), tpm(CAPACITY)]).await;
    let service = service_fn(|_: Request<Full<Bytes>>| async {
        let mut response = Response::new(Full::from(converse.body.clone()));
        *response.headers_mut() = converse.headers.clone();
        Ok::<_, Infallible>(response)
    });
    let response =
        layer(&limiter, Tariff::openai()).layer(service).oneshot(Request::new(Full::from(REQUEST))).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), converse.body, "untouched");
    assert_eq!(left(&limiter, "anonymous", "tpm").await, 100_000 - 1_558);
}

#[tokio::test]
async fn a_client_that_hangs_up_pays_no_less_than_the_estimate() {
    let chat = Recorded::load("openai_chat.stream");
    let claude = Recorded::load("anthropic_messages.stream");
    let events = chat.events().count();
    for read in 0..events - 1 {
        // Even if the usage has passed: it is less than the estimate, and only the end makes it final.
        assert_eq!(charged(&chat, Provider::SendsAll, Client::Frames(read)).await, ESTIMATE, "after {read}");
    }
    assert_eq!(charged(&chat, Provider::SendsAll, Client::Frames(events)).await, 1_363, "[DONE] has passed");
    for read in [1, 5] {
        assert_eq!(charged(&claude, Provider::SendsAll, Client::Frames(read)).await, ESTIMATE);
    }
    // More had been used at that point, and is charged.
    let mut dear = claude.clone();
    let text = String::from_utf8(dear.body).unwrap().replace("\"input_tokens\": 25,", "\"input_tokens\": 60000,");
    dear.body = text.into_bytes();
    assert_eq!(charged(&dear, Provider::SendsAll, Client::Frames(2)).await, 61_001);
}

#[tokio::test]
async fn a_provider_that_dies_mid_stream_leaves_the_estimate() {
    for name in ["openai_chat.stream", "anthropic_messages.stream", "openai_responses.stream"] {
        let recorded = Recorded::load(name);
        for events in [0, 1, 4] {
            let charged = charged(&recorded, Provider::DiesAfter(events), Client::All).await;
            assert_eq!(charged, ESTIMATE, "{name} after {events}");
        }
    }
    // It reports the error, and closes regularly.
    for name in [
        "openai_chat.stream_error",
        "openai_responses.stream_error",
        "openai_responses.stream_failed",
        "anthropic_messages.stream_error",
        "gemini.stream_error",
        "bedrock_converse.stream_error",
        "bedrock_invoke.stream_error",
    ] {
        let charged = charged(&Recorded::load(name), Provider::SendsAll, Client::All).await;
        assert_eq!(charged, ESTIMATE, "{name}");
    }
}

#[tokio::test]
async fn a_body_that_nobody_reads_costs_the_estimate() {
    let recorded = Recorded::load("openai_chat.json");
    assert_eq!(charged(&recorded, Provider::SendsAll, Client::Nothing).await, ESTIMATE);
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_costs_the_estimate_and_the_log_says_why() {
    let (log, _guard) = Log::start();
    let mut recorded = Recorded::load("openai_chat.json");
    recorded.headers.insert("content-encoding", http::HeaderValue::from_static("compress"));
    assert_eq!(charged(&recorded, Provider::SendsAll, Client::All).await, ESTIMATE);
    assert!(log.text().contains("WARN"), "{}", log.text());
    assert!(log.text().contains("the response's compression is not one that can be read"), "{}", log.text());
}

#[tokio::test]
async fn a_failed_call_costs_the_estimate_unless_the_rule_refunds_it() {
    let recorded = Recorded::load("anthropic_messages.error");
    assert_eq!(charged(&recorded, Provider::SendsAll, Client::All).await, ESTIMATE);
    let limiter = limiter([rpm(100), tpm(CAPACITY)]).await;
    let refunding =
        layer(&limiter, Tariff::openai()).settle(settle::refund_on(|status: StatusCode| status.is_server_error()));
    call(&refunding, &recorded, Provider::SendsAll, Client::All).await;
    assert_eq!(left(&limiter, "anonymous", "tpm").await, 100_000);
}

#[tokio::test]
async fn bad_usage_never_refunds() {
    for (body, expected) in [
        (r#"{"usage":{"prompt_tokens":-1000,"completion_tokens":-1000}}"#, ESTIMATE),
        (r#"{"usage":{"prompt_tokens":0.5,"completion_tokens":1}}"#, ESTIMATE),
        (r#"{"usage":{"prompt_tokens":1,"completion_tokens":1}"#, ESTIMATE),
        (r#"{"usage":{"prompt_tokens":9000000000000000,"completion_tokens":1}}"#, ESTIMATE),
        (r#"{"usage":{"prompt_tokens":0,"completion_tokens":0}}"#, ESTIMATE),
        (r#"{"usage":{"prompt_tokens":0,"completion_tokens":9}}"#, ESTIMATE),
    ] {
        let mut recorded = Recorded::load("openai_chat.json");
        recorded.body = body.into();
        assert_eq!(charged(&recorded, Provider::SendsAll, Client::All).await, expected, "{body}");
    }
}

#[tokio::test]
async fn each_limit_is_charged_for_its_own_tokens() {
    let minute = |name| Limit::per_minute(name, CAPACITY).unwrap();
    let limiter = limiter([rpm(100), minute("itpm"), minute("otpm")]).await;
    let layer = layer(&limiter, Tariff::anthropic());
    call(&layer, &Recorded::load("anthropic_messages.json"), Provider::SendsAll, Client::All).await;
    limiter.shutdown().await;
    let left = limiter.available("anonymous", "default").await.unwrap();
    assert_eq!((left["rpm"], left["itpm"], left["otpm"]), (99, 100_000 - 95 - 512, 100_000 - 503));
}

#[tokio::test]
async fn more_than_the_estimate_goes_into_debt() {
    let limiter = limiter([rpm(100), tpm(3_000)]).await;
    let layer = layer(&limiter, Tariff::openai());
    let recorded = Recorded::load("anthropic_messages.stream_restated");
    call(&layer, &recorded, Provider::SendsAll, Client::All).await;
    assert_eq!(left(&limiter, "anonymous", "tpm").await, 3_000 - 12_192);
}

/// Records counters.
#[derive(Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u64>>>);

#[derive(Debug)]
struct One(String, Arc<Mutex<BTreeMap<String, u64>>>);

impl CounterFn for One {
    fn increment(&self, value: u64) {
        *self.1.lock().unwrap().entry(self.0.clone()).or_default() += value;
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Counts {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Counter::from_arc(Arc::new(One(format!("{} {}", key.name(), labels.join(" ")), Arc::clone(&self.0))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn missing_usage_is_counted_each_time_and_logged_once() {
    let (log, _guard) = Log::start();
    let counts = Counts::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&counts, || {
        runtime.block_on(async {
            let limiter = limiter([rpm(100), tpm(CAPACITY)]).await;
            let layer = ZaeLimit::new(&limiter).llm(plain(Tariff::openai()));
            for name in ["openai_chat.stream_without_usage"; 3].into_iter().chain(["openai_chat.stream"]) {
                call(&layer, &Recorded::load(name), Provider::SendsAll, Client::All).await;
            }
            assert_eq!(left(&limiter, "anonymous", "tpm").await, 100_000 - 3 * ESTIMATE - 1_363);
        });
    });
    let counts = counts.0.lock().unwrap();
    assert_eq!(counts["zae_llm_readings_total reading=unseen reason=absent"], 3, "{counts:?}");
    assert_eq!(counts["zae_llm_readings_total reading=final reason=none"], 1, "{counts:?}");
    assert_eq!(counts["zae_llm_tokens_total kind=cache_read"], 1_024, "{counts:?}");
    assert_eq!(counts["zae_llm_tokens_total kind=output"], 246, "{counts:?}");
    let labels = "gen_ai.provider.name=openai gen_ai.operation.name=chat gen_ai.token.modality=unknown";
    for (kind, tokens) in [("input", 1_117), ("output", 246), ("cache_read.input", 1_024)] {
        assert_eq!(counts[&format!("gen_ai.client.inference.usage.{kind}_tokens {labels}")], tokens, "{counts:?}");
    }
    let warned = log.text().lines().filter(|line| line.contains("WARN") && line.contains("told no usage")).count();
    assert_eq!(warned, 1, "{}", log.text());
}

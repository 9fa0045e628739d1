//! A provider on loopback that implements OpenAI's and Anthropic's formats, and enforces limits of its own.

use std::{
    convert::Infallible,
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// Responses that replace the provider's usual ones.
pub(crate) type Script = Arc<dyn Fn(u64) -> Option<Response> + Send + Sync>;

/// A running provider. Stops when it is dropped.
pub(crate) struct Provider {
    pub(crate) url: String,
    state: Arc<Shared>,
    server: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Shared {
    /// Requests and tokens: capacity and rate per second.
    limits: [(f64, f64); 2],
    buckets: Mutex<([f64; 2], Instant)>,
    served: AtomicU64,
    refused: AtomicU64,
    asked: AtomicU64,
    script: Option<Script>,
    last: Mutex<(HeaderMap, Bytes)>,
}

impl Provider {
    /// Creates one with this many requests a second, and half of that at once; tokens are unlimited.
    pub(crate) async fn limited(requests_per_second: f64) -> Self {
        Self::serve([(requests_per_second / 2.0, requests_per_second), (1e9, 1e9)], None).await
    }

    /// Creates one with this many tokens a second, and half of that at once; requests are unlimited.
    pub(crate) async fn limited_in_tokens(tokens_per_second: f64) -> Self {
        Self::serve([(1e9, 1e9), (tokens_per_second / 2.0, tokens_per_second)], None).await
    }

    /// Creates one without limits.
    pub(crate) async fn boundless() -> Self {
        Self::serve([(1e9, 1e9); 2], None).await
    }

    /// Creates one without limits, with `script` for some of its requests, which are numbered from 0.
    pub(crate) async fn scripted(script: impl Fn(u64) -> Option<Response> + Send + Sync + 'static) -> Self {
        Self::serve([(1e9, 1e9); 2], Some(Arc::new(script))).await
    }

    async fn serve(limits: [(f64, f64); 2], script: Option<Script>) -> Self {
        let buckets = Mutex::new((limits.map(|(capacity, _)| capacity), Instant::now()));
        let state = Arc::new(Shared {
            limits,
            buckets,
            served: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            script,
            last: Mutex::default(),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(openai))
            .route("/v1/messages", post(anthropic))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, server }
    }

    pub(crate) fn chat_url(&self) -> String {
        format!("{}/v1/chat/completions", self.url)
    }

    pub(crate) fn messages_url(&self) -> String {
        format!("{}/v1/messages", self.url)
    }

    /// Returns the number of calls that were served, and that were refused with 429.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.state.served.load(Ordering::SeqCst), self.state.refused.load(Ordering::SeqCst))
    }

    /// Returns the number of requests that arrived, whatever their result.
    pub(crate) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// Returns head and body of the last request.
    pub(crate) fn last(&self) -> (HeaderMap, Bytes) {
        self.state.last.lock().unwrap().clone()
    }
}

impl Shared {
    /// Takes a request and its tokens, or returns the time until they are available.
    fn take(&self, tokens: f64) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap();
        let (levels, at) = &mut *buckets;
        let now = Instant::now();
        let passed = (now - *at).as_secs_f64();
        *at = now;
        for (level, (capacity, rate)) in levels.iter_mut().zip(self.limits) {
            *level = (*level + rate * passed).min(capacity);
        }
        let costs = [1.0, tokens];
        let wait = (0..2).map(|i| (costs[i] - levels[i]) / self.limits[i].1).fold(0.0, f64::max);
        if wait > 0.0 {
            return Err(Duration::from_secs_f64(wait));
        }
        levels.iter_mut().zip(costs).for_each(|(level, cost)| *level -= cost);
        Ok(())
    }
}

/// A call in either format.
struct Asked {
    input: u64,
    /// Number of output tokens that it will use.
    output: u64,
    stream: bool,
    usage: bool,
}

fn read(body: &Value) -> Asked {
    let text: usize = body["messages"].as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().len()).sum();
    let most = body["max_completion_tokens"].as_u64().or(body["max_tokens"].as_u64()).unwrap_or(64);
    Asked {
        input: text.div_ceil(4) as u64 + 3,
        output: (most / 2).max(1),
        stream: body["stream"] == true,
        usage: body["stream_options"]["include_usage"] == true,
    }
}

async fn admit(state: &Shared, headers: HeaderMap, body: Bytes) -> Result<Asked, Response> {
    let number = state.asked.fetch_add(1, Ordering::SeqCst);
    *state.last.lock().unwrap() = (headers, body.clone());
    if let Some(response) = state.script.as_ref().and_then(|script| script(number)) {
        return Err(response);
    }
    let asked = read(&serde_json::from_slice(&body).unwrap());
    if let Err(wait) = state.take((asked.input + asked.output) as f64) {
        state.refused.fetch_add(1, Ordering::SeqCst);
        let millis = wait.as_millis() + 1;
        let body = json!({ "error": { "message": "slow down", "type": "requests", "code": "rate_limit_exceeded" } });
        return Err((
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after-ms", millis.to_string()), ("retry-after", millis.div_ceil(1000).to_string())],
            axum_json(&body),
        )
            .into_response());
    }
    state.served.fetch_add(1, Ordering::SeqCst);
    Ok(asked)
}

pub(crate) fn axum_json(body: &Value) -> Response {
    ([("content-type", "application/json")], body.to_string()).into_response()
}

async fn openai(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let zipped = headers.get("accept-encoding").is_some_and(|value| value.to_str().unwrap().contains("gzip"));
    let asked = match admit(&state, headers, body).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Asked { input, output, stream, usage } = asked;
    let usage_json = json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output });
    let head = |object: &str| json!({ "id": "chatcmpl-1", "object": object, "created": 1, "model": "gpt-5" });
    if !stream {
        let mut body = head("chat.completion");
        let message = json!({ "role": "assistant", "content": "word ".repeat(output as usize), "refusal": null });
        body["choices"] = json!([{ "index": 0, "finish_reason": "stop", "logprobs": null, "message": message }]);
        body["usage"] = usage_json;
        return if zipped { gzip(&body) } else { axum_json(&body) };
    }
    let mut events: Vec<String> = Vec::new();
    for _ in 0..output {
        let mut chunk = head("chat.completion.chunk");
        let delta = json!({ "role": "assistant", "content": "word " });
        chunk["choices"] = json!([{ "index": 0, "finish_reason": null, "logprobs": null, "delta": delta }]);
        events.push(format!("data: {chunk}\n\n"));
    }
    if usage {
        let mut chunk = head("chat.completion.chunk");
        chunk["choices"] = json!([]);
        chunk["usage"] = usage_json;
        events.push(format!("data: {chunk}\n\n"));
    }
    events.push("data: [DONE]\n\n".to_owned());
    event_stream(events)
}

async fn anthropic(State(state): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = match admit(&state, headers, body).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Asked { input, output, stream, .. } = asked;
    let message = |usage: Value| {
        json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [],
            "stop_reason": null, "stop_sequence": null, "usage": usage })
    };
    if !stream {
        return axum_json(&message(json!({ "input_tokens": input, "output_tokens": output })));
    }
    let event = |kind: &str, data: Value| format!("event: {kind}\ndata: {data}\n\n");
    let start = message(json!({ "input_tokens": input, "output_tokens": 1 }));
    let mut events = vec![event("message_start", json!({ "type": "message_start", "message": start }))];
    for _ in 0..output {
        let delta = json!({ "type": "text_delta", "text": "word " });
        events.push(event("content_block_delta", json!({ "type": "content_block_delta", "index": 0, "delta": delta })));
    }
    let delta = json!({
        "type": "message_delta",
        "delta": { "stop_reason": "end_turn" },
        "usage": { "output_tokens": output }
    });
    events.push(event("message_delta", delta));
    events.push(event("message_stop", json!({ "type": "message_stop" })));
    event_stream(events)
}

/// Creates a stream of events, each as a chunk of its own.
pub(crate) fn event_stream(events: Vec<String>) -> Response {
    let chunks = futures_util::stream::iter(events).then(|event| async move {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Bytes::from(event))
    });
    ([("content-type", "text/event-stream")], Body::from_stream(chunks)).into_response()
}

/// Creates a stream of events, after which the connection breaks.
pub(crate) fn broken_stream(events: Vec<String>) -> Response {
    let chunks = futures_util::stream::iter(events.into_iter().map(|event| Ok(Bytes::from(event))));
    let broken = chunks.chain(futures_util::stream::once(async {
        // Lets the bytes sent so far arrive first.
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::other("the provider died"))
    }));
    ([("content-type", "text/event-stream")], Body::from_stream(broken)).into_response()
}

fn gzip(body: &Value) -> Response {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body.to_string().as_bytes()).unwrap();
    let bytes = encoder.finish().unwrap();
    ([("content-type", "application/json"), ("content-encoding", "gzip")], bytes).into_response()
}

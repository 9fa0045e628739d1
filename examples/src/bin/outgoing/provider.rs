//! A small provider of chat completions on loopback: 4 calls at once, 4 a second, and a 429 for the others.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

const AT_ONCE: f64 = 4.0;
const A_SECOND: f64 = 4.0;

/// A running provider. Stops when it is dropped.
pub(crate) struct Provider {
    base: String,
    counts: Arc<Mutex<Counts>>,
    server: JoinHandle<io::Result<()>>,
}

struct Counts {
    level: f64,
    at: Instant,
    served: u64,
    refused: u64,
    used: u64,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Provider {
    pub(crate) async fn start() -> io::Result<Self> {
        let counts = Counts { level: AT_ONCE, at: Instant::now(), served: 0, refused: 0, used: 0 };
        let counts = Arc::new(Mutex::new(counts));
        let router = Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::clone(&counts));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base = format!("http://{}/v1", listener.local_addr()?);
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { base, counts, server })
    }

    /// Returns the address that clients use as the API's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn chat_url(&self) -> String {
        format!("{}/chat/completions", self.base)
    }

    /// Returns the number of calls served and refused, and the tokens used by the served ones.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        (counts.served, counts.refused, counts.used)
    }
}

async fn chat(State(counts): State<Arc<Mutex<Counts>>>, Json(request): Json<Value>) -> Response {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    counts.level = (counts.level + counts.at.elapsed().as_secs_f64() * A_SECOND).min(AT_ONCE);
    counts.at = Instant::now();
    if counts.level < 1.0 {
        counts.refused += 1;
        let millis = ((1.0 - counts.level) / A_SECOND * 1000.0).ceil();
        let error = json!({ "error": { "message": "slow down", "type": "requests", "code": "rate_limit_exceeded" } });
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after-ms", millis.to_string())], Json(error)).into_response();
    }
    counts.level -= 1.0;
    counts.served += 1;
    // Finds "Say 3 words." anywhere in the messages.
    let text = request["messages"].to_string();
    let words = text.split_once("Say ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()).unwrap_or(1);
    let (input, output) = (text.len() as u64 / 4, words as u64);
    counts.used += input + output;
    Json(json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": request["model"],
        "choices": [{ "index": 0, "finish_reason": "stop", "logprobs": null,
            "message": { "role": "assistant", "content": "word ".repeat(words), "refusal": null } }],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output },
    }))
    .into_response()
}

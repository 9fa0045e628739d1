//! A model that makes up its answers, and reports its usage as OpenAI does.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::{Value, json};

const WORDS: [&str; 12] =
    ["The", " fox", " said", " that", " tokens", " are", " like", " rain", ":", " you", " wait", "."];
/// As many tokens as words.
const PROMPT_CHARACTERS_PER_TOKEN: usize = 4;
const DEFAULT_WORDS: u64 = 40;
const PER_WORD: Duration = Duration::from_millis(30);

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<Value>(&body) else { return bad_request("The body is no JSON.") };
    let Some(messages) = request["messages"].as_array() else { return bad_request("There are no messages.") };
    let characters: usize =
        messages.iter().filter_map(|message| message["content"].as_str()).map(|text| text.chars().count()).sum();
    let prompt = characters.div_ceil(PROMPT_CHARACTERS_PER_TOKEN);
    let bound = request["max_completion_tokens"].as_u64().or(request["max_tokens"].as_u64());
    let words = bound.unwrap_or(u64::MAX).min(DEFAULT_WORDS);
    let usage = json!({"prompt_tokens": prompt, "completion_tokens": words, "total_tokens": prompt as u64 + words});
    let answer: Vec<&'static str> = (0..words).zip(WORDS.into_iter().cycle()).map(|(_, word)| word).collect();

    if request["stream"] == true {
        let with_usage = request["stream_options"]["include_usage"] == true;
        return streamed(&request["model"], answer, with_usage.then_some(usage));
    }
    Json(json!({
        "object": "chat.completion",
        "model": request["model"],
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": answer.concat()},
            "finish_reason": if bound.is_some_and(|bound| bound <= words) { "length" } else { "stop" },
        }],
        "usage": usage,
    }))
    .into_response()
}

/// The answer word by word, its usage, and the end.
fn streamed(model: &Value, answer: Vec<&'static str>, usage: Option<Value>) -> Response {
    let chunk = |choices: Value| json!({"object": "chat.completion.chunk", "model": model, "choices": choices});
    let mut chunks: Vec<String> =
        answer.into_iter().map(|word| chunk(json!([{"index": 0, "delta": {"content": word}}])).to_string()).collect();
    chunks.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])).to_string());
    if let Some(usage) = usage {
        let mut last = chunk(json!([]));
        last["usage"] = usage;
        chunks.push(last.to_string());
    }
    chunks.push("[DONE]".to_owned());
    let events = stream::unfold(chunks.into_iter(), |mut chunks| async {
        let chunk = chunks.next()?;
        tokio::time::sleep(PER_WORD).await;
        Some((Ok::<_, Infallible>(format!("data: {chunk}\n\n")), chunks))
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

fn bad_request(message: &str) -> Response {
    let error = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

//! Random streams: whatever they contain, and wherever they are split, their usage is read.

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use crate::{
    ApiFormat, End, Usage,
    read::{Reading, UsageReader},
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,40}", Just("\"usage\":{\"prompt_tokens\":1}".to_owned()), Just("\\\"\n\r\n".to_owned())]
}

proptest! {
    #[test]
    fn openai_streams(
        texts in vec(text(), 0..12),
        (prompt, cached) in (0_u64..1_000_000).prop_flat_map(|prompt| (Just(prompt), 0..=prompt)),
        (completion, reasoning) in (0_u64..1_000_000).prop_flat_map(|output| (Just(output), 0..=output)),
        cuts in vec(any::<prop::sample::Index>(), 0..20),
        ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
    ) {
        let mut body = String::new();
        for text in &texts {
            let chunk = json!({"choices": [{"delta": {"content": text}, "finish_reason": null}], "usage": null});
            body.push_str(&format!("data: {chunk}{ending}{ending}"));
        }
        let usage = json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        });
        body.push_str(&format!("data: {}{ending}{ending}", json!({"choices": [], "usage": usage})));
        let with_usage = body.len();
        body.push_str(&format!("data: [DONE]{ending}{ending}"));

        let expected = Usage::new(prompt, completion).cache_read_within(cached).reasoning_within(reasoning);
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let chunks = || cuts.windows(2).map(|cut| &body.as_bytes()[cut[0]..cut[1]]);
        let reader = || UsageReader::new(ApiFormat::Auto, StatusCode::OK, &headers);

        let mut whole = reader();
        chunks().for_each(|chunk| whole.push(chunk));
        prop_assert_eq!(whole.finish(End::Dropped), Reading::Final(expected), "[DONE] was seen");

        let mut cut = reader();
        cut.push(&body.as_bytes()[..with_usage]);
        prop_assert_eq!(cut.finish(End::Dropped), Reading::SoFar(expected), "it was not");
    }
}

//! The server of llama.cpp: its own completions. Its compatible endpoints follow OpenAI's.
//!
//! Source: <https://github.com/ggml-org/llama.cpp/tree/master/tools/server>, of `/completion`.
//!
//! ```json
//! {"content": "", "stop": true, "tokens_predicted": 51, "tokens_evaluated": 24, "tokens_cached": 74}
//! ```
//!
//! All of its streams have timings in the last chunk but one, whether usage was asked for or not. They count what the
//! cache did not hold, and that beside it:
//!
//! ```json
//! {"choices": [], "timings": {"cache_n": 30, "prompt_n": 14, "predicted_n": 5, "predicted_ms": 61.3}}
//! ```

use super::table::{Counted, EndpointWord, Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::count("", "tokens_evaluated"), Place::count("", "tokens_predicted")],
            signs: &[&["tokens_evaluated"], &["tokens_predicted"]],
            fields: Fields { input: &["tokens_evaluated"], output: &["tokens_predicted"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "timings")],
            signs: &[&["prompt_n", "predicted_n"]],
            fields: Fields { input: &["prompt_n"], output: &["predicted_n"], cache_read: &["cache_n"], ..Fields::NONE },
            cached: Counted::Beside,
            ..UsageShape::PLAIN
        },
    ],
    request: RequestWords {
        members: &[Member::new("n_predict", Meaning::Bound)],
        settings: &["grammar", "samplers"],
        schemas: &[],
        media: &["multimodal_data"],
    },
    endpoints: &[
        EndpointWord::reads("/embedding"),
        EndpointWord::reads("/reranking"),
        EndpointWord::free("/apply-template"),
    ],
    ..Provider::NONE
};

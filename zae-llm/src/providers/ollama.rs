//! Ollama's own API: chat, generate, embed. Its compatible endpoints follow OpenAI's.
//!
//! Source: <https://docs.ollama.com/api>, <https://docs.ollama.com/api/usage>.
//!
//! One document per line, of which the last counts. A prompt in the cache may be omitted.
//!
//! ```json
//! {"model": "llama3.2", "done": true, "done_reason": "stop", "prompt_eval_count": 26, "eval_count": 298}
//! ```

use super::table::{EndpointWord, Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::count("", "prompt_eval_count"), Place::count("", "eval_count")],
        signs: &[&["prompt_eval_count"], &["eval_count"]],
        fields: Fields { input: &["prompt_eval_count"], output: &["eval_count"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    places: &[Place::error("", "error")],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::new("stream", Meaning::Stream),
            Member::new("messages", Meaning::Messages),
            Member::within("options", "num_predict", Meaning::Bound),
        ],
        settings: &["model", "keep_alive", "format", "context"],
        schemas: &["tools"],
        media: &["images"],
    },
    endpoints: &[
        EndpointWord::reads("/api/embed"),
        EndpointWord::reads("/api/embeddings"),
        EndpointWord::free("/api/show"),
        EndpointWord::free("/api/pull"),
    ],
    ..Provider::NONE
};

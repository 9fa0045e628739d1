//! LM Studio: its own chat. Its compatible endpoints follow OpenAI's and Anthropic's.
//!
//! Sources: <https://lmstudio.ai/docs/developer/rest/chat>, `/streaming-events`.
//!
//! A stream has the whole answer in its last event, `chat.end`. Reasoning is within the output:
//!
//! ```json
//! {"output": [], "stats": {"input_tokens": 329, "total_output_tokens": 268, "reasoning_output_tokens": 5}}
//! ```

use super::table::{EndpointWord, Fields, Means, Place, Provider, UsageShape, Word};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "stats"), Place::usage("result", "stats")],
        signs: &[&["total_output_tokens"]],
        fields: Fields {
            input: &["input_tokens"],
            output: &["total_output_tokens"],
            reasoning: &["reasoning_output_tokens"],
            ..Fields::NONE
        },
        ..UsageShape::PLAIN
    }],
    words: &[Word::kind("chat.end", Means::LastUsage)],
    endpoints: &[
        EndpointWord::free("/models/load"),
        EndpointWord::free("/models/unload"),
        EndpointWord::free("/models/download"),
    ],
    ..Provider::NONE
};

//! xAI, where it differs from OpenAI: reasoning is beside the output, as the total shows, and sources of searches are
//! billed.
//!
//! Sources: <https://docs.x.ai/docs/api-reference#chat-completions>, <https://docs.x.ai/docs/guides/live-search>.
//!
//! ```json
//! {"usage": {"prompt_tokens": 32, "completion_tokens": 9, "total_tokens": 135, "num_sources_used": 2,
//!            "completion_tokens_details": {"reasoning_tokens": 94}}}
//! ```

use super::{
    openai,
    table::{Fields, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        signs: &[&["prompt_tokens", "num_sources_used"], &["input_tokens", "num_sources_used"]],
        fields: Fields { tool_calls: &["num_sources_used"], ..openai::FIELDS },
        ..openai::CHAT
    }],
    ..Provider::NONE
};

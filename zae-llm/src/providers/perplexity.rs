//! Perplexity, where it differs from OpenAI: deep research reads citations and reasons in addition to the total's
//! count, and bills both.
//!
//! Sources: <https://docs.perplexity.ai/api-reference/chat-completions-post>,
//! <https://docs.perplexity.ai/getting-started/pricing>.
//!
//! ```json
//! {"usage": {"prompt_tokens": 33, "completion_tokens": 7163, "total_tokens": 7196, "citation_tokens": 20016,
//!            "num_search_queries": 18, "reasoning_tokens": 73997}}
//! ```

use super::{
    openai,
    table::{Counted, Fields, Place, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "usage")],
        signs: &[&["prompt_tokens", "citation_tokens"], &["prompt_tokens", "num_search_queries"]],
        fields: Fields {
            more_input: &["citation_tokens"],
            reasoning: &["reasoning_tokens"],
            tool_calls: &["num_search_queries"],
            // It only counts the prompt and the answer.
            total: &[],
            ..openai::FIELDS
        },
        reasoning: Counted::Beside,
        ..openai::CHAT
    }],
    ..Provider::NONE
};

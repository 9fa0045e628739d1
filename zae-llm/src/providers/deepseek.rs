//! DeepSeek, where it differs from OpenAI: cached input has a name of its own.
//!
//! Source: <https://api-docs.deepseek.com/api/create-chat-completion>.
//!
//! ```json
//! {"usage": {"prompt_tokens": 100, "prompt_cache_hit_tokens": 80, "prompt_cache_miss_tokens": 20,
//!            "completion_tokens": 50}}
//! ```

use super::{
    openai,
    table::{Fields, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        signs: &[&["prompt_tokens", "prompt_cache_hit_tokens"]],
        fields: Fields {
            cache_read: &["prompt_tokens_details.cached_tokens", "prompt_cache_hit_tokens"],
            ..openai::FIELDS
        },
        ..openai::CHAT
    }],
    ..Provider::NONE
};

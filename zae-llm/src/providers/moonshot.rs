//! Moonshot (Kimi) and Together, where they differ from OpenAI: cached input has a name of its own, and streams of
//! Moonshot always have usage, in the last choice.
//!
//! Sources: <https://platform.moonshot.ai/docs/api/chat>, <https://docs.together.ai/reference/chat-completions-1>.
//!
//! ```json
//! {"choices": [{"delta": {}, "finish_reason": "stop",
//!               "usage": {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32, "cached_tokens": 10}}]}
//! ```

use super::{
    openai,
    table::{Fields, Place, Provider, UsageShape},
};

const FIELDS: Fields =
    Fields { cache_read: &["prompt_tokens_details.cached_tokens", "cached_tokens"], ..openai::FIELDS };

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape { signs: &[&["prompt_tokens", "cached_tokens"]], fields: FIELDS, ..openai::CHAT },
        UsageShape { places: &[Place::usage("choices", "usage")], fields: FIELDS, ..openai::CHAT },
    ],
    ..Provider::NONE
};

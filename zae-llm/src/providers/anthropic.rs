//! Anthropic messages, also as Bedrock's InvokeModel and Vertex pass them on.
//!
//! Sources: <https://docs.anthropic.com/en/api/messages>, `/messages-streaming`, `/rate-limits`, `/errors`; types of
//! `anthropic-sdk-python`.

use super::table::{
    Counted, Fields, HeaderRest, LimitWords, Meaning, Means, Member, Place, Provider, RequestWords, Role, UsageShape,
    WindowHeaders, Word,
};
use crate::limits::Refill;

const USAGE: UsageShape = UsageShape {
    places: &[Place::usage("", "usage")],
    signs: &[&["input_tokens"], &["output_tokens"]],
    fields: Fields {
        input: &["input_tokens"],
        output: &["output_tokens"],
        cache_read: &["cache_read_input_tokens"],
        cache_write: &["cache_creation_input_tokens"],
        reasoning: &["output_tokens_details.thinking_tokens", "output_tokens_details.reasoning_tokens"],
        ..Fields::NONE
    },
    cached: Counted::Beside,
    reasoning: Counted::Within,
    role: Role::Completes,
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        // `message_start`: input comes first, output last.
        UsageShape { places: &[Place::usage("message", "usage")], signs: &[], role: Role::Opens, ..USAGE },
        USAGE,
    ],
    places: &[Place::kind("type"), Place::error("", "error")],
    words: &[
        Word::event("message_stop", Means::Done),
        Word::event("error", Means::Failed),
        Word::kind("error", Means::Failed),
    ],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::new("stream", Meaning::Stream),
            Member::new("messages", Meaning::Messages),
            Member::new("max_tokens", Meaning::Bound),
            Member::new("max_tokens_to_sample", Meaning::Bound),
        ],
        settings: &["model", "metadata", "service_tier"],
        schemas: &["tools"],
        media: &["data", "url", "file_id"],
    },
    limits: LimitWords {
        windows: &[
            // Of subscriptions: all at once, at an instant.
            WindowHeaders {
                prefix: "anthropic-ratelimit-",
                rest: HeaderRest::NameThenField("unified"),
                refill: Refill::AtOnce,
            },
            WindowHeaders {
                prefix: "anthropic-ratelimit-",
                rest: HeaderRest::NameThenField(""),
                refill: Refill::Gradual,
            },
            // `anthropic-priority-input-tokens-remaining`
            WindowHeaders { prefix: "anthropic-", rest: HeaderRest::NameThenField(""), refill: Refill::Gradual },
        ],
        should_retry: &["x-should-retry"],
        ..LimitWords::NONE
    },
    ..Provider::NONE
};

//! Anthropic messages, also as Bedrock's InvokeModel and Vertex pass them on.
//!
//! Sources: <https://docs.anthropic.com/en/api/messages>, `/messages-streaming`, `/rate-limits`, `/errors`; types of
//! `anthropic-sdk-python`.
//!
//! Cached tokens are beside the input. A stream opens with the input and a placeholder for the output, and each
//! `message_delta` restates what has changed; the last one counts:
//!
//! ```json
//! {"type": "message_start", "message": {"usage": {"input_tokens": 25, "cache_read_input_tokens": 1000,
//!                                                 "cache_creation_input_tokens": 0, "output_tokens": 1}}}
//! {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 115}}
//! {"type": "message_stop"}
//! ```
//!
//! A picture has width times height / 750 tokens, at most about 1 600 (`/build-with-claude/vision`); a page of a PDF
//! 1 500 to 3 000 of text beside its picture (`/pdf-support`); the instructions for tools 346
//! (`/agents-and-tools/tool-use/overview#pricing`).
//!
//! Side work of a call (compaction of its context, advice of another model) stands in `iterations`, and the counts
//! above leave it out: <https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool>.

use super::table::{
    Counted, EndpointWord, Fields, HeaderRest, LimitWords, Meaning, Means, MediaRule, Member, PicturePrice, Place,
    Provider, RequestWords, Role, Steps, UsageShape, WindowHeaders, Word,
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
        cache_write_1h: &["cache_creation.ephemeral_1h_input_tokens"],
        reasoning: &["output_tokens_details.thinking_tokens", "output_tokens_details.reasoning_tokens"],
        tool_calls: &["server_tool_use.web_search_requests", "server_tool_use.web_fetch_requests"],
        tier: &["service_tier"],
        region: &["inference_geo"],
        steps: Some(Steps { list: "iterations", left_out: &["compaction", "advisor_message"] }),
        ..Fields::NONE
    },
    cached: Counted::Beside,
    role: Role::Completes,
    ..UsageShape::PLAIN
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
        refused: &["rate_limit_error", "overloaded_error"],
        ..LimitWords::NONE
    },
    media: &[MediaRule {
        models: &["claude"],
        picture: PicturePrice::Area { pixels: 750, least: 1, most: 1_600 },
        page: 3_000,
        tools: 346,
        ..MediaRule::USUAL
    }],
    // The second on Vertex AI.
    endpoints: &[EndpointWord::free("/count_tokens"), EndpointWord::free("/count-tokens:rawPredict")],
    ..Provider::NONE
};

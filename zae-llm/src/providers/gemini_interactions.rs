//! Gemini's Interactions API.
//!
//! Sources: <https://ai.google.dev/api/interactions-api>, of `Usage`, `GenerationConfig` and the events;
//! <https://ai.google.dev/gemini-api/docs/streaming>; `InteractionCompletedEvent` of `js-genai`, and
//! `interaction.complete`, its name in the first revision. Vertex writes the same members in camel case.
//!
//! Counts as in `generateContent`, under other names. In a stream only the last event but one has them:
//!
//! ```json
//! {"event_type": "interaction.completed",
//!  "interaction": {"usage": {"total_input_tokens": 11, "total_cached_tokens": 0, "total_tool_use_tokens": 0,
//!                            "total_output_tokens": 30, "total_thought_tokens": 61, "total_tokens": 102}}}
//! ```

use super::table::{Counted, Fields, Meaning, Means, Member, Place, Provider, RequestWords, UsageShape, Word};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        // In a stream, in the event that completes the interaction.
        places: &[Place::usage("", "usage"), Place::usage("interaction", "usage")],
        signs: &[&["total_input_tokens"], &["total_output_tokens"], &["totalInputTokens"], &["totalOutputTokens"]],
        fields: Fields {
            input: &["total_input_tokens", "totalInputTokens"],
            more_input: &["total_tool_use_tokens", "totalToolUseTokens"],
            output: &["total_output_tokens", "totalOutputTokens"],
            cache_read: &["total_cached_tokens", "totalCachedTokens"],
            reasoning: &["total_thought_tokens", "totalThoughtTokens"],
            total: &["total_tokens", "totalTokens"],
            ..Fields::NONE
        },
        reasoning: Counted::Beside,
        ..UsageShape::PLAIN
    }],
    places: &[Place::error("", "error")],
    words: &[
        Word::event("interaction.complete", Means::Done),
        Word::event("interaction.completed", Means::Done),
        Word::event("error", Means::Failed),
        Word::data("[DONE]", Means::Done),
    ],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::new("stream", Meaning::Stream),
            Member::within("generation_config", "max_output_tokens", Meaning::Bound),
        ],
        settings: &["model", "previous_interaction_id"],
        schemas: &["tools"],
        media: &["data"],
    },
    ..Provider::NONE
};

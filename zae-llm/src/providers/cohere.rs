//! Cohere, versions 1 and 2: chat, generate, embed, rerank, classify.
//!
//! Sources: <https://docs.cohere.com/reference/chat>, `/chat-stream`, `/embed`, `/rerank`; `/v1/reference/chat`; the
//! types `Usage`, `ApiMeta` and `ChatMessageEndEventDelta` of `cohere-python`.
//!
//! `tokens` counts the model's input and output, `billed_units` the billed part; rerankers only have search units:
//!
//! ```json
//! {"usage": {"billed_units": {"input_tokens": 17, "output_tokens": 12},
//!            "tokens": {"input_tokens": 215, "output_tokens": 12}, "cached_tokens": 64}}
//! {"results": [], "meta": {"billed_units": {"search_units": 1}}}
//! ```
//!
//! Version 2 streams it in the delta of the last event, version 1 in the response of the last line:
//!
//! ```json
//! {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 215}}}}
//! {"event_type": "stream-end", "response": {"meta": {"tokens": {"input_tokens": 215}}}}
//! ```

use super::table::{EndpointWord, Fields, Meaning, Means, Member, Place, Provider, RequestWords, UsageShape, Word};

const FIELDS: Fields = Fields {
    input: &["tokens.input_tokens", "billed_units.input_tokens"],
    output: &["tokens.output_tokens", "billed_units.output_tokens"],
    cache_read: &["cached_tokens"],
    images: &["billed_units.images"],
    search_units: &["billed_units.search_units"],
    ..Fields::NONE
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("", "usage"), Place::usage("delta", "usage")],
            signs: &[&["tokens.input_tokens"], &["tokens.output_tokens"], &["billed_units"]],
            fields: FIELDS,
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "meta"), Place::usage("response", "meta")],
            signs: &[&["tokens"], &["billed_units"]],
            fields: FIELDS,
            ..UsageShape::PLAIN
        },
    ],
    words: &[Word::kind("message-end", Means::LastUsage)],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::new("stream", Meaning::Stream),
            Member::new("messages", Meaning::Messages),
            Member::new("max_tokens", Meaning::Bound),
            Member::new("num_generations", Meaning::Choices),
        ],
        settings: &["model", "input_type", "embedding_types", "truncate", "safety_mode"],
        schemas: &["tools"],
        media: &["image_url", "images"],
    },
    endpoints: &[
        EndpointWord::reads("/embed"),
        EndpointWord::reads("/rerank"),
        EndpointWord::reads("/classify"),
        EndpointWord::free("/tokenize"),
        EndpointWord::free("/detokenize"),
    ],
    ..Provider::NONE
};

//! Hugging Face's text-generation-inference: its own API. Its compatible endpoint follows OpenAI's.
//!
//! Source: <https://huggingface.co/docs/text-generation-inference/reference/api_reference>; the headers of `generate` in
//! `router/src/server.rs`.
//!
//! A stream's last event has both counts; a document has its output's count, and its headers both:
//!
//! ```json
//! {"generated_text": "", "details": {"finish_reason": "length", "generated_tokens": 20, "input_length": 6}}
//! ```

use super::table::{Fields, HeadCounts, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "details")],
        signs: &[&["generated_tokens"]],
        fields: Fields { input: &["input_length"], output: &["generated_tokens"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    head: Some(HeadCounts { input: "x-prompt-tokens", output: "x-generated-tokens", cache_read: "", cache_write: "" }),
    request: RequestWords {
        members: &[
            Member::within("parameters", "max_new_tokens", Meaning::Bound),
            Member::within("parameters", "best_of", Meaning::Choices),
        ],
        settings: &["parameters"],
        schemas: &[],
        media: &[],
    },
    ..Provider::NONE
};

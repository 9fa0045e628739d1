//! Vertex AI's `predict`: text embeddings, and text of its first models. Later models that generate are Gemini's, or
//! speak as Anthropic's.
//!
//! Source: <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api>.
//!
//! ```json
//! {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"truncated": false, "token_count": 6}}}]}
//! ```

use super::table::{Fields, Place, Provider, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("metadata", "tokenMetadata")],
            signs: &[&["inputTokenCount"]],
            fields: Fields {
                input: &["inputTokenCount.totalTokens"],
                output: &["outputTokenCount.totalTokens"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::count("predictions.embeddings.statistics", "token_count")],
            signs: &[&["token_count"]],
            fields: Fields { input: &["token_count"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
    ],
    ..Provider::NONE
};

//! Models of Bedrock whose own responses have counts as members of the document: Titan and Llama.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-text.html>,
//! `model-parameters-titan-embed-text.html`, `model-parameters-meta.html`.
//!
//! ```json
//! {"inputTextTokenCount": 12, "results": [{"tokenCount": 88, "outputText": "", "completionReason": "FINISH"}]}
//! {"generation": "", "prompt_token_count": 21, "generation_token_count": 112, "stop_reason": "stop"}
//! ```

use super::table::{Fields, Place, Provider, UsageShape};

const PROMPT: Place = Place::count("", "prompt_token_count");
const GENERATION: Place = Place::count("", "generation_token_count");
const INPUT: Place = Place::count("", "inputTextTokenCount");
const OUTPUT: Place = Place::count("", "totalOutputTextTokenCount");
const RESULT: Place = Place::count("results", "tokenCount");

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[PROMPT, GENERATION],
            signs: &[&["prompt_token_count"], &["generation_token_count"]],
            fields: Fields { input: &["prompt_token_count"], output: &["generation_token_count"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[INPUT, OUTPUT, RESULT],
            signs: &[&["inputTextTokenCount"], &["totalOutputTextTokenCount"]],
            fields: Fields {
                input: &["inputTextTokenCount"],
                output: &["totalOutputTextTokenCount", "tokenCount"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
    ],
    ..Provider::NONE
};

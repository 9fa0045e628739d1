//! YandexGPT: its own API, whose numbers are texts, as protobuf writes those of 64 bits. Its compatible endpoint
//! follows OpenAI's.
//!
//! Source: <https://yandex.cloud/en/docs/ai-studio/text-generation/api-ref/TextGeneration/completion>.
//!
//! A stream is one document after the other, each with the counts so far:
//!
//! ```json
//! {"result": {"alternatives": [], "usage": {"inputTextTokens": "29", "completionTokens": "58", "totalTokens": "87",
//!                                           "completionTokensDetails": {"reasoningTokens": "0"}}}}
//! ```

use super::table::{EndpointWord, Fields, Meaning, Member, Place, Provider, RequestWords, Role, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("result", "usage")],
        signs: &[&["inputTextTokens"]],
        fields: Fields {
            input: &["inputTextTokens"],
            output: &["completionTokens"],
            reasoning: &["completionTokensDetails.reasoningTokens"],
            total: &["totalTokens"],
            ..Fields::NONE
        },
        role: Role::Grows,
        ..UsageShape::PLAIN
    }],
    request: RequestWords {
        members: &[
            Member::new("modelUri", Meaning::ModelId),
            Member::within("completionOptions", "maxTokens", Meaning::Bound),
        ],
        settings: &["modelUri", "completionOptions"],
        schemas: &[],
        media: &[],
    },
    endpoints: &[EndpointWord::reads("/textEmbedding"), EndpointWord::free("/tokenizeCompletion")],
    ..Provider::NONE
};

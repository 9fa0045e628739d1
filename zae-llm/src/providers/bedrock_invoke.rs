//! Bedrock's InvokeModel: the model's own response, and Bedrock's counts beside it.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html>,
//! `API_runtime_InvokeModelWithResponseStream.html`; the model parameters of Titan and Llama in the user guide. In a
//! stream the last chunk has the metrics, beside the usage of models that report some.
//!
//! A frame of a stream wraps the model's own event in base64. The last event carries Bedrock's counts:
//!
//! ```json
//! {"bytes": "eyJ0eXBlIjoibWVzc2FnZV9zdG9wIn0="}
//! {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 25, "outputTokenCount": 115}}
//! ```

use super::table::{
    Counted, Fields, HeadCounts, Meaning, Means, Member, Place, Provider, RequestWords, Role, UsageShape, Word,
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "amazon-bedrock-invocationMetrics")],
        signs: &[],
        fields: Fields {
            input: &["inputTokenCount"],
            output: &["outputTokenCount"],
            cache_read: &["cacheReadInputTokenCount", "cacheReadInputTokensCount"],
            cache_write: &["cacheWriteInputTokenCount", "cacheWriteInputTokensCount"],
            ..Fields::NONE
        },
        cached: Counted::Beside,
        role: Role::StandsIn,
        ..UsageShape::PLAIN
    }],
    places: &[Place::wrapped("bytes")],
    words: &[Word::frame("error", Means::Failed), Word::frame("exception", Means::Failed)],
    head: Some(HeadCounts {
        input: "x-amzn-bedrock-input-token-count",
        output: "x-amzn-bedrock-output-token-count",
        cache_read: "x-amzn-bedrock-cache-read-input-token-count",
        cache_write: "x-amzn-bedrock-cache-write-input-token-count",
    }),
    request: RequestWords {
        members: &[
            Member::new("max_gen_len", Meaning::Bound),
            // Of AI21's first models.
            Member::new("maxTokens", Meaning::Bound),
            Member::new("numResults", Meaning::Choices),
            Member::within("textGenerationConfig", "maxTokenCount", Meaning::Bound),
        ],
        settings: &[],
        schemas: &[],
        media: &[],
    },
    ..Provider::NONE
};

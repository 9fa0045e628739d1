//! Bedrock's Converse and ConverseStream.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>,
//! `API_runtime_ConverseStreamMetadataEvent.html`, `API_runtime_InferenceConfiguration.html`.
//!
//! Cached tokens are beside the input. A stream is made of AWS's binary frames, and the last of them says:
//!
//! ```json
//! {"usage": {"inputTokens": 30, "outputTokens": 628, "totalTokens": 1558, "cacheReadInputTokens": 900},
//!  "metrics": {"latencyMs": 1275}}
//! ```

use super::table::{
    Counted, EndpointWord, Fields, LimitWords, Meaning, Means, MediaRule, Member, PicturePrice, Place, Provider,
    RequestWords, Role, UsageShape, Word,
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        // In a stream, of the `metadata` event; through InvokeModel, Nova wraps that.
        places: &[Place::usage("", "usage"), Place::usage("metadata", "usage")],
        signs: &[&["inputTokens"], &["outputTokens"]],
        fields: Fields {
            input: &["inputTokens"],
            output: &["outputTokens"],
            cache_read: &["cacheReadInputTokens", "cacheReadInputTokenCount", "cacheReadInputTokensCount"],
            cache_write: &["cacheWriteInputTokens", "cacheWriteInputTokenCount", "cacheWriteInputTokensCount"],
            cache_write_1h: &["cacheDetails[ttl=1h].inputTokens"],
            total: &["totalTokens"],
            ..Fields::NONE
        },
        cached: Counted::Beside,
        role: Role::Ends,
        ..UsageShape::PLAIN
    }],
    words: &[
        Word::frame("error", Means::Failed),
        Word::frame("exception", Means::Failed),
        Word::frame("throttlingException", Means::Refused),
        Word::frame("serviceUnavailableException", Means::Refused),
    ],
    request: RequestWords {
        members: &[
            Member::new("modelId", Meaning::ModelId),
            Member::new("messages", Meaning::Messages),
            Member::within("inferenceConfig", "maxTokens", Meaning::Bound),
            // Of Nova through InvokeModel.
            Member::within("inferenceConfig", "max_new_tokens", Meaning::Bound),
        ],
        settings: &["modelId"],
        schemas: &["toolConfig"],
        media: &["bytes", "s3Location"],
    },
    // Of Nova: <https://docs.aws.amazon.com/nova/latest/userguide/modalities-image.html>, whose table has approximate
    // counts of five sizes (800 for the smallest, to which smaller ones are scaled up); `modalities-video.html`. Nova 2
    // bills a flat rate: <https://docs.aws.amazon.com/nova/latest/nova2-userguide/using-multimodal-models.html>.
    media: &[
        MediaRule {
            models: &["nova-"],
            picture: PicturePrice::Area { pixels: 650, least: 800, most: 2_600 },
            second_of_video: 288_000,
            ..MediaRule::USUAL
        },
        MediaRule {
            models: &["nova-2"],
            picture: PicturePrice::Fixed(230),
            second_of_video: 288_000,
            ..MediaRule::USUAL
        },
    ],
    endpoints: &[EndpointWord::free("/count-tokens")],
    limits: LimitWords {
        refused: &["throttlingException", "serviceUnavailableException", "ThrottlingException"],
        ..LimitWords::NONE
    },
    ..Provider::NONE
};

//! Gemini's `generateContent` and `streamGenerateContent`, in AI Studio and Vertex.
//!
//! Sources: <https://ai.google.dev/api/generate-content>, of `UsageMetadata` and `GenerationConfig`;
//! <https://ai.google.dev/gemini-api/docs/rate-limits>; `google.rpc.RetryInfo`.
//!
//! Media: <https://ai.google.dev/gemini-api/docs/tokens>, `/media-resolution` of Gemini 3, `/document-processing`.
//!
//! Cached tokens are within the prompt; thoughts are beside the candidates, and the prompts of tools beside the prompt.
//! Each chunk of a stream repeats the object, and the last one counts:
//!
//! ```json
//! {"usageMetadata": {"promptTokenCount": 120, "cachedContentTokenCount": 64, "toolUsePromptTokenCount": 30,
//!                    "candidatesTokenCount": 47, "thoughtsTokenCount": 82, "totalTokenCount": 279}}
//! ```

use super::table::{
    Counted, EndpointWord, Fields, LimitWords, Meaning, MediaRule, Member, PicturePrice, Place, Provider, RequestWords,
    RetryDetail, UsageShape,
};

/// The second as some proxies wrap it.
const PLACES: &[Place] = &[Place::usage("", "usageMetadata"), Place::usage("response", "usageMetadata")];

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: PLACES,
            signs: &[
                &["promptTokenCount"],
                &["candidatesTokenCount"],
                &["responseTokenCount"],
                &["thoughtsTokenCount"],
                &["cachedContentTokenCount"],
                &["toolUsePromptTokenCount"],
            ],
            fields: Fields {
                input: &["promptTokenCount"],
                more_input: &["toolUsePromptTokenCount"],
                // The second of the Live API.
                output: &["candidatesTokenCount", "responseTokenCount"],
                cache_read: &["cachedContentTokenCount"],
                reasoning: &["thoughtsTokenCount"],
                audio_input: &["promptTokensDetails[modality=AUDIO].tokenCount"],
                image_input: &["promptTokensDetails[modality=IMAGE].tokenCount"],
                audio_output: &[
                    "candidatesTokensDetails[modality=AUDIO].tokenCount",
                    "responseTokensDetails[modality=AUDIO].tokenCount",
                ],
                image_output: &["candidatesTokensDetails[modality=IMAGE].tokenCount"],
                total: &["totalTokenCount"],
                ..Fields::NONE
            },
            reasoning: Counted::Beside,
            ..UsageShape::PLAIN
        },
        // Of a context that is cached explicitly.
        UsageShape {
            places: PLACES,
            signs: &[&["totalTokenCount"]],
            fields: Fields { input: &["totalTokenCount"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
    ],
    places: &[Place::error("", "error"), Place::error("response", "error")],
    request: RequestWords {
        // Both spellings of protobuf's JSON.
        members: &[
            Member::within("generationConfig", "maxOutputTokens", Meaning::Bound),
            Member::within("generationConfig", "candidateCount", Meaning::Choices),
            Member::within("generationConfig", "max_output_tokens", Meaning::Bound),
            Member::within("generationConfig", "candidate_count", Meaning::Choices),
            Member::within("generation_config", "max_output_tokens", Meaning::Bound),
            Member::within("generation_config", "maxOutputTokens", Meaning::Bound),
            Member::within("generation_config", "candidate_count", Meaning::Choices),
        ],
        settings: &[],
        schemas: &["tools"],
        media: &["data", "fileUri", "file_uri"],
    },
    limits: LimitWords {
        refused: &["RESOURCE_EXHAUSTED", "UNAVAILABLE"],
        retry_details: &[
            RetryDetail { kind: "google.rpc.RetryInfo", member: "retryDelay" },
            RetryDetail { kind: "google.rpc.ErrorInfo", member: "metadata.quotaResetDelay" },
        ],
        ..LimitWords::NONE
    },
    media: &[
        MediaRule {
            models: &["gemini"],
            picture: PicturePrice::Squares(258),
            page: 258,
            second_of_sound: 32_000,
            second_of_video: 263_000,
            ..MediaRule::USUAL
        },
        // The default resolution of version 3; requests may set another, which is not looked at. A second of video is
        // one picture of 70, and its sound.
        MediaRule {
            models: &["gemini-3"],
            picture: PicturePrice::Fixed(1_120),
            page: 560,
            second_of_sound: 32_000,
            second_of_video: 102_000,
            ..MediaRule::USUAL
        },
    ],
    endpoints: &[
        EndpointWord::reads(":embedContent"),
        EndpointWord::reads(":batchEmbedContents"),
        EndpointWord::reads("/cachedContents"),
        EndpointWord::free(":countTokens"),
        EndpointWord::free(":computeTokens"),
        EndpointWord::free(":batchGenerateContent"),
        EndpointWord::free(":asyncBatchEmbedContent"),
    ],
    ..Provider::NONE
};

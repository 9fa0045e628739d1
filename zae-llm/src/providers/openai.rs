//! OpenAI: chat completions, legacy completions, Responses, embeddings.
//!
//! Sources: <https://platform.openai.com/docs/api-reference>, of the chat completion, response and embeddings objects
//! and of streaming; <https://platform.openai.com/docs/guides/rate-limits>; the types of `openai-python`.
//!
//! Cached tokens are within the input, reasoning is within the output:
//!
//! ```json
//! {"usage": {"prompt_tokens": 1117, "completion_tokens": 246, "total_tokens": 1363,
//!            "prompt_tokens_details": {"cached_tokens": 1024},
//!            "completion_tokens_details": {"reasoning_tokens": 192}}}
//! ```
//!
//! Responses has other names for the same, and streams them in the event that ends the answer:
//!
//! ```json
//! {"type": "response.completed",
//!  "response": {"usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 256},
//!                         "output_tokens": 452, "output_tokens_details": {"reasoning_tokens": 384},
//!                         "total_tokens": 780}}}
//! ```
//!
//! The parts that are sound, pictures, or predicted in vain stand in the same details. The tier of service stands
//! beside the usage. Whisper is billed by time, and says so: `{"usage": {"type": "duration", "seconds": 9}}`.
//!
//! Tokens of pictures: <https://platform.openai.com/docs/guides/images-vision#calculating-costs>. Sound is a token per
//! 100 ms: <https://platform.openai.com/docs/guides/realtime-costs>.
//!
//! Streams of chat completions have usage only where `stream_options.include_usage` asks for it, in a last chunk
//! without choices; all other chunks say `"usage": null`.

use super::table::{
    EndpointWord, Fields, HeaderRest, LimitWords, Meaning, Means, MediaRule, Member, PicturePrice, Place, Provider,
    RequestWords, UsageShape, WindowHeaders, Word,
};
use crate::limits::Refill;

pub(super) const FIELDS: Fields = Fields {
    input: &["prompt_tokens", "input_tokens"],
    output: &["completion_tokens", "output_tokens"],
    // Transcriptions, the realtime API and Writer call the details by the singular.
    cache_read: &[
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "input_token_details.cached_tokens",
        "prompt_token_details.cached_tokens",
        // As gateways to Anthropic pass it on.
        "cache_read_input_tokens",
        "num_cached_tokens",
        // GigaChat's name.
        "precached_prompt_tokens",
    ],
    cache_write: &[
        "prompt_tokens_details.cache_write_tokens",
        "input_tokens_details.cache_write_tokens",
        // DashScope's name, and LiteLLM's.
        "prompt_tokens_details.cache_creation_input_tokens",
        "prompt_tokens_details.cache_creation_tokens",
        "cache_creation_input_tokens",
    ],
    // The last as SGLang writes it.
    reasoning: &[
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "reasoning_tokens",
    ],
    audio_input: &[
        "prompt_tokens_details.audio_tokens",
        "input_tokens_details.audio_tokens",
        "input_token_details.audio_tokens",
    ],
    image_input: &[
        "prompt_tokens_details.image_tokens",
        "input_tokens_details.image_tokens",
        "input_token_details.image_tokens",
    ],
    audio_output: &[
        "completion_tokens_details.audio_tokens",
        "output_tokens_details.audio_tokens",
        "output_token_details.audio_tokens",
    ],
    image_output: &["completion_tokens_details.image_tokens", "output_tokens_details.image_tokens"],
    rejected: &["completion_tokens_details.rejected_prediction_tokens"],
    total: &["total_tokens"],
    // OpenRouter's name.
    tool_calls: &["server_tool_use.web_search_requests"],
    tier: &["service_tier"],
    ..Fields::NONE
};

/// Chat completions, completions and embeddings; streams repeat it, or have it once, before `[DONE]`.
pub(super) const CHAT: UsageShape = UsageShape {
    places: &[Place::usage("", "usage"), Place::usage("response", "usage")],
    signs: &[&["prompt_tokens"]],
    fields: FIELDS,
    ..UsageShape::PLAIN
};

const fn tiles(models: &'static [&'static str], base: u64, tile: u64) -> MediaRule {
    MediaRule { models, picture: PicturePrice::Tiles { base, tile }, ..MediaRule::USUAL }
}

const fn patches(models: &'static [&'static str], hundredths: u64) -> MediaRule {
    MediaRule { models, picture: PicturePrice::Patches(hundredths), ..MediaRule::USUAL }
}

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        CHAT,
        UsageShape {
            places: &[Place::usage("", "usage")],
            signs: &[&["input_tokens_details"], &["total_tokens", "input_tokens"]],
            ..CHAT
        },
        // Transcriptions by models that are billed by time.
        UsageShape {
            places: &[Place::usage("", "usage")],
            signs: &[&["seconds"]],
            fields: Fields { seconds: &["seconds"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        // The events of Responses that end an answer, or repeat it.
        UsageShape {
            places: &[Place::usage("response", "usage")],
            signs: &[&["input_tokens"], &["output_tokens"], &["total_tokens"]],
            ..CHAT
        },
    ],
    places: &[
        Place::kind("type"),
        Place::error("", "error"),
        Place::error("response", "error"),
        // As OpenRouter reports what a provider behind it did.
        Place::error("choices", "error"),
        Place::tier("", "service_tier"),
        Place::tier("response", "service_tier"),
    ],
    words: &[
        Word::data("[DONE]", Means::Done),
        Word::kind("response.completed", Means::LastUsage),
        Word::kind("response.incomplete", Means::LastUsage),
        Word::kind("error", Means::Failed),
        Word::event("error", Means::Failed),
        Word::event("response.failed", Means::Failed),
    ],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::new("stream", Meaning::Stream),
            Member::new("messages", Meaning::Messages),
            Member::new("max_completion_tokens", Meaning::Bound),
            Member::new("max_output_tokens", Meaning::Bound),
            Member::new("max_tokens", Meaning::Bound),
            Member::new("n", Meaning::Choices),
            Member::new("best_of", Meaning::Choices),
        ],
        settings: &[
            "model",
            "user",
            "metadata",
            "service_tier",
            "prompt_cache_key",
            "previous_response_id",
            "safety_identifier",
        ],
        schemas: &["tools", "functions"],
        media: &["data", "url", "image_url", "file_data", "file_id"],
    },
    limits: LimitWords {
        // `x-ratelimit-remaining-requests`; Groq, Cerebras and Azure have the same names.
        windows: &[WindowHeaders { prefix: "x-ratelimit-", rest: HeaderRest::FieldThenName, refill: Refill::Gradual }],
        should_retry: &["x-should-retry"],
        permanent: &[
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "account_deactivated",
            "access_terminated",
            "credit_balance_exhausted",
        ],
        too_large: &["request too large", "tokens must be reduced"],
        refused: &["rate_limit_exceeded", "insufficient_quota", "429", "tokens_exceeded", "overloaded"],
        retry_phrases: &["try again in ", "retry in ", "retry after "],
        ..LimitWords::NONE
    },
    media: &[
        tiles(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-4-turbo"], 85, 170),
        tiles(&["gpt-5", "chatgpt"], 70, 140),
        tiles(&["gpt-4o-mini"], 2_833, 5_667),
        tiles(&["o1", "o3"], 75, 150),
        tiles(&["computer-use"], 65, 129),
        patches(&["gpt-4.1-mini", "gpt-5-mini"], 162),
        patches(&["gpt-4.1-nano", "gpt-5-nano"], 246),
        patches(&["o4-mini"], 172),
        MediaRule {
            models: &["audio", "realtime", "transcribe", "whisper"],
            second_of_sound: 10_000,
            ..MediaRule::USUAL
        },
    ],
    endpoints: &[
        EndpointWord::reads("/embeddings"),
        EndpointWord::free("/moderations"),
        EndpointWord::free("/files"),
        EndpointWord::free("/uploads"),
        EndpointWord::free("/batches"),
        EndpointWord::free("/input_tokens"),
        EndpointWord::free("/fine_tuning/jobs"),
        EndpointWord::free("/vector_stores"),
        EndpointWord::free("/realtime/client_secrets"),
        EndpointWord::free("/realtime/sessions"),
        EndpointWord::free("/containers"),
        EndpointWord::free("/skills"),
    ],
    ..Provider::NONE
};

//! Mistral, where it differs from OpenAI: sound is counted by seconds, and by tokens in the total alone. Requests with
//! `stream_options` are refused (422); streams have usage without being asked.
//!
//! Source: <https://docs.mistral.ai/api/>, of chat completions and audio transcriptions.
//!
//! ```json
//! {"usage": {"prompt_audio_seconds": 203, "prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264}}
//! ```

use super::{
    openai,
    table::{Fields, Place, Provider, Remainder, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "usage")],
        signs: &[&["prompt_audio_seconds", "prompt_tokens"]],
        fields: Fields { seconds: &["prompt_audio_seconds"], ..openai::FIELDS },
        rest: Remainder::AudioInput,
        ..openai::CHAT
    }],
    ..Provider::NONE
};

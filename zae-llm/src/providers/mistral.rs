//! Mistral, where it differs from OpenAI: sound is counted by seconds, and by tokens in the total alone. Requests with
//! `stream_options` are refused (422); streams have usage without being asked.
//!
//! Source: <https://docs.mistral.ai/api/>, of chat completions and audio transcriptions; of agents and conversations,
//! whose connectors read beside the prompt: <https://docs.mistral.ai/agents/connectors/websearch/>.
//!
//! ```json
//! {"usage": {"prompt_audio_seconds": 203, "prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264}}
//! ```

use super::{
    openai,
    table::{EndpointWord, Fields, MediaRule, PicturePrice, Place, Provider, Remainder, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("", "usage")],
            signs: &[&["prompt_audio_seconds", "prompt_tokens"]],
            fields: Fields { seconds: &["prompt_audio_seconds"], ..openai::FIELDS },
            rest: Remainder::AudioInput,
            ..openai::CHAT
        },
        UsageShape {
            signs: &[&["prompt_tokens", "connector_tokens"]],
            fields: Fields {
                more_input: &["connector_tokens"],
                tool_calls: &[
                    "connectors.web_search",
                    "connectors.web_search_premium",
                    "connectors.code_interpreter",
                    "connectors.image_generation",
                    "connectors.document_library",
                ],
                ..openai::FIELDS
            },
            ..openai::CHAT
        },
    ],
    endpoints: &[
        EndpointWord::reads("/ocr"),
        EndpointWord::reads("/classifications"),
        EndpointWord::free("/batch/jobs"),
    ],
    media: &[
        // Mistral documents no counts; these follow the published configuration of the models. Pixtral sees squares of
        // 16 pixels, of pictures of at most 1 024 by 1 024: `params.json` of
        // <https://huggingface.co/mistralai/Pixtral-12B-2409>. Voxtral hears 12.5 frames a second
        // (<https://mistralai.github.io/mistral-common/usage/audio>) and pads; the example of the API has 12.9.
        MediaRule {
            models: &["pixtral"],
            picture: PicturePrice::Area { pixels: 256, least: 1, most: 4_160 },
            ..MediaRule::USUAL
        },
        MediaRule { models: &["voxtral"], second_of_sound: 12_900, ..MediaRule::USUAL },
    ],
    ..Provider::NONE
};

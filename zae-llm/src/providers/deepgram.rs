//! Deepgram and AssemblyAI: transcriptions, billed by seconds of sound, and what language models add to them.
//!
//! Sources: <https://developers.deepgram.com/reference/speech-to-text-api/listen>, of `metadata`;
//! <https://developers.deepgram.com/docs/summarization>; <https://www.assemblyai.com/docs/api-reference/transcripts>.
//!
//! ```json
//! {"metadata": {"duration": 25.9, "summary_info": {"model_uuid": "", "input_tokens": 95, "output_tokens": 63}}}
//! {"id": "", "status": "completed", "text": "", "audio_duration": 281}
//! ```

use super::table::{Fields, Place, Provider, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[
            Place::count("metadata", "duration"),
            Place::count("", "audio_duration"),
            Place::count("metadata.summary_info", "input_tokens"),
            Place::count("metadata.summary_info", "output_tokens"),
            Place::count("metadata.topics_info", "input_tokens"),
            Place::count("metadata.topics_info", "output_tokens"),
            Place::count("metadata.intents_info", "input_tokens"),
            Place::count("metadata.intents_info", "output_tokens"),
            Place::count("metadata.sentiment_info", "input_tokens"),
            Place::count("metadata.sentiment_info", "output_tokens"),
        ],
        signs: &[&["duration"], &["audio_duration"], &["input_tokens"]],
        fields: Fields {
            input: &["input_tokens"],
            output: &["output_tokens"],
            seconds: &["duration", "audio_duration"],
            ..Fields::NONE
        },
        ..UsageShape::PLAIN
    }],
    ..Provider::NONE
};

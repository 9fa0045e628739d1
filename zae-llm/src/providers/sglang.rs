//! The server of SGLang: its own completions. Its compatible endpoints follow OpenAI's.
//!
//! Source: <https://docs.sglang.io/basic_usage/native_api.html>, of `/generate`; the counts that `meta_info` has in
//! `python/sglang/srt/managers/tokenizer_manager.py`.
//!
//! Each event of a stream repeats the object, and the last one counts. Cached tokens are within the prompt:
//!
//! ```json
//! {"text": "", "meta_info": {"prompt_tokens": 14, "completion_tokens": 16, "cached_tokens": 6, "finish_reason": null}}
//! ```

use super::table::{Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "meta_info")],
        signs: &[&["prompt_tokens"], &["completion_tokens"]],
        fields: Fields {
            input: &["prompt_tokens"],
            output: &["completion_tokens"],
            cache_read: &["cached_tokens"],
            ..Fields::NONE
        },
        ..UsageShape::PLAIN
    }],
    request: RequestWords {
        members: &[
            Member::within("sampling_params", "max_new_tokens", Meaning::Bound),
            Member::within("sampling_params", "n", Meaning::Choices),
        ],
        settings: &["sampling_params"],
        schemas: &[],
        media: &["image_data", "audio_data", "video_data"],
    },
    ..Provider::NONE
};

//! The server of llama.cpp: its own completions. Its compatible endpoints follow OpenAI's.
//!
//! Source: <https://github.com/ggml-org/llama.cpp/tree/master/tools/server>, of `/completion`.
//!
//! ```json
//! {"content": "", "stop": true, "tokens_predicted": 51, "tokens_evaluated": 24, "tokens_cached": 74}
//! ```

use super::table::{Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::count("", "tokens_evaluated"), Place::count("", "tokens_predicted")],
        signs: &[&["tokens_evaluated"], &["tokens_predicted"]],
        fields: Fields { input: &["tokens_evaluated"], output: &["tokens_predicted"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    request: RequestWords {
        members: &[Member::new("n_predict", Meaning::Bound)],
        settings: &["grammar", "samplers"],
        schemas: &[],
        media: &["multimodal_data"],
    },
    ..Provider::NONE
};

//! Replicate: predictions of language models.
//!
//! Source: <https://replicate.com/docs/reference/http#predictions.get>, of the metrics of a prediction.
//!
//! ```json
//! {"status": "succeeded", "output": [""], "metrics": {"input_token_count": 18, "output_token_count": 120}}
//! ```

use super::table::{Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[UsageShape {
        places: &[Place::usage("", "metrics")],
        signs: &[&["input_token_count"], &["output_token_count"]],
        fields: Fields { input: &["input_token_count"], output: &["output_token_count"], ..Fields::NONE },
        ..UsageShape::PLAIN
    }],
    places: &[Place::error("", "error")],
    request: RequestWords {
        members: &[
            Member::within("input", "max_tokens", Meaning::Bound),
            Member::within("input", "max_new_tokens", Meaning::Bound),
            Member::within("input", "max_completion_tokens", Meaning::Bound),
        ],
        settings: &["version", "webhook", "webhook_events_filter"],
        schemas: &[],
        media: &["image", "audio", "video"],
    },
    ..Provider::NONE
};

//! Alibaba's DashScope (Qwen): its own API, whose usage has OpenAI's shape. Its compatible endpoint follows OpenAI's.
//!
//! Source: <https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope>.
//!
//! ```json
//! {"output": {"choices": []}, "usage": {"input_tokens": 22, "output_tokens": 17, "total_tokens": 39}}
//! ```
//!
//! Errors are events of that name: `event:error`, `data:{"code": "Throttling.RateQuota"}`.

use super::table::{EndpointWord, LimitWords, Meaning, Means, Member, Place, Provider, RequestWords, Word};

pub(super) const PROVIDER: Provider = Provider {
    places: &[Place::code("code")],
    words: &[Word::event("error", Means::Failed)],
    request: RequestWords {
        members: &[
            Member::new("model", Meaning::Model),
            Member::within("parameters", "max_tokens", Meaning::Bound),
            Member::within("parameters", "n", Meaning::Choices),
            Member::within("input", "messages", Meaning::Messages),
        ],
        settings: &["model", "parameters"],
        schemas: &[],
        media: &["image", "audio", "video"],
    },
    endpoints: &[
        EndpointWord::reads("/text-embedding"),
        EndpointWord::reads("/multimodal-embedding"),
        EndpointWord::reads("/text-rerank"),
    ],
    limits: LimitWords { refused: &["Throttling", "Throttling.RateQuota"], ..LimitWords::NONE },
    ..Provider::NONE
};

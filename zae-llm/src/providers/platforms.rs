//! Platforms that call models of others and pass on their counts: Coze, Dify, Salesforce and SAP.
//!
//! Sources: <https://www.coze.com/docs/developer_guides/chat_v3>, of `Usage`; <https://docs.dify.ai/api-reference>, of
//! `message_end`; <https://developer.salesforce.com/docs/ai/agentforce/guide/models-api-rest.html>; the types
//! `CompletionPostResponse` and `LlmModuleResult` of <https://www.npmjs.com/package/@sap-ai-sdk/orchestration>.
//!
//! ```json
//! {"id": "", "status": "completed", "usage": {"token_count": 255, "output_count": 61, "input_count": 194}}
//! {"event": "message_end", "metadata": {"usage": {"prompt_tokens": 33, "completion_tokens": 135}}}
//! {"generation": {"generatedText": "", "parameters": {"usage": {"prompt_tokens": 8, "completion_tokens": 24}}}}
//! {"request_id": "", "final_result": {"choices": [], "usage": {"prompt_tokens": 28, "completion_tokens": 41}}}
//! ```

use super::{
    openai,
    table::{Fields, Place, Provider, UsageShape},
};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::usage("", "usage"), Place::usage("data", "usage")],
            signs: &[&["token_count", "input_count"], &["token_count", "output_count"]],
            fields: Fields {
                input: &["input_count"],
                output: &["output_count"],
                total: &["token_count"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[
                Place::usage("metadata", "usage"),
                Place::usage("final_result", "usage"),
                Place::usage("orchestration_result", "usage"),
                Place::usage("generation.parameters", "usage"),
                Place::usage("generationDetails.parameters", "usage"),
            ],
            ..openai::CHAT
        },
    ],
    ..Provider::NONE
};

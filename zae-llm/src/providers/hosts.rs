//! Hosts of models with an API of their own and little else to say: Aleph Alpha, DeepInfra, NLP Cloud, OCI, Tencent and
//! Reka's first version.
//!
//! Sources: <https://docs.aleph-alpha.com/api/complete/>; <https://deepinfra.com/docs/inference>;
//! <https://docs.nlpcloud.com/#generation>; <https://docs.oracle.com/en-us/iaas/api/#/en/generative-ai-inference/>, of
//! `Usage`; <https://cloud.tencent.com/document/api/1729/105701>.
//!
//! ```json
//! {"completions": [], "num_tokens_prompt_total": 2, "num_tokens_generated": 3}
//! {"inference_status": {"tokens_input": 20, "tokens_generated": 100, "runtime_ms": 1243}, "results": []}
//! {"generated_text": "", "nb_input_tokens": 11, "nb_generated_tokens": 33}
//! {"chatResponse": {"usage": {"promptTokens": 20, "completionTokens": 12, "totalTokens": 32}}}
//! {"Response": {"Usage": {"PromptTokens": 3, "CompletionTokens": 20, "TotalTokens": 23}}}
//! {"type": "model", "text": "", "metadata": {"input_tokens": 12, "generated_tokens": 31}}
//! ```

use super::table::{Fields, Meaning, Member, Place, Provider, RequestWords, UsageShape};

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[Place::count("", "num_tokens_prompt_total"), Place::count("", "num_tokens_generated")],
            signs: &[&["num_tokens_prompt_total"]],
            fields: Fields { input: &["num_tokens_prompt_total"], output: &["num_tokens_generated"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "inference_status")],
            signs: &[&["tokens_input"], &["tokens_generated"]],
            fields: Fields { input: &["tokens_input"], output: &["tokens_generated"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::count("", "nb_input_tokens"), Place::count("", "nb_generated_tokens")],
            signs: &[&["nb_input_tokens"], &["nb_generated_tokens"]],
            fields: Fields { input: &["nb_input_tokens"], output: &["nb_generated_tokens"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::count("metadata", "input_tokens"), Place::count("metadata", "generated_tokens")],
            signs: &[&["generated_tokens"]],
            fields: Fields { input: &["input_tokens"], output: &["generated_tokens"], ..Fields::NONE },
            ..UsageShape::PLAIN
        },
        UsageShape {
            // In a stream, of the last event.
            places: &[
                Place::usage("chatResponse", "usage"),
                Place::usage("inferenceResponse", "usage"),
                Place::usage("", "usage"),
            ],
            signs: &[&["promptTokens"]],
            fields: Fields {
                input: &["promptTokens"],
                output: &["completionTokens"],
                cache_read: &["promptTokensDetails.cachedTokens"],
                reasoning: &["completionTokensDetails.reasoningTokens"],
                total: &["totalTokens"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("", "Usage"), Place::usage("Response", "Usage")],
            signs: &[&["PromptTokens"]],
            fields: Fields {
                input: &["PromptTokens"],
                output: &["CompletionTokens"],
                cache_read: &["PromptTokensDetails.CachedTokens"],
                reasoning: &["CompletionTokensDetails.ReasoningTokens"],
                total: &["TotalTokens"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
    ],
    request: RequestWords {
        members: &[
            Member::new("maximum_tokens", Meaning::Bound),
            Member::new("max_new_tokens", Meaning::Bound),
            Member::within("chatRequest", "maxTokens", Meaning::Bound),
            Member::within("chatRequest", "maxCompletionTokens", Meaning::Bound),
            Member::within("chatRequest", "numGenerations", Meaning::Choices),
            Member::within("chatRequest", "messages", Meaning::Messages),
            Member::within("inferenceRequest", "maxTokens", Meaning::Bound),
        ],
        settings: &["compartmentId", "servingMode"],
        schemas: &[],
        media: &[],
    },
    ..Provider::NONE
};

//! Bedrock's agents, and Nova's speech: what they report beside Converse and InvokeModel.
//!
//! Sources: <https://docs.aws.amazon.com/bedrock/latest/userguide/trace-events.html> and the type `Metadata` of
//! `bedrock-agent-runtime`; <https://docs.aws.amazon.com/nova/latest/userguide/output-events.html>.
//!
//! An agent's frames hold its answer where those of InvokeModel hold the model's documents; a header tells them apart.
//! It calls models several times. With `enableTrace` each call is a frame of the stream, and counts for itself:
//!
//! ```json
//! {"sessionId": "", "trace": {"orchestrationTrace": {"modelInvocationOutput": {
//!     "metadata": {"usage": {"inputTokens": 690, "outputTokens": 141}}}}}}
//! ```
//!
//! Speech counts in events that each hold the sum so far:
//!
//! ```json
//! {"event": {"usageEvent": {"totalInputTokens": 320, "totalOutputTokens": 71, "totalTokens": 391, "details": {}}}}
//! ```

use super::table::{EndpointWord, Fields, Place, Provider, Role, UsageShape};

/// The header that every response of an agent has: the content type of its answer.
pub(crate) const AGENT_HEADER: &str = "x-amzn-bedrock-agent-content-type";

pub(super) const PROVIDER: Provider = Provider {
    usage: &[
        UsageShape {
            places: &[
                Place::usage("trace.preProcessingTrace.modelInvocationOutput.metadata", "usage"),
                Place::usage("trace.orchestrationTrace.modelInvocationOutput.metadata", "usage"),
                Place::usage("trace.postProcessingTrace.modelInvocationOutput.metadata", "usage"),
                Place::usage("trace.routingClassifierTrace.modelInvocationOutput.metadata", "usage"),
            ],
            signs: &[&["inputTokens"], &["outputTokens"]],
            fields: Fields { input: &["inputTokens"], output: &["outputTokens"], ..Fields::NONE },
            role: Role::Adds,
            ..UsageShape::PLAIN
        },
        UsageShape {
            places: &[Place::usage("event", "usageEvent")],
            signs: &[&["totalInputTokens"], &["totalOutputTokens"]],
            fields: Fields {
                input: &["totalInputTokens"],
                output: &["totalOutputTokens"],
                audio_input: &["details.total.input.speechTokens"],
                audio_output: &["details.total.output.speechTokens"],
                total: &["totalTokens"],
                ..Fields::NONE
            },
            ..UsageShape::PLAIN
        },
    ],
    // Guardrails bill text units.
    endpoints: &[EndpointWord::free("/guardrail")],
    ..Provider::NONE
};

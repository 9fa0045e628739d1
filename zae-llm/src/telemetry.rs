//! Metrics by OpenTelemetry's conventions for generative AI: [`CallLabels`].
//!
//! Source: <https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-token-metrics.md>,
//! as of August 2026, in the status "development": names may change with it.
//!
//! A counter for each kind of tokens, of which cached input and reasoning are parts of input and output. The labels
//! come from bounded sets: a provider by the conventions' list, an operation by the endpoint, and a model only where
//! the provider answered with usage, so that it exists, and only the first hundred.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use metrics::{Label, SharedString};

use crate::{ApiFormat, LlmRequest, Usage};

/// The names of the counters.
const INPUT: &str = "gen_ai.client.inference.usage.input_tokens";
const OUTPUT: &str = "gen_ai.client.inference.usage.output_tokens";
const CACHE_READ: &str = "gen_ai.client.inference.usage.cache_read.input_tokens";
const CACHE_WRITE: &str = "gen_ai.client.inference.usage.cache_write.input_tokens";
const REASONING: &str = "gen_ai.client.inference.usage.reasoning.output_tokens";
/// Micro-dollars, for which there is no convention.
const COST: &str = "zae_llm_microdollars_total";

/// The value of a label beyond its set, as the conventions name it.
const OTHER: &str = "_OTHER";
/// Maximum number of models that are labels of their own.
const MAX_MODELS: usize = 100;
/// Maximum length of a model's name as a label, in bytes.
const MAX_NAME: usize = 128;

/// Hosts of providers by their ends, and the names that the conventions have for them.
const HOSTS: [(&str, &str); 18] = [
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    (".ml.cloud.ibm.com", "ibm.watsonx.ai"),
    ("api.mistral.ai", "mistral_ai"),
    ("codestral.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    (".amazonaws.com", "aws.bedrock"),
];

/// The labels of a call in metrics: the model and the operation that it asks for, and the provider that it goes to.
///
/// ```
/// use zae_llm::{CallLabels, LlmRequest};
/// let request = LlmRequest::parse(br#"{"model":"gpt-5","input":"Hi"}"#).at("/v1/embeddings");
/// let labels = CallLabels::of(&request).at_host("api.openai.com");
/// assert_eq!(labels.model.as_deref(), Some("gpt-5"));
/// assert_eq!((labels.operation, labels.provider), ("embeddings", Some("openai")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallLabels {
    /// The model, as the request names it.
    pub model: Option<String>,
    /// The operation, by the conventions' names: `chat` if the endpoint does not tell.
    pub operation: &'static str,
    /// The provider, by the conventions' names; by the format of the response if it is not known before.
    pub provider: Option<&'static str>,
}

impl CallLabels {
    /// Returns the labels of a request.
    pub fn of(request: &LlmRequest) -> Self {
        let model = request.model().map(str::to_owned);
        Self { model, operation: request.operation(), provider: None }
    }

    /// Adds the provider, if the host is known to be one.
    #[must_use]
    pub fn at_host(mut self, host: &str) -> Self {
        self.provider = HOSTS.iter().find(|(end, _)| host.ends_with(end)).map(|(_, name)| *name).or(self.provider);
        self
    }
}

/// Returns the name that the conventions have for providers of this format.
fn provider_of(format: ApiFormat) -> &'static str {
    match format {
        ApiFormat::OpenAi => "openai",
        ApiFormat::Anthropic => "anthropic",
        ApiFormat::Gemini => "gcp.gen_ai",
        ApiFormat::Bedrock => "aws.bedrock",
        ApiFormat::Cohere => "cohere",
        ApiFormat::Watsonx => "ibm.watsonx.ai",
        _ => OTHER,
    }
}

/// The models that are labels.
#[derive(Debug, Default)]
pub(crate) struct ModelLabels {
    known: Mutex<HashSet<Arc<str>>>,
}

impl ModelLabels {
    /// Counts the usage of a call, by kind and modality, and its cost.
    pub(crate) fn count(
        &self,
        call: &CallLabels,
        format: Option<ApiFormat>,
        usage: &Usage,
        micro_dollars: Option<u64>,
    ) {
        let provider = call.provider.or_else(|| format.map(provider_of)).unwrap_or(OTHER);
        let operation = if call.operation.is_empty() { "chat" } else { call.operation };
        let mut labels = vec![Label::new("gen_ai.provider.name", provider)];
        labels.extend(call.model.as_deref().map(|model| Label::new("gen_ai.request.model", self.known(model))));
        if let Some(cost) = micro_dollars {
            metrics::counter!(COST, labels.clone()).increment(cost);
        }
        labels.push(Label::new("gen_ai.operation.name", operation));
        for (name, modality, tokens) in amounts(usage) {
            if tokens > 0 {
                let mut labels = labels.clone();
                labels.push(Label::new("gen_ai.token.modality", modality));
                metrics::counter!(name, labels).increment(tokens);
            }
        }
    }

    /// Returns the label of a model.
    fn known(&self, model: &str) -> SharedString {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(model) {
            return Arc::clone(known).into();
        }
        if known.len() >= MAX_MODELS || model.len() > MAX_NAME {
            return OTHER.into();
        }
        let name: Arc<str> = model.into();
        known.insert(Arc::clone(&name));
        name.into()
    }
}

/// Returns the counters of a usage, with their modality. What no provider tells apart is of an unknown one.
fn amounts(usage: &Usage) -> [(&'static str, &'static str, u64); 9] {
    let split = |all: u64, audio: u64, image: u64| {
        let rest = all.saturating_sub(audio).saturating_sub(image);
        (if audio + image > 0 { "text" } else { "unknown" }, rest)
    };
    let (of_input, input) = split(usage.input(), usage.audio_input, usage.image_input);
    let (of_output, output) = split(usage.output, usage.audio_output, usage.image_output);
    [
        (INPUT, of_input, input),
        (INPUT, "audio", usage.audio_input),
        (INPUT, "image", usage.image_input),
        (OUTPUT, of_output, output),
        (OUTPUT, "audio", usage.audio_output),
        (OUTPUT, "image", usage.image_output),
        (CACHE_READ, "unknown", usage.cache_read),
        (CACHE_WRITE, "unknown", usage.cache_write),
        (REASONING, "unknown", usage.reasoning),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_bounded_and_hosts_are_known_by_their_ends() {
        let models = ModelLabels::default();
        for number in 0..2 * MAX_MODELS {
            let label = models.known(&format!("model-{number}"));
            assert_eq!(&*label == OTHER, number >= MAX_MODELS, "{label}");
        }
        assert_eq!(&*models.known("model-7"), "model-7", "it stays the same");
        assert_eq!(&*ModelLabels::default().known(&"x".repeat(MAX_NAME + 1)), OTHER);
        for (host, provider) in [
            ("api.openai.com", Some("openai")),
            ("team.openai.azure.com", Some("azure.ai.openai")),
            ("team.services.ai.azure.com", Some("azure.ai.inference")),
            ("bedrock-runtime.eu-central-1.amazonaws.com", Some("aws.bedrock")),
            ("europe-west1-aiplatform.googleapis.com", Some("gcp.vertex_ai")),
            ("api.openai.com.example.org", None),
        ] {
            assert_eq!(CallLabels::default().at_host(host).provider, provider, "{host}");
        }
    }

    #[test]
    fn modalities_add_up_to_the_whole() {
        let usage = Usage::new(100, 50).cache_read_beside(30).audio_input_within(40).image_output_within(20);
        let sum = |name| amounts(&usage).iter().filter(|(counter, ..)| *counter == name).map(|(.., n)| n).sum::<u64>();
        assert_eq!((sum(INPUT), sum(OUTPUT), sum(CACHE_READ)), (130, 50, 30));
        let of =
            |name, modality| amounts(&usage).iter().any(|(n, m, tokens)| (*n, *m) == (name, modality) && *tokens > 0);
        assert!(of(INPUT, "text") && of(INPUT, "audio") && of(OUTPUT, "image") && !of(INPUT, "unknown"));
        assert_eq!(amounts(&Usage::new(1, 0))[0], (INPUT, "unknown", 1));
    }
}

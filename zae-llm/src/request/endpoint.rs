//! The endpoint of a request, by its path: [`Endpoint`].

use crate::providers::{table::EndpointCost, tables};

/// The kind of an endpoint, as far as tokens are concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// It generates tokens, or is unknown.
    #[default]
    Answers,
    /// It reads tokens and generates none.
    Reads,
    /// It costs no tokens.
    Free,
}

impl Endpoint {
    /// Determines the kind by the last part of `path` that a provider's table knows.
    pub(super) fn of(path: &str) -> Self {
        // A server may interpret such a path differently.
        if path.contains("..") || path.contains('%') || path.contains("//") {
            return Self::Answers;
        }
        let path = path.trim_end_matches('/');
        let known = tables().endpoints.iter().find(|endpoint| {
            path.ends_with(endpoint.path) || endpoint.with_below && path.contains(&format!("{}/", endpoint.path))
        });
        match known.map(|endpoint| endpoint.serves) {
            None if is_of_reader(path) => Self::Reads,
            None => Self::Answers,
            Some(EndpointCost::Reading) => Self::Reads,
            Some(EndpointCost::NoTokens) => Self::Free,
        }
    }
}

/// Returns true for endpoints that all models share, of a model that only reads: Bedrock's InvokeModel, Vertex's
/// predict and Cloudflare's run. Names that operators choose, as of Azure's deployments, tell nothing.
fn is_of_reader(path: &str) -> bool {
    let is_shared = path.ends_with("/invoke") || path.ends_with(":predict") || path.contains("/ai/run/");
    let is_reader = |model: String| ["embed", "rerank", "bge-"].iter().any(|word| model.contains(word));
    is_shared && model(path).is_some_and(is_reader)
}

/// Returns the operation that a path asks for, by OpenTelemetry's names, and `rerank`, for which they have none.
pub(super) fn operation(path: &str, endpoint: Endpoint) -> &'static str {
    let is_legacy = path.ends_with("/completions") && !path.ends_with("/chat/completions");
    match endpoint {
        Endpoint::Reads if path.contains("rank") || path.contains("score") => "rerank",
        Endpoint::Reads => "embeddings",
        _ if path.ends_with("enerateContent") => "generate_content",
        _ if is_legacy || path.ends_with("/generate") || path.ends_with("/completion") => "text_completion",
        _ => "chat",
    }
}

/// Returns the model in a path: after `/models/`, `/model/`, `/deployments/` or `/ai/run/`, up to a colon with a verb.
pub(super) fn model(path: &str) -> Option<String> {
    let (_, run) = path.split_once("/ai/run/").map_or((path, None), |(_, model)| (path, Some(model)));
    if let Some(model) = run.filter(|model| !model.is_empty()) {
        return Some(model.to_owned());
    }
    let rest = ["/models/", "/model/", "/deployments/"].iter().find_map(|name| Some(path.split_once(name)?.1))?;
    let model = rest.split('/').next()?;
    // A Bedrock version also has a colon; one of Google's verbs begins with a letter.
    let model = match model.rsplit_once(':') {
        Some((model, verb)) if verb.starts_with(|first: char| first.is_ascii_alphabetic()) => model,
        _ => model,
    };
    (!model.is_empty()).then(|| model.replace("%3A", ":").replace("%3a", ":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_known_by_their_ends() {
        for (path, endpoint) in [
            ("/v1/chat/completions", Endpoint::Answers),
            ("/v1/responses", Endpoint::Answers),
            ("/v1/embeddings", Endpoint::Reads),
            ("/openai/deployments/x/embeddings/", Endpoint::Reads),
            ("/v2/rerank", Endpoint::Reads),
            ("/api/embed", Endpoint::Reads),
            ("/v1beta/models/gemini-embedding-001:embedContent", Endpoint::Reads),
            ("/v1/messages/count_tokens", Endpoint::Free),
            ("/v1beta/models/gemini-2.5-pro:countTokens", Endpoint::Free),
            ("/v1/moderations", Endpoint::Free),
            ("/v1/files", Endpoint::Free),
            ("/v1/files/file-1/content", Endpoint::Free),
            ("/v1/batches", Endpoint::Free),
            ("/v1/messages/batches", Endpoint::Free),
            ("/v1/uploads/u/parts", Endpoint::Free),
            ("/v1/responses/input_tokens", Endpoint::Free),
            ("/v1/vector_stores/vs_1/files", Endpoint::Free),
            ("/model/anthropic.claude-3-haiku-20240307-v1:0/count-tokens", Endpoint::Free),
            ("/v1/projects/p/locations/l/publishers/anthropic/models/count-tokens:rawPredict", Endpoint::Free),
            ("/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro:countTokens", Endpoint::Free),
            ("/v1beta/cachedContents", Endpoint::Reads),
            ("/api/v1/models/load", Endpoint::Free),
            ("/model/amazon.titan-embed-text-v2:0/invoke", Endpoint::Reads),
            ("/model/cohere.rerank-v3-5:0/invoke", Endpoint::Reads),
            ("/model/amazon.nova-lite-v1:0/invoke", Endpoint::Answers),
            ("/v1/projects/p/locations/l/publishers/google/models/text-embedding-005:predict", Endpoint::Reads),
            ("/client/v4/accounts/a/ai/run/@cf/baai/bge-base-en-v1.5", Endpoint::Reads),
            ("/client/v4/accounts/a/ai/run/@cf/meta/llama-3-8b", Endpoint::Answers),
            ("/openai/deployments/embed/chat/completions", Endpoint::Answers),
            ("/guardrail/g/version/1/apply", Endpoint::Free),
            ("/v1/ocr", Endpoint::Reads),
            ("/api/v1/services/rerank/text-rerank/text-rerank", Endpoint::Reads),
            ("/v1/conversations", Endpoint::Answers),
            ("/profiles", Endpoint::Answers),
            ("/v1/files/../chat/completions", Endpoint::Answers),
            ("/v1/files/%2e%2e/chat/completions", Endpoint::Answers),
        ] {
            assert_eq!(Endpoint::of(path), endpoint, "{path}");
        }
    }

    #[test]
    fn a_path_names_the_operation() {
        for (path, name) in [
            ("/v1/chat/completions", "chat"),
            ("/v1/messages", "chat"),
            ("/v1/completions", "text_completion"),
            ("/api/generate", "text_completion"),
            ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", "generate_content"),
            ("/v1/embeddings", "embeddings"),
            ("/v2/rerank", "rerank"),
        ] {
            assert_eq!(operation(path, Endpoint::of(path)), name, "{path}");
        }
    }

    #[test]
    fn a_path_may_name_the_model() {
        for (path, model) in [
            ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", Some("gemini-2.5-pro")),
            (
                "/v1/projects/p/locations/l/publishers/anthropic/models/claude-opus-4-5:rawPredict",
                Some("claude-opus-4-5"),
            ),
            ("/model/anthropic.claude-3-haiku-20240307-v1:0/invoke", Some("anthropic.claude-3-haiku-20240307-v1:0")),
            (
                "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse",
                Some("anthropic.claude-3-haiku-20240307-v1:0"),
            ),
            ("/openai/deployments/gpt-5/chat/completions", Some("gpt-5")),
            ("/client/v4/accounts/a/ai/run/@cf/meta/llama-3-8b", Some("@cf/meta/llama-3-8b")),
            ("/v1/chat/completions", None),
            ("/v1/models/", None),
        ] {
            assert_eq!(super::model(path).as_deref(), model, "{path}");
        }
    }
}

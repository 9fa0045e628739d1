//! Providers, one file each, and the tables that the readers make of them.
//!
//! A provider's file describes its API as data and cites its documentation; [`table`] has the words for it. To add one:
//! a file, its `mod` line, and its place in a row below. Nothing else names a provider.

mod anthropic;
mod azure;
mod baidu;
mod bedrock_agents;
mod bedrock_converse;
mod bedrock_invoke;
mod bedrock_models;
mod cloudflare;
mod cohere;
mod dashscope;
mod deepgram;
mod deepseek;
mod gemini;
mod gemini_interactions;
mod github;
mod groq;
mod hosts;
mod ietf;
mod jina;
mod llama_cpp;
mod lm_studio;
mod media;
mod merged;
mod minimax;
mod mistral;
mod moonshot;
mod ollama;
mod openai;
mod perplexity;
mod platforms;
mod replicate;
mod sglang;
mod shape;
mod stripe;
pub(crate) mod table;
mod tei;
mod tgi;
mod vertex;
mod voyage;
mod watsonx;
mod xai;
mod yandex;

use self::table::Provider;
pub(crate) use self::{
    bedrock_agents::AGENT_HEADER,
    merged::{Shape, Wrapper, tables},
};

/// Makes [`ApiFormat`] and [`ALL`] of the rows: a format, and the files that write it. Where two shapes of usage fit an
/// object, the one further up reads it.
macro_rules! formats {
    ($($(#[$doc:meta])+ $format:ident: $($file:ident),+;)+ no format: $($other:ident),+;) => {
        /// Format in which a provider writes usage.
        ///
        /// ```
        /// use http::{HeaderMap, StatusCode};
        /// use zae_llm::{ApiFormat, End, Reading, Unseen, Usage, UsageReader};
        /// let read = |format| {
        ///     let mut reader = UsageReader::new(format, StatusCode::OK, &HeaderMap::new());
        ///     reader.push(br#"{"usage":{"input_tokens":10,"output_tokens":20}}"#);
        ///     reader.finish(End::Complete)
        /// };
        /// assert_eq!(read(ApiFormat::Auto), Reading::Final(Usage::new(10, 20)));
        /// assert_eq!(read(ApiFormat::Anthropic), Reading::Final(Usage::new(10, 20)));
        /// assert_eq!(read(ApiFormat::Gemini), Reading::Unseen(Unseen::Absent));
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ApiFormat {
            /// Whichever of the others it turns out to be; they do not overlap.
            #[default]
            Auto,
            $($(#[$doc])+ $format,)+
        }

        /// Every provider, with the format that it writes.
        const ALL: &[(ApiFormat, &Provider)] = &[
            $($((ApiFormat::$format, &$file::PROVIDER),)+)+
            $((ApiFormat::Auto, &$other::PROVIDER),)+
        ];
    };
}

formats! {
    /// OpenAI chat completions, Responses, embeddings, pictures and sound, and the many that speak like them: the last
    /// `usage` of a document or a stream, `response.completed` and its kind, Groq's `x_groq`, Moonshot's last choice.
    OpenAi: perplexity, mistral, xai, deepseek, moonshot, openai, azure, groq, cloudflare, dashscope, minimax,
        baidu;
    /// Cohere, versions 1 and 2: `usage` or `meta`, in streams of the last event or line.
    Cohere: cohere;
    /// Bedrock's Converse, as JSON and in AWS's binary frames, and what InvokeModel itself counts: headers, and the
    /// invocation metrics of streams whose model reports no usage of its own; Titan, Llama and Nova; agents.
    Bedrock: bedrock_converse, bedrock_invoke, bedrock_models, bedrock_agents;
    /// Anthropic messages, also through Bedrock's InvokeModel: `usage`; in streams that of `message_start`, completed
    /// by the last `message_delta`.
    Anthropic: anthropic;
    /// Gemini's `generateContent` and `streamGenerateContent`: the last `usageMetadata`, of events or of a list.
    /// Its Interactions API: `usage`, in streams that of the event `interaction.completed`. Vertex embeddings.
    Gemini: gemini, gemini_interactions, vertex;
    /// Voyage embeddings and rerankers, and others whose `usage` has nothing but `total_tokens`: all of it is input.
    Voyage: voyage, jina;
    /// Ollama's own API: the counts of the last line.
    Ollama: ollama;
    /// Servers that one runs oneself, by their own APIs: llama.cpp, LM Studio, SGLang, text-generation-inference and
    /// text-embeddings-inference.
    SelfHosted: llama_cpp, lm_studio, sglang, tgi, tei;
    /// Hosts and platforms with APIs of their own: Aleph Alpha, Coze, DeepInfra, Deepgram, Dify, NLP Cloud, OCI,
    /// Salesforce, SAP, Tencent and YandexGPT.
    Hosts: hosts, yandex, platforms, deepgram;
    /// Replicate's predictions: `metrics`.
    Replicate: replicate;
    /// watsonx text generation and embeddings: the counts of `results`.
    Watsonx: watsonx;
    no format: github, stripe, ietf;
}

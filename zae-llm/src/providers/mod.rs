//! Providers, one file each, and the tables that the readers make of them.
//!
//! A provider's file describes its API as data and cites its documentation; [`table`] has the words for it. To add one:
//! a file, its `mod` line, and its place in a row below. Nothing else names a provider.

mod anthropic;
mod azure;
mod bedrock_converse;
mod bedrock_invoke;
mod deepseek;
mod gemini;
mod gemini_interactions;
mod github;
mod groq;
mod ietf;
mod merged;
mod openai;
mod stripe;
pub(crate) mod table;
mod voyage;

pub(crate) use self::merged::{Wrapper, tables};
use self::table::Provider;

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
    /// OpenAI chat completions, Responses and embeddings, and the many that speak like them: the last `usage` of a
    /// document or a stream, `response.completed` and its kind, Groq's `x_groq`.
    OpenAi: deepseek, openai, azure, groq;
    /// Bedrock's Converse, as JSON and in AWS's binary frames, and what InvokeModel itself counts: headers, and the
    /// invocation metrics of streams whose model reports no usage of its own.
    Bedrock: bedrock_converse, bedrock_invoke;
    /// Anthropic messages, also through Bedrock's InvokeModel: `usage`; in streams that of `message_start`, completed
    /// by the last `message_delta`.
    Anthropic: anthropic;
    /// Gemini's `generateContent` and `streamGenerateContent`: the last `usageMetadata`, of events or of a list.
    /// Its Interactions API: `usage`, in streams that of the event `interaction.completed`.
    Gemini: gemini, gemini_interactions;
    /// Voyage embeddings and rerankers, and others whose `usage` has nothing but `total_tokens`: all of it is input.
    Voyage: voyage;
    no format: github, stripe, ietf;
}

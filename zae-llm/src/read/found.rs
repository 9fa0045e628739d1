//! Reports of scanners about a response: [`Found`], [`Events`].

/// Location of a value of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/usage`
    Usage,
    /// `/usage` within one of `response`, `message` and `x_groq`.
    NestedUsage(Wrapper),
    /// `/usageMetadata`
    Metadata,
    /// `/amazon-bedrock-invocationMetrics`
    Metrics,
    /// `/type`
    Type,
    /// `/bytes`
    Bytes,
    /// `/error`, also within `response`; `null` in what is none.
    Error,
}

/// The members of a document in which its usage may stand one level deeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapper {
    /// OpenAI Responses, in a stream; Gemini behind some proxies.
    Response,
    /// Anthropic's `message_start`.
    Message,
    /// Groq's own.
    Groq,
}

/// The loss that a broken document causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A value of interest, or what may have been one.
    Usage,
    /// Nothing that counts.
    Nothing,
}

/// Receives the scanner's reports about documents.
pub(super) trait Found {
    /// A value stands at `place`: all of its bytes, or `None` when it is too long.
    fn value(&mut self, place: Place, bytes: Option<&[u8]>);
    /// The document (or the element of the list of documents) is complete.
    fn document(&mut self);
    /// The bytes are no JSON, or end early; what was found in this document does not count.
    fn broken(&mut self, lost: Lost);
}

/// Receives the scanner's reports about events, beside those about the documents in them.
pub(super) trait Events: Found {
    /// An event has ended.
    fn event(&mut self, name: &[u8]);
    /// The event that says that no more will come.
    fn done(&mut self);
}

//! The tables in which a provider's file describes its API: [`Provider`].

use std::time::Duration;

pub(crate) use super::media::{MediaRule, PicturePrice};
pub(crate) use super::shape::{Counted, Fields, Kind, Paths, Remainder, Role, Steps, UsageShape};
use crate::limits::Refill;

/// A provider's API, as far as it matters to limits. Each part may be left out; see [`Provider::NONE`].
#[derive(Debug)]
pub(crate) struct Provider {
    /// Shapes in which it writes usage.
    pub(crate) usage: &'static [UsageShape],
    /// Values of its documents that matter beside usage.
    pub(crate) places: &'static [Place],
    /// Words by which its answers end or fail.
    pub(crate) words: &'static [Word],
    /// Headers of its responses that count tokens.
    pub(crate) head: Option<HeadCounts>,
    /// Members of its requests.
    pub(crate) request: RequestWords,
    /// Reports about its own limits.
    pub(crate) limits: LimitWords,
    /// Tokens of media in its requests.
    pub(crate) media: &'static [MediaRule],
    /// Endpoints that answer no tokens.
    pub(crate) endpoints: &'static [EndpointWord],
}

/// The end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EndpointWord {
    pub(crate) path: &'static str,
    /// The endpoints below it are of the kind, too.
    pub(crate) with_below: bool,
    pub(crate) serves: EndpointCost,
}

/// The kind of an endpoint that answers no tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndpointCost {
    /// It reads tokens.
    Reading,
    /// It costs no tokens.
    NoTokens,
}

impl EndpointWord {
    pub(crate) const fn reads(path: &'static str) -> Self {
        Self { path, with_below: false, serves: EndpointCost::Reading }
    }

    pub(crate) const fn free(path: &'static str) -> Self {
        Self { path, with_below: true, serves: EndpointCost::NoTokens }
    }
}

impl Provider {
    /// Says nothing; the other parts of a provider that describes a few.
    pub(crate) const NONE: Self = Self {
        usage: &[],
        places: &[],
        words: &[],
        head: None,
        request: RequestWords { members: &[], settings: &[], schemas: &[], media: &[] },
        limits: LimitWords::NONE,
        media: &[],
        endpoints: &[],
    };
}

/// A value in a document of a response: a member of the document itself, or of an object somewhere in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    // In front, as it tells most places apart where two are compared.
    pub(crate) name: &'static str,
    /// The members of the document that lead to it, with dots between them; empty for the document. A member that is a
    /// list stands for each of its objects.
    pub(crate) within: &'static str,
    /// The content of the value.
    pub(crate) holds: Holds,
}

/// The content of a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// An object of counts.
    Usage,
    /// One count. All those of a document make one object, in which those of one name are added.
    Count,
    /// The tier that served the call, beside its usage.
    Tier,
    /// The kind of the document, a text.
    Kind,
    /// A failure; `null`, `false`, 0, an empty text and an empty list are none.
    Error,
    /// The code of a failure, where an event's name says that the document is one.
    Code,
    /// Another document, in base64.
    Wrapped,
}

impl Place {
    /// A value of the member `name`, within the members `within`.
    const fn new(within: &'static str, name: &'static str, holds: Holds) -> Self {
        Self { name, within, holds }
    }

    /// A usage object, within a member or (if that is empty) the document.
    pub(crate) const fn usage(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Usage)
    }

    /// A count that stands beside other members.
    pub(crate) const fn count(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Count)
    }

    /// The tier of service, as text beside the usage.
    pub(crate) const fn tier(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Tier)
    }

    /// The kind of a document, such as `message_delta`; words of the provider say what it means.
    pub(crate) const fn kind(name: &'static str) -> Self {
        Self::new("", name, Holds::Kind)
    }

    /// A failure, whatever it holds beside a code.
    pub(crate) const fn error(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Error)
    }

    /// The code of a failure in an event whose name says that it is one.
    pub(crate) const fn code(name: &'static str) -> Self {
        Self::new("", name, Holds::Code)
    }

    /// A document of the model in base64, as Bedrock passes it on.
    pub(crate) const fn wrapped(name: &'static str) -> Self {
        Self::new("", name, Holds::Wrapped)
    }
}

/// A word that tells how an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The spot where it has to stand; elsewhere it is text of the model.
    pub(crate) is: Spot,
    /// The whole text at that spot; case matters.
    pub(crate) text: &'static str,
    /// Its meaning.
    pub(crate) means: Means,
}

/// The spot where a [`Word`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The name of a server-sent event.
    EventName,
    /// All of an event's data.
    EventData,
    /// The document's [kind](Holds::Kind).
    DocumentKind,
    /// The type of a frame of an AWS event stream.
    FrameType,
}

/// The meaning of a [`Word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    /// The usage in the same document is the answer's last.
    LastUsage,
    /// No more comes.
    Done,
    /// The provider gave up.
    Failed,
    /// The provider did not run the call, if the word is one of [`LimitWords::refused`].
    Refused,
}

impl Word {
    /// The name of a server-sent event.
    pub(crate) const fn event(text: &'static str, means: Means) -> Self {
        Self { is: Spot::EventName, text, means }
    }

    /// The data of a server-sent event, such as `[DONE]`.
    pub(crate) const fn data(text: &'static str, means: Means) -> Self {
        Self { is: Spot::EventData, text, means }
    }

    /// The kind of a document.
    pub(crate) const fn kind(text: &'static str, means: Means) -> Self {
        Self { is: Spot::DocumentKind, text, means }
    }

    /// The message type, or the exception type, of an AWS frame.
    pub(crate) const fn frame(text: &'static str, means: Means) -> Self {
        Self { is: Spot::FrameType, text, means }
    }
}

/// Headers that count tokens; cached ones are beside the input. A name that is empty stands for none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadCounts {
    /// Input that was not cached.
    pub(crate) input: &'static str,
    /// Output, reasoning included.
    pub(crate) output: &'static str,
    /// Input from a cache.
    pub(crate) cache_read: &'static str,
    /// Input into a cache.
    pub(crate) cache_write: &'static str,
}

/// Members of a request's body.
#[derive(Debug)]
pub(crate) struct RequestWords {
    /// Members that have a meaning for the estimate.
    pub(crate) members: &'static [Member],
    /// Members that are no part of what the model reads.
    pub(crate) settings: &'static [&'static str],
    /// Members whose names the model reads too, as it is told of tools by their schema.
    pub(crate) schemas: &'static [&'static str],
    /// Members at any depth that hold or point to a picture, a sound or a file.
    pub(crate) media: &'static [&'static str],
}

/// A member of a request's body, or of one of its sections, that has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Empty for the body itself.
    pub(crate) section: &'static str,
    /// Its name.
    pub(crate) name: &'static str,
    /// The meaning of its value.
    pub(crate) meaning: Meaning,
}

/// The meaning of a [`Member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The model that is asked.
    Model,
    /// A model by another name, where there is no [`Model`](Meaning::Model).
    ModelId,
    /// True if the answer is to be streamed.
    Stream,
    /// The most tokens of output.
    Bound,
    /// Number of answers asked for.
    Choices,
    /// The list of messages, each of which costs a few tokens of framing.
    Messages,
    /// Holds others.
    Section,
}

impl Member {
    /// A member of the body.
    pub(crate) const fn new(name: &'static str, meaning: Meaning) -> Self {
        Self::within("", name, meaning)
    }

    /// A member of a section of the body, such as `generationConfig`.
    pub(crate) const fn within(section: &'static str, name: &'static str, meaning: Meaning) -> Self {
        Self { section, name, meaning }
    }
}

/// Reports of an answer about the provider's own limits.
#[derive(Debug)]
pub(crate) struct LimitWords {
    /// Headers that describe limits.
    pub(crate) windows: &'static [WindowHeaders],
    /// Headers with the milliseconds until a retry makes sense.
    pub(crate) retry_after_millis: &'static [&'static str],
    /// Headers that say `false` where no retry makes sense.
    pub(crate) should_retry: &'static [&'static str],
    /// Codes of refusals that no waiting ends: somebody has to pay, or to raise a limit.
    pub(crate) permanent: &'static [&'static str],
    /// Phrases of an error's message, in lower case, by which a 429 says that the call is larger than the limit itself.
    pub(crate) too_large: &'static [&'static str],
    /// Codes that a 429 may have although no limit was met.
    pub(crate) unrelated: &'static [Unrelated],
    /// Codes of errors, within an answer that began as a success, by which the provider says that it did not run the
    /// call: a limit was met, or it is overloaded.
    pub(crate) refused: &'static [&'static str],
    /// Phrases of an error's message, in lower case, that a duration follows.
    pub(crate) retry_phrases: &'static [&'static str],
    /// Details of an error that hold a duration.
    pub(crate) retry_details: &'static [RetryDetail],
    /// Phrases for limits that come without a time.
    pub(crate) untimed: &'static [Untimed],
}

impl LimitWords {
    /// Says nothing; the other parts of a provider that says a little.
    pub(crate) const NONE: Self = Self {
        windows: &[],
        retry_after_millis: &[],
        should_retry: &[],
        permanent: &[],
        too_large: &[],
        unrelated: &[],
        refused: &[],
        retry_phrases: &[],
        retry_details: &[],
        untimed: &[],
    };
}

/// A family of headers that describe limits: `limit`, `remaining` and `reset` of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowHeaders {
    /// The beginning of all their names.
    pub(crate) prefix: &'static str,
    /// The form of what follows.
    pub(crate) rest: HeaderRest,
    /// The way in which such windows refill, which decides what an empty one means.
    pub(crate) refill: Refill,
}

/// The part of a header's name after its prefix.
#[derive(Clone, Copy, Debug)]
pub(crate) enum HeaderRest {
    /// `remaining-requests`
    FieldThenName,
    /// `requests-remaining`, where the name begins so.
    NameThenField(&'static str),
    /// `remaining`, of a limit that is called so.
    Field(&'static str),
}

/// A code without a limit behind it, unless a header says otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unrelated {
    /// The code or type of the error.
    pub(crate) code: &'static str,
    /// The header that says that it is a limit after all.
    pub(crate) unless: &'static str,
}

/// A detail of an error: the end of its `@type`, and the path to the member with the duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryDetail {
    /// The end of its `@type`, such as `google.rpc.RetryInfo`.
    pub(crate) kind: &'static str,
    /// The path to the duration, with dots between the names.
    pub(crate) member: &'static str,
}

/// A limit that comes without a time: the phrase, in lower case, the header by which the provider is known, and the
/// time that it asks to wait at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untimed {
    /// The phrase in the error's message, in lower case.
    pub(crate) phrase: &'static str,
    /// The header that every answer of the provider has.
    pub(crate) header: &'static str,
    /// The time to wait, as its documentation asks for.
    pub(crate) wait: Duration,
}

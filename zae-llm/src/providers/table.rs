//! The tables in which a provider's file describes its API: [`Provider`].

use std::time::Duration;

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
    };
}

/// A value in a document of a response: a member of the document itself, or of an object that is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    // In front, as it tells most places apart where two are compared.
    pub(crate) name: &'static str,
    /// The member of the document that holds it; empty for the document.
    pub(crate) within: &'static str,
    pub(crate) holds: Holds,
}

/// The content of a [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    Usage,
    /// The kind of the document, a text.
    Kind,
    /// A failure; `null`, `false` and an empty text are none.
    Error,
    /// Another document, in base64.
    Wrapped,
}

impl Place {
    const fn new(within: &'static str, name: &'static str, holds: Holds) -> Self {
        Self { name, within, holds }
    }

    /// A usage object, within a member or (if that is empty) the document.
    pub(crate) const fn usage(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Usage)
    }

    pub(crate) const fn kind(name: &'static str) -> Self {
        Self::new("", name, Holds::Kind)
    }

    pub(crate) const fn error(within: &'static str, name: &'static str) -> Self {
        Self::new(within, name, Holds::Error)
    }

    pub(crate) const fn wrapped(name: &'static str) -> Self {
        Self::new("", name, Holds::Wrapped)
    }
}

/// One shape in which a provider writes usage. The first shape of all providers that fits an object reads it.
#[derive(Debug)]
pub(crate) struct UsageShape {
    pub(crate) places: &'static [Place],
    /// Sets of members, of which all of one set must be there and not `null`; without sets, whatever stands there fits.
    pub(crate) signs: &'static [&'static [&'static str]],
    pub(crate) fields: Fields,
    /// The relation of cached tokens to the input.
    pub(crate) cached: Counted,
    /// The relation of reasoning tokens to the output.
    pub(crate) reasoning: Counted,
    pub(crate) role: Role,
}

/// Members of a usage object: `parent.name` is a member of a member. Of several the first one that is there counts.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) input: &'static [&'static str],
    /// Input beside `input`.
    pub(crate) more_input: &'static [&'static str],
    pub(crate) output: &'static [&'static str],
    pub(crate) cache_read: &'static [&'static str],
    pub(crate) cache_write: &'static [&'static str],
    pub(crate) reasoning: &'static [&'static str],
    pub(crate) total: &'static [&'static str],
}

impl Fields {
    pub(crate) const NONE: Self = Self {
        input: &[],
        more_input: &[],
        output: &[],
        cache_read: &[],
        cache_write: &[],
        reasoning: &[],
        total: &[],
    };
}

/// The relation of a part to its whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// The whole counts the part too.
    Within,
    /// The part comes in addition.
    Beside,
}

/// The part that a usage object plays among those of the same answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Repeats what came before: the last one counts.
    Repeats,
    /// Opens the answer; others complete it, and its output is a placeholder.
    Opens,
    /// Completes what came before: what it leaves out stays.
    Completes,
    /// Comes once, and nothing after it.
    Ends,
    /// As [`Ends`](Role::Ends), and counts only where there is no other.
    StandsIn,
}

/// A word that tells how an answer goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) is: Spot,
    pub(crate) text: &'static str,
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
}

impl Word {
    pub(crate) const fn event(text: &'static str, means: Means) -> Self {
        Self { is: Spot::EventName, text, means }
    }

    pub(crate) const fn data(text: &'static str, means: Means) -> Self {
        Self { is: Spot::EventData, text, means }
    }

    pub(crate) const fn kind(text: &'static str, means: Means) -> Self {
        Self { is: Spot::DocumentKind, text, means }
    }

    pub(crate) const fn frame(text: &'static str, means: Means) -> Self {
        Self { is: Spot::FrameType, text, means }
    }
}

/// Headers that count tokens; cached ones are beside the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadCounts {
    pub(crate) input: &'static str,
    pub(crate) output: &'static str,
    pub(crate) cache_read: &'static str,
    pub(crate) cache_write: &'static str,
}

/// Members of a request's body.
#[derive(Debug)]
pub(crate) struct RequestWords {
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
    pub(crate) name: &'static str,
    pub(crate) meaning: Meaning,
}

/// The meaning of a [`Member`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Model,
    /// A model by another name, where there is no [`Model`](Meaning::Model).
    ModelId,
    Stream,
    /// The most tokens of output.
    Bound,
    /// Number of answers asked for.
    Choices,
    Messages,
    /// Holds others.
    Section,
}

impl Member {
    pub(crate) const fn new(name: &'static str, meaning: Meaning) -> Self {
        Self::within("", name, meaning)
    }

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
    /// Codes that a 429 may have although no limit was met.
    pub(crate) unrelated: &'static [Unrelated],
    /// Phrases of an error's message that a duration follows.
    pub(crate) retry_phrases: &'static [&'static str],
    /// Details of an error that hold a duration.
    pub(crate) retry_details: &'static [RetryDetail],
    /// Phrases for limits that come without a time.
    pub(crate) untimed: &'static [Untimed],
}

impl LimitWords {
    pub(crate) const NONE: Self = Self {
        windows: &[],
        retry_after_millis: &[],
        should_retry: &[],
        permanent: &[],
        unrelated: &[],
        retry_phrases: &[],
        retry_details: &[],
        untimed: &[],
    };
}

/// A family of headers that describe limits: `limit`, `remaining` and `reset` of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowHeaders {
    pub(crate) prefix: &'static str,
    pub(crate) rest: HeaderRest,
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
    pub(crate) code: &'static str,
    pub(crate) unless: &'static str,
}

/// A detail of an error: the end of its `@type`, and the member with the duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryDetail {
    pub(crate) kind: &'static str,
    pub(crate) member: &'static str,
}

/// A limit that comes without a time: the phrase, in lower case, the header by which the provider is known, and the
/// time that it asks to wait at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untimed {
    pub(crate) phrase: &'static str,
    pub(crate) header: &'static str,
    pub(crate) wait: Duration,
}

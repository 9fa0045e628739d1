//! Usage of one response, put together from its documents: [`Tally`].

use super::{
    ApiFormat, Reading, Unseen,
    found::{Events, Found, Lost, Place, Wrapper},
    shape::{self, Counted},
};

/// The account of one response.
///
/// Of most providers the last usage counts, as each repeats the ones before. Anthropic's parts complement each other:
/// input comes first, output last. Bedrock's own metrics repeat what a provider's usage in the same stream says, so
/// they count only where there is none.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    format: ApiFormat,
    documents: Documents,
    document: Document,
    seen: Option<Counted>,
    progress: Progress,
    /// Something was lost that may have said more, or the provider gave up before it did.
    lost: Option<Unseen>,
}

/// The way in which documents arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Documents {
    /// By themselves; all are read.
    Alone,
    /// As events, which may be passed over unread.
    InEvents,
}

/// The part of a response that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Whole,
    /// Its beginning, for all that is known.
    Part,
}

#[derive(Clone, Debug, Default)]
struct Document {
    found: Option<(Place, Counted)>,
    ends_answer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Anthropic's first event was seen, whose output is a placeholder.
    Started,
    /// More may come, unless the response ends here.
    Under,
    /// The response said that this is all.
    Over,
}

impl Tally {
    pub(super) fn new(format: ApiFormat, documents: Documents) -> Self {
        let document = Document::default();
        Self { format, documents, document, seen: None, progress: Progress::Under, lost: None }
    }

    pub(super) fn set_documents(&mut self, documents: Documents) {
        self.documents = documents;
    }

    /// Returns true if usage of this format is to be read.
    pub(super) fn reads(&self, format: ApiFormat) -> bool {
        self.format == ApiFormat::Auto || self.format == format
    }

    pub(super) fn absurd(&mut self) {
        self.lose(Unseen::Absurd);
    }

    /// Returns true if the provider said that it failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lost == Some(Unseen::ErrorEvent)
    }

    /// From here on no usage is final. An error explains everything else.
    fn lose(&mut self, reason: Unseen) {
        if self.lost.is_none() || reason == Unseen::ErrorEvent {
            self.lost = Some(reason);
        }
    }

    /// Returns the reading of the response, given how much of it came; `None` when it says nothing, and nothing was
    /// lost.
    pub(super) fn reading(&self, came: Came) -> Option<Reading> {
        let Some(Counted { format, counts }) = self.seen else { return self.lost.map(Reading::Unseen) };
        let usage = counts.usage(format);
        let all = match self.progress {
            Progress::Started => false,
            Progress::Under => came == Came::Whole,
            Progress::Over => true,
        };
        Some(if all && self.lost.is_none() { Reading::Final(usage) } else { Reading::SoFar(usage) })
    }

    fn absorb(&mut self, place: Place, counted: Counted) {
        if place == Place::NestedUsage(Wrapper::Message) {
            self.progress = Progress::Started;
        } else if self.progress == Progress::Started && counted.format == ApiFormat::Anthropic {
            self.progress = Progress::Under;
        }
        self.seen = Some(match self.seen {
            Some(seen) if counted.format == ApiFormat::Anthropic && seen.format == ApiFormat::Anthropic => {
                Counted { counts: seen.counts.then(counted.counts), ..counted }
            }
            Some(seen) if place == Place::Metrics && seen.format != ApiFormat::Bedrock => seen,
            _ => counted,
        });
    }
}

impl Found for Tally {
    fn value(&mut self, place: Place, bytes: Option<&[u8]>) {
        match (place, bytes) {
            (Place::Bytes, _) => {}
            (Place::Type, bytes) => {
                let ends: [&[u8]; 2] = [b"\"response.completed\"", b"\"response.incomplete\""];
                self.document.ends_answer = bytes.is_some_and(|bytes| ends.contains(&bytes));
                if bytes == Some(b"\"error\"") {
                    self.lose(Unseen::ErrorEvent);
                }
            }
            (Place::Error, Some(b"null" | b"false" | b"\"\"")) => {}
            (Place::Error, _) => self.lose(Unseen::ErrorEvent),
            (_, None) => self.lose(Unseen::Malformed),
            (place, Some(bytes)) => match shape::parse(place, bytes) {
                None => {}
                Some(Err(shape::Absurd)) => self.absurd(),
                Some(Ok(counted)) if self.reads(counted.format) => self.document.found = Some((place, counted)),
                Some(Ok(_)) => {}
            },
        }
    }

    fn document(&mut self) {
        let Document { found, ends_answer } = std::mem::take(&mut self.document);
        let Some((place, counted)) = found else { return };
        self.absorb(place, counted);
        // Bedrock says it once, at the end.
        if ends_answer || counted.format == ApiFormat::Bedrock {
            self.progress = Progress::Over;
        }
    }

    fn broken(&mut self, lost: Lost) {
        let Document { found, .. } = std::mem::take(&mut self.document);
        // An event that may have been passed over unread must not make a difference when it is read.
        if lost == Lost::Usage || found.is_some() || self.documents == Documents::Alone {
            self.lose(Unseen::Malformed);
        }
    }
}

impl Events for Tally {
    fn event(&mut self, name: &[u8]) {
        match name {
            b"message_stop" => self.done(),
            // Of AWS's frames too; OpenAI's Responses say it in their own way.
            b"error" | b"exception" | b"response.failed" => self.lose(Unseen::ErrorEvent),
            _ => {}
        }
    }

    fn done(&mut self) {
        if self.progress == Progress::Under {
            self.progress = Progress::Over;
        }
    }
}

//! Usage of one response, put together from its documents: [`UsageTally`].
//!
//! A reading is final in one of three cases:
//!
//! - the answer said that it is over, by a word of the provider or by usage that comes only once, at the end;
//! - a document that stands alone is complete;
//! - the body was read to its end.
//!
//! Whatever was lost on the way (a value that is too long, an event that is no JSON, an error event) makes the reading
//! one of usage so far.

use super::{
    ApiFormat, Reading, Unseen,
    counts::{self, Stated},
    sink::{EventSink, JsonSink, Lost},
};
use crate::providers::{
    table::{Holds, Means, Place, Role, Spot},
    tables,
};

/// The account of one response.
///
/// Of most providers the last usage counts, as each repeats the ones before; [`Role`] says it of each shape.
#[derive(Clone, Debug)]
pub(super) struct UsageTally {
    format: ApiFormat,
    documents: Documents,
    document: Document,
    seen: Option<Stated>,
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
pub(super) enum Received {
    Whole,
    /// Its beginning, for all that is known.
    Part,
}

#[derive(Clone, Debug, Default)]
struct Document {
    found: Option<Stated>,
    ends_answer: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Usage was seen that [opens](Role::Opens) an answer.
    Started,
    /// More may come, unless the response ends here.
    Under,
    /// The response said that this is all.
    Over,
}

impl UsageTally {
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
    pub(super) fn reading(&self, came: Received) -> Option<Reading> {
        let Some(seen) = self.seen else { return self.lost.map(Reading::Unseen) };
        let usage = seen.usage();
        let all = match self.progress {
            Progress::Started => false,
            Progress::Under => came == Received::Whole,
            Progress::Over => true,
        };
        Some(if all && self.lost.is_none() { Reading::Final(usage) } else { Reading::SoFar(usage) })
    }

    fn absorb(&mut self, stated: Stated) {
        match stated.shape.role {
            Role::Opens => self.progress = Progress::Started,
            Role::Completes if self.progress == Progress::Started => self.progress = Progress::Under,
            // It comes once, at the end.
            Role::Ends | Role::StandsIn => self.progress = Progress::Over,
            Role::Completes | Role::Repeats => {}
        }
        let is_part = |role: Role| matches!(role, Role::Opens | Role::Completes);
        let role = stated.shape.role;
        self.seen = Some(match self.seen {
            Some(seen) if is_part(role) && is_part(seen.shape.role) => {
                Stated { counts: seen.counts.then(stated.counts), ..stated }
            }
            Some(seen) if role == Role::StandsIn && seen.shape.role != Role::StandsIn => seen,
            _ => stated,
        });
    }

    /// A word stands there, or another text.
    fn word(&mut self, spot: Spot, text: &[u8]) {
        match tables().word(spot, text).map(|word| word.means) {
            Some(Means::LastUsage) => self.document.ends_answer = true,
            Some(Means::Done) => self.done(),
            Some(Means::Failed) => self.lose(Unseen::ErrorEvent),
            None => {}
        }
    }

    fn done(&mut self) {
        if self.progress == Progress::Under {
            self.progress = Progress::Over;
        }
    }
}

impl JsonSink for UsageTally {
    fn value(&mut self, place: Place, bytes: Option<&[u8]>) {
        match (place.holds, bytes) {
            (Holds::Wrapped, _) => {}
            (Holds::Kind, bytes) => {
                self.document.ends_answer = false;
                let text = bytes.and_then(|bytes| bytes.strip_prefix(b"\"")?.strip_suffix(b"\""));
                self.word(Spot::DocumentKind, text.unwrap_or_default());
            }
            (Holds::Error, Some(b"null" | b"false" | b"\"\"")) => {}
            (Holds::Error, _) => self.lose(Unseen::ErrorEvent),
            (Holds::Usage, None) => self.lose(Unseen::Malformed),
            (Holds::Usage, Some(bytes)) => match counts::parse(place, bytes) {
                None => {}
                Some(Err(counts::Absurd)) => self.absurd(),
                Some(Ok(stated)) if self.reads(stated.format) => self.document.found = Some(stated),
                Some(Ok(_)) => {}
            },
        }
    }

    fn document(&mut self) {
        let Document { found, ends_answer } = std::mem::take(&mut self.document);
        let Some(stated) = found else { return };
        self.absorb(stated);
        if ends_answer {
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

impl EventSink for UsageTally {
    fn data(&mut self, text: &[u8]) {
        self.word(Spot::EventData, text);
    }

    fn event(&mut self, name: &[u8]) {
        self.word(Spot::EventName, name);
    }

    fn frame(&mut self, kind: &[u8]) {
        self.word(Spot::FrameType, kind);
    }
}

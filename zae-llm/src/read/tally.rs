//! Usage of one response, put together from its documents: [`UsageTally`].
//!
//! A reading is final in one of three cases:
//!
//! - the answer said that it is over, by a word of the provider or by usage that comes only once, at the end;
//! - a document that stands alone is complete;
//! - the body was read to its end.
//!
//! Whatever was lost on the way (a value that is too long, an event that is no JSON, an error event) makes the reading
//! one of usage so far, and so does usage that cannot be all: without any input, or of no tokens at all.
//!
//! Of each kind the largest count of an answer stands, because no call gives tokens back.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | usage of the same way of counting as before | merged: of each kind the larger count |
//! | usage of another way of counting | the one that comes to more; of equals the one with more detail |
//! | counts beside other members of a document | one object of them, at the document's end |
//! | the tier of service beside the usage | added to the usage of the same document |
//! | an error among the first events, with a code of a refusal | the provider did not run the call: it used nothing |
//! | any other error | no usage is final from then on |
//! | no usage, and nothing lost | nothing to say: `None` |
//!
//! An error is looked at for its code alone. What stands around it differs from provider to provider, and a code is a
//! word of its own wherever it stands.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{
    ApiFormat, Reading, Unseen,
    counts::{self, Stated},
    sink::{EventSink, JsonSink, Lost},
};
use crate::{
    ServiceTier,
    providers::{
        table::{Holds, Means, Place, Role, Spot},
        tables,
    },
};

/// An error among so many first events of a stream comes in place of an answer; behind more of them there may have been
/// a part of one.
const MAX_PRELUDE: usize = 3;
/// Counts of one document that are kept.
const MAX_COUNTS: usize = 64;

/// The account of one response.
///
/// Of most providers the last usage counts, as each repeats the ones before; [`Role`] says it of each shape.
#[derive(Clone, Debug)]
pub(super) struct UsageTally {
    /// The format whose usage is read; usage of others is passed over.
    format: ApiFormat,
    /// The way in which documents arrive, known once the first byte is seen.
    documents: Documents,
    /// Facts of the document that is being read.
    document: Document,
    /// The usage of the complete documents so far.
    seen: Option<Stated>,
    /// The share of the answer that usage stands for.
    progress: Progress,
    /// Something was lost that may have said more, or the provider gave up before it did.
    lost: Option<Unseen>,
    /// Number of events so far.
    events: usize,
    /// The code in the event that is read, which its name may turn into that of a failure.
    code: Vec<u8>,
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
    /// All of it: to the end of the body, or of a document that stands alone.
    Whole,
    /// Its beginning, for all that is known.
    Part,
}

/// Facts of one document. They count together, when it ends.
#[derive(Clone, Debug, Default)]
struct Document {
    /// Usage objects, merged.
    found: Option<Stated>,
    /// Counts that stand beside other members.
    counts: Map<String, Value>,
    /// The tier of service that is named beside the usage.
    tier: Option<ServiceTier>,
    /// True if a word in the document says that its usage is the last.
    ends_answer: bool,
}

/// The share of an answer that its usage stands for.
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
    /// Starts without any usage.
    pub(super) fn new(format: ApiFormat, documents: Documents) -> Self {
        let document = Document::default();
        Self {
            format,
            documents,
            document,
            seen: None,
            progress: Progress::Under,
            lost: None,
            events: 0,
            code: Vec::new(),
        }
    }

    /// Sets the way in which documents arrive, before any was read.
    pub(super) fn set_documents(&mut self, documents: Documents) {
        self.documents = documents;
    }

    /// Returns true if usage of this format is to be read.
    pub(super) fn reads(&self, format: ApiFormat) -> bool {
        self.format == ApiFormat::Auto || self.format == format
    }

    /// Notes usage that cannot be: no reading is final from then on.
    pub(super) fn absurd(&mut self) {
        self.lose(Unseen::Absurd);
    }

    /// Returns true if the provider said that it failed.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lost, Some(Unseen::ErrorEvent | Unseen::Refused))
    }

    /// Notes bytes that cannot be read, and so may have held usage.
    pub(super) fn malformed(&mut self) {
        self.lose(Unseen::Malformed);
    }

    /// From here on no usage is final. An error explains everything else.
    fn lose(&mut self, reason: Unseen) {
        let explains = matches!(reason, Unseen::ErrorEvent | Unseen::Refused);
        if self.lost.is_none() || explains && self.lost != Some(Unseen::Refused) {
            self.lost = Some(reason);
        }
    }

    /// The provider gave up, and says why. A refusal is one only at the beginning: behind a part of an answer it is the
    /// end of a call that was run, whatever its code.
    fn failed(&mut self, why: &[u8]) {
        let codes = tables().limits.iter().flat_map(|words| words.refused);
        let is_refusal = self.events <= MAX_PRELUDE && { codes }.any(|code| is_word(why, code.as_bytes()));
        self.lose(if is_refusal { Unseen::Refused } else { Unseen::ErrorEvent });
    }

    /// Returns the reading of the response, given how much of it came; `None` when it says nothing, and nothing was
    /// lost.
    pub(super) fn reading(&self, came: Received) -> Option<Reading> {
        let Some(seen) = self.seen else { return self.lost.map(Reading::Unseen) };
        let usage = seen.usage();
        let counts_anything = usage.total() > 0 || usage.milliseconds > 0 || usage.images > 0 || usage.search_units > 0;
        if !counts_anything {
            return Some(Reading::Unseen(self.lost.unwrap_or(Unseen::Absurd)));
        }
        let all = match self.progress {
            Progress::Started => false,
            Progress::Under => came == Received::Whole,
            Progress::Over => true,
        };
        // There is no call without input: it was not counted.
        let is_whole = all && self.lost.is_none() && usage.input() > 0;
        Some(if is_whole { Reading::Final(usage) } else { Reading::SoFar(usage) })
    }

    /// Adds the usage of a complete document to that of the answer. Objects that count in the same way are merged; of
    /// two that do not, the larger stands.
    fn absorb(&mut self, stated: Stated) {
        let role = stated.shape.role;
        match role {
            Role::Opens => self.progress = Progress::Started,
            Role::Completes if self.progress == Progress::Started => self.progress = Progress::Under,
            // It comes once, at the end.
            Role::Ends | Role::StandsIn => self.progress = Progress::Over,
            Role::Completes | Role::Repeats => {}
        }
        let is_part = |role: Role| matches!(role, Role::Opens | Role::Completes);
        self.seen = Some(match self.seen {
            Some(seen)
                if seen.shape.role == role && seen.is_like(&stated) || is_part(role) && is_part(seen.shape.role) =>
            {
                Stated { counts: seen.counts.merged(stated.counts), ..stated }
            }
            // Of two ways to count the one that counts more, and else the one with more detail.
            Some(seen) => match seen.usage().total().cmp(&stated.usage().total()) {
                Ordering::Greater => seen,
                Ordering::Equal if role == Role::StandsIn => seen,
                _ => stated,
            },
            None => stated,
        });
    }

    /// A word stands there, or another text.
    fn word(&mut self, spot: Spot, text: &[u8]) {
        match tables().word(spot, text).map(|word| word.means) {
            Some(Means::LastUsage) => self.document.ends_answer = true,
            Some(Means::Done) => self.done(),
            Some(Means::Failed) => {
                let code = if spot == Spot::EventName { std::mem::take(&mut self.code) } else { Vec::new() };
                self.failed(&code);
            }
            Some(Means::Refused) => self.failed(text),
            None => {}
        }
    }

    /// Usage stands in the document, or what cannot be any.
    fn state(&mut self, read: Option<Result<Stated, counts::Absurd>>) {
        match read {
            None => {}
            Some(Err(counts::Absurd)) => self.absurd(),
            Some(Ok(stated)) if !self.reads(stated.format) => {}
            Some(Ok(stated)) => {
                let found = self.document.found.filter(|found| found.is_like(&stated));
                let counts = found.map_or(stated.counts, |found| found.counts.merged(stated.counts));
                self.document.found = Some(Stated { counts, ..stated });
            }
        }
    }

    /// A count stands beside other members.
    fn count(&mut self, place: Place, bytes: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return self.absurd() };
        let counts = &mut self.document.counts;
        if value.is_null() || counts.len() >= MAX_COUNTS {
            return;
        }
        let sum = match (counts.get(place.name).and_then(Value::as_u64), value.as_u64()) {
            (Some(known), Some(more)) => Value::from(known.saturating_add(more)),
            _ => value,
        };
        counts.insert(place.name.to_owned(), sum);
    }

    /// Notes that the answer is over. Of an answer that was only opened, the usage is still a placeholder.
    fn done(&mut self) {
        if self.progress == Progress::Under {
            self.progress = Progress::Over;
        }
    }
}

/// Returns true if `word` stands in `text`, neither preceded nor followed by what would make it another one.
fn is_word(text: &[u8], word: &[u8]) -> bool {
    let continues = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memchr::memmem::find_iter(text, word).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !continues(before) && !continues(text.get(at + word.len()))
    })
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
            (Holds::Tier, bytes) => {
                let name: Option<&str> = bytes.and_then(|bytes| serde_json::from_slice(bytes).ok());
                self.document.tier = name.map(ServiceTier::named);
            }
            (Holds::Code, code) => self.code = code.unwrap_or_default().to_vec(),
            (Holds::Error, Some(b"null" | b"false" | b"\"\"" | b"0" | b"[]")) => {}
            (Holds::Error, why) => self.failed(why.unwrap_or_default()),
            (Holds::Usage | Holds::Count, None) => self.lose(Unseen::Malformed),
            (Holds::Count, Some(bytes)) => self.count(place, bytes),
            (Holds::Usage, Some(bytes)) => {
                let read = counts::parse(place, bytes);
                self.state(read);
            }
        }
    }

    fn document(&mut self) {
        let Document { found, counts, tier, ends_answer } = std::mem::take(&mut self.document);
        if self.documents == Documents::Alone {
            self.events += 1;
        }
        let beside = if counts.is_empty() {
            None
        } else {
            let read = counts::parse_members(&Value::Object(counts));
            self.state(read);
            std::mem::take(&mut self.document).found
        };
        if found.is_none() && beside.is_none() {
            return;
        }
        for stated in [found, beside].into_iter().flatten() {
            self.absorb(Stated { counts: stated.counts.or_tier(tier), ..stated });
        }
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
        self.code.clear();
        self.events += 1;
    }

    fn passed(&mut self, events: usize) {
        self.events += events;
    }

    fn frame(&mut self, kind: &[u8]) {
        self.word(Spot::FrameType, kind);
    }
}

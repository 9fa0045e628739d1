//! Combines the usage of one response from its documents: [`UsageTally`].
//!
//! A reading is final in one of three cases:
//!
//! - the response marked its end, by a word of the provider or by usage that occurs only once, at the end;
//! - a document that stands alone is complete;
//! - the body was read to its end.
//!
//! Any loss (a value that is too long, an event that is not JSON, an error event) makes the reading one of usage so
//! far, as does usage that cannot be complete: without any input, or without tokens.
//!
//! The largest count of each kind counts, because no call gives tokens back.
//!
//! | what comes | what becomes of it |
//! |---|---|
//! | usage of the same way of counting as before | merged: of each kind the larger count |
//! | usage of another way of counting | the one that comes to more; of equals the one with more detail |
//! | usage of one of several calls to models | added to that of the others |
//! | counts beside other members of a document | one object of them, at the document's end |
//! | the tier of service beside the usage | added to the usage of the same document |
//! | an error among the first events, with a code of a refusal | the provider did not run the call: it used nothing |
//! | any other error | no usage is final from then on |
//! | no usage, and nothing lost | nothing to say: `None` |
//!
//! An error is only searched for its code. Its surroundings differ between providers, and a code is a distinct word
//! wherever it occurs.

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

/// An error among this many first events of a stream replaces the response; after more of them there may have been a
/// part of a response.
const MAX_PRELUDE: usize = 3;
/// Maximum number of counts kept of one document.
const MAX_COUNTS: usize = 64;

/// The account of one response.
///
/// For most providers the last usage counts, because each repeats the previous ones; [`Role`] defines it for each
/// shape.
#[derive(Clone, Debug)]
pub(super) struct UsageTally {
    /// The format whose usage is read; usage of others is ignored.
    format: ApiFormat,
    /// The way in which documents arrive, known after the first byte.
    documents: Documents,
    /// Facts of the document that is being read.
    document: Document,
    /// The usage of the complete documents so far.
    seen: Option<Stated>,
    /// The part of the response that the usage covers.
    progress: Progress,
    /// Set if something was lost that may have contained usage, or the provider gave up before reporting it.
    lost: Option<Unseen>,
    /// Number of events so far.
    events: usize,
    /// The code in the current event, which its name may turn into that of a failure.
    code: Vec<u8>,
}

/// The way in which documents arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Documents {
    /// Individually; all are read.
    Alone,
    /// As events, which may be skipped unread.
    InEvents,
}

/// The part of a response that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// All of it.
    Whole,
    /// A document that stands alone, if not the end of the body.
    Document,
    /// Its beginning, as far as known.
    Part,
}

/// Facts of one document. They count together, at its end.
#[derive(Clone, Debug, Default)]
struct Document {
    /// Usage objects, merged.
    found: Option<Stated>,
    /// Counts stated beside other members.
    counts: Map<String, Value>,
    /// The tier of service stated beside the usage.
    tier: Option<ServiceTier>,
    /// True if a word in the document marks its usage as the last.
    ends_answer: bool,
}

/// The part of a response that its usage covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// There was usage that [opens](Role::Opens) a response.
    Started,
    /// More may follow, unless the response ends here.
    Under,
    /// The response marked this as complete.
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

    /// Returns true if usage of this format should be read.
    pub(super) fn reads(&self, format: ApiFormat) -> bool {
        self.format == ApiFormat::Auto || self.format == format
    }

    /// Records impossible usage: no reading is final from then on.
    pub(super) fn absurd(&mut self) {
        self.lose(Unseen::Absurd);
    }

    /// Returns the format of the usage so far.
    pub(super) fn format(&self) -> Option<ApiFormat> {
        self.seen.map(|seen| seen.format)
    }

    /// Returns true if the provider reported a failure.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.lost, Some(Unseen::ErrorEvent | Unseen::Refused))
    }

    /// Records unreadable bytes, which may have contained usage.
    pub(super) fn malformed(&mut self) {
        self.lose(Unseen::Malformed);
    }

    /// Makes all readings non-final. An error takes precedence over other reasons.
    fn lose(&mut self, reason: Unseen) {
        let explains = matches!(reason, Unseen::ErrorEvent | Unseen::Refused);
        if self.lost.is_none() || explains && self.lost != Some(Unseen::Refused) {
            self.lost = Some(reason);
        }
    }

    /// Records that the provider gave up, with its reason. It is a refusal only at the beginning: after a part of a
    /// response it is the end of a call that was run, whatever its code.
    fn failed(&mut self, why: &[u8]) {
        let codes = tables().limits.iter().flat_map(|words| words.refused);
        // A number of one or two digits is a code only where nothing else is said.
        let says = |code: &[u8]| if code.len() < 3 { why == code } else { is_word(why, code) };
        let is_refusal = self.events <= MAX_PRELUDE && { codes }.any(|code| says(code.as_bytes()));
        self.lose(if is_refusal { Unseen::Refused } else { Unseen::ErrorEvent });
    }

    /// Returns the reading of the response, given the part that arrived; `None` if there is none, and nothing was lost.
    pub(super) fn reading(&self, came: Received) -> Option<Reading> {
        let Some(seen) = self.seen else { return self.lost.map(Reading::Unseen) };
        let usage = seen.usage();
        let counts_anything = usage.total() > 0 || usage.milliseconds > 0 || usage.images > 0 || usage.search_units > 0;
        if !counts_anything {
            return Some(Reading::Unseen(self.lost.unwrap_or(Unseen::Absurd)));
        }
        let all = match self.progress {
            Progress::Started => false,
            Progress::Under => match came {
                Received::Whole => true,
                Received::Document => seen.shape.role != Role::Grows,
                Received::Part => false,
            },
            Progress::Over => true,
        };
        // There is no call without input, so it was not counted.
        let is_whole = all && self.lost.is_none() && usage.input() > 0;
        Some(if is_whole { Reading::Final(usage) } else { Reading::SoFar(usage) })
    }

    /// Adds the usage of a complete document to that of the response. Objects that count in the same way are merged; of
    /// two that do not, the larger counts.
    fn absorb(&mut self, stated: Stated) {
        let role = stated.shape.role;
        match role {
            Role::Opens => self.progress = Progress::Started,
            Role::Completes if self.progress == Progress::Started => self.progress = Progress::Under,
            // It occurs once, at the end.
            Role::Ends | Role::StandsIn => self.progress = Progress::Over,
            Role::Completes | Role::Repeats | Role::Grows | Role::Adds => {}
        }
        let is_part = |role: Role| matches!(role, Role::Opens | Role::Completes);
        self.seen = Some(match self.seen {
            Some(seen) if role == Role::Adds && seen.shape.role == role => {
                Stated { counts: seen.counts.added(stated.counts), ..stated }
            }
            Some(seen)
                if seen.shape.role == role && seen.is_like(&stated) || is_part(role) && is_part(seen.shape.role) =>
            {
                Stated { counts: seen.counts.merged(stated.counts), ..stated }
            }
            Some(seen) => larger(seen, stated),
            None => stated,
        });
    }

    /// Processes a word or another text.
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

    /// Processes a usage object, or an impossible one.
    fn state(&mut self, read: Option<Result<Stated, counts::Absurd>>) {
        match read {
            None => {}
            Some(Err(counts::Absurd)) => self.absurd(),
            Some(Ok(stated)) if !self.reads(stated.format) => {}
            Some(Ok(stated)) => {
                self.document.found = Some(match self.document.found {
                    Some(found) if found.is_like(&stated) => {
                        Stated { counts: found.counts.merged(stated.counts), ..stated }
                    }
                    Some(found) => larger(found, stated),
                    None => stated,
                });
            }
        }
    }

    /// Processes a count beside other members.
    fn count(&mut self, place: Place, bytes: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return self.absurd() };
        let counts = &mut self.document.counts;
        // A member of the same name, further in, may be anything: callers choose what metadata holds.
        let is_none = if place.within.is_empty() { value.is_null() } else { !value.is_number() };
        if is_none || counts.len() >= MAX_COUNTS {
            return;
        }
        let sum = match (counts.get(place.name).and_then(Value::as_u64), value.as_u64()) {
            (Some(known), Some(more)) => Value::from(known.saturating_add(more)),
            _ => value,
        };
        counts.insert(place.name.to_owned(), sum);
    }

    /// Records that the response is over. The usage of one that was only opened is still a placeholder.
    fn done(&mut self) {
        if self.progress == Progress::Under {
            self.progress = Progress::Over;
        }
    }
}

/// Returns the larger of two counts by different ways to count, of equals the one with more detail.
fn larger(first: Stated, second: Stated) -> Stated {
    match first.usage().total().cmp(&second.usage().total()) {
        Ordering::Greater => first,
        Ordering::Equal if second.shape.role == Role::StandsIn => first,
        _ => second,
    }
}

/// Returns true if `word` occurs in `text` as a separate word.
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
            (Holds::Error, Some(b"null" | b"false" | b"\"\"" | b"0" | b"\"0\"" | b"[]")) => {}
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
        // An event that may be skipped unread must not make a difference when it is read.
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

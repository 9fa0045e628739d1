//! Reports of scanners about a response: [`JsonSink`], [`EventSink`].

use crate::providers::table::Place;

/// The loss that a broken document causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A value of interest, or what may have been one.
    Usage,
    /// Nothing that counts.
    Nothing,
}

/// Receives the scanner's reports about documents.
pub(super) trait JsonSink {
    /// A value stands at `place`: all of its bytes, or `None` when it is too long.
    fn value(&mut self, place: Place, bytes: Option<&[u8]>);
    /// The document (or the element of the list of documents) is complete.
    fn document(&mut self);
    /// The bytes are no JSON, or end early; what was found in this document does not count.
    fn broken(&mut self, lost: Lost);
}

/// Receives the scanner's reports about events, beside those about the documents in them.
pub(super) trait EventSink: JsonSink {
    /// An event has ended whose data is no JSON: all of it, or its beginning when it is long.
    fn data(&mut self, text: &[u8]);
    /// An event has ended.
    fn event(&mut self, name: &[u8]);
    /// So many events were passed over, as far as they were counted.
    fn passed(&mut self, events: usize) {
        let _ = events;
    }
    /// A frame of this type begins, or of an exception of this type.
    fn frame(&mut self, kind: &[u8]);
}

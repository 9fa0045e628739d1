//! Reports of scanners about a response: [`JsonSink`], [`EventSink`].

use crate::providers::table::Place;

/// The loss caused by a broken document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// A value of interest, or a possible one.
    Usage,
    /// Nothing that counts.
    Nothing,
}

/// Receives the scanner's reports about documents.
pub(super) trait JsonSink {
    /// Reports a value at `place`: all of its bytes, or `None` if it is too long.
    fn value(&mut self, place: Place, bytes: Option<&[u8]>);
    /// Reports that the document (or the element of the list of documents) is complete.
    fn document(&mut self);
    /// Reports that the bytes are not JSON, or end early; findings in this document do not count.
    fn broken(&mut self, lost: Lost);
}

/// Receives the scanner's reports about events, in addition to those about the documents in them.
pub(super) trait EventSink: JsonSink {
    /// Reports the end of an event whose data is not JSON, with all of it, or its beginning if it is long.
    fn data(&mut self, text: &[u8]);
    /// Reports the end of an event.
    fn event(&mut self, name: &[u8]);
    /// Reports the number of skipped events, as far as they were counted.
    fn passed(&mut self, events: usize) {
        let _ = events;
    }
    /// Reports the start of a frame of this type, or of an exception of this type.
    fn frame(&mut self, kind: &[u8]);
}

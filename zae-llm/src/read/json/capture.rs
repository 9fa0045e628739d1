//! The copy of a value at a known location: [`Capture`].

use crate::{
    providers::table::{Holds, Place},
    read::sink::JsonSink,
};

/// Maximum number of bytes of a value that are kept; a usage object has a few hundred bytes.
pub(super) const MAX_VALUE: usize = 16 * 1024;
/// Maximum number of bytes of a chunk that Bedrock wraps in base64.
const MAX_WRAPPED: usize = 64 * 1024;

/// The copy of one value, up to a bound; nothing is copied while `place` is `None`.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    /// The location of the value; `None` for values that are not needed.
    pub(super) place: Option<Place>,
    /// The value so far, as written. Its allocation is reused for the next value.
    pub(super) bytes: Vec<u8>,
    /// True if the value is longer than its bound: then its end is reported without its bytes.
    overflown: bool,
}

impl Capture {
    /// Starts a value at `place`, discarding the previous one.
    pub(super) fn begin(&mut self, place: Option<Place>) {
        self.place = place;
        self.bytes.clear();
        self.overflown = false;
    }

    /// Copies the next bytes of the value, until it is too long.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(place) = self.place else { return };
        let most = if place.holds == Holds::Wrapped { MAX_WRAPPED } else { MAX_VALUE };
        self.overflown |= self.bytes.len() + bytes.len() > most;
        if !self.overflown {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Reports the value, if it was at a known location.
    pub(super) fn end(&mut self, found: &mut impl JsonSink) {
        if let Some(place) = self.place.take() {
            found.value(place, (!self.overflown).then_some(&self.bytes));
        }
    }
}

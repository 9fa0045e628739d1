//! Reports of scanners as text, for their tests: [`Seen`].

use super::sink::{EventSink, JsonSink, Lost};
use crate::providers::table::Place;

#[derive(Debug, Default, PartialEq)]
pub(super) struct Seen(pub(super) Vec<String>);

impl JsonSink for Seen {
    fn value(&mut self, place: Place, bytes: Option<&[u8]>) {
        let text = bytes.map_or("too long".into(), String::from_utf8_lossy);
        let slash = if place.within.is_empty() { "" } else { "/" };
        self.0.push(format!("{}{slash}{}={text}", place.within, place.name));
    }

    fn document(&mut self) {
        self.0.push("document".into());
    }

    fn broken(&mut self, lost: Lost) {
        self.0.push(format!("broken {lost:?}"));
    }
}

impl EventSink for Seen {
    fn event(&mut self, name: &[u8]) {
        self.0.push(format!("event {}", String::from_utf8_lossy(name)));
    }

    fn data(&mut self, text: &[u8]) {
        self.0.push(format!("data {}", String::from_utf8_lossy(text)));
    }

    fn frame(&mut self, kind: &[u8]) {
        self.0.push(format!("frame {}", String::from_utf8_lossy(kind)));
    }
}

/// Returns a scanner's reports about `text`, and asserts that they do not depend on how it is split.
pub(super) fn seen_however_cut<S: Default>(text: &str, push: fn(&mut S, &[u8], &mut Seen)) -> Vec<String> {
    let mut whole = Seen::default();
    push(&mut S::default(), text.as_bytes(), &mut whole);
    for at in 0..text.len() {
        let (mut parts, mut scanner) = (Seen::default(), S::default());
        push(&mut scanner, &text.as_bytes()[..at], &mut parts);
        push(&mut scanner, &text.as_bytes()[at..], &mut parts);
        assert_eq!(parts, whole, "split at {at}");
    }
    whole.0
}

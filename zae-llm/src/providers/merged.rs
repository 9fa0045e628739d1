//! The tables of all providers, merged for the scanners: [`Tables`].

use std::sync::LazyLock;

use super::{
    ALL, ApiFormat,
    table::{HeadCounts, Holds, LimitWords, Meaning, Member, Place, Spot, UsageShape, Word},
};

/// A shape of usage, and the format that it is of.
pub(crate) type Shape = (ApiFormat, &'static UsageShape);

/// An object that is a member of a document and has places in it, by its position among the wrappers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper(u8);

/// Everything that some provider declares, each once, in the order of the providers.
#[derive(Debug)]
pub(crate) struct Tables {
    /// In documents themselves.
    places: Vec<Place>,
    /// Members of documents with places in them, and these.
    wrappers: Vec<(&'static str, Vec<Place>)>,
    /// A bit for each length that the name of a place or a wrapper has: most members are told apart by it.
    lengths: u64,
    /// The shapes of usage at each place, those first that come first.
    shapes: Vec<(Place, Vec<Shape>)>,
    pub(crate) heads: Vec<(ApiFormat, HeadCounts)>,
    pub(crate) words: Vec<Word>,
    /// One of these stands in each event of which the scanners tell anything but its name, or of which the name says
    /// something. None contains another.
    pub(crate) markers: Vec<String>,
    pub(crate) members: Vec<Member>,
    pub(crate) settings: Vec<&'static str>,
    pub(crate) schemas: Vec<&'static str>,
    pub(crate) media: Vec<&'static str>,
    pub(crate) limits: Vec<&'static LimitWords>,
}

/// Returns the merged tables. They are made once.
pub(crate) fn tables() -> &'static Tables {
    static TABLES: LazyLock<Tables> = LazyLock::new(Tables::merge);
    &TABLES
}

impl Tables {
    fn merge() -> Self {
        let providers = || ALL.iter().map(|(_, provider)| *provider);
        let shapes = || ALL.iter().flat_map(|(format, provider)| provider.usage.iter().map(|shape| (*format, shape)));
        let with_usage = once(shapes().flat_map(|(_, shape)| shape.places).copied());
        let places = once(with_usage.iter().chain(providers().flat_map(|provider| provider.places)).copied());
        let wrappers = once(places.iter().map(|place| place.within).filter(|within| !within.is_empty()));
        let names = places.iter().map(|place| place.name).chain(wrappers.iter().copied());
        let lengths = names.fold(0, |lengths, name| lengths | length_bit(name.len()));
        let within = |wrapper: &str| places.iter().copied().filter(|place| place.within == wrapper).collect();
        let at = |place: Place| shapes().filter(|(_, shape)| shape.places.contains(&place)).collect();
        let words = once(providers().flat_map(|provider| provider.words).copied());
        let declared = once(providers().flat_map(|provider| provider.request.members).copied());
        let sections = once(declared.iter().map(|member| member.section).filter(|section| !section.is_empty()));
        let sections = sections.into_iter().map(|section| Member::new(section, Meaning::Section));
        Self {
            lengths,
            shapes: with_usage.into_iter().map(|place| (place, at(place))).collect(),
            wrappers: wrappers.into_iter().map(|wrapper| (wrapper, within(wrapper))).collect(),
            markers: markers(&places, &words),
            heads: ALL.iter().filter_map(|(format, provider)| Some((*format, provider.head?))).collect(),
            members: declared.iter().copied().chain(sections).collect(),
            settings: once(providers().flat_map(|provider| provider.request.settings).copied()),
            schemas: once(providers().flat_map(|provider| provider.request.schemas).copied()),
            media: once(providers().flat_map(|provider| provider.request.media).copied()),
            limits: providers().map(|provider| &provider.limits).collect(),
            places: within(""),
            words,
        }
    }

    /// Returns the place that the member `name` of a document is, or of a wrapper in one.
    pub(crate) fn place(&self, within: Option<Wrapper>, name: &[u8]) -> Option<Place> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let places = match within {
            None => &self.places,
            Some(Wrapper(at)) => &self.wrappers.get(usize::from(at))?.1,
        };
        places.iter().find(|place| place.name.as_bytes() == name).copied()
    }

    /// Returns the wrapper that the document's member `name` is.
    pub(crate) fn wrapper(&self, name: &[u8]) -> Option<Wrapper> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let at = self.wrappers.iter().position(|(wrapper, _)| wrapper.as_bytes() == name)?;
        u8::try_from(at).ok().map(Wrapper)
    }

    /// Returns the shapes that usage at `place` may have.
    pub(crate) fn shapes(&self, place: Place) -> &[Shape] {
        self.shapes.iter().find(|(at, _)| *at == place).map_or(&[], |(_, shapes)| shapes)
    }

    /// Returns the word that stands there.
    pub(crate) fn word(&self, is: Spot, text: &[u8]) -> Option<Word> {
        self.words.iter().find(|word| word.is == is && word.text.as_bytes() == text).copied()
    }
}

/// The bit of a length; all beyond 62 share one.
fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

fn once<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

fn markers(places: &[Place], words: &[Word]) -> Vec<String> {
    let keys = places.iter().filter(|place| matches!(place.holds, Holds::Usage | Holds::Error));
    // Without the quote behind: the shortest of keys that begin alike is enough.
    let keys = keys.map(|place| format!("\"{}", place.name));
    let telling = words.iter().filter(|word| match word.is {
        Spot::EventName | Spot::EventData => true,
        Spot::DocumentKind => word.means != super::table::Means::LastUsage,
        Spot::FrameType => false,
    });
    let all = once(keys.chain(telling.map(|word| word.text.to_owned())));
    let has_shorter = |marker: &String| all.iter().any(|other| other != marker && marker.contains(other.as_str()));
    all.iter().filter(|marker| !has_shorter(marker)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_places(tables: &Tables) -> impl Iterator<Item = &Place> {
        tables.places.iter().chain(tables.wrappers.iter().flat_map(|(_, places)| places))
    }

    #[test]
    fn every_telling_word_has_a_marker_and_none_is_in_vain() {
        let tables = tables();
        for place in all_places(tables).filter(|place| matches!(place.holds, Holds::Usage | Holds::Error)) {
            let key = format!("\"{}\":", place.name);
            assert!(tables.markers.iter().any(|marker| key.contains(marker)), "{key}");
        }
        for word in tables.words.iter().filter(|word| matches!(word.is, Spot::EventName | Spot::EventData)) {
            assert!(tables.markers.iter().any(|marker| word.text.contains(marker)), "{word:?}");
        }
        for marker in &tables.markers {
            let others = tables.markers.iter().filter(|other| other.contains(marker.as_str()));
            assert_eq!(others.count(), 1, "{marker} is in another one");
            assert!(marker.len() >= 5, "{marker} is in too many events");
        }
    }

    #[test]
    fn each_row_of_a_table_can_be_told_apart() {
        let tables = tables();
        for (index, member) in tables.members.iter().enumerate() {
            let same = |other: &&Member| other.section == member.section && other.name == member.name;
            assert_eq!(
                tables.members.iter().position(|other| same(&other)),
                Some(index),
                "{member:?} has two meanings"
            );
        }
        for place in all_places(tables) {
            let within = tables.wrapper(place.within.as_bytes());
            assert_eq!(tables.place(within, place.name.as_bytes()), Some(*place), "{place:?} holds two things");
        }
        for place in &tables.places {
            assert_eq!(tables.wrapper(place.name.as_bytes()), None, "{place:?} is a wrapper too");
        }
        for (place, shapes) in &tables.shapes {
            assert_eq!(place.holds, Holds::Usage, "{shapes:?}");
        }
    }
}

//! The tables of all providers, merged for the scanners: [`Tables`].
//!
//! A scanner does not know whose answer it reads: gateways mix providers, and servers speak like others than their own.
//! So it looks for whatever some provider declares, and the shapes tell afterwards whose it was. Merging happens once
//! per process. Three things are made of the tables that no provider states:
//!
//! - the *tree* of places, by which the scanner of documents knows where it has to look ([`nodes`]);
//! - the *lengths* of their names, a bit for each, which tell most members apart without a comparison;
//! - the *markers*, without which an event of a stream is passed over unread ([`markers`]). Each place or word that
//!   tells something by itself has one, none contains another, and tests hold that they are long enough to be rare.

use std::sync::LazyLock;

use super::{
    ALL, ApiFormat,
    table::{EndpointWord, HeadCounts, Holds, LimitWords, Meaning, MediaRule, Member, Place, Spot, UsageShape, Word},
};

/// A shape of usage, and the format that it is of.
pub(crate) type Shape = (ApiFormat, &'static UsageShape);

/// The document, or a member in it that holds places: by its position among these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrapper(u8);

impl Wrapper {
    pub(crate) const DOCUMENT: Self = Self(0);
}

/// The places in a wrapper, and the wrappers in it.
#[derive(Debug, Default)]
struct Node {
    /// The way from the document, with dots between the members.
    path: String,
    places: Vec<Place>,
    wrappers: Vec<(&'static str, Wrapper)>,
}

/// Everything that some provider declares, each once, in the order of the providers.
#[derive(Debug)]
pub(crate) struct Tables {
    /// The document, and the members in it that hold places.
    nodes: Vec<Node>,
    /// A bit for each length that the name of a place or a wrapper has: most members are told apart by it.
    lengths: u64,
    /// The shapes of usage at each place, those first that come first.
    shapes: Vec<(Place, Vec<Shape>)>,
    /// The shapes of counts that stand beside other members.
    counted: Vec<Shape>,
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
    pub(crate) endpoints: Vec<EndpointWord>,
    media_rules: Vec<&'static MediaRule>,
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
        let nodes = nodes(&places);
        let names = nodes.iter().flat_map(|node| {
            let wrappers = node.wrappers.iter().map(|(name, _)| *name);
            node.places.iter().map(|place| place.name).chain(wrappers)
        });
        let lengths = names.fold(0, |lengths, name| lengths | length_bit(name.len()));
        let at = |place: Place| shapes().filter(|(_, shape)| shape.places.contains(&place)).collect();
        let is_count = |place: &Place| place.holds == Holds::Count;
        let words = once(providers().flat_map(|provider| provider.words).copied());
        let declared = once(providers().flat_map(|provider| provider.request.members).copied());
        let sections = once(declared.iter().map(|member| member.section).filter(|section| !section.is_empty()));
        let sections = sections.into_iter().map(|section| Member::new(section, Meaning::Section));
        Self {
            lengths,
            counted: shapes().filter(|(_, shape)| shape.places.iter().any(is_count)).collect(),
            shapes: with_usage.into_iter().map(|place| (place, at(place))).collect(),
            markers: markers(&places, &words),
            heads: ALL.iter().filter_map(|(format, provider)| Some((*format, provider.head?))).collect(),
            members: declared.iter().copied().chain(sections).collect(),
            settings: once(providers().flat_map(|provider| provider.request.settings).copied()),
            schemas: once(providers().flat_map(|provider| provider.request.schemas).copied()),
            media: once(providers().flat_map(|provider| provider.request.media).copied()),
            endpoints: once(providers().flat_map(|provider| provider.endpoints).copied()),
            limits: providers().map(|provider| &provider.limits).collect(),
            media_rules: providers().flat_map(|provider| provider.media).collect(),
            nodes,
            words,
        }
    }

    /// Returns the place that the member `name` of a wrapper is.
    pub(crate) fn place(&self, within: Wrapper, name: &[u8]) -> Option<Place> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let node = self.nodes.get(usize::from(within.0))?;
        node.places.iter().find(|place| place.name.as_bytes() == name).copied()
    }

    /// Returns the wrapper that the member `name` of a wrapper is.
    pub(crate) fn wrapper(&self, within: Wrapper, name: &[u8]) -> Option<Wrapper> {
        if self.lengths & length_bit(name.len()) == 0 {
            return None;
        }
        let node = self.nodes.get(usize::from(within.0))?;
        node.wrappers.iter().find(|(wrapper, _)| wrapper.as_bytes() == name).map(|(_, wrapper)| *wrapper)
    }

    /// Returns the shapes that usage at `place` may have.
    pub(crate) fn shapes(&self, place: Place) -> &[Shape] {
        self.shapes.iter().find(|(at, _)| *at == place).map_or(&[], |(_, shapes)| shapes)
    }

    /// Returns the shapes that counts which stand beside other members may have.
    pub(crate) fn counted(&self) -> &[Shape] {
        &self.counted
    }

    /// Returns the rule by which `model` counts media.
    pub(crate) fn media_rule(&self, model: Option<&str>) -> &'static MediaRule {
        let model = model.unwrap_or_default();
        let word =
            |rule: &MediaRule| rule.models.iter().filter(|word| model.contains(**word)).map(|word| word.len()).max();
        let known = self.media_rules.iter().filter_map(|rule| Some((word(rule)?, *rule)));
        known.max_by_key(|(length, _)| *length).map_or(&MediaRule::USUAL, |(_, rule)| rule)
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

/// Returns the document and all wrappers in it.
fn nodes(places: &[Place]) -> Vec<Node> {
    let mut nodes = vec![Node::default()];
    for place in places {
        let mut at = 0;
        for name in place.within.split('.').filter(|name| !name.is_empty()) {
            at = match nodes[at].wrappers.iter().find(|(wrapper, _)| *wrapper == name) {
                Some((_, wrapper)) => usize::from(wrapper.0),
                None => {
                    // A test counts them.
                    let Ok(next) = u8::try_from(nodes.len()) else { break };
                    let dot = if at == 0 { "" } else { "." };
                    let path = format!("{}{dot}{name}", nodes[at].path);
                    nodes[at].wrappers.push((name, Wrapper(next)));
                    nodes.push(Node { path, ..Node::default() });
                    usize::from(next)
                }
            };
        }
        nodes[at].places.push(*place);
    }
    nodes
}

/// Minimum length of a name that is a marker without the quote before it, so that it is the marker of all names that
/// contain it, too.
const MIN_BARE: usize = 10;

fn markers(places: &[Place], words: &[Word]) -> Vec<String> {
    let telling = places.iter().filter(|place| tells(place));
    let is_in_others = |name: &str| {
        name.len() >= MIN_BARE && telling.clone().any(|other| other.name != name && other.name.contains(name))
    };
    let keys =
        telling.clone().map(|place| if is_in_others(place.name) { place.name.to_owned() } else { marker(place) });
    let telling_words = words.iter().filter(|word| match word.is {
        Spot::EventName | Spot::EventData => true,
        Spot::DocumentKind => word.means != super::table::Means::LastUsage,
        Spot::FrameType => false,
    });
    let all = once(keys.chain(telling_words.map(|word| word.text.to_owned())));
    let has_shorter = |marker: &String| all.iter().any(|other| other != marker && marker.contains(other.as_str()));
    all.iter().filter(|marker| !has_shorter(marker)).cloned().collect()
}

/// Returns true if the place tells something by itself.
fn tells(place: &Place) -> bool {
    matches!(place.holds, Holds::Usage | Holds::Count | Holds::Error)
}

/// Returns the key of a place without its last quote, as the shortest of keys that begin alike is enough; with it where
/// the key is short, and would be in too many events.
fn marker(place: &Place) -> String {
    let quote = if place.name.len() < 5 { "\"" } else { "" };
    format!("\"{}{quote}", place.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_places(tables: &Tables) -> impl Iterator<Item = &Place> {
        tables.nodes.iter().flat_map(|node| &node.places)
    }

    #[test]
    fn every_telling_word_has_a_marker_and_none_is_in_vain() {
        let tables = tables();
        for place in all_places(tables).filter(|place| tells(place)) {
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
        // The search for several words at once takes no more. On x86-64 it is half as fast with more than 32.
        assert!(tables.markers.len() <= 64, "{:?}", tables.markers);
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
        for (at, node) in tables.nodes.iter().enumerate() {
            let within = Wrapper(u8::try_from(at).expect("one is left out"));
            for place in &node.places {
                assert_eq!(place.within, node.path);
                assert_eq!(tables.place(within, place.name.as_bytes()), Some(*place), "{place:?} holds two things");
                assert_eq!(tables.wrapper(within, place.name.as_bytes()), None, "{place:?} is a wrapper too");
            }
        }
        for (place, shapes) in &tables.shapes {
            assert!(matches!(place.holds, Holds::Usage | Holds::Count), "{shapes:?}");
            let alike = |(_, shape): &Shape| shape.places.iter().all(|other| other.holds == place.holds);
            assert!(shapes.iter().all(alike), "{place:?}");
        }
    }
}

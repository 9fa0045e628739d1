//! The part of a request's body that a model is to read: [`walk`].

use smallvec::SmallVec;

use super::{
    form::Part,
    media::{Detail, Media, MediaKind},
};
use crate::{
    json::{JsonError, Scanner, Text, Token},
    providers::tables,
};

/// Number of characters that a number counts: it is the id of a token.
const TOKEN_ID: u64 = 4;
/// So many strings of an object wait until its type is known; more of them are media whatever it is.
const MAX_WAITING: usize = 16;
/// A data URL says within so many bytes what it is.
const DATA_URL: usize = 100;

/// Receives the pieces of a request.
pub(crate) trait Pieces {
    /// A part of a text, or all of it.
    fn text(&mut self, text: &str);
    /// The id of a token.
    fn token(&mut self);
    /// A picture, a sound, a file.
    fn media(&mut self, media: Media<'_>);
    /// Text of so many characters that was not kept.
    fn opaque(&mut self, characters: u64);
}

/// The amount of text and media to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) characters: u64,
    pub(super) media: u64,
}

impl Size {
    /// Of a body that is no JSON: text, or a file.
    pub(super) fn of_text(body: &[u8]) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self { characters: text.chars().count() as u64, media: 0 },
            Err(_) => Self { characters: 0, media: 1 },
        }
    }
}

impl Pieces for Size {
    fn text(&mut self, text: &str) {
        self.characters += text.chars().count() as u64;
    }

    fn token(&mut self) {
        self.characters += TOKEN_ID;
    }

    fn media(&mut self, _: Media<'_>) {
        self.media += 1;
    }

    fn opaque(&mut self, characters: u64) {
        self.characters += characters;
    }
}

/// A container that is open.
#[derive(Debug)]
enum Open<'a> {
    /// With what its objects hold by its key.
    Array(FieldHolds),
    Object {
        /// Texts that may be media, which the object's type decides.
        waiting: SmallVec<[Text<'a>; 1]>,
        holds: FieldHolds,
        detail: Detail,
    },
}

/// The content of an object, by the key that it stands under and by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldHolds {
    Unknown,
    /// A picture, a sound or a file.
    Media(MediaKind),
    Text,
    /// Data for a tool, in which nothing is what it seems.
    ToolData,
}

/// Keys of objects that hold media, beside those that do so by themselves.
const MEDIA_PARTS: [(&str, MediaKind); 17] = [
    ("images", MediaKind::Picture),
    ("image", MediaKind::Picture),
    ("image_url", MediaKind::Picture),
    ("input_audio", MediaKind::Sound),
    ("audio", MediaKind::Sound),
    ("audio_url", MediaKind::Sound),
    ("video", MediaKind::Video),
    ("video_url", MediaKind::Video),
    ("source", MediaKind::Unsaid),
    ("inlineData", MediaKind::Unsaid),
    ("inline_data", MediaKind::Unsaid),
    ("fileData", MediaKind::Unsaid),
    ("file_data", MediaKind::Unsaid),
    ("file", MediaKind::Unsaid),
    ("document", MediaKind::Unsaid),
    ("media", MediaKind::Unsaid),
    ("s3Location", MediaKind::Unsaid),
];
/// Types of objects that hold media.
const MEDIA_TYPES: [(&str, MediaKind); 14] = [
    ("image", MediaKind::Picture),
    ("image_url", MediaKind::Picture),
    ("input_image", MediaKind::Picture),
    ("image_file", MediaKind::Picture),
    ("input_audio", MediaKind::Sound),
    ("audio", MediaKind::Sound),
    ("audio_url", MediaKind::Sound),
    ("video", MediaKind::Video),
    ("video_url", MediaKind::Video),
    ("input_file", MediaKind::Unsaid),
    ("file", MediaKind::Unsaid),
    ("document", MediaKind::Unsaid),
    ("base64", MediaKind::Unsaid),
    ("media", MediaKind::Unsaid),
];
/// Keys of objects that a tool is to read, or has written.
const TOOL_DATA: [&str; 6] = ["input", "args", "arguments", "functionCall", "functionResponse", "toolUse"];
/// Members that the model wrote and no one else reads: they are passed over.
const SEALED: [&str; 5] =
    ["signature", "encrypted_content", "encrypted_index", "thoughtSignature", "thought_signature"];

/// The role of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldRole {
    Plain,
    /// It may be a picture, a sound or a file.
    Media,
    /// It is the type of the object that it is in.
    Type,
    /// It says how much of a picture is to be seen.
    Detail,
}

/// Hands `reader` everything of a JSON body that a model is to read. Memory is bounded by the depth that the scanner
/// allows.
pub(super) fn walk(body: &[u8], reader: &mut impl Pieces) -> Result<(), JsonError> {
    let tables = tables();
    let mut scanner = Scanner::new(body);
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut reads_names = false;
    let mut role = FieldRole::Plain;
    let mut inner = FieldHolds::Unknown;
    while let Some(token) = scanner.next()? {
        match token {
            Token::Key(key) if open.len() == 1 => {
                if tables.settings.iter().any(|name| key.is(name)) {
                    scanner.skip_value()?;
                    continue;
                }
                reads_names = tables.schemas.iter().any(|name| key.is(name));
                // No document of a request is a part of a message.
                (role, inner) =
                    (FieldRole::Plain, if reads_names { FieldHolds::ToolData } else { FieldHolds::Unknown });
                continue;
            }
            Token::Key(key) => {
                if reads_names {
                    key.pieces(|piece| reader.text(piece));
                }
                if SEALED.iter().any(|name| key.is(name)) {
                    scanner.skip_value()?;
                    continue;
                }
                role = role_of(key);
                inner = holds(key, open.last());
                continue;
            }
            Token::ObjectStart => {
                let holds = if inner == FieldHolds::Unknown { outer(&open) } else { inner };
                open.push(Open::Object { waiting: SmallVec::new(), holds, detail: Detail::default() });
            }
            // Of a list each object is under the list's key.
            Token::ArrayStart => {
                open.push(Open::Array(inner));
                role = FieldRole::Plain;
                continue;
            }
            Token::ObjectEnd | Token::ArrayEnd => {
                let closed = open.pop();
                close(closed, &open, reader);
            }
            Token::Text(text) => string(text, role, open.last_mut(), reader),
            Token::Number(_) if matches!(open.last(), Some(Open::Array(_))) => reader.token(),
            Token::Number(_) | Token::Bool(_) | Token::Null => {}
        }
        role = FieldRole::Plain;
        inner = match open.last() {
            Some(Open::Array(holds)) => *holds,
            _ => FieldHolds::Unknown,
        };
    }
    Ok(())
}

/// Returns the content of an object under `key`, within another.
fn holds(key: Text<'_>, within: Option<&Open<'_>>) -> FieldHolds {
    let is_one_of = |names: &[&str]| names.iter().any(|name| key.is(name));
    match within {
        Some(Open::Object { holds: FieldHolds::ToolData, .. }) => FieldHolds::ToolData,
        _ if is_one_of(&TOOL_DATA) => FieldHolds::ToolData,
        _ => kind_of(key, &MEDIA_PARTS).map_or(FieldHolds::Unknown, FieldHolds::Media),
    }
}

fn kind_of(name: Text<'_>, kinds: &[(&str, MediaKind)]) -> Option<MediaKind> {
    kinds.iter().find(|(known, _)| name.is(known)).map(|(_, kind)| *kind)
}

/// Returns the content of an object whose key says nothing: data of a tool goes all the way down.
fn outer(open: &[Open<'_>]) -> FieldHolds {
    match open.last() {
        Some(Open::Object { holds: FieldHolds::ToolData, .. } | Open::Array(FieldHolds::ToolData)) => {
            FieldHolds::ToolData
        }
        _ => FieldHolds::Unknown,
    }
}

fn role_of(key: Text<'_>) -> FieldRole {
    if tables().media.iter().any(|name| key.is(name)) {
        FieldRole::Media
    } else if key.is("type") {
        FieldRole::Type
    } else if key.is("detail") {
        FieldRole::Detail
    } else {
        FieldRole::Plain
    }
}

fn string<'a>(text: Text<'a>, role: FieldRole, within: Option<&mut Open<'a>>, reader: &mut impl Pieces) {
    match (role, within) {
        (FieldRole::Media, Some(Open::Object { waiting, holds, detail })) if *holds != FieldHolds::ToolData => {
            if waiting.len() < MAX_WAITING {
                waiting.push(text);
            } else {
                reader.media(Media::written(text, MediaKind::Unsaid, *detail));
            }
        }
        (FieldRole::Detail, Some(Open::Object { holds, detail, .. })) if *holds != FieldHolds::ToolData => {
            if text.is("low") {
                *detail = Detail::Low;
            }
            read(text, reader);
        }
        (_, Some(Open::Array(FieldHolds::Media(kind)))) => reader.media(Media::written(text, *kind, Detail::Full)),
        (FieldRole::Type, Some(Open::Object { holds, .. })) if *holds != FieldHolds::ToolData => {
            if text.is("text") {
                *holds = FieldHolds::Text;
            } else if let Some(kind) = kind_of(text, &MEDIA_TYPES) {
                *holds = FieldHolds::Media(match *holds {
                    FieldHolds::Media(known) if kind == MediaKind::Unsaid => known,
                    _ => kind,
                });
            }
            read(text, reader);
        }
        _ => read(text, reader),
    }
}

/// An object or a list ends, within those that are still `open`.
fn close(container: Option<Open<'_>>, open: &[Open<'_>], reader: &mut impl Pieces) {
    let Some(Open::Object { waiting, holds, detail }) = container else { return };
    let outer = |kind: MediaKind| match (kind, open.last()) {
        (MediaKind::Unsaid, Some(Open::Object { holds: FieldHolds::Media(kind), .. })) => *kind,
        (kind, _) => kind,
    };
    for text in waiting {
        match holds {
            FieldHolds::Media(kind) => reader.media(Media::written(text, outer(kind), detail)),
            _ => read(text, reader),
        }
    }
}

/// Hands `reader` the texts and files of a form.
pub(super) fn walk_form(parts: &[Part<'_>], reader: &mut impl Pieces) {
    for part in parts {
        match std::str::from_utf8(part.content) {
            Ok(text) if !part.is_file && !matches!(part.name, b"model" | b"stream" | b"response_format") => {
                reader.text(text);
            }
            _ if part.is_file => reader.media(Media::plain(part.content)),
            _ => {}
        }
    }
}

fn read(text: Text<'_>, reader: &mut impl Pieces) {
    if is_data_url(text) {
        reader.media(Media::written(text, MediaKind::Unsaid, Detail::Full));
    } else {
        text.pieces(|piece| reader.text(piece));
    }
}

fn is_data_url(text: Text<'_>) -> bool {
    let start = text.start(DATA_URL);
    start.starts_with("data:") && start.contains(";base64,")
}

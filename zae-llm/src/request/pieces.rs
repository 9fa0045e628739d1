//! The part of a request's body that a model is to read: [`walk`].

use smallvec::SmallVec;

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
    fn media(&mut self);
    /// Text of so many characters that was not kept.
    #[cfg(feature = "tiktoken")]
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

    fn media(&mut self) {
        self.media += 1;
    }

    #[cfg(feature = "tiktoken")]
    fn opaque(&mut self, characters: u64) {
        self.characters += characters;
    }
}

/// A container that is open.
#[derive(Debug)]
enum Open<'a> {
    Array,
    Object {
        /// Texts that are media unless the object says that it is a text.
        waiting: SmallVec<[Text<'a>; 1]>,
        is_text: bool,
    },
}

/// The role of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldRole {
    Plain,
    /// It may be a picture, a sound or a file.
    Media,
    /// It is the type of the object that it is in.
    Type,
}

/// Hands `reader` everything of a JSON body that a model is to read. Memory is bounded by the depth that the scanner
/// allows.
pub(super) fn walk(body: &[u8], reader: &mut impl Pieces) -> Result<(), JsonError> {
    let tables = tables();
    let mut scanner = Scanner::new(body);
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut reads_names = false;
    let mut role = FieldRole::Plain;
    while let Some(token) = scanner.next()? {
        match token {
            Token::Key(key) if open.len() == 1 => {
                if tables.settings.iter().any(|name| key.is(name)) {
                    scanner.skip_value()?;
                    continue;
                }
                reads_names = tables.schemas.iter().any(|name| key.is(name));
                role = FieldRole::Plain;
                continue;
            }
            Token::Key(key) => {
                if reads_names {
                    key.pieces(|piece| reader.text(piece));
                }
                role = role_of(key);
                continue;
            }
            Token::ObjectStart => open.push(Open::Object { waiting: SmallVec::new(), is_text: false }),
            Token::ArrayStart => open.push(Open::Array),
            Token::ObjectEnd | Token::ArrayEnd => close(open.pop(), reader),
            Token::Text(text) => string(text, role, open.last_mut(), reader),
            Token::Number(_) if matches!(open.last(), Some(Open::Array)) => reader.token(),
            Token::Number(_) | Token::Bool(_) | Token::Null => {}
        }
        role = FieldRole::Plain;
    }
    Ok(())
}

fn role_of(key: Text<'_>) -> FieldRole {
    if tables().media.iter().any(|name| key.is(name)) {
        FieldRole::Media
    } else if key.is("type") {
        FieldRole::Type
    } else {
        FieldRole::Plain
    }
}

fn string<'a>(text: Text<'a>, role: FieldRole, within: Option<&mut Open<'a>>, reader: &mut impl Pieces) {
    match (role, within) {
        (FieldRole::Media, Some(Open::Object { waiting, .. })) if waiting.len() < MAX_WAITING => waiting.push(text),
        (FieldRole::Media, _) => reader.media(),
        (FieldRole::Type, Some(Open::Object { is_text, .. })) => {
            *is_text = text.is("text");
            read(text, reader);
        }
        _ => read(text, reader),
    }
}

fn close(container: Option<Open<'_>>, reader: &mut impl Pieces) {
    let Some(Open::Object { waiting, is_text }) = container else { return };
    for text in waiting {
        if is_text { read(text, reader) } else { reader.media() }
    }
}

fn read(text: Text<'_>, reader: &mut impl Pieces) {
    if is_data_url(text) {
        reader.media();
    } else {
        text.pieces(|piece| reader.text(piece));
    }
}

fn is_data_url(text: Text<'_>) -> bool {
    let start = text.start(DATA_URL);
    start.starts_with("data:") && start.contains(";base64,")
}

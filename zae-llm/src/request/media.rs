//! A picture, a sound or a file in a request, and its extent as far as its bytes tell it: [`Media`].
//!
//! Nothing is decoded but base64: formats say near their beginning how large a picture is and how long a sound. Only
//! pages of a PDF and the length of a video may stand anywhere, and are searched for. What is in an address, or behind
//! an id, cannot be seen.

use memchr::memmem;

use super::sniff;
use crate::json::Text;

/// Bytes in front that are looked at for a size; photographs have a preview of some kilobytes before it.
const HEAD: usize = 64 * 1024;
/// A data URL says within so many bytes what it is.
const DATA_URL: usize = 100;
/// Bytes that are decoded at a time, and so many of the ones before stay for what is cut.
const CHUNK: usize = 16 * 1024;
pub(super) const OVERLAP: usize = 64;

/// A picture, a sound or a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Media<'a> {
    content: Content<'a>,
    pub(crate) kind: MediaKind,
    pub(crate) detail: Detail,
}

/// The kind that the request says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MediaKind {
    #[default]
    Unsaid,
    Picture,
    Sound,
    Video,
}

/// The detail of a picture that the model is to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Detail {
    #[default]
    Full,
    Low,
}

#[derive(Clone, Copy, Debug)]
enum Content<'a> {
    /// An address, an id, or nothing that was kept.
    Unseen,
    Base64(Text<'a>),
    Plain(&'a [u8]),
}

/// The size or the length of media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Picture { width: u32, height: u32 },
    Pages(u64),
    Sound { milliseconds: u64 },
    Video { milliseconds: u64 },
    Unseen,
}

impl<'a> Media<'a> {
    pub(crate) const UNSEEN: Self = Self { content: Content::Unseen, kind: MediaKind::Unsaid, detail: Detail::Full };

    /// Written as text: base64, a data URL, or an address.
    pub(super) fn written(text: Text<'a>, kind: MediaKind, detail: Detail) -> Self {
        Self { content: Content::Base64(text), kind, detail }
    }

    /// A file as it is.
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { content: Content::Plain(bytes), ..Self::UNSEEN }
    }

    /// Returns the extent that its bytes tell.
    pub(crate) fn extent(&self) -> Extent {
        let mut head = Vec::new();
        self.chunks(|_, bytes| {
            head.extend_from_slice(&bytes[..bytes.len().min(HEAD - head.len())]);
            head.len() < HEAD
        });
        sniff::extent(&head, self.bytes(), |search| self.search(search))
    }

    /// Its length, in bytes.
    fn bytes(&self) -> u64 {
        match self.content {
            Content::Unseen => 0,
            Content::Base64(text) => text.written_len() as u64 / 4 * 3,
            Content::Plain(bytes) => bytes.len() as u64,
        }
    }

    /// Shows all of its bytes to `search`, piece by piece, each with the end of the one before.
    fn search(&self, search: &mut dyn FnMut(&[u8])) {
        let mut window = Vec::new();
        self.chunks(|_, bytes| {
            window.extend_from_slice(bytes);
            search(&window);
            window.drain(..window.len().saturating_sub(OVERLAP));
            true
        });
    }

    /// Decodes its bytes in pieces, as long as `next` wants another one. Stops at what is no base64.
    fn chunks(&self, mut next: impl FnMut(usize, &[u8]) -> bool) {
        let text = match self.content {
            Content::Unseen => return,
            Content::Plain(bytes) => {
                for (index, chunk) in bytes.chunks(CHUNK).enumerate() {
                    if !next(index, chunk) {
                        return;
                    }
                }
                return;
            }
            Content::Base64(text) => text,
        };
        let mut skip = memmem::find(text.start(DATA_URL).as_bytes(), b";base64,").map_or(0, |at| at + 8);
        let (mut decoder, mut wanted, mut index) = (Decoded::default(), true, 0);
        text.pieces(|piece| {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            for chunk in piece.as_bytes()[skipped..].chunks(CHUNK) {
                if !wanted {
                    return;
                }
                wanted = decoder.push(chunk) && next(index, &decoder.bytes);
                index += 1;
                decoder.bytes.clear();
            }
        });
    }
}

/// Bytes of base64 in either alphabet, which may be cut anywhere.
#[derive(Debug, Default)]
struct Decoded {
    bytes: Vec<u8>,
    bits: u32,
    held: u32,
}

impl Decoded {
    /// Decodes more of it; false where that is none.
    fn push(&mut self, text: &[u8]) -> bool {
        for byte in text {
            let six = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                b'=' | b'\n' | b'\r' => continue,
                _ => return false,
            };
            self.bits = self.bits << 6 | u32::from(six);
            self.held += 6;
            if self.held >= 8 {
                self.held -= 8;
                self.bytes.push((self.bits >> self.held & 0xFF) as u8);
            }
        }
        true
    }
}

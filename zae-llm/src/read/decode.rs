//! Decodes compressed bodies for reading as they pass through: [`ContentDecoder`].
//!
//! The bytes themselves are forwarded unchanged. Memory is bounded: the window of a coding (zstd and brotli up to 16
//! MiB, as browsers accept), and the decoded bytes of a chunk. A body that decodes to more than [`MAX_DECODED`] is
//! abandoned.

use std::{fmt, io::Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header::CONTENT_ENCODING};
use ruzstd::decoding::FrameDecoder;

/// Maximum decoded size: longer than any model's request or response, unless it was crafted.
const MAX_DECODED: usize = 64 * 1024 * 1024;
/// Maximum number of stacked codings.
const MAX_CODINGS: usize = 3;
/// Maximum window of zstd; RFC 9659 allows no more on the web.
const ZSTD_WINDOW: u64 = 8 * 1024 * 1024;
/// Maximum length of a zstd frame's header, and of a block's.
const ZSTD_HEADER: usize = 18;
/// Number of bytes decoded at a time.
const BUFFER: usize = 8 * 1024;

/// Decodes the content codings of a body (`gzip`, `deflate`, `br`, `zstd`, also several), piece by piece.
///
/// Its output is bounded: by 64 MiB in all, and for each piece by what the piece holds, so that callers with a bound of
/// their own push small ones.
///
/// ```
/// use http::{HeaderMap, HeaderValue};
/// use zae_llm::ContentDecoder;
///
/// let mut headers = HeaderMap::new();
/// assert!(ContentDecoder::new(&headers)?.is_none(), "it is not coded");
/// headers.insert("content-encoding", HeaderValue::from_static("gzip"));
/// let mut decoder = ContentDecoder::new(&headers)?.expect("it is coded");
/// let coded = [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
/// let mut body = decoder.push(&coded)?;
/// body.extend(decoder.end()?);
/// assert_eq!(body, b"{}");
/// headers.insert("content-encoding", HeaderValue::from_static("compress"));
/// assert!(ContentDecoder::new(&headers).is_err());
/// # Ok::<(), zae_llm::Undecodable>(())
/// ```
pub struct ContentDecoder {
    /// The last one applied comes first.
    codings: Vec<Coding>,
    /// Number of decoded bytes so far, over the whole body.
    decoded: usize,
}

/// The bytes cannot be decoded, or not within bounds. [`ContentDecoder`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the body's content-encoding is none of gzip, deflate, br and zstd, or the body is not as it says, or too long"
)]
pub struct Undecodable;

/// One coding, with its decoder.
enum Coding {
    /// RFC 1952. Several consecutive members are one text.
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    /// Zlib, as standardised, or raw, as sent by some servers: the first byte distinguishes them.
    Deflate(Option<Box<Deflate>>),
    /// RFC 7932.
    Brotli(Box<DecompressorWriter<Vec<u8>>>),
    /// RFC 8878. Several consecutive frames are one text.
    Zstd(Box<Zstd>),
}

/// The two meanings of `deflate`.
enum Deflate {
    /// RFC 1950, as RFC 9110 defines it.
    Zlib(ZlibDecoder<Vec<u8>>),
    /// RFC 1951, without the header.
    Bare(DeflateDecoder<Vec<u8>>),
}

/// A zstd decoder that reads whole blocks.
struct Zstd {
    /// The decoder, with its window.
    frames: FrameDecoder,
    /// A part of a block, which can only be decoded as a whole.
    pending: Vec<u8>,
    /// True once the frame's header has been read.
    begun: bool,
}

impl ContentDecoder {
    /// Creates a decoder for a body with these headers: `None` if it is not compressed.
    ///
    /// # Errors
    /// [`Undecodable`] for an unknown coding.
    pub fn new(headers: &HeaderMap) -> Result<Option<Self>, Undecodable> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            for name in value.to_str().map_err(|_| Undecodable)?.split(',') {
                codings.extend(Coding::named(name.trim())?);
            }
        }
        if codings.len() > MAX_CODINGS {
            return Err(Undecodable);
        }
        codings.reverse();
        Ok((!codings.is_empty()).then_some(Self { codings, decoded: 0 }))
    }

    /// Decodes the next bytes.
    ///
    /// # Errors
    /// [`Undecodable`], permanently.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        let mut bytes = bytes.to_vec();
        for coding in &mut self.codings {
            bytes = coding.push(&bytes)?;
        }
        self.decoded = self.decoded.saturating_add(bytes.len());
        if self.decoded > MAX_DECODED { Err(Undecodable) } else { Ok(bytes) }
    }

    /// Ends the input; returns the remaining decoded bytes.
    ///
    /// # Errors
    /// See [`push`](Self::push).
    pub fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        let mut rest = Vec::new();
        for coding in &mut self.codings {
            let mut decoded = if rest.is_empty() { Vec::new() } else { coding.push(&rest)? };
            decoded.extend(coding.end()?);
            rest = decoded;
        }
        Ok(rest)
    }
}

impl Coding {
    /// Returns the decoder of a coding; `None` for `identity`, which changes nothing.
    ///
    /// # Errors [`Undecodable`] for a coding that is not known.
    fn named(name: &str) -> Result<Option<Self>, Undecodable> {
        Ok(Some(match name.to_ascii_lowercase().as_str() {
            "" | "identity" => return Ok(None),
            "gzip" | "x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "deflate" => Self::Deflate(None),
            "br" => Self::Brotli(Box::new(DecompressorWriter::new(Vec::new(), BUFFER))),
            "zstd" => Self::Zstd(Box::new(Zstd { frames: zstd_frame(), pending: Vec::new(), begun: false })),
            _ => return Err(Undecodable),
        }))
    }

    /// Decodes the next bytes.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Gzip(gzip) => through(gzip.as_mut(), bytes, MultiGzDecoder::get_mut),
            Self::Brotli(brotli) => through(brotli.as_mut(), bytes, DecompressorWriter::get_mut),
            Self::Deflate(deflate) => match deflate.get_or_insert_with(|| Box::new(Deflate::of(bytes[0]))).as_mut() {
                Deflate::Zlib(zlib) => through(zlib, bytes, ZlibDecoder::get_mut),
                Deflate::Bare(bare) => through(bare, bytes, DeflateDecoder::get_mut),
            },
            Self::Zstd(zstd) => {
                zstd.pending.extend_from_slice(bytes);
                zstd.decode(Rest::Follows)
            }
        }
    }

    /// Decodes the bytes that were held back.
    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        match self {
            // They hold back bytes that are not flushed.
            Self::Gzip(gzip) => flushed(gzip.as_mut(), MultiGzDecoder::get_mut),
            Self::Brotli(brotli) => flushed(brotli.as_mut(), DecompressorWriter::get_mut),
            Self::Deflate(deflate) => match deflate.as_deref_mut() {
                Some(Deflate::Zlib(zlib)) => flushed(zlib, ZlibDecoder::get_mut),
                Some(Deflate::Bare(bare)) => flushed(bare, DeflateDecoder::get_mut),
                None => Ok(Vec::new()),
            },
            Self::Zstd(zstd) => zstd.decode(Rest::Over),
        }
    }
}

impl Deflate {
    /// Returns the decoder for a body that begins with this byte.
    fn of(first: u8) -> Self {
        // The method in a zlib header; raw streams practically never begin like that.
        match first & 0x0F {
            8 => Self::Zlib(ZlibDecoder::new(Vec::new())),
            _ => Self::Bare(DeflateDecoder::new(Vec::new())),
        }
    }
}

/// The rest of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Follows,
    Over,
}

/// Returns a decoder for one frame.
fn zstd_frame() -> FrameDecoder {
    let mut frames = FrameDecoder::new();
    frames.set_max_window_size(ZSTD_WINDOW);
    frames
}

impl Zstd {
    /// Decodes the complete blocks of all frames.
    fn decode(&mut self, rest: Rest) -> Result<Vec<u8>, Undecodable> {
        let (mut decoded, mut buffer) = (Vec::new(), vec![0; BUFFER]);
        loop {
            if self.begun && self.frames.is_finished() && self.frames.can_collect() == 0 {
                (self.frames, self.begun) = (zstd_frame(), false);
            }
            let has_header = self.pending.len() >= ZSTD_HEADER || rest == Rest::Over && !self.pending.is_empty();
            if !self.begun && !has_header {
                return Ok(decoded);
            }
            let (read, written) = self.frames.decode_from_to(&self.pending, &mut buffer).map_err(|_| Undecodable)?;
            self.begun = true;
            self.pending.drain(..read.min(self.pending.len()));
            decoded.extend_from_slice(&buffer[..written]);
            if decoded.len() > MAX_DECODED {
                return Err(Undecodable);
            }
            if read == 0 && written == 0 {
                return Ok(decoded);
            }
        }
    }
}

/// Sends `bytes` through a decoder that writes into a vector, and takes its output.
fn through<W: Write>(
    writer: &mut W,
    bytes: &[u8],
    decoded: fn(&mut W) -> &mut Vec<u8>,
) -> Result<Vec<u8>, Undecodable> {
    let mut all = Vec::new();
    // In small pieces, so that the output of each is bounded too.
    for piece in bytes.chunks(BUFFER) {
        writer.write_all(piece).map_err(|_| Undecodable)?;
        all.append(decoded(writer));
        if all.len() > MAX_DECODED {
            return Err(Undecodable);
        }
    }
    Ok(all)
}

/// Takes the bytes that a decoder had held back.
fn flushed<W: Write>(writer: &mut W, decoded: fn(&mut W) -> &mut Vec<u8>) -> Result<Vec<u8>, Undecodable> {
    writer.flush().map_err(|_| Undecodable)?;
    Ok(std::mem::take(decoded(writer)))
}

impl fmt::Debug for ContentDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentDecoder").field("codings", &self.codings.len()).field("decoded", &self.decoded).finish()
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compression, write::GzEncoder};
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_small_response_that_decodes_to_a_huge_one_is_given_up() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1024 * 1024];
        (0..=MAX_DECODED / zeros.len()).for_each(|_| encoder.write_all(&zeros).unwrap());
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < MAX_DECODED / 100);
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        for size in [1024, bomb.len()] {
            let mut decoder = ContentDecoder::new(&headers).unwrap().unwrap();
            let decoded: Result<Vec<_>, _> = bomb.chunks(size).map(|chunk| decoder.push(chunk)).collect();
            assert_eq!(decoded, Err(Undecodable), "by {size}");
        }
    }
    #[test]
    fn all_frames_of_zstd_are_read() {
        let frame = |text: &str| {
            ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
        };
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("zstd"))]);
        let coded = [frame(" "), frame("{\"a\":"), frame("1}")].concat();
        for size in 1..=coded.len() {
            let mut decoder = ContentDecoder::new(&headers).unwrap().unwrap();
            let mut text: Vec<u8> = coded.chunks(size).flat_map(|chunk| decoder.push(chunk).unwrap()).collect();
            text.extend(decoder.end().unwrap());
            assert_eq!(text, b" {\"a\":1}", "by {size}");
        }
        let mut decoder = ContentDecoder::new(&headers).unwrap().unwrap();
        let garbage = [frame("{}"), b"garbage".to_vec()].concat();
        assert!(decoder.push(&garbage).and_then(|_| decoder.end()).is_err());
    }
}

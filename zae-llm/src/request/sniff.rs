//! Sizes and lengths as formats write them: [`extent`].
//!
//! | format | told by | extent |
//! |---|---|---|
//! | PNG, GIF, WebP, JPEG | their first bytes | width and height, near the beginning |
//! | PDF | `%PDF` | pages: the count of the tree or of its leaves; where they are compressed, one per 50 kB |
//! | WAV, FLAC | `RIFF`, `fLaC` | bytes per second; samples and their rate |
//! | MP3 | a frame, or `ID3` | the bit rate of the first frame |
//! | MP4, MOV, M4A | `ftyp` | duration of the movie header, wherever that is |
//! | Ogg, WebM and what has no header to be found | | by usual rates |

use memchr::memmem;

use super::media::{Extent, OVERLAP};

/// Bytes of a page where pages cannot be counted.
const PAGE: u64 = 50_000;
/// Bytes of a second of compressed speech.
const SPEECH: u64 = 8_000;
/// Bytes of a second of video.
const VIDEO: u64 = 125_000;
/// No document has more pages, whatever it says.
const MAX_PAGES: u64 = 10_000;

/// Shows all bytes to a search.
type ShowAll<'a> = &'a dyn Fn(&mut dyn FnMut(&[u8]));

/// Returns the extent of media of so many `bytes` that begin with `head`.
pub(super) fn extent(head: &[u8], bytes: u64, all: impl Fn(&mut dyn FnMut(&[u8]))) -> Extent {
    let sound = |bytes: u64, per_second: u64| Extent::Sound { milliseconds: bytes * 1_000 / per_second.max(1) };
    match head {
        [0x89, b'P', b'N', b'G', ..] => size(be32(head, 16), be32(head, 20)),
        [b'G', b'I', b'F', ..] => size(le16(head, 6), le16(head, 8)),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => webp(head),
        [b'R', b'I', b'F', b'F', ..] => sound(bytes, le32(head, 28).map_or(32_000, u64::from)),
        [0xFF, 0xD8, ..] => jpeg(head),
        [b'%', b'P', b'D', b'F', ..] => Extent::Pages(pages(head, bytes, &all)),
        [b'f', b'L', b'a', b'C', ..] => flac(head).unwrap_or_else(|| sound(bytes, 80_000)),
        [b'I', b'D', b'3', ..] | [0xFF, 0xE0..=0xFF, ..] => sound(bytes, mp3_rate(head).unwrap_or(16_000)),
        [b'O', b'g', b'g', b'S', ..] => sound(bytes, SPEECH),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => movie(brand, bytes, &all),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Extent::Video { milliseconds: bytes * 1_000 / VIDEO },
        _ => Extent::Unseen,
    }
}

fn size(width: Option<u32>, height: Option<u32>) -> Extent {
    match (width, height) {
        (Some(width @ 1..), Some(height @ 1..)) => Extent::Picture { width, height },
        _ => Extent::Unseen,
    }
}

fn webp(head: &[u8]) -> Extent {
    let le24 = |at: usize| le32(head, at).map(|value| (value & 0xFF_FFFF) + 1);
    match head.get(12..16) {
        Some(b"VP8X") => size(le24(24), le24(27)),
        Some(b"VP8L") => {
            let bits = le32(head, 21);
            size(bits.map(|bits| (bits & 0x3FFF) + 1), bits.map(|bits| (bits >> 14 & 0x3FFF) + 1))
        }
        _ => size(le16(head, 26).map(|width| width & 0x3FFF), le16(head, 28).map(|height| height & 0x3FFF)),
    }
}

/// Follows the segments up to the one that begins the picture.
fn jpeg(head: &[u8]) -> Extent {
    let mut at = 2;
    while let (Some(0xFF), Some(marker)) = (head.get(at), head.get(at + 1)) {
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return size(be16(head, at + 7), be16(head, at + 5));
            }
            0xFF => at += 1,
            _ => {
                let Some(length) = be16(head, at + 2) else { break };
                at += 2 + length as usize;
            }
        }
    }
    Extent::Unseen
}

fn pages(head: &[u8], bytes: u64, all: ShowAll<'_>) -> u64 {
    if memmem::find(head, b"/Linearized").is_some()
        && let Some(pages) = memmem::find(head, b"/N ").and_then(|at| number(&head[at + 3..]))
    {
        return pages.clamp(1, MAX_PAGES);
    }
    let (mut leaves, mut count) = (0, 0);
    let mut seen = 0;
    all(&mut |window| {
        for at in memmem::find_iter(window, b"/Type") {
            // The end of the window before is shown once more.
            let rest = window[at + 5..].trim_ascii_start();
            let is_leaf = rest.strip_prefix(b"/Page").is_some_and(|rest| rest.first().is_none_or(|byte| *byte != b's'));
            leaves += u64::from(is_leaf && rest.len() > 5 && at >= seen);
        }
        for at in memmem::find_iter(window, b"/Count ") {
            count = number(&window[at + 7..]).unwrap_or(0).max(count);
        }
        seen = window.len().min(OVERLAP - 10);
    });
    let counted = leaves.max(count);
    if counted > 0 { counted.min(MAX_PAGES) } else { bytes.div_ceil(PAGE).max(1) }
}

fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).take(9);
    let mut any = false;
    let number = digits.fold(0, |number, digit| {
        any = true;
        number * 10 + u64::from(digit - b'0')
    });
    any.then_some(number)
}

fn flac(head: &[u8]) -> Option<Extent> {
    let rate = u64::from(be32(head, 18)? >> 12);
    let samples = u64::from(be32(head, 22)?) | u64::from(*head.get(21)? & 0x0F) << 32;
    (rate > 0 && samples > 0).then(|| Extent::Sound { milliseconds: samples * 1_000 / rate })
}

/// The bytes per second of an MP3's first frame.
fn mp3_rate(head: &[u8]) -> Option<u64> {
    const FIRST_VERSION: [u64; 16] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0];
    const LATER_VERSIONS: [u64; 16] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0];
    // A tag in front has its length in seven bits of four bytes.
    let tag = match head {
        [b'I', b'D', b'3', _, _, _, a, b, c, d, ..] => {
            10 + [a, b, c, d].iter().fold(0, |length, byte| length << 7 | usize::from(**byte & 0x7F))
        }
        _ => 0,
    };
    let frame = head.get(tag..)?.windows(3).find(|three| three[0] == 0xFF && three[1] >= 0xE0)?;
    let rates = if frame[1] >> 3 & 3 == 3 { FIRST_VERSION } else { LATER_VERSIONS };
    Some(rates[usize::from(frame[2] >> 4)] * 125).filter(|rate| *rate > 0)
}

/// The duration of a movie header, whose version tells how long its numbers are.
fn movie(brand: &[u8], bytes: u64, all: ShowAll<'_>) -> Extent {
    let is_sound = brand.starts_with(b"M4A") || brand.starts_with(b"M4B");
    let mut found = None;
    all(&mut |window| {
        if found.is_some() {
            return;
        }
        let Some(at) = memmem::find(window, b"mvhd") else { return };
        let (scale, duration) = match window.get(at + 4) {
            Some(1) => (be32(window, at + 24), be32(window, at + 32)),
            _ => (be32(window, at + 16), be32(window, at + 20)),
        };
        if let (Some(scale @ 1..), Some(duration)) = (scale, duration) {
            found = Some(u64::from(duration) * 1_000 / u64::from(scale));
        }
    });
    let usual = bytes * 1_000 / if is_sound { 2 * SPEECH } else { VIDEO };
    let milliseconds = found.unwrap_or(usual);
    if is_sound { Extent::Sound { milliseconds } } else { Extent::Video { milliseconds } }
}

fn bytes<const N: usize>(of: &[u8], at: usize) -> Option<[u8; N]> {
    of.get(at..at + N)?.try_into().ok()
}

fn be32(of: &[u8], at: usize) -> Option<u32> {
    bytes(of, at).map(u32::from_be_bytes)
}

fn le32(of: &[u8], at: usize) -> Option<u32> {
    bytes(of, at).map(u32::from_le_bytes)
}

fn be16(of: &[u8], at: usize) -> Option<u32> {
    bytes(of, at).map(|two| u32::from(u16::from_be_bytes(two)))
}

fn le16(of: &[u8], at: usize) -> Option<u32> {
    bytes(of, at).map(|two| u32::from(u16::from_le_bytes(two)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8]) -> Extent {
        extent(&bytes[..bytes.len().min(64 * 1024)], bytes.len() as u64, |search| search(bytes))
    }

    #[test]
    fn formats_say_how_large_they_are() {
        let picture = |width, height| Extent::Picture { width, height };
        let png = [b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".as_slice(), &1920_u32.to_be_bytes(), &1080_u32.to_be_bytes()];
        assert_eq!(seen(&png.concat()), picture(1920, 1080));
        assert_eq!(seen(b"GIF89a\x40\x01\xf0\x00\xf7"), picture(320, 240));
        let exif = [b"\xff\xd8\xff\xe1\x40\x00".as_slice(), &[0; 0x3FFE]].concat();
        let frame = b"\xff\xdb\x00\x04\0\0\xff\xc2\x00\x11\x08\x02\x58\x03\x20\x03";
        assert_eq!(seen(&[&exif[..], frame].concat()), picture(800, 600));
        assert_eq!(seen(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x03\0\xff\x02\0VP8 "), picture(1024, 768));
        let mut wav = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data".to_vec();
        wav.resize(32_000 * 90, 0);
        assert_eq!(seen(&wav), Extent::Sound { milliseconds: 90_000 });
        let mut mp3 = b"ID3\x04\0\0\0\0\0\x0a0123456789\xff\xfb\x90\x00".to_vec();
        mp3.resize(16_000 * 60, 0);
        assert_eq!(seen(&mp3), Extent::Sound { milliseconds: 60_000 });
        let mut mp4 = b"\0\0\0\x18ftypisom\0\0\0\0".to_vec();
        mp4.resize(200_000, 0);
        mp4.extend_from_slice(b"\0\0\0\x6cmvhd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\xe8\0\x09\x27\xc0");
        assert_eq!(seen(&mp4), Extent::Video { milliseconds: 600_000 });
        assert_eq!(seen(b"https://example.com/cat.png"), Extent::Unseen);
    }

    #[test]
    fn pages_are_counted_or_told_by_length() {
        let leaves = "<< /Type /Page /Parent 2 0 R >>\n".repeat(7);
        assert_eq!(seen(format!("%PDF-1.4\n<< /Type /Pages >> {leaves}").as_bytes()), Extent::Pages(7));
        assert_eq!(seen(b"%PDF-1.4 << /Type /Pages /Count 100 /Kids [] >>"), Extent::Pages(100));
        assert_eq!(seen(b"%PDF-1.7 << /Linearized 1 /L 9 /N 12 /T 5 >>"), Extent::Pages(12));
        let compressed = ["%PDF-1.7 ".as_bytes(), &[7; 1_000_000]].concat();
        assert_eq!(seen(&compressed), Extent::Pages(21));
        assert_eq!(seen(b"%PDF-1.4 /Count 999999999999 "), Extent::Pages(MAX_PAGES));
    }
}

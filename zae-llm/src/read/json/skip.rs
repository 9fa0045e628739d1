//! Skips strings and containers at the speed of a search: their content is only searched for its end.

use memchr::memchr2;

/// Tells whether the last byte of a string was a backslash that is not itself escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// The next byte is literal.
    No,
    /// The next byte is escaped, a quote included.
    Yes,
}

/// Returns the number of `bytes` that belong to the current string, including its closing quote, and if the quote was
/// found.
pub(super) fn string_end(bytes: &[u8], escape: &mut Escape) -> (usize, bool) {
    let mut at = 0;
    if *escape == Escape::Yes && !bytes.is_empty() {
        *escape = Escape::No;
        at = 1;
    }
    while let Some(next) = memchr2(b'"', b'\\', &bytes[at..]) {
        at += next + 1;
        if bytes[at - 1] == b'"' {
            return (at, true);
        }
        match bytes.get(at) {
            Some(_) => at += 1,
            None => *escape = Escape::Yes,
        }
    }
    (bytes.len(), false)
}

/// Returns the number of `bytes` that belong to the current container, including its closing bracket, and if the
/// bracket was found.
pub(super) fn container_end(bytes: &[u8], depth: &mut u32, string: &mut Option<Escape>) -> (usize, bool) {
    let mut at = 0;
    while at < bytes.len() {
        if let Some(escape) = string {
            let (taken, ended) = string_end(&bytes[at..], escape);
            at += taken;
            if ended {
                *string = None;
            }
            continue;
        }
        let byte = bytes[at];
        at += 1;
        match byte {
            b'"' => *string = Some(Escape::No),
            b'{' | b'[' => *depth = depth.saturating_add(1),
            b'}' | b']' => {
                *depth -= 1;
                if *depth == 0 {
                    return (at, true);
                }
            }
            _ => {}
        }
    }
    (bytes.len(), false)
}

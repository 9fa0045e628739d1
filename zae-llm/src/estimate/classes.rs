//! The automaton that prices text by the classes of its characters: [`price`].
//!
//! It reads bytes, and makes one step for each: a table leads from the state of the run so far and the next byte to the
//! next state and a price. States are the kinds of runs that tokenizers make pieces of (a word and its letters so far,
//! digits modulo three, signs, spaces), and the beginnings of characters of several bytes. Characters of most scripts
//! cost the same wherever they stand; those of alphabets cost more at the beginning of a word.
//!
//! A step waits for the one before, so a long text is read at four places at once. It is parted where the price of what
//! follows does not depend on what came before: in front of a space, a line's end, or a Chinese or Korean character.

/// Prices are in hundredths of a token.
pub(super) const TOKEN: u64 = 100;

/// The run that a text is in. Behind a whole text or a piece of it, none of the states within a character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State(u8);

impl State {
    pub(super) const START: Self = Self(START);
}

/// Letters of a word that its first token covers.
const WORD: u8 = 6;

const START: u8 = 0;
const NEWLINE: u8 = 1;
const SPACE: u8 = 2;
const SPACES: u8 = 3;
const SIGN: u8 = 4;
/// Letters of a script that has words, beyond Latin.
const SCRIPT: u8 = 5;
/// Digits so far modulo three, from here on.
const DIGITS: u8 = 6;
/// Letters so far, the last of them small: one, from here on; seven stand for more.
const SMALL: u8 = 9;
/// The same, the last of them a capital.
const CAPITAL: u8 = SMALL + WORD + 1;
/// Behind the first byte of a character whose second tells the script: for each of [`LEADS`] three states, by what
/// stands in front of it.
const PENDING: u8 = CAPITAL + WORD + 1;
const LEADS: [u8; 7] = [0xE0, 0xE1, 0xE2, 0xE3, 0xEA, 0xEF, 0xF0];
const STATES: usize = PENDING as usize + 3 * LEADS.len();

/// The run in front of a character of several bytes, as far as the character's price depends on it.
const OTHER: u8 = 0;
const WORD_BEFORE: u8 = 1;
const SCRIPT_BEFORE: u8 = 2;

/// A character beyond ASCII.
#[derive(Clone, Copy)]
enum Class {
    /// A Latin letter with a mark.
    Marked,
    /// Of a script that has words: the price of a word's first letter, and of each that follows.
    Letter(u16, u16),
    /// One that costs the same wherever it stands.
    Flat(u16),
}

const GREEK: Class = Class::Letter(152, 21);
const CYRILLIC: Class = Class::Letter(180, 1);
const ARMENIAN: Class = Class::Letter(47, 31);
const HEBREW: Class = Class::Letter(50, 50);
const ARABIC: Class = Class::Letter(79, 21);
const MYANMAR: Class = Class::Letter(50, 54);
const GEORGIAN: Class = Class::Letter(47, 31);
const KHMER: Class = Class::Letter(51, 61);
const HAN: Class = Class::Flat(83);
const KANA: Class = Class::Flat(80);
const HANGUL: Class = Class::Flat(83);
const EMOJI: Class = Class::Flat(173);
/// Dashes, quotes, arrows, mathematics.
const PUNCTUATION: Class = Class::Flat(160);
const CJK_PUNCTUATION: Class = Class::Flat(10);
/// Of scripts that the vocabulary hardly knows: nearly byte by byte.
const RARE: Class = Class::Flat(292);
const PRIVATE: Class = Class::Flat(300);

impl Class {
    /// Of a character whose first byte tells it; `None` where the second has to.
    const fn of_lead(lead: u8) -> Option<Self> {
        Some(match lead {
            0xC3..=0xCD => Self::Marked,
            0xCE | 0xCF => GREEK,
            0xD0..=0xD3 => CYRILLIC,
            0xD4..=0xD6 => ARMENIAN,
            0xD7 => HEBREW,
            0xD8..=0xDB => ARABIC,
            0xDC..=0xDF => Self::Flat(212),
            0xE4..=0xE9 => HAN,
            0xEB..=0xED => HANGUL,
            0xEE | 0xF1..=0xF4 => PRIVATE,
            0xE0..=0xE3 | 0xEA | 0xEF | 0xF0 => return None,
            // Signs of Latin-1.
            _ => Self::Flat(59),
        })
    }

    const fn of_pair(lead: u8, second: u8) -> Self {
        match (lead, second) {
            (0xE0, 0xA4..=0xA5) => Self::Letter(59, 34), // Devanagari
            (0xE0, 0xA6..=0xA7) => Self::Letter(48, 40), // Bengali
            (0xE0, 0xA8..=0xA9) => Self::Letter(54, 61), // Gurmukhi
            (0xE0, 0xAA..=0xAB) => Self::Letter(48, 42), // Gujarati
            (0xE0, 0xAC..=0xAD) => Self::Letter(54, 61), // Oriya
            (0xE0, 0xAE..=0xAF) => Self::Letter(48, 37), // Tamil
            (0xE0, 0xB0..=0xB1) => Self::Letter(50, 50), // Telugu
            (0xE0, 0xB2..=0xB3) => Self::Letter(49, 45), // Kannada
            (0xE0, 0xB4..=0xB5) => Self::Letter(48, 35), // Malayalam
            (0xE0, 0xB6..=0xB7) => Self::Letter(52, 61), // Sinhala
            (0xE0, 0xB8..=0xB9) => Self::Letter(50, 46), // Thai
            (0xE0, 0xBA..=0xBB) => Self::Flat(186),      // Lao
            (0xE0, 0xBC..=0xBF) => Self::Flat(151),      // Tibetan
            (0xE0, _) => ARABIC,
            (0xE1, 0x80..=0x82) => MYANMAR,
            (0xE1, 0x83) => GEORGIAN,
            (0xE1, 0x84..=0x87) => HANGUL,
            (0xE1, 0x88..=0x8D) => Self::Flat(212), // Ethiopic
            (0xE1, 0x9E..=0x9F) => KHMER,
            (0xE1, 0xB8..=0xBB) => Self::Marked,
            (0xE1, 0xBC..=0xBF) => GREEK,
            (0xE2, 0x98..=0x9E) => EMOJI,
            (0xE2, 0x80..=0xAF) => PUNCTUATION,
            (0xE3, 0x80) => CJK_PUNCTUATION,
            (0xE3, 0x81..=0x8F) => KANA,
            (0xE3, _) | (0xEF, 0xA4..=0xAB) | (0xF0, 0xA0..=0xB1) => HAN,
            (0xEA, 0xB0..=0xBF) => HANGUL,
            (0xEF, 0x80..=0xA3) | (0xF0, 0xB2..=0xBF) => PRIVATE,
            (0xEF, 0xAC..=0xB7) => ARABIC,
            (0xEF, 0xB8) | (0xF0, 0x9F) => EMOJI,
            (0xEF, 0xBC..=0xBF) => CJK_PUNCTUATION,
            (0xF0, _) => Self::Flat(330),
            _ => RARE,
        }
    }
}

/// The state behind `byte`, and its price.
const fn step(state: u8, byte: u8) -> (u8, u16) {
    if state >= PENDING {
        let (lead, before) = (LEADS[((state - PENDING) / 3) as usize], (state - PENDING) % 3);
        return character(Class::of_pair(lead, byte), before);
    }
    match byte {
        b'a'..=b'z' => small(state),
        b'A'..=b'Z' => match state {
            SMALL..CAPITAL => (CAPITAL + longer(state - SMALL), 40),
            CAPITAL..PENDING => (CAPITAL + longer(state - CAPITAL), 33),
            _ => (CAPITAL, first(state)),
        },
        b'0'..=b'9' => match state {
            DIGITS..SMALL => (DIGITS + (state - DIGITS + 1) % 3, if state == DIGITS { 103 } else { 0 }),
            SPACE | SPACES => (DIGITS + 1, 229),
            _ => (DIGITS + 1, 103),
        },
        b'\n' | b'\r' => (NEWLINE, if state == NEWLINE { 0 } else { 52 }),
        b' ' | b'\t' => match state {
            SPACE | SPACES => (SPACES, 1),
            _ => (SPACE, 0),
        },
        0x80..=0xBF => (state, 0),
        0xC0.. => match Class::of_lead(byte) {
            Some(Class::Marked) => {
                let (next, price) = small(state);
                (next, price + MARK)
            }
            Some(class) => character(class, before(state)),
            None => (PENDING + 3 * lead_index(byte) + before(state), 0),
        },
        _ => match state {
            SIGN => (SIGN, 45),
            SPACE | SPACES | NEWLINE => (SIGN, 83),
            _ => (SIGN, 74),
        },
    }
}

/// The price of a mark on a letter.
const MARK: u16 = 91;

/// A character of several bytes.
const fn character(class: Class, before: u8) -> (u8, u16) {
    match class {
        Class::Marked if before == WORD_BEFORE => (SMALL + 1, MARK),
        Class::Marked => (SMALL, first(START) + MARK),
        Class::Letter(_, next) if before == SCRIPT_BEFORE => (SCRIPT, next),
        Class::Letter(first, _) => (SCRIPT, first),
        Class::Flat(price) => (START, price),
    }
}

const fn small(state: u8) -> (u8, u16) {
    let letters = match state {
        SMALL..CAPITAL => state - SMALL,
        CAPITAL..PENDING => state - CAPITAL,
        _ => return (SMALL, first(state)),
    };
    (SMALL + longer(letters), if letters >= WORD - 1 { 42 } else { 0 })
}

/// The price of a word's first letter.
const fn first(state: u8) -> u16 {
    match state {
        SIGN => 55,
        DIGITS..SMALL => 164,
        _ => 80,
    }
}

const fn longer(letters: u8) -> u8 {
    if letters < WORD { letters + 1 } else { letters }
}

const fn before(state: u8) -> u8 {
    match state {
        SMALL..PENDING => WORD_BEFORE,
        SCRIPT => SCRIPT_BEFORE,
        _ => OTHER,
    }
}

const fn lead_index(lead: u8) -> u8 {
    let mut index = 0;
    while LEADS[index as usize] != lead {
        index += 1;
    }
    index
}

/// Bits of an entry that hold the price; those above hold the next state.
const PRICE_BITS: u32 = 10;

/// For each state and byte the price and the next state.
static TABLE: [u16; 64 * 256] = table();

#[allow(long_running_const_eval, reason = "some ten thousand small steps")]
const fn table() -> [u16; 64 * 256] {
    let mut table = [0; 64 * 256];
    let mut at = 0;
    while at < STATES * 256 {
        let (next, price) = step((at >> 8) as u8, (at & 0xFF) as u8);
        table[at] = ((next as u16) << PRICE_BITS) | price;
        at += 1;
    }
    table
}

/// Texts from this length on, in bytes, are read at several places at once.
const LONG: usize = 1024;
const LANES: usize = 4;
/// So far behind its place a cut is looked for, in bytes.
const SEARCH: usize = 128;

/// Returns the price of `text` behind one that ended in `state`, and the state behind it.
pub(super) fn price(text: &str, state: State) -> (u64, State) {
    let mut sum = 0;
    let mut states = [State::default(); LANES];
    states[0] = state;
    if text.len() < LONG {
        run(text.as_bytes(), &mut states[0], &mut sum);
        return (sum, states[0]);
    }
    let cuts = [0, cut(text, 1), cut(text, 2), cut(text, 3), text.len()];
    let mut lanes: [&[u8]; LANES] = std::array::from_fn(|lane| &text.as_bytes()[cuts[lane]..cuts[lane + 1]]);
    let shared = lanes.iter().map(|lane| lane.len()).min().unwrap_or(0);
    let [a, b, c, d] = lanes.map(|lane| &lane[..shared]);
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        for (state, byte) in states.iter_mut().zip([*a, *b, *c, *d]) {
            let entry = TABLE[usize::from(state.0) << 8 | usize::from(byte)];
            *state = State((entry >> PRICE_BITS) as u8);
            sum += u64::from(entry & ((1 << PRICE_BITS) - 1));
        }
    }
    for (lane, state) in lanes.iter_mut().zip(&mut states) {
        run(&lane[shared..], state, &mut sum);
    }
    (sum, states[LANES - 1])
}

fn run(bytes: &[u8], state: &mut State, sum: &mut u64) {
    for byte in bytes {
        let entry = TABLE[usize::from(state.0) << 8 | usize::from(*byte)];
        *state = State((entry >> PRICE_BITS) as u8);
        *sum += u64::from(entry & ((1 << PRICE_BITS) - 1));
    }
}

/// The beginning of a lane: where what follows costs the same whatever came before, and else between two characters.
fn cut(text: &str, lane: usize) -> usize {
    let at = text.len() / LANES * lane;
    let bytes = &text.as_bytes()[at..at + SEARCH];
    let is_free = |two: &[u8]| match two[1] {
        b' ' => !matches!(two[0], b' ' | b'\t'),
        b'\n' => !matches!(two[0], b'\n' | b'\r'),
        0xE4..=0xE9 | 0xEB..=0xED => true,
        _ => false,
    };
    match bytes.windows(2).position(is_free) {
        Some(found) => at + found + 1,
        None => text.ceil_char_boundary(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequential(text: &str) -> u64 {
        let (mut sum, mut state) = (0, State::default());
        run(text.as_bytes(), &mut state, &mut sum);
        sum
    }

    #[test]
    fn a_text_costs_the_same_however_it_is_read() {
        let samples: Vec<serde_json::Value> = serde_json::from_str(super::super::text::SAMPLES).unwrap();
        for sample in &samples {
            let text = sample["text"].as_str().unwrap().repeat(40);
            let (parted, whole) = (price(&text, State::default()).0, sequential(&text));
            // A text without a place to be parted at is parted within a word.
            assert!(parted.abs_diff(whole) <= 3 * 2 * TOKEN, "{}: {parted} for {whole}", sample["kind"]);
            if text.contains(' ') {
                assert!(parted.abs_diff(whole) <= TOKEN, "{}: {parted} for {whole}", sample["kind"]);
            }
        }
    }

    #[test]
    fn every_state_and_price_has_room_in_its_entry() {
        for (state, byte) in (0..STATES as u8).flat_map(|state| (0..=255).map(move |byte| (state, byte))) {
            let (next, price) = step(state, byte);
            assert!(usize::from(next) < STATES && price < 1 << PRICE_BITS, "{state} {byte}");
        }
    }
}

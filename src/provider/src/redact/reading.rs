//! The letters and digits of a text, whatever they are written as, and where each stands.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::encoding::{self, Piece};

/// A quote may be encoded more than once, such as by a proxy that quotes a server.
const LAYERS: usize = 3;

/// Letters and digits without case, accents and what stands between them.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) chars: Vec<char>,
    /// Where in the text each comes from.
    at: Vec<Range<usize>>,
    /// Whether something that is no letter or digit stands before each. There is one more than characters.
    parted: Vec<bool>,
}

/// Every reading of a text: as it is, with its encodings undone, and each of them with `ae` for `ä` and the like
/// made alike.
pub(super) fn of(plain: &[Piece]) -> Vec<Reading> {
    let mut stages = vec![plain.to_vec(), encoding::merged(plain), encoding::decimal(plain)];
    stages.push(encoding::merged(&encoding::hex(plain)));
    // Quoted-printable marks its bytes with what everybody else puts before a value.
    stages.push(encoding::merged(&encoding::undone(plain, '=')));
    stages.push(encoding::bare_escapes(plain));
    let mut stage = plain.to_vec();
    for _ in 0..LAYERS {
        let next = encoding::merged(&encoding::undone(&stage, '%'));
        if next == stage {
            break;
        }
        stages.push(next.clone());
        stage = next;
    }
    let readings = stages.iter().map(|pieces| Reading::new(pieces));
    readings.flat_map(|reading| [reading.transliterated(), reading]).collect()
}

/// The readings of a word that was decoded.
pub(super) fn of_word(bytes: &[Piece]) -> Vec<Reading> {
    let stages = [encoding::merged(bytes), encoding::merged(&encoding::undone(bytes, '%'))];
    let readings = stages.iter().map(|pieces| Reading::new(pieces));
    readings.flat_map(|reading| [reading.transliterated(), reading]).collect()
}

impl Reading {
    pub(super) fn new(pieces: &[Piece]) -> Self {
        let mut reading = Self::default();
        let mut parted = true;
        for piece in pieces {
            let mut visible = false;
            for c in folded(piece.c) {
                reading.chars.push(c);
                reading.at.push(piece.at.clone());
                reading.parted.push(std::mem::take(&mut parted));
                visible = true;
            }
            // An accent, or a character without a width, parts nothing.
            let joins = piece.c == '_' || is_invisible(piece.c);
            parted |= !visible && !joins;
        }
        reading.parted.push(true);
        reading
    }

    /// What a secret is compared as, in the same two ways as a text.
    pub(super) fn of_secret(value: &str) -> [Self; 2] {
        let reading = Self::new(&encoding::plain(value));
        [reading.transliterated(), reading]
    }

    /// German writes ä, ö, ü as ae, oe, ue where it can't, Danish å as aa; so both are made one letter.
    pub(super) fn transliterated(&self) -> Self {
        let mut reading = Self::default();
        for (n, c) in self.chars.iter().enumerate() {
            let before = reading.chars.last().copied();
            let drops =
                !self.parted[n] && matches!((before, c), (Some('a' | 'o' | 'u'), 'e') | (Some('a'), 'a'));
            if drops {
                if let Some(at) = reading.at.last_mut() {
                    at.end = at.end.max(self.at[n].end);
                }
                continue;
            }
            reading.chars.push(*c);
            reading.at.push(self.at[n].clone());
            reading.parted.push(self.parted[n]);
        }
        reading.parted.push(true);
        reading
    }

    /// Where these characters stand in the text.
    pub(super) fn place(&self, chars: Range<usize>) -> Range<usize> {
        let places = &self.at[chars];
        let start = places.iter().map(|at| at.start).min().unwrap_or_default();
        start..places.iter().map(|at| at.end).max().unwrap_or(start)
    }

    /// Whether these characters stand alone, that is, are no part of a longer word.
    pub(super) fn stands_alone(&self, chars: &Range<usize>) -> bool {
        self.parted[chars.start] && self.parted[chars.end]
    }
}

fn is_invisible(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

/// The letters and digits of a character, decomposed and without case; none where it is neither.
fn folded(c: char) -> impl Iterator<Item = char> {
    let lower = std::iter::once(c).nfkd().flat_map(char::to_lowercase);
    lower.nfkd().flat_map(base).filter(|c| c.is_alphanumeric())
}

/// Letters that Unicode does not decompose, and that everybody writes as these.
fn base(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ß' | 'ẞ' => ('s', Some('s')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'ø' => ('o', None),
        'ł' => ('l', None),
        'đ' | 'ð' => ('d', None),
        'þ' => ('t', Some('h')),
        'ı' => ('i', None),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

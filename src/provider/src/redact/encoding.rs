//! What a quote may be wrapped in, undone. Each character keeps where in the text it comes from.

use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::decode::to_windows_1252;

/// A character and where in the text it stands, however it is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) c: char,
    pub(super) at: Range<usize>,
}

/// The characters of a text.
pub(super) fn plain(text: &str) -> Vec<Piece> {
    text.char_indices().map(|(at, c)| Piece { c, at: at..at + c.len_utf8() }).collect()
}

/// Characters that are the bytes of UTF-8, taken for Latin-1 somewhere or decoded one by one here, as what these
/// bytes say.
pub(super) fn merged(pieces: &[Piece]) -> Vec<Piece> {
    let mut merged = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let (c, length) = from_utf8(rest).unwrap_or((first.c, 1));
        merged.push(Piece { c, at: first.at.start..rest[length - 1].at.end });
        rest = &rest[length..];
    }
    merged
}

/// The first character of more than one byte of UTF-8, and how many these are.
fn from_utf8(pieces: &[Piece]) -> Option<(char, usize)> {
    let length = match to_windows_1252(pieces.first()?.c)? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    // Where 0x80 to 0x9f did not become what Windows-1252 has there.
    let byte = |piece: &Piece| u8::try_from(piece.c).ok().or_else(|| to_windows_1252(piece.c));
    let bytes: Option<Vec<u8>> = pieces.get(..length)?.iter().map(byte).collect();
    let c = std::str::from_utf8(&bytes?).ok()?.chars().next()?;
    Some((c, length))
}

/// One layer less: of `%c3%b6` (or whatever marks such bytes), of HTML's entities, and of the escapes that JSON
/// and C know.
pub(super) fn undone(pieces: &[Piece], mark: char) -> Vec<Piece> {
    let mut undone = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let read = match first.c {
            c if c == mark => marked(&rest[1..]),
            '&' => entity(rest),
            '\\' => escape(rest),
            _ => None,
        };
        let (c, length) = read.unwrap_or((first.c, 1));
        undone.push(Piece { c, at: first.at.start..rest[length - 1].at.end });
        rest = &rest[length..];
    }
    undone
}

/// `c3`, or `u00f6` as JavaScript's `escape` has it, behind their mark, and how many characters with it.
fn marked(pieces: &[Piece]) -> Option<(char, usize)> {
    let (number, digits) = match pieces.first()?.c {
        'u' => hex_number(&pieces[1..], 4, 4).map(|(number, digits)| (number, digits + 1))?,
        _ => hex_number(pieces, 2, 2)?,
    };
    Some((char::from_u32(number)?, digits + 1))
}

/// The number that these begin with, of so many hexadecimal digits, and how many these are.
fn hex_number(pieces: &[Piece], least: usize, most: usize) -> Option<(u32, usize)> {
    let digits: Vec<u32> = pieces.iter().take(most).map_while(|piece| piece.c.to_digit(16)).collect();
    let number = digits.iter().fold(0, |number, digit| number * 16 + digit);
    (digits.len() >= least).then_some((number, digits.len()))
}

/// `\u00f6`, `\u{f6}`, `\U000000f6`, `\xf6`, `\366`, and the letters that stand for blanks.
fn escape(pieces: &[Piece]) -> Option<(char, usize)> {
    let braced = pieces.get(2).is_some_and(|piece| piece.c == '{');
    let (number, length) = match pieces.get(1)?.c {
        'u' if braced => hex_number(&pieces[3..], 1, 6).map(|(number, digits)| (number, digits + 4))?,
        'u' => hex_number(&pieces[2..], 4, 4).map(|(number, digits)| (number, digits + 2))?,
        'U' => hex_number(&pieces[2..], 8, 8).map(|(number, digits)| (number, digits + 2))?,
        'x' => hex_number(&pieces[2..], 2, 2).map(|(number, digits)| (number, digits + 2))?,
        '0'..='3' => {
            let digits: Vec<u32> =
                pieces[1..].iter().take(3).map_while(|piece| piece.c.to_digit(8)).collect();
            let [a, b, c] = digits[..] else { return None };
            (a * 64 + b * 8 + c, 4)
        }
        'n' | 'r' | 't' | 'b' | 'f' => return Some((' ', 2)),
        // What an escape quotes is itself; and a backslash may be the first of the next escape.
        other => return Some((other, 2)),
    };
    Some((char::from_u32(number)?, length.min(pieces.len())))
}

/// `&#246;`, `&#xf6;`, `&ouml;`. The named ones of letters are a letter and the accent's name.
fn entity(pieces: &[Piece]) -> Option<(char, usize)> {
    let name: String = pieces[1..].iter().take(10).map(|piece| piece.c).collect();
    let (c, length) = match name.strip_prefix('#') {
        Some(number) => {
            let (digits, radix, before) = match number.strip_prefix(['x', 'X']) {
                Some(digits) => (digits, 16, 2),
                None => (number, 10, 1),
            };
            let count = digits.chars().take(7).take_while(|c| c.is_digit(radix)).count();
            (char::from_u32(u32::from_str_radix(digits.get(..count)?, radix).ok()?)?, before + count)
        }
        None => named(&name)?,
    };
    let closed = pieces.get(length + 1).is_some_and(|piece| piece.c == ';');
    Some((c, length + 1 + usize::from(closed)))
}

fn named(name: &str) -> Option<(char, usize)> {
    const WHOLE: [(&str, char); 13] = [
        ("szlig", 'ß'),
        ("aelig", 'æ'),
        ("AElig", 'æ'),
        ("oelig", 'œ'),
        ("OElig", 'œ'),
        ("amp", '&'),
        ("quot", '"'),
        ("apos", '\''),
        ("lt", '<'),
        ("gt", '>'),
        ("nbsp", ' '),
        ("shy", '\u{ad}'),
        ("hyphen", '-'),
    ];
    const ACCENTS: [&str; 13] = [
        "uml", "acute", "grave", "circ", "tilde", "ring", "cedil", "slash", "caron", "strok", "ogon",
        "breve", "macr",
    ];
    if let Some((found, c)) = WHOLE.iter().find(|(whole, _)| name.starts_with(whole)) {
        return Some((*c, found.len()));
    }
    let letter = name.chars().next().filter(char::is_ascii_alphabetic)?;
    let accent = ACCENTS.iter().find(|accent| name[1..].starts_with(**accent))?;
    // Without its accent, as everything is compared.
    Some((letter, 1 + accent.len()))
}

/// `u00f6`, whose backslash a program took for one that quotes, and .NET's `_x00F6_`.
pub(super) fn bare_escapes(pieces: &[Piece]) -> Vec<Piece> {
    let mut undone = Vec::with_capacity(pieces.len());
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let behind = |mark: usize| {
            let (number, digits) = hex_number(rest.get(mark..)?, 4, 4)?;
            Some((char::from_u32(number)?, mark + digits))
        };
        let is = |n: usize, c: char| rest.get(n).is_some_and(|piece| piece.c == c);
        let read = match first.c {
            'u' => behind(1),
            '_' if is(1, 'x') => behind(2).filter(|(_, end)| is(*end, '_')).map(|(c, end)| (c, end + 1)),
            _ => None,
        };
        let (c, length) = read.unwrap_or((first.c, 1));
        undone.push(Piece { c, at: first.at.start..rest[length - 1].at.end });
        rest = &rest[length..];
    }
    undone
}

/// Each run of hexadecimal digits, with or without something between the bytes, as the bytes it stands for.
pub(super) fn hex(pieces: &[Piece]) -> Vec<Piece> {
    // `0x34, 0x63` and `U+0034 U+0063`.
    let marks = |n: &usize| {
        let pair = |n: usize| Some((pieces.get(n)?.c, pieces.get(n + 1)?.c));
        let is_mark = |n| matches!(pair(n), Some(('0', 'x' | 'X') | ('U' | 'u', '+')));
        is_mark(*n) || n.checked_sub(1).is_some_and(is_mark)
    };
    let pieces: Vec<Piece> = (0..pieces.len()).filter(|n| !marks(n)).map(|n| pieces[n].clone()).collect();
    let mut bytes = Vec::new();
    for run in
        pieces.split(|piece| !(piece.c.is_ascii_hexdigit() || matches!(piece.c, ' ' | ':' | '-' | ',' | ';')))
    {
        let digits: Vec<&Piece> = run.iter().filter(|piece| piece.c.is_ascii_hexdigit()).collect();
        // A run may begin with a digit that belongs to no byte of it.
        for from in [0, 1].into_iter().filter(|_| digits.len() >= 6) {
            for pair in digits[from..].chunks_exact(2) {
                let [high, low] = [0, 1].map(|n| pair[n].c.to_digit(16).unwrap_or_default());
                let c = char::from_u32(high * 16 + low).unwrap_or_default();
                bytes.push(Piece { c, at: pair[0].at.start..pair[1].at.end });
            }
            let end = digits.last().map_or(0, |piece| piece.at.end);
            bytes.push(Piece { c: '\0', at: end..end });
        }
    }
    bytes
}

/// Each number that a byte may have, as that byte: some print an array of them, and Java does so with a sign.
pub(super) fn decimal(pieces: &[Piece]) -> Vec<Piece> {
    let numbers = pieces.split(|piece| !(piece.c.is_ascii_digit() || piece.c == '-'));
    let bytes = numbers.filter_map(|run| {
        let text: String = run.iter().map(|piece| piece.c).collect();
        let number: i16 = text.parse().ok()?;
        let byte = if number < 0 { number + 256 } else { number };
        let c = char::from(u8::try_from(byte).ok()?);
        Some(Piece { c, at: run.first()?.at.start..run.last()?.at.end })
    });
    let bytes: Vec<Piece> = bytes.collect();
    // One or two are numbers, as most are.
    if bytes.len() < 4 { Vec::new() } else { merged(&bytes) }
}

/// The words that may be base64 of either alphabet, of at least so many characters.
pub(super) fn words(pieces: &[Piece], least: usize) -> impl Iterator<Item = &[Piece]> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    pieces.split(move |piece| !is_base64(piece.c)).filter(move |word| word.len() >= least)
}

/// A word in the alphabet of RFC 4648 section 4, and where it stands.
pub(super) fn base64_word(word: &[Piece]) -> (String, Range<usize>) {
    let text = word.iter().map(|piece| match piece.c {
        '-' => '+',
        '_' => '/',
        c => c,
    });
    let [start, end] =
        [word.first(), word.last()].map(|piece| piece.map(|piece| piece.at.clone()).unwrap_or_default());
    (text.collect(), start.start..end.end)
}

/// Nobody knows where in its group of four a word begins, nor whether it was padded.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What each word that may be base64 says, in each alignment; every character stands where the word does.
pub(super) fn base64_words(pieces: &[Piece]) -> Vec<Vec<Piece>> {
    let mut decoded = Vec::new();
    // `key=` and the like stand before a value, and a padding ends it.
    let values =
        words(pieces, 4).flat_map(|word| word.split(|piece| piece.c == '=')).filter(|value| value.len() > 3);
    for (word, at) in values.map(base64_word) {
        for from in 0..4 {
            let shifted = &word[from..];
            // One character more than whole groups says nothing.
            let whole = shifted.len() - usize::from(shifted.len() % 4 == 1);
            let Ok(bytes) = LENIENT.decode(&shifted[..whole]) else { continue };
            decoded.push(bytes.iter().map(|byte| Piece { c: char::from(*byte), at: at.clone() }).collect());
        }
    }
    decoded
}

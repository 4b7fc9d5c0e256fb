//! Takes out of a text what it quotes of a request: a provider may do so in a refusal, which ends up in
//! conditions and logs (promise 21).
//!
//! A quote may be encoded, written in other letters, or cut. So what is compared is not the text but several
//! readings of it ([`reading`]), each of which knows where in the text its characters stand. In doubt, more is
//! taken out than was quoted.

mod encoding;
mod reading;
mod secret;

use std::collections::HashSet;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Request;
use encoding::Piece;
use secret::Secret;
use tenios_api::{Endpoint, RequestField};

/// Fewer characters than this are in a document and in another word by chance.
const PIECE: usize = 12;

/// The documented codes. They say what is wrong, and nothing of what was sent.
const CODES: [&str; 5] = [
    "NUMBER_ORDER_ILLEGAL_NUMBER_TYPE",
    "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID",
    "NUMBER_ORDER_WRONG_LINK_NUMBER",
    "NUMBER_ORDER_INVALID_PUSH_SECRET",
    "BAD_CREDENTIALS",
];

/// The text with the name of a field wherever something of its value stood.
pub(super) fn redact(text: &str, request: &Request, fields: &[(RequestField, String)]) -> String {
    let is_id = Endpoint::ALL.iter().any(|endpoint| endpoint.id_field() == text);
    if is_id || RequestField::named(text).is_some() || CODES.contains(&text) {
        return text.to_owned();
    }
    let plain = encoding::plain(text);
    let mut secrets: Vec<Secret> =
        fields.iter().filter_map(|(field, value)| Secret::new(*field, value)).collect();
    let value = |wanted| fields.iter().find(|(field, _)| *field == wanted).map(|(_, value)| value);
    if let (Some(name), Some(number)) = (value(RequestField::Street), value(RequestField::HouseNumber)) {
        // Written without a blank, a house number would be a part of another word.
        secrets.extend(Secret::new(RequestField::Street, &format!("{name}{number}")));
    }
    let mut found = quotes(&plain, &secrets);
    if let Some((field, document)) = &request.document {
        found.extend(pieces(&plain, document.bytes()).into_iter().map(|at| (at, *field)));
    }
    replaced(text, found)
}

/// Where something of a secret stands, and whose it is.
fn quotes(plain: &[Piece], secrets: &[Secret]) -> Vec<(Range<usize>, RequestField)> {
    let mut found = Vec::new();
    for reading in reading::of(plain) {
        for secret in secrets {
            found.extend(secret.find_in(&reading).into_iter().map(|at| (at, secret.field())));
        }
    }
    for word in words(plain) {
        let hex = encoding::hex(&word);
        let once_more = encoding::base64_words(&word).into_iter().chain([hex]);
        let readings = once_more.flat_map(|word| reading::of_word(&word)).chain(reading::of_word(&word));
        let [start, end] = [word.first(), word.last()].map(|piece| piece.map(|piece| piece.at.clone()));
        let at = start.unwrap_or_default().start..end.unwrap_or_default().end;
        for reading in readings {
            if let Some(secret) = secrets.iter().find(|secret| secret.is_in(&reading)) {
                found.push((at.clone(), secret.field()));
            }
        }
    }
    found
}

/// What may be base64, decoded. A slash of base64 is escaped in JSON, and its other signs in a URL.
fn words(plain: &[Piece]) -> Vec<Vec<Piece>> {
    let (undone, hex) = (encoding::undone(plain, '%'), encoding::hex(plain));
    [plain, &undone, &hex].into_iter().flat_map(encoding::base64_words).collect()
}

/// Where the text has a piece of the document: as it is, in hexadecimal digits, or in base64 wherever its groups begin.
fn pieces(plain: &[Piece], document: &[u8]) -> Vec<Range<usize>> {
    let bytes: Vec<Piece> = plain
        .iter()
        .flat_map(|piece| {
            let mut bytes = [0; 4];
            let bytes = piece.c.encode_utf8(&mut bytes).bytes().collect::<Vec<_>>();
            bytes.into_iter().map(|byte| Piece { c: char::from(byte), at: piece.at.clone() })
        })
        .collect();
    let mut texts = words(plain);
    texts.extend([bytes, encoding::hex(plain)]);
    let texts: Vec<(Vec<u8>, &Vec<Piece>)> = texts
        .iter()
        .map(|text| (text.iter().map(|piece| u8::try_from(piece.c).unwrap_or_default()).collect(), text))
        .collect();
    // Of all at once: a document has a million pieces, and a text may have tens of thousands.
    let asked: HashSet<&[u8]> = texts.iter().flat_map(|(bytes, _)| bytes.windows(PIECE)).collect();
    let quoted: HashSet<&[u8]> = document.windows(PIECE).filter(|piece| asked.contains(piece)).collect();
    let mut found = words_as_sent(plain, document);
    for (bytes, pieces) in &texts {
        let windows = bytes.windows(PIECE).enumerate().filter(|(_, piece)| quoted.contains(piece));
        found.extend(windows.map(|(n, _)| pieces[n].at.start..pieces[n + PIECE - 1].at.end));
    }
    found
}

/// The words that hold a piece of the document, in base64 of either alphabet as it was sent.
fn words_as_sent(plain: &[Piece], document: &[u8]) -> Vec<Range<usize>> {
    let undone = encoding::undone(plain, '%');
    let words = [plain, &undone].into_iter().flat_map(|pieces| encoding::words(pieces, PIECE));
    let words: Vec<(String, Range<usize>)> = words.map(encoding::base64_word).collect();
    // Of all words at once: a document has a million pieces, and a text may have tens of thousands.
    let asked: HashSet<&[u8]> = words.iter().flat_map(|(word, _)| word.as_bytes().windows(PIECE)).collect();
    if asked.is_empty() {
        return Vec::new();
    }
    let whole = STANDARD.encode(document);
    let quoted: HashSet<&[u8]> = whole.as_bytes().windows(PIECE).filter(|p| asked.contains(p)).collect();
    let quoting = words.iter().filter(|(word, _)| word.as_bytes().windows(PIECE).any(|p| quoted.contains(p)));
    quoting.map(|(_, at)| at.clone()).collect()
}

/// What overlaps is one quote.
fn replaced(text: &str, mut found: Vec<(Range<usize>, RequestField)>) -> String {
    found.sort_by_key(|(at, _)| (at.start, std::cmp::Reverse(at.end)));
    let (mut kept, mut end) = (String::new(), 0);
    for (at, field) in found {
        if at.start >= end {
            kept.push_str(&text[end..at.start]);
            kept.extend(["<", field.name(), ">"]);
        }
        end = end.max(at.end);
    }
    kept.push_str(&text[end..]);
    kept
}

#[cfg(test)]
mod tests;

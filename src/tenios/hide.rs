//! Takes out of a text what it quotes of a request: a provider may do so in a refusal, which ends up in
//! conditions and logs (promise 21).

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use secrecy::ExposeSecret;

use super::Request;

/// The fields that nobody else may see. A country names no place.
const SECRET: [&str; 6] = ["access_key", "push_secret", "street", "city", "zip", "house_number"];

/// A value of fewer characters is only taken out where it stands alone: it is a part of many words.
const SHORT: usize = 4;

/// Fewer characters than this are in a document or a push secret and in another word by chance.
const PIECE: usize = 12;

/// The text without the secret fields and without the words that hold a piece of the document or of the push
/// secret: a quote may be cut.
pub(super) fn without_secrets(text: &str, request: &Request, fields: &[(&'static str, String)]) -> String {
    let secret = fields.iter().filter(|(name, _)| SECRET.contains(name));
    let text = secret.fold(text.to_owned(), |text, (name, value)| without(&text, value, name));
    match request {
        Request::Verification { document, .. } => {
            without_pieces(text, "document_data", || STANDARD.encode(&document.0))
        }
        Request::Order { push: Some(push), .. } => {
            without_pieces(text, "push_secret", || push.secret.expose_secret().to_owned())
        }
        Request::Order { push: None, .. } => text,
    }
}

/// The text with the field's name wherever the value stood, in whatever case.
fn without(text: &str, value: &str, name: &str) -> String {
    let alone = value.chars().count() < SHORT;
    let (mut kept, mut rest, mut before) = (String::new(), text, None);
    while let Some(first) = rest.chars().next() {
        let behind = begins_with(rest, value)
            .filter(|behind| !alone || ![before, behind.chars().next()].into_iter().flatten().any(is_word));
        if let Some(behind) = behind {
            kept.extend(["<", name, ">"]);
            (rest, before) = (behind, value.chars().next_back());
        } else {
            kept.push(first);
            (rest, before) = (&rest[first.len_utf8()..], Some(first));
        }
    }
    kept
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What follows the value, where the text begins with it.
fn begins_with<'a>(text: &'a str, value: &str) -> Option<&'a str> {
    let same = |a: char, b: char| a == b || a.to_lowercase().eq(b.to_lowercase());
    let mut chars = text.chars();
    let matches = value.chars().all(|wanted| chars.next().is_some_and(|found| same(found, wanted)));
    (matches && !value.is_empty()).then_some(chars.as_str())
}

/// The text without the words that hold a piece of this, which is in base64 of either alphabet, or in hex.
fn without_pieces(text: String, name: &str, whole: impl FnOnce() -> String) -> String {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let words = text.split(|c| !is_base64(c)).filter(|word| word.len() >= PIECE);
    let words: Vec<(&str, String)> =
        words.map(|word| (word, word.replace('-', "+").replace('_', "/"))).collect();

    // Of all words at once: a document has a million pieces, and a text may have tens of thousands.
    let asked: HashSet<&[u8]> = words.iter().flat_map(|(_, word)| word.as_bytes().windows(PIECE)).collect();
    if asked.is_empty() {
        return text;
    }
    let whole = whole();
    let quoted: HashSet<&[u8]> =
        whole.as_bytes().windows(PIECE).filter(|piece| asked.contains(piece)).collect();
    let quoting = words.iter().filter(|(_, word)| word.as_bytes().windows(PIECE).any(|p| quoted.contains(p)));
    quoting.fold(text.clone(), |text, (word, _)| text.replace(word, &format!("<{name}>")))
}

#[cfg(test)]
mod tests {
    use super::{STANDARD, without, without_pieces};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE;

    #[test]
    fn p21_a_value_is_taken_out_in_any_case_and_a_short_one_where_it_stands_alone() {
        for (text, value, expected) in [
            ("no street Krugenofen here", "Krugenofen", "no street <it> here"),
            ("KRUGENOFEN, krugenofen", "Krugenofen", "<it>, <it>"),
            ("in KÖLN and Köln-Süd", "Köln", "in <it> and <it>-Süd"),
            ("Ulm 4, 4 4a 14 4", "4", "Ulm <it>, <it> 4a 14 <it>"),
            ("ULM, Ulmen, ulm", "Ulm", "<it>, Ulmen, <it>"),
            ("keykeykey", "keykey", "<it>key"),
            ("nothing", "", "nothing"),
        ] {
            assert_eq!(without(text, value, "it"), expected);
        }
    }

    #[test]
    fn p21_a_piece_of_the_document_is_taken_out_and_other_words_stay() {
        let bytes: Vec<u8> = b"%PDF-1.4 ".iter().copied().chain((0..=255).rev()).collect();
        let (standard, url) = (STANDARD.encode(&bytes), URL_SAFE.encode(&bytes));
        for (text, expected) in [
            (format!("bad: {}", &standard[40..52]), "bad: <document_data>"),
            (format!("bad: {}!", &standard[3..300]), "bad: <document_data>!"),
            (format!("bad: ({})", &url[3..300]), "bad: (<document_data>)"),
            (format!("{}\n{}", &standard[..76], &standard[76..152]), "<document_data>\n<document_data>"),
            ("NUMBER_ORDER_VERIFICATION_ID_NOT_VALID".into(), "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID"),
        ] {
            assert_eq!(without_pieces(text, "document_data", || standard.clone()), expected);
        }
    }
}

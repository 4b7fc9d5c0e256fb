//! Every form in which a secret could stand in an output.

use std::collections::BTreeMap;
use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// A form shorter than this could be in an output by chance.
const SHORTEST: usize = 5;

/// What to look for: each form with whose it is.
#[derive(Default)]
pub struct SecretForms(BTreeMap<String, String>);

impl SecretForms {
    /// Adds all forms of a secret. `what` stands in the failure.
    pub fn add(&mut self, what: &str, secret: &[u8]) {
        let forms = forms(secret);
        assert!(!forms.is_empty(), "{what} is too short to be looked for");
        for (form, text) in forms {
            self.0.entry(text).or_insert_with(|| format!("{what} {form}"));
        }
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What of it stands in this text: whose, and the line.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let hits = self.0.iter().filter_map(|(needle, whose)| {
            let at = text.find(needle.as_str())?;
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let from = text[line..at].char_indices().rev().nth(200).map_or(line, |(before, _)| line + before);
            let shown: String = text[from..].chars().take(400).collect();
            Some(format!("{whose}: {}", shown.lines().next().unwrap_or_default()))
        });
        hits.collect()
    }
}

/// Plain, base64 in all three alignments and both alphabets, hex and URL encoding in both cases.
fn forms(secret: &[u8]) -> Vec<(&'static str, String)> {
    let mut forms = vec![
        ("in hex", hex(secret)),
        ("in capital hex", hex(secret).to_uppercase()),
        ("URL-encoded", percent(secret, |b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b))),
        ("URL-encoded throughout", percent(secret, |_| false)),
    ];
    for index in 0..forms.len() {
        let (form, text) = forms[index].clone();
        if form.starts_with("URL") {
            // The digits of an escape may be lower-case, and a blank may be a plus.
            forms.push((form, lower_escapes(&text)));
            forms.push((form, text.replace("%20", "+")));
        }
    }
    if let Ok(text) = std::str::from_utf8(secret) {
        forms.push(("in plain", text.to_owned()));
        forms.push(("escaped", text.escape_default().to_string()));
    }
    for before in 0..3 {
        forms.push(("in base64", aligned(&STANDARD_NO_PAD, secret, before)));
        forms.push(("in URL-safe base64", aligned(&URL_SAFE_NO_PAD, secret, before)));
    }
    forms.retain(|(_, text)| text.len() >= SHORTEST);
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn percent(bytes: &[u8], stays: impl Fn(u8) -> bool) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ =
            if stays(*byte) { write!(text, "{}", char::from(*byte)) } else { write!(text, "%{byte:02X}") };
        text
    })
}

fn lower_escapes(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let (digits, rest) = part.split_at(2);
        format!("{text}%{}{rest}", digits.to_lowercase())
    })
}

/// What of `secret` is certain to stand in the base64 of a text in which so many bytes (modulo 3) come
/// before it, whatever these are and whatever follows.
fn aligned(engine: &impl Engine, secret: &[u8], before: usize) -> String {
    let padded = [&[0_u8; 3][..before], secret].concat();
    let encoded = engine.encode(&padded);
    // The first characters mix in what comes before, the last one what follows.
    let from = [0, 2, 3][before];
    let to = encoded.len() - usize::from(!padded.len().is_multiple_of(3));
    encoded.get(from..to).unwrap_or_default().to_owned()
}

#[test]
fn p21_a_secret_is_found_in_every_form_and_place() {
    let secret = "Große Straße 17?>";
    let mut secret_forms = SecretForms::default();
    secret_forms.add("the street", secret.as_bytes());
    let base64_standard = base64::engine::general_purpose::STANDARD;
    let base64_url = base64::engine::general_purpose::URL_SAFE;
    for before in ["", "a", "ab", "abc", "abcd"] {
        for after in ["", "y", "yz", "xyz"] {
            let text = format!("{before}{secret}{after}");
            for form in [
                text.clone(),
                format!("{text:?}"),
                serde_json::json!(text).to_string(),
                base64_standard.encode(&text),
                base64_url.encode(&text),
                hex(text.as_bytes()),
                hex(text.as_bytes()).to_uppercase(),
                percent(text.as_bytes(), |b| b.is_ascii_alphanumeric()),
                lower_escapes(&percent(text.as_bytes(), |b| b.is_ascii_alphanumeric())),
                percent(text.as_bytes(), |_| false),
            ] {
                let found = secret_forms.found_in(&format!("one line\n{{\"quoted\":\"{form}\"}}\nanother"));
                assert!(!found.is_empty(), "not found: {form}");
                assert!(found.iter().all(|f| f.starts_with("the street ")), "{found:?}");
            }
        }
    }
    let innocent = "Große Strasse 17, R3Jvw59l, 47726f, Gro%C3%9Fe";
    assert_eq!(secret_forms.found_in(innocent), Vec::<String>::new());
}

#[test]
fn p21_a_secret_too_short_to_be_looked_for_is_no_silent_pass() {
    let added = std::panic::catch_unwind(|| SecretForms::default().add("the house number", b"4"));
    assert!(added.is_err());
}

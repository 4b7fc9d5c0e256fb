//! What a document must be to be sent. TENIOS looks at it days later, and by then it is frozen.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

/// A PDF. It is read when it is needed, held while it is sent, and can't be printed.
#[derive(Clone)]
pub struct Document(Bytes);

impl Document {
    /// The largest document that is sent, in bytes: a Secret holds at most 1 MiB, and a request of 1.4 MB in base64 is
    /// already above what many servers take.
    pub const LIMIT: usize = 1_000_000;

    /// Takes bytes that readers take for a PDF.
    ///
    /// # Errors
    /// What is wrong with them, in words that go on after their name.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        match flaw(&bytes) {
            Some(flaw) => Err(flaw),
            None => Ok(Self(bytes.into())),
        }
    }

    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}

/// How far from its ends readers look for the marks of a PDF (the implementation notes to ISO 32000-1, H.3).
const REACH: usize = 1024;

const HEAD: &[u8] = b"%PDF-";
const END: &[u8] = b"%%EOF";

/// What is there instead, by how it begins.
const OTHERS: &[(&[u8], &str)] = &[
    (b"\x89PNG", "it is a picture (PNG)"),
    (b"\xff\xd8\xff", "it is a picture (JPEG)"),
    (b"GIF8", "it is a picture (GIF)"),
    (b"II*\0", "it is a picture (TIFF)"),
    (b"MM\0*", "it is a picture (TIFF)"),
    (b"PK\x03\x04", "it is an Office document or a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "it is an Office document"),
    (b"{\\rtf", "it is a text document (RTF)"),
    (b"%!PS", "it is PostScript"),
    (b"\xff\xfe", "it is UTF-16 text, so a program saved it as text"),
    (b"\xfe\xff", "it is UTF-16 text, so a program saved it as text"),
    (b"version https://git-lfs", "it is a Git LFS pointer: the file itself was not checked out"),
    (b"age-encryption.org", "it is still encrypted (age)"),
    (b"-----BEGIN", "it is still encrypted, or a certificate"),
];

/// What is wrong with the bytes, in words that go on after their name; none where readers take them for a PDF.
fn flaw(bytes: &[u8]) -> Option<String> {
    if bytes.len() > Document::LIMIT {
        return Some(format!("has {} bytes, but at most {} can be sent", bytes.len(), Document::LIMIT));
    }
    // Transfers pad with zeros, and editors end with a line.
    let end = bytes.iter().rposition(|b| *b != 0 && !b.is_ascii_whitespace()).map_or(0, |last| last + 1);
    let content = &bytes[..end];
    if content.is_empty() {
        return Some("is empty".into());
    }
    if !contains(&content[..end.min(REACH)], HEAD) {
        return Some(format!("is not a PDF: {}", instead(content)));
    }
    if !contains(&content[end.saturating_sub(REACH)..], END) {
        return Some(format!(
            "is a truncated PDF: it has {} bytes and does not end with %%EOF, so it can't be opened",
            bytes.len()
        ));
    }
    // What is not text is never valid UTF-8 as a whole; what was read as text is, with a mark for each byte lost.
    let as_text = std::str::from_utf8(content).is_ok_and(|text| text.contains(char::REPLACEMENT_CHARACTER));
    as_text.then(|| "is a damaged PDF: a program saved it as text".into())
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|piece| piece == wanted)
}

/// What is there in place of a PDF.
fn instead(content: &[u8]) -> &'static str {
    let known =
        |content: &[u8]| OTHERS.iter().find(|(head, _)| content.starts_with(head)).map(|(_, what)| *what);
    if let Some(what) = known(content) {
        return what;
    }
    let text = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    let head = text[..text.len().min(REACH)].to_ascii_lowercase();
    if contains(&head, b"<html") || head.starts_with(b"<!doctype html") {
        "it is a web page (HTML), such as one that asks for a login or reports an error"
    } else if contains(&head, b"\"enc[aes256_gcm") {
        "it is still encrypted (SOPS)"
    } else if is_base64_of_pdf(text) {
        "it is a PDF in base64, so it was encoded once too often; pass the file itself to kubectl create secret, or encode it once under data"
    } else if head.starts_with(b"<") || head.starts_with(b"{") {
        "it is XML or JSON, such as an error report"
    } else {
        known(text).unwrap_or("there is no %PDF- in its first 1,024 bytes")
    }
}

/// Whether this is a PDF, encoded once or more.
fn is_base64_of_pdf(text: &[u8]) -> bool {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let text = match text.windows(7).take(REACH).position(|piece| piece == b"base64,") {
        Some(at) => &text[at + 7..],
        None => text,
    };
    let mut head: Vec<u8> = text.iter().filter(|b| !b.is_ascii_whitespace()).take(256).copied().collect();
    while let Ok(decoded) = engine.decode(&head[..head.len() / 4 * 4]) {
        if decoded.starts_with(HEAD) {
            return true;
        }
        if decoded.len() < HEAD.len() {
            return false;
        }
        head = decoded;
    }
    false
}

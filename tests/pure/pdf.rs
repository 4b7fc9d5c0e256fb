//! What is sent as a document, and what is told about the rest.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tenios_api::pdf::Document;

const PDF: &[u8] = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n";

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn p24_a_document_is_a_pdf_as_readers_take_it() {
    for (what, bytes) in [
        ("as it should be", PDF.to_vec()),
        ("with a byte order mark", joined(&[b"\xef\xbb\xbf", PDF])),
        ("after the head of an answer", joined(&[&[b'x'; 1019], PDF])),
        ("padded with zeros", joined(&[PDF, &[0; 4096]])),
        ("with many lines behind it", joined(&[PDF, &b"\r\n".repeat(2000)])),
        ("signed behind its end", joined(&[PDF, &[b'x'; 1000]])),
    ] {
        assert_eq!(Document::new(bytes).err(), None, "{what}");
    }
}

#[test]
fn p24_what_is_no_whole_pdf_is_refused_in_words_that_help() {
    let once = STANDARD.encode(PDF);
    let wrapped = once.as_bytes().chunks(76).collect::<Vec<_>>().join(&b'\n');
    let as_text = String::from_utf8_lossy(PDF).into_owned();
    let utf16: Vec<u8> = "\u{feff}%PDF-1.7".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, words) in [
        (vec![], "is empty"),
        (b" \r\n\0\0".to_vec(), "is empty"),
        (b"hello".to_vec(), "is not a PDF: there is no %PDF-"),
        (joined(&[&[b'x'; 1024], PDF]), "is not a PDF: there is no %PDF-"),
        (PDF[..PDF.len() - 3].to_vec(), "is a truncated PDF: it has 84 bytes"),
        (PDF[..40].to_vec(), "is a truncated PDF"),
        (joined(&[PDF, &[b'x'; 1100]]), "is a truncated PDF"),
        (joined(&[&PDF[..40], &[0; 1000]]), "is a truncated PDF"),
        (once.clone().into_bytes(), "base64"),
        (wrapped, "base64"),
        (STANDARD.encode(&once).into_bytes(), "base64"),
        (format!("data:application/pdf;base64,{once}").into_bytes(), "base64"),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>".to_vec(), "web page"),
        (b"\xef\xbb\xbf\n <HTML><title>Sign in</title>".to_vec(), "web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>".to_vec(), "XML or JSON"),
        (br#"{"message": "Not Found"}"#.to_vec(), "XML or JSON"),
        (br#"{"data": "ENC[AES256_GCM,data:x,type:str]"}"#.to_vec(), "SOPS"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "PNG"),
        (b"\xff\xd8\xff\xe0".to_vec(), "JPEG"),
        (b"PK\x03\x04word/document.xml".to_vec(), "Office"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0".to_vec(), "Git LFS"),
        (utf16, "UTF-16"),
        (as_text.into_bytes(), "saved it as text"),
        (vec![b'x'; Document::LIMIT + 1], "has 1000001 bytes"),
    ] {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let why = Document::new(bytes).err().unwrap_or_else(|| panic!("{shown:?} is taken"));
        assert!(why.contains(words), "{shown:?}: {why}, not {words}");
    }
}

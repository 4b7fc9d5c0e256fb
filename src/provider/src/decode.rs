//! What bytes say, whatever they went through on the way: a proxy compresses, a server writes Latin-1 or UTF-16,
//! an editor left a byte order mark. The one place for it, so that answers and pushes are read alike.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use serde_json::Number;

/// A proxy may compress what was compressed already, and no more layers are taken off: each costs time.
const LAYERS: usize = 2;

/// The text of a body of at most `limit` bytes, compressed or not. None where it is no text, is longer, or broke
/// off within a compression: half a text could be taken for a whole one.
#[must_use]
pub fn text(bytes: &[u8], limit: usize) -> Option<String> {
    let plain = decompressed(bytes, limit)?;
    let text = decoded(&plain);
    // Text has no others; what was compressed in a way that nobody knows here is full of them. From 0x7f on they come
    // from a text that was taken for Latin-1 on its way.
    let readable = !text.contains(|c: char| c < ' ' && !matches!(c, '\u{7}'..='\r' | '\u{1b}'));
    readable.then(|| text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned())
}

/// What can be read of a body that may be no text, too long, or broken off: to look for something in it.
#[must_use]
pub fn as_far_as_it_goes(bytes: &[u8], limit: usize) -> String {
    if let Some(plain) = decompressed(bytes, limit) {
        return decoded(&plain);
    }
    let begun = [begun(MultiGzDecoder::new(bytes), limit), begun(ZlibDecoder::new(bytes), limit)];
    decoded(begun.iter().find(|begun| !begun.is_empty()).map_or(bytes, Vec::as_slice))
}

/// The digits of a whole number. JavaScript and PHP make `300000.0` of some of them.
#[must_use]
pub fn whole(number: &Number) -> Option<String> {
    if number.is_u64() {
        return Some(number.to_string());
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0 && (0.0..1e15).contains(float))?;
    Some(format!("{float:.0}"))
}

/// By what the bytes are, not by `Content-Encoding`: a proxy may have taken off one of the two.
fn decompressed(bytes: &[u8], limit: usize) -> Option<Cow<'_, [u8]>> {
    let mut plain = Cow::Borrowed(bytes);
    for _ in 0..LAYERS {
        let next = match *plain {
            [0x1f, 0x8b, ..] => bounded(MultiGzDecoder::new(&plain[..]), limit)?,
            // RFC 1950: deflate with the usual window, and a header that is a multiple of 31.
            [0x78, flags, ..] if (0x7800 + u16::from(flags)).is_multiple_of(31) => {
                bounded(ZlibDecoder::new(&plain[..]), limit)?
            }
            // What some servers call "deflate" has no header at all.
            [first, ..] if !is_text(first) && std::str::from_utf8(&plain).is_err() => {
                match bounded(DeflateDecoder::new(&plain[..]), limit) {
                    Some(next) if !next.is_empty() => next,
                    _ => break,
                }
            }
            _ => break,
        };
        plain = Cow::Owned(next);
    }
    Some(plain)
}

/// Whether a text may begin with this byte, in UTF-8, UTF-16 or Latin-1.
fn is_text(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0xef | 0xfe | 0xff)
}

/// As much as there is until it breaks off.
fn begun(from: impl Read, limit: usize) -> Vec<u8> {
    let mut plain = Vec::new();
    let _ = from.take(limit as u64).read_to_end(&mut plain);
    plain
}

fn bounded(from: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut plain = Vec::new();
    from.take(limit as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= limit).then_some(plain)
}

/// By its byte order mark, else by where the zeros stand (RFC 4627 section 3), else UTF-8, else Windows-1252,
/// which is what Latin-1 is on the web.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [first, 0, ..] if *first != 0 => utf16(bytes, u16::from_le_bytes),
        [0, second, ..] if *second != 0 => utf16(bytes, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| windows_1252(*byte)).collect(),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// From 0x80 to 0x9f; the five that Windows-1252 does not use stay what Latin-1 has there.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

pub(super) fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => WINDOWS_1252[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// The byte that this character is in Windows-1252.
pub(super) fn to_windows_1252(c: char) -> Option<u8> {
    match WINDOWS_1252.iter().position(|other| *other == c) {
        Some(at) => u8::try_from(0x80 + at).ok(),
        None => u8::try_from(c).ok().filter(|byte| !(0x80..=0x9f).contains(byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::text;

    const LIMIT: usize = 100;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap_or_default();
        encoder.finish().unwrap_or_default()
    }

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn a_text_is_read_in_every_coding_that_servers_and_proxies_write() {
        let json = "{\"a\":\"Köln\"}";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
        assert!(zlib.write_all(json.as_bytes()).is_ok() && deflate.write_all(json.as_bytes()).is_ok());
        let marked = format!("\u{feff}{json}");
        for (name, bytes) in [
            ("UTF-8", json.as_bytes().to_vec()),
            ("UTF-8 with a byte order mark", marked.clone().into_bytes()),
            ("blanks around it", format!("\r\n {json}\n").into_bytes()),
            ("Latin-1", b"{\"a\":\"K\xf6ln\"}".to_vec()),
            ("UTF-16 LE with a mark", utf16(&marked, u16::to_le_bytes)),
            ("UTF-16 BE with a mark", utf16(&marked, u16::to_be_bytes)),
            ("UTF-16 LE", utf16(json, u16::to_le_bytes)),
            ("UTF-16 BE", utf16(json, u16::to_be_bytes)),
            ("gzip", gzip(json.as_bytes())),
            ("gzip of gzip", gzip(&gzip(json.as_bytes()))),
            ("gzip of UTF-16", gzip(&utf16(&marked, u16::to_le_bytes))),
            ("zlib", zlib.finish().unwrap_or_default()),
            ("deflate", deflate.finish().unwrap_or_default()),
        ] {
            assert_eq!(text(&bytes, LIMIT).as_deref(), Some(json), "{name}");
        }
        assert_eq!(text(b"100 \x80 \x84quoted\x93", LIMIT).as_deref(), Some("100 € „quoted“"));
    }

    #[test]
    fn what_is_no_whole_text_within_the_bound_is_none() {
        let whole = gzip(b"{\"order_id\":\"1\"}");
        let cut = &whole[..whole.len() - 9];
        for bytes in
            [cut, &gzip(&[b'x'; LIMIT + 1]), b"\x1f\x8b", b"\x01\x02\x03", b"\x28\xb5\x2f\xfd\x04\x00"]
        {
            assert_eq!(text(bytes, LIMIT), None, "{}", bytes.escape_ascii());
        }
        assert_eq!(text(b"", LIMIT).as_deref(), Some(""));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_a_reason_to_fail(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), how in 0..4_usize) {
            let heads: [&[u8]; 4] = [b"", b"\x1f\x8b\x08\x00", b"\x78\x9c", b"\xff\xfe"];
            let _ = text(&[heads[how], &bytes[..]].concat(), LIMIT);
        }
    }
}

//! Short texts, compressed against one that is like them. By itself a text of a kilobyte hardly gets shorter: what it
//! repeats is in the others.

use lz4_flex::block::{compress_prepend_size_with_dict, decompress_size_prepended_with_dict};

/// Compresses `text` against `like`, without which it can't be read again.
#[must_use]
pub fn pack(text: &[u8], like: &[u8]) -> Box<[u8]> {
    compress_prepend_size_with_dict(text, like).into_boxed_slice()
}

/// What was packed against the same text; none where it was another one.
#[must_use]
pub fn unpack(packed: &[u8], like: &[u8]) -> Option<Vec<u8>> {
    decompress_size_prepended_with_dict(packed, like).ok()
}

#[cfg(test)]
mod tests {
    use super::{pack, unpack};

    #[test]
    fn a_text_like_another_one_is_short_and_comes_out_as_it_was() {
        let like = r#"{"type":"Accepted","attempt":"00000000000000000000000000000000","id":"300000"}"#;
        let texts = [like.replace("300000", "300024"), like.repeat(40), "Stra\u{df}e".into(), String::new()];
        for text in &texts {
            let packed = pack(text.as_bytes(), like.as_bytes());
            assert_eq!(unpack(&packed, like.as_bytes()).as_deref(), Some(text.as_bytes()));
        }
        assert!(pack(texts[0].as_bytes(), like.as_bytes()).len() < texts[0].len() / 3);
        assert_eq!(unpack(&[0xff, 0xff, 0xff], like.as_bytes()), None);
    }
}

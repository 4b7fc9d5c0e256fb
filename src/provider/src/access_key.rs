//! An access key as it was put into a Secret or a file.

use secrecy::SecretString;

use tenios_api::text::TextFlaw;

/// Access keys longer than this are a mistake, such as a whole file in the wrong key.
const LIMIT: usize = 1024;

/// The key, without the byte order mark that some editors begin a file with, and without white space around it.
///
/// # Errors
/// What is wrong, in words that go on after where it came from and quote nothing of it.
pub fn access_key(bytes: Vec<u8>) -> Result<SecretString, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is text in UTF-16; save it as UTF-8".into());
    }
    let no_key = |why: &str| Err(format!("is not an access key: {why}"));
    let Ok(text) = String::from_utf8(bytes) else {
        return no_key("expected one line of text, in UTF-8");
    };
    let text = text.trim_start_matches('\u{feff}').trim();
    match TextFlaw::of(text) {
        Some(TextFlaw::Blank) => Err("is empty".into()),
        Some(TextFlaw::Control) => no_key("expected one line of text"),
        Some(TextFlaw::Invisible) => {
            no_key("it contains a no-break, zero-width or other invisible character")
        }
        None if text.len() > LIMIT => no_key("it is longer than 1,024 bytes"),
        None => Ok(text.to_owned().into()),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::access_key;

    #[test]
    fn a_key_is_taken_as_people_store_it_and_refused_in_words_where_something_is_hidden_in_it() {
        for (stored, expected) in [
            ("5ecret-key", Ok("5ecret-key")),
            ("5ecret-key\n", Ok("5ecret-key")),
            ("\u{feff}5ecret-key\r\n", Ok("5ecret-key")),
            ("\u{feff} \u{a0}5ecret-key\u{a0}\u{2003}\t", Ok("5ecret-key")),
            ("", Err("is empty")),
            ("\u{feff}\u{a0}\n", Err("is empty")),
            ("5ecret\nkey", Err("one line")),
            ("5ecret\tkey", Err("one line")),
            ("5ecret-key\0", Err("one line")),
            ("5ecret\u{a0}key", Err("invisible")),
            ("5ecret-key\u{200b}", Err("invisible")),
            ("5ecret-key\u{feff}", Err("invisible")),
        ] {
            let read = access_key(stored.into());
            let shown = read.as_ref().map(ExposeSecret::expose_secret);
            let fits = match (&shown, expected) {
                (Ok(key), Ok(expected)) => *key == expected,
                (Err(why), Err(words)) => why.contains(words) && !why.contains("5ecret"),
                _ => false,
            };
            assert!(fits, "{stored:?}: {shown:?}, not {expected:?}");
        }
        let refused = |bytes: Vec<u8>, words: &str| access_key(bytes).is_err_and(|why| why.contains(words));
        assert!(refused("\u{feff}key".encode_utf16().flat_map(u16::to_le_bytes).collect(), "UTF-16"));
        assert!(refused(b"K\xf6ln".to_vec(), "in UTF-8"));
        assert!(refused(vec![b'x'; 1025], "longer"));
    }
}

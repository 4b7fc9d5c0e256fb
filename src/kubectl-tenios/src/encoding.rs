//! Text as the programs of other people save it.

/// Why bytes are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// It says that it is UTF-16, and is not.
    #[error("looks like UTF-16, but is truncated or damaged")]
    Utf16,
    /// The line of the first byte that fits into no UTF-8.
    #[error("is neither UTF-8 nor UTF-16 with a byte order mark (first seen in line {0})")]
    Unknown(usize),
}

/// UTF-8 with or without a byte order mark, or UTF-16 with one, as kubectl and spreadsheets take them.
///
/// # Errors
/// When it is neither.
pub fn text(bytes: &[u8]) -> Result<String, NoText> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks();
        let units: Vec<u16> = units.iter().copied().map(unit).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty()).ok_or(NoText::Utf16)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(bytes);
            String::from_utf8(bytes.to_vec()).map_err(|error| {
                let before = String::from_utf8_lossy(&bytes[..error.utf8_error().valid_up_to()]);
                NoText::Unknown(1 + before.matches('\n').count())
            })
        }
    }
}

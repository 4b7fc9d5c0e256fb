//! Hexadecimal text, and digests in it.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Before the digits of [`sha256`].
pub const SHA256: &str = "sha256:";

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `sha256:` and 64 digits.
#[must_use]
pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    format!("{SHA256}{}", hex(&Sha256::digest(bytes)))
}

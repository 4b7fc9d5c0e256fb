//! The key that events are signed with.

use std::fmt;
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use tenios_api::digest::hex;
use tenios_net::trimmed;

/// A shorter one can be guessed.
const SHORTEST: usize = 16;

/// A longer one is a mistake, such as another file.
const LONGEST: usize = 4096;

/// The file of the key, read for each event, because a mounted Secret changes.
#[derive(Clone, Debug)]
pub struct SigningKeyFile(PathBuf);

/// Why there is no key. It quotes nothing of the file.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The file can't be read.
    #[error("{0} can't be read: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// It holds something else.
    #[error("{0}: expected one key of at least 16 characters on one line")]
    NoKey(PathBuf),
}

/// The key itself, which nobody can print.
pub(super) struct SigningKey(Hmac<Sha256>);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKeyFile {
    /// The file at this path, which has to hold a key by now.
    ///
    /// # Errors
    /// [`SigningKeyError`]
    pub fn new(path: &Path) -> Result<Self, SigningKeyError> {
        let file = Self(path.to_owned());
        file.read().map(|_| file)
    }

    pub(super) fn read(&self) -> Result<SigningKey, SigningKeyError> {
        let bytes = std::fs::read(&self.0).map_err(|e| SigningKeyError::Unreadable(self.0.clone(), e))?;
        SigningKey::new(&bytes).ok_or_else(|| SigningKeyError::NoKey(self.0.clone()))
    }
}

impl SigningKey {
    fn new(bytes: &[u8]) -> Option<Self> {
        let key = trimmed(std::str::from_utf8(bytes).ok()?);
        let fits = (SHORTEST..=LONGEST).contains(&key.len()) && !key.contains(char::is_control);
        fits.then(|| Hmac::new_from_slice(key.as_bytes()).ok().map(Self))?
    }

    /// The value of `X-Signature`.
    pub(super) fn sign(&self, body: &[u8]) -> String {
        format!("sha256={}", hex(&self.0.clone().chain_update(body).finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::SigningKey;

    /// RFC 4231 has keys of 20 bytes and more that are no text, so this one is from `openssl dgst -sha256 -hmac`.
    #[test]
    fn a_body_is_signed_as_openssl_does_it() {
        let key = SigningKey::new(b"\xef\xbb\xbfrelay-key-for-tests\r\n");
        let signature = key.map(|key| key.sign(b"{}"));
        assert_eq!(
            signature.as_deref(),
            Some("sha256=42db29452426ba157af583eaab9a4f469870f5656a3b114a7a96b6d38faabed9")
        );
    }

    #[test]
    fn what_is_no_key_is_none() {
        for wrong in
            [&b""[..], b"too-short", b"a-key-of-enough-length\nand-another-one", b"\xff\xfe-in-utf-16-it-is"]
        {
            assert!(SigningKey::new(wrong).is_none(), "{wrong:?}");
        }
        assert!(SigningKey::new(&[b'x'; 4097]).is_none());
        assert_eq!(format!("{:?}", SigningKey::new(b"relay-key-for-tests")), "Some(SigningKey)");
    }
}

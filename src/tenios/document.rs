//! The document that is sent.

use bytes::Bytes;

use crate::api::pdf;

/// A PDF. It is read when it is needed, held while it is sent, and can't be printed.
#[derive(Clone)]
pub struct Document(pub(super) Bytes);

impl Document {
    /// The largest document that is sent, in bytes.
    pub const LIMIT: usize = pdf::LIMIT;

    /// Takes bytes that readers take for a PDF.
    ///
    /// # Errors
    /// What is wrong with them, in words that go on after their name.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        match pdf::flaw(&bytes) {
            Some(flaw) => Err(flaw),
            None => Ok(Self(bytes.into())),
        }
    }

    /// `sha256:` and the digest in hex.
    #[must_use]
    pub fn digest(&self) -> String {
        crate::ledger::terms::digest(&self.0)
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}

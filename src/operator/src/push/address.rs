//! The URL and the secret that each order request carries (`docs/provider-api.md#the-push`).

use std::path::PathBuf;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;

use tenios_api::digest::hex;
use tenios_api::name::{is_dns_label, is_dns_subdomain};
use tenios_ledger::{AttemptId, Key, Kind};
use tenios_net::{BaseUrl, trimmed};
use tenios_provider::PushTarget;

/// Where paths of the receiver begin, behind whatever prefix the base URL has.
pub const PREFIX: &str = "/push/v1/";

/// The push keys: the first signs, all verify, so that a key can be rotated.
#[derive(Clone)]
pub struct PushKeys(Arc<Vec<Hmac<Sha256>>>);

/// Why there are no push keys.
#[derive(Debug, thiserror::Error)]
pub enum PushKeysError {
    /// The file can't be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, #[source] std::io::Error),
    /// The file has no key of enough length.
    #[error("{0}: expected one key of at least 16 characters on each line")]
    NoKey(PathBuf),
}

impl PushKeys {
    /// Reads one key a line.
    ///
    /// # Errors
    /// When the file can't be read or has no key.
    pub fn from_file(path: &std::path::Path) -> Result<Self, PushKeysError> {
        let text = std::fs::read_to_string(path).map_err(|e| PushKeysError::Unreadable(path.into(), e))?;
        let lines = text.lines().map(trimmed).filter(|line| !line.is_empty());
        let keys: Option<Vec<_>> = lines.map(keyed).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(Arc::new(keys))),
            _ => Err(PushKeysError::NoKey(path.into())),
        }
    }

    /// Lower-case hex of HMAC-SHA256 over the path: 64 characters, which is the most that TENIOS takes.
    fn sign(&self, path: &str) -> SecretString {
        let signature = self.0.first().map(|key| key.clone().chain_update(path).finalize().into_bytes());
        signature.map(|signature| hex(&signature)).unwrap_or_default().into()
    }

    /// Whether any key made this secret for this path. Takes the same time whether and wherever they
    /// differ, and tries every key.
    pub(super) fn verify(&self, path: &str, secret: &[u8]) -> bool {
        let mut given = [0_u8; 32];
        let well_formed = decode_hex(secret, &mut given);
        let mut genuine = subtle::Choice::from(0);
        for key in self.0.iter() {
            let expected = key.clone().chain_update(path).finalize().into_bytes();
            genuine |= subtle::ConstantTimeEq::ct_eq(expected.as_slice(), &given[..]);
        }
        (genuine & subtle::Choice::from(u8::from(well_formed))).into()
    }
}

/// HMAC itself takes keys of any length; short ones can be guessed.
fn keyed(line: &str) -> Option<Hmac<Sha256>> {
    if line.len() < 16 { None } else { Hmac::new_from_slice(line.as_bytes()).ok() }
}

/// 64 lower-case hexadecimal digits.
fn decode_hex(text: &[u8], out: &mut [u8; 32]) -> bool {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut well_formed = text.len() == 64;
    for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
        match (pair.first().copied().and_then(digit), pair.get(1).copied().and_then(digit)) {
            (Some(high), Some(low)) => *byte = high << 4 | low,
            _ => well_formed = false,
        }
    }
    well_formed
}

/// Makes the push target of each attempt.
#[derive(Clone)]
pub struct PushSigner {
    base: BaseUrl,
    keys: PushKeys,
}

impl PushSigner {
    /// `base` is the public URL of the receiver, perhaps with a path prefix.
    #[must_use]
    pub fn new(base: BaseUrl, keys: PushKeys) -> Self {
        Self { base, keys }
    }

    /// The URL and secret of one attempt.
    #[must_use]
    pub fn target(&self, namespace: &str, name: &str, attempt: &AttemptId) -> PushTarget {
        let path = format!("{PREFIX}{namespace}/{name}/{attempt}");
        PushTarget { url: self.base.join(&path), secret: self.keys.sign(&path) }
    }
}

/// The path with one slash where there are several, and none at its end: proxies add both, and take neither away.
pub(super) fn canonical(path: &str) -> String {
    path.split('/').filter(|part| !part.is_empty()).fold(String::new(), |path, part| path + "/" + part)
}

/// What a path of the receiver names. Names are as Kubernetes allows them, so nothing is escaped.
pub(super) fn parse(path: &str) -> Option<(Key, AttemptId)> {
    let mut parts = path.strip_prefix(PREFIX)?.split('/');
    let (namespace, name, attempt) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || !is_dns_label(namespace) || !is_dns_subdomain(name) {
        return None;
    }
    let key = Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() };
    Some((key, AttemptId::parse(attempt)?))
}

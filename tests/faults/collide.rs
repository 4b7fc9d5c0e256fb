//! Names that meant one and the same ledger entry, when a name too long was cut and ended in its digest.

use tenios_api::digest::sha256_hex;

/// The longest name that a resource can have.
const LONGEST: usize = 253;

/// A name too long for its entry, and the name whose entry was called just so.
pub fn pair(namespace: &str, seed: &str) -> (String, String) {
    let long = format!("{seed}{}", "x".repeat(LONGEST - seed.len()));
    let prefix = format!("pno.{namespace}.");
    let plain = format!("{prefix}{long}");
    let digest: String = sha256_hex(&plain).chars().take(32).collect();
    let cut = format!("{}-{digest}", &plain[..LONGEST - 34]);
    (long, cut[prefix.len()..].to_owned())
}

//! The names under which an intent records what it asks for.

use super::Terms;
use tenios_api::digest::sha256;

/// The verification id that an order was sent with.
pub const VERIFICATION_ID: &str = "verificationId";
/// The number that an order was linked to.
pub const LINK_NUMBER: &str = "linkToNumber";
/// The number that a cancellation was sent with.
pub const CANCELLED_NUMBER: &str = "spec.cancel.phoneNumber";
/// The digest of the document that was sent.
pub const DOCUMENT_DIGEST: &str = "documentDigest";
/// The Secret and key that the access key came from; not recorded where it was the operator's own.
/// It is no part of what is ordered and may change at any time.
pub const ACCESS_KEY: &str = "accessKeySecretRef";
/// The [`super::Account`] of that key, or of the operator's own.
pub const ACCOUNT: &str = "account";
/// One hexadecimal digit for each part of the address, so that a conflict can name the part that differs. A
/// whole digest of a house number would be as good as the number to whoever reads the ledger; of sixteen
/// changes, a digit misses one.
pub const ADDRESS_HINTS: &str = "addressHints";
/// Before the name of what stands in the spec, as against what it was resolved to.
pub const SPEC: &str = "spec.";

/// One digit of the text's digest.
#[must_use]
pub fn hint(text: &str) -> char {
    sha256(text).chars().next_back().unwrap_or_default()
}

/// The part of the terms that stands in the spec.
pub fn of_spec(terms: &Terms) -> impl Iterator<Item = (&String, &String)> {
    terms.iter().filter(|(name, _)| name.starts_with(SPEC))
}

/// Whether a person changed anything between the two that a refusal may have been about: what the spec
/// asks for, or whose access key it names.
#[must_use]
pub fn edited(wanted: &Terms, refused: &Terms) -> bool {
    !of_spec(wanted).eq(of_spec(refused)) || wanted.get(ACCESS_KEY) != refused.get(ACCESS_KEY)
}

//! The one country that something is known of, by the one name that TENIOS documents for it.

use kube::core::Rule;

/// Its name in an address.
pub const NAME: &str = "Germany";

/// For whoever writes it otherwise. Refused, rather than taken for it: what stands in Git is what is sent.
pub const WRITE_IT: &str = "write Germany: TENIOS knows countries by their English names";

/// Parts of other names for it, in lower case.
const PARTS: [&str; 2] = ["german", "deutsch"];

/// Other names for it, in lower case.
const CODES: [&str; 7] = ["d", "de", "deu", "ger", "brd", "frg", "allemagne"];

/// Other names that may have been sent before they were refused.
const SENT: [&str; 6] =
    ["Germany", "Deutschland", "Bundesrepublik Deutschland", "Federal Republic of Germany", "De", "Deu"];

/// Whether the country is Germany, written as it should be.
#[must_use]
pub fn is_named(name: &str) -> bool {
    name.trim() == NAME
}

/// Whether the country is Germany by another name.
#[must_use]
pub fn is_misnamed(name: &str) -> bool {
    let lower = name.trim().to_ascii_lowercase();
    !is_named(name) && (PARTS.iter().any(|part| lower.contains(part)) || CODES.contains(&&*lower))
}

/// [`is_misnamed`] for the apiserver.
#[must_use]
pub fn rule() -> Rule {
    Rule::new(cel()).message(WRITE_IT)
}

/// The expression of the rule.
#[must_use]
pub fn cel() -> String {
    let (parts, codes) = (PARTS.join("|"), CODES.join("|"));
    format!("self.trim() == '{NAME}' || !self.trim().lowerAscii().matches('{parts}|^({codes})$')")
}

/// How Germany may have been written in an address that was submitted by an earlier version.
pub fn spellings() -> impl Iterator<Item = String> {
    let cases = |name: &str| [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase()];
    SENT.into_iter().chain(CODES).flat_map(cases)
}

/// Whether these are five digits.
#[must_use]
pub fn is_postcode(zip: &str) -> bool {
    let zip = zip.trim();
    zip.len() == 5 && zip.bytes().all(|b| b.is_ascii_digit())
}

/// Whether these are 2 to 5 digits, the first 2 to 9.
#[must_use]
pub fn is_area_code(code: &str) -> bool {
    (2..=5).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit()) && !code.starts_with(['0', '1'])
}

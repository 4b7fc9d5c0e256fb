//! E.164 numbers.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A phone number in E.164 form: `+`, then 2 to 15 digits, the first not 0 (ITU-T E.164).
///
/// Only the syntax is checked: the number in the provider's own example is not assigned by any
/// numbering plan (`docs/provider-api.md`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber(String);

/// Why a text is no [`PhoneNumber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an E.164 phone number: expected + and 2 to 15 digits, such as +4922112345678")]
pub struct NotE164;

impl PhoneNumber {
    /// The pattern that the CRD carries.
    pub const PATTERN: &'static str = "^\\+[1-9][0-9]{1,14}$";

    /// The number with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = NotE164;

    fn try_from(text: String) -> Result<Self, NotE164> {
        let digits = text.strip_prefix('+').ok_or(NotE164)?;
        let ok = (2..=15).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if ok { Ok(Self(text)) } else { Err(NotE164) }
    }
}

impl TryFrom<&str> for PhoneNumber {
    type Error = NotE164;

    fn try_from(text: &str) -> Result<Self, NotE164> {
        text.to_owned().try_into()
    }
}

impl From<PhoneNumber> for String {
    fn from(number: PhoneNumber) -> Self {
        number.0
    }
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for PhoneNumber {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PhoneNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": Self::PATTERN, "maxLength": 16, "example": "+4922112345678"})
    }
}

//! Reading JSON that an older or looser schema let in, and saying what is wrong with it in words that carry
//! none of its values: what is wrong may be a part of an address (promise 21).

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A path longer than this is cut: the condition's message is bounded.
const PATH_SHOWN: usize = 200;

/// Reads a value.
///
/// # Errors
/// The field that can't be read and what is expected there.
pub fn decode_redacted<T: DeserializeOwned>(json: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let path: String = error.path().to_string().chars().take(PATH_SHOWN).collect();
        format!("{path}: {}", without_values(&error.inner().to_string()))
    })
}

/// What serde says, without what it found: `invalid type: string "Domkloster", expected a map` becomes
/// `invalid type, expected a map`.
fn without_values(error: &str) -> String {
    if error.starts_with("missing field") {
        return error.to_owned();
    }
    // The last one: a value may hold these words, too.
    match error.rsplit_once(", expected ") {
        Some((found, expected)) => {
            let kind = found.split([':', '`']).next().unwrap_or_default().trim();
            format!("{kind}, expected {expected}")
        }
        None => "invalid value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn p21_no_value_is_quoted() {
        for (error, expected) in [
            ("invalid type: string \"Domkloster\", expected a map", "invalid type, expected a map"),
            ("invalid type: string \"x, expected y\", expected i64", "invalid type, expected i64"),
            (
                "unknown variant `Domkloster`, expected one of `A`, `B`",
                "unknown variant, expected one of `A`, `B`",
            ),
            ("missing field `areaCode`", "missing field `areaCode`"),
            ("Domkloster is no E.164 number", "invalid value"),
        ] {
            assert_eq!(without_values(error), expected);
        }
    }
}

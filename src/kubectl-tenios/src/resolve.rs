//! What kubectl takes an unquoted text for. `sigs.k8s.io/yaml` resolves by YAML 1.1, so `01067` is a number
//! to it, and `no` is false.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value};

static FLOAT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());

/// The value of a plain scalar.
pub(super) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => true.into(),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => false.into(),
        _ => number(text).map_or_else(|| text.into(), Value::Number),
    }
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '-' | '+' | '.')) {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| {
        let float = digits.parse().ok().filter(|_| FLOAT.as_ref().is_some_and(|form| form.is_match(&digits)));
        // JSON has no word for these, and which number it is does not matter where text is wanted.
        let is_none = matches!(text, ".nan" | ".NaN" | ".NAN")
            || matches!(text.trim_start_matches(['-', '+']), ".inf" | ".Inf" | ".INF");
        float.and_then(Number::from_f64).or_else(|| is_none.then(|| 0.into()))
    })
}

fn integer(digits: &str) -> Option<Number> {
    let (is_negative, unsigned) = match digits.as_bytes() {
        [b'-', ..] => (true, &digits[1..]),
        [b'+', ..] => (false, &digits[1..]),
        _ => (false, digits),
    };
    let (radix, magnitude) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // A second sign is no digit.
    let magnitude =
        u64::from_str_radix(magnitude, radix).ok().filter(|_| !magnitude.starts_with(['+', '-']))?;
    if is_negative { 0_i64.checked_sub_unsigned(magnitude).map(Number::from) } else { Some(magnitude.into()) }
}

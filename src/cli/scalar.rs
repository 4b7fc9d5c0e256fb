//! Plain scalars that kubectl reads otherwise than YAML 1.2 does: `01067` is a number to it, `no` is
//! false. (`sigs.k8s.io/yaml` resolves by YAML 1.1.)

use std::sync::LazyLock;

use regex_lite::Regex;
use serde_json::Value;

static INTEGER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("^[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|[0-9]+)$").ok());
static FLOAT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$").ok());

/// What kubectl takes this unquoted text for, if not for text.
pub(super) fn otherwise(text: &str) -> Option<Value> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Some(Value::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Some(Value::Bool(false)),
        _ => {}
    }
    let digits = text.replace('_', "");
    let begins = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    let is =
        |form: &LazyLock<Option<Regex>>, text: &str| form.as_ref().is_some_and(|form| form.is_match(text));
    // Which number does not matter: text is wanted everywhere but in a ledger entry's revision.
    let number = || digits.parse::<u64>().unwrap_or_default().into();
    (begins && (is(&INTEGER, &digits) || is(&FLOAT, text))).then(number)
}

//! YAML that every reader takes for the same. The YAML library leaves `NO` and `1_2` unquoted, which are text
//! to YAML 1.2 and not to kubectl.

use std::fmt::Write;

use serde_json::Value;

use super::scalar;

/// One document, ending in a line end.
pub(super) fn document(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => entries(value, 0, &mut text),
        Value::Array(elements) if !elements.is_empty() => entries(value, 0, &mut text),
        scalar => text = inline(scalar) + "\n",
    }
    text
}

fn entries(value: &Value, indent: usize, text: &mut String) {
    let margin = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let _ = write!(text, "{margin}{}:", string(name));
                // A list stands as far left as its name.
                entry(value, if value.is_array() { indent } else { indent + 2 }, text);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                let _ = write!(text, "{margin}-");
                entry(element, indent + 2, text);
            }
        }
        _ => {}
    }
}

fn entry(value: &Value, indent: usize, text: &mut String) {
    let nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(elements) => !elements.is_empty(),
        _ => false,
    };
    if nested {
        *text += "\n";
        entries(value, indent, text);
    } else {
        let _ = writeln!(text, " {}", inline(value));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => string(text),
        // JSON is YAML.
        other => other.to_string(),
    }
}

fn string(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { Value::from(text).to_string() }
}

fn is_plain(text: &str) -> bool {
    let ends = text.chars().next().zip(text.chars().next_back());
    let begins = ends.is_some_and(|(first, last)| first.is_alphabetic() && last.is_alphanumeric());
    let inside = text.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '/' | '+'));
    let word = text.to_ascii_lowercase();
    let word = matches!(word.as_str(), "null" | "true" | "false");
    begins && inside && !word && scalar::otherwise(text).is_none()
}

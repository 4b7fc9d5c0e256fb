//! A refusal, read as far as it can be: TENIOS documents one shape, and what stands in between has its own.

use serde_json::{Map, Value};

use super::outcome::{Answer, Body};
use tenios_api::printable::one_line;
use tenios_ledger::Refusal;

/// Where the documented name is not there, other APIs' names for the same.
const CODE: [&str; 5] = ["error_code", "errorCode", "code", "error", "errors"];
const MESSAGE: [&str; 8] = [
    "error_message",
    "errorMessage",
    "message",
    "error_description",
    "detail",
    "description",
    "title",
    "error",
];
const FIELDS: [&str; 4] = ["fields", "field", "invalid_fields", "invalidFields"];
/// What holds all of it where it is not at the top.
const WRAPPERS: [&str; 5] = ["error", "errors", "response", "result", "data"];
/// The name of the field, where each comes as an object.
const NAME: [&str; 5] = ["field", "name", "property", "path", "param"];

/// How deep a text is looked for: deeper ones are shown as they came.
const DEPTH: usize = 4;

/// What was refused. Whatever can't be sorted is part of the message, because a person may understand it.
pub(super) fn refusal(answer: &Answer) -> Refusal {
    let json = answer.text().as_deref().and_then(json);
    let said = json.as_ref().and_then(|json| object(json, DEPTH));
    let code = said.and_then(|said| first(said, &CODE, |value| plain(value, DEPTH)));
    let message = said.and_then(|said| first(said, &MESSAGE, message));
    let fields = said.and_then(|said| {
        let named = first(said, &FIELDS, |value| Some(fields(value, DEPTH)));
        named.or_else(|| first(said, &WRAPPERS, named_within))
    });
    let (code, oddity) = match code {
        Some(code) if is_code(&code) => (code, None),
        other => (format!("HTTP_{}", answer.status), other),
    };
    // One text may have been taken for both.
    let message = message.filter(|message| *message != code);
    let mut texts: Vec<String> = oddity.filter(|text| message.as_ref() != Some(text)).into_iter().collect();
    texts.extend(message);
    if texts.is_empty() && code.starts_with("HTTP_") {
        texts.extend(answer.arrived());
    } else if let Some(Value::Object(why)) = said.and_then(|said| said.get("fields"))
        && why.values().any(Value::is_string)
    {
        texts.push(Value::Object(why.clone()).to_string());
    }
    Refusal {
        can_pass: can_pass(answer.status, &code),
        code,
        message: texts.join(": "),
        fields: fields.unwrap_or_default(),
    }
}

/// Where a program wrote its warnings around JSON, it begins at one of the first of these braces.
const BRACES: usize = 16;

/// The JSON that a text is, or that a program wrote its warnings around, perhaps as a text of its own.
fn json(text: &str) -> Option<Value> {
    let read = |text: &str| match serde_json::from_str(text).ok()? {
        Value::String(text) => serde_json::from_str(&text).ok(),
        json => Some(json),
    };
    let within = || {
        let end = text.rfind('}')?;
        text.match_indices('{').take(BRACES).find_map(|(start, _)| read(text.get(start..=end)?))
    };
    read(text).or_else(within)
}

/// A refusal as it may be recorded and shown. `redact` takes what the provider quoted of the request out of
/// a text. It comes after what can't be shown was left out and before the bounds: either could keep a secret
/// from being recognised.
pub(super) fn presentable(refusal: &Refusal, redact: impl Fn(&str) -> String) -> Refusal {
    let shown = |text: &str, limit| shown(text, limit, &redact);
    Refusal {
        code: shown(&refusal.code, 128),
        message: shown(&refusal.message, 512),
        fields: refusal.fields.iter().take(16).map(|field| shown(field, 64)).collect(),
        can_pass: refusal.can_pass,
    }
}

/// How many times more of a text is read than is shown: a server must not keep this process busy with one.
const READ: usize = 16;

/// What of a quote is not recognised where the text was cut off, however many characters each of its own takes.
const CUT_OFF: usize = 64;

/// The text as it may be shown, in so many characters.
pub(super) fn shown(text: &str, limit: usize, redact: impl Fn(&str) -> String) -> String {
    let line = one_line(text);
    let Some((end, _)) = line.char_indices().nth(limit * READ) else {
        return redact(&line).chars().take(limit).collect();
    };
    let redacted: Vec<char> = redact(&line[..end]).chars().collect();
    redacted[..redacted.len().saturating_sub(CUT_OFF)].iter().take(limit).collect()
}

/// The object that speaks of the error: the outermost one that has a documented name, else the innermost one of those
/// that say most.
fn object(json: &Value, depth: usize) -> Option<&Map<String, Value>> {
    if depth == 0 {
        return None;
    }
    match json {
        Value::Array(items) => items.iter().find_map(|item| object(item, depth - 1)),
        Value::Object(map) => {
            let inner = named(map, &WRAPPERS).filter_map(|value| object(value, depth - 1));
            let inner = inner.max_by_key(|inner| says(inner));
            Some(inner.filter(|inner| says(map) <= says(inner).min(Says::Code)).unwrap_or(map))
        }
        _ => None,
    }
}

/// What can be read of an object itself, in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    Nothing,
    /// A message, or a number, which may repeat the status.
    Something,
    Code,
    /// By its documented name.
    Documented,
}

fn says(map: &Map<String, Value>) -> Says {
    let own = |names: &[&str]| -> Option<String> {
        let names: Vec<&str> = names.iter().copied().filter(|name| !WRAPPERS.contains(name)).collect();
        first(map, &names, |value| plain(value, 0))
    };
    if named(map, &["error_code", "error_message"]).next().is_some() {
        return Says::Documented;
    }
    match own(&CODE) {
        Some(code) if code.contains(char::is_alphabetic) => Says::Code,
        None if own(&MESSAGE).is_none() => Says::Nothing,
        _ => Says::Something,
    }
}

/// The values of these names, however they are capitalised.
fn named<'a>(map: &'a Map<String, Value>, names: &[&str]) -> impl Iterator<Item = &'a Value> {
    let of = |name: &&str| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    names.iter().filter_map(of).collect::<Vec<_>>().into_iter()
}

/// The first of these names whose value can be read.
fn first<T>(map: &Map<String, Value>, names: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    named(map, names).find_map(read)
}

/// The fields that a list of errors names.
fn named_within(errors: &Value) -> Option<Vec<String>> {
    let of = |error: &Value| first(error.as_object()?, &NAME, |value| value.as_str().map(str::to_owned));
    let fields: Vec<String> = errors.as_array()?.iter().filter_map(of).collect();
    Some(fields).filter(|fields| !fields.is_empty())
}

/// A value that is a text, or stands for one.
fn plain(value: &Value, depth: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(one_line(text)).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Array(items) if depth > 0 => items.iter().find_map(|item| plain(item, depth - 1)),
        Value::Object(map) if depth > 0 => first(map, &CODE, |value| plain(value, depth - 1)),
        _ => None,
    }
}

/// A text, or all there is.
fn message(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(one_line(text)).filter(|text| !text.is_empty()),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<String> = items.iter().filter_map(message).collect();
            Some(texts.join("; ")).filter(|text| !text.is_empty())
        }
        other => Some(other.to_string()),
    }
}

fn fields(value: &Value, depth: usize) -> Vec<String> {
    match value {
        Value::String(text) => {
            let names = text.split([',', ';']).map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        }
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) if depth > 0 => items.iter().flat_map(|item| fields(item, depth - 1)).collect(),
        Value::Object(map) if depth > 0 => match first(map, &NAME, |value| value.as_str().map(str::to_owned))
        {
            Some(name) => vec![name],
            None => map.keys().cloned().collect(),
        },
        _ => Vec::new(),
    }
}

fn is_code(code: &str) -> bool {
    (1..=128).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_graphic())
}

/// The documented refusals whose cause lies outside the request: the document gets approved, the link
/// target becomes suitable, the key or the URL gets mended. Of an undocumented one nobody knows.
fn can_pass(status: u16, code: &str) -> bool {
    const CAN_PASS: [&str; 3] =
        ["NUMBER_ORDER_VERIFICATION_ID_NOT_VALID", "NUMBER_ORDER_WRONG_LINK_NUMBER", "BAD_CREDENTIALS"];
    CAN_PASS.iter().any(|known| known.eq_ignore_ascii_case(code)) || matches!(status, 403 | 404)
}

/// A text without its mark-up: an error page of a server in between says in two words what it is about.
pub(super) fn without_markup(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    if !["<html", "<!doctype", "<?xml", "</"].iter().any(|mark| lower.contains(mark)) {
        return text.to_owned();
    }
    let (mut kept, mut at) = (String::new(), 0);
    while let Some(open) = text[at..].find('<').map(|n| at + n) {
        kept.push_str(&text[at..open]);
        kept.push(' ');
        // What is in between is for programs, not for people.
        let end = ["script", "style"].iter().find(|tag| lower[open + 1..].starts_with(*tag));
        let close = end.map_or(open, |tag| {
            lower[open..].find(&format!("</{tag}")).map_or(text.len(), |closing| open + closing)
        });
        at = text[close..].find('>').map_or(text.len(), |n| close + n + 1);
    }
    kept.push_str(&text[at..]);
    kept
}

/// What arrived, for a person, where nothing can be read from it.
pub(super) fn arrived(body: &Body) -> Option<String> {
    let text = match super::decode::text(&body.bytes, super::ANSWER_LIMIT) {
        Some(text) => one_line(&without_markup(&text)),
        None => format!("{} bytes that are not text", body.bytes.len()),
    };
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_page_is_shown_without_its_mark_up() {
        for (page, shown) in [
            (
                "<!DOCTYPE html><html><head><title>403 Forbidden</title><style>h1 {color: red}</style></head>\
                 <body>\n<h1>Forbidden</h1></body></html>",
                "403 Forbidden Forbidden",
            ),
            ("<error><code>7</code></error>", "7"),
            ("<html><script>let a = 1", ""),
            ("a < b", "a < b"),
            ("plain", "plain"),
            ("<html", ""),
        ] {
            assert_eq!(one_line(&without_markup(page)), shown, "{page}");
        }
    }

    #[test]
    fn p21_what_is_left_of_a_quote_where_a_long_text_was_cut_off_is_not_shown() {
        let redact = |text: &str| text.replace("secret ", "");
        let long = "secret ".repeat(64 * READ);
        assert_eq!(shown(&long, 64, redact), "");
        assert_eq!(shown("a secret b", 64, redact), "a b");
        assert_eq!(shown(&"b".repeat(64 * READ + 1), 64, redact).len(), 64);
    }
}

//! What a push says, as far as it can be used. TENIOS documents one shape and promises none.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::Value;

use super::BODY_LIMIT;
use tenios_api::PhoneNumber;
use tenios_provider::decode;

/// The documented name of each field, and other spellings of it.
const NUMBER: [&str; 3] = ["phonenumber", "phone_number", "phoneNumber"];
const ORDER_ID: [&str; 2] = ["order_id", "orderId"];
const SECRET: [&str; 2] = ["push_secret", "pushSecret"];

/// How deep within an envelope a push is looked for.
const ENVELOPES: usize = 2;

/// A body that looks like a push: a secret, and whatever came with it.
pub(super) struct Push {
    phonenumber: Value,
    order_id: Value,
    secret: String,
}

/// An object, or a form, as it came. Twice the same name is an error: nobody knows which one is meant.
struct Fields(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self(BTreeMap::new()))
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, value)) = map.next_entry()? {
            self.add(name, value).ok_or_else(|| A::Error::custom("a name stands twice"))?;
        }
        Ok(self)
    }
}

impl Fields {
    fn add(&mut self, name: String, value: Value) -> Option<()> {
        self.0.insert(name, value).is_none().then_some(())
    }

    /// What a form sends: any content type is taken, and these two are the others that such calls are made with.
    fn of_form(text: &str) -> Option<Self> {
        let form = match parts(text) {
            Some(parts) => parts,
            None => url::form_urlencoded::parse(text.as_bytes()).into_owned().collect(),
        };
        let mut fields = Self(BTreeMap::new());
        form.into_iter().try_for_each(|(name, value)| fields.add(name, Value::String(value)))?;
        Some(fields)
    }

    fn of_json(text: &str) -> Option<Self> {
        let one = || serde_json::from_str::<[Self; 1]>(text).ok().map(|[fields]| fields);
        let quoted = || serde_json::from_str(&serde_json::from_str::<String>(text).ok()?).ok();
        serde_json::from_str(text).ok().or_else(one).or_else(quoted)
    }

    /// The value of a field, where all of its spellings agree; null otherwise.
    fn value(&self, spellings: &[&str]) -> Value {
        let mut values = spellings.iter().filter_map(|name| self.0.get(*name));
        let first = values.next().unwrap_or(&Value::Null);
        if values.all(|other| text(other) == text(first)) { first.clone() } else { Value::Null }
    }
}

/// What is usable of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// The order id; none where there was none that can be one.
    pub(super) order_id: Option<String>,
    /// The number; none where nobody can tell which one is meant.
    pub(super) number: Option<PhoneNumber>,
}

impl Push {
    /// None where the body is no push.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let text = decode::text(body, BODY_LIMIT)?;
        let fields = Fields::of_json(&text).or_else(|| Fields::of_form(&text))?;
        Self::within(&fields, ENVELOPES)
    }

    /// The push that these are, or that one of them holds.
    fn within(fields: &Fields, depth: usize) -> Option<Self> {
        if let Value::String(secret) = fields.value(&SECRET) {
            let [phonenumber, order_id] = [&NUMBER[..], &ORDER_ID].map(|spellings| fields.value(spellings));
            return Some(Self { phonenumber, order_id, secret: secret.trim().to_owned() });
        }
        let inner = |value: &Value| match value {
            Value::Object(_) => serde_json::from_value(value.clone()).ok(),
            Value::String(text) if text.trim_start().starts_with('{') => serde_json::from_str(text).ok(),
            _ => None,
        };
        let depth = depth.checked_sub(1)?;
        fields.0.values().filter_map(inner).find_map(|inner| Self::within(&inner, depth))
    }

    pub(super) fn secret(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// Whether the secret is of the form that this operator makes.
    pub(super) fn has_secret(&self) -> bool {
        self.secret.len() == 64 && self.secret.bytes().all(|b| b.is_ascii_hexdigit())
    }

    pub(super) fn content(&self) -> Content {
        // It is logged and shown, so it must not be the secret in the wrong place.
        let order_id = order_id(&self.order_id).filter(|id| !self.has_secret() || !id.contains(&self.secret));
        Content { order_id, number: number(&self.phonenumber) }
    }

    /// The number as it came, for the log, where it is not longer than one and consists of what numbers are written
    /// with. Anything else may be what nobody should read there.
    pub(super) fn number_as_it_came(&self) -> String {
        let text = text(&self.phonenumber).unwrap_or_default();
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '(' | ')' | '-' | '/' | '.');
        if text.len() <= 32 && text.chars().all(is_part) { text } else { "(not shown)".into() }
    }
}

/// The fields of `multipart/form-data` (RFC 7578), such as PHP makes of an array. Its first line is what parts them.
fn parts(text: &str) -> Option<Vec<(String, String)>> {
    let (line, _) = text.split_once('\n')?;
    let boundary = Some(line.trim_end()).filter(|line| line.len() > 2 && line.starts_with("--"))?;
    let parts = text.split(boundary).filter_map(|part| {
        let blank = |line_end: &str| part.split_once(line_end);
        blank("\r\n\r\n").or_else(|| blank("\n\n"))
    });
    let field = |(head, value): (&str, &str)| {
        let mut parameters = head.split([';', '\r', '\n']).map(str::trim);
        let name = parameters.find_map(|parameter| parameter.strip_prefix("name="))?;
        let value = value.strip_suffix('\n')?;
        Some((name.trim_matches('"').to_owned(), value.strip_suffix('\r').unwrap_or(value).to_owned()))
    };
    parts.map(field).collect()
}

/// A text, or a whole number as one.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => decode::whole(number),
        Value::Array(one) => one.first().filter(|_| one.len() == 1).filter(|v| !v.is_array()).and_then(text),
        _ => None,
    }
}

/// An order id as the ledger takes it.
fn order_id(value: &Value) -> Option<String> {
    let id: String = text(value)?.chars().filter(char::is_ascii_graphic).take(128).collect();
    Some(id).filter(|id| !id.is_empty())
}

/// The longest number that Germany has without its 0, and that is dialled there only.
const NATIONAL: usize = 11;

/// The number in E.164, where there is only one that can be meant: what is stored is never overwritten.
fn number(value: &Value) -> Option<PhoneNumber> {
    let text = text(value)?;
    // What people write between digits, and the 0 that is dialled within the country only.
    let separates = |c: char| {
        c.is_whitespace()
            || matches!(c, '-' | '\u{2010}'..='\u{2015}' | '/' | '.' | '(' | ')' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
    };
    let text = text
        .trim()
        .trim_start_matches("tel:")
        .replace("(0)", "")
        .replace(separates, "")
        .replace('\u{ff0b}', "+");
    let digits = if let Some(digits) = text.strip_prefix('+').or_else(|| text.strip_prefix("00")) {
        digits
    } else if text.len() > NATIONAL || text.len() == NATIONAL && text.starts_with("49") {
        // JSON numbers have no plus, nor the 0 that a national one begins with.
        &text
    } else {
        return None;
    };
    // Nobody's number begins so: the 0 is dialled instead of the country code.
    if digits.starts_with("490") {
        return None;
    }
    PhoneNumber::try_from(format!("+{digits}")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Push;

    fn read(phonenumber: &Value, order_id: &Value) -> (Option<String>, Option<String>) {
        let body = json!({"phonenumber": phonenumber, "order_id": order_id, "push_secret": ""}).to_string();
        let content = Push::read(body.as_bytes()).map(|push| push.content());
        content.map(|content| (content.number.map(|n| n.to_string()), content.order_id)).unwrap_or_default()
    }

    #[test]
    fn a_number_is_taken_where_only_one_can_be_meant() {
        for (value, number) in [
            (json!("+4922112345678"), Some("+4922112345678")),
            (json!(4_922_112_345_678_u64), Some("+4922112345678")),
            (json!(4_922_112_345_678.0), Some("+4922112345678")),
            (json!("4922112345678"), Some("+4922112345678")),
            (json!("49221123456"), Some("+49221123456")),
            (json!("004922112345678"), Some("+4922112345678")),
            (json!("+49 221 123-45678"), Some("+4922112345678")),
            (json!("+49 (0)221 / 12345678\n"), Some("+4922112345678")),
            (json!(["+4922112345678"]), Some("+4922112345678")),
            (json!("tel:+49-221-12345678"), Some("+4922112345678")),
            (json!("+3225551234"), Some("+3225551234")),
            // Within Germany, or perhaps in Senegal.
            (json!("022112345678"), None),
            (json!(22_112_345_678_u64), None),
            (json!("0221 123"), None),
            (json!("+49 0221 12345678"), None),
            (json!("+49abc"), None),
            (json!("+"), None),
            (json!(""), None),
            (json!(-4_922_112_345_678_i64), None),
            (json!(4.9e20), None),
            (json!(true), None),
            (json!(null), None),
            (json!({"number": "+4922112345678"}), None),
            (json!(["+4922112345678", "+4922112345679"]), None),
        ] {
            assert_eq!(read(&value, &json!("1")).0.as_deref(), number, "{value}");
        }
    }

    #[test]
    fn an_order_id_is_taken_as_text_or_number() {
        for (value, id) in [
            (json!("300000"), Some("300000")),
            (json!(300_000), Some("300000")),
            (json!(300_000.0), Some("300000")),
            (json!(" 300000\n"), Some("300000")),
            (json!(null), None),
            (json!(""), None),
            (json!(" "), None),
            (json!(1.5), None),
            (json!({}), None),
        ] {
            assert_eq!(read(&json!("+491"), &value).1.as_deref(), id, "{value}");
        }
    }

    #[test]
    fn what_is_missing_or_named_otherwise_is_still_a_push() {
        for (body, number, id) in [
            (r#"{"push_secret":""}"#, None, None),
            ("\u{feff}{\"push_secret\":\"\",\"phonenumber\":\"+491\"}", Some("+491"), None),
            ("phonenumber=%2B491&order_id=7&push_secret=a", Some("+491"), Some("7")),
            ("push_secret=a&phonenumber=+49221+12345678", Some("+4922112345678"), None),
            (r#"{"pushSecret":"","phone_number":"+491","orderId":7}"#, Some("+491"), Some("7")),
            (r#"[{"push_secret":"","phonenumber":"+491","order_id":7}]"#, Some("+491"), Some("7")),
            (
                "--x-1\r\nContent-Disposition: form-data; name=\"push_secret\"\r\n\r\na\r\n--x-1\r\nContent-Type: \
                 text/plain\r\nContent-Disposition: form-data; name=\"phonenumber\"\r\n\r\n+491\r\n--x-1--\r\n",
                Some("+491"),
                None,
            ),
            (
                "--x\nContent-Disposition: form-data; filename=\"a\"; name=push_secret\n\na\n--x\n\
                 Content-Disposition: form-data; name=phonenumber\n\n+491\n--x--\n",
                Some("+491"),
                None,
            ),
            (
                r#"{"push_secret":"","pushSecret":"","phonenumber":"+491","phone_number":"+491","order_id":7,"orderId":"7"}"#,
                Some("+491"),
                Some("7"),
            ),
            (
                r#"{"push_secret":"","phonenumber":"+491","phone_number":"+492","order_id":"7"}"#,
                None,
                Some("7"),
            ),
            (r#"{"data":{"push_secret":"","phonenumber":"+491"},"event":"number"}"#, Some("+491"), None),
            (r#"{"a":{},"event":{"data":"{\"push_secret\":\"\",\"order_id\":7}"}}"#, None, Some("7")),
            (r#""{\"push_secret\":\"\",\"order_id\":7}""#, None, Some("7")),
            ("payload=%7B%22push_secret%22%3A%22%22%2C%22order_id%22%3A7%7D", None, Some("7")),
            ("{\"push_secret\":\"\",\"note\":\"it\u{92}s\",\"order_id\":7}", None, Some("7")),
        ] {
            let content = Push::read(body.as_bytes()).map(|push| push.content());
            let content = content.map(|content| (content.number.map(|n| n.to_string()), content.order_id));
            assert_eq!(content, Some((number.map(str::to_owned), id.map(str::to_owned))), "{body}");
        }
        for body in [
            "",
            "{}",
            "[]",
            r#"{"push_secret":7}"#,
            r#"{"push_secret":"","push_secret":""}"#,
            "push_secret=a&push_secret=a",
            r#"[{"push_secret":""},{"push_secret":""}]"#,
            "--x\r\nContent-Disposition: form-data; name=\"push_secret\"\r\n\r\na",
            "--x\r\n",
            r#"{"push_secret":"a","pushSecret":"b"}"#,
            r#"{"a":{"b":{"c":{"push_secret":""}}}}"#,
            "order_id=7",
        ] {
            assert!(Push::read(body.as_bytes()).is_none(), "{body}");
        }
    }

    #[test]
    fn p21_a_number_that_is_none_is_logged_only_as_far_as_it_looks_like_one() {
        for (value, shown) in [
            (json!("0221 / 123-45"), "0221 / 123-45"),
            (json!("Domkloster 4"), "(not shown)"),
            (json!("1".repeat(33)), "(not shown)"),
            (json!(null), ""),
        ] {
            let body = json!({"phonenumber": value, "push_secret": ""}).to_string();
            let came = Push::read(body.as_bytes()).map(|push| push.number_as_it_came());
            assert_eq!(came.as_deref(), Some(shown));
        }
    }
}

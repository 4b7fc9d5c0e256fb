use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use unicode_normalization::UnicodeNormalization;

use super::{quotes, redact, replaced};
use crate::Request;
use crate::redact::encoding::plain;
use crate::redact::secret::Secret;
use tenios_api::pdf::Document;
use tenios_api::{Endpoint, RequestField};

const KEY: &str = "4cc3ss-k3y-0f-a-t3nant?>";
const CITY: &str = "Köln";
const STREET: &str = "Am Süßbach-Öhrchen";

fn document() -> Vec<u8> {
    b"%PDF-1.4 ".iter().copied().chain((0..=255).rev()).chain(*b"%%EOF").collect()
}

/// As a refusal of a verification of this address is shown.
fn shown(text: &str) -> String {
    let address =
        [(RequestField::Country, "Germany"), (RequestField::City, CITY), (RequestField::Zip, "50667")];
    let rest = [
        (RequestField::Street, STREET),
        (RequestField::HouseNumber, "17b"),
        (RequestField::DocumentType, "CONTRACT"),
        (RequestField::AreaCode, "221"),
    ];
    let request = Request {
        endpoint: Endpoint::CreateVerification,
        fields: address.into_iter().chain(rest).map(|(field, value)| (field, value.to_owned())).collect(),
        document: Document::new(document()).ok().map(|document| (RequestField::DocumentData, document)),
        push: None,
    };
    let fields = request.with_secrets(&KEY.to_owned().into());
    redact(text, &request, &fields)
}

fn without(text: &str, value: &str) -> String {
    let secret: Vec<Secret> = Secret::new(RequestField::Street, value).into_iter().collect();
    replaced(text, quotes(&plain(text), &secret)).replace("<street>", "<it>")
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"))
}

fn hex(text: &str) -> String {
    hex_of(text.as_bytes())
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02X}"))
}

fn each(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().concat()
}

fn mojibake(text: &str) -> String {
    text.bytes().map(super::super::decode::windows_1252).collect()
}

/// Every way in which a value may be quoted.
fn quoted(value: &str) -> Vec<(&'static str, String)> {
    let escaped = each(value.encode_utf16().map(|unit| format!("\\u{unit:04X}")));
    let octal = value.bytes().fold(String::new(), |text, byte| format!("{text}\\{byte:03o}"));
    let bytes = value.bytes().fold(String::new(), |text, byte| format!("{text}\\x{byte:02x}"));
    let decimal = each(value.chars().map(|c| format!("&#{};", u32::from(c))));
    let hexadecimal = each(value.chars().map(|c| format!("&#x{:X};", u32::from(c))));
    let printable = value.bytes().fold(String::new(), |text, byte| format!("{text}={byte:02X}"));
    let spaced = hex(value)
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect::<Vec<_>>();
    let mut forms = vec![
        ("plain", value.to_owned()),
        ("lower case", value.to_lowercase()),
        ("upper case", value.to_uppercase()),
        ("NFD", value.nfd().collect()),
        ("NFKC", value.nfkc().collect()),
        (
            "full width",
            value
                .chars()
                .map(|c| match c {
                    '!'..='~' => char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c),
                    c => c,
                })
                .collect(),
        ),
        ("spread", value.chars().flat_map(|c| [c, ' ']).collect()),
        ("zero width", value.chars().flat_map(|c| [c, '\u{200b}']).collect()),
        ("escaped", escaped.clone()),
        ("escaped in small letters", escaped.to_lowercase()),
        ("escaped twice", escaped.replace('\\', "\\\\")),
        ("octal", octal),
        ("bytes", bytes),
        ("Rust's", value.escape_unicode().to_string()),
        ("URL", percent(value)),
        ("URL in capitals", percent(value).to_uppercase()),
        ("URL twice", percent(&percent(value))),
        ("URL with a plus", value.replace(' ', "+")),
        ("Latin-1 URL", each(value.chars().map(|c| format!("%{:02X}", u32::from(c))))),
        ("decimal entities", decimal.clone()),
        ("decimal entities twice", decimal.replace('&', "&amp;")),
        ("hexadecimal entities", hexadecimal),
        ("quoted-printable", printable),
        ("taken for Latin-1", mojibake(value)),
        ("JavaScript's", each(value.encode_utf16().map(|unit| format!("%u{unit:04x}")))),
        ("array of bytes", format!("{:?}", value.as_bytes())),
        ("hex", hex(value)),
        ("hex in small letters", hex(value).to_lowercase()),
        ("hex with colons", spaced.join(":")),
        ("hex with blanks", spaced.join(" ")),
        ("hex with semicolons", spaced.join(";")),
        ("Go's bytes", each(spaced.iter().map(|byte| format!("0x{}, ", byte.to_lowercase())))),
        ("code points", each(value.chars().map(|c| format!("U+{:04X} ", u32::from(c))))),
        ("array of signed bytes", each(value.bytes().map(|byte| format!("{}, ", byte.cast_signed())))),
        (
            "escaped without a backslash",
            each(
                value
                    .chars()
                    .map(|c| if c.is_ascii() { c.to_string() } else { format!("u{:04x}", u32::from(c)) }),
            ),
        ),
        (
            ".NET's",
            each(
                value
                    .chars()
                    .map(|c| if c.is_ascii() { c.to_string() } else { format!("_x{:04X}_", u32::from(c)) }),
            ),
        ),
        ("base64 of base64", STANDARD.encode(STANDARD.encode(value))),
        ("base64 of hex", STANDARD.encode(hex(value))),
        ("hex of base64", hex(&STANDARD.encode(value))),
    ];
    for before in ["", "a", "ab", "key:"] {
        for after in ["", "z", "yz"] {
            let whole = format!("{before}{value}{after}");
            forms.push(("base64", STANDARD.encode(&whole)));
            forms.push(("base64 without padding", STANDARD_NO_PAD.encode(&whole)));
            forms.push(("base64 for URLs", URL_SAFE.encode(&whole)));
            forms.push(("base64 in JSON", STANDARD.encode(&whole).replace('/', "\\/")));
            forms.push(("base64 in a URL", percent(&STANDARD.encode(&whole))));
        }
    }
    forms
}

#[test]
fn p21_a_quote_is_taken_out_however_it_is_encoded() {
    for value in [KEY, STREET, CITY] {
        for (how, quote) in quoted(value) {
            for text in
                [format!("bad value {quote} given"), format!("{{\"value\":\"{quote}\"}}"), quote.clone()]
            {
                let shown = shown(&text);
                let left = shown.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
                let expected =
                    shown.contains("<access_key>") || shown.contains("<street>") || shown.contains("<city>");
                assert!(expected, "{how} of {value:?} in {text}: {shown}");
                assert!(left.len() < 45, "{how} of {value:?} in {text}: {shown}");
            }
        }
    }
}

#[test]
fn p21_an_address_is_taken_out_in_other_letters() {
    for text in [
        "Koeln",
        "KOELN",
        "Koln",
        "K&ouml;ln",
        "K&Ouml;LN",
        "K&oumlln",
        "K\\\"oln",
        "K?ln",
        "K\u{fffd}ln",
        "Ko\u{308}ln",
        "50667",
        "50 667",
        "17b",
        "17 B",
        "Am Suessbach",
        "AM SUSSBACH",
        "Am S&uuml;&szlig;bach",
        "Am-S\u{fc}\u{1e9e}bach",
        "süßbach",
        "am_suessbach",
        "Am Süßbach-Öhrchen17b",
        "am suessbachoehrchen 17B",
        "Am Süßba",
        "Am Suessb…",
        "bach-Oehrchen",
        "Öhrchen",
    ] {
        let text = format!("no: {text}, please");
        let shown = shown(&text);
        assert!(shown.starts_with("no: <") && shown.ends_with(", please"), "{text}: {shown}");
    }
}

#[test]
fn p21_a_piece_of_a_key_is_taken_out() {
    let chars: Vec<char> = KEY.chars().collect();
    for piece in chars.windows(8) {
        let piece: String = piece.iter().collect();
        let (plain, encoded) =
            (shown(&format!("key {piece}...")), shown(&format!("key {}", STANDARD.encode(&piece))));
        assert!(plain.contains("<access_key>"), "{piece}: {plain}");
        assert!(plain.chars().filter(char::is_ascii_alphanumeric).count() < 15, "{piece}: {plain}");
        assert!(encoded.starts_with("key <access_key>"), "{piece}: {encoded}");
    }
    // What was cut within its groups of four.
    let encoded = STANDARD.encode(KEY);
    for from in 0..12 {
        let cut = &encoded[from..from + 16];
        assert!(!shown(&format!("key {cut}")).contains(&cut[2..14]), "{cut}");
    }
}

#[test]
fn p21_a_value_is_taken_out_in_any_case_and_a_short_one_where_it_stands_alone() {
    for (text, value, expected) in [
        ("no street Krugenofen here", "Krugenofen", "no street <it> here"),
        ("KRUGENOFEN, krugenofen", "Krugenofen", "<it>, <it>"),
        ("in KÖLN and Köln-Süd", "Köln", "in <it> and <it>-Süd"),
        ("Ulm 4, 4 4a 14 4", "4", "Ulm <it>, <it> 4a 14 <it>"),
        ("HTTP_4, 4_4", "4", "HTTP_4, 4_4"),
        ("ULM, Ulmen, ulm", "Ulm", "<it>, Ulmen, <it>"),
        ("keykeykey", "keykey", "<it>"),
        ("VWxt, VWxtZW4=", "Ulm", "<it>, VWxtZW4="),
        ("nothing", "", "nothing"),
    ] {
        assert_eq!(without(text, value), expected);
    }
}

#[test]
fn p21_a_piece_of_the_document_is_taken_out() {
    let (standard, url) = (STANDARD.encode(document()), URL_SAFE.encode(document()));
    for (text, expected) in [
        (format!("bad: {}", &standard[40..52]), "bad: <document_data>"),
        (format!("bad: {}!", &standard[3..300]), "bad: <document_data>!"),
        (format!("bad: ({})", &url[3..300]), "bad: (<document_data>)"),
        (format!("bad: {}", standard[3..300].replace('/', "\\/")), "bad: <document_data>"),
        (format!("{}\n{}", &standard[..76], &standard[76..152]), "<document_data>\n<document_data>"),
        ("not PDF/A: yxwvutsrqponml…".into(), "not PDF/A: <document_data>…"),
        (format!("bad: {}", hex_of(&document()[20..60])), "bad: <document_data>"),
        (format!("bad: {}", STANDARD.encode(&document()[20..59])), "bad: <document_data>"),
        (format!("bad: {}", STANDARD.encode(&document()[21..60])), "bad: <document_data>"),
    ] {
        assert_eq!(shown(&text), expected);
    }
}

#[test]
fn what_quotes_nothing_stays() {
    for text in [
        "NUMBER_ORDER_VERIFICATION_ID_NOT_VALID",
        "The verification id is not valid (HTTP 400, request 8a0f11c2-77aa-4b1e-9c55-0123456789ab).",
        "Die Adresse liegt nicht im Ortsnetz 221; bitte prüfen Sie Ihre Angaben.",
        "{\"error\":[\"document too large\",1048576]}",
        "house_number",
        "100% & more \\ than = that: &#; &#x; %zz \\u12 \\",
    ] {
        assert_eq!(shown(text), text);
    }
}

proptest::proptest! {
    /// What a provider says is no reason to fail, and what is left is no part of what was quoted.
    #[test]
    fn p21_whatever_stands_around_a_quote_it_is_taken_out(
        before in "([%&#;\\\\ux={}=+/0-9a-fA-F ]|\\PC){0,30}",
        after in "([%&#;\\\\ux={}=+/0-9a-fA-F ]|\\PC){0,30}",
    ) {
        for value in [KEY, STREET] {
            let shown = shown(&format!("{before} {value} {after}"));
            proptest::prop_assert!(!shown.contains(value), "{shown}");
        }
        let _ = shown(&format!("{before}{after}"));
    }
}

//! The provider's three methods, after `docs/provider-api.md`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::account::{Account, DocumentState, NewOrder};
use super::refusal;
use super::settings::{OrderIdType, Refusal, Settings};

const DOCUMENT_TYPES: [&str; 6] = [
    "ALLOCATION_NOTICE",
    "IDENTITY_CARD",
    "BUSINESS_LICENSE",
    "IDENTITY_CARD_AND_BUSINESS_LICENSE",
    "CERTIFICATE_OF_REGISTRATION",
    "CONTRACT",
];

/// Characters of a push secret, at most.
const PUSH_SECRET_LIMIT: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    CreateVerification,
    OrderNumber,
    CancelNumber,
}

impl Method {
    pub(super) fn of(method: &http::Method, path: &str) -> Option<Self> {
        match path {
            _ if method != http::Method::POST => None,
            "/verification/create" => Some(Self::CreateVerification),
            "/number/order" => Some(Self::OrderNumber),
            "/number/cancel" => Some(Self::CancelNumber),
            _ => None,
        }
    }
}

/// What was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accepted {
    Document(Uuid),
    Order(u64),
    Cancellation(Date),
}

impl Accepted {
    pub(super) fn body(self, order_id: OrderIdType) -> Map<String, Value> {
        let (name, value) = match self {
            Self::Document(id) => ("verification_id", json!(id)),
            Self::Order(id) if order_id == OrderIdType::Number => ("order_id", json!(id)),
            Self::Order(id) => ("order_id", json!(id.to_string())),
            Self::Cancellation(date) => ("cancellation_date", json!(date.to_string())),
        };
        Map::from_iter([(name.to_owned(), value)])
    }
}

/// What a call is judged by, apart from the account.
pub(super) struct Rules<'a> {
    pub(super) access_key: &'a SecretString,
    pub(super) plain_push: bool,
    pub(super) settings: &'a Settings,
}

pub(super) fn process(
    method: Option<Method>,
    body: Option<&Value>,
    rules: &Rules<'_>,
    account: &mut Account,
) -> Result<Accepted, Refusal> {
    let method = method.ok_or_else(refusal::unknown_method)?;
    let request = Request(body.and_then(Value::as_object).ok_or_else(refusal::not_json)?);
    if request.text("access_key") != Some(rules.access_key.expose_secret()) {
        return Err(refusal::bad_key(rules.settings.bad_key));
    }
    match method {
        Method::CreateVerification => create_verification(&request, rules.settings, account),
        Method::OrderNumber => order_number(&request, rules, account),
        Method::CancelNumber => cancel_number(&request, rules.settings, account),
    }
}

struct Request<'a>(&'a Map<String, Value>);

impl<'a> Request<'a> {
    /// A field that is there; null is not.
    fn field(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.field(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    fn require<const N: usize>(&self, names: [&'static str; N]) -> Result<[&'a str; N], Refusal> {
        let missing: Vec<_> = names.into_iter().filter(|name| self.text(name).is_none()).collect();
        if missing.is_empty() {
            Ok(names.map(|name| self.text(name).unwrap_or_default()))
        } else {
            Err(refusal::missing(&missing))
        }
    }
}

fn create_verification(
    request: &Request<'_>,
    settings: &Settings,
    account: &mut Account,
) -> Result<Accepted, Refusal> {
    let [country, _, _, _, document_type, document_data, area_code] = request.require([
        "country",
        "city",
        "street",
        "house_number",
        "document_type",
        "document_data",
        "area_code",
    ])?;
    if settings.require_zip {
        request.require(["zip"])?;
    }
    if !DOCUMENT_TYPES.contains(&document_type) {
        return Err(refusal::document_type());
    }
    if settings.check_document_data && !is_pdf(document_data) {
        return Err(refusal::document_data());
    }
    if !is_area_code(area_code, country) {
        return Err(refusal::area_code());
    }
    let approve_after = settings.approve_after_ms.map(Into::into);
    Ok(Accepted::Document(account.add_document(area_code, approve_after)))
}

/// Padded and not wrapped: the engine takes nothing else. Readers look for the mark in the first 1,024 bytes.
fn is_pdf(document_data: &str) -> bool {
    let marked = |document: Vec<u8>| document.windows(5).take(1020).any(|piece| piece == b"%PDF-");
    STANDARD.decode(document_data).is_ok_and(marked)
}

/// German ones have 2 to 5 digits and no leading 0; of other countries' ones we know nothing more than
/// that the number has to fit.
fn is_area_code(area_code: &str, country: &str) -> bool {
    let digits = area_code.bytes().all(|byte| byte.is_ascii_digit());
    let german = ["germany", "deutschland"].contains(&country.to_lowercase().as_str());
    digits && area_code.len() <= 5 && (!german || (area_code.len() >= 2 && area_code.as_bytes()[0] >= b'2'))
}

fn order_number(
    request: &Request<'_>,
    rules: &Rules<'_>,
    account: &mut Account,
) -> Result<Accepted, Refusal> {
    let [number_type, verification_id] = request.require(["number_type", "verification_id"])?;
    if number_type != "GEOGRAPHICAL" {
        return Err(refusal::number_type());
    }
    let verification_id = uuid(verification_id).ok_or_else(refusal::verification_id)?;
    let document = account.document(verification_id).ok_or_else(refusal::verification_id)?;
    if document.state() != DocumentState::Approved {
        return Err(rules.settings.unapproved.clone());
    }
    let link_to_number = optional(request, "link_to_number", refusal::link_number, |number| {
        is_e164(number) && account.has_number(number)
    })?;
    let push_url =
        optional(request, "push_url", refusal::push_url, |url| is_push_url(url, rules.plain_push))?;
    let push_secret = optional(request, "push_secret", refusal::push_secret, |secret| {
        (1..=PUSH_SECRET_LIMIT).contains(&secret.chars().count())
    })?;
    if push_url.is_some() && push_secret.is_none() {
        return Err(refusal::push_secret());
    }
    let order =
        NewOrder { verification_id, link_to_number, push_url, push_secret: push_secret.map(Into::into) };
    Ok(Accepted::Order(account.add_order(order)))
}

/// The provider's ids are hyphenated; the parser would take more forms.
fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == uuid::fmt::Hyphenated::LENGTH)
}

fn optional(
    request: &Request<'_>,
    name: &str,
    refusal: fn() -> Refusal,
    check: impl Fn(&str) -> bool,
) -> Result<Option<String>, Refusal> {
    let Some(value) = request.field(name) else {
        return Ok(None);
    };
    match value.as_str() {
        Some(text) if check(text) => Ok(Some(text.to_owned())),
        _ => Err(refusal()),
    }
}

fn is_e164(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (2..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

fn is_push_url(url: &str, plain: bool) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        let scheme = url.scheme_str();
        url.host().is_some_and(|host| !host.is_empty())
            && (scheme == Some("https") || (plain && scheme == Some("http")))
    })
}

fn cancel_number(
    request: &Request<'_>,
    settings: &Settings,
    account: &mut Account,
) -> Result<Accepted, Refusal> {
    let [number] = request.require(["phone_number"])?;
    if !account.has_number(number) {
        return Err(refusal::cancel_number());
    }
    match account.cancellation(number) {
        Some(date) if settings.cancel_again => Ok(Accepted::Cancellation(date)),
        Some(_) => Err(refusal::cancel_number()),
        None => {
            let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
            let date = today.saturating_add(i64::from(settings.cancel_notice_days).days());
            account.cancel(number, date);
            Ok(Accepted::Cancellation(date))
        }
    }
}

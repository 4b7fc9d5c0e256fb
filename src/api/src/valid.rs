//! Specs that can be sent. What today's schemas forbid, an older or looser one may have let in: types that can be
//! read and still make no request. It is reported and not sent (promise 23), in words without the value.

use super::order::{AdoptOrder, LinkTo};
use super::text::TextFlaw;
use super::verification::Address;
use super::{PhoneNumber, PhoneNumberOrderSpec, PhoneVerificationSpec, SecretKeyRef, germany};

/// The bound of a name and of a Secret's key.
const NAME: usize = 253;

/// The spec of an order that can be sent.
#[derive(Clone, Copy, Debug)]
pub struct ValidOrder<'a> {
    spec: &'a PhoneNumberOrderSpec,
    /// The verification to order with.
    pub verification: VerificationSource<'a>,
    /// What to link to.
    pub link: Option<LinkSource<'a>>,
}

/// What an order says of its verification.
#[derive(Clone, Copy, Debug)]
pub enum VerificationSource<'a> {
    /// Its id: the user answers for its approval.
    Id(&'a str),
    /// The name of a `PhoneVerification`.
    Resource(&'a str),
}

/// What an order says of the number that it is linked to.
#[derive(Clone, Copy, Debug)]
pub enum LinkSource<'a> {
    /// The number.
    Number(&'a PhoneNumber),
    /// The name of a `PhoneNumberOrder`.
    Order(&'a str),
}

impl<'a> ValidOrder<'a> {
    /// The spec, if it can be sent.
    ///
    /// # Errors
    /// The field that can't be as it is, and what is expected there.
    pub fn new(spec: &'a PhoneNumberOrderSpec) -> Result<Self, String> {
        let verification = match (&spec.verification_ref, &spec.verification_id) {
            (None, Some(given)) => VerificationSource::Id(id("spec.verificationId", given)?),
            (Some(reference), None) => {
                VerificationSource::Resource(text("spec.verificationRef.name", &reference.name, NAME)?)
            }
            _ => return Err("spec: give exactly one of verificationRef and verificationId".into()),
        };
        let link = spec.link_to.as_ref().map(link).transpose()?;
        spec.adopt.as_ref().map_or(Ok(()), adoption)?;
        secret("spec.accessKeySecretRef", spec.access_key_secret_ref.as_ref())?;
        spec.write_number_to.as_ref().map_or(Ok(()), |target| config_map(&target.config_map_name))?;
        Ok(Self { spec, verification, link })
    }

    /// All of it.
    #[must_use]
    pub fn spec(&self) -> &'a PhoneNumberOrderSpec {
        self.spec
    }
}

/// The spec of a verification that can be sent.
#[derive(Clone, Copy, Debug)]
pub struct ValidVerification<'a>(&'a PhoneVerificationSpec);

impl<'a> ValidVerification<'a> {
    /// The spec, if it can be sent.
    ///
    /// # Errors
    /// The field that can't be as it is, and what is expected there.
    pub fn new(spec: &'a PhoneVerificationSpec) -> Result<Self, String> {
        let german = germany::is_named(&spec.address.country);
        let area = spec.area_code.as_str();
        let area_fits = (1..=8).contains(&area.len())
            && area.bytes().all(|b| b.is_ascii_digit())
            && !area.starts_with('0')
            && (!german || germany::is_area_code(area));
        address(&spec.address)?;
        if !area_fits {
            return Err("spec.areaCode: expected digits without the leading 0".into());
        }
        secret("spec.document.secretRef", Some(&spec.document.secret_ref))?;
        secret("spec.accessKeySecretRef", spec.access_key_secret_ref.as_ref())?;
        if let Some(adopt) = &spec.adopt {
            id("spec.adopt.verificationId", &adopt.verification_id)?;
        }
        Ok(Self(spec))
    }

    /// All of it.
    #[must_use]
    pub fn spec(&self) -> &'a PhoneVerificationSpec {
        self.0
    }
}

fn address(address: &Address) -> Result<(), String> {
    let parts = [
        ("country", &address.country, 64),
        ("city", &address.city, 128),
        ("zip", &address.zip, 16),
        ("street", &address.street, 128),
        ("houseNumber", &address.house_number, 16),
    ];
    for (name, part, limit) in parts {
        let path = format!("spec.address.{name}");
        text(&path, part, limit)?;
        if let Some(flaw) = TextFlaw::of(part) {
            return Err(format!("{path}: {}", flaw.message()));
        }
    }
    if germany::is_misnamed(&address.country) {
        return Err(format!("spec.address.country: {}", germany::WRITE_IT));
    }
    if germany::is_named(&address.country) && !germany::is_postcode(&address.zip) {
        return Err("spec.address.zip: a German postcode has 5 digits".into());
    }
    Ok(())
}

fn link(link: &LinkTo) -> Result<LinkSource<'_>, String> {
    match (&link.phone_number, &link.order_ref) {
        (Some(number), None) => Ok(LinkSource::Number(number)),
        (None, Some(order)) => text("spec.linkTo.orderRef.name", &order.name, NAME).map(LinkSource::Order),
        _ => Err("spec.linkTo: give exactly one of phoneNumber and orderRef".into()),
    }
}

fn adoption(adopt: &AdoptOrder) -> Result<(), String> {
    match adopt {
        AdoptOrder { order_id: None, phone_number: None } => {
            Err("spec.adopt: give orderId, phoneNumber or both".into())
        }
        AdoptOrder { order_id: Some(given), .. } => id("spec.adopt.orderId", given).map(|_| ()),
        AdoptOrder { order_id: None, .. } => Ok(()),
    }
}

fn secret(path: &str, reference: Option<&SecretKeyRef>) -> Result<(), String> {
    let Some(reference) = reference else { return Ok(()) };
    text(&format!("{path}.name"), &reference.name, NAME)?;
    let key = text(&format!("{path}.key"), &reference.key, NAME)?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    if key.bytes().all(fits) {
        Ok(())
    } else {
        Err(format!("{path}.key: expected letters, digits, '-', '.' and '_'"))
    }
}

/// As the schema has it. Whether it is a name is told where it is used: the number is there by then.
fn config_map(name: &str) -> Result<(), String> {
    let path = "spec.writeNumberTo.configMapName";
    text(path, name, NAME)?;
    let is_end = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let fits = |b: u8| is_end(Some(b)) || matches!(b, b'-' | b'.');
    if name.bytes().all(fits) && is_end(name.bytes().next()) && is_end(name.bytes().next_back()) {
        Ok(())
    } else {
        Err(format!("{path}: expected lower-case letters, digits, '-' and '.', between letters or digits"))
    }
}

fn text<'a>(path: &str, text: &'a str, limit: usize) -> Result<&'a str, String> {
    if (1..=limit).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(format!("{path}: expected 1 to {limit} characters"))
    }
}

fn id<'a>(path: &str, id: &'a str) -> Result<&'a str, String> {
    if is_id(id) { Ok(id) } else { Err(format!("{path}: {ID_EXPECTED}")) }
}

/// Whether TENIOS may have given this id.
#[must_use]
pub fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// For whoever writes another one.
pub const ID_EXPECTED: &str = "expected 1 to 128 ASCII characters without spaces";

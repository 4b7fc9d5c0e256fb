//! What today's schemas forbid and an older or looser one may have let in: types that can be read and
//! still make no request. It is reported and not sent (promise 23), in words without the value.

use super::order::{AdoptOrder, LinkTo};
use super::text::TextFlaw;
use super::verification::{Address, AdoptVerification};
use super::{PhoneNumberOrderSpec, PhoneVerificationSpec, SecretKeyRef, germany};

/// The bound of a name and of a Secret's key.
const NAME: usize = 253;

/// The field of an order that can't be as it is, and what is expected there.
#[must_use]
pub fn of_order(spec: &PhoneNumberOrderSpec) -> Option<String> {
    if spec.verification_ref.is_some() == spec.verification_id.is_some() {
        return Some("spec: give exactly one of verificationRef and verificationId".into());
    }
    id("spec.verificationId", spec.verification_id.as_deref())
        .or_else(|| text("spec.verificationRef.name", spec.verification_ref.as_ref().map(|r| &*r.name), NAME))
        .or_else(|| spec.link_to.as_ref().and_then(link))
        .or_else(|| spec.adopt.as_ref().and_then(adoption))
        .or_else(|| secret("spec.accessKeySecretRef", spec.access_key_secret_ref.as_ref()))
}

/// The field of a verification that can't be as it is, and what is expected there.
#[must_use]
pub fn of_verification(spec: &PhoneVerificationSpec) -> Option<String> {
    let address = &spec.address;
    let german = germany::is_named(&address.country);
    let area = spec.area_code.as_str();
    let area_fits = (1..=8).contains(&area.len())
        && area.bytes().all(|b| b.is_ascii_digit())
        && !area.starts_with('0')
        && (!german || germany::is_area_code(area));
    let adopted: Option<&AdoptVerification> = spec.adopt.as_ref();
    of_address(address)
        .or_else(|| (!area_fits).then(|| "spec.areaCode: expected digits without the leading 0".into()))
        .or_else(|| secret("spec.document.secretRef", Some(&spec.document.secret_ref)))
        .or_else(|| secret("spec.accessKeySecretRef", spec.access_key_secret_ref.as_ref()))
        .or_else(|| id("spec.adopt.verificationId", adopted.map(|adopt| &*adopt.verification_id)))
}

/// The part of an address that can't be as it is.
fn of_address(address: &Address) -> Option<String> {
    let parts = [
        ("country", &address.country, 64),
        ("city", &address.city, 128),
        ("zip", &address.zip, 16),
        ("street", &address.street, 128),
        ("houseNumber", &address.house_number, 16),
    ];
    let of_text = |(name, part, limit): (&str, &String, usize)| {
        let path = format!("spec.address.{name}");
        let flaw = TextFlaw::of(part).map(|flaw| format!("{path}: {}", flaw.message()));
        text(&path, Some(part), limit).or(flaw)
    };
    let misnamed = || {
        germany::is_misnamed(&address.country).then(|| format!("spec.address.country: {}", germany::WRITE_IT))
    };
    let postcode = || {
        let fits = !germany::is_named(&address.country) || germany::is_postcode(&address.zip);
        (!fits).then(|| "spec.address.zip: a German postcode has 5 digits".into())
    };
    parts.into_iter().find_map(of_text).or_else(misnamed).or_else(postcode)
}

fn link(link: &LinkTo) -> Option<String> {
    if link.phone_number.is_some() == link.order_ref.is_some() {
        return Some("spec.linkTo: give exactly one of phoneNumber and orderRef".into());
    }
    text("spec.linkTo.orderRef.name", link.order_ref.as_ref().map(|r| &*r.name), NAME)
}

fn adoption(adopt: &AdoptOrder) -> Option<String> {
    if adopt.order_id.is_none() && adopt.phone_number.is_none() {
        return Some("spec.adopt: give orderId, phoneNumber or both".into());
    }
    id("spec.adopt.orderId", adopt.order_id.as_deref())
}

fn secret(path: &str, reference: Option<&SecretKeyRef>) -> Option<String> {
    let reference = reference?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let key_fits = reference.key.bytes().all(fits);
    text(&format!("{path}.name"), Some(&reference.name), NAME)
        .or_else(|| text(&format!("{path}.key"), Some(&reference.key), NAME))
        .or_else(|| (!key_fits).then(|| format!("{path}.key: expected letters, digits, '-', '.' and '_'")))
}

fn text(path: &str, text: Option<&str>, limit: usize) -> Option<String> {
    let fits = text.is_none_or(|text| (1..=limit).contains(&text.chars().count()));
    (!fits).then(|| format!("{path}: expected 1 to {limit} characters"))
}

fn id(path: &str, id: Option<&str>) -> Option<String> {
    let fits = id.is_none_or(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()));
    (!fits).then(|| format!("{path}: expected 1 to 128 letters, digits or signs of ASCII"))
}

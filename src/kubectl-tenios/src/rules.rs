//! The CEL rules of the CRDs as functions. Rules about a change (`oldSelf`) have nothing to compare with
//! here.

use serde_json::Value;

use tenios_api::germany;
use tenios_api::text::TextFlaw;
use tenios_api::verification::{GERMAN_AREA_CODE, GERMAN_POSTCODE};

/// The function that says what this rule says; none where there is none.
#[must_use]
pub fn of(rule: &str) -> Option<fn(&Value) -> bool> {
    if let Some(flaw) = TextFlaw::ALL.into_iter().find(|flaw| flaw.cel() == rule) {
        return Some(match flaw {
            TextFlaw::Blank => |value| !TextFlaw::Blank.is_in(text(value)),
            TextFlaw::Control => |value| !TextFlaw::Control.is_in(text(value)),
            TextFlaw::Invisible => |value| !TextFlaw::Invisible.is_in(text(value)),
        });
    }
    if rule == germany::cel() {
        return Some(|country| !germany::is_misnamed(text(country)));
    }
    Some(match rule {
        GERMAN_POSTCODE => |address| {
            !germany::is_named(text(&address["country"])) || germany::is_postcode(text(&address["zip"]))
        },
        GERMAN_AREA_CODE => |spec| {
            !germany::is_named(text(&spec["address"]["country"]))
                || germany::is_area_code(text(&spec["areaCode"]))
        },
        "has(self.verificationRef) != has(self.verificationId)" => {
            |spec| has(spec, "verificationRef") != has(spec, "verificationId")
        }
        "has(self.phoneNumber) != has(self.orderRef)" => {
            |link| has(link, "phoneNumber") != has(link, "orderRef")
        }
        "has(self.orderId) || has(self.phoneNumber)" => {
            |adopt| has(adopt, "orderId") || has(adopt, "phoneNumber")
        }
        _ => return None,
    })
}

/// Whether this rule is about a change.
#[must_use]
pub fn is_about_a_change(rule: &str) -> bool {
    rule.contains("oldSelf")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The apiserver drops null before it asks.
fn has(object: &Value, field: &str) -> bool {
    object.get(field).is_some_and(|value| !value.is_null())
}

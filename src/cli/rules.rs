//! The CEL rules of the CRDs as functions. Rules about a change (`oldSelf`) have nothing to compare with
//! here.

use serde_json::Value;

use super::schema::matches;

/// The function that says what this rule says; none where there is none.
#[must_use]
pub fn of(rule: &str) -> Option<fn(&Value) -> bool> {
    Some(match rule {
        "self.country != 'Germany' || self.zip.matches('^[0-9]{5}$')" => {
            |address| address["country"] != "Germany" || matches("^[0-9]{5}$", text(&address["zip"]))
        }
        "self.address.country != 'Germany' || self.areaCode.matches('^[2-9][0-9]{1,4}$')" => |spec| {
            spec["address"]["country"] != "Germany" || matches("^[2-9][0-9]{1,4}$", text(&spec["areaCode"]))
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

//! `PhoneNumberOrder`: what to order, and what to link it to.

use jiff::Timestamp;
use jiff::civil::Date;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Condition, PhoneNumber, ResourceRef, SecretKeyRef};

/// One phone number, ordered from TENIOS at most once.
///
/// `spec.verificationRef`, `spec.verificationId`, `spec.numberType` and `spec.linkTo` are frozen from
/// the moment a request is open or accepted, and free again after a refusal.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tenios.dev",
    version = "v1alpha1",
    kind = "PhoneNumberOrder",
    doc = "One phone number, ordered from TENIOS at most once.",
    plural = "phonenumberorders",
    shortname = "pno",
    category = "tenios",
    namespaced,
    status = "PhoneNumberOrderStatus",
    derive = "PartialEq",
    selectable = ".status.state",
    selectable = ".status.orderId",
    selectable = ".status.phoneNumber",
    printcolumn(name = "State", json_path = ".status.state", type_ = "string"),
    printcolumn(name = "Number", json_path = ".status.phoneNumber", type_ = "string"),
    printcolumn(name = "Order", json_path = ".status.orderId", type_ = "string"),
    printcolumn(name = "Reason", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", type_ = "string"),
    printcolumn(name = "Age", json_path = ".metadata.creationTimestamp", type_ = "date"),
    printcolumn(name = "Verification", json_path = ".status.verificationId", type_ = "string", priority = 1),
    printcolumn(name = "Link", json_path = ".status.linkTo", type_ = "string", priority = 1),
    printcolumn(name = "Message", json_path = ".status.conditions[?(@.type==\"Ready\")].message", type_ = "string", priority = 1),
    validation = Rule::new("!(oldSelf.?status.?state.orValue('') in ['Ordering', 'AwaitingNumber', 'Assigned', 'OutcomeUnknown', 'Cancelling', 'Cancelled']) || (self.spec.numberType == oldSelf.spec.numberType && has(self.spec.verificationRef) == has(oldSelf.spec.verificationRef) && (!has(self.spec.verificationRef) || !has(oldSelf.spec.verificationRef) || self.spec.verificationRef == oldSelf.spec.verificationRef) && has(self.spec.verificationId) == has(oldSelf.spec.verificationId) && (!has(self.spec.verificationId) || !has(oldSelf.spec.verificationId) || self.spec.verificationId == oldSelf.spec.verificationId) && has(self.spec.linkTo) == has(oldSelf.spec.linkTo) && (!has(self.spec.linkTo) || !has(oldSelf.spec.linkTo) || self.spec.linkTo == oldSelf.spec.linkTo))")
        .message("verificationRef, verificationId, numberType and linkTo are immutable while the order is open or placed; for another number, create another PhoneNumberOrder")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.verificationRef) != has(self.verificationId)")
    .message("give exactly one of verificationRef and verificationId"))]
pub struct PhoneNumberOrderSpec {
    /// The `PhoneVerification` to order with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_ref: Option<ResourceRef>,
    /// The id of an approved verification that is not managed in this cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[!-~]+$", "example" = "705d5302-d918-454a-b703-c9c23995726e"))]
    pub verification_id: Option<String>,
    /// The type of number. TENIOS accepts only GEOGRAPHICAL.
    #[serde(default)]
    pub number_type: NumberType,
    /// An existing number whose routing plan the new number takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_to: Option<LinkTo>,
    /// The TENIOS access key to use; by default, the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_secret_ref: Option<SecretKeyRef>,
    /// An order or a number that already exists, so that nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<AdoptOrder>,
    /// Asks TENIOS to cancel the number, which can't be undone. Deleting the resource never cancels it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<CancelNumber>,
    /// Where the assigned number is written, for workloads to read. May be set and changed at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_number_to: Option<WriteNumberTo>,
    /// While true, no request is sent.
    #[serde(default)]
    pub suspend: bool,
}

/// A place for the assigned number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteNumberTo {
    /// Name of a `ConfigMap` in the same namespace, which is created with the keys `e164`, `digits`, `national` and
    /// `orderId`, and belongs to this order. One that exists and belongs to something else is left as it is. Once the
    /// number is cancelled, there is `cancellationDate`, and from that day on the number is taken out.
    #[schemars(length(min = 1, max = 253), extend("pattern" = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", "example" = "main-line"))]
    pub config_map_name: String,
}

/// The types of number that TENIOS takes (`docs/provider-api.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("example" = "GEOGRAPHICAL"))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum NumberType {
    /// A number of an area code.
    #[default]
    Geographical,
}

impl NumberType {
    /// The provider's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Geographical => "GEOGRAPHICAL",
        }
    }
}

/// The number to link to, by exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.phoneNumber) != has(self.orderRef)")
    .message("give exactly one of phoneNumber and orderRef"))]
pub struct LinkTo {
    /// A number of the same TENIOS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<PhoneNumber>,
    /// Another `PhoneNumberOrder`; this order waits until that one has its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_ref: Option<ResourceRef>,
}

/// An order that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.orderId) || has(self.phoneNumber)")
    .message("give orderId, phoneNumber or both"))]
pub struct AdoptOrder {
    /// The id that TENIOS gave to the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[!-~]+$", "example" = "300000"))]
    pub order_id: Option<String>,
    /// The assigned number; may be given without an order id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<PhoneNumber>,
}

/// The number to cancel. `/number/cancel` is known from a customer's client only (`docs/provider-api.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelNumber {
    /// The number of this order, repeated. With any other, nothing is sent.
    pub phone_number: PhoneNumber,
    /// The date from which the number is cancelled, as the TENIOS portal shows it: nothing is sent then. It resolves a
    /// cancellation whose outcome is unknown, and records one that was made elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10), extend("pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "format" = "date", "example" = "2026-12-31"), with = "Option<String>")]
    pub done: Option<Date>,
}

/// The step that an order is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(missing_docs)] // docs/reasons.md
pub enum OrderState {
    Waiting,
    Ordering,
    AwaitingNumber,
    Assigned,
    Cancelling,
    Cancelled,
    OutcomeUnknown,
    Refused,
    Conflict,
    Suspended,
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// What the operator knows about an order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumberOrderStatus {
    /// The `metadata.generation` that the status belongs to; -1 before the first reconcile.
    #[serde(default)]
    pub observed_generation: i64,
    /// The current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<OrderState>,
    /// How many requests have been sent, or recorded as about to be sent, so far.
    #[serde(default)]
    pub requests: u64,
    /// The id of the last request that was sent, or recorded as about to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub attempt: Option<String>,
    /// The id of the verification that the number was ordered with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub verification_id: Option<String>,
    /// The number that this one is linked to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub link_to: Option<String>,
    /// The id that TENIOS gave to the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub order_id: Option<String>,
    /// The assigned number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub phone_number: Option<String>,
    /// When the intent of the accepted request was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    pub ordered_time: Option<Timestamp>,
    /// When the number was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    pub assigned_time: Option<Timestamp>,
    /// From when the number is cancelled: what TENIOS answered, or `spec.cancel.done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub cancellation_date: Option<String>,
    /// The requests to cancel the number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancellation: Option<CancellationStatus>,
    /// The conditions `Ready`, `Ordered` and `Assigned`, `Reconciling` or `Stalled` while True, and where the spec asks for
    /// that, `Cancelled` and `NumberWritten`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

/// What the operator knows about the requests to cancel a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancellationStatus {
    /// The number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub phone_number: Option<String>,
    /// How many requests to cancel it have been sent, or recorded as about to be sent, so far.
    #[serde(default)]
    pub requests: u64,
    /// The id of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub attempt: Option<String>,
    /// When the intent of the accepted one was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    pub requested_time: Option<Timestamp>,
}

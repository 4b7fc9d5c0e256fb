//! `PhoneVerification`: an address and the document that proves it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{TextFlaw, canonical, decomposed};
use super::{Condition, SecretKeyRef, germany};

/// [`germany::is_area_code`] for the apiserver.
pub const GERMAN_AREA_CODE: &str =
    "self.address.country.trim() != 'Germany' || self.areaCode.matches('^[2-9][0-9]{1,4}$')";

/// [`germany::is_postcode`] for the apiserver.
pub const GERMAN_POSTCODE: &str = "self.country.trim() != 'Germany' || self.zip.trim().matches('^[0-9]{5}$')";

/// A verification document for one area code, submitted to TENIOS once.
///
/// `spec.address`, `spec.areaCode`, `spec.document.type` and `spec.document.secretRef` are frozen from the moment a
/// request is open or accepted, and free again after a refusal.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "tenios.dev",
    version = "v1alpha1",
    kind = "PhoneVerification",
    doc = "A verification document for one area code, submitted to TENIOS once.",
    plural = "phoneverifications",
    shortname = "pver",
    category = "tenios",
    namespaced,
    status = "PhoneVerificationStatus",
    derive = "PartialEq",
    selectable = ".status.state",
    selectable = ".status.verificationId",
    printcolumn(name = "State", json_path = ".status.state", type_ = "string"),
    printcolumn(name = "Reason", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", type_ = "string"),
    printcolumn(name = "Age", json_path = ".metadata.creationTimestamp", type_ = "date"),
    printcolumn(name = "Verification", json_path = ".status.verificationId", type_ = "string", priority = 1),
    printcolumn(name = "Area", json_path = ".spec.areaCode", type_ = "string", priority = 1),
    printcolumn(name = "Valid Until", json_path = ".spec.document.validUntil", type_ = "string", priority = 1),
    printcolumn(name = "Message", json_path = ".status.conditions[?(@.type==\"Ready\")].message", type_ = "string", priority = 1),
    validation = Rule::new(frozen())
        .message("address, areaCode, document.type and document.secretRef are immutable while the submission is open or accepted; for another address or document, create another PhoneVerification")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(GERMAN_AREA_CODE)
    .message("a German area code has 2 to 5 digits without the leading 0, and begins with 2 to 9, such as 221")
    .field_path(".areaCode"))]
pub struct PhoneVerificationSpec {
    /// The address that the document proves. It must lie within the area of the area code.
    pub address: Address,
    /// Area code of the numbers to order, without the leading 0.
    #[schemars(length(min = 1, max = 8), extend("pattern" = "^[1-9][0-9]*$", "example" = "221"))]
    pub area_code: String,
    /// The document that proves the address.
    pub document: Document,
    /// The TENIOS access key to use; by default, the operator's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key_secret_ref: Option<SecretKeyRef>,
    /// The decision that a person saw in the TENIOS portal. TENIOS offers no way to query it.
    #[serde(default)]
    pub approval: Approval,
    /// A verification that already exists, so that nothing is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<AdoptVerification>,
    /// While true, no request is sent.
    #[serde(default)]
    pub suspend: bool,
}

/// A postal address. White space at the ends of its parts does not count, nor whether Unicode is composed; what is sent is NFC.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new(GERMAN_POSTCODE)
    .message("a German postcode has 5 digits; quote it in YAML to keep leading zeros")
    .field_path(".zip"))]
pub struct Address {
    /// The English name of the country.
    #[schemars(length(min = 1, max = 64), extend("example" = "Germany"))]
    #[x_kube(validation = TextFlaw::Blank.rule(), validation = TextFlaw::Control.rule(), validation = TextFlaw::Invisible.rule())]
    #[x_kube(validation = germany::rule())]
    pub country: String,
    /// City.
    #[schemars(length(min = 1, max = 128), extend("example" = "Köln"))]
    #[x_kube(validation = TextFlaw::Blank.rule(), validation = TextFlaw::Control.rule(), validation = TextFlaw::Invisible.rule())]
    pub city: String,
    /// Postcode, as text.
    #[schemars(length(min = 1, max = 16), extend("example" = "50667"))]
    #[x_kube(validation = TextFlaw::Blank.rule(), validation = TextFlaw::Control.rule(), validation = TextFlaw::Invisible.rule())]
    pub zip: String,
    /// Street, without the house number.
    #[schemars(length(min = 1, max = 128), extend("example" = "Domkloster"))]
    #[x_kube(validation = TextFlaw::Blank.rule(), validation = TextFlaw::Control.rule(), validation = TextFlaw::Invisible.rule())]
    pub street: String,
    /// House number, as text.
    #[schemars(length(min = 1, max = 16), extend("example" = "4a"))]
    #[x_kube(validation = TextFlaw::Blank.rule(), validation = TextFlaw::Control.rule(), validation = TextFlaw::Invisible.rule())]
    pub house_number: String,
}

impl Address {
    /// In the form in which it is compared and sent.
    #[must_use]
    pub fn canonical(&self) -> Self {
        self.map(canonical)
    }

    /// How an earlier version may have recorded the same address, which it took as it was written: with or without
    /// white space around it, composed or not, and with Germany by another name.
    pub fn spellings(&self) -> impl Iterator<Item = Self> {
        let canonical = self.canonical();
        let forms =
            [self.clone(), self.map(|part| part.trim().to_owned()), canonical.map(decomposed), canonical];
        let german = germany::is_named(&self.country);
        forms.into_iter().flat_map(move |form| {
            let countries = germany::spellings().filter(move |_| german);
            let renamed = form.clone();
            let renamed = countries.map(move |country| Self { country, ..renamed.clone() });
            std::iter::once(form).chain(renamed)
        })
    }

    fn map(&self, change: impl Fn(&str) -> String) -> Self {
        Self {
            country: change(&self.country),
            city: change(&self.city),
            zip: change(&self.zip),
            street: change(&self.street),
            house_number: change(&self.house_number),
        }
    }
}

/// What may not change once it was sent. CEL can't compose: where one of two texts is decomposed, which shows in
/// its combining marks, they are let through, and the operator compares them.
fn frozen() -> String {
    let same = ["country", "city", "zip", "street", "houseNumber"].map(|part| {
        let [new, old] = ["self", "oldSelf"].map(|whose| format!("{whose}.spec.address.{part}"));
        format!("({new}.trim() == {old}.trim() || {new}.matches(r'\\p{{M}}') != {old}.matches(r'\\p{{M}}'))")
    });
    format!(
        "!(oldSelf.?status.?state.orValue('') in ['Submitting', 'AwaitingApproval', 'Approved', 'Rejected', 'OutcomeUnknown']) || ({} && self.spec.areaCode == oldSelf.spec.areaCode && self.spec.document.type == oldSelf.spec.document.type && self.spec.document.secretRef == oldSelf.spec.document.secretRef)",
        same.join(" && ")
    )
}

// The address is personal data and must not reach a log (promise 21).
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}

/// The document and what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The type of the document.
    #[serde(rename = "type")]
    pub type_: DocumentType,
    /// Where the PDF is. Once the verification is submitted and approved, the Secret is not read any more.
    pub secret_ref: SecretKeyRef,
    /// The last day on which the document is valid, as far as the user knows. It is not sent and may change at any time;
    /// a metric and an alert tell before that day is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 10),
        extend("format" = "date", "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "example" = "2031-05-31"),
        with = "Option<String>"
    )]
    pub valid_until: Option<Date>,
}

impl Document {
    /// The moment at which [`Self::valid_until`] is over, in UTC.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        let after = self.valid_until?.tomorrow().ok()?;
        TimeZone::UTC.to_timestamp(after.into()).ok()
    }
}

/// The kinds of document that TENIOS takes (`docs/provider-api.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("example" = "CERTIFICATE_OF_REGISTRATION"))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // the provider's words
pub enum DocumentType {
    AllocationNotice,
    IdentityCard,
    BusinessLicense,
    IdentityCardAndBusinessLicense,
    CertificateOfRegistration,
    Contract,
}

impl DocumentType {
    /// The provider's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllocationNotice => "ALLOCATION_NOTICE",
            Self::IdentityCard => "IDENTITY_CARD",
            Self::BusinessLicense => "BUSINESS_LICENSE",
            Self::IdentityCardAndBusinessLicense => "IDENTITY_CARD_AND_BUSINESS_LICENSE",
            Self::CertificateOfRegistration => "CERTIFICATE_OF_REGISTRATION",
            Self::Contract => "CONTRACT",
        }
    }
}

/// What is declared about the provider's decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline, extend("example" = "Approved"))]
pub enum Approval {
    /// Not decided yet: orders wait.
    #[default]
    Pending,
    /// A person saw the approval in the portal: orders go out.
    Approved,
    /// A person saw the rejection in the portal.
    Rejected,
    /// Nobody looks: orders try at a slow pace until the provider takes one.
    Probe,
}

/// A verification that exists already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdoptVerification {
    /// The id that TENIOS gave to the verification.
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[!-~]+$", "example" = "705d5302-d918-454a-b703-c9c23995726e"))]
    pub verification_id: String,
}

/// The step that a verification is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(missing_docs)] // docs/reasons.md
pub enum VerificationState {
    Waiting,
    Submitting,
    AwaitingApproval,
    Approved,
    Rejected,
    OutcomeUnknown,
    Refused,
    Conflict,
    Suspended,
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// What the operator knows about a verification.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhoneVerificationStatus {
    /// The `metadata.generation` that the status belongs to; -1 before the first reconcile.
    #[serde(default)]
    pub observed_generation: i64,
    /// The current step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<VerificationState>,
    /// The id that TENIOS gave to the verification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub verification_id: Option<String>,
    /// How many requests have been sent, or recorded as about to be sent, so far.
    #[serde(default)]
    pub requests: u64,
    /// The id of the last request that was sent, or recorded as about to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub attempt: Option<String>,
    /// When the intent of the accepted request was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"), with = "Option<String>")]
    pub submitted_time: Option<Timestamp>,
    /// SHA-256 digest of the PDF that was sent: `sha256:` and hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub document_digest: Option<String>,
    /// The conditions `Ready`, `Submitted` and `Approved`, and `Reconciling` or `Stalled` while True.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub conditions: Vec<Condition>,
}

//! Conditions by the Kubernetes API conventions and kstatus: `Ready` and the steady ones are always
//! there; `Reconciling` and `Stalled` are present only while True.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::printable::{is_unprintable, one_line};

/// Where the documentation is: `TENIOS_DOCS_URL` as it was set when this was compiled, without a slash at its end; else
/// the folder in the repository, which has no address that everybody could reach.
pub const DOCS: &str = match option_env!("TENIOS_DOCS_URL") {
    Some(url) if !url.is_empty() => url,
    _ => "docs",
};
const _: () = assert!(DOCS.len() <= 1024, "TENIOS_DOCS_URL is longer than a message has room for");

/// The type of a [`Condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConditionType {
    /// The resource is usable: the verification is approved, the number is assigned.
    Ready,
    /// The operator is working on it, or waits for something that will come by itself.
    Reconciling,
    /// A person or a changed spec is needed.
    Stalled,
    /// The verification was submitted: its id is known.
    Submitted,
    /// The verification is approved.
    Approved,
    /// The order was placed: its id is known.
    Ordered,
    /// The number is assigned.
    Assigned,
    /// The number is cancelled: its cancellation date is known.
    Cancelled,
    /// The number is in the `ConfigMap` of `spec.writeNumberTo`.
    NumberWritten,
    /// Written by another version of the operator.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

/// The status of a [`Condition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows.
    Unknown,
}

/// The longest message that the schema takes.
const MESSAGE_CHARACTERS: usize = 4096;

/// Why a condition has its status: the reasons of the contract, none else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[allow(missing_docs)] // each is documented for users in docs/reasons.md
pub enum Reason {
    AccessKeyNotFound,
    Adopted,
    Approved,
    AwaitingApproval,
    AwaitingLinkTarget,
    AwaitingNumber,
    AwaitingVerification,
    BudgetExceeded,
    Cancelled,
    Cancelling,
    ConfigMapForbidden,
    ConfigMapNotOwned,
    ConfigMapNotWritten,
    Conflict,
    Declared,
    Deleting,
    DocumentInvalid,
    DocumentNotFound,
    InvalidSpec,
    LedgerUnavailable,
    NotOrdered,
    NotSubmitted,
    NumberAssigned,
    NumberWritten,
    Ordered,
    Ordering,
    OutcomeUnknown,
    Probing,
    ProvenByOrder,
    ProviderUnavailable,
    Refused,
    Rejected,
    Submitted,
    Submitting,
    Suspended,
    VerificationRejected,
    /// Written by another version of the operator.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

impl Reason {
    /// Whether the resource waits for a person or a changed spec, so that `Stalled` is True.
    #[must_use]
    pub fn stalls(self) -> bool {
        matches!(
            self,
            Self::Refused
                | Self::OutcomeUnknown
                | Self::Conflict
                | Self::InvalidSpec
                | Self::DocumentInvalid
                | Self::Rejected
                | Self::VerificationRejected
        )
    }

    /// Where the documentation tells what to do about it, below [`DOCS`]; none where there is nothing left to do.
    #[must_use]
    pub fn page(self) -> Option<String> {
        match self {
            Self::Adopted
            | Self::Approved
            | Self::Cancelled
            | Self::Declared
            | Self::NumberAssigned
            | Self::NumberWritten
            | Self::Ordered
            | Self::ProvenByOrder
            | Self::Submitted
            | Self::Other => None,
            reason => Some(format!("{DOCS}/reasons.md#{}", reason.to_string().to_lowercase())),
        }
    }

    /// The message of a condition with this reason: what is to be said and where to read on, within the bound of the
    /// schema. A status with a longer one would be refused, again and again.
    #[must_use]
    pub fn message(self, text: &str) -> String {
        let page = self.page().filter(|_| !text.is_empty());
        let page = page.map(|page| format!(" (see {page})")).unwrap_or_default();
        // Others' words may be among it.
        let text = if text.contains(is_unprintable) { one_line(text) } else { text.to_owned() };
        let text: String = text.chars().take(MESSAGE_CHARACTERS - page.len()).collect();
        text + &page
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

/// One observation of a resource, as in the Kubernetes API conventions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The type of the condition.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// Whether the condition holds.
    pub status: ConditionStatus,
    /// Why, as one of the documented reasons.
    pub reason: Reason,
    /// What is awaited, or the command that resolves the condition.
    #[schemars(length(max = MESSAGE_CHARACTERS))]
    pub message: String,
    /// The `metadata.generation` that the condition was observed at.
    #[serde(default)]
    pub observed_generation: i64,
    /// When `status` last changed.
    #[schemars(extend("format" = "date-time", "type" = "string"), with = "String")]
    pub last_transition_time: Timestamp,
}

impl Condition {
    /// Keeps the transition time of the previous condition of this type where the status did not flip.
    #[must_use]
    pub fn carried_over(mut self, previous: &[Condition]) -> Self {
        let same = |c: &&Condition| c.type_ == self.type_ && c.status == self.status;
        if let Some(before) = previous.iter().find(same) {
            self.last_transition_time = before.last_transition_time;
        }
        self
    }
}

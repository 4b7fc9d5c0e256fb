//! What can happen to a verification or an order, as facts that are only ever appended.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Account;
use tenios_api::PhoneNumber;

/// Names one request to the provider: 32 hexadecimal digits, random. Neither a counter nor a time: two
/// replicas that both believe to be first must not choose the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(String);

/// What [`AttemptId::asked`] begins with: no hexadecimal digits.
const ASKED: &str = "asked";

impl AttemptId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// Of what a person is asked about that did not leave from here. `random` are 32 hexadecimal digits.
    #[must_use]
    pub fn asked(random: &str) -> Self {
        Self(format!("{ASKED}{random}"))
    }

    /// Whether it names no request of this ledger, but what a person was asked about.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.starts_with(ASKED)
    }

    /// The text of an id that came from outside (a URL, an annotation, a status): 1 to 64 lower-case
    /// letters and digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ok = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        ok.then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was ordered: spec path (or the name of a resolved value) → value. Addresses and documents
/// stand here as digests.
pub type Terms = BTreeMap<String, String>;

/// A refusal by the provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// The provider's `error_code`, or `HTTP_<status>` where the body had none.
    pub code: String,
    /// The provider's `error_message`, bounded.
    #[serde(default)]
    pub message: String,
    /// The request fields that the provider named.
    #[serde(default)]
    pub fields: Vec<String>,
    /// Whether the cause can pass without an edit of the spec, so that trying again makes sense.
    #[serde(default)]
    pub can_pass: bool,
}

/// One fact. Every time is the recording replica's wall clock: it is shown and paces retries, but
/// nothing that could order twice depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all_fields = "camelCase")]
pub enum Event {
    /// A request is about to leave. Whoever appended this may send it, once, within the deadline.
    Intended {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// What it asks for.
        terms: Terms,
    },
    /// The provider took the request.
    Accepted {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// The verification id or order id.
        id: String,
    },
    /// The provider refused the request.
    Refused {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// Its answer.
        refusal: Refusal,
    },
    /// The request was provably not processed.
    NotProcessed {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// What was seen.
        why: String,
        /// The provider's Retry-After, in seconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Nobody can tell what became of the request.
    Unknown {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// What was seen.
        why: String,
    },
    /// A person says that the request placed nothing.
    NotPlaced {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
    },
    /// A person says what the provider's id or the number is.
    Adopted {
        /// When.
        at: Timestamp,
        /// The verification id or order id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<PhoneNumber>,
        /// The account of the access key that the spec names, where it could be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<Account>,
        /// Whether that is the operator's own key.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        own: bool,
    },
    /// The provider pushed the number.
    Assigned {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// The order id as the push has it.
        order_id: String,
        /// The number.
        number: PhoneNumber,
    },
    /// The provider pushed one of the two only.
    Pushed {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// The order id, where the push had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        order_id: Option<String>,
        /// The number, where the push had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<PhoneNumber>,
    },
    /// The ledger had lost its entry; this is what `.status` still knew.
    Rebuilt {
        /// When.
        at: Timestamp,
        /// The last request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptId>,
        /// The verification id or order id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        number: Option<PhoneNumber>,
        /// What was ordered, as far as the spec tells.
        terms: Terms,
        /// How many requests there were.
        #[serde(default)]
        requests: u64,
    },
}

//! What users write and read: the custom resources, their validation, their conditions. No I/O.
//!
//! The shapes are the contract of `crds/tenios.dev.yaml`, which [`crd::all`] generates.

#![forbid(unsafe_code)]

mod causes;
pub mod condition;
pub mod crd;
pub mod decode;
pub mod digest;
pub mod germany;
pub mod ledger_entry;
pub mod name;
pub mod order;
pub mod pdf;
pub mod phone_number;
pub mod printable;
pub mod reference;
pub mod request;
pub mod skew;
pub mod text;
pub mod valid;
pub mod verification;

pub use causes::{Cause, causes};
pub use condition::{Condition, ConditionStatus, ConditionType, DOCS, Reason};
pub use ledger_entry::LedgerEntry;
pub use order::{PhoneNumberOrder, PhoneNumberOrderSpec, PhoneNumberOrderStatus};
pub use phone_number::PhoneNumber;
pub use reference::{ResourceRef, SecretKeyRef};
pub use request::{Endpoint, RequestField};
pub use verification::{PhoneVerification, PhoneVerificationSpec, PhoneVerificationStatus};

/// The API group of every resource.
pub const GROUP: &str = "tenios.dev";

/// A person's word that the attempt named by the value did not place an order (see
/// `status.attempt`). It works once.
pub const NOT_PLACED_ANNOTATION: &str = "tenios.dev/not-placed";

/// Who the operator is in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "tenios-operator";

//! The values of labels. Of each there is a counter that stands at 0 from the start: a series that begins with its
//! first event does not grow by it, and no alert would see it.

use tenios_ledger::AppendError;
use tenios_provider::Outcome;

macro_rules! labels {
    ($($(#[$about:meta])* $label:ident { $($value:ident = $text:literal),* })*) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $label {
            $(#[doc = concat!("`", $text, "`")] $value,)*
        }

        impl $label {
            pub(super) const ALL: &[Self] = &[$(Self::$value),*];

            /// As Prometheus has it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)*
                }
            }
        }
    )*};
}

labels! {
    /// What became of a request.
    RequestOutcome {
        Accepted = "accepted", Refused = "refused", NotProcessed = "not_processed", Unknown = "unknown"
    }
    /// What became of a push.
    PushResult {
        Stored = "stored", NotStored = "not_stored", Unauthenticated = "unauthenticated", Malformed = "malformed",
        Unusable = "unusable", Misdirected = "misdirected", Unrelated = "unrelated"
    }
    /// What became of an append to the ledger.
    AppendResult {
        Stored = "stored", Conflict = "conflict", Rejected = "rejected", Ambiguous = "ambiguous"
    }
    /// What became of an event of the relay.
    RelayResult {
        Delivered = "delivered", Refused = "refused", Unavailable = "unavailable"
    }
    /// Why a reconcile failed.
    ReconcileError {
        Apiserver = "apiserver", Panic = "panic"
    }
}

impl From<&Outcome> for RequestOutcome {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Accepted { .. } => Self::Accepted,
            Outcome::Refused(_) => Self::Refused,
            Outcome::NotProcessed { .. } => Self::NotProcessed,
            Outcome::Unknown { .. } => Self::Unknown,
        }
    }
}

impl<T> From<&Result<T, AppendError>> for AppendResult {
    fn from(appended: &Result<T, AppendError>) -> Self {
        match appended {
            Ok(_) => Self::Stored,
            Err(AppendError::Conflict(_)) => Self::Conflict,
            Err(AppendError::Rejected(_)) => Self::Rejected,
            Err(AppendError::Ambiguous(_)) => Self::Ambiguous,
        }
    }
}

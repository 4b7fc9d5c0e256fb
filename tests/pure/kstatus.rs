//! What tools that wait by kstatus make of a resource: Flux, `kubectl` plugins, anything built on cli-utils. Its rules
//! are written down here and applied to what the operator shows.

use serde_json::{Value, json};
use tenios_api::Reason;

use crate::status_corpus::{GENERATION, all, schema};

/// What kstatus computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A wait ends well.
    Current,
    /// A wait goes on until its timeout.
    InProgress,
    /// A wait ends at once, as failed.
    Failed,
    /// The object is being deleted.
    Terminating,
}

/// The rules for a kind that kstatus does not know, in their order.
pub fn kstatus(object: &Value) -> Status {
    let conditions = || object["status"]["conditions"].as_array().into_iter().flatten();
    if object["metadata"].get("deletionTimestamp").is_some() {
        return Status::Terminating;
    }
    let observed = object["status"].get("observedGeneration");
    if observed.is_some_and(|observed| *observed != object["metadata"]["generation"]) {
        return Status::InProgress;
    }
    // The first of the two decides, as they stand in the list.
    for condition in conditions().filter(|condition| condition["status"] == "True") {
        match condition["type"].as_str() {
            Some("Reconciling") => return Status::InProgress,
            Some("Stalled") => return Status::Failed,
            _ => {}
        }
    }
    match conditions()
        .find(|condition| condition["type"] == "Ready")
        .and_then(|ready| ready["status"].as_str())
    {
        Some("False" | "Unknown") => Status::InProgress,
        _ => Status::Current,
    }
}

/// What is expected of a state; none where it is not listed, which fails.
fn expected(kind: &str, state: &str, reason: Reason) -> Option<Status> {
    Some(match (kind, state) {
        ("PhoneNumberOrder", "Assigned" | "Cancelled") | ("PhoneVerification", "Approved") => Status::Current,
        (_, "Waiting")
            if matches!(
                reason,
                Reason::InvalidSpec | Reason::DocumentInvalid | Reason::VerificationRejected
            ) =>
        {
            Status::Failed
        }
        (_, "OutcomeUnknown" | "Refused" | "Conflict") | ("PhoneVerification", "Rejected") => Status::Failed,
        (_, "Waiting" | "Suspended")
        | ("PhoneNumberOrder", "Ordering" | "AwaitingNumber" | "Cancelling")
        | ("PhoneVerification", "Submitting" | "AwaitingApproval") => Status::InProgress,
        _ => return None,
    })
}

#[test]
fn a_wait_ends_with_the_number_and_fails_where_a_person_is_needed() {
    for recorded in all() {
        let name = format!("{} {} {}", recorded.kind, recorded.state, recorded.reason);
        let expected = expected(recorded.kind, &recorded.state, recorded.reason)
            .unwrap_or_else(|| panic!("{name}: say what a tool is to make of it"));
        assert_eq!(kstatus(&recorded.object), expected, "{name}");
        assert_eq!(expected == Status::Failed, recorded.reason.stalls(), "{name}");
    }
}

/// A list without conditions would be `Current`.
#[test]
fn a_wait_does_not_end_before_the_operator_has_looked() {
    for recorded in all() {
        let mut created = recorded.object;
        created["status"] = schema(recorded.kind)["properties"]["status"]["default"].clone();
        assert_eq!(kstatus(&created), Status::InProgress, "{}", recorded.kind);
    }
}

/// What is ready for an older spec is not ready, and what is going is neither.
#[test]
fn a_wait_does_not_take_an_older_status_for_this_one() {
    for mut recorded in all() {
        recorded.object["metadata"]["generation"] = json!(GENERATION + 1);
        assert_eq!(kstatus(&recorded.object), Status::InProgress, "{}", recorded.state);
        recorded.object["metadata"]["deletionTimestamp"] = json!("2026-11-22T09:00:00Z");
        assert_eq!(kstatus(&recorded.object), Status::Terminating, "{}", recorded.state);
    }
}

//! Ledger entries and statuses as version 0.1.0 stored them at commit 67b6872, recorded from its own code.

use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenios_api::pdf::Document;
use tenios_api::{LedgerEntry, PhoneNumberOrder, PhoneVerification};
use tenios_ledger::kubernetes::to_entry;
use tenios_ledger::{Entry, Event, State};
use tenios_lifecycle::{
    Answers, Budget, Decision, Found, Managed, RetryPolicy, Sender, StatusSummary, View, decide, project,
};

use crate::decision_inputs::{ALONE, KEY, NOTHING};

const STORED: &str = include_str!("stored/67b6872.json");

/// A resource as it lay in the cluster.
struct Stored {
    spec: Value,
    status: Value,
    not_placed: Option<String>,
    entry: Entry,
    now: Timestamp,
}

impl Stored {
    fn all() -> Vec<Self> {
        let all: Vec<Value> = serde_json::from_str(STORED).unwrap();
        all.into_iter().map(|stored| Self::new(&stored)).collect()
    }

    fn new(stored: &Value) -> Self {
        let object = json!({
            "apiVersion": "tenios.dev/v1alpha1", "kind": "LedgerEntry",
            "metadata": {"name": "it", "resourceVersion": "1"}, "spec": stored["entry"],
        });
        let object: LedgerEntry = serde_json::from_value(object).unwrap();
        Self {
            spec: stored["spec"].clone(),
            status: stored["status"].clone(),
            not_placed: stored["notPlaced"].as_str().map(ToOwned::to_owned),
            entry: to_entry(&object).unwrap(),
            now: Timestamp::from_second(stored["now"].as_i64().unwrap()).unwrap(),
        }
    }

    fn is_order(&self) -> bool {
        self.entry.key.kind == tenios_ledger::Kind::Order
    }

    /// What this version shows of it, whose ledger knows this by then, and what it recorded.
    fn rests<K: Managed<Spec: DeserializeOwned, Status: DeserializeOwned + serde::Serialize>>(
        &self,
        mut state: State,
    ) -> (Value, Vec<Event>) {
        let (spec, status): (K::Spec, K::Status) = (
            serde_json::from_value(self.spec.clone()).unwrap(),
            serde_json::from_value(self.status.clone()).unwrap(),
        );
        // What was sent then.
        let document = Document::new(b"%PDF-1.4 d %%EOF".to_vec()).unwrap();
        let answers = Answers {
            access_key: Some(Found::Usable(KEY.clone())),
            document: Some(Found::Usable(document)),
            budget: Some(Budget::Reserved),
        };
        let mut recorded = Vec::new();
        let summary: StatusSummary<K::Step> = loop {
            let decision = decide(&View::<K> {
                key: &self.entry.key,
                spec: &spec,
                generation: 1,
                deleting: false,
                status: Some(&status),
                not_placed: self.not_placed.as_deref(),
                state: &state,
                beside: &NOTHING,
                sender: Sender::Here,
                known_for: Duration::ZERO,
                answers: &answers,
                around: ALONE,
                retry_policy: &RetryPolicy::default(),
                push: true,
                now: self.now,
            });
            match decision {
                Decision::Rest(summary) => break summary,
                Decision::Record(events) => {
                    state = events.iter().fold(state, State::then);
                    recorded.extend(events);
                }
                Decision::Need(_) | Decision::Send(_) => panic!("{}: it must rest", self.entry.key),
            }
        };
        (json!(project::<K>(Some(&spec), &state, &summary, 1, &status, self.now)), recorded)
    }

    fn shown(&self, state: State) -> (Value, Vec<Event>) {
        if self.is_order() {
            self.rests::<PhoneNumberOrder>(state)
        } else {
            self.rests::<PhoneVerification>(state)
        }
    }
}

/// Without the words, which may be put better.
fn without_messages(status: &Value) -> Value {
    let mut status = status.clone();
    for condition in status["conditions"].as_array_mut().unwrap() {
        condition.as_object_mut().unwrap().remove("message");
    }
    status
}

#[test]
fn p12_what_an_earlier_version_stored_is_read_and_shown_as_it_was() {
    let all = Stored::all();
    assert!(all.len() > 15 && all.iter().any(|stored| stored.entry.snapshot != State::default()));
    for stored in all {
        let (shown, recorded) = stored.shown(stored.entry.state());
        assert_eq!(without_messages(&shown), without_messages(&stored.status), "{}", stored.entry.key);
        // The account of what was adopted was not recorded then.
        let is_adoption = |event: &Event| matches!(event, Event::Adopted { account: Some(_), .. });
        assert!(recorded.iter().all(is_adoption), "{}: {recorded:?}", stored.entry.key);
    }
}

#[test]
fn p12_what_an_earlier_version_stored_is_stored_alike() {
    let recorded: Vec<Value> = serde_json::from_str(STORED).unwrap();
    for (stored, recorded) in Stored::all().iter().zip(&recorded) {
        let Entry { snapshot, events, key, .. } = &stored.entry;
        assert_eq!(json!(events), recorded["entry"]["events"], "{key}");
        assert_eq!(json!(snapshot), recorded["entry"]["snapshot"], "{key}");
    }
}

/// The ledger lost its entries, and the statuses are still there.
#[test]
fn p12_what_an_earlier_version_showed_is_taken_back_into_an_empty_ledger() {
    for stored in Stored::all() {
        let (shown, recorded) = stored.shown(State::default());
        assert!(!recorded.is_empty(), "{}", stored.entry.key);
        for field in ["orderId", "phoneNumber", "verificationId", "attempt"] {
            let before = &stored.status[field];
            assert!(before.is_null() || shown[field] == *before, "{} {field}: {shown}", stored.entry.key);
        }
    }
}

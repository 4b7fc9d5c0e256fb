//! What became of a run, by the simulator's journal and account; the status only tells which ids are known.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tenios_api::LedgerEntry;
use tenios_api::ledger_entry::LedgerEntrySpec;

use crate::meddle::{Intent, old_views};
use crate::status_observer::Unknown;
use crate::testbed::Testbed;
use crate::{clusters, outside};

const ORDER: &str = "/number/order";
const VERIFICATION: &str = "/verification/create";
const CANCEL: &str = "/number/cancel";

/// What a run is found guilty of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// One attempt arrived twice, or a resource has more orders than it should.
    Duplicate(String),
    /// A request without an intent in the ledger.
    NoIntent(String),
    /// An id that the provider gave and nobody was told.
    LostId(String),
    /// It did not come to its named end.
    NotConverged(String),
    /// An outcome shown as unknown that could have been known.
    NeedlessUnknown(String),
    /// A request left for what was gone, suspended or otherwise meant when its intent was recorded.
    OldView(String),
    /// The status was rewritten over and over.
    Restless(String),
    /// The test itself failed.
    Broken(String),
}

/// What may be found.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Orders that the provider accepted.
    pub orders: usize,
    /// Verifications that it took.
    pub submissions: usize,
    /// Numbers that were cancelled.
    pub cancelled: usize,
    /// Whether an operator was killed or paused, so that it can't know what became of its requests.
    pub harmed: bool,
}

/// Judges a run that came to its end.
pub async fn judge(testbed: &Testbed, expected: Expected) -> Vec<Wrong> {
    let ledger = Ledger::read(testbed).await;
    let mut wrong = Vec::new();
    duplicates(testbed, &expected, &ledger, &mut wrong);
    cancellations(testbed, &expected, &ledger, &mut wrong);
    lost_ids(testbed, &mut wrong);
    unwritten(testbed, &mut wrong).await;
    wrong.extend(old_views(testbed, &ledger.intents()).into_iter().map(Wrong::OldView));
    needless(testbed, &ledger, expected.harmed, &mut wrong);
    outside::judge(testbed, &mut wrong).await;
    clusters::judge(testbed, &mut wrong).await;
    wrong
}

/// The ledger's events, in order, by kind and name.
struct Ledger(BTreeMap<(String, String), LedgerEntrySpec>);

impl Ledger {
    async fn read(testbed: &Testbed) -> Self {
        let of = |entry: LedgerEntry| ((entry.spec.kind.clone(), entry.spec.name.clone()), entry.spec);
        Self(testbed.ledger().await.into_iter().map(of).collect())
    }

    /// Whether an attempt was recorded; older ones are folded and can't be told any more.
    fn intended(&self, name: &str, attempt: &str) -> bool {
        let kind = "PhoneNumberOrder";
        self.position(kind, name, attempt, &["Intended"]).is_some() || self.is_folded(kind, name)
    }

    /// Whether the older events of an entry can't be told apart any more.
    fn is_folded(&self, kind: &str, name: &str) -> bool {
        let entry = self.0.get(&(kind.to_owned(), name.to_owned()));
        entry.is_some_and(|entry| entry.snapshot["attempts"].as_u64().is_some_and(|n| n > 0))
    }

    fn position(&self, kind: &str, name: &str, attempt: &str, types: &[&str]) -> Option<usize> {
        self.0.get(&(kind.to_owned(), name.to_owned()))?.events.iter().position(|event| {
            event["attempt"] == attempt && event["type"].as_str().is_some_and(|type_| types.contains(&type_))
        })
    }

    fn intents(&self) -> Vec<Intent<'_>> {
        let events =
            self.0.iter().flat_map(|(key, entry)| entry.events.iter().map(move |event| (key, event)));
        let intents = events.filter(|(_, event)| event["type"] == "Intended");
        intents.filter_map(|((kind, name), event)| Intent::of(kind, name, event)).collect()
    }

    fn count(&self, kind: &str, type_: &str) -> usize {
        let events = self.0.iter().filter(|((of, _), _)| of == kind).flat_map(|(_, entry)| &entry.events);
        events.filter(|event| event["type"] == type_).count()
    }
}

fn duplicates(testbed: &Testbed, expected: &Expected, ledger: &Ledger, wrong: &mut Vec<Wrong>) {
    let mut arrivals: BTreeMap<(String, String), usize> = BTreeMap::new();
    for entry in testbed.simulator.journal().iter().filter(|entry| entry.path == ORDER) {
        let url = entry.body.as_ref().and_then(|body| body["push_url"].as_str());
        if let Some(named) = url.and_then(named_by) {
            *arrivals.entry(named).or_default() += 1;
        }
    }
    for ((name, attempt), times) in &arrivals {
        if *times > 1 {
            wrong.push(Wrong::Duplicate(format!("attempt {attempt} of {name} arrived {times} times")));
        }
        if !ledger.intended(name, attempt) {
            wrong.push(Wrong::NoIntent(format!("attempt {attempt} of {name} is not in the ledger")));
        }
    }
    let mut placed: BTreeMap<String, usize> = BTreeMap::new();
    for order in testbed.simulator.orders() {
        let name = order.push_url.as_deref().and_then(named_by).map(|(name, _)| name);
        *placed.entry(name.unwrap_or_else(|| "?".into())).or_default() += 1;
    }
    for (name, orders) in placed.iter().filter(|(_, orders)| **orders > 1) {
        wrong.push(Wrong::Duplicate(format!("{name} has {orders} orders")));
    }
    let total: usize = placed.values().sum();
    count("orders", total, expected.orders, wrong);
    count("verifications", testbed.taken().len(), expected.submissions, wrong);
    let (arrived, intended) =
        (testbed.simulator.requests(VERIFICATION), ledger.count("PhoneVerification", "Intended"));
    if arrived > intended {
        wrong.push(Wrong::NoIntent(format!("{arrived} verifications arrived, {intended} were intended")));
    }
}

/// A request to cancel names its number and no attempt.
fn cancellations(testbed: &Testbed, expected: &Expected, ledger: &Ledger, wrong: &mut Vec<Wrong>) {
    let mut carried_out: BTreeMap<String, usize> = BTreeMap::new();
    let journal = testbed.simulator.journal();
    for entry in journal.iter().filter(|entry| entry.path == CANCEL && entry.processed) {
        let number = entry.body.as_ref().and_then(|body| body["phone_number"].as_str()).unwrap_or("?");
        *carried_out.entry(number.to_owned()).or_default() += 1;
    }
    for (number, times) in carried_out.iter().filter(|(_, times)| **times > 1) {
        wrong.push(Wrong::Duplicate(format!("number {number} was cancelled {times} times")));
    }
    count("cancellations", carried_out.len(), expected.cancelled, wrong);
    let (arrived, intended) = (testbed.simulator.requests(CANCEL), ledger.count("Cancellation", "Intended"));
    if arrived > intended && !ledger.0.keys().any(|(kind, name)| ledger.is_folded(kind, name)) {
        wrong.push(Wrong::NoIntent(format!("{arrived} cancellations arrived, {intended} were intended")));
    }
    let seen = testbed.observer.now();
    for order in testbed.simulator.orders() {
        let (Some(number), Some(date)) = (&order.phone_number, order.cancellation_date) else { continue };
        let mut statuses = seen.orders.values().filter_map(|o| o.status.as_ref());
        let shown = statuses.any(|status| {
            status.phone_number.as_ref() == Some(number)
                && status.cancellation_date.as_deref() == Some(date.to_string().as_str())
        });
        if !shown {
            wrong.push(Wrong::LostId(format!("the cancellation of {number} is shown nowhere")));
        }
    }
}

fn count(what: &str, accepted: usize, expected: usize, wrong: &mut Vec<Wrong>) {
    let text = format!("{accepted} {what} were accepted, not {expected}");
    match accepted.cmp(&expected) {
        Ordering::Greater => wrong.push(Wrong::Duplicate(text)),
        Ordering::Less => wrong.push(Wrong::NotConverged(text)),
        Ordering::Equal => {}
    }
}

/// Name and attempt in `…/push/v1/{namespace}/{name}/{attempt}`.
fn named_by(url: &str) -> Option<(String, String)> {
    let mut parts = url.rsplit('/');
    let (attempt, name) = (parts.next()?, parts.next()?);
    Some((name.to_owned(), attempt.to_owned()))
}

fn lost_ids(testbed: &Testbed, wrong: &mut Vec<Wrong>) {
    let (seen, unknown) = (testbed.observer.now(), testbed.observer.unknown());
    for order in testbed.simulator.orders() {
        let Some((name, attempt)) = order.push_url.as_deref().and_then(named_by) else { continue };
        let status = seen.orders.get(&name).and_then(|o| o.status.as_ref());
        let shown = status.is_some_and(|status| status.order_id.as_ref() == Some(&order.order_id));
        if !shown && !unknown.contains(&Unknown::Order { name: name.clone(), attempt }) {
            wrong.push(Wrong::LostId(format!("order {} of {name} is shown nowhere", order.order_id)));
        }
        let number = status.and_then(|status| status.phone_number.as_ref());
        if shown && order.phone_number.is_some() && number != order.phone_number.as_ref() {
            wrong.push(Wrong::LostId(format!("{name} shows {number:?}, not {:?}", order.phone_number)));
        }
    }
    let shown = |id: &str| {
        let mut statuses = seen.verifications.values().filter_map(|v| v.status.as_ref());
        statuses.any(|status| status.verification_id.as_deref() == Some(id))
    };
    let named = unknown.iter().any(|unknown| matches!(unknown, Unknown::Verification { .. }));
    for id in testbed.taken() {
        if !shown(&id) && !named {
            wrong.push(Wrong::LostId(format!("verification {id} is shown nowhere")));
        }
    }
}

/// What a workload reads is what the status shows.
async fn unwritten(testbed: &Testbed, wrong: &mut Vec<Wrong>) {
    let maps: Api<ConfigMap> = testbed.namespaces.api();
    for (name, order) in &testbed.observer.now().orders {
        let Some(to) = &order.spec.write_number_to else { continue };
        let found = maps.get_opt(&to.config_map_name).await.ok().flatten();
        let number = found.and_then(|map| map.data?.remove("e164"));
        let shown = order.status.as_ref().and_then(|status| status.phone_number.clone());
        if number != shown {
            wrong.push(Wrong::LostId(format!("{name} shows {shown:?}, and its ConfigMap {number:?}")));
        }
    }
}

/// Below the time-out of the operator's requests.
const IN_TIME: Duration = Duration::from_millis(800);

/// An outcome counts as needlessly unknown where its request never came to the provider's link and nobody
/// harmed the process that intended it, where its answer came through to an unharmed process, or where the
/// ledger had the answer before.
fn needless(testbed: &Testbed, ledger: &Ledger, harmed: bool, wrong: &mut Vec<Wrong>) {
    let passed = testbed.sent();
    for unknown in testbed.observer.unknown() {
        let (kind, name, attempt, exchange) = match &unknown {
            Unknown::Order { name, attempt } => {
                let exchange = passed.iter().find(|passed| passed.attempt.as_ref() == Some(attempt));
                ("PhoneNumberOrder", name, attempt, exchange)
            }
            Unknown::Verification { name, attempt } => {
                let exchange = passed.iter().find(|passed| passed.name.contains("verification/create"));
                ("PhoneVerification", name, attempt, exchange)
            }
            Unknown::Cancellation { name, attempt } => {
                let exchange = passed.iter().find(|passed| passed.name.contains("number/cancel"));
                ("Cancellation", name, attempt, exchange)
            }
        };
        let left = exchange.is_some();
        let delivered = exchange.is_some_and(|exchange| {
            exchange.status == Some(200) && !exchange.held && exchange.took.is_some_and(|took| took < IN_TIME)
        });
        // The other replica can't know of an answer that this one could not store yet.
        if delivered && !harmed && testbed.second.is_none() {
            wrong.push(Wrong::NeedlessUnknown(format!("the answer to {attempt} of {name} was delivered")));
        }
        if !left && !harmed {
            wrong.push(Wrong::NeedlessUnknown(format!("attempt {attempt} of {name} never left")));
        }
        let known =
            ledger.position(kind, name, attempt, &["Accepted", "Refused", "NotProcessed", "Assigned"]);
        let asked = ledger.position(kind, name, attempt, &["Unknown"]);
        match (known, asked) {
            (Some(known), Some(asked)) if known < asked => wrong
                .push(Wrong::NeedlessUnknown(format!("the answer to {attempt} of {name} was stored before"))),
            (_, None) if !ledger.is_folded(kind, name) => wrong.push(Wrong::NeedlessUnknown(format!(
                "attempt {attempt} of {name} was shown as unknown, and the ledger does not say so"
            ))),
            _ => {}
        }
    }
}

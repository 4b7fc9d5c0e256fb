//! What users do while a request is on its way, and what may not leave then (promise 25).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams,
    Preconditions,
};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_api::{PhoneNumberOrder, PhoneVerification};

use crate::status_observer::Seen;
use crate::testbed::{Testbed, order_state, verification_state};
use harness::link::{Held, Verdict};
use harness::wait;
use harness::watchdog::lock;

/// To everything that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meddling {
    /// Deleted, and re-created later.
    Delete,
    /// Suspended, and resumed later.
    Suspend,
    /// Other terms. Where they come too late, the user follows what was ordered.
    Edit,
}

impl Meddling {
    pub fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Suspend => "suspend",
            Self::Edit => "edit",
        }
    }
}

/// So long were these resources so. A request may leave for them in this time only if its intent was recorded
/// before.
pub struct Window {
    how: Meddling,
    /// Kind and name.
    resources: BTreeSet<(String, String)>,
    from: Timestamp,
    since: Instant,
    to: Option<Timestamp>,
}

/// How long a read takes meanwhile.
const SLOW: Duration = Duration::from_secs(2);
/// Time for what would leave all the same: several of the longest waits.
const QUIET: Duration = Duration::from_millis(1200);
const PATIENCE: Duration = Duration::from_secs(20);

/// The account has it.
pub const OTHER_NUMBER: &str = "+492215559999";
const OTHER_STREET: &str = "Domplatte";
const STREET: &str = "Domkloster";

const ORDER: &str = "PhoneNumberOrder";
const VERIFICATION: &str = "PhoneVerification";

/// Meddles while the request is held.
pub async fn meddle(testbed: &Testbed, how: Meddling, request: &str, held: Held) {
    let objects = match how {
        Meddling::Delete => delete_all(testbed).await,
        Meddling::Suspend => patch_all(testbed, |_| Some(json!({"spec": {"suspend": true}}))).await,
        Meddling::Edit => patch_all(testbed, other_terms).await,
    };
    let resources = objects.iter().map(|object| (kind(object), object.name_any())).collect();
    lock(&testbed.windows).push(Window {
        how,
        resources,
        from: Timestamp::now(),
        since: Instant::now(),
        to: None,
    });
    if [" GET ", " LIST ", " WATCH "].iter().any(|verb| request.contains(verb)) {
        tokio::time::sleep(SLOW).await;
    }
    let _ = held.decide(Verdict::GoOn).await;
    tokio::time::sleep(QUIET).await;
    match how {
        Meddling::Delete => {
            close(testbed, how);
            for object in objects {
                create_again(testbed, object).await;
            }
        }
        Meddling::Suspend => {
            close(testbed, how);
            patch_all(testbed, |_| Some(json!({"spec": {"suspend": false}}))).await;
        }
        Meddling::Edit => {}
    }
}

fn close(testbed: &Testbed, how: Meddling) {
    let mut windows = lock(&testbed.windows);
    for window in windows.iter_mut().filter(|window| window.how == how && window.to.is_none()) {
        window.to = Some(Timestamp::now());
    }
}

fn apis(testbed: &Testbed) -> [Api<DynamicObject>; 2] {
    [ApiResource::erase::<PhoneNumberOrder>(&()), ApiResource::erase::<PhoneVerification>(&())]
        .map(|kind| Api::namespaced_with(testbed.namespaces.client(), &testbed.namespaces.namespace, &kind))
}

fn api_of(testbed: &Testbed, object: &DynamicObject) -> Api<DynamicObject> {
    let [orders, verifications] = apis(testbed);
    if kind(object) == ORDER { orders } else { verifications }
}

fn kind(object: &DynamicObject) -> String {
    object.types.as_ref().map(|types| types.kind.clone()).unwrap_or_default()
}

async fn all(testbed: &Testbed) -> Vec<DynamicObject> {
    let mut objects = Vec::new();
    for (api, kind) in apis(testbed).into_iter().zip([ORDER, VERIFICATION]) {
        let listed = api.list(&ListParams::default()).await.map(|list| list.items).unwrap_or_default();
        objects.extend(listed.into_iter().map(|mut object| {
            // A list does not say it of each.
            object.types =
                Some(kube::api::TypeMeta { kind: kind.into(), api_version: "tenios.dev/v1alpha1".into() });
            object
        }));
    }
    objects
}

/// Deletes everything; what there was, as it was last.
async fn delete_all(testbed: &Testbed) -> Vec<DynamicObject> {
    let mut deleted = Vec::new();
    let gone = wait::poll(PATIENCE, async || {
        for object in all(testbed).await {
            // A user's edit in between is not to be lost.
            let version = object.resource_version();
            let preconditions = Some(Preconditions { resource_version: version, uid: None });
            let params = DeleteParams { preconditions, ..DeleteParams::default() };
            if api_of(testbed, &object).delete(&object.name_any(), &params).await.is_ok() {
                deleted.push(object);
            }
        }
        all(testbed).await.is_empty().then_some(())
    });
    gone.await;
    deleted
}

/// Patches what can be patched so; returns it.
async fn patch_all(testbed: &Testbed, patch: impl Fn(&DynamicObject) -> Option<Value>) -> Vec<DynamicObject> {
    let mut patched = Vec::new();
    for object in all(testbed).await {
        let Some(patch) = patch(&object) else { continue };
        let api = api_of(testbed, &object);
        if api.patch(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await.is_ok() {
            patched.push(object);
        }
    }
    patched
}

/// Where nothing is adopted, which is sent for anyway, and nothing linked, which has terms of its own.
fn other_terms(object: &DynamicObject) -> Option<Value> {
    let spec = &object.data["spec"];
    if !spec["adopt"].is_null() || !spec["linkTo"].is_null() {
        return None;
    }
    Some(if kind(object) == ORDER {
        json!({"spec": {"linkTo": {"phoneNumber": OTHER_NUMBER}}})
    } else {
        json!({"spec": {"address": {"street": OTHER_STREET}}})
    })
}

/// A namespace that was just re-created, or a user who was faster, is no reason to give up.
async fn create_again(testbed: &Testbed, object: DynamicObject) {
    let api = api_of(testbed, &object);
    let metadata = ObjectMeta { name: object.metadata.name.clone(), ..ObjectMeta::default() };
    let again = DynamicObject { types: object.types, metadata, data: json!({"spec": object.data["spec"]}) };
    wait::poll(PATIENCE, async || match api.create(&PostParams::default(), &again).await {
        Err(kube::Error::Api(status)) if status.reason != "AlreadyExists" => None,
        _ => Some(()),
    })
    .await;
}

/// The user follows a conflict: whatever was ordered, those are the terms from then on. For ever. It may be
/// shown for a moment by a view that is old, and then the next one says the opposite.
pub async fn take_back(testbed: &Testbed) {
    loop {
        let seen = testbed.observer.until(|seen| in_conflict(seen).next().is_some()).await;
        let edits = |window: &&mut Window| window.how == Meddling::Edit;
        let mut edited = false;
        for window in lock(&testbed.windows).iter_mut().filter(edits) {
            window.to.get_or_insert_with(Timestamp::now);
            edited = true;
        }
        for (patch, kind, name) in in_conflict(&seen).filter(|_| edited) {
            let _ = if kind == ORDER {
                testbed.patch_order(&name, patch).await.map(drop)
            } else {
                testbed.patch_verification(&name, patch).await.map(drop)
            };
        }
        // Time for the operator to see it.
        tokio::time::sleep(QUIET).await;
    }
}

/// What is in conflict, with the other terms of the two.
fn in_conflict(seen: &Seen) -> impl Iterator<Item = (Value, &'static str, String)> + '_ {
    let orders = seen.orders.iter().filter_map(|(name, order)| {
        let is = order_state(seen, name) == Some(OrderState::Conflict);
        let link =
            if order.spec.link_to.is_some() { Value::Null } else { json!({"phoneNumber": OTHER_NUMBER}) };
        is.then(|| (json!({"spec": {"linkTo": link}}), ORDER, name.clone()))
    });
    let verifications = seen.verifications.iter().filter_map(|(name, verification)| {
        let is = verification_state(seen, name) == Some(VerificationState::Conflict);
        let edited = verification.spec.address.street == OTHER_STREET;
        let street = if edited { STREET } else { OTHER_STREET };
        is.then(|| (json!({"spec": {"address": {"street": street}}}), VERIFICATION, name.clone()))
    });
    orders.chain(verifications)
}

/// An intent, as the ledger has it.
pub struct Intent<'a> {
    pub kind: &'a str,
    pub name: &'a str,
    pub attempt: &'a str,
    pub at: Timestamp,
}

impl<'a> Intent<'a> {
    /// From an event of the ledger.
    pub fn of(kind: &'a str, name: &'a str, event: &'a Value) -> Option<Self> {
        let at = event["at"].as_str()?.parse().ok()?;
        Some(Self { kind, name, attempt: event["attempt"].as_str()?, at })
    }
}

/// What left on a view that was not true any more when its intent was recorded.
pub fn old_views(testbed: &Testbed, intents: &[Intent<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for window in lock(&testbed.windows).iter() {
        let within = |at: Timestamp| at > window.from && window.to.is_none_or(|to| at < to);
        for intent in intents.iter().filter(|intent| within(intent.at)) {
            let of = if intent.kind == VERIFICATION { VERIFICATION } else { ORDER };
            let concerned = window.resources.contains(&(of.to_owned(), intent.name.to_owned()));
            // What an edit asks for is ordered or submitted; a cancellation names the number and nothing of it.
            let is_other = window.how == Meddling::Edit && ![ORDER, VERIFICATION].contains(&intent.kind);
            if !concerned || is_other || looked_before(testbed, intent, window.since) {
                continue;
            }
            for body in sent(testbed, intent, within) {
                let edited = body["link_to_number"] == OTHER_NUMBER || body["street"] == OTHER_STREET;
                if window.how != Meddling::Edit || !edited {
                    let Intent { kind, name, attempt, .. } = intent;
                    found
                        .push(format!("attempt {attempt} of {kind} {name} left after {}", window.how.word()));
                }
            }
        }
    }
    found
}

/// Whether the operator's last look at the resource was asked for before: then nobody can tell it from a
/// request that left just then.
fn looked_before(testbed: &Testbed, intent: &Intent<'_>, since: Instant) -> bool {
    let sent = testbed.sent().into_iter().filter(|passed| passed.attempt.as_deref() == Some(intent.attempt));
    let left = sent.map(|passed| passed.at).min();
    let look =
        if intent.kind == VERIFICATION { "GET phoneverifications #" } else { "GET phonenumberorders #" };
    let passed = testbed.apiserver.passed();
    let looks = passed.iter().filter(|passed| passed.name.contains(look));
    let last = looks.map(|passed| passed.at).filter(|at| left.is_none_or(|left| *at < left)).max();
    last.is_some_and(|last| last <= since)
}

/// The bodies that arrived for it in this time. Those of verifications name no attempt; there is one of them.
fn sent(testbed: &Testbed, intent: &Intent<'_>, within: impl Fn(Timestamp) -> bool) -> Vec<Value> {
    let path = match intent.kind {
        ORDER => "/number/order",
        VERIFICATION => "/verification/create",
        _ => "/number/cancel",
    };
    let journal = testbed.simulator.journal();
    let arrived = journal.into_iter().filter(|entry| entry.path == path && within(entry.time));
    let of = |body: &Value| {
        let attempt = body["push_url"].as_str().and_then(|url| url.rsplit('/').next());
        attempt.is_none_or(|attempt| attempt == intent.attempt)
    };
    arrived.filter_map(|entry| entry.body).filter(of).collect()
}

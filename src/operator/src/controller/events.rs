//! Kubernetes events: what a resource came to, and what a person should know of it.
//!
//! They are published one at a time and beside the reconciles, as client-go does it: in a burst of orders each would
//! otherwise hold a reconcile up, and take from the apiserver what the orders need.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::Api;
use kube::{Client, Resource};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::status::ready;
use super::{call, posting};
use tenios_api::printable::one_line;
use tenios_api::{Condition, Reason, causes};

/// Events that wait at most, as in client-go. The newest of the namespace that has most are dropped: what they tell is
/// in the status, too.
const WAITING: usize = 1000;

/// How long those that still wait are published once nothing is reconciled any more. A term has two seconds to end.
const LAST_ONES_WITHIN: Duration = Duration::from_secs(1);

/// See the module documentation.
#[derive(Default)]
pub(super) struct Events {
    queue: Mutex<Queue>,
    news: Notify,
}

/// The namespaces take turns: one that has hundreds to tell does not keep another one waiting.
#[derive(Default)]
struct Queue {
    lanes: HashMap<String, VecDeque<Waiting>>,
    /// Those that have any, the next one first.
    rota: VecDeque<String>,
    len: usize,
}

impl Queue {
    /// False where it is dropped.
    fn push(&mut self, namespace: &str, event: Waiting) -> bool {
        if self.len >= WAITING && !self.drop_for(namespace) {
            return false;
        }
        let lane = self.lanes.entry(namespace.to_owned()).or_default();
        if lane.is_empty() {
            self.rota.push_back(namespace.to_owned());
        }
        lane.push_back(event);
        self.len += 1;
        true
    }

    /// Makes room at the cost of the namespace that has most. False where it is this one.
    fn drop_for(&mut self, namespace: &str) -> bool {
        let own = self.lanes.get(namespace).map_or(0, VecDeque::len);
        let Some(longest) = self.lanes.values_mut().max_by_key(|lane| lane.len()) else { return true };
        if longest.len() <= own + 1 {
            return false;
        }
        longest.pop_back();
        self.len -= 1;
        true
    }

    fn pop(&mut self) -> Option<Waiting> {
        let namespace = self.rota.pop_front()?;
        let lane = self.lanes.get_mut(&namespace)?;
        let event = lane.pop_front();
        if lane.is_empty() {
            self.lanes.remove(&namespace);
        } else {
            self.rota.push_back(namespace);
        }
        self.len -= 1;
        event
    }
}

/// One event, as small as it can be kept.
struct Waiting {
    regarding: ObjectReference,
    at: jiff::Timestamp,
    is_warning: bool,
    reason: String,
    note: String,
}

impl Events {
    /// Tells of a resource.
    pub(super) fn normal<K: Resource<DynamicType = ()>>(&self, object: &K, reason: &str, note: &str) {
        self.push(object, false, reason, note);
    }

    /// Warns of a resource. False where too many others wait.
    pub(super) fn warning<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        reason: &str,
        note: &str,
    ) -> bool {
        self.push(object, true, reason, note)
    }

    /// Tells where the resource came to something worth telling.
    pub(super) fn transition<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        before: &[Condition],
        after: &[Condition],
    ) {
        let Some(now) = ready(after) else { return };
        if ready(before).map(|c| c.reason) == Some(now.reason) {
            return;
        }
        let is_warning = match now.reason {
            // A wait for a number is told once it has lasted.
            Reason::AwaitingApproval | Reason::Approved | Reason::NumberAssigned | Reason::Cancelled => false,
            reason if reason.stalls() || reason == Reason::BudgetExceeded => true,
            _ => return,
        };
        self.push(object, is_warning, &now.reason.to_string(), &now.message);
    }

    fn push<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        is_warning: bool,
        reason: &str,
        note: &str,
    ) -> bool {
        let meta = object.meta();
        let regarding = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(K::kind(&()).into_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        let (at, reason, note) = (jiff::Timestamp::now(), reason.to_owned(), shortened(note));
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let event = Waiting { regarding, at, is_warning, reason, note };
        let is_kept = self.queue.lock().push(namespace, event);
        if is_kept {
            self.news.notify_one();
        } else {
            tracing::debug!(%namespace, "an event is dropped: {WAITING} others wait for the apiserver");
        }
        is_kept
    }

    /// Another replica tells from now on.
    pub(super) fn clear(&self) {
        *self.queue.lock() = Queue::default();
    }

    /// Publishes what is told, until nothing more will be. It never fails.
    pub(super) async fn publish(&self, client: &Client, ended: &CancellationToken) {
        ended.run_until_cancelled(self.publish_each(client)).await;
        let last_ones = async { while self.publish_next(client).await {} };
        if tokio::time::timeout(LAST_ONES_WITHIN, last_ones).await.is_err() {
            self.clear();
        }
    }

    async fn publish_each(&self, client: &Client) {
        loop {
            while self.publish_next(client).await {}
            self.news.notified().await;
        }
    }

    /// False where none waits.
    async fn publish_next(&self, client: &Client) -> bool {
        let Some(next) = self.queue.lock().pop() else { return false };
        let namespace = next.regarding.namespace.clone().unwrap_or_default();
        let event = Event::from(next);
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        if let Err(error) = call(api.create(&posting(), &event)).await {
            let reason = event.reason.unwrap_or_default();
            tracing::warn!(error = causes(&error), reason, "an event could not be published");
        }
        true
    }
}

impl From<Waiting> for Event {
    fn from(Waiting { regarding, at, is_warning, reason, note }: Waiting) -> Self {
        Self {
            metadata: ObjectMeta {
                name: Some(event_name(regarding.name.as_deref().unwrap_or_default())),
                namespace: regarding.namespace.clone(),
                ..ObjectMeta::default()
            },
            action: Some("Reconcile".into()),
            event_time: Some(MicroTime(at)),
            note: Some(note),
            reason: Some(reason),
            regarding: Some(regarding),
            reporting_controller: Some("tenios.dev/operator".into()),
            reporting_instance: Some("tenios-operator".into()),
            type_: Some(if is_warning { "Warning" } else { "Normal" }.into()),
            ..Self::default()
        }
    }
}

/// A name of its own, that begins with the resource's. What is cut off may leave a part that ends with a sign,
/// which no part of a name may.
fn event_name(resource: &str) -> String {
    let head: String = resource.chars().take(200).collect();
    format!("{}.{}", head.trim_end_matches(['-', '.']), uuid::Uuid::new_v4().simple())
}

/// The apiserver takes notes of at most 1,024 bytes.
fn shortened(note: &str) -> String {
    let note = one_line(note);
    let end = (0..=note.len().min(1000)).rev().find(|at| note.is_char_boundary(*at)).unwrap_or(0);
    note[..end].to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{Events, WAITING, event_name};
    use tenios_api::PhoneNumberOrder;

    #[test]
    fn an_event_has_a_name_that_the_apiserver_takes_however_the_resource_is_called() {
        for resource in ["main-line".to_owned(), "a".repeat(253)].into_iter().chain(
            ["-b", ".b", "--b", "-.b"].map(|sign| format!("{}{sign}{}", "a".repeat(198), "c".repeat(50))),
        ) {
            let name = event_name(&resource);
            assert!(tenios_api::name::is_dns_subdomain(&name), "{name}");
        }
    }

    #[test]
    fn p26_events_that_the_apiserver_does_not_take_are_bounded() {
        let spec = serde_json::json!({"verificationId": "705d5302-d918-454a-b703-c9c23995726e"});
        let order = PhoneNumberOrder::new("o", serde_json::from_value(spec).unwrap());
        let events = Events::default();
        for _ in 0..WAITING + 10 {
            events.warning(&order, "Reason", &"x".repeat(5000));
        }
        let queue = events.queue.lock();
        let kept: Vec<_> = queue.lanes.values().flatten().collect();
        assert_eq!((kept.len(), queue.len), (WAITING, WAITING));
        assert!(kept.iter().all(|event| event.note.len() <= 1000));
    }

    #[test]
    fn p26_a_namespace_with_thousands_of_events_keeps_no_other_from_telling_one() {
        let spec = serde_json::json!({"verificationId": "705d5302-d918-454a-b703-c9c23995726e"});
        let order = |namespace: &str| {
            let mut order = PhoneNumberOrder::new("o", serde_json::from_value(spec.clone()).unwrap());
            order.metadata.namespace = Some(namespace.to_owned());
            order
        };
        let events = Events::default();
        let taken = (0..2 * WAITING).filter(|_| events.warning(&order("loud"), "Reason", "words")).count();
        assert_eq!(taken, WAITING, "and whoever was not taken knows it");
        assert!(events.warning(&order("quiet"), "OutcomeUnknown", "words"));
        let mut queue = events.queue.lock();
        let first_two = [queue.pop(), queue.pop()].map(|event| event.unwrap().regarding.namespace.unwrap());
        assert_eq!(first_two, ["loud", "quiet"]);
        while queue.pop().is_some() {}
        assert!(queue.lanes.is_empty() && queue.rota.is_empty() && queue.len == 0);
    }
}

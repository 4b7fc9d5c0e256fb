//! The resources of one kind as last seen. Most of them are at rest, some for years, and there may be tens of
//! thousands: each is kept packed, and unpacked when something happens to it.

use std::collections::HashMap;
use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::{Resource, ResourceExt};
use parking_lot::RwLock;

use super::kind::Reconciled;
use tenios_api::NOT_PLACED_ANNOTATION;
use tenios_ledger::compact;

/// See the module documentation.
pub(super) struct Objects<K> {
    all: RwLock<All<K>>,
}

struct All<K> {
    namespaces: HashMap<Arc<str>, HashMap<Box<str>, Kept<K>>>,
    /// Counts the full lists, so that what the newest one does not name is known to be gone.
    listing: u32,
}

struct Kept<K> {
    /// None where what the apiserver says is not a number.
    version: Option<u64>,
    listing: u32,
    /// The watch has yet to tell of the write that this is the answer to.
    awaited: bool,
    packed: Packed<K>,
}

enum Packed<K> {
    /// As compressed JSON.
    Small(Box<[u8]>),
    /// As it is: what can't be read, or packed so that it comes out the same.
    Whole(Arc<DeserializeGuard<K>>),
}

/// What most resources look like: an order with its number. The better it matches, the less is kept of each.
const DICTIONARY: &[u8] = include_bytes!("objects.dictionary");

impl<K> Default for Objects<K> {
    fn default() -> Self {
        Self { all: RwLock::new(All { namespaces: HashMap::new(), listing: 0 }) }
    }
}

/// Which stored version an object is.
fn version<K: Resource>(object: &K) -> Option<u64> {
    object.meta().resource_version.as_deref()?.parse().ok()
}

impl<K> Kept<K> {
    /// Whether `version` is older than what the answer to an own write said. Versions of one object are numbers that
    /// grow; where they are not, what comes last wins.
    fn outruns(&self, version: Option<u64>) -> bool {
        self.awaited && self.version.zip(version).is_some_and(|(kept, told)| told < kept)
    }
}

impl<K: Reconciled> Objects<K> {
    /// A full list begins.
    pub(super) fn begin_list(&self) {
        self.all.write().listing += 1;
    }

    /// Takes over one of a list, or a change. True where there is anything to look at.
    pub(super) fn take_in(&self, object: &DeserializeGuard<K>, listed: bool) -> bool {
        let (name, version, packed) = (object.name_any(), version(object), Packed::new(object));
        let mut all = self.all.write();
        let listing = all.listing;
        let here = match all.namespaces.get_mut(object.namespace().unwrap_or_default().as_str()) {
            Some(here) => here,
            None => all.namespaces.entry(object.namespace().unwrap_or_default().into()).or_default(),
        };
        if let Some(kept) = here.get_mut(name.as_str()) {
            kept.listing = listing;
            if !listed && kept.outruns(version) {
                return false;
            }
            kept.awaited = false;
            // A store that was set back gives the same versions once more, to what may be something else.
            if version.is_some() && kept.version == version && kept.packed.is_same_as(&packed) {
                return false;
            }
        }
        here.insert(name.into_boxed_str(), Kept { version, listing, awaited: false, packed });
        true
    }

    /// Takes over the answer to a write that was decided on `seen`, before the watch tells of it. True where somebody
    /// else changed what decisions are made on meanwhile.
    pub(super) fn wrote(&self, seen: &DeserializeGuard<K>, answer: &DeserializeGuard<K>) -> bool {
        let told = version(answer);
        let mut all = self.all.write();
        let here = all.namespaces.get_mut(answer.namespace().unwrap_or_default().as_str());
        if let (Some(kept), Some(told)) =
            (here.and_then(|here| here.get_mut(answer.name_any().as_str())), told)
            && kept.version.is_some_and(|kept| kept < told)
        {
            (kept.version, kept.awaited, kept.packed) = (Some(told), true, Packed::new(answer));
        }
        decisive(seen) != decisive(answer)
    }

    /// The list is complete: what it does not name is gone. The namespaces and names of that.
    pub(super) fn end_list(&self) -> Vec<(String, String)> {
        let mut all = self.all.write();
        let (listing, mut gone) = (all.listing, Vec::new());
        all.namespaces.retain(|namespace, here| {
            here.retain(|name, kept| {
                let is_there = kept.listing == listing;
                if !is_there {
                    gone.push((namespace.to_string(), name.to_string()));
                }
                is_there
            });
            !here.is_empty()
        });
        gone
    }

    pub(super) fn remove(&self, namespace: &str, name: &str) {
        let mut all = self.all.write();
        if let Some(here) = all.namespaces.get_mut(namespace) {
            here.remove(name);
            if here.is_empty() {
                all.namespaces.remove(namespace);
            }
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        let all = self.all.read();
        Some(match &all.namespaces.get(namespace)?.get(name)?.packed {
            #[allow(clippy::expect_used, reason = "it came out the same when it was packed")]
            Packed::Small(small) => Arc::new(DeserializeGuard(Ok(
                unpack(small).expect("a resource is unpacked as it was packed")
            ))),
            Packed::Whole(object) => object.clone(),
        })
    }

    pub(super) fn holds(&self, namespace: &str, name: &str) -> bool {
        self.all.read().namespaces.get(namespace).is_some_and(|here| here.contains_key(name))
    }

    pub(super) fn names(&self, namespace: &str) -> Vec<String> {
        let all = self.all.read();
        all.namespaces.get(namespace).into_iter().flat_map(HashMap::keys).map(ToString::to_string).collect()
    }

    pub(super) fn namespaces(&self) -> Vec<String> {
        self.all.read().namespaces.keys().map(ToString::to_string).collect()
    }
}

/// What of an object is decided on, but for its status.
fn decisive<K: Reconciled>(object: &DeserializeGuard<K>) -> impl PartialEq {
    let meta = object.meta();
    let annotation = object.annotations().get(NOT_PLACED_ANNOTATION).cloned();
    (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some(), annotation, object.0.is_ok())
}

impl<K: Reconciled> Packed<K> {
    fn new(object: &DeserializeGuard<K>) -> Self {
        let resource = object.0.as_ref().ok();
        let small = resource.and_then(|resource| Some((resource, pack(resource)?)));
        match small.filter(|(resource, small)| unpack(small).as_ref() == Some(*resource)) {
            Some((_, small)) => Self::Small(small),
            None => Self::Whole(Arc::new(object.clone())),
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Small(one), Self::Small(other)) => one == other,
            (Self::Whole(one), Self::Whole(other)) => match (&one.0, &other.0) {
                (Ok(one), Ok(other)) => one == other,
                (Err(one), Err(other)) => one.error == other.error && one.metadata == other.metadata,
                _ => false,
            },
            _ => false,
        }
    }
}

fn pack<K: Reconciled>(resource: &K) -> Option<Box<[u8]>> {
    Some(compact::pack(&serde_json::to_vec(resource).ok()?, DICTIONARY))
}

fn unpack<K: Reconciled>(small: &[u8]) -> Option<K> {
    serde_json::from_slice(&compact::unpack(small, DICTIONARY)?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use kube::core::DeserializeGuard;
    use serde_json::{Value, json};

    use super::{Objects, Packed};
    use tenios_api::PhoneNumberOrder;

    type Order = DeserializeGuard<PhoneNumberOrder>;

    fn order(name: &str, version: u64, change: impl FnOnce(&mut Value)) -> Order {
        let mut order = json!({
            "metadata": {"name": name, "namespace": "shop", "uid": "u", "resourceVersion": version.to_string(), "generation": 1},
            "spec": {"verificationId": "705d5302-d918-454a-b703-c9c23995726e"},
        });
        change(&mut order);
        serde_json::from_value(order).unwrap()
    }

    fn plain(name: &str, version: u64) -> Order {
        order(name, version, |_| {})
    }

    fn shown(version: u64, state: &str) -> Order {
        order("o", version, |order| order["status"] = json!({"state": state, "conditions": []}))
    }

    fn state(objects: &Objects<PhoneNumberOrder>) -> String {
        let order = objects.get("shop", "o").unwrap();
        let status = order.0.as_ref().unwrap().status.clone().unwrap_or_default();
        format!("{:?}", status.state)
    }

    #[test]
    fn p08_the_answer_to_an_own_write_is_not_undone_by_the_watch_that_lags_behind_it() {
        let objects = Objects::default();
        assert!(objects.take_in(&plain("o", 7), true));
        assert!(!objects.wrote(&plain("o", 7), &shown(9, "AwaitingNumber")));
        assert!(!objects.take_in(&shown(8, "Ordering"), false), "it is older");
        assert_eq!(state(&objects), "Some(AwaitingNumber)");
        assert!(!objects.take_in(&shown(9, "AwaitingNumber"), false), "it is known");
        assert!(objects.take_in(&shown(10, "Assigned"), false));
        assert!(!objects.wrote(&plain("o", 7), &shown(9, "AwaitingNumber")), "the watch was faster");
        assert_eq!(state(&objects), "Some(Assigned)");
        // A store that was set back counts from less on.
        assert!(objects.take_in(&shown(3, "Waiting"), false));
        assert_eq!(state(&objects), "Some(Waiting)");
    }

    #[test]
    fn p08_p25_what_somebody_else_changed_before_an_own_write_is_looked_at() {
        let objects = Objects::default();
        objects.take_in(&plain("o", 7), true);
        let edited = |generation: u32| order("o", 9, |o| o["metadata"]["generation"] = json!(generation));
        assert!(objects.wrote(&plain("o", 7), &edited(2)));
        let deleted = order("o", 9, |o| o["metadata"]["deletionTimestamp"] = json!("2026-11-26T00:00:00Z"));
        assert!(objects.wrote(&plain("o", 7), &deleted));
        let told = order("o", 9, |o| o["metadata"]["annotations"] = json!({"tenios.dev/not-placed": "a"}));
        assert!(objects.wrote(&plain("o", 7), &told));
        assert!(!objects.wrote(&plain("o", 7), &edited(1)));
    }

    #[test]
    fn what_a_full_list_does_not_name_is_gone_and_what_it_names_again_is_no_news() {
        let objects = Objects::default();
        for name in ["stays", "goes"] {
            assert!(objects.take_in(&plain(name, 7), true));
        }
        objects.begin_list();
        assert!(!objects.take_in(&plain("stays", 7), true));
        objects.end_list();
        assert_eq!(
            (objects.names("shop"), objects.namespaces()),
            (vec!["stays".into()], vec!["shop".into()])
        );
        assert!(objects.holds("shop", "stays") && !objects.holds("shop", "goes"));
        objects.remove("shop", "stays");
        assert!(objects.namespaces().is_empty());
    }

    #[test]
    fn p08_p25_a_store_that_was_set_back_and_written_anew_up_to_the_same_version_is_looked_at() {
        let objects = Objects::default();
        let suspended = order("o", 7, |order| order["spec"]["suspend"] = json!(true));
        let [unreadable, other] =
            [json!(7), json!(true)].map(|wrong| order("o", 7, |order| order["spec"]["suspend"] = wrong));
        objects.take_in(&plain("o", 7), true);
        for now in [suspended, unreadable, other, shown(7, "Waiting"), plain("o", 7)] {
            objects.begin_list();
            assert!(objects.take_in(&now, true), "{now:?}");
            objects.end_list();
            assert!(!objects.take_in(&now, true) && !objects.take_in(&now, false), "{now:?}");
        }
    }

    #[test]
    fn p23_a_resource_comes_out_as_it_was_and_one_that_cannot_be_read_too() {
        let objects = Objects::default();
        let whole = order("o", 7, |order| {
            order["spec"]["linkTo"] = json!({"orderRef": {"name": "main-line"}});
            order["status"] =
                json!({"state": "LaterVersion", "requests": 3, "orderId": "Stra\u{df}e", "conditions": []});
        });
        objects.take_in(&whole, true);
        assert_eq!(objects.get("shop", "o").unwrap().0.as_ref().unwrap(), whole.0.as_ref().unwrap());
        objects.take_in(&order("bad", 7, |order| order["spec"] = json!(7)), true);
        assert!(objects.get("shop", "bad").unwrap().0.is_err());
    }

    #[test]
    fn what_a_finished_order_takes_is_bounded() {
        let conditions = ["Ready", "Ordered", "Assigned"].map(|type_| json!({
            "type": type_, "status": "True", "reason": "NumberAssigned", "message": "number +4922110000024 is assigned",
            "lastTransitionTime": "2026-11-26T18:11:45Z", "observedGeneration": 1,
        }));
        let finished = order("o", 7, |order| {
            order["status"] = json!({
                "observedGeneration": 1, "state": "Assigned", "requests": 1, "attempt": "a38ce47e042608b007af2b5dd76e800f",
                "verificationId": "705d5302-d918-454a-b703-c9c23995726e", "orderId": "300024", "phoneNumber": "+4922110000024",
                "orderedTime": "2026-11-26T18:11:44.1Z", "assignedTime": "2026-11-26T18:11:45.2Z", "conditions": conditions,
            });
        });
        let Packed::Small(small) = Packed::new(&finished) else { panic!("it is not packed") };
        assert!(small.len() < 350, "{} bytes", small.len());
    }
}

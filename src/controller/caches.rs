//! The watched resources, a store for each watched namespace.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use parking_lot::RwLock;

use super::listing::Listing;
use crate::api::{PhoneNumberOrder, PhoneVerification};
use crate::ledger::{Key, Kind};

/// A resource as stored, readable or not.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// One watched namespace; all of them where there is no name.
///
/// `Store::wait_until_ready` is not used: it remembers one waker only, so of two who wait (and a probe
/// that merely asks counts) one is never woken (kube-runtime 5.0, `utils/delayed_init.rs`; seen as a
/// reconcile that hung for ever).
pub(super) struct Watched {
    pub(super) namespace: Option<String>,
    pub(super) verifications: Store<Guarded<PhoneVerification>>,
    pub(super) orders: Store<Guarded<PhoneNumberOrder>>,
    /// Of both kinds.
    pub(super) resources: [Arc<Listing>; 2],
    /// Of the Leases that say whose a namespace is.
    pub(super) leases: Arc<Listing>,
}

impl Watched {
    fn is_missing(&self) -> bool {
        self.resources.iter().any(|listing| listing.is_missing())
    }
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Caches(RwLock<Vec<Watched>>);

impl Caches {
    /// Each term of leadership begins with empty stores.
    pub(super) fn set(&self, watched: Vec<Watched>) {
        *self.0.write() = watched;
    }

    fn of<T>(&self, namespace: &str, get: impl FnOnce(&Watched) -> Option<T>) -> Option<T> {
        let all = self.0.read();
        get(all.iter().find(|w| w.namespace.as_deref().is_none_or(|n| n == namespace))?)
    }

    pub(super) fn verification(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Guarded<PhoneVerification>>> {
        self.of(namespace, |w| w.verifications.get(&ObjectRef::new(name).within(namespace)))
    }

    pub(super) fn order(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<PhoneNumberOrder>>> {
        self.of(namespace, |w| w.orders.get(&ObjectRef::new(name).within(namespace)))
    }

    /// Whether this resource exists, as far as the watches know.
    pub(super) fn holds(&self, key: &Key) -> bool {
        match key.kind {
            Kind::Verification => self.verification(&key.namespace, &key.name).is_some(),
            Kind::Order => self.order(&key.namespace, &key.name).is_some(),
        }
    }

    /// Whether it is known that this resource does not exist: what is not watched or not listed may.
    pub(super) fn knows_it_is_gone(&self, key: &Key) -> bool {
        let listed = self.of(&key.namespace, |w| Some(w.resources.iter().all(|listing| listing.is_listed())));
        listed == Some(true) && !self.holds(key)
    }

    /// The resources of a namespace.
    pub(super) fn keys(&self, namespace: &str) -> Vec<Key> {
        let keys = self.of(namespace, |w| {
            let mut keys = names(&w.verifications, Kind::Verification, namespace);
            keys.extend(names(&w.orders, Kind::Order, namespace));
            Some(keys)
        });
        keys.unwrap_or_default()
    }

    /// Waits until both kinds of this namespace were listed once: a reference that is merely not listed yet
    /// must not look like one to nothing. References do not leave the namespace, so that no other one is
    /// waited for.
    pub(super) async fn listed(&self, namespace: &str) {
        let resources = self.of(namespace, |w| Some(w.resources.clone()));
        for listing in resources.into_iter().flatten() {
            listing.listed().await;
        }
    }

    /// Whether it is known by watch whose this namespace is.
    pub(super) fn know_the_owner(&self, namespace: &str) -> bool {
        self.of(namespace, |w| Some(w.leases.is_listed())).unwrap_or_default()
    }

    /// Whether each was listed, or is known not to be possible now. A pod that waits for one namespace would
    /// take no pushes for the others.
    pub(super) fn were_tried(&self) -> bool {
        let all = self.0.read();
        !all.is_empty() && all.iter().flat_map(|w| &w.resources).all(|listing| listing.was_tried())
    }

    /// How many of the watched namespaces can't be listed or watched now.
    pub(super) fn missing(&self) -> usize {
        let all = self.0.read();
        all.iter().filter(|watched| watched.is_missing()).count()
    }
}

fn names<K>(store: &Store<Guarded<K>>, kind: Kind, namespace: &str) -> Vec<Key>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let state = store.state();
    let here = state.iter().filter(|object| object.meta().namespace.as_deref() == Some(namespace));
    here.map(|object| Key { kind, namespace: namespace.to_owned(), name: object.name_any() }).collect()
}

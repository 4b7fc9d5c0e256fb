//! The watched resources, a store for each watched namespace.

use std::any::Any;
use std::sync::Arc;

use kube::core::DeserializeGuard;
use parking_lot::RwLock;

use super::kind::Reconciled;
use super::listing::Listing;
use super::objects::Objects;
use tenios_ledger::{Key, Kind};

/// One watched namespace; all of them where there is no name.
pub(super) struct NamespaceStores {
    pub(super) namespace: Option<String>,
    pub(super) kinds: Vec<Box<dyn Resources>>,
    /// Of the Leases that say whose a namespace is.
    pub(super) leases: Arc<Listing>,
}

impl NamespaceStores {
    fn listings(&self) -> impl Iterator<Item = &Arc<Listing>> {
        self.kinds.iter().map(|kind| kind.listing())
    }
}

/// The resources of one kind.
pub(super) struct KindStore<K: Reconciled> {
    pub(super) objects: Arc<Objects<K>>,
    pub(super) listing: Arc<Listing>,
}

/// The same, whatever the kind.
pub(super) trait Resources: Any + Send + Sync {
    fn kind(&self) -> Kind;
    fn listing(&self) -> &Arc<Listing>;
    fn holds(&self, key: &Key) -> bool;
    /// Those of a namespace.
    fn keys(&self, namespace: &str) -> Vec<Key>;
}

impl<K: Reconciled> Resources for KindStore<K> {
    fn kind(&self) -> Kind {
        K::KIND
    }

    fn listing(&self) -> &Arc<Listing> {
        &self.listing
    }

    fn holds(&self, key: &Key) -> bool {
        self.objects.holds(&key.namespace, &key.name)
    }

    fn keys(&self, namespace: &str) -> Vec<Key> {
        let key = |name| Key { kind: K::KIND, namespace: namespace.to_owned(), name };
        self.objects.names(namespace).into_iter().map(key).collect()
    }
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Stores(RwLock<Vec<NamespaceStores>>);

impl Stores {
    /// Each term of leadership begins with empty stores.
    pub(super) fn set(&self, watched: Vec<NamespaceStores>) {
        *self.0.write() = watched;
    }

    fn of<T>(&self, namespace: &str, get: impl FnOnce(&NamespaceStores) -> Option<T>) -> Option<T> {
        let all = self.0.read();
        get(all.iter().find(|w| w.namespace.as_deref().is_none_or(|n| n == namespace))?)
    }

    fn objects<K: Reconciled>(&self, namespace: &str) -> Option<Arc<Objects<K>>> {
        self.of(namespace, |w| {
            let mut kinds = w.kinds.iter().map(|kind| &**kind as &dyn Any);
            Some(kinds.find_map(|kind| kind.downcast_ref::<KindStore<K>>())?.objects.clone())
        })
    }

    pub(super) fn get<K: Reconciled>(&self, namespace: &str, name: &str) -> Option<Arc<DeserializeGuard<K>>> {
        self.objects(namespace)?.get(namespace, name)
    }

    /// [`Objects::wrote`]
    pub(super) fn wrote<K: Reconciled>(
        &self,
        namespace: &str,
        seen: &DeserializeGuard<K>,
        answer: &DeserializeGuard<K>,
    ) -> bool {
        self.objects(namespace).is_some_and(|objects| objects.wrote(seen, answer))
    }

    /// Whether this resource exists, as far as the watches know.
    pub(super) fn holds(&self, key: &Key) -> bool {
        let holds =
            |w: &NamespaceStores| Some(w.kinds.iter().any(|kind| kind.kind() == key.kind && kind.holds(key)));
        self.of(&key.namespace, holds).unwrap_or_default()
    }

    /// Whether it is known that this resource does not exist: what is not watched or not listed may.
    pub(super) fn knows_it_is_gone(&self, key: &Key) -> bool {
        let listed = self.of(&key.namespace, |w| Some(w.listings().all(|listing| listing.is_listed())));
        listed == Some(true) && !self.holds(key)
    }

    /// The resources of a namespace.
    pub(super) fn keys(&self, namespace: &str) -> Vec<Key> {
        let keys = |w: &NamespaceStores| Some(w.kinds.iter().flat_map(|kind| kind.keys(namespace)).collect());
        self.of(namespace, keys).unwrap_or_default()
    }

    /// Waits until every kind of this namespace was listed once: a reference that is merely not listed yet
    /// must not look like one to nothing. References do not leave the namespace, so that no other one is
    /// waited for.
    pub(super) async fn listed(&self, namespace: &str) {
        let listings: Option<Vec<_>> = self.of(namespace, |w| Some(w.listings().cloned().collect()));
        for listing in listings.into_iter().flatten() {
            listing.listed().await;
        }
    }

    /// Whether it is known by watch whose this namespace is.
    pub(super) fn know_the_owner(&self, namespace: &str) -> bool {
        self.of(namespace, |w| Some(w.leases.is_listed())).unwrap_or_default()
    }

    /// Whether a watch would tell now that this namespace went to somebody else.
    pub(super) fn would_hear_of_another_owner(&self, namespace: &str) -> bool {
        let hears = |w: &NamespaceStores| Some(w.leases.is_listed() && !w.leases.is_missing());
        self.of(namespace, hears).unwrap_or_default()
    }

    /// Whether each was listed, or is known not to be possible now. A pod that waits for one namespace would
    /// take no pushes for the others.
    pub(super) fn were_tried(&self) -> bool {
        let all = self.0.read();
        !all.is_empty() && all.iter().flat_map(NamespaceStores::listings).all(|listing| listing.was_tried())
    }

    /// How many of the watched namespaces can't be listed or watched now.
    pub(super) fn missing(&self) -> usize {
        let all = self.0.read();
        all.iter().filter(|w| w.listings().any(|listing| listing.is_missing())).count()
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher;

    use super::super::listing::Watching;
    use super::{Arc, Listing, NamespaceStores, Stores};

    #[test]
    fn p13_a_watch_of_the_leases_that_broke_tells_nothing_of_another_owner() {
        let (stores, leases) = (Stores::default(), Arc::new(Listing::new(Watching::Leases, None)));
        assert!(!stores.would_hear_of_another_owner("shop"));
        stores.set(vec![NamespaceStores { namespace: None, kinds: Vec::new(), leases: leases.clone() }]);
        assert!(!stores.would_hear_of_another_owner("shop"), "it was not listed yet");
        leases.complete();
        assert!(stores.would_hear_of_another_owner("shop"));
        leases.failed(&watcher::Error::NoResourceVersion);
        assert!(!stores.would_hear_of_another_owner("shop") && stores.know_the_owner("shop"));
        leases.complete();
        assert!(stores.would_hear_of_another_owner("shop"));
    }
}

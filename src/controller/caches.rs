//! The watched resources, a store for each watched namespace.

use std::sync::{Arc, PoisonError, RwLock};

use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};
use tokio::sync::watch;

use crate::api::{PhoneNumberOrder, PhoneVerification};

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
    /// Whether each kind was listed once.
    pub(super) listed: [watch::Receiver<bool>; 2],
}

/// See the module documentation.
#[derive(Default)]
pub(super) struct Caches(RwLock<Vec<Watched>>);

impl Caches {
    /// Each term of leadership begins with empty stores.
    pub(super) fn set(&self, watched: Vec<Watched>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = watched;
    }

    fn of<T>(&self, namespace: &str, get: impl FnOnce(&Watched) -> Option<T>) -> Option<T> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
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

    /// Waits until every store was filled once: a reference that is merely not listed yet must not look
    /// like one to nothing.
    pub(super) async fn listed(&self) {
        let all: Vec<_> = {
            let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
            all.iter().flat_map(|w| w.listed.clone()).collect()
        };
        for mut listed in all {
            let _ = listed.wait_for(|listed| *listed).await;
        }
    }

    /// Whether every store was filled once.
    pub(super) fn are_listed(&self) -> bool {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !all.is_empty() && all.iter().flat_map(|w| &w.listed).all(|listed| *listed.borrow())
    }
}

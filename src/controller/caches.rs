//! The watched resources, a store for each watched namespace.

use std::sync::{Arc, PoisonError, RwLock};

use kube::core::DeserializeGuard;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::api::{PhoneNumberOrder, PhoneVerification};

/// A resource as stored, readable or not.
pub(super) type Guarded<K> = DeserializeGuard<K>;

/// One watched namespace; all of them where there is no name.
pub(super) struct Watched {
    pub(super) namespace: Option<String>,
    pub(super) verifications: Store<Guarded<PhoneVerification>>,
    pub(super) orders: Store<Guarded<PhoneNumberOrder>>,
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
            all.iter().map(|w| (w.verifications.clone(), w.orders.clone())).collect()
        };
        for (verifications, orders) in all {
            let _ = tokio::join!(verifications.wait_until_ready(), orders.wait_until_ready());
        }
    }

    /// Whether every store was filled once.
    pub(super) fn are_listed(&self) -> bool {
        use futures::FutureExt;
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        !all.is_empty()
            && all.iter().all(|w| {
                w.verifications.wait_until_ready().now_or_never().is_some()
                    && w.orders.wait_until_ready().now_or_never().is_some()
            })
    }
}

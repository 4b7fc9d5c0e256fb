//! The watched resources, a store for each watched namespace.

use std::sync::{Arc, OnceLock};

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
pub(super) struct Caches(OnceLock<Vec<Watched>>);

impl Caches {
    pub(super) fn set(&self, watched: Vec<Watched>) {
        let _ = self.0.set(watched);
    }

    fn of(&self, namespace: &str) -> Option<&Watched> {
        self.0.get()?.iter().find(|w| w.namespace.as_deref().is_none_or(|n| n == namespace))
    }

    pub(super) fn verification(
        &self,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Guarded<PhoneVerification>>> {
        self.of(namespace)?.verifications.get(&ObjectRef::new(name).within(namespace))
    }

    pub(super) fn order(&self, namespace: &str, name: &str) -> Option<Arc<Guarded<PhoneNumberOrder>>> {
        self.of(namespace)?.orders.get(&ObjectRef::new(name).within(namespace))
    }

    /// Whether every store was filled once.
    pub(super) fn are_listed(&self) -> bool {
        use futures::FutureExt;
        self.0.get().is_some_and(|all| {
            all.iter().all(|w| {
                w.verifications.wait_until_ready().now_or_never().is_some()
                    && w.orders.wait_until_ready().now_or_never().is_some()
            })
        })
    }
}

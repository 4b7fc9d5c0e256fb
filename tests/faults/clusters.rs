//! Two clusters on one ledger: the same manifests in both, at the same time, or in one after the other was lost. Faults
//! meet the operator of the one; people look at the other one, and what happens there is copied to the first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::ResourceExt;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde::Serialize;
use serde_json::{Value, json};
use tenios_api::{NOT_PLACED_ANNOTATION, PhoneNumberOrder, PhoneVerification};
use tokio::sync::OnceCell;

use crate::judge::Wrong;
use crate::nemesis::{Action, Fault};
use crate::run::Case;
use crate::scenarios::{self, End};
use crate::status_observer::{Seen, StatusObserver};
use crate::testbed::Testbed;
use crate::topology::Topology;
use harness::link::Storm;
use harness::{ControlPlane, Link, TestNamespaces, wait};

/// A number is looked for in the store after 5 s, 10 s and 20 s.
const UNTIL_SHOWN: Duration = Duration::from_secs(45);

/// How soon a change is copied.
const COPIED: Duration = Duration::from_millis(50);

/// The cluster whose operator the faults meet.
pub struct Twin {
    pub namespaces: TestNamespaces,
    pub observer: StatusObserver,
    /// The other operator's way to the store, on which no fault happens.
    pub store: Link,
    /// Whether it is lost for good.
    lost: AtomicBool,
}

impl Twin {
    /// The same namespaces on a control plane that all runs share.
    pub async fn of(namespaces: &TestNamespaces, store: Link) -> Self {
        static OTHER: OnceCell<Arc<ControlPlane>> = OnceCell::const_new();
        let start = async || Arc::new(ControlPlane::start().await.expect("another control plane"));
        let namespaces = namespaces.twin(OTHER.get_or_init(start).await.clone()).await;
        let observer = StatusObserver::open(&namespaces.client(), &namespaces.namespace);
        Self { namespaces, observer, store, lost: AtomicBool::new(false) }
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    pub fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    /// The same object there, unless it is there.
    pub async fn create<K>(&self, object: &K)
    where
        K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Serialize
            + serde::de::DeserializeOwned
            + std::fmt::Debug,
    {
        let api: Api<K> = self.namespaces.api();
        let _ = api.create(&PostParams::default(), object).await;
    }

    /// Waits for the named end there, unless the cluster is lost.
    pub async fn reaches(&self, end: &End) {
        while !self.is_lost() {
            let reached = self.observer.until(|seen| end.is_reached(seen));
            if tokio::time::timeout(COPIED, reached).await.is_ok() {
                return;
            }
        }
    }
}

/// Brings the same manifests to the other cluster, as a tool does that both follow. For ever.
pub async fn copy(testbed: &Testbed) {
    let Some(twin) = &testbed.twin else { return std::future::pending().await };
    let mut copied = BTreeMap::new();
    loop {
        let wanted = manifests(&testbed.observer.now());
        for (key, manifest) in &wanted {
            if copied.get(key) != Some(manifest) && apply(twin, key, manifest).await {
                copied.insert(key.clone(), manifest.clone());
            }
        }
        let gone: Vec<Named> = copied.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
        for key in gone {
            let _ = api(twin, key.0).delete(&key.1, &DeleteParams::default()).await;
            copied.remove(&key);
        }
        tokio::time::sleep(COPIED).await;
    }
}

type Named = (&'static str, String);

const ORDER: &str = "PhoneNumberOrder";
const VERIFICATION: &str = "PhoneVerification";

fn manifests(seen: &Seen) -> BTreeMap<Named, Value> {
    let manifest = |kind: &str, name: &str, word: Option<&String>, spec: Value| {
        let annotations = word.map(|word| json!({NOT_PLACED_ANNOTATION: word}));
        json!({
            "apiVersion": "tenios.dev/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {"name": name, "annotations": annotations},
        })
    };
    let orders = seen.orders.iter().map(|(name, order)| {
        let word = order.annotations().get(NOT_PLACED_ANNOTATION);
        ((ORDER, name.clone()), manifest(ORDER, name, word, json!(order.spec)))
    });
    let verifications = seen.verifications.iter().map(|(name, verification)| {
        let word = verification.annotations().get(NOT_PLACED_ANNOTATION);
        ((VERIFICATION, name.clone()), manifest(VERIFICATION, name, word, json!(verification.spec)))
    });
    orders.chain(verifications).collect()
}

fn api(twin: &Twin, kind: &str) -> Api<DynamicObject> {
    let resource = if kind == ORDER {
        ApiResource::erase::<PhoneNumberOrder>(&())
    } else {
        ApiResource::erase::<PhoneVerification>(&())
    };
    Api::namespaced_with(twin.namespaces.client(), &twin.namespaces.namespace, &resource)
}

async fn apply(twin: &Twin, (kind, name): &Named, manifest: &Value) -> bool {
    let params = PatchParams::apply("copied").force();
    api(twin, kind).patch(name, &params, &Patch::Apply(manifest)).await.is_ok()
}

/// Both clusters show the same in the end, unless one is lost.
pub async fn judge(testbed: &Testbed, wrong: &mut Vec<Wrong>) {
    let Some(twin) = testbed.twin.as_ref().filter(|twin| !twin.is_lost()) else { return };
    let mut differences = Vec::new();
    wait::poll(UNTIL_SHOWN, async || {
        differences = compare(&testbed.observer.now(), &twin.observer.now());
        differences.is_empty().then_some(())
    })
    .await;
    wrong.extend(differences.into_iter().map(Wrong::LostId));
}

fn compare(here: &Seen, there: &Seen) -> Vec<String> {
    let mut differences = Vec::new();
    let ids = |order: &PhoneNumberOrder| {
        let status = order.status.clone().unwrap_or_default();
        (status.order_id, status.phone_number, status.cancellation_date)
    };
    for (name, order) in &here.orders {
        let (shown, there) = (ids(order), there.orders.get(name).map(ids));
        if there.as_ref() != Some(&shown) {
            differences.push(format!("{name} has {shown:?} in one cluster, {there:?} in the other"));
        }
    }
    differences
}

const SCENARIOS: [&str; 2] = ["early-push", "cancel"];

/// Around the request that costs money.
const REQUESTS: [&str; 7] = [
    "store LIST entries/pno #1",
    "store PUT entries/pno #1",
    "store LIST entries/pno #2",
    "apiserver POST ledgerentries #1",
    "provider POST number/order #1",
    "store PUT entries/pno #2",
    "store PUT entries/pno #3",
];

const ACTIONS: [Action; 11] = [
    Action::DropBefore,
    Action::DropAnswer,
    Action::ErrorAfter,
    Action::Late,
    Action::ConflictBefore,
    Action::ExistsAfter,
    Action::KillAfter,
    Action::KillForGood,
    Action::StopBefore,
    Action::StopAfter,
    Action::Storm(Storm::Away),
];

/// All of them.
pub fn cells() -> Vec<Case> {
    let scenarios = || scenarios::ALL.into_iter().filter(|scenario| SCENARIOS.contains(&scenario.name));
    let faults = |actions: &'static [Action]| {
        let faults =
            REQUESTS.iter().flat_map(move |request| actions.iter().map(move |action| (*request, *action)));
        let faults = faults.filter(|(request, action)| action.suits(request));
        let faults = faults.map(|(request, action)| Fault { request: request.to_owned(), action });
        faults.map(Some).chain([None])
    };
    let shared = scenarios().flat_map(|scenario| {
        faults(&ACTIONS).map(move |fault| Case { scenario, topology: Topology::Clusters, fault })
    });
    // Of a cluster that is gone nobody reads a status, as the other scenario does.
    let moved = scenarios().filter(|scenario| scenario.name == "early-push").flat_map(|scenario| {
        faults(&[Action::KillForGood]).map(move |fault| Case { scenario, topology: Topology::Moved, fault })
    });
    shared.chain(moved).collect()
}

//! The last look before an intent. What was decided on may be gone, suspended or edited by now: Secrets, a turn and
//! a Lease were waited for, and a watch lags behind. Measured under Argo CD: orders that were deleted at 768 ms were
//! sent from 872 ms on, because their verification was approved at 799 ms by the same commit.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::{Failed, call};
use tenios_lifecycle::StatusSummary;

/// Times that one reconcile decides: a resource or an entry that somebody else changes all the time must not hold it
/// for ever.
const ROUNDS: u32 = 32;

/// How often one reconcile decided.
#[derive(Default)]
pub(super) struct Rounds(u32);

impl Rounds {
    /// Whether it may decide once more.
    pub(super) fn another(&mut self) -> bool {
        self.0 += 1;
        self.0 <= ROUNDS
    }
}

/// How the rounds on one state of a resource end.
pub(super) enum Ended<K, S> {
    /// It rests.
    Rests(StatusSummary<S>),
    /// It is another one by now, on which has to be decided.
    Changed(Arc<DeserializeGuard<K>>),
    /// It is gone, and there is nothing to show.
    Gone,
}

/// The resource as it is by now; none where it is gone. Without a resource version the apiserver reads from a quorum
/// of etcd, so that the answer is not older than the question.
pub(super) async fn once_more<K>(
    client: &Client,
    seen: &DeserializeGuard<K>,
) -> Result<Option<Arc<DeserializeGuard<K>>>, Failed>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned + Clone + Debug,
{
    let namespace = seen.namespace().unwrap_or_default();
    let api: Api<DeserializeGuard<K>> = Api::namespaced(client.clone(), &namespace);
    Ok(call(api.get_opt(&seen.name_any())).await?.map(Arc::new))
}

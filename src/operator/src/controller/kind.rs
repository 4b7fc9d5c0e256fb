//! What a kind has to be for the operator to look after it.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::object::{HasSpec, HasStatus};
use serde::Serialize;
use serde::de::DeserializeOwned;

use tenios_api::{PhoneNumberOrder, PhoneVerification};
use tenios_lifecycle::{Asks, Managed};

/// A kind that the operator looks after.
pub(super) trait Reconciled:
    Managed<Spec: Sync, Status: DeserializeOwned + Serialize + Send + Sync, Step: Send + Sync>
    + HasSpec<Spec = <Self as Asks>::Spec>
    + HasStatus<Status = <Self as Asks>::Status>
    + Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + PartialEq
    + Serialize
    + Send
    + Sync
    + 'static
{
}

impl Reconciled for PhoneVerification {}
impl Reconciled for PhoneNumberOrder {}

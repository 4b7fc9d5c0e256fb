//! A place of its own for each test on a shared control plane.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, PostParams};
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::shipped_manifests::OPERATOR;
use super::{
    ControlPlane, Identity, Kubectl, Mark, Operator, OperatorOptions, Request, Requests, checkout, wait,
};

/// How long the operator has to ask for nothing until it counts as quiet: several times the tests' longest
/// retry, and longer than it waits until it tells that a number takes its time.
const QUIET: Duration = Duration::from_millis(3500);
/// The longest that anything takes until it is quiet, on a machine that is busy otherwise.
const UNTIL_QUIET: Duration = Duration::from_secs(60);

/// A namespace for the tenant and one for the operator, which has the shipped rules there and
/// nothing else.
pub struct TestNamespaces {
    /// Where it runs.
    pub control_plane: Arc<ControlPlane>,
    /// The tenant's namespace.
    pub namespace: String,
    /// The operator's own: ledger, lease, `ServiceAccount`.
    pub operator_namespace: String,
    client: Client,
}

impl TestNamespaces {
    /// On the shared control plane; the name (lower case, at most 30 letters) is for people who
    /// read logs.
    pub async fn new(name: &str) -> Self {
        Self::on(ControlPlane::shared().await, name).await
    }

    /// On a control plane of the test's own, which it may harm.
    pub async fn on(control_plane: Arc<ControlPlane>, name: &str) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        let namespace = format!("t-{name}-{}", &random[..8]);
        let operator_namespace = format!("{namespace}-op");
        let client = control_plane.client().await;
        let namespaces = Self { control_plane, namespace, operator_namespace, client };
        namespaces.set_up().await;
        namespaces
    }

    /// The same namespaces on another control plane.
    pub async fn twin(&self, control_plane: Arc<ControlPlane>) -> Self {
        let (namespace, operator_namespace) = (self.namespace.clone(), self.operator_namespace.clone());
        let client = control_plane.client().await;
        let namespaces = Self { control_plane, namespace, operator_namespace, client };
        namespaces.set_up().await;
        namespaces
    }

    async fn set_up(&self) {
        self.create_namespace(&self.namespace).await;
        self.create_namespace(&self.operator_namespace).await;
        let metadata = json!({"name": OPERATOR});
        let rules = self.control_plane.shipped().own_namespace_rules().expect("the shipped Role");
        self.create::<ServiceAccount>(&self.operator_namespace, json!({"metadata": metadata})).await;
        self.create::<Role>(&self.operator_namespace, json!({"metadata": metadata, "rules": rules})).await;
        let own = self.binding("Role", OPERATOR, &self.operator_identity());
        self.create::<RoleBinding>(&self.operator_namespace, own).await;
        self.let_operator_watch(&self.namespace).await;
    }

    /// Binds the shipped `ClusterRole` of the operator in a further namespace.
    pub async fn let_operator_watch(&self, namespace: &str) {
        let binding = self.binding("ClusterRole", OPERATOR, &self.operator_identity());
        self.create::<RoleBinding>(namespace, binding).await;
    }

    /// Gives the operator the shipped right to `ConfigMap`s in the tenant's namespace.
    pub async fn let_operator_write_config_maps(&self) {
        const NAME: &str = "tenios-operator-number-config-maps";
        let file = checkout("deploy/overlays/number-config-maps/rbac.yaml");
        let text = std::fs::read_to_string(file).expect("the overlay is there");
        let shipped: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
        let role = json!({"metadata": {"name": NAME}, "rules": shipped[0]["rules"]});
        self.create::<Role>(&self.namespace, role).await;
        let binding = self.binding("Role", NAME, &self.operator_identity());
        self.create::<RoleBinding>(&self.namespace, binding).await;
    }

    /// Gives the operator the shipped right to the `ConfigMap` of the relay in its own namespace.
    pub async fn let_operator_read_relay_config_map(&self) {
        const NAME: &str = "tenios-operator-relay";
        let file = checkout("deploy/overlays/relay/rbac.yaml");
        let text = std::fs::read_to_string(file).expect("the overlay is there");
        let shipped: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
        let role = json!({"metadata": {"name": NAME}, "rules": shipped[0]["rules"]});
        self.create::<Role>(&self.operator_namespace, role).await;
        let binding = self.binding("Role", NAME, &self.operator_identity());
        self.create::<RoleBinding>(&self.operator_namespace, binding).await;
    }

    /// Binds the shipped `ClusterRole` of the operator in all namespaces, as `deploy/base` does.
    pub async fn let_operator_watch_everything(&self) {
        let mut binding = self.binding("ClusterRole", OPERATOR, &self.operator_identity());
        binding["metadata"]["name"] = json!(self.operator_namespace);
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        let binding = serde_json::from_value(binding).expect("a ClusterRoleBinding");
        bindings.create(&PostParams::default(), &binding).await.expect("a ClusterRoleBinding");
    }

    /// A `ServiceAccount` in the tenant's namespace with one of the shipped or built-in
    /// `ClusterRole`s there: `view`, `edit`, `admin`.
    pub async fn tenant(&self, cluster_role: &str) -> Identity {
        let identity = Identity::service_account(&self.namespace, &format!("tenant-{cluster_role}"));
        let name = json!({"metadata": {"name": format!("tenant-{cluster_role}")}});
        self.create::<ServiceAccount>(&self.namespace, name).await;
        let binding = self.binding("ClusterRole", cluster_role, &identity);
        self.create::<RoleBinding>(&self.namespace, binding).await;
        identity
    }

    fn binding(&self, kind: &str, role: &str, identity: &Identity) -> Value {
        let Identity::ServiceAccount { namespace, name } = identity else {
            panic!("the administrator needs no binding");
        };
        json!({
            "metadata": {"name": format!("{name}-{role}-{}", self.namespace)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        })
    }

    /// Creates one more namespace.
    pub async fn create_namespace(&self, name: &str) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).expect("a Namespace");
        namespaces.create(&PostParams::default(), &namespace).await.expect("a namespace");
    }

    async fn create<K>(&self, namespace: &str, object: Value)
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + Debug
            + Serialize
            + DeserializeOwned,
        K::DynamicType: Default,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), namespace);
        let object = serde_json::from_value(object).expect("an object");
        // A namespace that was just re-created under its name is refused as terminating for a moment.
        let mut refused = String::new();
        let created = wait::poll(Duration::from_secs(60), async || {
            let result = api.create(&PostParams::default(), &object).await;
            result.map_err(|error| refused = error.to_string()).ok()
        });
        assert!(created.await.is_some(), "the object can't be created: {refused}");
    }

    /// An administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// An administrator's view of the tenant's namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// An administrator's kubectl in the tenant's namespace.
    pub fn kubectl(&self) -> Kubectl {
        self.control_plane.kubectl().in_namespace(&self.namespace)
    }

    /// Who the operator is.
    pub fn operator_identity(&self) -> Identity {
        Identity::service_account(&self.operator_namespace, OPERATOR)
    }

    /// Waits until the operator has asked the apiserver for nothing for a while, its leases aside. Whoever
    /// counts requests awaits this before and after: a status may be written once more after the state that
    /// was awaited, and an event follows it.
    pub async fn quiet(&self) -> Mark {
        let (user, audit) = (self.operator_identity().user(), self.control_plane.audit());
        let disturbs = |r: &Request| !r.is_by_the_clock();
        let (mut mark, mut last, mut since) = (audit.mark(), Requests::default(), Instant::now());
        let deadline = since + UNTIL_QUIET;
        while since.elapsed() < QUIET {
            let (made, next) = audit.read(mark);
            mark = next;
            let made = made.by(&user).only(disturbs);
            if !made.is_empty() {
                (last, since) = (made, Instant::now());
            }
            assert!(Instant::now() < deadline, "the operator is never quiet; it asked last for\n{last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        mark
    }

    /// Starts an operator and waits until it is ready.
    pub async fn operator(&self, options: OperatorOptions) -> Operator {
        let operator = self.start_operator(options).await;
        operator.wait_ready().await;
        operator
    }

    /// Starts an operator, several of which may run at once.
    pub async fn start_operator(&self, options: OperatorOptions) -> Operator {
        let operator = self.prepare_operator(self.control_plane.server(), options).await;
        operator.process.start().expect("the operator starts");
        operator
    }

    /// An operator that isn't started yet and will reach the apiserver at this URL.
    pub async fn prepare_operator(&self, server: &str, options: OperatorOptions) -> Operator {
        let kubeconfig = self.control_plane.kubeconfig_at(server, &self.operator_identity()).await;
        Operator::new(&self.control_plane, &self.operator_namespace, &self.namespace, &kubeconfig, options)
    }
}

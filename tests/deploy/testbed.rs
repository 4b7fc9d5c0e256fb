//! A control plane into which Helm installs, and a provider.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, PostParams};
use serde_json::json;
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_simulator::{DocumentState, Simulator};

use crate::render::chart_directory;
use crate::tools::helm_at;
use harness::{ControlPlane, Kubectl, Output, ports, provider, wait};

pub const PATIENCE: Duration = Duration::from_secs(30);

/// See the module documentation.
pub struct Testbed {
    pub plane: Arc<ControlPlane>,
    pub simulator: Simulator,
    /// Where the push of the operator is to listen, known before it is installed.
    pub push_port: u16,
}

impl Testbed {
    /// A control plane of its own with nothing in it but the namespaces.
    pub async fn bare(namespaces: &[&str]) -> Self {
        Self::on(ControlPlane::start_bare().await.unwrap().into(), namespaces).await
    }

    /// The control plane that the tests share, which has the CRDs and the base's `ClusterRole`s.
    pub async fn shared(namespaces: &[&str]) -> Self {
        Self::on(ControlPlane::shared().await, namespaces).await
    }

    async fn on(plane: Arc<ControlPlane>, namespaces: &[&str]) -> Self {
        let kubectl = plane.kubectl();
        for namespace in namespaces {
            kubectl.run(&["create", "namespace", namespace]).await.expect_success();
        }
        let simulator = provider::simulator("the-access-key", Duration::from_millis(50)).await;
        Self { plane, simulator, push_port: ports::free() }
    }

    /// The Secrets that the chart's defaults name.
    pub async fn secrets(&self, namespace: &str) {
        let kubectl = self.plane.kubectl().in_namespace(namespace);
        for (name, literal) in [
            ("tenios-access-key", "access-key=the-access-key"),
            ("tenios-push-key", "push-key=0123456789abcdef"),
        ] {
            let literal = format!("--from-literal={literal}");
            kubectl.run(&["create", "secret", "generic", name, &literal]).await.expect_success();
        }
    }

    /// `helm COMMAND RELEASE CHART` with the values that make it talk to the simulator.
    pub fn helm(&self, command: &str, release: &str, namespace: &str, chart: &str, set: &str) -> Output {
        let url = format!("env.TENIOS_URL={}", self.simulator.url());
        let push = format!("push.baseUrl=http://127.0.0.1:{}", self.push_port);
        let arguments = [
            command,
            release,
            chart,
            "--set",
            &url,
            "--set",
            &push,
            "--set",
            "env.TENIOS_ALLOW_HTTP=true",
            "--set",
            "env.TENIOS_LEASE_DURATION=3s",
        ];
        let set: &[&str] = if set.is_empty() { &[] } else { &["--set", set] };
        helm_at(self.kubectl().kubeconfig(), namespace, &[&arguments, set].concat())
    }

    /// The same with the chart of this checkout.
    pub fn helm_chart(&self, command: &str, release: &str, namespace: &str, set: &str) -> Output {
        self.helm(command, release, namespace, &chart_directory(), set)
    }

    pub fn helm_uninstall(&self, release: &str, namespace: &str) -> Output {
        helm_at(self.kubectl().kubeconfig(), namespace, &["uninstall", release])
    }

    pub fn kubectl(&self) -> Kubectl {
        self.plane.kubectl()
    }

    pub async fn orders(&self, namespace: &str) -> Api<PhoneNumberOrder> {
        Api::namespaced(self.plane.client().await, namespace)
    }

    /// Waits until the CRDs are served.
    pub async fn established(&self) {
        self.kubectl().established(&["crd", "--all"]).await.expect_success();
    }

    /// Creates an order of a document that the provider has approved.
    pub async fn order(&self, namespace: &str, name: &str) {
        let id = uuid::Uuid::new_v4();
        self.simulator.set_document(id, DocumentState::Approved);
        let order = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": name},
            "spec": {"verificationId": id}});
        let order = serde_json::from_value(order).unwrap();
        self.orders(namespace).await.create(&PostParams::default(), &order).await.unwrap();
    }

    /// Waits until an order has its number, and gives it.
    pub async fn number(&self, namespace: &str, name: &str) -> String {
        let orders = self.orders(namespace).await;
        let read = async || orders.get(name).await.unwrap().status.unwrap_or_default();
        let assigned =
            |status: &tenios_api::order::PhoneNumberOrderStatus| status.state == Some(OrderState::Assigned);
        let status = wait::until_seen("a number", PATIENCE, read, assigned).await;
        status.phone_number.unwrap()
    }
}

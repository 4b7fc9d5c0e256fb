//! A control plane with the operator in it.

use std::path::Path;

use harness::{ControlPlane, Identity, Kubectl, Operator, OperatorOptions, Result, checkout};

use crate::{NAMESPACE, finish, kubectl_as_typed, say};

const OPERATOR_NAMESPACE: &str = "tenios-system";

/// See the module documentation.
pub(crate) struct Cluster {
    pub(crate) operator: Operator,
    pub(crate) kubectl: Kubectl,
    // Last: what it started goes first.
    pub(crate) control_plane: ControlPlane,
}

impl Cluster {
    /// Starts the operator as its `ServiceAccount`: there are no nodes to run its Deployment on.
    pub(crate) async fn start(
        control_plane: ControlPlane,
        simulator_port: u16,
        ledger: &Path,
    ) -> Result<Self> {
        let identity = Identity::service_account(OPERATOR_NAMESPACE, "tenios-operator");
        let kubeconfig = control_plane.kubeconfig(&identity).await;
        let ledger = format!("--ledger=file://{}", ledger.display());
        let options = OperatorOptions::new(&format!("http://127.0.0.1:{simulator_port}"))
            .access_key(None)
            .watch_everything()
            .args([ledger]);
        let operator = Operator::new(&control_plane, OPERATOR_NAMESPACE, NAMESPACE, &kubeconfig, options);
        operator.start()?;
        operator.wait_ready().await;
        Ok(Self { operator, kubectl: control_plane.kubectl(), control_plane })
    }

    /// Ends it as a power cut would. Its directory stays: the simulator and the ledger are there as well.
    pub(crate) async fn lose(&self) -> Result<()> {
        let plane = &self.control_plane;
        for process in [&self.operator.process, &plane.controller_manager, &plane.apiserver, &plane.etcd] {
            process.kill().await;
        }
        Ok(std::fs::remove_dir_all(plane.etcd_data())?)
    }
}

/// A fresh control plane with what is installed before the operator runs.
pub(crate) async fn control_plane() -> Result<ControlPlane> {
    say("Starting kube-apiserver, kube-controller-manager and etcd on loopback");
    let control_plane = ControlPlane::start_bare().await?;
    let kubectl = control_plane.kubectl();
    kubectl_as_typed(&kubectl, &["apply", "--server-side", "-f", "crds/"]).await?;
    let crds = checkout("crds").to_string_lossy().into_owned();
    finish(kubectl.established(&["-f", &crds]).await)?;
    kubectl_as_typed(&kubectl, &["apply", "-k", "deploy/base"]).await?;
    Ok(control_plane)
}

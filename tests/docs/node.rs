//! A node, as far as a Deployment can tell: it runs what the Deployment of the operator asks for, starts that anew when
//! the template changes, and writes the Deployment's status, which no controller does here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::kubelet::Pod;
use crate::render::NAMESPACE;
use harness::{ControlPlane, ports};

const PACE: Duration = Duration::from_millis(100);

/// It ends when dropped, and what runs on it.
pub struct Node {
    pub metrics_port: u16,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Node {
    /// Whatever the Deployment says, the operator on it speaks to this simulator and to no one else, and listens for
    /// pushes on this port, to which the host name leads.
    pub fn start(
        plane: Arc<ControlPlane>,
        provider: &str,
        port: u16,
        others: &[(&'static str, String)],
    ) -> Self {
        let metrics_port = ports::free();
        let mut environment = vec![
            ("TENIOS_URL", provider.to_owned()),
            ("TENIOS_ALLOW_HTTP", "true".to_owned()),
            ("TENIOS_PUSH_BASE_URL", format!("http://127.0.0.1:{port}")),
            ("TENIOS_METRICS_LISTEN", format!("127.0.0.1:{metrics_port}")),
            // A reader waits longer.
            ("TENIOS_LEASE_DURATION", "3s".to_owned()),
            ("TENIOS_RETRY_MIN", "100ms".to_owned()),
            ("TENIOS_RETRY_MAX", "1s".to_owned()),
        ];
        environment.extend_from_slice(others);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve(&plane, port, &environment, &stop));
        });
        Self { metrics_port, stopped, thread: Some(thread) }
    }
}

async fn serve(plane: &ControlPlane, port: u16, environment: &[(&str, String)], stopped: &AtomicBool) {
    let deployments: Api<Deployment> = Api::namespaced(plane.client().await, NAMESPACE);
    let mut running: Option<(Value, Pod)> = None;
    while !stopped.load(Ordering::Relaxed) {
        // What can't be read now says nothing about what shall run.
        if let Ok(deployment) = deployments.get_opt("tenios-operator").await {
            let wanted = deployment.as_ref().and_then(|deployment| {
                let spec = deployment.spec.as_ref()?;
                (spec.replicas != Some(0)).then(|| json!(spec.template))
            });
            if running.as_ref().map(|(template, _)| template) != wanted.as_ref() {
                if let Some((_, pod)) = running.take() {
                    pod.end().await;
                }
                if let Some(template) = wanted {
                    let pod = Pod::start_with(plane, NAMESPACE, port, environment).await.ready().await;
                    running = Some((template, pod));
                }
            }
            if let Some(deployment) = deployment {
                report(&deployments, &deployment).await;
            }
        }
        tokio::time::sleep(PACE).await;
    }
}

/// All pods that it asks for are there, although one process stands for them.
async fn report(deployments: &Api<Deployment>, deployment: &Deployment) {
    let generation = deployment.metadata.generation;
    if deployment.status.as_ref().and_then(|status| status.observed_generation) == generation {
        return;
    }
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let status = json!({"status": {
        "observedGeneration": generation, "replicas": replicas, "updatedReplicas": replicas,
        "readyReplicas": replicas, "availableReplicas": replicas,
        "conditions": [{"type": "Available", "status": "True", "reason": "MinimumReplicasAvailable"}],
    }});
    // Deleted or changed meanwhile: the next look shows it.
    let _ = deployments.patch_status("tenios-operator", &PatchParams::default(), &Patch::Merge(status)).await;
}

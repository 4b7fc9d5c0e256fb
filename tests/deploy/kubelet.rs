//! As much of a kubelet as the operator needs: there are no nodes here, so this starts the process that a
//! Deployment in the apiserver asks for, with its arguments, environment, Secrets and `ServiceAccount`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{EnvVar, PodSpec, Secret};
use kube::api::Api;

use harness::{ControlPlane, Identity, Process, Program, http, ports, wait};

/// The process of a pod; it ends when dropped.
pub struct Pod {
    pub process: Process,
    health_port: u16,
}

impl Pod {
    /// Starts the container of `tenios-operator` in that namespace. Only where it listens is not as the
    /// Deployment says: there is one network for all.
    pub async fn start(plane: &ControlPlane, namespace: &str, push_port: u16) -> Self {
        Self::start_with(plane, namespace, push_port, &[]).await
    }

    /// The same with other values for some variables.
    pub async fn start_with(
        plane: &ControlPlane,
        namespace: &str,
        push_port: u16,
        environment: &[(&str, String)],
    ) -> Self {
        let client = plane.client().await;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let deployment = deployments.get("tenios-operator").await.expect("the Deployment");
        let pod = deployment.spec.unwrap().template.spec.unwrap();
        let container = &pod.containers[0];

        let name = format!("pod-{}", uuid::Uuid::new_v4().simple());
        let root = plane.directory().join(&name);
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        mount(&pod, &secrets, &root).await;
        let account = Identity::service_account(namespace, pod.service_account_name.as_deref().unwrap());
        let kubeconfig = plane.kubeconfig(&account).await;

        let health_port = ports::free();
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let mut process =
            plane.process(&name, Program::Operator.path()).args(container.args.clone().unwrap());
        for variable in container.env.iter().flatten() {
            process = process.env(&variable.name, value(variable, namespace, &secrets, &root).await);
        }
        process = process.env("TENIOS_METRICS_LISTEN", listen(ports::free()));
        for (name, value) in environment {
            process = process.env(*name, value);
        }
        let process = process
            .env("KUBECONFIG", kubeconfig)
            .env("TENIOS_HEALTH_LISTEN", listen(health_port))
            .env("TENIOS_PUSH_LISTEN", listen(push_port))
            .env("TENIOS_TERMINATION_LOG", root.join("termination-log"));
        process.start().unwrap();
        Self { process, health_port }
    }

    /// Waits until its readiness probe would succeed.
    pub async fn ready(self) -> Self {
        wait::until("a ready pod", Duration::from_secs(30), async || {
            assert!(self.process.try_exit_status().is_none(), "the pod ended:\n{}", self.process.log_tail());
            let answer = http::get(self.health_port, "/readyz").await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        self
    }

    /// Ends it as a scale-down would.
    pub async fn end(self) {
        self.process.terminate();
        self.process.exit_status(Duration::from_secs(30)).await;
    }
}

async fn value(variable: &EnvVar, namespace: &str, secrets: &Api<Secret>, root: &Path) -> String {
    if let Some(source) = &variable.value_from {
        if let Some(wanted) = &source.secret_key_ref {
            let secret = secrets.get(&wanted.name).await.expect("the Secret of a variable");
            return String::from_utf8(secret.data.unwrap()[&wanted.key].0.clone()).unwrap();
        }
        let field = source.field_ref.as_ref().expect("a field of the pod");
        assert_eq!(field.field_path, "metadata.namespace");
        return namespace.to_owned();
    }
    let value = variable.value.clone().unwrap_or_default();
    if value.starts_with("/etc/tenios/") { inside(root, &value).display().to_string() } else { value }
}

fn inside(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

async fn mount(pod: &PodSpec, secrets: &Api<Secret>, root: &Path) {
    for mount in pod.containers[0].volume_mounts.iter().flatten() {
        let directory = inside(root, &mount.mount_path);
        std::fs::create_dir_all(&directory).unwrap();
        let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name).expect("a volume");
        let source = volume.secret.as_ref().expect("a Secret");
        let name = source.secret_name.as_deref().unwrap();
        let Some(secret) = secrets.get_opt(name).await.unwrap() else {
            assert_eq!(source.optional, Some(true), "Secret {name} is missing");
            continue;
        };
        for (key, content) in secret.data.into_iter().flatten() {
            std::fs::write(directory.join(key), content.0).unwrap();
        }
    }
}

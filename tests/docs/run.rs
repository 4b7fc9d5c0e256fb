//! Where the pages are followed: one or two clusters with their nodes, the simulator, a directory and a shell.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use serde_json::{Value, json};
use tenios_api::Reason;
use tenios_simulator::{DocumentState, Simulator};

use super::node::Node;
use super::script::Step;
use super::shell::Shell;
use crate::tools;
use harness::s3::S3;
use harness::{ControlPlane, Program, checkout, ports, provider, wait};

const PATIENCE: Duration = Duration::from_secs(30);
const KEY: &str = "the-access-key";
const ORDER: &str = "/number/order";
const PRELUDE: &str = include_str!("prelude.sh");
/// A PDF as small as they come.
const PDF: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";

/// See the module documentation.
pub struct DocsRun {
    shell: Shell,
    directory: PathBuf,
    simulator: Simulator,
    namespaces: usize,
    orders_before: usize,
    requests_before: usize,
    nodes: Vec<Node>,
    _bucket: Option<S3>,
    // Last: what runs in them goes first.
    clusters: Vec<Arc<ControlPlane>>,
}

impl DocsRun {
    /// With nothing installed. Of two clusters the first is the context `old`, the second `new`.
    pub async fn on(clusters: impl IntoIterator<Item = Arc<ControlPlane>>) -> Self {
        Self::beside(None, clusters.into_iter().collect()).await
    }

    /// The same with a bucket outside, which operators and reader find by their environment.
    pub async fn with_a_bucket(clusters: impl IntoIterator<Item = Arc<ControlPlane>>) -> Self {
        Self::beside(Some(S3::start().await), clusters.into_iter().collect()).await
    }

    async fn beside(bucket: Option<S3>, clusters: Vec<Arc<ControlPlane>>) -> Self {
        let simulator = provider::simulator(KEY, Duration::from_millis(50)).await;
        let directory = clusters[0].directory().join("reader");
        furnish(&directory, &simulator);
        kubeconfig(&directory, &clusters);
        let mut environment = environment(&directory, &clusters[0]);
        let reached = bucket.as_ref().map(|bucket| ("AWS_ENDPOINT_URL", bucket.endpoint()));
        if let Some(bucket) = &bucket {
            environment.extend(bucket.environment());
            environment.push(("TENIOS_ALLOW_HTTP", "true".to_owned()));
        }
        let mut shell = Shell::start(&directory, &environment);
        shell.run(PRELUDE).unwrap();
        // One host name, which leads to whichever cluster is there.
        let port = ports::free();
        let start =
            |plane: &Arc<ControlPlane>| Node::start(plane.clone(), simulator.url(), port, reached.as_slice());
        let nodes = clusters.iter().map(start).collect();
        Self {
            shell,
            directory,
            simulator,
            namespaces: 0,
            orders_before: 0,
            requests_before: 0,
            nodes,
            _bucket: bucket,
            clusters,
        }
    }

    /// With the operator.
    pub async fn installed(cluster: Arc<ControlPlane>) -> Self {
        let mut run = Self::on([cluster]).await;
        run.type_in("install_operator").unwrap_or_else(|why| panic!("the installation {why}"));
        run
    }

    /// Follows the pages from their begin to their end.
    pub async fn follow(mut self, pages: &[&str]) {
        for page in pages {
            self.read(page).await;
        }
    }

    /// Follows one page.
    pub async fn read(&mut self, page: &str) {
        self.go(page, &super::read(page)).await;
    }

    /// Takes the steps of a page.
    pub async fn go(&mut self, page: &str, steps: &[(usize, Step)]) {
        for (line, step) in steps {
            if let Err(why) = self.take(step).await {
                panic!("{page}:{line}: {why}\n\nthe operator:\n{}", self.log());
            }
        }
    }

    /// Where the operator of the first cluster serves its metrics.
    #[allow(dead_code, reason = "for a Prometheus, which only the e2e tests have")]
    pub fn metrics_port(&self) -> u16 {
        self.nodes[0].metrics_port
    }

    /// All order requests that the simulator got.
    #[allow(dead_code, reason = "the pages count from the last namespace on")]
    pub fn requests(&self) -> usize {
        self.simulator.requests(ORDER)
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Type(commands) | Step::Run(commands) => self.type_in(commands),
            Step::TypeAndStop(commands) => {
                let stopped = commands.lines().map(|command| format!("timeout 2 {command} || [ $? = 124 ]"));
                self.type_in(&stopped.collect::<Vec<_>>().join("\n"))
            }
            Step::File { name, text } => {
                let path = self.directory.join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
                Ok(())
            }
            Step::Namespace => {
                self.namespaces += 1;
                self.count_from_here();
                let name = format!("page-{}", self.namespaces);
                self.type_in(&format!("new_namespace {name}"))
            }
            Step::Await { kind, name, word } => self.until(kind, name, word).await,
            Step::Orders(count) => {
                let arrived = self.simulator.requests(ORDER) - self.orders_before;
                if arrived == *count { Ok(()) } else { Err(format!("{arrived} order requests arrived")) }
            }
            Step::Requests(count) => {
                let arrived = self.simulator.journal().len() - self.requests_before;
                if arrived == *count { Ok(()) } else { Err(format!("{arrived} requests arrived")) }
            }
            Step::Lose => {
                self.count_from_here();
                self.lose_a_cluster().await;
                Ok(())
            }
            Step::Provider { method, path, body } => self.tell_provider(method, path, body).await,
        }
    }

    fn count_from_here(&mut self) {
        self.orders_before = self.simulator.requests(ORDER);
        self.requests_before = self.simulator.journal().len();
    }

    /// The first one, with all that ran in it and all that it stored.
    async fn lose_a_cluster(&mut self) {
        tokio::task::block_in_place(|| drop(self.nodes.remove(0)));
        let lost = &self.clusters[0];
        for process in [&lost.controller_manager, &lost.apiserver, &lost.etcd] {
            process.kill().await;
        }
        std::fs::remove_dir_all(lost.etcd_data()).unwrap();
    }

    /// Blocking for its thread alone: the simulator and the nodes go on meanwhile.
    fn type_in(&mut self, commands: &str) -> Result<(), String> {
        tokio::task::block_in_place(|| self.shell.run(commands))
    }

    /// Where the shell's current context points to, as kubectl sees it.
    async fn until(&mut self, kind: &str, name: &str, word: &str) -> Result<(), String> {
        let kind = match kind {
            "pno" => "PhoneNumberOrder",
            "pver" => "PhoneVerification",
            other => return Err(format!("{other} is no kind")),
        };
        let config = std::fs::read_to_string(self.directory.join("kubeconfig")).unwrap();
        let config: Value = serde_saphyr::from_str(&config).unwrap();
        let current = &config["current-context"];
        let contexts = config["contexts"].as_array().unwrap();
        let context = contexts.iter().find(|context| context["name"] == *current).unwrap();
        let namespace = context["context"]["namespace"].as_str().unwrap_or("default");
        // kubectl sorts what it writes.
        let cluster = &self.clusters[usize::from(current == "new")];
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("tenios.dev", "v1alpha1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().await, namespace, &resource);
        let mut status = Value::Null;
        let reached = wait::poll(PATIENCE, async || {
            status = api.get_opt(name).await.ok().flatten()?.data["status"].clone();
            let conditions = status["conditions"].as_array()?;
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready")?;
            (status["state"] == word || ready["reason"] == word).then_some(())
        });
        let reached = reached.await;
        reached.ok_or_else(|| format!("{kind} {namespace}/{name} is not {word}: {status:#}"))?;
        let unnamed = status["conditions"].as_array().into_iter().flatten().find(|condition| {
            let reason: Reason = serde_json::from_value(condition["reason"].clone()).unwrap();
            let message = condition["message"].as_str().unwrap_or_default();
            !message.is_empty()
                && reason.page().is_some_and(|page| !message.ends_with(&format!("(see {page})")))
        });
        unnamed.map_or(Ok(()), |condition| Err(format!("the message names no page: {condition}")))
    }

    async fn tell_provider(&self, method: &str, path: &str, body: &Value) -> Result<(), String> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/_simulator/{path}", self.simulator.url().trim_end_matches('/'));
        let request = client.request(method.parse().unwrap(), url).body(body.to_string());
        let answer = request.send().await.unwrap();
        if answer.status().is_success() { Ok(()) } else { Err(answer.text().await.unwrap()) }
    }

    /// The end of each log of an operator.
    fn log(&self) -> String {
        let files = self.clusters.iter().flat_map(|plane| std::fs::read_dir(plane.directory()).unwrap());
        let logs = files.map(|file| file.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("pod-") && name.ends_with(".log")
        });
        let tail = |path: PathBuf| {
            let text = std::fs::read_to_string(path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        logs.map(tail).collect::<Vec<_>>().join("\n\n")
    }
}

/// What lies in the reader's directory: the checkout as far as commands name it, keys and documents.
fn furnish(directory: &Path, simulator: &Simulator) {
    std::fs::create_dir_all(directory.join("dresden")).unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-R").args([checkout("deploy"), checkout("crds")]).arg(directory);
    tools::run(&mut copy).expect_success();
    for pdf in ["extract.pdf", "dresden/lease.pdf"] {
        std::fs::write(directory.join(pdf), PDF).unwrap();
    }
    std::fs::write(directory.join("access-key"), format!("{KEY}\n")).unwrap();
    let id = uuid::Uuid::new_v4();
    simulator.set_document(id, DocumentState::Approved);
    let order = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
        "metadata": {"name": "main-line"}, "spec": {"verificationId": id}});
    std::fs::write(directory.join("approved.json"), order.to_string()).unwrap();
}

/// One kubeconfig with a context for each cluster.
fn kubeconfig(directory: &Path, clusters: &[Arc<ControlPlane>]) {
    let names = if clusters.len() == 1 { vec!["here"] } else { vec!["old", "new"] };
    let mut config = json!({"apiVersion": "v1", "kind": "Config", "current-context": names[0],
        "clusters": [], "users": [], "contexts": []});
    for (name, plane) in names.iter().zip(clusters) {
        let own = std::fs::read(plane.kubectl().kubeconfig()).unwrap();
        let own: Value = serde_json::from_slice(&own).unwrap();
        let push = |list: &mut Value, entry: Value| list.as_array_mut().unwrap().push(entry);
        push(&mut config["clusters"], json!({"name": name, "cluster": own["clusters"][0]["cluster"]}));
        push(&mut config["users"], json!({"name": name, "user": own["users"][0]["user"]}));
        push(&mut config["contexts"], json!({"name": name, "context": {"cluster": name, "user": name}}));
    }
    std::fs::write(directory.join("kubeconfig"), config.to_string()).unwrap();
}

fn environment(directory: &Path, plane: &ControlPlane) -> Vec<(&'static str, String)> {
    let plugin = Program::Plugin.path();
    let path = [plane.binaries(), tools::directory(), plugin.parent().unwrap()]
        .map(|d| d.display().to_string())
        .join(":");
    let inside = |name: &str| directory.join(name).display().to_string();
    vec![
        ("PATH", format!("{path}:{}", std::env::var("PATH").unwrap())),
        ("KUBECONFIG", inside("kubeconfig")),
        ("KUBECACHEDIR", inside("cache")),
        ("HELM_CACHE_HOME", inside("helm")),
        ("HELM_CONFIG_HOME", inside("helm")),
        ("HELM_DATA_HOME", inside("helm")),
        ("APPROVED", inside("approved.json")),
    ]
}

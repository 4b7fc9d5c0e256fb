//! kube-apiserver, kube-controller-manager and etcd on free ports of 127.0.0.1.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::sync::OnceCell;

use super::audit::{Audit, Mark, Requests};
use super::certificates::Certificates;
use super::identity::{Identity, write_kubeconfig};
use super::shipped_manifests::ShippedManifests;
use super::watchdog::Watchdog;
use super::{Kubectl, Process, Result, checkout, ports, wait};

const START: Duration = Duration::from_secs(90);

/// A control plane with the CRDs of `crds/` and the `ClusterRole`s of `deploy/base`. Its processes
/// and its directory go when it is dropped, and when the process that holds it ends.
pub struct ControlPlane {
    /// May be killed, paused and started again on its own, as may the other two.
    pub controller_manager: Process,
    /// Starts again on the same port.
    pub apiserver: Process,
    /// Starts again on the same port with the same data.
    pub etcd: Process,
    etcd_url: String,
    kubectl: Kubectl,
    shipped: Option<ShippedManifests>,
    audit: Audit,
    server: String,
    certificates: Certificates,
    watchdog: Arc<Watchdog>,
}

impl ControlPlane {
    /// The one that all tests of this process share, started by the first that asks. Tests that
    /// stop or pause parts of it start their own instead.
    pub async fn shared() -> Arc<Self> {
        static SHARED: OnceCell<std::result::Result<Arc<ControlPlane>, String>> = OnceCell::const_new();
        let start = async || Self::start().await.map(Arc::new).map_err(|failure| failure.to_string());
        match SHARED.get_or_init(start).await {
            Ok(control_plane) => Arc::clone(control_plane),
            Err(failure) => panic!("the shared control plane didn't start: {failure}"),
        }
    }

    /// A fresh one with the CRDs and the roles.
    pub async fn start() -> Result<Self> {
        let mut control_plane = Self::start_bare().await?;
        control_plane.install().await?;
        Ok(control_plane)
    }

    /// A fresh one with nothing in it.
    pub async fn start_bare() -> Result<Self> {
        let binaries = tokio::task::spawn_blocking(binaries).await??;
        let watchdog = Arc::new(Watchdog::start()?);
        let directory = watchdog.directory().to_owned();
        let certificates = Certificates::create(&directory)?;
        let audit = Audit::new(directory.join("audit.log"));
        Audit::write_policy(&directory.join("audit-policy.json"))?;

        let (admin, manager) = (token(), token());
        let tokens = directory.join("tokens.csv");
        std::fs::write(
            &tokens,
            format!(
                "{admin},admin,admin,system:masters\n{manager},system:kube-controller-manager,manager,system:masters\n"
            ),
        )?;
        let port = ports::free();
        let server = format!("https://127.0.0.1:{port}");
        let kubeconfig = |name: &str, token: &str| {
            write_kubeconfig(&directory.join(name), &server, &certificates.authority, name, token)
        };
        let admin = kubeconfig("admin.kubeconfig", &admin)?;
        let manager = kubeconfig("controller-manager.kubeconfig", &manager)?;

        let (etcd, etcd_url) = etcd(&watchdog, &binaries);
        let control_plane = Self {
            apiserver: apiserver(&watchdog, &binaries, &certificates, &audit, &tokens, port, &etcd_url),
            controller_manager: controller_manager(&watchdog, &binaries, &manager),
            etcd,
            etcd_url,
            kubectl: Kubectl {
                program: binaries.join("kubectl"),
                kubeconfig: admin,
                namespace: None,
                watchdog: Arc::clone(&watchdog),
            },
            shipped: None,
            audit,
            server,
            certificates,
            watchdog,
        };
        control_plane.etcd.start()?;
        control_plane.apiserver.start()?;
        control_plane.ready().await?;
        control_plane.controller_manager.start()?;
        Ok(control_plane)
    }

    async fn install(&mut self) -> Result<()> {
        let crds = checkout("crds").to_string_lossy().into_owned();
        let applied = self.kubectl.run(&["apply", "--server-side", "-f", &crds]).await;
        for output in [applied, self.kubectl.established(&["-f", &crds]).await] {
            if !output.success {
                return Err(format!("{} failed:\n{}", output.command, output.stderr).into());
            }
        }
        let shipped = ShippedManifests::render(&self.kubectl).await?;
        shipped.apply_cluster_roles(&self.client().await).await?;
        self.shipped = Some(shipped);
        Ok(())
    }

    /// Waits until the apiserver says that it is ready, etcd included.
    pub async fn wait_ready(&self) {
        if let Err(failure) = self.ready().await {
            panic!("{failure}");
        }
    }

    async fn ready(&self) -> Result<()> {
        let client = self.client().await;
        let ready = wait::poll(START, async || {
            if !self.apiserver.is_running() {
                return Some(false);
            }
            let request = http::Request::get("/readyz").body(Vec::new()).ok()?;
            // A paused or killed part lets the connection hang.
            let answer = tokio::time::timeout(Duration::from_secs(2), client.request_text(request)).await;
            answer.is_ok_and(|answer| answer.is_ok()).then_some(true)
        });
        match ready.await {
            Some(true) => Ok(()),
            _ => Err(format!(
                "kube-apiserver isn't ready after {START:?}, or has ended.\n{}\netcd:\n{}",
                self.apiserver.log_tail(),
                self.etcd.log_tail()
            )
            .into()),
        }
    }

    /// An administrator's client. Each test makes its own: connections belong to its runtime.
    pub async fn client(&self) -> Client {
        client_from(&self.kubectl.kubeconfig).await
    }

    /// A client of somebody else.
    pub async fn client_as(&self, identity: &Identity) -> Client {
        client_from(&self.kubeconfig(identity).await).await
    }

    /// An administrator's kubectl.
    pub fn kubectl(&self) -> Kubectl {
        self.kubectl.clone()
    }

    /// Somebody else's kubectl.
    pub async fn kubectl_as(&self, identity: &Identity) -> Kubectl {
        Kubectl { kubeconfig: self.kubeconfig(identity).await, ..self.kubectl.clone() }
    }

    /// A kubeconfig file; for a `ServiceAccount`, which must exist, with a fresh token of a day.
    pub async fn kubeconfig(&self, identity: &Identity) -> PathBuf {
        self.kubeconfig_at(&self.server, identity).await
    }

    /// The same, for who reaches the apiserver at another URL.
    pub async fn kubeconfig_at(&self, server: &str, identity: &Identity) -> PathBuf {
        let Identity::ServiceAccount { namespace, name } = identity else {
            return self.kubectl.kubeconfig.clone();
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await, namespace);
        let spec = TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await;
        let token = answer.expect("a token").status.expect("a token").token;
        let file =
            self.directory().join(format!("{namespace}.{name}.{}.kubeconfig", uuid::Uuid::new_v4().simple()));
        write_kubeconfig(&file, server, &self.certificates.authority, &identity.user(), &token)
            .expect("a kubeconfig file")
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// What was answered since then, up to now: the apiserver writes an entry right after the
    /// answer, so this sends a request of its own and reads until that one is there.
    pub async fn requests_since(&self, mark: Mark) -> Requests {
        let probe = format!("/version?{}", uuid::Uuid::new_v4().simple());
        let request = http::Request::get(&probe).body(Vec::new()).expect("a request");
        self.client().await.request_text(request).await.expect("the apiserver answers");
        wait::until("the audit log", Duration::from_secs(60), async || {
            let requests = self.audit.since(mark);
            let complete = requests.0.iter().any(|request| request.uri == probe);
            complete.then(|| requests.only(|request| !request.uri.starts_with("/version?")))
        })
        .await
    }

    /// What `deploy/base` ships.
    pub fn shipped(&self) -> &ShippedManifests {
        self.shipped.as_ref().expect("a control plane that was started bare has no roles")
    }

    /// Where etcd listens.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// Where etcd keeps its data. Only to be touched while it is stopped.
    pub fn etcd_data(&self) -> PathBuf {
        self.directory().join("etcd")
    }

    /// A directory for a test's own files, which goes away with everything else.
    pub fn directory(&self) -> &Path {
        self.watchdog.directory()
    }

    /// Where kubectl and the other binaries are.
    pub fn binaries(&self) -> &Path {
        self.kubectl.program.parent().expect("kubectl is in a directory")
    }

    /// The URL of the apiserver.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The certificate that the apiserver's was signed with.
    pub fn authority(&self) -> &Path {
        &self.certificates.authority
    }

    /// A further process that goes away with the control plane, such as the simulator.
    pub fn process(&self, name: &str, program: impl Into<PathBuf>) -> Process {
        Process::new(&self.watchdog, name, program)
    }

    /// Ends everything and removes the directory; returns when that is done.
    pub fn shut_down(&self) {
        self.watchdog.finish();
    }
}

/// Where kubectl and the other binaries are; builds them first where nobody has yet.
pub fn binaries() -> Result<PathBuf> {
    let build = checkout("tests/control-plane/build");
    let output = Command::new(build).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("tests/control-plane/build failed".into());
    }
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim_end()))
}

fn token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

async fn client_from(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig file");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    let mut config = config.expect("a usable kubeconfig");
    config.proxy_url = None;
    Client::try_from(config).expect("a client")
}

fn etcd(watchdog: &Arc<Watchdog>, binaries: &Path) -> (Process, String) {
    let url = format!("http://127.0.0.1:{}", ports::free());
    let peer_url = format!("http://127.0.0.1:{}", ports::free());
    let data = watchdog.directory().join("etcd");
    let process = Process::new(watchdog, "etcd", binaries.join("etcd")).args([
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer_url}"),
        format!("--initial-advertise-peer-urls={peer_url}"),
        format!("--initial-cluster=default={peer_url}"),
        // The disk is not what is tested, and a machine that loses power loses the test as well.
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ]);
    (process, url)
}

fn apiserver(
    watchdog: &Arc<Watchdog>,
    binaries: &Path,
    certificates: &Certificates,
    audit: &Audit,
    tokens: &Path,
    port: u16,
    etcd: &str,
) -> Process {
    let file = |name: &str, path: &Path| format!("--{name}={}", path.display());
    Process::new(watchdog, "kube-apiserver", binaries.join("kube-apiserver")).args([
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        format!("--secure-port={port}"),
        format!("--etcd-servers={etcd}"),
        file("tls-cert-file", &certificates.serving),
        file("tls-private-key-file", &certificates.serving_key),
        file("service-account-key-file", &certificates.service_account_public_key),
        file("service-account-signing-key-file", &certificates.service_account_key),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("token-auth-file", tokens),
        "--authorization-mode=RBAC".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        // There is one apiserver and nobody looks it up.
        "--endpoint-reconciler-type=none".to_owned(),
        file("audit-policy-file", &watchdog.directory().join("audit-policy.json")),
        file("audit-log-path", audit.path()),
        // No rotation: marks are offsets into one file.
        "--audit-log-maxsize=0".to_owned(),
        "--profiling=false".to_owned(),
    ])
}

fn controller_manager(watchdog: &Arc<Watchdog>, binaries: &Path, kubeconfig: &Path) -> Process {
    // What a test may rely on: namespaces go with their contents, owned objects with their owner,
    // roles are aggregated, and namespaces get their default ServiceAccount.
    let controllers = "namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,serviceaccount-controller";
    Process::new(watchdog, "kube-controller-manager", binaries.join("kube-controller-manager")).args([
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--controllers={controllers}"),
        "--leader-elect=false".to_owned(),
        "--use-service-account-credentials=false".to_owned(),
        "--secure-port=0".to_owned(),
        "--concurrent-gc-syncs=4".to_owned(),
        // Its own pace of 20 requests a second makes a namespace's end take many seconds.
        "--kube-api-qps=200".to_owned(),
        "--kube-api-burst=400".to_owned(),
        "--profiling=false".to_owned(),
    ])
}

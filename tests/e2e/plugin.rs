//! The plugin as somebody has it who unpacked its archive into a directory of the `PATH`.

use std::path::{Path, PathBuf};
use std::process::Command;

use kube::api::{Api, PostParams};
use serde_json::json;
use tenios_api::{PhoneNumberOrder, PhoneVerification};

use crate::release::{dist, platform};
use crate::shell::{has_released_plugin, said, unpack};
use harness::TestNamespaces;

/// kubectl with the plugin beside it, for the user of the namespace.
struct Shell {
    namespaces: TestNamespaces,
    plugin: PathBuf,
}

impl Shell {
    async fn new(name: &str) -> Self {
        let namespaces = TestNamespaces::new(name).await;
        let plugin = namespaces.control_plane.directory().join(name);
        unpack(&archive(), &plugin);
        Self { namespaces, plugin }
    }

    async fn kubectl(&self, arguments: &[&str]) -> String {
        let plane = &self.namespaces.control_plane;
        let mut command = Command::new(plane.binaries().join("kubectl"));
        let path =
            std::env::join_paths([&self.plugin, plane.binaries(), Path::new("/usr/bin"), Path::new("/bin")]);
        command.args(arguments).env("PATH", path.unwrap()).env("KUBECONFIG", plane.kubectl().kubeconfig());
        command.env("KUBECACHEDIR", self.plugin.join("cache"));
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            command.env_remove(variable);
        }
        tokio::task::spawn_blocking(move || said(&mut command)).await.unwrap()
    }

    /// What kubectl offers to the shell after these words.
    async fn offered(&self, words: &[&str]) -> Vec<String> {
        let namespace = ["-n", &self.namespaces.namespace];
        let said = self.kubectl(&[&["__complete", "tenios"], &namespace[..], words].concat()).await;
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        assert_eq!(lines.pop().as_deref(), Some(":4"), "{said}");
        lines
    }
}

fn archive() -> PathBuf {
    let name = format!("kubectl-tenios-{}-{}.tar.gz", env!("CARGO_PKG_VERSION"), platform());
    dist().join(name)
}

#[tokio::test]
async fn kubectl_finds_the_plugin_and_completes_it() {
    let shell = Shell::new("plugin").await;
    resources(&shell.namespaces).await;
    let namespace = shell.namespaces.namespace.clone();
    let status = shell.kubectl(&["tenios", "status", "-n", &namespace]).await;
    assert!(status.contains("cologne-office") && status.contains("main-line"), "{status}");

    assert_eq!(shell.offered(&["st"]).await, ["status"]);
    assert!(shell.offered(&[""]).await.contains(&"generate".to_owned()));
    assert_eq!(shell.offered(&["ledger", "f"]).await, ["forget"]);
    assert_eq!(shell.offered(&["completion", "z"]).await, ["zsh"]);
    assert_eq!(shell.offered(&["status", "-o", "j"]).await, ["json"]);
    assert_eq!(shell.offered(&["retry", "pno/main-line", "--at"]).await, ["--attempt"]);
    assert_eq!(shell.offered(&["approve", ""]).await, ["cologne-office"]);
    assert_eq!(shell.offered(&["adopt", ""]).await, ["pver/cologne-office", "pno/main-line"]);
    assert_eq!(shell.offered(&["retry", "pno/"]).await, ["pno/main-line"]);
    assert_eq!(
        shell.offered(&["status", "-n", &namespace[..4]]).await.len(),
        2,
        "its own and the operator's"
    );
}

async fn resources(namespaces: &TestNamespaces) {
    let verification = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification",
        "metadata": {"name": "cologne-office"}, "spec": {
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
            "areaCode": "221",
            "document": {"type": "CONTRACT", "secretRef": {"name": "lease", "key": "lease.pdf"}}}});
    let order = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
        "metadata": {"name": "main-line"}, "spec": {"verificationRef": {"name": "cologne-office"}}});
    let verifications: Api<PhoneVerification> = namespaces.api();
    let verification = serde_json::from_value(verification).unwrap();
    verifications.create(&PostParams::default(), &verification).await.unwrap();
    let orders: Api<PhoneNumberOrder> = namespaces.api();
    orders.create(&PostParams::default(), &serde_json::from_value(order).unwrap()).await.unwrap();
}

/// The one of a release is linked to nothing: it runs where there is no file but itself.
#[test]
fn the_released_plugin_needs_no_library() {
    if !has_released_plugin() {
        eprintln!("TENIOS_PLUGIN names no static build");
        return;
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-alone");
    let _ = std::fs::remove_dir_all(&directory);
    unpack(&archive(), &directory);
    let root = format!("--root={}", directory.display());
    let version =
        said(Command::new("unshare").args(["--map-root-user", &root, "/kubectl-tenios", "--version"]));
    assert_eq!(version.trim(), concat!("kubectl-tenios ", env!("CARGO_PKG_VERSION")));
}

//! As much of a container runtime as the image of the operator needs: it checks and unpacks an OCI layout,
//! puts in what a kubelet mounts, and starts the entry point with the image as its read-only root.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tenios_api::digest::sha256_hex;

use crate::shell::{done, said, script, unpack};
use harness::{ControlPlane, Process};

/// An OCI layout, unpacked.
pub struct Layout(PathBuf);

impl Layout {
    /// Unpacks an archive beside it.
    pub fn unpack(archive: &Path) -> Self {
        let directory = archive.with_extension("layout");
        unpack(archive, &directory);
        Self(directory)
    }

    /// Where everything begins.
    pub fn index(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join("index.json")).unwrap()).unwrap()
    }

    /// The file of a descriptor.
    pub fn path(&self, descriptor: &Value) -> PathBuf {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        self.0.join("blobs/sha256").join(digest)
    }

    /// What a descriptor describes, which has to be what it says.
    pub fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let content = std::fs::read(self.path(descriptor)).unwrap();
        assert_eq!(descriptor["digest"], format!("sha256:{}", sha256_hex(&content)));
        assert_eq!(descriptor["size"], content.len());
        content
    }

    /// The same, as JSON.
    pub fn json(&self, descriptor: &Value) -> Value {
        serde_json::from_slice(&self.blob(descriptor)).unwrap()
    }
}

/// An image for this machine, unpacked.
pub struct Image {
    /// Its root file system.
    pub root: PathBuf,
    /// What its configuration says under `config`.
    pub config: Value,
    /// The layer as a registry keeps it.
    pub layer: PathBuf,
}

impl Image {
    /// Packs the operator under test without an engine, into `NAME.tar` of the directory.
    pub fn pack(directory: &Path, name: &str) -> PathBuf {
        let archive = directory.join(format!("{name}.tar"));
        let mut build = script("deploy/image/build");
        eprint!("{}", said(build.env("ENGINE", "none").env("ARCHIVE", &archive)));
        archive
    }

    /// Unpacks an archive as a runtime does.
    pub fn unpack(archive: &Path) -> Self {
        let layout = Layout::unpack(archive);
        let manifest = layout.json(&layout.index()["manifests"][0]);
        let config = layout.json(&manifest["config"]);
        layout.blob(&manifest["layers"][0]);
        let layer = layout.path(&manifest["layers"][0]);
        let content = done(Command::new("gzip").args(["--decompress", "--stdout"]).arg(&layer));
        assert_eq!(config["rootfs"]["diff_ids"][0], format!("sha256:{}", sha256_hex(&content)));
        let root = archive.with_extension("root");
        unpack(&layer, &root);
        Self { root, config: config["config"].clone(), layer }
    }

    /// User and group, as numbers.
    pub fn user(&self) -> (u32, u32) {
        let user = self.config["User"].as_str().unwrap();
        let (user, group) = user.split_once(':').unwrap();
        (user.parse().unwrap(), group.parse().unwrap())
    }

    /// A file that a kubelet mounts from a Secret, readable for the group of the pod alone.
    pub fn mount(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o440)).unwrap();
        if is_root() {
            chown(&path, Some(0), Some(self.user().1)).unwrap();
        }
    }

    /// A file that everybody in the container may read.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.root.join(path.trim_start_matches('/')), content).unwrap();
    }

    /// The entry point with arguments and nothing but this environment, as the image's user. Who is not root
    /// becomes it in a user namespace, where that is allowed.
    pub fn process(
        &self,
        plane: &ControlPlane,
        environment: &[(String, String)],
        arguments: &[String],
    ) -> Process {
        let (user, group) = self.user();
        let root = self.root.display();
        let (outer, inner): (&[&str], Vec<String>) = if is_root() {
            (&["--mount"], vec!["chroot".into(), format!("--userspec={user}:{group}"), root.to_string()])
        } else {
            let ids = [format!("--map-user={user}"), format!("--map-group={group}")];
            let inner =
                [&["unshare".into(), "--user".into()], &ids[..], &[format!("--root={root}")]].concat();
            (&["--map-root-user", "--mount"], inner)
        };
        let entry = self.config["Entrypoint"].as_array().unwrap();
        let entry = entry.iter().map(|word| word.as_str().unwrap().to_owned());
        plane
            .process("container", "unshare")
            .args(outer.iter().copied())
            .args(["sh", "-c", READ_ONLY, "sh"])
            .args([root.to_string()])
            .args(environment.iter().map(|(name, value)| format!("{name}={value}")))
            .args(inner)
            .args(entry)
            .args(arguments.to_vec())
    }
}

const READ_ONLY: &str = r#"
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
shift
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
"#;

/// Whether this test runs as root.
pub fn is_root() -> bool {
    said(Command::new("id").arg("-u")).trim() == "0"
}

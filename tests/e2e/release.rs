//! What a release publishes, made here from the binaries under test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tenios_api::digest::sha256_hex;

use crate::shell::{done, has_released_plugin, operator, plugin, said, script};
use harness::checkout;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of a release with the part of this machine alone, made once.
pub fn dist() -> &'static Path {
    static DIST: OnceLock<PathBuf> = OnceLock::new();
    DIST.get_or_init(|| make("dist"))
}

fn make(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("release-{name}"));
    let _ = std::fs::remove_dir_all(&directory);
    let [parts, dist] = ["parts", "dist"].map(|part| directory.join(part));
    done(script("deploy/release/part").arg(&parts));
    done(script("deploy/release/assemble").arg(VERSION).args([&parts, &dist]));
    dist
}

/// Such as `linux-amd64`.
pub fn platform() -> String {
    said(script("deploy/release/part").arg("platform")).trim().to_owned()
}

/// `NAME-VERSION` of a component of an SBOM.
pub fn named(component: &Value) -> String {
    format!("{}-{}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
}

/// The crates that left a path of their source in the binary, as `NAME-VERSION`. Most do, in the messages of
/// their panics; so this knows without asking cargo.
pub fn linked_crates(binary: &Path) -> BTreeSet<String> {
    let content = std::fs::read(binary).unwrap();
    let text = String::from_utf8_lossy(&content);
    let paths = text.split("registry/src/").skip(1).filter_map(|path| path.split('/').nth(1));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let crates: BTreeSet<String> =
        paths.map(|path| path.chars().take_while(|c| is_name(*c)).collect()).collect();
    assert!(crates.len() > 50, "{crates:?}");
    crates
}

fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn two_runs_make_the_same_bytes() {
    let [first, second] = [files(dist()), files(&make("again"))];
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&first), names(&second));
    let other: Vec<_> =
        first.iter().filter(|(name, content)| second[*name] != **content).map(|(n, _)| n).collect();
    assert!(other.is_empty(), "{other:?}");
}

#[test]
fn the_sums_cover_every_file() {
    said(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(dist()));
    let files = files(dist());
    let sums = String::from_utf8(files["SHA256SUMS"].clone()).unwrap();
    let summed: BTreeSet<_> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    let all: BTreeSet<_> = files.keys().map(String::as_str).filter(|name| *name != "SHA256SUMS").collect();
    assert_eq!(summed, all);
    for expected in
        ["-image.tar", ".tgz", "-crds.yaml", ".cdx.json", ".tar.gz", "tenios.yaml", "release-notes.md"]
    {
        assert!(all.iter().any(|name| name.ends_with(expected)), "no {expected} in {all:?}");
    }
}

#[test]
fn the_sboms_list_every_crate_that_is_linked_and_no_other() {
    judge_sbom("tenios-operator", &operator());
    if has_released_plugin() {
        // That of the tests is linked to glibc, for which a crate more is compiled in.
        judge_sbom("kubectl-tenios", &plugin());
    }
}

fn judge_sbom(name: &str, binary: &Path) {
    let file = format!("{name}-{VERSION}-{}.cdx.json", platform());
    let sbom: Value = serde_json::from_slice(&std::fs::read(dist().join(file)).unwrap()).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let components = sbom["components"].as_array().unwrap();
    let listed: BTreeSet<String> = components.iter().map(named).collect();
    let missing: Vec<_> = linked_crates(binary).difference(&listed).cloned().collect();
    assert!(missing.is_empty(), "linked and not listed: {missing:?}");

    let lock = checksums();
    for component in components {
        let purl = component["purl"].as_str().unwrap();
        if purl.starts_with("pkg:deb/") {
            continue;
        }
        let checksum = lock.get(&named(component)).unwrap_or_else(|| panic!("{purl} is not in Cargo.lock"));
        assert_eq!(component["hashes"][0]["content"], **checksum, "{purl}");
        assert!(component["licenses"][0]["expression"].as_str().is_some_and(|l| !l.contains('/')), "{purl}");
    }
    // These are for the tests and for compiling.
    for name in ["proptest", "stateright", "serde_derive", "cc"] {
        assert!(!components.iter().any(|component| component["name"] == name), "{name} is not linked");
    }
    let references: BTreeSet<_> =
        components.iter().map(|component| component["bom-ref"].as_str().unwrap()).collect();
    for dependency in sbom["dependencies"].as_array().unwrap() {
        for reference in dependency["dependsOn"].as_array().unwrap() {
            assert!(references.contains(reference.as_str().unwrap()), "{reference}");
        }
    }
}

fn checksums() -> BTreeMap<String, String> {
    let lock = std::fs::read_to_string(checkout("Cargo.lock")).unwrap();
    let value = |package: &str, key: &str| {
        let line =
            package.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")).map(str::to_owned))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|p| {
            Some((format!("{}-{}", value(p, "name")?, value(p, "version")?), value(p, "checksum")?))
        })
        .collect()
}

#[test]
fn the_chart_package_renders_what_the_chart_renders() {
    let tools = PathBuf::from(said(&mut Command::new(checkout("tests/deploy-tools/build"))).trim_end());
    let render = |chart: &Path| {
        let mut helm = Command::new(tools.join("helm"));
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            helm.env(variable, Path::new(env!("CARGO_TARGET_TMPDIR")).join("helm"));
        }
        said(helm.args(["template", "tenios", "--namespace", "tenios-system"]).arg(chart))
    };
    let package = dist().join(format!("tenios-operator-{VERSION}.tgz"));
    let rendered = render(&package);
    assert!(rendered.contains("kind: Deployment"));
    assert_eq!(rendered, render(&checkout("deploy/chart")));
    let packed = said(Command::new("tar").args(["--list", "--file"]).arg(&package));
    let packed: BTreeSet<_> = packed.lines().filter(|line| !line.ends_with('/')).collect();
    let ours = said(Command::new("git").args(["ls-files", "."]).current_dir(checkout("deploy/chart")));
    let ours: BTreeSet<_> =
        ours.lines().filter(|l| *l != ".helmignore").map(|l| format!("tenios-operator/{l}")).collect();
    assert_eq!(packed, ours.iter().map(String::as_str).collect());
}

#[test]
fn a_release_of_another_version_than_the_checkouts_is_refused() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-refused");
    let mut assemble = script("deploy/release/assemble");
    let output = assemble.arg("9.9.9").args([&directory, &directory.join("dist")]);
    std::fs::create_dir_all(&directory).unwrap();
    let output = output.output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Cargo.toml has another version than 9.9.9"), "{said}");
}

/// The rules of Krew's `internal/index/validation`, for one that is released and for the template.
#[test]
fn krew_takes_the_manifest() {
    let template = manifest(&checkout("deploy/krew/tenios.yaml"));
    let selected: Vec<_> = platforms(&template).iter().map(selector).collect();
    assert_eq!(selected, ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"]);

    let released = manifest(&dist().join("tenios.yaml"));
    assert_eq!(released["spec"]["version"], format!("v{VERSION}"));
    let [platform] = platforms(&released) else { panic!("a platform without a part: {released}") };
    assert_eq!(selector(platform), self::platform());
    let (_, file) = platform["uri"].as_str().unwrap().rsplit_once('/').unwrap();
    assert_eq!(platform["sha256"], sha256_hex(std::fs::read(dist().join(file)).unwrap()));
    let packed = said(Command::new("tar").args(["--list", "--file"]).arg(dist().join(file)));
    assert!(packed.lines().any(|name| platform["bin"] == name), "{packed}");
}

fn manifest(path: &Path) -> Value {
    let manifest: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(manifest["apiVersion"], "krew.googlecontainertools.github.com/v1alpha2");
    assert_eq!(manifest["kind"], "Plugin");
    assert_eq!(path.file_stem().unwrap().to_str(), manifest["metadata"]["name"].as_str());
    let spec = &manifest["spec"];
    let short = spec["shortDescription"].as_str().unwrap();
    assert!(!short.is_empty() && !short.contains('\n'));
    let version: Vec<_> = spec["version"].as_str().unwrap().strip_prefix('v').unwrap().split('.').collect();
    assert!(version.len() == 3 && version.iter().all(|part| part.parse::<u32>().is_ok()), "{version:?}");
    for platform in platforms(&manifest) {
        let text = |key: &str| platform[key].as_str().unwrap_or_else(|| panic!("no {key} in {platform}"));
        assert!(
            text("uri").starts_with("https://")
                && text("uri").ends_with(&format!("{}.tar.gz", selector(platform)))
        );
        assert!(
            text("sha256").len() == 64 && text("sha256").bytes().all(|b| b"0123456789abcdef".contains(&b))
        );
        assert!(!text("bin").is_empty());
    }
    manifest
}

fn platforms(manifest: &Value) -> &[Value] {
    manifest["spec"]["platforms"].as_array().unwrap()
}

fn selector(platform: &Value) -> String {
    let labels = platform["selector"]["matchLabels"].as_object().unwrap();
    assert_eq!(labels.len(), 2, "Krew knows os and arch");
    format!("{}-{}", labels["os"].as_str().unwrap(), labels["arch"].as_str().unwrap())
}

//! The image: what is in it, and that the operator needs nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tenios_api::PhoneNumberOrder;
use tenios_api::order::OrderState;
use tenios_http_server::Tls;
use tenios_simulator::{DocumentState, Options, Simulator};

use crate::container::{Image, Layout, is_root};
use crate::name_server;
use crate::release::linked_crates;
use crate::shell::{is_release, operator, said, script, unpack};
use harness::{ControlPlane, Process, TestNamespaces, checkout, http, ports, wait};

const PATIENCE: Duration = Duration::from_secs(30);
const MEGABYTE: u64 = 1_000_000;
const PROVIDER: &str = "provider.test";
const APISERVER: &str = "kubernetes.default.svc";

/// What the Deployment says about its pod.
fn pod() -> Value {
    let deployment = std::fs::read_to_string(checkout("deploy/base/deployment.yaml")).unwrap();
    let deployment: Value = serde_saphyr::from_str(&deployment).unwrap();
    deployment["spec"]["template"]["spec"].clone()
}

#[tokio::test]
async fn the_image_alone_is_enough_to_order_a_number() {
    let namespaces = TestNamespaces::new("image").await;
    let plane = &namespaces.control_plane;
    let image = Image::unpack(&Image::pack(plane.directory(), "run"));
    let simulator = provider(plane, &image).await;
    names(&image).await;
    service_account(&namespaces, &image).await;
    let [push, health] = [(); 2].map(|()| ports::free());
    let environment = environment(&namespaces, &image, &simulator, push, health);

    let arguments: Vec<String> = serde_json::from_value(pod()["containers"][0]["args"].clone()).unwrap();
    let process = image.process(plane, &environment, &arguments);
    process.start().unwrap();
    wait::until("a ready operator", PATIENCE, async || {
        assert!(process.try_exit_status().is_none(), "it ended:\n{}", process.log_tail());
        let answer = http::get(health, "/readyz").await;
        answer.is_ok_and(|answer| answer.status == 200).then_some(())
    })
    .await;
    is_confined(&process, &image);

    let id = uuid::Uuid::new_v4();
    simulator.set_document(id, DocumentState::Approved);
    let orders: Api<PhoneNumberOrder> = namespaces.api();
    let order = json!({"apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder", "metadata": {"name": "o"},
        "spec": {"verificationId": id}});
    orders.create(&PostParams::default(), &serde_json::from_value(order).unwrap()).await.unwrap();
    let state = async || orders.get("o").await.unwrap().status.and_then(|status| status.state);
    wait::until_seen("a number", PATIENCE, state, |state| *state == Some(OrderState::Assigned)).await;
    assert_eq!(simulator.requests("/number/order"), 1);
    process.terminate();
    assert!(process.exit_status(PATIENCE).await.success(), "{}", process.log_tail());
}

/// A provider whose certificate leads to a root among those of the image, and nowhere else.
async fn provider(plane: &ControlPlane, image: &Image) -> Simulator {
    let file = |suffix: &str| plane.directory().join(format!("image-provider.{suffix}"));
    let pair = rcgen::generate_simple_self_signed([PROVIDER.to_owned()]).unwrap();
    std::fs::write(file("crt"), pair.cert.pem()).unwrap();
    std::fs::write(file("key"), pair.signing_key.serialize_pem()).unwrap();
    let bundle = "etc/ssl/certs/ca-certificates.crt";
    let roots = std::fs::read_to_string(image.root.join(bundle)).unwrap();
    assert!(roots.matches("BEGIN CERTIFICATE").count() > 100, "the public roots are in the image");
    image.write(bundle, format!("{roots}{}", pair.cert.pem()));
    let options = Options {
        assign_after: Duration::from_millis(50),
        tls: Some(Tls::from_files(&file("crt"), &file("key")).unwrap()),
        plain_push: true,
        ..Options::new("the-access-key")
    };
    Simulator::start("127.0.0.1:0".parse().unwrap(), options).await.unwrap()
}

/// What a kubelet writes about names, with the search list that pods have.
async fn names(image: &Image) {
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    if name_server::serve(&[PROVIDER, "kubernetes.default.svc.cluster.local"]).await.is_none() {
        eprintln!("port 53 is not for this user: names come from /etc/hosts alone");
        hosts = format!("{hosts}127.0.0.1 {PROVIDER} {APISERVER}\n");
    }
    image.write("etc/hosts", hosts);
    let search = "search shop.svc.cluster.local svc.cluster.local cluster.local";
    let server = name_server::ADDRESS;
    image.write("etc/resolv.conf", format!("{search}\nnameserver {server}\noptions ndots:5\n"));
}

/// The token of the operator's `ServiceAccount`, where a kubelet mounts it.
async fn service_account(namespaces: &TestNamespaces, image: &Image) {
    let plane = &namespaces.control_plane;
    let kubeconfig = plane.kubeconfig(&namespaces.operator_identity()).await;
    let kubeconfig: Value = serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
    let directory = "/var/run/secrets/kubernetes.io/serviceaccount";
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    image.mount(&format!("{directory}/token"), token);
    image.mount(&format!("{directory}/ca.crt"), std::fs::read(plane.authority()).unwrap());
    image.mount(&format!("{directory}/namespace"), &namespaces.operator_namespace);
}

/// What the Deployment says and the kubelet adds, with the ports and addresses of this test.
fn environment(
    namespaces: &TestNamespaces,
    image: &Image,
    simulator: &Simulator,
    push: u16,
    health: u16,
) -> Vec<(String, String)> {
    let mut environment = BTreeMap::new();
    for variable in pod()["containers"][0]["env"].as_array().unwrap() {
        // The one that has none is the namespace.
        let value = variable["value"].as_str().unwrap_or(&namespaces.operator_namespace);
        environment.insert(variable["name"].as_str().unwrap().to_owned(), value.to_owned());
    }
    image.mount(&environment["TENIOS_ACCESS_KEY_FILE"], "the-access-key");
    image.mount(&environment["TENIOS_PUSH_KEY_FILE"], "0123456789abcdef");
    let port = |url: &str| url.trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    for (name, value) in [
        ("KUBERNETES_SERVICE_HOST", APISERVER.to_owned()),
        ("KUBERNETES_SERVICE_PORT", port(namespaces.control_plane.server())),
        ("TENIOS_URL", format!("https://{PROVIDER}:{}", port(simulator.url()))),
        ("TENIOS_PUSH_BASE_URL", format!("http://127.0.0.1:{push}")),
        ("TENIOS_ALLOW_HTTP", "true".to_owned()),
        ("TENIOS_PUSH_LISTEN", format!("127.0.0.1:{push}")),
        ("TENIOS_HEALTH_LISTEN", format!("127.0.0.1:{health}")),
        ("TENIOS_METRICS_LISTEN", format!("127.0.0.1:{}", ports::free())),
        ("TENIOS_WATCH_NAMESPACE", namespaces.namespace.clone()),
    ] {
        environment.insert(name.to_owned(), value);
    }
    environment.into_iter().collect()
}

/// Not root, no capability, and a root that is the image's and can't be written.
fn is_confined(process: &Process, image: &Image) {
    let read = |file: &str| {
        std::fs::read_to_string(format!("/proc/{}/{file}", process.pid().unwrap())).unwrap_or_default()
    };
    let status = read("status");
    let line =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    if is_root() {
        // Seen from outside, a user namespace of somebody else's shows that user.
        assert!(line("Uid:").split_whitespace().all(|id| id == image.user().0.to_string()), "{status}");
    }
    assert_eq!(line("CapEff:"), "0000000000000000");
    let mounts = read("mountinfo");
    let root = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some("/"));
    let options = root.and_then(|line| line.split(' ').nth(5)).unwrap_or_default();
    assert!(options.split(',').any(|option| option == "ro"), "the root can be written: {mounts}");
}

#[test]
fn the_image_is_small_and_carries_licence_and_sbom() {
    let directory = tempdir("small");
    let image = Image::unpack(&Image::pack(&directory, "small"));
    let size = std::fs::metadata(&image.layer).unwrap().len();
    println!("the image has {size} bytes, compressed");
    if is_release() {
        assert!(size < 15 * MEGABYTE, "{size}");
    }
    let context = &pod()["securityContext"];
    let (user, group) = image.user();
    assert_eq!((&context["runAsUser"], &context["runAsGroup"]), (&user.into(), &group.into()));

    let labelled = |label: &str| {
        let path = image.config["Labels"][label].as_str().unwrap_or_else(|| panic!("no label {label}"));
        std::fs::read(image.root.join(path.trim_start_matches('/'))).unwrap()
    };
    assert_eq!(labelled("dev.tenios.license"), std::fs::read(checkout("LICENSE")).unwrap());
    let sbom: Value = serde_json::from_slice(&labelled("dev.tenios.sbom")).unwrap();
    let notices = String::from_utf8(labelled("dev.tenios.notices")).unwrap();
    let names: BTreeSet<String> =
        sbom["components"].as_array().unwrap().iter().map(crate::release::named).collect();
    let missing: Vec<_> =
        linked_crates(&image.root.join("tenios-operator")).difference(&names).cloned().collect();
    assert!(missing.is_empty(), "linked and not in the SBOM: {missing:?}");
    let crates = sbom["components"].as_array().unwrap().iter();
    let crates = crates.filter(|component| component["purl"].as_str().unwrap().starts_with("pkg:cargo/"));
    let unnoticed: Vec<_> =
        crates.map(crate::release::named).filter(|name| !notices.contains(name)).collect();
    assert!(unnoticed.is_empty(), "nothing is said of the licence of {unnoticed:?}");
    for package in ["libc6", "libgcc-s1", "ca-certificates"] {
        assert!(sbom["components"].as_array().unwrap().iter().any(|c| c["name"] == package), "{package}");
    }

    let listing = said(
        Command::new("tar").args(["--list", "--verbose", "--numeric-owner", "--file"]).arg(&image.layer),
    );
    for line in listing.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        assert_eq!(words[1], "0/0", "{line}");
        assert!(!words[0].contains('s') && (&words[0][8..9] == "-" || words[5] == "./tmp/"), "{line}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn two_builds_of_the_image_are_the_same_bytes() {
    let directory = tempdir("same");
    let [first, second] =
        ["first", "second"].map(|name| std::fs::read(Image::pack(&directory, name)).unwrap());
    assert!(first == second);
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn one_archive_holds_the_image_of_each_architecture() {
    let directory = tempdir("architectures");
    let mut pack = script("deploy/image/pack");
    let archive = directory.join("both.tar");
    pack.arg("0.1.0").arg(&archive);
    for architecture in ["amd64", "arm64"] {
        let root = directory.join(architecture);
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("tenios-operator"), architecture).unwrap();
        pack.arg(format!("{architecture}={}", root.display()));
    }
    said(&mut pack);
    let layout = Layout::unpack(&archive);
    let images = layout.json(&layout.index()["manifests"][0])["manifests"].clone();
    let [first, second] = images.as_array().unwrap().as_slice() else { panic!("{images}") };
    for (descriptor, architecture) in [(first, "amd64"), (second, "arm64")] {
        assert_eq!(descriptor["platform"], json!({"architecture": architecture, "os": "linux"}));
        let image = layout.json(descriptor);
        assert_eq!(layout.json(&image["config"])["architecture"], architecture);
        let root = directory.join(architecture).with_extension("unpacked");
        layout.blob(&image["layers"][0]);
        unpack(&layout.path(&image["layers"][0]), &root);
        assert_eq!(std::fs::read_to_string(root.join("tenios-operator")).unwrap(), architecture);
    }
    std::fs::remove_dir_all(directory).unwrap();
}

/// No engine is needed for the tests, so the two are compared word for word.
#[test]
fn the_dockerfile_says_what_the_packed_image_says() {
    let directory = tempdir("dockerfile");
    let packed = Image::unpack(&Image::pack(&directory, "dockerfile")).config;
    std::fs::remove_dir_all(directory).unwrap();
    let dockerfile = std::fs::read_to_string(checkout("deploy/image/Dockerfile")).unwrap();
    let dockerfile = dockerfile.replace("\\\n", " ");
    let (build, image) = dockerfile.split_once("\nFROM scratch\n").expect("nothing below the image");
    let said = |instruction: &str| {
        let mut lines = image.lines().filter_map(|line| line.strip_prefix(instruction));
        lines.next().unwrap_or_else(|| panic!("no {instruction}")).trim().to_owned()
    };
    assert_eq!(packed["User"], said("USER "));
    assert_eq!(packed["WorkingDir"], said("WORKDIR "));
    assert_eq!(packed["Entrypoint"], serde_json::from_str::<Value>(&said("ENTRYPOINT ")).unwrap());
    let environment: Value = said("ENV ").split(' ').map(Value::from).collect();
    assert_eq!(packed["Env"], environment);
    let exposed: Value = said("EXPOSE ").split(' ').map(|port| (port.to_owned(), json!({}))).collect();
    assert_eq!(packed["ExposedPorts"], exposed);
    let labels = said("LABEL ");
    for (label, value) in packed["Labels"].as_object().unwrap() {
        let of_each_build = ["version", "revision"].iter().any(|name| label.ends_with(name));
        let value = if of_each_build { "${" } else { value.as_str().unwrap() };
        assert!(labels.contains(&format!("{label}=\"{value}")), "{label}={value} is not in {labels}");
    }
    for path in
        build.split_whitespace().filter(|word| word.starts_with("deploy/") && !word.ends_with("Dockerfile"))
    {
        assert!(checkout(path).is_file(), "{path}");
    }
}

#[test]
fn what_the_dockerfile_gets_is_enough_to_make_the_image() {
    let directory = tempdir("context");
    let ignored = std::fs::read_to_string(checkout("deploy/image/Dockerfile.dockerignore")).unwrap();
    let (all, kept) = ignored.split_once('\n').unwrap();
    assert_eq!(all, "*");
    for path in kept.lines().map(|line| line.strip_prefix('!').unwrap()) {
        let to = directory.join(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        said(Command::new("cp").arg("-R").arg(checkout(path)).arg(to));
    }
    let run = |script: &str, arguments: &[&Path]| {
        said(Command::new(directory.join(script)).args(arguments).current_dir(&directory))
    };
    let [documents, root] = ["documents", "root"].map(|name| directory.join("out").join(name));
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    run(
        "deploy/release/documents",
        &[Path::new("tenios-operator"), Path::new(&target), &operator(), &documents],
    );
    run("deploy/image/rootfs", &[&operator(), &documents, &root]);
    // What compiles there compiles here: nothing outside of src goes into the source.
    said(Command::new("cargo").args(["metadata", "--locked", "--no-deps"]).current_dir(&directory));
    assert!(directory.join("src/operator/src/main.rs").is_file());
    let outside =
        Command::new("grep").args(["-rE", r"include_(str|bytes)!\(.*\.\./"]).arg(checkout("src")).output();
    assert_eq!(String::from_utf8(outside.unwrap().stdout).unwrap(), "");
    std::fs::remove_dir_all(directory).unwrap();
}

fn tempdir(name: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(format!("tenios-{name}-{}", uuid::Uuid::new_v4().simple()));
    std::fs::create_dir(&directory).unwrap();
    directory
}

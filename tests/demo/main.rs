//! From `kubectl apply` to a phone number, on a real control plane: what `make demo` runs.
//!
//! Then the cluster is lost, and a second one finds the numbers with the ledger that is outside of both.
//! Exit code 0 only if two numbers arrived, the second cluster shows the same, and the simulator received exactly one
//! verification, two orders and one cancellation.

mod cluster;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use cluster::Cluster;
use harness::{ControlPlane, Kubectl, Process, Program, Result, checkout, http, ports, wait};
use progress::{Progress, Snapshot};

const NAMESPACE: &str = "shop";
const NUMBERS: [&str; 2] = ["main-line", "branch-line"];
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    let mut demo = match Demo::start().await {
        Ok(demo) => demo,
        Err(failure) => {
            eprintln!("demo: {failure}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = demo.run().await;
    match &outcome {
        Ok(()) => println!("\nDone in {:.0} s.", began.elapsed().as_secs_f64()),
        Err(failure) => {
            eprintln!("\ndemo: {failure}\n\nthe operator's log ends:\n{}", demo.cluster.operator.log_tail());
        }
    }
    if std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        println!("\nEverything is still running. In another terminal:");
        let Cluster { kubectl, control_plane, .. } = &demo.cluster;
        println!("  export KUBECONFIG={}", kubectl.kubeconfig().display());
        println!("  kubectl get tenios -A       # kubectl is in {}", control_plane.binaries().display());
        println!("Ctrl-C ends it and leaves nothing behind.");
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    for cluster in demo.lost.iter().chain([&demo.cluster]) {
        cluster.control_plane.shut_down();
    }
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Demo {
    simulator: Process,
    simulator_port: u16,
    journal: PathBuf,
    ledger: PathBuf,
    cluster: Cluster,
    lost: Option<Cluster>,
}

impl Demo {
    async fn start() -> Result<Self> {
        let control_plane = cluster::control_plane().await?;
        say("Starting the simulator of the provider: it assigns a number 2 s after an order");
        let journal = control_plane.directory().join("journal.jsonl");
        let simulator_port = ports::free();
        let simulator = simulator(&control_plane, simulator_port, &journal);
        simulator.start()?;
        let answers = async || match simulator.try_exit_status() {
            Some(_) => Some(false),
            None => http::get(simulator_port, "/").await.is_ok().then_some(true),
        };
        if wait::poll(PATIENCE, answers).await != Some(true) {
            return Err(format!("the simulator doesn't answer:\n{}", simulator.log_tail()).into());
        }

        say(
            "Starting the operator, with its ledger outside of the cluster: a directory in place of a bucket",
        );
        let ledger = control_plane.directory().join("ledger");
        std::fs::create_dir(&ledger)?;
        let cluster = Cluster::start(control_plane, simulator_port, &ledger).await?;
        Ok(Self { simulator, simulator_port, journal, ledger, cluster, lost: None })
    }

    async fn run(&mut self) -> Result<()> {
        let first = self.order().await?;
        self.lose_the_cluster().await?;
        let (mut progress, found) = self.find(&first).await?;
        self.cancel(found.number("branch-line").unwrap_or_default()).await?;
        let cancelled = |all: &Snapshot| all.field("branch-line", "cancellationDate").is_some();
        self.until(&mut progress, "the cancellation date", cancelled).await?;
        self.judge()
    }

    async fn order(&self) -> Result<Snapshot> {
        say("Applying a document, a verification, an order, and a second order linked to the first");
        let mut progress = self.apply_the_samples().await?;
        let verification = |all: &Snapshot| all.field("cologne-office", "state") == Some("AwaitingApproval");
        let seen = self.until(&mut progress, "the verification's id", verification).await?;
        let id = seen.field("cologne-office", "verificationId").ok_or("a verification without an id")?;
        self.approve(id).await?;

        self.until(&mut progress, "both numbers", |all| {
            NUMBERS.iter().all(|name| all.number(name).is_some())
        })
        .await?;
        let seen = self.until(&mut progress, "everything to be ready", Snapshot::all_ready).await?;
        if seen.number("main-line") == seen.number("branch-line") {
            return Err("both orders show the same number".into());
        }
        self.show().await?;
        Ok(seen)
    }

    async fn lose_the_cluster(&mut self) -> Result<()> {
        say("Losing the cluster: everything in it is killed, and its etcd is deleted");
        self.cluster.lose().await?;
        let control_plane = cluster::control_plane().await?;
        say("Starting the operator in the new cluster, with the same ledger");
        let new = Cluster::start(control_plane, self.simulator_port, &self.ledger).await?;
        self.lost = Some(std::mem::replace(&mut self.cluster, new));
        Ok(())
    }

    /// The same manifests in the new cluster; nobody approves anything again.
    async fn find(&self, first: &Snapshot) -> Result<(Progress, Snapshot)> {
        say("Applying the same manifests there");
        let mut progress = self.apply_the_samples().await?;
        let seen = self.until(&mut progress, "everything to be ready", |all| {
            all.all_ready() && NUMBERS.iter().all(|name| all.number(name).is_some())
        });
        let seen = seen.await?;
        if NUMBERS.iter().any(|name| seen.number(name) != first.number(name)) {
            return Err("the new cluster shows other numbers".into());
        }
        self.show().await?;
        Ok((progress, seen))
    }

    async fn apply_the_samples(&self) -> Result<Progress> {
        kubectl_as_typed(&self.cluster.kubectl, &["apply", "-f", "deploy/samples/"]).await?;
        say("Watching");
        Ok(Progress::new(&self.cluster.control_plane.client().await, NAMESPACE))
    }

    async fn show(&self) -> Result<()> {
        println!();
        kubectl_as_typed(&self.cluster.kubectl, &["get", "pver,pno", "-n", NAMESPACE]).await
    }

    async fn cancel(&self, number: &str) -> Result<()> {
        say("Cancelling the second number: its order says so, and deleting the order would not");
        let cancel = format!(r#"{{"spec":{{"cancel":{{"phoneNumber":"{number}"}}}}}}"#);
        let arguments = ["patch", "pno", "branch-line", "-n", NAMESPACE, "--type=merge", "-p", &cancel];
        kubectl_as_typed(&self.cluster.kubectl, &arguments).await
    }

    async fn approve(&self, id: &str) -> Result<()> {
        say("The provider's staff approves the document, and a person who sees it in the portal says so");
        let path = format!("/_simulator/documents/{id}");
        let answer = http::post(self.simulator_port, &path, r#"{"state":"approved"}"#).await?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("the simulator answered {} to {path}: {}", answer.status, answer.body).into());
        }
        let approved = r#"{"spec":{"approval":"Approved"}}"#;
        let arguments = ["patch", "pver", "cologne-office", "-n", NAMESPACE, "--type=merge", "-p", approved];
        kubectl_as_typed(&self.cluster.kubectl, &arguments).await
    }

    async fn until(
        &self,
        progress: &mut Progress,
        what: &str,
        reached: impl Fn(&Snapshot) -> bool,
    ) -> Result<Snapshot> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = progress.look().await?;
            if reached(&seen) {
                return Ok(seen);
            }
            for process in [&self.cluster.operator.process, &self.simulator] {
                if let Some(status) = process.try_exit_status() {
                    return Err(
                        format!("{} ended ({status}):\n{}", process.name(), process.log_tail()).into()
                    );
                }
            }
            if Instant::now() > deadline {
                return Err(format!("waited {PATIENCE:?} in vain for {what}").into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The journal, not the operator's own word, says how often the provider was asked.
    fn judge(&self) -> Result<()> {
        let journal = std::fs::read_to_string(&self.journal)?;
        let requests: Vec<serde_json::Value> =
            journal.lines().map(serde_json::from_str).collect::<std::result::Result<_, _>>()?;
        let count = |path: &str| requests.iter().filter(|request| request["path"] == path).count();
        let (verifications, orders) = (count("/verification/create"), count("/number/order"));
        let cancelled = count("/number/cancel");
        say("What the provider received, by its own journal");
        println!("  POST /verification/create   {verifications}");
        println!("  POST /number/order          {orders}");
        println!("  POST /number/cancel         {cancelled}");
        if (verifications, orders, cancelled) == (1, 2, 1) {
            Ok(())
        } else {
            Err("expected 1 verification, 2 orders and 1 cancellation".into())
        }
    }
}

fn simulator(control_plane: &ControlPlane, port: u16, journal: &Path) -> Process {
    control_plane.process("simulator", Program::Simulator.path()).args([
        format!("--listen=127.0.0.1:{port}"),
        "--access-key=demo-key".to_owned(),
        // Only when it is told to: see `Demo::approve`.
        "--approve-after=never".to_owned(),
        "--assign-after=2s".to_owned(),
        format!("--journal={}", journal.display()),
    ])
}

fn say(what: &str) {
    println!("\n▸ {what}");
}

/// Shows the command and what it prints; paths are relative to the checkout.
async fn kubectl_as_typed(kubectl: &Kubectl, arguments: &[&str]) -> Result<()> {
    let shown = arguments.iter().map(|argument| {
        if argument.contains('{') { format!("'{argument}'") } else { (*argument).to_owned() }
    });
    println!("  $ kubectl {}", shown.collect::<Vec<_>>().join(" "));
    let absolute = |argument: &&str| match *argument {
        path if path.starts_with("crds/") || path.starts_with("deploy/") => {
            checkout(path).to_string_lossy().into_owned()
        }
        other => other.to_owned(),
    };
    let arguments: Vec<_> = arguments.iter().map(absolute).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let stdout = finish(kubectl.run(&arguments).await)?;
    stdout.lines().for_each(|line| println!("  {line}"));
    Ok(())
}

fn finish(output: harness::Output) -> Result<String> {
    if output.success {
        Ok(output.stdout)
    } else {
        Err(format!("{} failed:\n{}", output.command, output.stderr).into())
    }
}

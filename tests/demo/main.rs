//! From `kubectl apply` to a phone number, on a real control plane: what `make demo` runs.
//!
//! Exit code 0 only if two numbers arrived and the simulator received exactly one
//! verification and two orders.

mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::{
    ControlPlane, Identity, Kubectl, Operator, OperatorOptions, Process, Program, Result, checkout, http,
    ports, wait,
};
use progress::{Progress, Snapshot};

const OPERATOR_NAMESPACE: &str = "tenios-system";
const NAMESPACE: &str = "shop";
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> ExitCode {
    let began = Instant::now();
    let demo = match Demo::start().await {
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
            eprintln!("\ndemo: {failure}\n\nthe operator's log ends:\n{}", demo.operator.log_tail());
        }
    }
    if std::env::var_os("KEEP").is_some_and(|keep| !keep.is_empty() && keep != "0") {
        println!("\nEverything is still running. In another terminal:");
        println!("  export KUBECONFIG={}", demo.kubectl.kubeconfig().display());
        println!("  kubectl get tenios -A       # kubectl is in {}", demo.control_plane.binaries().display());
        println!("Ctrl-C ends it and leaves nothing behind.");
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
    demo.control_plane.shut_down();
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Demo {
    operator: Operator,
    simulator: Process,
    simulator_port: u16,
    journal: PathBuf,
    kubectl: Kubectl,
    // Last: what it started goes first.
    control_plane: ControlPlane,
}

impl Demo {
    async fn start() -> Result<Self> {
        say("Starting kube-apiserver, kube-controller-manager and etcd on loopback");
        let control_plane = ControlPlane::start_bare().await?;
        let kubectl = control_plane.kubectl();
        kubectl_as_typed(&kubectl, &["apply", "--server-side", "-f", "crds/"]).await?;
        let crds = checkout("crds").to_string_lossy().into_owned();
        finish(kubectl.run(&["wait", "--for=condition=Established", "--timeout=60s", "-f", &crds]).await)?;
        kubectl_as_typed(&kubectl, &["apply", "-k", "deploy/base"]).await?;

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

        say("Starting the operator as its ServiceAccount (there are no nodes to run its Deployment on)");
        let identity = Identity::service_account(OPERATOR_NAMESPACE, "tenios-operator");
        let kubeconfig = control_plane.kubeconfig(&identity).await;
        let options = OperatorOptions::new(&format!("http://127.0.0.1:{simulator_port}"))
            .access_key(None)
            .watch_everything();
        let operator = Operator::new(&control_plane, OPERATOR_NAMESPACE, NAMESPACE, &kubeconfig, options);
        operator.start()?;
        operator.wait_ready().await;
        Ok(Self { operator, simulator, simulator_port, journal, kubectl, control_plane })
    }

    async fn run(&self) -> Result<()> {
        say("Applying a document, a verification, an order, and a second order linked to the first");
        kubectl_as_typed(&self.kubectl, &["apply", "-f", "deploy/samples/"]).await?;

        say("Watching");
        let mut progress = Progress::new(&self.control_plane.client().await, NAMESPACE);
        let verification = |all: &Snapshot| all.field("cologne-office", "state") == Some("AwaitingApproval");
        let seen = self.until(&mut progress, "the verification's id", verification).await?;
        let id = seen.field("cologne-office", "verificationId").ok_or("a verification without an id")?;
        self.approve(id).await?;

        let numbers = |all: &Snapshot| {
            ["main-line", "branch-line"].iter().all(|order| all.field(order, "phoneNumber").is_some())
        };
        self.until(&mut progress, "both numbers", numbers).await?;
        let seen = self.until(&mut progress, "everything to be ready", Snapshot::all_ready).await?;
        if seen.field("main-line", "phoneNumber") == seen.field("branch-line", "phoneNumber") {
            return Err("both orders show the same number".into());
        }

        println!();
        kubectl_as_typed(&self.kubectl, &["get", "pver,pno", "-n", NAMESPACE]).await?;
        self.cancel(seen.field("branch-line", "phoneNumber").unwrap_or_default()).await?;
        let cancelled = |all: &Snapshot| all.field("branch-line", "cancellationDate").is_some();
        self.until(&mut progress, "the cancellation date", cancelled).await?;
        self.judge()
    }

    async fn cancel(&self, number: &str) -> Result<()> {
        say("Cancelling the second number: its order says so, and deleting the order would not");
        let cancel = format!(r#"{{"spec":{{"cancel":{{"phoneNumber":"{number}"}}}}}}"#);
        let arguments = ["patch", "pno", "branch-line", "-n", NAMESPACE, "--type=merge", "-p", &cancel];
        kubectl_as_typed(&self.kubectl, &arguments).await
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
        kubectl_as_typed(&self.kubectl, &arguments).await
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
            for process in [&self.operator.process, &self.simulator] {
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

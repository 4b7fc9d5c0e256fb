//! A control plane, the provider's stand-in, and who is measured: each a process of its own.

use std::sync::Arc;
use std::time::Duration;

use tenios_simulator::Millis;

use serde_json::{Value, json};

use crate::bare::Arguments;
use harness::{
    ControlPlane, Operator, OperatorOptions, Process, Program, Result, TestNamespaces, http, ports, program,
    wait,
};

const KEY: &str = "test-key";
const PATIENCE: Duration = Duration::from_secs(60);

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// [`crate::bare`]
    Bare,
    /// The operator.
    Operator,
}

/// A B B A, so many times each: what gets slower or faster with time is the same for both.
pub fn alternated(times: usize) -> impl Iterator<Item = Who> {
    [Who::Bare, Who::Operator, Who::Operator, Who::Bare].into_iter().cycle().take(2 * times)
}

/// See the module documentation.
pub struct Stage {
    /// The control plane.
    pub plane: Arc<ControlPlane>,
    /// The provider.
    pub provider: Provider,
}

impl Stage {
    /// Starts both.
    pub async fn start() -> Result<Self> {
        let plane = Arc::new(ControlPlane::start().await?);
        let provider = Provider::start(&plane).await?;
        Ok(Self { plane, provider })
    }

    /// Namespaces of its own, and whoever works there, ready.
    pub async fn contender(&self, who: Who, slots: u16) -> Result<Contender> {
        let namespaces = TestNamespaces::on(self.plane.clone(), "bench").await;
        let worker = match who {
            Who::Operator => Worker::Operator(namespaces.operator(self.options(slots)).await),
            Who::Bare => Worker::Bare(self.bare(&namespaces, slots).await?),
        };
        let contender = Contender { namespaces, worker };
        contender.leads().await;
        Ok(contender)
    }

    /// As it is shipped, but for the budgets and, where it is said, the requests in flight.
    pub fn options(&self, slots: u16) -> OperatorOptions {
        let slots = format!("--provider-concurrency={slots}");
        let budgets = ["--order-budget=1000000/24h", "--order-budget-per-namespace=1000000/24h"];
        program::image_environment()
            .into_iter()
            .fold(OperatorOptions::new(&self.provider.url()), |options, (name, value)| {
                options.env(&name, &value)
            })
            .args(budgets)
            .args(["--log=info", "--log-format=json"])
            .args([slots])
    }

    async fn bare(&self, namespaces: &TestNamespaces, slots: u16) -> Result<Process> {
        let port = ports::free();
        let arguments = Arguments {
            namespace: namespaces.namespace.clone(),
            ledger: namespaces.operator_namespace.clone(),
            provider: self.provider.url(),
            key: KEY.to_owned(),
            slots: usize::from(slots),
            port,
        };
        let process = self.again(namespaces, arguments.to_vec()).await?;
        process.start()?;
        let answers = async || {
            let answered = http::get(port, "/").await.is_ok();
            (answered || !process.is_running()).then_some(answered)
        };
        match wait::poll(PATIENCE, answers).await {
            Some(true) => Ok(process),
            _ => Err(format!("the bare client isn't ready:\n{}", process.log_tail()).into()),
        }
    }

    /// Reads all orders and entries of a namespaces, once. It isn't started yet.
    pub async fn list(&self, namespaces: &TestNamespaces) -> Result<Process> {
        let arguments = ["list", &namespaces.namespace, &namespaces.operator_namespace].map(str::to_owned);
        self.again(namespaces, arguments.to_vec()).await
    }

    /// This program once more, as the operator's user.
    async fn again(&self, namespaces: &TestNamespaces, arguments: Vec<String>) -> Result<Process> {
        let kubeconfig = self.plane.kubeconfig(&namespaces.operator_identity()).await;
        let name = format!("{}-{}", arguments[0], uuid::Uuid::new_v4().simple());
        let process = self.plane.process(&name, std::env::current_exe()?);
        Ok(process.args(arguments).env("KUBECONFIG", kubeconfig))
    }
}

/// Whoever works, in a place of its own. It ends when dropped.
pub struct Contender {
    /// The place.
    pub namespaces: TestNamespaces,
    /// Who.
    pub worker: Worker,
}

/// See [`Contender`].
pub enum Worker {
    /// [`crate::bare`]
    Bare(Process),
    /// The operator.
    Operator(Operator),
}

impl Contender {
    /// Its process.
    pub fn process(&self) -> &Process {
        match &self.worker {
            Worker::Bare(process) => process,
            Worker::Operator(operator) => &operator.process,
        }
    }

    /// Waits until it does its work.
    pub async fn leads(&self) {
        if let Worker::Operator(operator) = &self.worker {
            let leads = async || operator.metrics().await.contains("\ntenios_leader 1\n").then_some(());
            wait::until("the operator to lead", PATIENCE, leads).await;
        }
    }

    /// SIGTERM, and waits for the end.
    pub async fn stop(&self) {
        self.process().stop(PATIENCE).await;
    }

    /// What to say of a failure.
    pub fn failed(&self, what: &str) -> harness::Failure {
        format!("{what}; its log ends:\n{}", self.process().log_tail()).into()
    }
}

/// The simulator as a process.
pub struct Provider {
    // It ends when dropped.
    _process: Process,
    port: u16,
}

impl Provider {
    async fn start(plane: &ControlPlane) -> Result<Self> {
        let port = ports::free();
        let listen = format!("--listen=127.0.0.1:{port}");
        let program = Program::Simulator.path();
        let process = plane.process("simulator", program).args([listen]).env("TENIOS_ACCESS_KEY", KEY);
        process.start()?;
        let answers = async || http::get(port, "/_simulator/settings").await.ok();
        match wait::poll(PATIENCE, answers).await {
            Some(_) => Ok(Self { _process: process, port }),
            None => Err(format!("the simulator isn't ready:\n{}", process.log_tail()).into()),
        }
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// Forgets all before, and takes so long from now on. Returns the id of an approved document.
    pub async fn reset(&self, answer: Duration, push: Duration) -> Result<String> {
        self.command("POST", "reset", &json!({})).await?;
        self.command("PUT", "settings", &json!({"assign_after_ms": Millis::from(push)})).await?;
        let delay =
            json!({"path": "/number/order", "times": 0, "action": {"delay": {"ms": Millis::from(answer)}}});
        self.command("POST", "faults", &delay).await?;
        let document = self.command("POST", "documents", &json!({})).await?;
        Ok(document["verification_id"].as_str().ok_or("no document")?.to_owned())
    }

    /// Changes how it behaves.
    pub async fn set(&self, settings: &Value) -> Result<()> {
        self.command("PUT", "settings", settings).await.map(drop)
    }

    /// The requests that arrived, in that order.
    pub async fn journal(&self) -> Result<Vec<Value>> {
        self.shows("journal").await
    }

    /// The pushes that were sent.
    pub async fn pushes(&self) -> Result<Vec<Value>> {
        self.shows("pushes").await
    }

    async fn shows(&self, what: &str) -> Result<Vec<Value>> {
        let answer = http::get(self.port, &format!("/_simulator/{what}")).await?;
        Ok(serde_json::from_str(&answer.body)?)
    }

    async fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let url = format!("{}_simulator/{path}", self.url());
        let client = reqwest::Client::builder().no_proxy().build()?;
        let request = client.request(method.parse()?, url).body(body.to_string());
        let answer = request.send().await?;
        let status = answer.status();
        let body = answer.bytes().await?;
        if !status.is_success() {
            return Err(format!("the simulator: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

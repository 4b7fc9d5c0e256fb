//! A tenant with the role `edit` and half an hour (promise 26): what the operator's memory, another tenant and
//! the ledger notice of it.

mod limit;
mod tenant;
mod victim;
mod ways;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::{Api, ListParams};
use serde_json::Value;
use tenios_api::LedgerEntry;
use tenios_ledger::VERIFICATIONS_KEPT;
use tenios_simulator::{Action, Fault, Simulator};

use harness::watchdog::lock;
use harness::{ControlPlane, Operator, OperatorOptions, TestNamespaces, checkout, provider, wait};
use tenant::Tenant;
use victim::{Times, Victim};
use ways::{Stuff, Way};

/// Half of what the chart gives a pod.
const ENOUGH_KIB: u64 = 64 * 1024;
/// Of the time that a single order takes while nobody attacks.
const SLOWER: f64 = 3.0;

const PROVIDER_TAKES: Duration = Duration::from_millis(200);
/// Short, so that the end of what is kept for it is seen; with far more in it than the shipped one, so that
/// it holds nobody back.
const BUDGETS: [&str; 2] = ["--order-budget=5000/2m", "--order-budget-per-namespace=1000/2m"];
const WINDOW: Duration = Duration::from_secs(120);

/// At a time.
const WAYS_AT_ONCE: usize = 3;

/// Until everything that cost nothing is gone at most: the window, and a sweep after it.
const UNTIL_SWEPT: Duration = Duration::from_secs(420);

/// What came of it.
pub struct Attacked {
    pub took: Duration,
    pub peak_kib: u64,
    pub resident_kib: [u64; 2],
    /// Whether the kernel would have ended it at the chart's limit.
    pub confined: bool,
    pub restarts: usize,
    pub idle: Times,
    pub meanwhile: Times,
    /// Orders of the other tenant that did not come to their number.
    pub missing: usize,
    pub requests: (usize, usize),
    pub provider: usize,
    pub duplicates: usize,
    /// Entries of the attacker that stay: those that may be there, and the rest.
    pub paid: usize,
    pub left: Vec<String>,
}

struct Testbed {
    victim: Victim,
    tenant: Tenant,
    simulator: Simulator,
    operator: Operator,
    namespaces: TestNamespaces,
    restarts: AtomicUsize,
    peak_kib: AtomicUsize,
    notes: Mutex<Vec<String>>,
    confined: bool,
}

/// Attacks for so long.
pub async fn run(length: Duration) -> Attacked {
    let testbed = Testbed::new().await;
    let calm = testbed.operator.resident_kib().unwrap_or_default();
    let idle = testbed.victim.orders(victim::QUIET_ORDERS).await;
    let began = Instant::now();
    let over = tokio::time::sleep(length);
    let attacked = async {
        tokio::join!(testbed.attack(began + length), testbed.victim.orders_until(began + length), over).1
    };
    let (meanwhile, ()) = tokio::select! {
        measured = attacked => (measured, ()),
        () = testbed.stay_alive() => unreachable!("it watches for ever"),
    };
    let took = began.elapsed();
    let left = tokio::select! {
        left = testbed.left_behind() => left,
        () = testbed.stay_alive() => unreachable!("it watches for ever"),
    };
    if asked_for_a_report() {
        testbed.report();
    }
    Attacked {
        took,
        peak_kib: testbed.peak_kib.load(Ordering::Relaxed) as u64,
        resident_kib: [calm, testbed.operator.resident_kib().unwrap_or_default()],
        confined: testbed.confined,
        restarts: testbed.restarts.load(Ordering::Relaxed),
        missing: testbed.victim.without_a_number(),
        idle,
        meanwhile,
        requests: testbed.tenant.requests(),
        provider: testbed.simulator.journal().len(),
        duplicates: testbed.duplicates(),
        paid: testbed.entries().await.len() - left.len(),
        left,
    }
}

impl Testbed {
    async fn new() -> Self {
        let plane = Arc::new(ControlPlane::start().await.expect("a control plane"));
        let simulator = simulator().await;
        let namespaces = TestNamespaces::on(plane.clone(), "rightful").await;
        let attacker = TestNamespaces::on(plane.clone(), "attacker").await;
        namespaces.let_operator_watch_everything().await;
        let options =
            OperatorOptions::new(simulator.url()).watch_everything().args(BUDGETS).args(["--log=info"]);
        let operator = namespaces.operator(options).await;
        let confined = operator.pid().is_some_and(limit::confine);
        let identity = attacker.tenant("edit").await;
        let tenant = Tenant::new(plane.client_as(&identity).await, &attacker.namespace);
        let testbed = Self {
            victim: Victim::new(&namespaces, &simulator),
            tenant,
            simulator,
            operator,
            namespaces,
            restarts: AtomicUsize::new(0),
            peak_kib: AtomicUsize::new(0),
            notes: Mutex::default(),
            confined,
        };
        // The role is aggregated a moment later.
        wait::until("the shipped roles in the role edit", Duration::from_secs(60), async || {
            testbed
                .tenant
                .orders("first", serde_json::json!({"verificationId": "v", "suspend": true}))
                .await
                .then_some(())
        })
        .await;
        testbed
    }

    /// Several ways at a time, each in its turn.
    async fn attack(&self, until: Instant) {
        let stuff = Stuff::new(self.operator.push_port);
        stuff.bring(&self.tenant).await;
        let turn = AtomicUsize::new(0);
        let one = async || {
            while Instant::now() < until {
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let (way, batch) = (Way::ALL[turn % Way::ALL.len()], turn / Way::ALL.len());
                self.note(&format!("{way:?}"));
                ways::go(&self.tenant, &stuff, way, batch).await;
            }
        };
        join_all((0..WAYS_AT_ONCE).map(|_| one())).await;
        // He takes everything away; two rounds may be there.
        let last = turn.load(Ordering::Relaxed) / Way::ALL.len();
        for (way, batch) in Way::ALL.into_iter().flat_map(|way| [(way, last), (way, last.saturating_sub(1))])
        {
            ways::clear(&self.tenant, way, batch).await;
        }
        self.tenant.deletes(tenant::ORDERS, "first").await;
        for name in ways::ORDERED_WITH {
            self.tenant.deletes(tenant::VERIFICATIONS, name).await;
        }
    }

    /// As a kubelet does. Looks at the memory meanwhile.
    async fn stay_alive(&self) {
        loop {
            if let Some(peak) = self.operator.peak_kib() {
                self.peak_kib.fetch_max(usize::try_from(peak).unwrap_or(usize::MAX), Ordering::Relaxed);
            }
            if !self.operator.is_running() {
                self.restarts.fetch_add(1, Ordering::Relaxed);
                println!("the operator ended under attack:\n{}", self.operator.log_tail());
                self.operator.start().expect("the operator starts");
                self.operator.pid().map(limit::confine);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn note(&self, what: &str) {
        if asked_for_a_report() {
            lock(&self.notes).push(format!("{} {what}", jiff::Timestamp::now()));
        }
    }

    /// What was done when, and the operator's log.
    fn report(&self) {
        let notes = [lock(&self.notes).join("\n"), self.victim.notes().join("\n"), self.operator.log()];
        let path = checkout("target/faults/attack.txt");
        let _ = std::fs::create_dir_all(checkout("target/faults"));
        if std::fs::write(&path, notes.join("\n\n")).is_ok() {
            println!("the attack is told in {}", path.display());
        }
    }

    async fn entries(&self) -> Vec<String> {
        let api: Api<LedgerEntry> =
            Api::namespaced(self.namespaces.client(), &self.namespaces.operator_namespace);
        let list = api.list(&ListParams::default()).await.expect("the ledger");
        let theirs = list.items.into_iter().filter(|entry| entry.spec.namespace == self.tenant.namespace);
        theirs.map(|entry| entry.spec.name).collect()
    }

    /// Waits until the ledger has nothing of the attacker but what may have cost something, and as many
    /// verifications as are kept; what it has all the same.
    async fn left_behind(&self) -> Vec<String> {
        let [ordered, verified] = ["/number/order", "/verification/create"].map(|path| self.accepted(path));
        let mut left = Vec::new();
        let began = Instant::now();
        wait::poll(UNTIL_SWEPT, async || {
            if began.elapsed() > WINDOW {
                // Resources that go are what it is swept after.
                self.victim.makes_and_deletes().await;
            }
            tokio::time::sleep(Duration::from_secs(2)).await;
            left = self.entries().await;
            left.retain(|name| !ordered.contains(name) && !ways::ORDERED_WITH.contains(&name.as_str()));
            let mut kept = 0;
            left.retain(|name| {
                kept += usize::from(verified.contains(name));
                !verified.contains(name) || kept > VERIFICATIONS_KEPT
            });
            left.is_empty().then_some(())
        })
        .await;
        left
    }

    /// The attacker's resources for which the provider took something.
    fn accepted(&self, path: &str) -> BTreeSet<String> {
        let journal = self.simulator.journal();
        let sent = journal.iter().filter(|entry| entry.path == path);
        let taken = sent.filter(|entry| entry.answer.as_ref().is_some_and(|a| a.status == 200));
        taken.filter_map(|entry| name_in(entry.body.as_ref()?)).collect()
    }

    /// Requests beyond the first of an attempt.
    fn duplicates(&self) -> usize {
        let journal = self.simulator.journal();
        let urls: Vec<_> =
            journal.iter().filter_map(|entry| entry.body.as_ref()?["push_url"].as_str()).collect();
        urls.len() - urls.iter().collect::<BTreeSet<_>>().len()
    }
}

/// Of an order by its push URL, of a verification by its street.
fn name_in(body: &Value) -> Option<String> {
    let url = body["push_url"].as_str().and_then(|url| url.rsplit('/').nth(1));
    url.or_else(|| body["street"].as_str()).map(ToOwned::to_owned)
}

/// `REPORT=1`
fn asked_for_a_report() -> bool {
    std::env::var_os("REPORT").is_some()
}

async fn simulator() -> Simulator {
    let simulator = provider::simulator(provider::ACCESS_KEY, Duration::from_millis(100)).await;
    simulator.fault(Fault::once("*", Action::Delay { ms: PROVIDER_TAKES.into() }).times(0));
    simulator
}

impl Attacked {
    /// Median and most, as multiples of the idle time.
    fn slower(of: impl Fn(&Times) -> &[Duration], idle: &Times, meanwhile: &Times) -> [f64; 2] {
        let most = of(meanwhile).iter().max().copied().unwrap_or_default();
        [median(of(meanwhile)), most].map(|time| time.as_secs_f64() / median(of(idle)).as_secs_f64())
    }

    pub fn rows(&self) -> [(&'static str, &'static str, String, bool); 4] {
        let mib = |kib: u64| kib / 1024;
        let slower = |of: fn(&Times) -> &[Duration]| Self::slower(of, &self.idle, &self.meanwhile);
        let ([middle, most], [bare, bare_most]) = (slower(|t| &t.orders), slower(|t| &t.bare));
        let [idle, bare_idle] = [&self.idle.orders, &self.idle.bare].map(|times| median(times).as_secs_f64());
        let [before, after] = self.resident_kib;
        let limit = if self.confined { "" } else { ", not enforced here" };
        [
            (
                "a tenant with `edit` attacks: peak of resident memory",
                "under 64 MiB",
                format!(
                    "{} MiB in {:.0} min (limit 128 MiB{limit}); {} restarts; {} MiB before, {} after",
                    mib(self.peak_kib),
                    self.took.as_secs_f64() / 60.0,
                    self.restarts,
                    mib(before),
                    mib(after),
                ),
                self.peak_kib < ENOUGH_KIB && self.restarts == 0,
            ),
            (
                "another tenant's single orders meanwhile",
                "within 3 × idle",
                format!(
                    "{} orders, median {middle:.1} ×, most {most:.1} × of {idle:.2} s; {} without a number; a client that does the least: median {bare:.1} ×, most {bare_most:.1} × of {bare_idle:.2} s",
                    self.meanwhile.orders.len(),
                    self.missing,
                ),
                most <= SLOWER && self.missing == 0,
            ),
            (
                "what is left of the attack",
                "orders, and 100 verifications",
                format!(
                    "{} entries, each of a request that TENIOS took; {} beyond them",
                    self.paid,
                    self.left.len()
                ),
                self.left.is_empty(),
            ),
            (
                "requests in the attack: duplicates",
                "0",
                format!(
                    "{} of {}; {} to the apiserver, which took {}",
                    self.duplicates, self.provider, self.requests.0, self.requests.1
                ),
                self.duplicates == 0,
            ),
        ]
    }
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

//! Many orders at once: how long they take, and what they cost.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{PhoneNumberOrder, PhoneVerification};

use crate::measure;
use crate::plan::Load;
use crate::stage::{Contender, Stage, Who, Worker};
use harness::{ControlPlane, Request, Requests, Result, TestNamespaces};

/// Orders that are created at a time.
const CREATED_AT_ONCE: usize = 32;
/// Without a status being written, until it is looked whether all is done.
const SETTLED: Duration = Duration::from_millis(500);
/// Seconds for an order beyond what the provider takes, after which something hangs.
const SLOW: f64 = 0.1;

/// The name of the one that orders refer to.
const VERIFICATION: &str = "v";

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    /// Seconds from the first creation until the last number was shown.
    pub took: f64,
    /// The same for each order, sorted.
    pub shown: Vec<f64>,
    /// For each order.
    pub cost: Cost,
    /// Seconds of processor.
    pub cpu: f64,
    /// MiB resident before, at most, and after.
    pub memory: [f64; 3],
}

/// Requests of the worker's user.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// To the ledger, orders and status.
    pub writes: f64,
    /// Reads; its own lease aside.
    pub reads: f64,
    /// Events, written or counted up.
    pub events: f64,
}

/// What lets them all begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// They are created.
    Created,
    /// They are there, and the verification that all wait for is approved.
    Approved,
}

/// Lets somebody work off a burst, in namespaces of its own.
pub async fn run(stage: &Stage, who: Who, load: Load, begins: Begins) -> Result<Ran> {
    let contender = stage.contender(who, load.slots).await?;
    let ran = of(stage, &contender, load, begins).await?;
    contender.stop().await;
    eprintln!(
        "  {who:?}: {} orders, {} slots: {:.1} s, {:.1} ms of processor each, {:.1} MiB after",
        load.orders,
        load.slots,
        ran.took,
        ran.cpu * 1e3 / ran.orders(),
        ran.memory[2]
    );
    Ok(ran)
}

impl Ran {
    fn orders(&self) -> f64 {
        as_f64(self.shown.len())
    }

    /// Milliseconds of processor for each order.
    pub fn cpu_ms(&self) -> f64 {
        self.cpu * 1e3 / self.orders()
    }
}

async fn of(stage: &Stage, contender: &Contender, load: Load, begins: Begins) -> Result<Ran> {
    let document = stage.provider.reset(load.answer, load.push).await?;
    let namespaces = &contender.namespaces;
    if begins == Begins::Approved {
        approve(namespaces, &document, "Pending").await?;
        create(namespaces, load.orders, &json!({"verificationRef": {"name": VERIFICATION}})).await?;
        waits(contender, load.orders).await?;
    }
    let mark = namespaces.quiet().await;
    let before = measure::resident(contender.process());
    let cpu = measure::cpu_seconds(contender.process());
    let began = async {
        match begins {
            Begins::Created => create(namespaces, load.orders, &json!({"verificationId": document})).await,
            Begins::Approved => approve(namespaces, &document, "Approved").await,
        }
    };
    // What is created too slowly is found by the end that does not come.
    tokio::try_join!(began, until_shown(stage, contender, load))?;
    namespaces.quiet().await;
    let cpu = measure::cpu_seconds(contender.process()) - cpu;
    let requests = stage.plane.requests_since(mark).await;
    let shown = times(&requests, &namespaces.namespace, load.orders)?;
    let cost = Cost::of(&requests.by(&namespaces.operator_identity().user()), namespaces, load.orders);
    let memory = [before, measure::peak(contender.process()), measure::resident(contender.process())];
    Ok(Ran { took: shown.last().copied().unwrap_or_default(), shown, cost, cpu, memory })
}

/// The verification that all refer to, with an id that the provider has: nothing of it is sent.
async fn approve(namespaces: &TestNamespaces, document: &str, approval: &str) -> Result<()> {
    let api: Api<PhoneVerification> = namespaces.api();
    let object = json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneVerification", "metadata": {"name": VERIFICATION},
        "spec": {
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": "Domkloster", "houseNumber": "4"},
            "areaCode": "221",
            "document": {"type": "CONTRACT", "secretRef": {"name": "none", "key": "none"}},
            "approval": approval,
            "adopt": {"verificationId": document},
        },
    });
    api.patch(VERIFICATION, &PatchParams::apply("bench").force(), &Patch::Apply(object)).await?;
    Ok(())
}

/// Until each says that it waits, which the bare client never does.
async fn waits(contender: &Contender, orders: usize) -> Result<()> {
    let Worker::Operator(_) = contender.worker else { return Ok(()) };
    let told = |order: &PhoneNumberOrder| {
        order.status.as_ref().is_some_and(|status| status.state == Some(OrderState::Waiting))
    };
    let deadline = Instant::now() + Duration::from_secs(60) + Duration::from_secs_f64(SLOW * as_f64(orders));
    while left(contender, told).await? > 0 {
        if Instant::now() > deadline || !contender.process().is_running() {
            return Err(contender.failed("not all orders wait"));
        }
        tokio::time::sleep(SETTLED).await;
    }
    Ok(())
}

/// Creates so many orders as fast as the apiserver takes them.
pub async fn create(namespaces: &TestNamespaces, orders: usize, spec: &Value) -> Result<()> {
    let api: Api<PhoneNumberOrder> = namespaces.api();
    let made = (0..orders).map(|n| {
        let api = api.clone();
        let object = order(&format!("o{n}"), spec);
        async move {
            api.create(&PostParams::default(), &serde_json::from_value(object)?).await.map_err(Into::into)
        }
    });
    stream::iter(made)
        .buffer_unordered(CREATED_AT_ONCE)
        .try_for_each(async |_: PhoneNumberOrder| Ok(()))
        .await
}

/// The manifest.
pub fn order(name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "tenios.dev/v1alpha1", "kind": "PhoneNumberOrder",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// Until all have their numbers. To be called before the first can have one.
pub async fn until_shown(stage: &Stage, contender: &Contender, load: Load) -> Result<()> {
    let mut statuses = Statuses::new(&stage.plane, &contender.namespaces.namespace);
    let patience = Duration::from_secs_f64(60.0 + load.ideal() + SLOW * as_f64(load.orders));
    let deadline = Instant::now() + patience;
    let (mut count, mut since) = (0, Instant::now());
    loop {
        let now = statuses.count()?;
        if now != count {
            (count, since) = (now, Instant::now());
        }
        if count >= load.orders && since.elapsed() > SETTLED {
            if without_number(contender).await? == 0 {
                return Ok(());
            }
            since = Instant::now();
        }
        if Instant::now() > deadline || !contender.process().is_running() {
            let left = without_number(contender).await?;
            return Err(contender.failed(&format!("{left} of {} orders have no number", load.orders)));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn without_number(contender: &Contender) -> Result<usize> {
    left(contender, |order| order.status.as_ref().is_some_and(|status| status.phone_number.is_some())).await
}

/// Orders of which this is not true yet.
async fn left(contender: &Contender, is_done: impl Fn(&PhoneNumberOrder) -> bool) -> Result<usize> {
    let api: Api<PhoneNumberOrder> = contender.namespaces.api();
    let (mut left, mut params) = (0, ListParams::default().limit(500));
    loop {
        let page = api.list(&params).await?;
        left += page.items.iter().filter(|order| !is_done(order)).count();
        match page.metadata.continue_ {
            Some(next) if !next.is_empty() => params.continue_token = Some(next),
            _ => return Ok(left),
        }
    }
}

/// Seconds from the first creation, or from the approval, until each order's last status, sorted.
fn times(requests: &Requests, namespace: &str, orders: usize) -> Result<Vec<f64>> {
    let mut first: Option<Timestamp> = None;
    let mut last: HashMap<&str, Timestamp> = HashMap::new();
    for request in requests.0.iter().filter(|request| request.namespace == namespace) {
        match (request.resource.as_str(), request.verb.as_str()) {
            ("phonenumberorders", "create") | ("phoneverifications", "patch") => {
                let at = request.received.parse()?;
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            ("phonenumberorders/status", "patch" | "update") => {
                let at: Timestamp = request.completed.parse()?;
                last.entry(&request.name).and_modify(|last| *last = at.max(*last)).or_insert(at);
            }
            _ => {}
        }
    }
    let first = first.ok_or("nothing was created")?;
    if last.len() != orders {
        return Err(format!("{} orders of {orders} have a status", last.len()).into());
    }
    let mut shown: Vec<f64> = last.values().map(|at| at.duration_since(first).as_secs_f64()).collect();
    shown.sort_by(f64::total_cmp);
    Ok(shown)
}

impl Cost {
    fn of(made: &Requests, namespaces: &TestNamespaces, orders: usize) -> Self {
        let each = |fits: &dyn Fn(&Request) -> bool| {
            as_f64(made.0.iter().filter(|r| fits(r)).count()) / as_f64(orders)
        };
        let reads = |verb: &str| matches!(verb, "get" | "list");
        let own_lease = |r: &Request| r.resource == "leases" && r.namespace == namespaces.operator_namespace;
        Self {
            writes: each(&|r| {
                !reads(&r.verb)
                    && r.verb != "watch"
                    && !matches!(r.resource.as_str(), "" | "leases" | "events")
            }),
            reads: each(&|r| reads(&r.verb) && !r.resource.is_empty() && !own_lease(r)),
            events: each(&|r| r.resource == "events" && !reads(&r.verb)),
        }
    }
}

/// Counts the writes of a status as they are in the audit log, without reading more of it than that: whoever is
/// measured needs the processor.
struct Statuses {
    path: PathBuf,
    namespace: String,
    offset: u64,
    count: usize,
}

impl Statuses {
    fn new(plane: &ControlPlane, namespace: &str) -> Self {
        let path = plane.directory().join("audit.log");
        let offset = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self { path, namespace: format!(r#""namespace":"{namespace}""#), offset, count: 0 }
    }

    fn count(&mut self) -> Result<usize> {
        const NEEDLE: &[u8] = br#""resource":"phonenumberorders""#;
        let mut file = std::fs::File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        // The last line may still be half written.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.offset += text.len() as u64;
        let status = |line: &&[u8]| {
            has(line, br#""subresource":"status""#)
                && has(line, NEEDLE)
                && has(line, self.namespace.as_bytes())
        };
        self.count += text.split(|byte| *byte == b'\n').filter(status).count();
        Ok(self.count)
    }
}

fn has(line: &[u8], needle: &[u8]) -> bool {
    line.windows(needle.len()).any(|window| window == needle)
}

/// A count as a figure.
#[allow(clippy::cast_precision_loss, reason = "far below what a float holds")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}

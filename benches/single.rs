//! One order at a time, while nothing else happens: what it waits for beside the provider.

use std::time::{Duration, Instant};

use futures::StreamExt;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, PostParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};
use tenios_api::PhoneNumberOrder;
use tokio::sync::mpsc;

use crate::burst::order;
use crate::stage::{Contender, Stage, Who, alternated};
use crate::stats::Figures;
use harness::{Mark, Requests, Result};

const ANSWER: Duration = Duration::from_millis(20);
/// Long enough that nothing of the answer is left to do when the push comes.
const PUSH: Duration = Duration::from_millis(200);
const PATIENCE: Duration = Duration::from_secs(60);
/// Until the next one: an Event may still follow.
const BETWEEN: Duration = Duration::from_millis(50);

/// Milliseconds.
#[derive(Debug, Default)]
pub struct Waits {
    /// From an order's creation until its request arrives at the provider.
    pub request: Figures,
    /// From the moment a push leaves until its number is in the status.
    pub number: Figures,
}

/// So many by each, alternated: those of the bare client, and the operator's.
pub async fn run(stage: &Stage, orders: usize) -> Result<[Waits; 2]> {
    let bare = stage.contender(Who::Bare, 16).await?;
    let operator = stage.contender(Who::Operator, 16).await?;
    between(stage, [bare, operator], orders).await
}

/// So many by each of two, alternated; then both are stopped.
pub async fn between(stage: &Stage, contenders: [Contender; 2], orders: usize) -> Result<[Waits; 2]> {
    let document = stage.provider.reset(ANSWER, PUSH).await?;
    let mut singly = contenders.each_ref().map(|who| Orderer::new(who.namespaces.api(), &document));
    let mark = stage.plane.audit().mark();
    for who in alternated(orders) {
        singly[usize::from(who == Who::Operator)].orders().await?;
        tokio::time::sleep(BETWEEN).await;
    }
    let [first, second] = &contenders;
    let of =
        async |who: &Contender, by: &Orderer| waits(stage, &who.namespaces.namespace, by.made, mark).await;
    let waits = [of(first, &singly[0]).await?, of(second, &singly[1]).await?];
    first.stop().await;
    second.stop().await;
    Ok(waits)
}

/// Who orders one number at a time.
pub struct Orderer {
    api: Api<PhoneNumberOrder>,
    document: String,
    shown: mpsc::UnboundedReceiver<String>,
    made: usize,
}

impl Orderer {
    /// In the namespace of this.
    pub fn new(api: Api<PhoneNumberOrder>, document: &str) -> Self {
        Self { shown: follow(api.clone()), api, document: document.to_owned(), made: 0 }
    }

    /// One, until its number is seen.
    pub async fn orders(&mut self) -> Result<Duration> {
        let name = format!("o{}", self.made);
        self.made += 1;
        let object = serde_json::from_value(order(&name, &json!({"verificationId": self.document})))?;
        let began = Instant::now();
        self.api.create(&PostParams::default(), &object).await?;
        let shown = async {
            while let Some(shown) = self.shown.recv().await {
                if shown == name {
                    break;
                }
            }
        };
        let ended = tokio::time::timeout(PATIENCE, shown).await;
        ended.map_err(|_| format!("{name} has no number after {PATIENCE:?}"))?;
        Ok(began.elapsed())
    }
}

/// The names of orders that have a number, each as soon as it is shown.
fn follow(api: Api<PhoneNumberOrder>) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut orders = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
        while let Some(order) = orders.next().await {
            let Ok(order) = order else { continue };
            let numbered = order.status.as_ref().is_some_and(|status| status.phone_number.is_some());
            if numbered && sender.send(order.name_any()).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn waits(stage: &Stage, namespace: &str, made: usize, mark: Mark) -> Result<Waits> {
    let requests = stage.plane.requests_since(mark).await.only(|request| request.namespace == namespace);
    let (journal, pushes) = (stage.provider.journal().await?, stage.provider.pushes().await?);
    let mut waits = (Vec::new(), Vec::new());
    for n in 0..made {
        let name = format!("o{n}");
        let of = |resource: &str| requests.clone().of(resource).only(|request| request.name == name);
        let created = of("phonenumberorders").with_verb(&["create"]);
        let created = created.0.first().ok_or("no creation")?.completed.parse()?;
        let arrived = time_of(&journal, "/body/push_url", namespace, &name)?;
        let left = time_of(&pushes, "/url", namespace, &name)?;
        let shown = first_after(&of("phonenumberorders/status"), left)?;
        waits.0.push(milliseconds(created, arrived));
        waits.1.push(milliseconds(left, shown));
    }
    Ok(Waits { request: waits.0.into_iter().collect(), number: waits.1.into_iter().collect() })
}

/// When what was told of this order's URL was.
fn time_of(told: &[Value], url: &str, namespace: &str, name: &str) -> Result<Timestamp> {
    let fits = |entry: &&Value| {
        let url = entry.pointer(url).and_then(Value::as_str).unwrap_or_default();
        let mut parts = url.split('/');
        parts.any(|part| part == namespace) && parts.any(|part| part == name)
    };
    let entry = told.iter().find(fits).ok_or_else(|| format!("nothing was told of {name}"))?;
    Ok(entry["time"].as_str().unwrap_or_default().parse()?)
}

fn first_after(statuses: &Requests, pushed: Timestamp) -> Result<Timestamp> {
    for status in &statuses.0 {
        if status.received.parse::<Timestamp>()? >= pushed {
            return Ok(status.completed.parse()?);
        }
    }
    Err("no status follows the push".into())
}

fn milliseconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

//! A client that does the least that whoever spends money once has to do, to compare the operator with: for each order
//! it sees it creates an entry with the intent, sends the request, replaces the entry with what came of it, replaces
//! it once more with the number that was pushed, and patches the status once. It knows no retries, no restart, no
//! second replica and one verification; where anything fails it ends.

mod list;
mod receiver;

use std::collections::HashMap;
use std::sync::Arc;

use futures::StreamExt;
use jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher;
use kube::{Client, Config, ResourceExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenios_api::ledger_entry::LedgerEntrySpec;
use tenios_api::verification::Approval;
use tenios_api::{LedgerEntry, PhoneNumberOrder, PhoneVerification};
use tokio::sync::{Semaphore, watch};

use harness::{Failure, Result};

pub use list::list;

/// What it is started with, in this order on its command line.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// Where the orders are.
    pub namespace: String,
    /// Where the entries go.
    pub ledger: String,
    /// The provider's base URL, with a slash at its end.
    pub provider: String,
    /// The access key.
    pub key: String,
    /// Requests in flight at most.
    pub slots: usize,
    /// Where it takes pushes.
    pub port: u16,
}

impl Arguments {
    /// As they are on the command line.
    pub fn to_vec(&self) -> Vec<String> {
        let Self { namespace, ledger, provider, key, slots, port } = self.clone();
        vec!["bare".to_owned(), namespace, ledger, provider, key, slots.to_string(), port.to_string()]
    }

    fn read(mut from: impl Iterator<Item = String>) -> Result<Self> {
        let mut next = || from.next().ok_or("an argument is missing");
        Ok(Self {
            namespace: next()?,
            ledger: next()?,
            provider: next()?,
            key: next()?,
            slots: next()?.parse()?,
            port: next()?.parse()?,
        })
    }
}

struct Bare {
    arguments: Arguments,
    orders: Api<PhoneNumberOrder>,
    entries: Api<LedgerEntry>,
    provider: reqwest::Client,
    slots: Semaphore,
    /// The id of the verification, once it is approved.
    approved: watch::Sender<Option<String>>,
    /// The entry of each order, held from its intent until its outcome is recorded.
    open: Mutex<HashMap<String, Arc<Open>>>,
}

#[derive(Default)]
struct Open {
    entry: tokio::sync::Mutex<Option<LedgerEntry>>,
}

/// Runs until it is stopped.
pub async fn run(arguments: impl Iterator<Item = String>) -> Result<()> {
    let arguments = Arguments::read(arguments)?;
    let client = client().await?;
    let bare = Arc::new(Bare {
        orders: Api::namespaced(client.clone(), &arguments.namespace),
        entries: Api::namespaced(client.clone(), &arguments.ledger),
        provider: reqwest::Client::builder().no_proxy().build()?,
        slots: Semaphore::new(arguments.slots),
        approved: watch::Sender::default(),
        open: Mutex::default(),
        arguments,
    });
    let verifications = Api::namespaced(client, &bare.arguments.namespace);
    let followed = bare.clone();
    tokio::spawn(async move { or_end(followed.follows(verifications).await) });
    let mut events = watcher(bare.orders.clone(), watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        match event? {
            watcher::Event::Apply(order) | watcher::Event::InitApply(order) => bare.sees(order),
            // Whoever started it waits for this port.
            watcher::Event::InitDone => receiver::listen(bare.clone(), bare.arguments.port).await?,
            watcher::Event::Init | watcher::Event::Delete(_) => {}
        }
    }
    Err("the watch ended".into())
}

/// Who the kubeconfig in `KUBECONFIG` names.
pub async fn client() -> Result<Client> {
    // Whatever the features of the crates make the default.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config =
        Config::from_custom_kubeconfig(Kubeconfig::read()?, &KubeConfigOptions::default()).await?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}

impl Bare {
    async fn follows(&self, verifications: Api<PhoneVerification>) -> Result<()> {
        let mut events = watcher(verifications, watcher::Config::default()).boxed();
        while let Some(event) = events.next().await {
            let (watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event? else {
                continue;
            };
            if object.spec.approval == Approval::Approved {
                self.approved.send_replace(object.spec.adopt.map(|adopt| adopt.verification_id));
            }
        }
        Err("the watch ended".into())
    }

    fn sees(self: &Arc<Self>, order: PhoneNumberOrder) {
        let name = order.name_any();
        let mut all = self.open.lock();
        if all.contains_key(&name) {
            return;
        }
        let open = Arc::new(Open::default());
        all.insert(name.clone(), open.clone());
        let bare = self.clone();
        tokio::spawn(async move { or_end(bare.orders_it(&name, order.spec.verification_id, &open).await) });
    }

    async fn orders_it(&self, name: &str, verification: Option<String>, open: &Open) -> Result<()> {
        let verification = match verification {
            Some(id) => id,
            None => self.approved.subscribe().wait_for(Option::is_some).await?.clone().unwrap_or_default(),
        };
        let mut entry = open.entry.lock().await;
        let slot = self.slots.acquire().await?;
        let attempt = uuid::Uuid::new_v4().simple().to_string();
        let intended = json!({"type": "Intended", "attempt": attempt, "at": Timestamp::now(),
            "terms": {"verificationId": verification, "numberType": "GEOGRAPHICAL"}});
        let intent = self.entry(name, intended);
        let mut stored = self.entries.create(&PostParams::default(), &intent).await?;
        let id = self.asks(name, &verification).await?;
        drop(slot);
        let accepted = json!({"type": "Accepted", "attempt": attempt, "at": Timestamp::now(), "id": id});
        self.appends(&mut stored, accepted).await?;
        *entry = Some(stored);
        Ok(())
    }

    fn entry(&self, name: &str, event: Value) -> LedgerEntry {
        let namespace = &self.arguments.namespace;
        let spec = LedgerEntrySpec {
            kind: "PhoneNumberOrder".into(),
            namespace: namespace.clone(),
            name: name.to_owned(),
            revision: 1,
            writers: vec![uuid::Uuid::new_v4().simple().to_string()],
            snapshot: json!({}),
            events: vec![event],
            store: None,
        };
        LedgerEntry::new(&format!("pno.{namespace}.{name}"), spec)
    }

    async fn asks(&self, name: &str, verification: &str) -> Result<String> {
        let Arguments { provider, key, port, namespace, .. } = &self.arguments;
        let body = json!({
            "access_key": key, "number_type": "GEOGRAPHICAL", "verification_id": verification,
            "push_url": format!("http://127.0.0.1:{port}/{namespace}/{name}"), "push_secret": "bare",
        });
        let request = self.provider.post(format!("{provider}number/order"));
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body.to_string());
        let answer = request.send().await?.error_for_status()?.bytes().await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        Ok(answer["order_id"].as_str().ok_or("an answer without an id")?.to_owned())
    }

    async fn appends(&self, stored: &mut LedgerEntry, event: Value) -> Result<()> {
        stored.spec.revision += 1;
        stored.spec.writers.insert(0, uuid::Uuid::new_v4().simple().to_string());
        stored.spec.events.push(event);
        // The operator's user may not update, only patch.
        let version = stored.metadata.resource_version.clone();
        let whole = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "spec": stored.spec}));
        *stored = self.entries.patch(&stored.name_any(), &PatchParams::default(), &whole).await?;
        Ok(())
    }

    /// Records a number that was pushed; what is left to do is to show it.
    async fn is_told(&self, name: &str, push: &Value) -> Result<Value> {
        let open = self.open.lock().get(name).cloned().ok_or("a push for no order")?;
        let mut entry = open.entry.lock().await;
        let stored = entry.as_mut().ok_or("a push for no request")?;
        let (id, number) = (&push["order_id"], &push["phonenumber"]);
        let intended = &stored.spec.events[0];
        let (attempt, verification) =
            (intended["attempt"].clone(), intended["terms"]["verificationId"].clone());
        let assigned = json!({"type": "Assigned", "attempt": attempt, "at": Timestamp::now(), "id": id, "number": number});
        self.appends(stored, assigned).await?;
        Ok(json!({"status": {
            "observedGeneration": 1, "state": "Assigned", "requests": 1, "attempt": attempt, "orderId": id,
            "verificationId": verification, "phoneNumber": number, "assignedTime": Timestamp::now(),
            "conditions": [{"type": "Ready", "status": "True", "reason": "NumberAssigned", "message": "",
                "lastTransitionTime": Timestamp::now(), "observedGeneration": 1}],
        }}))
    }

    async fn shows(&self, name: &str, status: &Value) -> Result<()> {
        self.orders.patch_status(name, &PatchParams::default(), &Patch::Merge(status)).await?;
        Ok(())
    }
}

/// A figure of a client that failed means nothing.
fn or_end(done: std::result::Result<(), Failure>) {
    if let Err(failure) = done {
        eprintln!("bare: {failure}");
        std::process::exit(1);
    }
}

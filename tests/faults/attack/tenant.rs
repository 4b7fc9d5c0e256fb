//! The attacker: a tenant with the role `edit` in one namespace, and nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Interval, MissedTickBehavior, interval};

use tenios_operator::controller::NAMESPACE_LEASE;

/// As fast as kubectl asks. A flood is the apiserver's to fend off, and it does so for each user.
const BETWEEN: Duration = Duration::from_millis(20);
const AT_ONCE: usize = 4;
/// The apiserver's own limit.
const PATIENCE: Duration = Duration::from_secs(60);

pub const ORDERS: &str = "phonenumberorders";
pub const VERIFICATIONS: &str = "phoneverifications";

/// See the module documentation.
pub struct Tenant {
    client: Client,
    pub namespace: String,
    pace: Mutex<Interval>,
    slots: Semaphore,
    sent: AtomicUsize,
    taken: AtomicUsize,
}

impl Tenant {
    pub fn new(client: Client, namespace: &str) -> Self {
        let mut pace = interval(BETWEEN);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            client,
            namespace: namespace.to_owned(),
            pace: Mutex::new(pace),
            slots: Semaphore::new(AT_ONCE),
            sent: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        }
    }

    /// Requests so far, and how many of them the apiserver took.
    pub fn requests(&self) -> (usize, usize) {
        (self.sent.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed))
    }

    /// The answer, where it is no refusal. What an attacker is refused is nothing to him.
    async fn send(&self, method: Method, path: &str, content: &str, body: Vec<u8>) -> Option<String> {
        let _slot = self.slots.acquire().await.expect("it is never closed");
        self.pace.lock().await.tick().await;
        self.sent.fetch_add(1, Ordering::Relaxed);
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let request = request.body(body).expect("a request");
        let answer = tokio::time::timeout(PATIENCE, self.client.request_text(request)).await.ok()?.ok();
        self.taken.fetch_add(usize::from(answer.is_some()), Ordering::Relaxed);
        answer
    }

    /// Creates an order or a verification; metadata and spec are JSON already, which is written once for many.
    pub async fn creates(&self, plural: &str, name: &str, metadata: &str, spec: &str) -> bool {
        let kind = if plural == ORDERS { "PhoneNumberOrder" } else { "PhoneVerification" };
        let comma = if metadata.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"apiVersion":"tenios.dev/v1alpha1","kind":"{kind}","metadata":{{"name":"{name}"{comma}{metadata}}},"spec":{spec}}}"#
        );
        self.send(Method::POST, &self.path(plural, ""), "application/json", body.into_bytes()).await.is_some()
    }

    pub async fn orders(&self, name: &str, spec: Value) -> bool {
        self.creates(ORDERS, name, "", &spec.to_string()).await
    }

    /// A verification that names itself in its street.
    pub async fn verifies(&self, name: &str, more: Value) -> bool {
        let mut spec = json!({
            "address": {"country": "Germany", "city": "Köln", "zip": "50667", "street": name, "houseNumber": "4"},
            "areaCode": "221",
        });
        if let (Value::Object(spec), Value::Object(more)) = (&mut spec, more) {
            spec.extend(more);
        }
        self.creates(VERIFICATIONS, name, "", &spec.to_string()).await
    }

    pub async fn patches(&self, plural: &str, name: &str, patch: Value) -> Option<String> {
        let body = patch.to_string().into_bytes();
        self.send(Method::PATCH, &self.path(plural, name), "application/merge-patch+json", body).await
    }

    pub async fn deletes(&self, plural: &str, name: &str) {
        self.send(Method::DELETE, &self.path(plural, name), "application/json", Vec::new()).await;
    }

    fn path(&self, plural: &str, name: &str) -> String {
        let path = format!("/apis/tenios.dev/v1alpha1/namespaces/{}/{plural}", self.namespace);
        if name.is_empty() { path } else { format!("{path}/{name}") }
    }

    pub async fn secret(&self, name: &str, key: &str, value: &[u8]) {
        let value = k8s_openapi::ByteString(value.to_vec());
        let body = json!({"metadata": {"name": name}, "data": {key: value}}).to_string().into_bytes();
        let path = format!("/api/v1/namespaces/{}/secrets", self.namespace);
        self.send(Method::POST, &path, "application/json", body).await;
    }

    /// Says whose the namespace is.
    pub async fn claims_for(&self, holder: &str) {
        let body =
            json!({"metadata": {"name": NAMESPACE_LEASE}, "spec": {"holderIdentity": holder}}).to_string();
        self.send(Method::POST, &self.leases(""), "application/json", body.into_bytes()).await;
    }

    pub async fn deletes_claim(&self) {
        self.send(Method::DELETE, &self.leases(NAMESPACE_LEASE), "application/json", Vec::new()).await;
    }

    fn leases(&self, name: &str) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/{name}", self.namespace)
            .trim_end_matches('/')
            .to_owned()
    }
}

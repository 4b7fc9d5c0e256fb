//! What he does, for nothing or nearly so. Each way makes a batch, and takes away its batch before that, so
//! that something of each is always there.

use std::fmt::Write as _;

use serde_json::json;

use super::tenant::{ORDERS, Tenant, VERIFICATIONS};
use crate::collide;
use harness::http;

/// See the module documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// 1.2 MB of labels each: as much as etcd takes.
    Labels,
    /// A quarter of a megabyte of annotations each.
    Annotations,
    /// Every field as long as it may be, and one of a megabyte that the schema does not know.
    Fields,
    /// A megabyte in the Lease that says whose the namespace is, and many who are told so.
    Holder,
    /// Adopt, delete, repeat.
    Adopts,
    /// Names that meant one ledger entry once.
    Collisions,
    /// An access key that is none.
    BogusKey,
    /// Orders that find out whether a document is approved.
    Probes,
    /// Adopts the other's numbers, and the ids that she will be given.
    Squats,
    /// A megabyte each to be sent.
    Documents,
    /// References to what never comes.
    Waiters,
    /// Deleted, and there for ever.
    Finalizers,
    /// The push receiver, without a secret.
    Strangers,
    /// Takes away what says whose the namespace is.
    Unclaims,
    /// The same resource, changed over and over.
    Words,
    /// Real orders, as far as a budget goes.
    Orders,
}

impl Way {
    pub const ALL: [Self; 16] = [
        Self::Labels,
        Self::Documents,
        Self::BogusKey,
        Self::Adopts,
        Self::Annotations,
        Self::Squats,
        Self::Waiters,
        Self::Collisions,
        Self::Holder,
        Self::Probes,
        Self::Finalizers,
        Self::Strangers,
        Self::Orders,
        Self::Fields,
        Self::Unclaims,
        Self::Words,
    ];

    /// Resources in a batch.
    fn size(self) -> usize {
        match self {
            Self::Labels => 3,
            Self::Annotations | Self::Documents => 20,
            Self::Fields | Self::Collisions | Self::Orders => 10,
            Self::Waiters | Self::BogusKey => 60,
            Self::Holder | Self::Adopts | Self::Squats | Self::Probes | Self::Finalizers => 30,
            Self::Strangers | Self::Unclaims | Self::Words => 1,
        }
    }

    fn plural(self) -> &'static str {
        if matches!(self, Self::Documents) { VERIFICATIONS } else { ORDERS }
    }

    fn name(self, batch: usize, n: usize) -> String {
        format!("{}-{batch}-{n}", format!("{self:?}").to_lowercase())
    }
}

/// The verifications that he orders with.
pub const ORDERED_WITH: [&str; 2] = ["known", "probing"];

/// What is written once for all.
pub struct Stuff {
    labels: String,
    annotations: String,
    field: String,
    holder: String,
    document: Vec<u8>,
    push_port: u16,
}

impl Stuff {
    pub fn new(push_port: u16) -> Self {
        let labels = (0..16_000).fold(String::new(), |mut text, n| {
            let _ = write!(text, r#","l{n}":"{}""#, "x".repeat(63));
            text
        });
        let mut document = b"%PDF-1.4\n".to_vec();
        document.resize(999_900, b'\n');
        document.extend_from_slice(crate::testbed::PDF);
        Self {
            labels: format!(r#""labels":{{{}}}"#, &labels[1..]),
            annotations: format!(r#""annotations":{{"note":"{}"}}"#, "x".repeat(250_000)),
            field: "x".repeat(1_000_000),
            holder: format!("x\nlevel=ERROR forged\n{}", "y".repeat(1_000_000)),
            document,
            push_port,
        }
    }

    /// What the ways rely on.
    pub async fn bring(&self, tenant: &Tenant) {
        tenant.secret("bogus", "key", b"bogus").await;
        tenant.secret("large", "extract.pdf", &self.document).await;
        tenant.secret("small", "extract.pdf", crate::testbed::PDF).await;
        let document = document("small");
        for (name, approval) in ORDERED_WITH.into_iter().zip(["Approved", "Probe"]) {
            tenant.verifies(name, json!({"document": document, "approval": approval})).await;
        }
    }
}

fn document(secret: &str) -> serde_json::Value {
    json!({"type": "CONTRACT", "secretRef": {"name": secret, "key": "extract.pdf"}})
}

/// One batch.
pub async fn go(tenant: &Tenant, stuff: &Stuff, way: Way, batch: usize) {
    match way {
        Way::Holder => {
            tenant.deletes_claim().await;
            tenant.claims_for(&stuff.holder).await;
        }
        Way::Strangers => return strangers(stuff.push_port, tenant).await,
        Way::Unclaims => {
            for _ in 0..40 {
                tenant.deletes_claim().await;
            }
            return;
        }
        _ => {}
    }
    for n in 0..way.size() {
        one(tenant, stuff, way, batch, n).await;
    }
    if way == Way::Holder {
        tenant.deletes_claim().await;
    }
    if let Some(before) = batch.checked_sub(1) {
        clear(tenant, way, before).await;
    }
}

async fn one(tenant: &Tenant, stuff: &Stuff, way: Way, batch: usize, n: usize) {
    let name = way.name(batch, n);
    let some = json!({"verificationId": "6a1f6c1e-0000-4000-8000-000000000000"});
    match way {
        Way::Labels => drop(tenant.creates(ORDERS, &name, &stuff.labels, &some.to_string()).await),
        Way::Annotations => drop(tenant.creates(ORDERS, &name, &stuff.annotations, &some.to_string()).await),
        Way::Fields => {
            let long = "y".repeat(120);
            let key = json!({"name": long, "key": long});
            let spec = json!({"verificationId": long, "adopt": {"orderId": long}, "accessKeySecretRef": key,
                "nonsense": stuff.field});
            tenant.orders(&name, spec).await;
        }
        Way::Holder => drop(tenant.orders(&name, some).await),
        Way::Adopts => {
            let number = format!("+49221{:07}", batch * 30 + n);
            let adopt = json!({"orderId": format!("7{batch}{n:02}"), "phoneNumber": number});
            tenant.orders(&name, json!({"verificationId": "v", "adopt": adopt})).await;
            if n.is_multiple_of(2) {
                tenant.deletes(ORDERS, &name).await;
            }
        }
        Way::Collisions => {
            let (long, cut) = collide::pair(&tenant.namespace, &name);
            for name in [long, cut] {
                let adopt = json!({"orderId": format!("8{batch}{n:02}{}", name.len())});
                tenant.orders(&name, json!({"verificationId": "v", "adopt": adopt})).await;
            }
        }
        Way::BogusKey => {
            let key = json!({"name": "bogus", "key": "key"});
            let spec = json!({"verificationId": "v", "accessKeySecretRef": key});
            tenant.orders(&name, spec).await;
        }
        Way::Probes => drop(tenant.orders(&name, json!({"verificationRef": {"name": "probing"}})).await),
        Way::Squats => {
            let next = batch * 15 + n;
            let adopt = if n.is_multiple_of(2) {
                json!({"orderId": (300_000 + next).to_string()})
            } else {
                json!({"phoneNumber": format!("+49221{}", 10_000_000 + next)})
            };
            tenant.orders(&name, json!({"verificationId": "v", "adopt": adopt})).await;
        }
        Way::Documents => {
            let mut spec = json!({"document": document("large")});
            if !n.is_multiple_of(4) {
                spec["accessKeySecretRef"] = json!({"name": "bogus", "key": "key"});
            }
            tenant.verifies(&name, spec).await;
        }
        Way::Waiters => {
            let missing = json!({"name": format!("never-{batch}-{n}")});
            let spec = json!({"verificationRef": missing, "linkTo": {"orderRef": missing}});
            tenant.orders(&name, spec).await;
        }
        Way::Finalizers => {
            let kept = r#""finalizers":["example.com/never"]"#;
            let spec = json!({"verificationRef": {"name": "known"}}).to_string();
            tenant.creates(ORDERS, &name, kept, &spec).await;
            tenant.deletes(ORDERS, &name).await;
        }
        Way::Words => words(tenant, &name).await,
        Way::Orders => drop(tenant.orders(&name, json!({"verificationRef": {"name": "known"}})).await),
        Way::Strangers | Way::Unclaims => {}
    }
}

/// Takes a batch away.
pub async fn clear(tenant: &Tenant, way: Way, batch: usize) {
    for n in 0..way.size() {
        let name = way.name(batch, n);
        if way == Way::Collisions {
            let (long, cut) = collide::pair(&tenant.namespace, &name);
            tenant.deletes(ORDERS, &long).await;
            tenant.deletes(ORDERS, &cut).await;
            continue;
        }
        if way == Way::Finalizers {
            tenant.patches(ORDERS, &name, json!({"metadata": {"finalizers": null}})).await;
        }
        tenant.deletes(way.plural(), &name).await;
    }
}

/// Statements about requests that never were, and switches turned over and over.
async fn words(tenant: &Tenant, name: &str) {
    tenant.orders(name, json!({"verificationRef": {"name": "never"}})).await;
    for n in 0..60 {
        let word = json!({"metadata": {"annotations": {"tenios.dev/not-placed": format!("{n:016x}")}},
            "spec": {"suspend": n % 2 == 0}});
        tenant.patches(ORDERS, name, word).await;
    }
}

async fn strangers(port: u16, tenant: &Tenant) {
    for n in 0..100 {
        let path = format!("/push/v1/{}/orders-0-{}/0123456789abcdef", tenant.namespace, n % 10);
        let body = format!(r#"{{"push_secret":"{n}","order_id":"{n}","phonenumber":"+49221{n:07}"}}"#);
        let _ = http::post(port, &path, &body).await;
    }
}

//! The ledger on object storage: how many requests an order makes to it, and how much longer it takes for them. The
//! store is on the same machine and answers at once: whose bucket takes 30 ms adds them for each of the requests.

use crate::single::{self, Waits};
use crate::stage::{Contender, Stage, Who, Worker};
use harness::link::Link;
use harness::s3::{BUCKET, S3};
use harness::{Result, TestNamespaces};

const METHODS: [&str; 4] = ["PUT", "GET", "HEAD", "LIST"];

/// What came of it.
#[derive(Debug, Default)]
pub struct Outside {
    /// With the ledger in the cluster, and on object storage.
    pub waits: [Waits; 2],
    /// Requests to the store for each order.
    pub requests: Vec<(&'static str, f64)>,
}

/// So many orders with either, one at a time, alternated.
pub async fn run(stage: &Stage, orders: usize) -> Result<Outside> {
    let server = S3::start().await;
    let link = Link::to_store(&server.endpoint()).await;
    let namespaces = TestNamespaces::on(stage.plane.clone(), "bench").await;
    let options = S3::environment_at(link.url())
        .into_iter()
        .fold(stage.options(16), |options, (name, value)| options.env(name, &value))
        .args([format!("--ledger=s3://{BUCKET}/ledger")]);
    let worker = Worker::Operator(namespaces.operator(options).await);
    let outside = Contender { namespaces, worker };
    outside.leads().await;
    let in_cluster = stage.contender(Who::Operator, 16).await?;
    let opened = link.passed().len();
    let waits = single::between(stage, [in_cluster, outside], orders).await?;
    let passed = link.passed();
    let each = |method: &str| {
        let name = format!("store {method} ");
        let made = passed[opened..].iter().filter(|passed| passed.name.starts_with(&name)).count();
        crate::burst::as_f64(made) / crate::burst::as_f64(orders)
    };
    Ok(Outside { waits, requests: METHODS.map(|method| (method, each(method))).into() })
}

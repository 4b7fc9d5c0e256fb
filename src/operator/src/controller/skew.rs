//! Tells when the CRDs in the cluster are older or newer than this operator. It reads the schemas that the
//! apiserver publishes to everyone, so that no right on CRDs is needed, which a `Role` could not give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::telemetry::Metrics;
use tenios_api::skew::Skew;
use tenios_api::{causes, crd};

const SCHEMAS: &str = "/openapi/v3/apis/tenios.dev/v1alpha1";

/// CRDs change when someone upgrades, so that a difference may show this late.
const EVERY: Duration = Duration::from_secs(600);

/// An apiserver publishes a schema a moment after it took it: what differs is looked at again.
const AGAIN: Duration = Duration::from_secs(5);

/// Where the schemas can't be read.
const UNREADABLE: Duration = Duration::from_secs(60);

type Skews = BTreeMap<String, Skew>;

/// Looks at once and from time to time. One log line for each change that lasts.
pub async fn watch(client: Client, metrics: Arc<Metrics>, stop: CancellationToken) {
    let (mut seen, mut told) = (Skews::new(), Skews::new());
    loop {
        let wait = match published(&client).await {
            Ok(schemas) => {
                let now = compare(&own_schemas(), &schemas);
                let lasts = now == seen;
                seen = now;
                if lasts {
                    tell(&seen, &mut told, &metrics);
                }
                if lasts { EVERY } else { AGAIN }
            }
            Err(error) => {
                tracing::debug!(error = causes(&error), "the published schemas can't be read");
                UNREADABLE
            }
        };
        if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

fn compare(own: &[(String, Value)], published: &Value) -> Skews {
    let clusters = |kind| &published["components"]["schemas"][format!("dev.tenios.v1alpha1.{kind}")];
    own.iter().map(|(kind, own)| (kind.clone(), Skew::between(own, clusters(kind)))).collect()
}

fn tell(seen: &Skews, told: &mut Skews, metrics: &Metrics) {
    for (kind, skew) in seen {
        metrics.crd_compatible(kind, skew.is_none());
        if told.insert(kind.clone(), skew.clone()).unwrap_or_default() != *skew {
            say(kind, skew);
        }
    }
}

async fn published(client: &Client) -> Result<Value, kube::Error> {
    let request = http::Request::get(SCHEMAS).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request(request).await
}

fn own_schemas() -> Vec<(String, Value)> {
    let schema = |crd: CustomResourceDefinition| {
        let version = crd.spec.versions.into_iter().next();
        let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
        (crd.spec.names.kind, serde_json::to_value(schema).unwrap_or_default())
    };
    crd::all().into_iter().map(schema).collect()
}

fn say(kind: &str, Skew { lacking, unknown }: &Skew) {
    let list = |fields: &BTreeSet<String>| fields.iter().cloned().collect::<Vec<_>>().join(", ");
    let version = env!("CARGO_PKG_VERSION");
    match (lacking.is_empty(), unknown.is_empty()) {
        (true, true) => {
            tracing::info!(kind, version, "the CRD in the cluster matches this operator again");
        }
        (false, _) => tracing::warn!(
            kind,
            version,
            lacking = list(lacking),
            unknown = list(unknown),
            "the CRD in the cluster is older than this operator: fields that it lacks are not stored; apply the CRDs of this version"
        ),
        (true, false) => tracing::warn!(
            kind,
            version,
            unknown = list(unknown),
            "the CRD in the cluster is newer than this operator, which ignores the fields it does not know; upgrade the operator"
        ),
    }
}

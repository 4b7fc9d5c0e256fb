//! `retry`: a person's word that an attempt of unknown outcome placed nothing.

use clap::Args;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, ask, out};
use tenios_api::NOT_PLACED_ANNOTATION;

#[derive(Debug, Args)]
pub(super) struct RetryOptions {
    /// pno/NAME or pver/NAME.
    target: Target,
    /// The attempt that placed or cancelled nothing: `status.attempt` or `status.cancellation.attempt`.
    #[arg(long)]
    attempt: String,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(options: &RetryOptions, cluster: &Cluster) -> Result<(), Failure> {
    let RetryOptions { target, attempt, yes } = options;
    let before = target.read(cluster).await?;
    let state = target::text(&before, "/status/state").unwrap_or("not reconciled yet");
    let cancels = is_cancellation(&before);
    let attempt_at = if cancels { "/status/cancellation/attempt" } else { "/status/attempt" };
    let newest = target::text(&before, attempt_at);
    if state != "OutcomeUnknown" {
        return Err(Failure::Failed(format!(
            "{target} is {state}, not OutcomeUnknown: there is nothing to resolve"
        )));
    }
    if newest != Some(attempt) {
        let newest = newest.unwrap_or("none");
        return Err(Failure::Failed(format!("the latest attempt of {target} is {newest}, not {attempt}")));
    }
    let (nothing, otherwise) = if cancels {
        ("cancelled nothing", "the number may have been given to somebody else by then")
    } else {
        ("placed nothing", "you pay for both")
    };
    ask::confirm(
        &format!(
            "You are declaring that attempt {attempt} of {target} in namespace {} {nothing}. Have you checked the TENIOS portal?\n\
             A new request will be sent. If the first one went through after all, {otherwise}.",
            cluster.namespace
        ),
        *yes,
    )?;
    let annotations = json!({NOT_PLACED_ANNOTATION: attempt});
    // Of the resource as it was looked at: a push may have told the outcome meanwhile.
    let patch = json!({"metadata": {"resourceVersion": before.metadata.resource_version, "annotations": annotations}});
    target.patch(cluster, patch).await?;
    out::print(&format!(
        "{target}: attempt {attempt} is declared as not placed; the operator sends a new request\n\nThis belongs in the cluster, not in Git: it names one attempt and works once.\n"
    ))
}

/// Whether what is unknown is the outcome of a cancellation.
fn is_cancellation(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
    let is_unknown = |condition: &Value| condition["type"] == "Cancelled" && condition["status"] == "Unknown";
    conditions.into_iter().flatten().any(is_unknown)
}

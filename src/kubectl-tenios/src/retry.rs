//! `retry`: a person's word that an attempt of unknown outcome placed nothing.

use clap::Args;
use serde_json::json;

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, ask, out};
use tenios_api::NOT_PLACED_ANNOTATION;

#[derive(Debug, Args)]
pub(super) struct RetryOptions {
    /// pno/NAME or pver/NAME.
    target: Target,
    /// The attempt that placed nothing: `status.attempt`.
    #[arg(long)]
    attempt: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(options: &RetryOptions, cluster: &Cluster) -> Result<(), Failure> {
    let RetryOptions { target, attempt, yes } = options;
    let before = target.read(cluster).await?;
    let state = target::text(&before, "/status/state").unwrap_or("not visited yet");
    let newest = target::text(&before, "/status/attempt");
    if state != "OutcomeUnknown" {
        return Err(Failure::Failed(format!(
            "{target} is {state}, not OutcomeUnknown: nobody has to say what became of a request"
        )));
    }
    if newest != Some(attempt) {
        let newest = newest.unwrap_or("none");
        return Err(Failure::Failed(format!("the attempt of {target} is {newest}, not {attempt}")));
    }
    ask::sure(
        &format!(
            "Attempt {attempt} of {target} in namespace {} placed nothing: did you check the TENIOS portal?\n\
             A new request is sent. If the first one was placed after all, both have to be paid.",
            cluster.namespace
        ),
        *yes,
    )?;
    let annotations = json!({NOT_PLACED_ANNOTATION: attempt});
    // Of the resource as it was looked at: a push may have told the outcome meanwhile.
    let patch = json!({"metadata": {"resourceVersion": before.metadata.resource_version, "annotations": annotations}});
    target.patch(cluster, patch).await?;
    out::print(&format!(
        "{target}: attempt {attempt} counts as not placed; a new request is sent\n\nThis belongs in the cluster and not in Git: it names one attempt and works once.\n"
    ))
}

//! `cancel`: asks the operator to cancel a number, or records that it is cancelled.

use clap::Args;
use jiff::civil::Date;
use serde_json::json;

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, ask, git, out, phone_number};
use tenios_ledger::Kind;

#[derive(Debug, Args)]
pub(super) struct CancelOptions {
    /// pno/NAME.
    target: Target,
    /// The number of that order, repeated.
    #[arg(long, value_parser = phone_number)]
    phone_number: String,
    /// The date from which the number is cancelled, as the TENIOS portal shows it: nothing is sent then.
    #[arg(long, value_name = "YYYY-MM-DD")]
    done: Option<Date>,
    /// Do not ask for confirmation.
    #[arg(long, short)]
    yes: bool,
}

pub(super) async fn run(options: &CancelOptions, cluster: &Cluster) -> Result<(), Failure> {
    let CancelOptions { target, phone_number, done, yes } = options;
    if target.kind != Kind::Order {
        return Err(Failure::usage(format!("{target} has no number to cancel: expected pno/NAME")));
    }
    let before = target.read(cluster).await?;
    match target::text(&before, "/status/phoneNumber") {
        Some(assigned) if assigned == phone_number => {}
        Some(assigned) => {
            let assigned = out::sanitize(assigned);
            return Err(Failure::Failed(format!(
                "the number of {target} is {assigned}, not {phone_number}; nothing was changed"
            )));
        }
        None => {
            return Err(Failure::Failed(format!("{target} has no number to cancel; nothing was changed")));
        }
    }
    if let Some(date) = target::text(&before, "/status/cancellationDate") {
        let date = out::sanitize(date);
        return Err(Failure::Failed(format!(
            "{target} is already cancelled as of {date}; nothing was changed"
        )));
    }
    if done.is_none() && target::text(&before, "/spec/cancel/phoneNumber").is_some() {
        let state = out::sanitize(target::text(&before, "/status/state").unwrap_or("not reconciled yet"));
        return Err(Failure::Failed(format!(
            "spec.cancel of {target} is set already, and its state is {state}; nothing was changed, and nothing more is \
             sent. To see what to do, run: kubectl describe pno {} -n {}",
            target.name, cluster.namespace
        )));
    }
    if done.is_none() {
        ask::confirm(
            &format!(
                "TENIOS will be asked to cancel number {phone_number} of {target} in namespace {}. That can't be undone, \
                 and TENIOS chooses the date from which the number no longer works.",
                cluster.namespace
            ),
            *yes,
        )?;
    }
    // Of the resource as it was looked at.
    let metadata = json!({"resourceVersion": before.metadata.resource_version});
    let cancel = json!({"phoneNumber": phone_number, "done": done});
    let after = target.patch(cluster, json!({"metadata": metadata, "spec": {"cancel": cancel}})).await?;
    let git = git::advice(target, git::Field::Cancel, &before, &after)?;
    let said = match done {
        Some(date) => format!("recorded as cancelled as of {date}; nothing is sent to TENIOS"),
        None => "the operator sends the cancellation to TENIOS, once".to_owned(),
    };
    out::print(&format!("{target}: {said}\n\n{git}"))
}

//! `approve` and `reject`: what a person saw in the TENIOS portal.

use clap::Args;
use serde_json::json;

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, git, out};
use tenios_api::verification::Approval;
use tenios_ledger::Kind;

#[derive(Debug, Args)]
pub(super) struct ApprovalOptions {
    /// Name of the `PhoneVerification`.
    #[arg(value_parser = name)]
    name: String,
}

fn name(text: &str) -> Result<String, String> {
    match text.parse::<Target>() {
        Ok(Target { kind: Kind::Verification, name }) => Ok(name),
        Ok(other) => Err(format!("{other} is not a PhoneVerification")),
        Err(_) => target::resource_name(text),
    }
}

pub(super) async fn run(
    options: &ApprovalOptions,
    approval: Approval,
    cluster: &Cluster,
) -> Result<(), Failure> {
    let target = Target { kind: Kind::Verification, name: options.name.clone() };
    let before = target.read(cluster).await?;
    let said = format!("{approval:?}");
    if target::text(&before, "/spec/approval") == Some(&said) {
        return out::print(&format!("{target}: spec.approval is already {said}\n"));
    }
    let after = target.patch(cluster, json!({"spec": {"approval": said}})).await?;
    let git = git::advice(&target, git::Field::Approval, &before, &after)?;
    out::print(&format!("{target}: spec.approval is now {said}\n\n{git}"))
}

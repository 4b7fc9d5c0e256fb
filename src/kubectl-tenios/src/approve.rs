//! `approve` and `reject`: what a person saw in the TENIOS portal.

use clap::Args;
use serde_json::json;

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, git, out};
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

#[derive(Clone, Copy)]
pub(super) enum Verdict {
    Approved,
    Rejected,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "Approved",
            Self::Rejected => "Rejected",
        }
    }
}

pub(super) async fn run(
    options: &ApprovalOptions,
    verdict: Verdict,
    cluster: &Cluster,
) -> Result<(), Failure> {
    let target = Target { kind: Kind::Verification, name: options.name.clone() };
    let before = target.read(cluster).await?;
    let said = verdict.as_str();
    if target::text(&before, "/spec/approval") == Some(said) {
        return out::print(&format!("{target}: spec.approval is already {said}\n"));
    }
    let after = target.patch(cluster, json!({"spec": {"approval": said}})).await?;
    let git = git::advice(&target, git::Field::Approval, &before, &after)?;
    out::print(&format!("{target}: spec.approval is now {said}\n\n{git}"))
}

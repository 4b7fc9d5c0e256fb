//! `approve` and `reject`: what a person saw in the TENIOS portal.

use clap::Args;
use serde_json::json;

use super::cluster::Cluster;
use super::target::{self, Target};
use super::{Failure, git, out};
use crate::ledger::Kind;

#[derive(Debug, Args)]
pub(super) struct ApprovalOptions {
    /// Name of the `PhoneVerification`.
    name: String,
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
    let name = options.name.strip_prefix("pver/").unwrap_or(&options.name);
    let target = Target { kind: Kind::Verification, name: name.into() };
    let before = target.read(cluster).await?;
    let said = verdict.as_str();
    if target::text(&before, "/spec/approval") == Some(said) {
        return out::print(&format!("{target}: spec.approval is {said} already\n"));
    }
    let change = json!({"spec": {"approval": said}});
    let after = target.patch(cluster, change.clone()).await?;
    let git = git::change(&target, &after, &change);
    out::print(&format!("{target}: spec.approval is {said} now\n\n{git}"))
}

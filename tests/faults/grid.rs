//! Every plot × every request × every action.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream;

use crate::cast::Cast;
use crate::nemesis::{Action, Fault};
use crate::plots::{self, Plot};
use crate::run::{Case, Ran, run};

/// Lease renewals go on for ever; only so many of each count.
const LEASES: u32 = 2;

/// Runs each plot undisturbed, and makes the cells from what it asked for.
pub async fn record(jobs: usize) -> (Vec<Case>, Vec<Ran>) {
    let cases: Vec<Case> =
        plots::ALL.into_iter().map(|plot| Case { plot, cast: Cast::Alone, fault: None }).collect();
    let recorded = all(cases, jobs, |_| {}).await;
    let cells = recorded.iter().flat_map(|ran| cells(ran.case.plot, ran)).collect();
    (cells, recorded)
}

fn cells(plot: Plot, ran: &Ran) -> Vec<Case> {
    let names: BTreeSet<&str> = ran.requests.iter().map(|passed| passed.name.as_str()).collect();
    let counted = names.into_iter().filter(|name| !name.contains("leases") || ordinal(name) <= LEASES);
    let faults = counted.flat_map(|name| {
        let suiting = Action::ALL.into_iter().filter(|action| action.suits(name));
        suiting.map(|action| Fault { request: name.to_owned(), action })
    });
    faults.map(|fault| Case { plot, cast: Cast::Alone, fault: Some(fault) }).collect()
}

fn ordinal(name: &str) -> u32 {
    name.rsplit('#').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// Runs them, so many at a time.
pub async fn all(cases: Vec<Case>, jobs: usize, mut ended: impl FnMut(&Ran)) -> Vec<Ran> {
    // All on one task: a run mostly waits, and what works for it has tasks of its own.
    let mut runs = stream::iter(cases.into_iter().map(until_struck)).buffer_unordered(jobs);
    let mut all = Vec::new();
    while let Some(ran) = runs.next().await {
        ended(&ran);
        all.push(ran);
    }
    all
}

/// Twice more where the request did not come: which ones come depends a little on time.
async fn until_struck(case: Case) -> Ran {
    let mut ran = run(case.clone()).await;
    for _ in 0..2 {
        if ran.case.fault.is_none() || ran.struck || !ran.wrong.is_empty() {
            break;
        }
        ran = run(case.clone()).await;
    }
    ran
}

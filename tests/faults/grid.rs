//! Every scenario × every request × every action.

use std::collections::BTreeSet;
use std::iter;

use futures::StreamExt;
use futures::stream;

use crate::nemesis::{Action, Fault};
use crate::run::{Case, Ran, run};
use crate::scenarios::{self, Scenario};
use crate::topology::Topology;

/// Lease renewals go on for ever; only so many of each count.
const LEASES: u32 = 2;

/// Quiet runs of each scenario. What one asks for once more depends a little on time; what all ask for counts. With
/// three, a status write that came in about half of all runs was taken for one that always comes.
const RECORDINGS: usize = 6;

/// How often a request that did not come is waited for again.
const AGAIN: usize = 4;

/// Runs each scenario undisturbed, and makes the cells from what it asked for.
pub async fn record(jobs: usize) -> (Vec<Case>, Vec<Ran>) {
    let quiet = |scenario| Case { scenario, topology: Topology::Alone, fault: None };
    let cases: Vec<Case> =
        scenarios::ALL.into_iter().flat_map(|scenario| iter::repeat_n(quiet(scenario), RECORDINGS)).collect();
    let mut recorded = all(cases, jobs, |_| {}).await;
    recorded.sort_by_key(|ran| ran.case.scenario.name);
    let cells = recorded.chunks(RECORDINGS).flat_map(|runs| cells(runs[0].case.scenario, runs)).collect();
    (cells, recorded)
}

fn cells(scenario: Scenario, runs: &[Ran]) -> Vec<Case> {
    let names = |ran: &Ran| ran.requests.iter().map(|passed| passed.name.clone()).collect::<BTreeSet<_>>();
    let common = runs.iter().map(names).reduce(|these, those| &these & &those).unwrap_or_default();
    let counted = common.into_iter().filter(|name| !name.contains("leases") || ordinal(name) <= LEASES);
    let faults = counted.flat_map(|request| {
        let suiting = Action::ALL.into_iter().filter(|action| action.suits(&request)).collect::<Vec<_>>();
        suiting.into_iter().map(move |action| Fault { request: request.clone(), action })
    });
    faults.map(|fault| Case { scenario, topology: Topology::Alone, fault: Some(fault) }).collect()
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

/// Again where the request did not come: which ones come depends a little on time.
async fn until_struck(case: Case) -> Ran {
    let mut ran = run(case.clone()).await;
    for _ in 0..AGAIN {
        if ran.case.fault.is_none() || ran.struck || !ran.wrong.is_empty() {
            break;
        }
        ran = run(case.clone()).await;
    }
    ran
}

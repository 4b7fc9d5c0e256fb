//! Every scenario × every request × every action, on the links to the apiserver and the provider; and on the link to
//! the store, where the ledger is outside the cluster.

use std::collections::BTreeSet;
use std::iter;

use futures::StreamExt;
use futures::stream;

use crate::nemesis::{Action, Fault};
use crate::run::{Case, Ran, run};
use crate::scenarios::{self, Scenario};
use crate::topology::Topology;
use harness::link::Storm;

/// Lease renewals go on for ever; only so many of each count.
const LEASES: u32 = 2;

/// Quiet runs of each scenario. What one asks for once more depends a little on time; what all ask for counts. With
/// three, a status write that came in about half of all runs was taken for one that always comes.
const RECORDINGS: usize = 6;

/// How often a request that did not come is waited for again.
const AGAIN: usize = 4;

/// Scenarios that are played with the ledger on object storage, too: each kind of request, an order that is tried again,
/// and what is known of one whose resource was gone.
const OUTSIDE: [&str; 4] = ["verify-order", "refused-mended", "recreate", "cancel"];

/// Of these, the one in which the store is broken while it is opened, which is the same in all.
const OPENED: &str = "verify-order";

/// How the ledger's copies and the provider are broken where the ledger is outside. Where it is not, everything is.
const BESIDE_THE_STORE: [Action; 11] = [
    Action::DropAnswer,
    Action::ErrorAfter,
    Action::Late,
    Action::KillBefore,
    Action::KillAfter,
    Action::StopAfter,
    Action::TerminateAfter,
    Action::Storm(Storm::FalseConflicts),
    Action::Storm(Storm::Unanswered),
    Action::Storm(Storm::AnswersLost),
    Action::SetBack(Storm::Unanswered),
];

/// Runs each of these scenarios undisturbed, and makes the cells from what it asked for.
pub async fn record(jobs: usize, wanted: impl Fn(Topology) -> bool) -> (Vec<Case>, Vec<Ran>) {
    let outside = scenarios::ALL.into_iter().filter(|scenario| OUTSIDE.contains(&scenario.name));
    let places = (scenarios::ALL.map(|scenario| (scenario, Topology::Alone)).into_iter())
        .chain(outside.map(|scenario| (scenario, Topology::Outside)))
        .filter(|(_, topology)| wanted(*topology));
    let quiet = places.map(|(scenario, topology)| Case { scenario, topology, fault: None });
    let cases: Vec<Case> = quiet.flat_map(|case| iter::repeat_n(case, RECORDINGS)).collect();
    let mut recorded = all(cases, jobs, |_| {}).await;
    recorded.sort_by_key(|ran| (ran.case.scenario.name, ran.case.topology));
    let cells = recorded.chunks(RECORDINGS).flat_map(cells).collect();
    (cells, recorded)
}

/// Whether this is tried.
fn is_tried(scenario: &Scenario, topology: Topology, fault: &Fault) -> bool {
    let request = fault.request.as_str();
    if !topology.is_outside() {
        return true;
    }
    match request.split(' ').next() {
        Some("store") => request.contains(" entries/") || scenario.name == OPENED,
        Some("apiserver") => request.contains(" ledgerentries ") && BESIDE_THE_STORE.contains(&fault.action),
        _ => BESIDE_THE_STORE.contains(&fault.action),
    }
}

fn cells(runs: &[Ran]) -> Vec<Case> {
    let Case { scenario, topology, .. } = runs[0].case;
    let names = |ran: &Ran| ran.requests.iter().map(|passed| passed.name.clone()).collect::<BTreeSet<_>>();
    // One that broke off says nothing.
    let whole = runs.iter().filter(|ran| !ran.requests.is_empty());
    let common = whole.map(names).reduce(|these, those| &these & &those).unwrap_or_default();
    let counted = common.into_iter().filter(|name| !name.contains("leases") || ordinal(name) <= LEASES);
    let faults = counted.flat_map(|request| {
        let suiting = Action::ALL.into_iter().filter(|action| action.suits(&request)).collect::<Vec<_>>();
        suiting.into_iter().map(move |action| Fault { request: request.clone(), action })
    });
    let tried = faults.filter(|fault| is_tried(&scenario, topology, fault));
    tried.map(|fault| Case { scenario, topology, fault: Some(fault) }).collect()
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

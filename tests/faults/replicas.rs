//! Two replicas: what a lease, a pause or a clock can do to them.

use crate::nemesis::{Action, Fault};
use crate::run::Case;
use crate::scenarios;
use crate::topology::Topology;

const SCENARIOS: [&str; 4] = ["verify-order", "linked", "refused-mended", "recreate"];

/// Around the request that costs money, and the lease.
const REQUESTS: [&str; 4] = [
    "apiserver POST ledgerentries #1",
    "provider POST number/order #1",
    "apiserver PATCH ledgerentries #1",
    "apiserver PUT leases #2",
];

const ACTIONS: [Action; 7] = [
    Action::DropAnswer,
    Action::ErrorAfter,
    Action::Delay,
    Action::KillForGood,
    Action::StopBefore,
    Action::StopAfter,
    Action::StealLease,
];

/// Where nothing but the clocks differs, fewer will do.
const ACTIONS_OF_CLOCKS: [Action; 2] = [Action::KillForGood, Action::StopAfter];

/// Between the intent's answer and the request's last byte lie a few milliseconds: so many microseconds
/// after the answer the pause begins.
const PAUSES: [u32; 16] =
    [0, 100, 200, 300, 400, 500, 700, 900, 1200, 1500, 2000, 2500, 3000, 4000, 6000, 10_000];

/// All of them.
pub fn cells() -> Vec<Case> {
    let scenarios = || scenarios::ALL.into_iter().filter(|scenario| SCENARIOS.contains(&scenario.name));
    let mut cells = Vec::new();
    for (scenario, topology) in scenarios()
        .flat_map(|scenario| Topology::ALL.map(|topology| (scenario, topology)))
        .filter(|(_, topology)| topology.has_second() && !topology.is_shared())
    {
        let actions: &[Action] = if matches!(topology, Topology::Standby | Topology::Rivals) {
            &ACTIONS
        } else {
            &ACTIONS_OF_CLOCKS
        };
        for (request, action) in REQUESTS.iter().flat_map(|r| actions.iter().map(move |a| (r, *a))) {
            if topology.elects() || !request.contains("leases") {
                let fault = Some(Fault { request: (*request).to_owned(), action });
                cells.push(Case { scenario, topology, fault });
            }
        }
        cells.push(Case { scenario, topology, fault: None });
    }
    let simple = scenarios::ALL.into_iter().find(|scenario| scenario.name == "early-push");
    for (scenario, micros) in simple.into_iter().flat_map(|scenario| PAUSES.map(|micros| (scenario, micros)))
    {
        let request = "apiserver POST ledgerentries #1".to_owned();
        let fault = Some(Fault { request, action: Action::StopLong(micros) });
        cells.push(Case { scenario, topology: Topology::Standby, fault });
    }
    cells
}

//! One run: a scenario, at most one fault, and what became of it.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::FutureExt;
use std::panic::AssertUnwindSafe;

use crate::clusters;
use crate::judge::{Expected, Wrong, judge};
use crate::meddle;
use crate::nemesis::{Fault, strike};
use crate::person;
use crate::scenarios::{self, End, Scenario};
use crate::testbed::Testbed;
use crate::topology::Topology;
use harness::link::Passed;
use harness::{Operator, checkout};

/// From the end of the faults to the named end at most (promise 24).
const BOUND: Duration = Duration::from_secs(30);
/// Until the fault has met its request, at most.
const UNTIL_STRUCK: Duration = Duration::from_secs(40);
/// How long a run that is done waits for the fault's request.
const STILL_COMES: Duration = Duration::from_secs(2);
/// What a person sees change in a run at most: a quiet one has about 20 changes.
const CHANGES: usize = 70;
/// Longer than every wait of a run together.
const HUNG: Duration = Duration::from_secs(300);
/// How long a cluster that is to be lost has for an order.
const UNTIL_LOST: Duration = Duration::from_secs(10);
/// How long the named end has to hold.
const HOLDS: Duration = Duration::from_millis(400);

/// One cell of the grid.
#[derive(Clone)]
pub struct Case {
    pub scenario: Scenario,
    pub topology: Topology,
    pub fault: Option<Fault>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.scenario.name, self.topology)?;
        match &self.fault {
            None => Ok(()),
            Some(fault) => write!(f, "/{}/{}", fault.request, fault.action),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    /// As it is displayed: `scenario/request/action`.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("there is no run {text:?}");
        let (place, fault) = text.split_once('/').map_or((text, None), |(place, fault)| (place, Some(fault)));
        let (scenario, topology) = place.split_at(place.find('+').unwrap_or(place.len()));
        let scenario = scenarios::ALL.into_iter().find(|known| known.name == scenario).ok_or_else(unknown)?;
        let topology =
            Topology::ALL.into_iter().find(|known| known.to_string() == topology).ok_or_else(unknown)?;
        let fault = match fault.map(|fault| fault.rsplit_once('/').ok_or_else(unknown)).transpose()? {
            None => None,
            Some((request, action)) => {
                Some(Fault { request: request.to_owned(), action: action.parse().map_err(|()| unknown())? })
            }
        };
        Ok(Self { scenario, topology, fault })
    }
}

/// What became of it.
pub struct Ran {
    pub case: Case,
    /// Whether the fault met its request.
    pub struck: bool,
    /// From the end of the fault to the named end.
    pub recovered: Option<Duration>,
    pub unknown: usize,
    pub wrong: Vec<Wrong>,
    /// The operator's requests on all links.
    pub requests: Vec<Passed>,
    /// Where the report of a failure is.
    pub report: Option<PathBuf>,
}

/// Runs it. Whatever goes wrong, the others are run, too.
pub async fn run(case: Case) -> Ran {
    let ran = AssertUnwindSafe(tokio::time::timeout(HUNG, run_once(case.clone()))).catch_unwind().await;
    let why = match ran {
        Ok(Ok(ran)) => return ran,
        Ok(Err(_)) => format!("it did not end in {HUNG:?}"),
        Err(_) => "the test panicked outside the run".to_owned(),
    };
    Ran {
        case,
        struck: false,
        recovered: None,
        unknown: 0,
        wrong: vec![Wrong::Broken(why)],
        requests: Vec::new(),
        report: None,
    }
}

async fn run_once(case: Case) -> Ran {
    let testbed = Testbed::new(case.scenario.name, case.topology).await;
    let played = AssertUnwindSafe(play(&testbed, &case)).catch_unwind().await;
    let End { orders, submissions, cancelled, .. } = case.scenario.end;
    let harmed = case.fault.as_ref().is_some_and(|fault| fault.action.harms_the_operator());
    let mut wrong = match played {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(what)) => vec![what],
        Err(_) => vec![Wrong::Broken("the test panicked".into())],
    };
    wrong.extend(judge(&testbed, Expected { orders, submissions, cancelled: cancelled.len(), harmed }).await);
    let changes = testbed.observer.changes();
    if changes > CHANGES {
        wrong.push(Wrong::Restless(format!("{changes} changes were shown")));
    }
    wrong.dedup();
    let over = testbed.fault_window.borrow().over;
    let ended = Instant::now().checked_sub(HOLDS);
    let asked = std::env::var_os("REPORT").is_some();
    let report =
        if wrong.is_empty() && !asked { None } else { report(&testbed, &case.to_string(), &wrong).await };
    let requests = testbed.links().into_iter().flat_map(|(_, link)| link.passed()).collect();
    strike_the_set(&testbed).await;
    Ran {
        struck: over.is_some(),
        recovered: over.zip(ended).map(|(over, ended)| ended.saturating_duration_since(over)),
        unknown: testbed.observer.unknown().len(),
        case,
        wrong,
        requests,
        report,
    }
}

/// Ends the operators.
pub async fn strike_the_set(testbed: &Testbed) {
    let second = testbed.second.as_ref().map(|(second, _)| second);
    for operator in [Some(&testbed.operator), second].into_iter().flatten() {
        if operator.is_running() {
            operator.kill().await;
        }
        let _ = std::fs::remove_file(operator.log_path());
    }
}

async fn play(testbed: &Testbed, case: &Case) -> Result<(), Wrong> {
    (case.scenario.prepare)(testbed);
    let fault = async {
        match &case.fault {
            Some(fault) => strike(testbed, &case.scenario.end, fault).await,
            None => std::future::pending().await,
        }
        std::future::pending::<()>().await;
    };
    let course = async {
        testbed.start_operators().await;
        (case.scenario.play)(testbed).await;
        if case.topology == Topology::Moved {
            move_on(testbed, &case.scenario.end).await;
        }
        reach(testbed, &case.scenario.end).await;
        let mut fault_window = testbed.fault_window.subscribe();
        // Renewals of the lease come when everything else is done.
        let patience = if case.fault.is_some() { STILL_COMES } else { Duration::ZERO };
        let begun = tokio::time::timeout(patience, fault_window.wait_for(|fault_window| fault_window.begun))
            .await
            .is_ok();
        if begun {
            let _ = fault_window.wait_for(|fault_window| fault_window.over.is_some()).await;
        }
        // A replica that was paused may show its older view once, before its watch tells it better.
        loop {
            reach(testbed, &case.scenario.end).await;
            testbed.observer.note("the named end is reached");
            let mut seen = testbed.observer.subscribe();
            let left = seen.wait_for(|seen| !case.scenario.end.is_reached(seen));
            if tokio::time::timeout(HOLDS, left).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = course => {}
        () = fault => {}
        () = person::answer(testbed) => {}
        () = meddle::take_back(testbed) => {}
        () = clusters::copy(testbed) => {}
        () = too_late(testbed) => {
            return Err(Wrong::NotConverged("the named end is not reached in time after the fault".into()));
        }
    }
    Ok(())
}

/// Waits for the named end, in each cluster that there is.
async fn reach(testbed: &Testbed, end: &End) {
    testbed.observer.until(|seen| end.is_reached(seen)).await;
    if let Some(twin) = &testbed.twin {
        twin.reaches(end).await;
    }
}

/// The first cluster is lost by the fault or, where its request does not come, when everything is done there.
async fn move_on(testbed: &Testbed, end: &End) {
    let Some(twin) = &testbed.twin else { return };
    // Nobody there is asked about what may be unknown.
    let _ = tokio::time::timeout(UNTIL_LOST, twin.reaches(end)).await;
    let mut fault_window = testbed.fault_window.subscribe();
    let _ = tokio::time::timeout(STILL_COMES, fault_window.wait_for(|fault_window| fault_window.begun)).await;
    if !twin.is_lost() {
        testbed.lose_the_first().await;
    }
}

/// Ends when the run has had all the time that it may have.
async fn too_late(testbed: &Testbed) {
    let mut fault_window = testbed.fault_window.subscribe();
    let struck = fault_window.wait_for(|fault_window| fault_window.over.is_some());
    let _ = tokio::time::timeout(UNTIL_STRUCK, struck).await;
    // What another cluster did is looked up, and not at once.
    tokio::time::sleep(if testbed.twin.is_some() { 2 * BOUND } else { BOUND }).await;
}

/// Everything that there is to know about a failure, in a file.
pub async fn report(testbed: &Testbed, case: &str, wrong: &[Wrong]) -> Option<PathBuf> {
    let ledger = testbed
        .ledger()
        .await
        .iter()
        .filter_map(|entry| serde_json::to_string(&entry.spec).ok())
        .collect::<Vec<_>>();
    let directory = checkout("target/faults");
    std::fs::create_dir_all(&directory).ok()?;
    let name: String = case.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = directory.join(format!("{name}.txt"));
    let mut text =
        format!("{case}\n{wrong:#?}\n\nwhat a person saw\n{}\n", testbed.observer.notes().join("\n"));
    for (what, link) in testbed.links() {
        let _ = writeln!(text, "\n{what}'s link");
        for passed in link.passed() {
            let _ =
                writeln!(text, "{:?} {} {:?} {:?}", passed.at, passed.name, passed.status, passed.attempt);
        }
    }
    let _ = writeln!(text, "\nthe journal\n{}", lines(&testbed.simulator.journal()));
    let _ = writeln!(text, "\nthe account's orders\n{}", lines(&testbed.simulator.orders()));
    let _ = writeln!(text, "\nthe pushes\n{}", lines(&testbed.simulator.pushes()));
    let _ = writeln!(text, "\nthe ledger\n{}", ledger.join("\n"));
    let _ = writeln!(text, "\nthe operator's log\n{}", tail(&testbed.operator));
    if let Some(twin) = &testbed.twin {
        let _ = writeln!(text, "\nin the first cluster\n{}", twin.observer.notes().join("\n"));
    }
    if let Some((second, _)) = &testbed.second {
        let _ = writeln!(text, "\nthe second operator's log\n{}", tail(second));
    }
    std::fs::write(&path, text).ok()?;
    Some(path)
}

fn lines<T: serde::Serialize>(values: &[T]) -> String {
    let lines: Vec<String> = values.iter().filter_map(|value| serde_json::to_string(value).ok()).collect();
    lines.join("\n")
}

fn tail(operator: &Operator) -> String {
    let log = operator.log();
    let skipped = log.lines().count().saturating_sub(400);
    let cut = |line: &str| line.chars().take(600).collect::<String>();
    log.lines().skip(skipped).map(cut).collect::<Vec<_>>().join("\n")
}

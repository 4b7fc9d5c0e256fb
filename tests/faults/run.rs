//! One run: a plot, at most one fault, and what became of it.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use futures::FutureExt;
use std::panic::AssertUnwindSafe;

use crate::cast::Cast;
use crate::judge::{Expected, Wrong, judge};
use crate::meddle;
use crate::nemesis::{Fault, strike};
use crate::person;
use crate::plots::{self, End, Plot};
use crate::stage::Stage;
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
/// How long the named end has to hold.
const HOLDS: Duration = Duration::from_millis(400);

/// One cell of the grid.
#[derive(Clone)]
pub struct Case {
    pub plot: Plot,
    pub cast: Cast,
    pub fault: Option<Fault>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.plot.name, self.cast)?;
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
        let (stage, fault) = text.split_once('/').map_or((text, None), |(stage, fault)| (stage, Some(fault)));
        let (plot, cast) = stage.split_at(stage.find('+').unwrap_or(stage.len()));
        let plot = plots::ALL.into_iter().find(|known| known.name == plot).ok_or_else(unknown)?;
        let cast = Cast::ALL.into_iter().find(|known| known.to_string() == cast).ok_or_else(unknown)?;
        let fault = match fault.map(|fault| fault.rsplit_once('/').ok_or_else(unknown)).transpose()? {
            None => None,
            Some((request, action)) => {
                Some(Fault { request: request.to_owned(), action: action.parse().map_err(|()| unknown())? })
            }
        };
        Ok(Self { plot, cast, fault })
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
    /// The operator's requests on both links.
    pub requests: Vec<Passed>,
    /// Where the report of a failure is.
    pub report: Option<PathBuf>,
}

/// Runs it.
pub async fn run(case: Case) -> Ran {
    let stage = Stage::new(case.plot.name, case.cast).await;
    let played = AssertUnwindSafe(play(&stage, &case)).catch_unwind().await;
    let End { orders, submissions, .. } = case.plot.end;
    let harmed = case.fault.as_ref().is_some_and(|fault| fault.action.harms_the_operator());
    let mut wrong = match played {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(what)) => vec![what],
        Err(_) => vec![Wrong::Broken("the test panicked".into())],
    };
    wrong.extend(judge(&stage, Expected { orders, submissions, harmed }).await);
    let changes = stage.eyes.notes().len();
    if changes > CHANGES {
        wrong.push(Wrong::Restless(format!("{changes} changes were shown")));
    }
    wrong.dedup();
    let over = stage.weather.borrow().over;
    let ended = Instant::now().checked_sub(HOLDS);
    let asked = std::env::var_os("REPORT").is_some();
    let report =
        if wrong.is_empty() && !asked { None } else { report(&stage, &case.to_string(), &wrong).await };
    let requests = [stage.apiserver.passed(), stage.provider.passed()].concat();
    strike_the_set(&stage).await;
    Ran {
        struck: over.is_some(),
        recovered: over.zip(ended).map(|(over, ended)| ended.saturating_duration_since(over)),
        unknown: stage.eyes.unknown().len(),
        case,
        wrong,
        requests,
        report,
    }
}

/// Ends the operators.
pub async fn strike_the_set(stage: &Stage) {
    let second = stage.second.as_ref().map(|(second, _)| second);
    for operator in [Some(&stage.operator), second].into_iter().flatten() {
        if operator.is_running() {
            operator.kill().await;
        }
        let _ = std::fs::remove_file(operator.log_path());
    }
}

async fn play(stage: &Stage, case: &Case) -> Result<(), Wrong> {
    (case.plot.prepare)(stage);
    let fault = async {
        match &case.fault {
            Some(fault) => strike(stage, &case.plot.end, fault).await,
            None => std::future::pending().await,
        }
        std::future::pending::<()>().await;
    };
    let course = async {
        stage.raise_curtain().await;
        (case.plot.play)(stage).await;
        stage.eyes.until(|seen| case.plot.end.is_reached(seen)).await;
        let mut weather = stage.weather.subscribe();
        // Renewals of the lease come when everything else is done.
        let patience = if case.fault.is_some() { STILL_COMES } else { Duration::ZERO };
        let begun = tokio::time::timeout(patience, weather.wait_for(|weather| weather.begun)).await.is_ok();
        if begun {
            let _ = weather.wait_for(|weather| weather.over.is_some()).await;
        }
        // A replica that was paused may show its older view once, before its watch tells it better.
        loop {
            stage.eyes.until(|seen| case.plot.end.is_reached(seen)).await;
            stage.eyes.note("the named end is reached");
            let mut seen = stage.eyes.subscribe();
            let left = seen.wait_for(|seen| !case.plot.end.is_reached(seen));
            if tokio::time::timeout(HOLDS, left).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = course => {}
        () = fault => {}
        () = person::answer(stage) => {}
        () = meddle::take_back(stage) => {}
        () = too_late(stage) => {
            return Err(Wrong::NotConverged(format!("the named end is not reached {BOUND:?} after the fault")));
        }
    }
    Ok(())
}

/// Ends when the run has had all the time that it may have.
async fn too_late(stage: &Stage) {
    let mut weather = stage.weather.subscribe();
    let struck = weather.wait_for(|weather| weather.over.is_some());
    let _ = tokio::time::timeout(UNTIL_STRUCK, struck).await;
    tokio::time::sleep(BOUND).await;
}

/// Everything that there is to know about a failure, in a file.
pub async fn report(stage: &Stage, case: &str, wrong: &[Wrong]) -> Option<PathBuf> {
    let ledger = stage
        .ledger()
        .await
        .iter()
        .filter_map(|entry| serde_json::to_string(&entry.spec).ok())
        .collect::<Vec<_>>();
    let directory = checkout("target/faults");
    std::fs::create_dir_all(&directory).ok()?;
    let name: String = case.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = directory.join(format!("{name}.txt"));
    let mut text = format!("{case}\n{wrong:#?}\n\nwhat a person saw\n{}\n", stage.eyes.notes().join("\n"));
    for (what, link) in [("apiserver", &stage.apiserver), ("provider", &stage.provider)] {
        let _ = writeln!(text, "\n{what}'s link");
        for passed in link.passed() {
            let _ =
                writeln!(text, "{:?} {} {:?} {:?}", passed.at, passed.name, passed.status, passed.attempt);
        }
    }
    let _ = writeln!(text, "\nthe journal\n{}", lines(&stage.simulator.journal()));
    let _ = writeln!(text, "\nthe account's orders\n{}", lines(&stage.simulator.orders()));
    let _ = writeln!(text, "\nthe pushes\n{}", lines(&stage.simulator.pushes()));
    let _ = writeln!(text, "\nthe ledger\n{}", ledger.join("\n"));
    let _ = writeln!(text, "\nthe operator's log\n{}", tail(&stage.operator));
    if let Some((second, _)) = &stage.second {
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

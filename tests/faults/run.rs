//! One run: a plot, at most one fault, and what became of it.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::FutureExt;
use std::panic::AssertUnwindSafe;

use crate::harness::checkout;
use crate::harness::link::Passed;
use crate::judge::{Wrong, judge};
use crate::nemesis::{Fault, strike};
use crate::person;
use crate::plots::Plot;
use crate::stage::Stage;

/// From the end of the faults to the named end at most (promise 24).
const BOUND: Duration = Duration::from_secs(30);
/// Until the fault has met its request, at most.
const UNTIL_STRUCK: Duration = Duration::from_secs(40);
/// How long a run that is done waits for the fault's request.
const STILL_COMES: Duration = Duration::from_secs(2);
/// How long the named end has to hold.
const HOLDS: Duration = Duration::from_millis(400);

/// One cell of the grid.
#[derive(Clone)]
pub struct Case {
    pub plot: Plot,
    pub fault: Option<Fault>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            None => write!(f, "{}", self.plot.name),
            Some(fault) => write!(f, "{}/{}/{}", self.plot.name, fault.request, fault.action),
        }
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
    let stage = Stage::new(case.plot.name).await;
    let played = AssertUnwindSafe(play(&stage, &case)).catch_unwind().await;
    let mut wrong = match played {
        Ok(Ok(())) => judge(&stage, &case.plot.end, case.fault.as_ref()).await,
        Ok(Err(what)) => {
            let mut wrong = judge(&stage, &case.plot.end, case.fault.as_ref()).await;
            wrong.insert(0, what);
            wrong
        }
        Err(_) => vec![Wrong::Broken("the test panicked".into())],
    };
    wrong.dedup();
    let over = stage.weather.borrow().over;
    let ended = Instant::now().checked_sub(HOLDS);
    let report = (!wrong.is_empty()).then(|| report(&stage, &case, &wrong)).flatten();
    let requests = [stage.apiserver.passed(), stage.provider.passed()].concat();
    stage.operator.kill().await;
    let _ = std::fs::remove_file(stage.operator.log_path());
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

async fn play(stage: &Stage, case: &Case) -> Result<(), Wrong> {
    (case.plot.prepare)(stage);
    let fault = async {
        match &case.fault {
            Some(fault) => strike(stage, fault).await,
            None => std::future::pending().await,
        }
        std::future::pending::<()>().await;
    };
    let course = async {
        stage.raise_curtain().await;
        (case.plot.play)(stage).await;
        stage.eyes.until(|seen| case.plot.end.is_reached(seen)).await;
        let mut weather = stage.weather.subscribe();
        if case.fault.is_some() {
            // Renewals of the lease come when everything else is done.
            let struck = weather.wait_for(|weather| weather.rough || weather.over.is_some());
            let _ = tokio::time::timeout(STILL_COMES, struck).await;
        }
        let _ = weather.wait_for(|weather| !weather.rough).await;
        stage.eyes.until(|seen| case.plot.end.is_reached(seen)).await;
        stage.eyes.note("the named end is reached");
    };
    tokio::select! {
        () = course => {}
        () = fault => {}
        () = person::answer(stage) => {}
        () = too_late(stage) => {
            return Err(Wrong::NotConverged(format!("the named end is not reached {BOUND:?} after the fault")));
        }
    }
    tokio::time::sleep(HOLDS).await;
    if case.plot.end.is_reached(&stage.eyes.now()) {
        Ok(())
    } else {
        Err(Wrong::NotConverged("the named end did not hold".into()))
    }
}

/// Ends when the run has had all the time that it may have.
async fn too_late(stage: &Stage) {
    let mut weather = stage.weather.subscribe();
    let struck = weather.wait_for(|weather| weather.over.is_some() && !weather.rough);
    let _ = tokio::time::timeout(UNTIL_STRUCK, struck).await;
    tokio::time::sleep(BOUND).await;
}

fn report(stage: &Stage, case: &Case, wrong: &[Wrong]) -> Option<PathBuf> {
    let directory = checkout("target/faults");
    std::fs::create_dir_all(&directory).ok()?;
    let name: String =
        case.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
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
    let log = stage.operator.log();
    let skipped = log.lines().count().saturating_sub(400);
    let tail: Vec<&str> = log.lines().skip(skipped).map(|line| line.get(..600).unwrap_or(line)).collect();
    let _ = writeln!(text, "\nthe operator's log\n{}", tail.join("\n"));
    std::fs::write(&path, text).ok()?;
    Some(path)
}

fn lines<T: serde::Serialize>(values: &[T]) -> String {
    let lines: Vec<String> = values.iter().filter_map(|value| serde_json::to_string(value).ok()).collect();
    lines.join("\n")
}

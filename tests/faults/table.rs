//! The figures.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::judge::Wrong;
use crate::run::{Case, Ran};
use crate::topology::Topology;
use crate::walk::Walked;
use harness::checkout;

/// See the module documentation.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    failures: Vec<String>,
}

struct Row {
    figure: String,
    goal: String,
    measured: String,
    reached: bool,
}

/// One line for each thing that went wrong in what is replayed so.
fn failures(replay: &impl fmt::Display, wrong: &[Wrong], report: Option<&PathBuf>) -> Vec<String> {
    let report = report.map(|path| path.display().to_string()).unwrap_or_default();
    wrong.iter().map(|wrong| format!("FAILED ONLY='{replay}' {wrong:?} {report}")).collect()
}

/// The same, at once.
pub fn say_wrong(ran: &Ran) {
    for line in failures(&ran.case, &ran.wrong, ran.report.as_ref()) {
        println!("{line}");
    }
    // With two replicas the other one may have been first.
    if ran.case.fault.is_some() && !ran.struck && !ran.case.topology.has_second() {
        println!("never came: {}", ran.case);
    }
}

/// The same about a walk.
pub fn say_walk(walked: &Walked) {
    for line in failures(walked, &walked.wrong, walked.report.as_ref()) {
        println!("{line}");
    }
}

const RECOVERY: &str = "from the end of the faults to the named end";

impl Table {
    /// One figure.
    pub fn row(&mut self, figure: &str, goal: &str, measured: String, reached: bool) {
        self.rows.push(Row { figure: figure.into(), goal: goal.into(), measured, reached });
    }

    /// Whether every goal is. Times are shown and not asserted, for the machine is noisy; what takes far too
    /// long counts as not converged.
    pub fn is_reached(&self) -> bool {
        self.rows.iter().filter(|row| row.figure != RECOVERY).all(|row| row.reached)
    }

    /// Writes it into `docs/faults.md`, between its markers.
    pub fn keep(&self) {
        let path = checkout("docs/faults.md");
        let text = std::fs::read_to_string(&path).expect("docs/faults.md");
        let (before, rest) = text.split_once("<!-- figures -->").expect("the marker");
        let (_, after) = rest.split_once("<!-- end -->").expect("the marker");
        let text = format!("{before}<!-- figures -->\n{self}<!-- end -->{after}");
        std::fs::write(&path, text).expect("docs/faults.md can be written");
    }

    /// What other tests measured, one a line: `figure: what | goal | measured`.
    pub fn told(&mut self, text: &str) {
        for line in text.lines().filter_map(|line| Some(line.split_once("figure: ")?.1)) {
            let mut parts = line.split(" | ");
            if let (Some(figure), Some(goal), Some(measured)) = (parts.next(), parts.next(), parts.next()) {
                self.row(figure, goal, measured.to_owned(), true);
            }
        }
    }

    /// Everything that failed, once more and together: the lines from when it did are far apart.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many of the faults that were tried met their request.
    fn struck(&mut self, figure: &str, topology: Topology, recorded: &[Ran], ran: &[Ran]) {
        let all = || ran.iter().filter(move |ran| ran.case.topology == topology);
        let struck = all().filter(|ran| ran.struck).count();
        let quiet = recorded.iter().filter(|ran| ran.case.topology == topology).count();
        let measured = format!("{struck} of {} ({quiet} quiet runs before)", all().count());
        // How often a status is written depends a little on time, so that the last one may not come.
        self.row(figure, "every one", measured, struck * 100 >= all().count() * 99);
    }

    /// Runs that a promise is about.
    fn about(&mut self, figure: &str, ran: &[Ran], which: impl Fn(&Case) -> bool) {
        let runs: Vec<&Ran> = ran.iter().filter(|ran| which(&ran.case)).collect();
        let failed = runs.iter().filter(|ran| !ran.wrong.is_empty()).count();
        self.row(figure, "nothing wrong", format!("{}; {failed} failed", runs.len()), failed == 0);
    }

    /// The figures of the grid.
    pub fn grid(&mut self, recorded: &[Ran], ran: &[Ran]) {
        for ran in recorded.iter().chain(ran) {
            self.failures.extend(failures(&ran.case, &ran.wrong, ran.report.as_ref()));
        }
        let count = |which: fn(&Wrong) -> bool| {
            recorded.iter().chain(ran).filter(|ran| ran.wrong.iter().any(which)).count()
        };
        self.struck("scenario × request × action runs", Topology::Alone, recorded, ran);
        self.struck("the same with the ledger on object storage", Topology::Outside, recorded, ran);
        let two =
            ran.iter().filter(|ran| ran.case.topology.has_second() && !ran.case.topology.is_shared()).count();
        self.row("the same with two replicas", "a selection", two.to_string(), true);
        let cancels = |case: &Case| case.scenario.name == "cancel";
        self.about("of these, with a cancellation (promise 16)", ran, cancels);
        let both = |case: &Case| cancels(case) && case.topology.is_outside();
        self.about("of these, with a cancellation in a ledger on object storage (16, 27)", ran, both);
        self.about("with two clusters on one ledger (13, 27)", ran, |case| {
            case.topology == Topology::Clusters
        });
        self.about("with a cluster that is lost, and its ledger (13)", ran, |case| {
            case.topology == Topology::Moved
        });
        self.about("of these, with a ConfigMap for the number (28)", ran, |case| {
            case.scenario.name == "written"
        });
        let mut zero = |figure: &str, found: usize| self.row(figure, "0", found.to_string(), found == 0);
        zero("duplicate requests", count(|wrong| matches!(wrong, Wrong::Duplicate(_))));
        zero("requests without a recorded intent", count(|wrong| matches!(wrong, Wrong::NoIntent(_))));
        zero("lost ids", count(|wrong| matches!(wrong, Wrong::LostId(_))));
        zero("requests on an old view", count(|wrong| matches!(wrong, Wrong::OldView(_))));
        zero("not converged", count(|wrong| matches!(wrong, Wrong::NotConverged(_))));
        zero("unnecessary OutcomeUnknown", count(|wrong| matches!(wrong, Wrong::NeedlessUnknown(_))));
        zero("restless: over 70 changes shown", count(|wrong| matches!(wrong, Wrong::Restless(_))));
        zero("runs that broke off", count(|wrong| matches!(wrong, Wrong::Broken(_))));
        let mut times: Vec<Duration> = ran.iter().filter_map(|ran| ran.recovered).collect();
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
        let shown =
            |time: Option<&Duration>| time.map_or("-".into(), |t| format!("{:.1} s", t.as_secs_f64()));
        self.row(
            RECOVERY,
            "p99 under 10 s",
            format!("p50 {}, p99 {}, most {}", shown(at(50)), shown(at(99)), shown(times.last())),
            at(99).is_none_or(|time| *time < Duration::from_secs(10)),
        );
    }
}

impl Table {
    /// The figures of the walks.
    pub fn walks(&mut self, walked: &[Walked]) {
        let crashes: usize = walked.iter().map(|walked| walked.crashes).sum();
        let orders: usize = walked.iter().map(|walked| walked.orders).sum();
        let failed = walked.iter().filter(|walked| !walked.wrong.is_empty()).count();
        for walked in walked {
            self.failures.extend(failures(walked, &walked.wrong, walked.report.as_ref()));
        }
        let longest = walked.iter().map(|walked| walked.recovered).max().unwrap_or_default();
        self.row(
            "crashes in random walks",
            "1,000; nothing wrong",
            format!(
                "{crashes} in {} walks with {orders} orders; {failed} failed; ended within {:.1} s",
                walked.len(),
                longest.as_secs_f64()
            ),
            failed == 0,
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | goal | measured |\n|---|---|---|")?;
        for Row { figure, goal, measured, reached } in &self.rows {
            let mark = if *reached { "" } else { " (missed)" };
            writeln!(f, "| {figure} | {goal} | {measured}{mark} |")?;
        }
        Ok(())
    }
}

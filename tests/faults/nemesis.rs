//! One fault at one request.

use std::fmt;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use http::StatusCode;

use crate::meddle::{Meddling, meddle};
use crate::restore::set_back;
use crate::scenarios::End;
use crate::testbed::{FaultWindow, PAUSE, Testbed};
use harness::link::{Held, Point, Storm, Verdict};

/// What happens to a request, or to the operator at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    DropBefore,
    DropAnswer,
    ErrorAfter,
    Delay,
    Late,
    /// As late, and later than everything that came of it.
    Later,
    /// Answered as by a store that is overloaded, and not done.
    Unavailable,
    /// Answered as where a delete races, and not done.
    ConflictBefore,
    /// The same, and done.
    ConflictAfter,
    /// Done, and answered as if another one had been there before.
    ExistsAfter,
    KillBefore,
    KillAfter,
    KillHalfRequest,
    KillHalfAnswer,
    StopBefore,
    StopAfter,
    /// Told to end, and started again once it has.
    TerminateBefore,
    TerminateAfter,
    /// Killed, and not started again: only where a second replica is there.
    KillForGood,
    /// Somebody else stands in the lease.
    StealLease,
    /// Paused so many microseconds after the answer was delivered, until the second replica has brought
    /// everything to its end, or had time for it.
    StopLong(u32),
    /// From here on for a while, everything that comes from the apiserver is so.
    Storm(Storm),
    /// While it is held, a user does something.
    Meddle(Meddling),
    /// The ledger is set back, and for a while every write is so.
    SetBack(Storm),
}

impl Action {
    pub const ALL: [Self; 35] = [
        Self::DropBefore,
        Self::DropAnswer,
        Self::ErrorAfter,
        Self::Delay,
        Self::Late,
        Self::Later,
        Self::Unavailable,
        Self::ConflictBefore,
        Self::ConflictAfter,
        Self::ExistsAfter,
        Self::KillBefore,
        Self::KillAfter,
        Self::KillHalfRequest,
        Self::KillHalfAnswer,
        Self::StopBefore,
        Self::StopAfter,
        Self::TerminateBefore,
        Self::TerminateAfter,
        Self::Storm(Storm::Frozen),
        Self::Storm(Storm::Dropping),
        Self::Storm(Storm::Doubled),
        Self::Storm(Storm::Reordered),
        Self::Storm(Storm::Compacted),
        Self::Storm(Storm::OldLists),
        Self::Storm(Storm::Conflicts),
        Self::Storm(Storm::FalseConflicts),
        Self::Storm(Storm::Unanswered),
        Self::Storm(Storm::AnswersLost),
        Self::Storm(Storm::Away),
        Self::Storm(Storm::Unconditional),
        Self::SetBack(Storm::Unanswered),
        Self::SetBack(Storm::AnswersLost),
        Self::Meddle(Meddling::Delete),
        Self::Meddle(Meddling::Suspend),
        Self::Meddle(Meddling::Edit),
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Meddle(meddling) => meddling.word(),
            Self::SetBack(Storm::AnswersLost) => "set-back-answers-lost",
            Self::SetBack(_) => "set-back-unanswered",
            Self::DropBefore => "drop-before",
            Self::DropAnswer => "drop-answer",
            Self::ErrorAfter => "error-after",
            Self::Delay => "delay",
            Self::Late => "late",
            Self::Later => "later",
            Self::Unavailable => "unavailable",
            Self::ConflictBefore => "conflict-before",
            Self::ConflictAfter => "conflict-after",
            Self::ExistsAfter => "exists-after",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
            Self::KillHalfRequest => "kill-half-request",
            Self::KillHalfAnswer => "kill-half-answer",
            Self::StopBefore => "stop-before",
            Self::StopAfter => "stop-after",
            Self::TerminateBefore => "terminate-before",
            Self::TerminateAfter => "terminate-after",
            Self::KillForGood => "kill-for-good",
            Self::StealLease => "steal-lease",
            Self::StopLong(_) => "stop-long",
            Self::Storm(Storm::Calm) => "calm",
            Self::Storm(Storm::Frozen) => "frozen-watches",
            Self::Storm(Storm::Dropping) => "dropped-events",
            Self::Storm(Storm::Doubled) => "doubled-events",
            Self::Storm(Storm::Reordered) => "reordered-events",
            Self::Storm(Storm::Compacted) => "compacted",
            Self::Storm(Storm::OldLists) => "old-lists",
            Self::Storm(Storm::Conflicts) => "conflicts",
            Self::Storm(Storm::FalseConflicts) => "false-conflicts",
            Self::Storm(Storm::Unanswered) => "unanswered-writes",
            Self::Storm(Storm::AnswersLost) => "answers-lost",
            Self::Storm(Storm::Busy) => "busy-apiserver",
            Self::Storm(Storm::Away) => "store-away",
            Self::Storm(Storm::Unconditional) => "conditions-ignored",
        }
    }

    /// Whether it can happen to a request of this name: only some have a body, and a storm lasts, so that
    /// it need not begin at each.
    pub fn suits(self, request: &str) -> bool {
        let bodiless = ["GET", "LIST", "WATCH"].iter().any(|verb| request.contains(&format!(" {verb} ")));
        let is_stored = request.starts_with("store PUT ");
        match self {
            Self::KillHalfRequest => !bodiless,
            Self::Later
            | Self::ConflictBefore
            | Self::ConflictAfter
            | Self::ExistsAfter
            | Self::Storm(Storm::Away | Storm::Unconditional) => is_stored,
            Self::Unavailable => request.starts_with("store"),
            Self::Meddle(_) => !request.starts_with("store") || is_stored,
            Self::Storm(_) | Self::SetBack(_) => {
                request.starts_with("provider") || request.contains(" ledgerentries ") && !bodiless
            }
            _ => true,
        }
    }

    /// Whether the operator itself was harmed, so that it can't know what became of its requests.
    pub fn harms_the_operator(self) -> bool {
        !matches!(
            self,
            Self::DropBefore
                | Self::DropAnswer
                | Self::ErrorAfter
                | Self::Delay
                | Self::Late
                | Self::Later
                | Self::Unavailable
                | Self::ConflictBefore
                | Self::ConflictAfter
                | Self::ExistsAfter
                | Self::StealLease
                | Self::Storm(_)
                | Self::Meddle(_)
                | Self::SetBack(_)
                | Self::TerminateBefore
                | Self::TerminateAfter
        )
    }

    fn point(self) -> Point {
        match self {
            Self::DropBefore
            | Self::Delay
            | Self::Late
            | Self::Later
            | Self::Unavailable
            | Self::ConflictBefore
            | Self::KillBefore
            | Self::StopBefore
            | Self::TerminateBefore
            | Self::StealLease
            | Self::Meddle(_)
            | Self::Storm(_) => Point::Before,
            Self::DropAnswer
            | Self::ErrorAfter
            | Self::ConflictAfter
            | Self::ExistsAfter
            | Self::KillAfter
            | Self::StopAfter
            | Self::TerminateAfter
            | Self::KillForGood
            | Self::SetBack(_)
            | Self::StopLong(_) => Point::After,
            Self::KillHalfRequest => Point::HalfRequest,
            Self::KillHalfAnswer => Point::HalfAnswer,
        }
    }
}

impl FromStr for Action {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let long = text.strip_prefix("stop-long-").and_then(|rest| rest.strip_suffix("us"));
        if let Some(micros) = long.and_then(|micros| micros.parse().ok()) {
            return Ok(Self::StopLong(micros));
        }
        let rest = [Self::KillForGood, Self::StealLease];
        Self::ALL.into_iter().chain(rest).find(|action| action.word() == text).ok_or(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())?;
        if let Self::StopLong(micros) = self { write!(f, "-{micros}us") } else { Ok(()) }
    }
}

/// Between the operator's look at what became of a request and its next try.
const LATE: Duration = Duration::from_millis(6);

/// After an order has come to its end.
const LATER: Duration = Duration::from_secs(2);

/// Enough for another replica to take over, wait for the first one's request, ask a person, and order.
const PAUSE_FOR_ANOTHER: Duration = Duration::from_secs(12);

/// Longer than an order takes, and than a few tries again.
const STORM: Duration = Duration::from_millis(2500);

/// A drain waits for one request at most, and that for the provider's time-out.
const DRAINED: Duration = Duration::from_secs(20);

/// See the module documentation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub request: String,
    pub action: Action,
}

/// Waits for the request and lets it happen. Returns when it is over.
pub async fn strike(testbed: &Testbed, end: &End, fault: &Fault) {
    let link = testbed.link_of(&fault.request);
    let mut told = link.hold(&fault.request, fault.action.point());
    let Some(held) = told.recv().await else { return std::future::pending().await };
    testbed.fault_window.send_replace(FaultWindow { begun: true, open: true, over: None });
    testbed.observer.note(&format!("{} at {}", fault.action, fault.request));
    act(testbed, end, fault, held).await;
    testbed.observer.note("the fault is over");
    testbed.fault_window.send_replace(FaultWindow { begun: true, open: false, over: Some(Instant::now()) });
}

async fn act(testbed: &Testbed, end: &End, fault: &Fault, held: Held) {
    match fault.action {
        Action::DropBefore | Action::DropAnswer => drop(held.decide(Verdict::Drop).await),
        Action::ErrorAfter | Action::Unavailable => {
            drop(held.decide(Verdict::Answer(gateway_error(&fault.request))).await);
        }
        Action::ConflictBefore | Action::ConflictAfter => {
            drop(held.decide(Verdict::Answer(StatusCode::CONFLICT)).await);
        }
        Action::ExistsAfter => drop(held.decide(Verdict::Answer(StatusCode::PRECONDITION_FAILED)).await),
        Action::Delay => {
            tokio::time::sleep(beyond_time_out(&fault.request)).await;
            let _ = held.decide(Verdict::DropAnswer).await;
        }
        Action::KillBefore | Action::KillAfter | Action::KillHalfRequest | Action::KillHalfAnswer => {
            if fault.action == Action::KillHalfAnswer || fault.action == Action::KillHalfRequest {
                // Until the half has arrived where it goes.
                tokio::time::sleep(Duration::from_millis(30)).await;
            }
            testbed.operator.kill().await;
            let _ = held.decide(Verdict::Drop).await;
            testbed.operator.start().expect("the operator starts again");
        }
        Action::Late => {
            let _ = held.decide(Verdict::Late(LATE)).await;
        }
        Action::Later => {
            let _ = held.decide(Verdict::Late(LATER)).await;
        }
        Action::KillForGood => {
            testbed.lose_the_first().await;
            let _ = held.decide(Verdict::Drop).await;
        }
        Action::StealLease => {
            testbed.steal_lease().await;
            let _ = held.decide(Verdict::GoOn).await;
        }
        Action::StopLong(micros) => {
            let pause = quick_pause(testbed.operator.pid().expect("the operator runs"));
            if micros > 0 {
                let _ = held.decide(Verdict::GoOn).await;
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_micros(micros.into()) {
                    tokio::task::yield_now().await;
                }
                pause();
            } else {
                pause();
                let _ = held.decide(Verdict::GoOn).await;
            }
            // Nothing else happens to the other one: the person may answer it.
            testbed.fault_window.send_modify(|fault_window| fault_window.open = false);
            let ended = testbed.observer.until(|seen| end.is_reached(seen));
            let _ = tokio::time::timeout(PAUSE_FOR_ANOTHER, ended).await;
            testbed.operator.resume();
            // Longer than everything that it still had under way.
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        Action::Storm(storm) | Action::SetBack(storm) => {
            if matches!(fault.action, Action::SetBack(_)) {
                set_back(testbed).await;
            }
            let outside = matches!(storm, Storm::Away | Storm::Unconditional);
            let link =
                testbed.store.as_ref().filter(|_| outside).map_or(&testbed.apiserver, |store| &store.link);
            link.storm(storm);
            let passed = held.decide(Verdict::GoOn);
            tokio::time::sleep(STORM).await;
            link.storm(Storm::Calm);
            let _ = passed.await;
        }
        Action::Meddle(meddling) => meddle(testbed, meddling, &fault.request, held).await,
        Action::StopBefore => {
            testbed.operator.pause();
            tokio::time::sleep(PAUSE).await;
            testbed.operator.resume();
            let _ = held.decide(Verdict::GoOn).await;
        }
        Action::TerminateBefore | Action::TerminateAfter => {
            testbed.operator.terminate();
            let _ = held.decide(Verdict::GoOn).await;
            let status = testbed.operator.exit_status(DRAINED).await;
            assert!(status.success(), "it did not end well: {status}");
            testbed.operator.start().expect("the operator starts again");
        }
        Action::StopAfter => {
            testbed.operator.pause();
            let delivered = held.decide(Verdict::GoOn);
            tokio::time::sleep(PAUSE).await;
            let _ = delivered.await;
            testbed.operator.resume();
        }
    }
}

/// SIGSTOP within microseconds of the word: starting a shell takes milliseconds, so one stands ready.
fn quick_pause(pid: u32) -> impl FnOnce() {
    let mut shell = Command::new("sh")
        .args(["-c", r#"read -r go; kill -STOP "-$1""#, "sh", &pid.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .expect("a shell");
    move || {
        let stdin = shell.stdin.as_mut().expect("its stdin is a pipe");
        stdin.write_all(b"go\n").expect("the shell reads");
        assert!(shell.wait().is_ok_and(|status| status.success()), "process {pid} can't be paused");
    }
}

/// What a gateway in between says when it waited in vain.
fn gateway_error(request: &str) -> StatusCode {
    match request.split(' ').next() {
        Some("provider") => StatusCode::BAD_GATEWAY,
        Some("store") => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Longer than the operator waits: its own time-outs, or the flag's.
fn beyond_time_out(request: &str) -> Duration {
    if request.starts_with("provider") {
        Duration::from_millis(1500)
    } else if request.starts_with("store") {
        Duration::from_millis(4500)
    } else if request.contains("leases") {
        Duration::from_millis(5500)
    } else {
        Duration::from_millis(10_500)
    }
}

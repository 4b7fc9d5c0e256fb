//! Random walks: whatever users, the provider, the links and the kernel may do, in an order that a seed
//! decides.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, stream};
use http::StatusCode;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;
use tenios_api::order::OrderState;
use tenios_api::verification::VerificationState;
use tenios_simulator::{Action, Canned, DocumentState, Fault, PushOverrides};

use crate::judge::{Expected, Wrong, judge};
use crate::person;
use crate::run::{report, strike_the_set};
use crate::testbed::{FaultWindow, Testbed, order_state, verification_state};
use crate::topology::Topology;
use harness::SplitMix64;
use harness::link::{Point, Verdict};

/// Steps of one walk.
const STEPS: usize = 60;
/// How long a fault waits for its request before it happens anyway, or not at all.
const PATIENCE: Duration = Duration::from_millis(900);
const BOUND: Duration = Duration::from_secs(40);
/// Runs that may be spent on a shorter trace.
const SHORTENINGS: usize = 24;

/// Which of the operator's two ends.
#[derive(Clone, Copy, Debug)]
enum Side {
    Apiserver,
    Provider,
}

/// One thing that happens. Numbers name orders; those that are not there are passed over.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A new order.
    Order,
    /// With a new order on its way, killed at the next request that is no read, or a later one, and started
    /// again.
    Crash(Side, Point, u32),
    CrashNow,
    /// The next request, or its answer, is lost.
    Lose(Side, Point, u32),
    /// Paused and resumed.
    Pause(u16),
    /// The provider does this to its next order request.
    Provider(Mood),
    Delete(usize),
    Recreate(usize),
    Suspend(usize, bool),
    SecretGone,
    SecretBack,
    Push(usize),
    /// A person names an attempt that is none.
    WrongWord(usize),
    StealLease,
    Wait(u16),
}

#[derive(Clone, Copy, Debug)]
enum Mood {
    LosesAnswers,
    Resets,
    AsksToTryLater,
    GatewayTimesOut,
    IsSlow,
    CutsAnswers,
}

impl Step {
    fn random(rng: &mut SplitMix64) -> Self {
        let order = |rng: &mut SplitMix64| rng.below(24);
        match rng.below(100) {
            0..16 => Self::Order,
            16..58 => Self::Crash(side(rng), point(rng), u32::from(rng.byte() % 4)),
            58..61 => Self::CrashNow,
            61..68 => Self::Lose(side(rng), point(rng), u32::from(rng.byte() % 4)),
            68..70 => Self::Pause(u16::from(rng.byte()) * 12),
            70..77 => Self::Provider(mood(rng)),
            77..80 => Self::Delete(order(rng)),
            80..84 => Self::Recreate(order(rng)),
            84..87 => Self::Suspend(order(rng), rng.byte().is_multiple_of(2)),
            87 => Self::SecretGone,
            88..90 => Self::SecretBack,
            90..93 => Self::Push(order(rng)),
            93 => Self::WrongWord(order(rng)),
            94 => Self::StealLease,
            _ => Self::Wait(u16::from(rng.byte()) * 12),
        }
    }

    fn crashes(self) -> bool {
        matches!(self, Self::Crash(..) | Self::CrashNow)
    }
}

fn side(rng: &mut SplitMix64) -> Side {
    if rng.below(10) < 4 { Side::Provider } else { Side::Apiserver }
}

fn point(rng: &mut SplitMix64) -> Point {
    [Point::Before, Point::HalfRequest, Point::After, Point::After, Point::HalfAnswer][rng.below(5)]
}

fn mood(rng: &mut SplitMix64) -> Mood {
    use Mood::{AsksToTryLater, CutsAnswers, GatewayTimesOut, IsSlow, LosesAnswers, Resets};
    [LosesAnswers, Resets, AsksToTryLater, GatewayTimesOut, IsSlow, CutsAnswers][rng.below(6)]
}

/// What became of a walk.
pub struct Walked {
    pub seed: u64,
    pub crashes: usize,
    pub orders: usize,
    pub recovered: Duration,
    pub wrong: Vec<Wrong>,
    pub report: Option<PathBuf>,
}

impl fmt::Display for Walked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "walk/{}", self.seed)
    }
}

/// Walks from these seeds, so many at a time. The first failure is shortened.
pub async fn all(seeds: Vec<u64>, jobs: usize, mut ended: impl FnMut(&Walked)) -> Vec<Walked> {
    let mut walks =
        stream::iter(seeds.into_iter().map(|seed| walk(seed, trace(seed)))).buffer_unordered(jobs);
    let mut all = Vec::new();
    while let Some(walked) = walks.next().await {
        ended(&walked);
        all.push(walked);
    }
    if let Some(failed) = all.iter().find(|walked| !walked.wrong.is_empty()) {
        shorten(failed.seed, jobs).await;
    }
    all
}

fn trace(seed: u64) -> Vec<Step> {
    let mut rng = SplitMix64::new(seed);
    (0..STEPS).map(|_| Step::random(&mut rng)).collect()
}

/// Drops steps while it still fails, and prints what is left. What depends on time may not fail again.
async fn shorten(seed: u64, jobs: usize) {
    let mut steps = trace(seed);
    let mut spent = 0;
    let mut piece = steps.len() / 2;
    while piece > 0 && spent < SHORTENINGS {
        let shorter: Vec<Vec<Step>> = (0..steps.len())
            .step_by(piece)
            .map(|from| [&steps[..from], &steps[(from + piece).min(steps.len())..]].concat())
            .collect();
        spent += shorter.len();
        let mut tried =
            stream::iter(shorter.into_iter().map(async |steps| (walk(seed, steps.clone()).await, steps)))
                .buffer_unordered(jobs);
        let mut found = None;
        while let Some((walked, steps)) = tried.next().await {
            if found.is_none() && !walked.wrong.is_empty() {
                found = Some(steps);
            }
        }
        match found {
            Some(shorter) => steps = shorter,
            None => piece /= 2,
        }
    }
    println!("the shortest trace found of walk/{seed}: {steps:#?}");
}

/// One walk along these steps.
async fn walk(seed: u64, steps: Vec<Step>) -> Walked {
    // Mostly without the lease, which a crash would have to wait for.
    let topology = [Topology::Alone, Topology::Rivals][usize::from(seed.is_multiple_of(4))];
    let testbed = Testbed::for_walk("walk", topology).await;
    let mut walker = Walker { testbed: &testbed, orders: 0, crashes: 0, documents: Vec::new() };
    let mut recovered = Duration::ZERO;
    let course = AssertUnwindSafe(async {
        testbed.start_operators().await;
        testbed.verification("v", json!({"approval": "Approved"})).await;
        walker.documents.push(testbed.document(DocumentState::Approved));
        tokio::select! {
            () = walker.go(&steps) => {}
            () = person::answer(&testbed) => {}
        }
        let calm = Instant::now();
        tokio::select! {
            () = walker.arrive() => {}
            () = person::answer(&testbed) => {}
            () = tokio::time::sleep(BOUND) => return Err(Wrong::NotConverged(format!("not there {BOUND:?} after the last fault"))),
        }
        recovered = calm.elapsed();
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(())
    });
    let mut wrong = match course.catch_unwind().await {
        Ok(Ok(())) => Vec::new(),
        Ok(Err(wrong)) => vec![wrong],
        Err(_) => vec![Wrong::Broken("the test panicked".into())],
    };
    let Walker { orders, crashes, .. } = walker;
    wrong.extend(judge(&testbed, Expected { orders, submissions: 1, cancelled: 0, harmed: true }).await);
    let name = format!("walk/{seed}");
    let report = if wrong.is_empty() { None } else { report(&testbed, &name, &wrong).await };
    strike_the_set(&testbed).await;
    Walked { seed, crashes, orders, recovered, wrong, report }
}

struct Walker<'a> {
    testbed: &'a Testbed,
    orders: usize,
    crashes: usize,
    documents: Vec<String>,
}

impl Walker<'_> {
    async fn go(&mut self, steps: &[Step]) {
        for step in steps {
            self.testbed.observer.note(&format!("{step:?}"));
            self.step(*step).await;
            self.crashes += usize::from(step.crashes());
        }
    }

    async fn step(&mut self, step: Step) {
        let testbed = self.testbed;
        match step {
            Step::Order => self.one_more_order().await,
            Step::Crash(side, point, skipped) => self.crash(Some((side, point, skipped))).await,
            Step::CrashNow => self.crash(None).await,
            Step::Lose(side, point, skipped) => self.lose(side, point, skipped).await,
            Step::Pause(ms) => {
                testbed.fault_window.send_modify(|fault_window| fault_window.open = true);
                testbed.operator.pause();
                tokio::time::sleep(Duration::from_millis(ms.into())).await;
                testbed.operator.resume();
                self.calm();
            }
            Step::Provider(mood) => {
                // One at a time: two delays add up to more than the person waits before looking.
                testbed.simulator.clear_faults();
                testbed.simulator.fault(Fault::once("/number/order", mood.action()));
            }
            Step::Delete(order) if self.is_there(order) => testbed.delete_order(&name(order)).await,
            Step::Recreate(order) if order < self.orders && !self.is_there(order) => self.order(order).await,
            Step::Suspend(order, suspend) if self.is_there(order) => {
                let _ = testbed.patch_order(&name(order), json!({"spec": {"suspend": suspend}})).await;
            }
            Step::SecretGone => {
                let secrets: Api<Secret> = testbed.namespaces.api();
                let _ = secrets.delete("trade-register", &DeleteParams::default()).await;
            }
            Step::SecretBack => self.secret_back().await,
            Step::Push(order) => {
                let id = 300_000 + u64::try_from(order).expect("a small number");
                let _ = testbed.simulator.push(id, PushOverrides::default()).await;
            }
            Step::WrongWord(order) if self.is_there(order) => {
                let word =
                    json!({"metadata": {"annotations": {"tenios.dev/not-placed": "0123456789abcdef"}}});
                let _ = testbed.patch_order(&name(order), word).await;
            }
            Step::StealLease => testbed.steal_lease().await,
            Step::Wait(ms) => tokio::time::sleep(Duration::from_millis(ms.into())).await,
            _ => {}
        }
    }

    fn is_there(&self, order: usize) -> bool {
        self.testbed.observer.now().orders.contains_key(&name(order))
    }

    async fn one_more_order(&mut self) {
        self.orders += 1;
        self.order(self.orders - 1).await;
    }

    /// Always the same for one number, so that a re-created one asks for the same thing.
    async fn order(&self, order: usize) {
        let document = &self.documents[0];
        let spec = match order % 3 {
            0 => json!({"verificationRef": {"name": "v"}}),
            1 => json!({"verificationId": document}),
            _ => json!({"verificationId": document, "linkTo": {"orderRef": {"name": name(order - 1)}}}),
        };
        self.testbed.order(&name(order), spec).await;
    }

    async fn secret_back(&self) {
        let secrets: Api<Secret> = self.testbed.namespaces.api();
        if secrets.get_opt("trade-register").await.is_ok_and(|secret| secret.is_none()) {
            self.testbed.secret().await;
        }
    }

    async fn crash(&mut self, at: Option<(Side, Point, u32)>) {
        let testbed = self.testbed;
        let held = match at {
            None => None,
            Some((side, point, skipped)) => self.hold(side, point, skipped).await,
        };
        testbed.fault_window.send_modify(|fault_window| fault_window.open = true);
        testbed.operator.kill().await;
        if let Some(held) = held {
            let _ = held.decide(Verdict::Drop).await;
        }
        testbed.operator.start().expect("the operator starts again");
        self.calm();
    }

    async fn lose(&mut self, side: Side, point: Point, skipped: u32) {
        let Some(held) = self.hold(side, point, skipped).await else { return };
        let gateway = matches!(point, Point::After).then_some(Verdict::Answer(StatusCode::GATEWAY_TIMEOUT));
        let _ = held.decide(gateway.filter(|_| skipped.is_multiple_of(2)).unwrap_or(Verdict::Drop)).await;
    }

    async fn hold(&mut self, side: Side, point: Point, mut skipped: u32) -> Option<harness::link::Held> {
        let link = match side {
            Side::Apiserver => &self.testbed.apiserver,
            Side::Provider => &self.testbed.provider,
        };
        let mut told = link.hold_where(point, move |request| {
            let reads = [" GET ", " LIST ", " WATCH "].iter().any(|verb| request.contains(verb));
            let meets = !reads && !request.contains("leases") && skipped == 0;
            skipped -= u32::from(!reads && skipped > 0);
            meets
        });
        self.one_more_order().await;
        let held = tokio::time::timeout(PATIENCE, told.recv()).await.ok().flatten();
        link.let_pass();
        held
    }

    fn calm(&self) {
        self.testbed.fault_window.send_replace(FaultWindow {
            begun: true,
            open: false,
            over: Some(Instant::now()),
        });
    }

    /// Everything is as it should be again, and comes to its named end.
    async fn arrive(&self) {
        let testbed = self.testbed;
        testbed.observer.note("the faults are over");
        testbed.simulator.clear_faults();
        self.secret_back().await;
        for order in 0..self.orders {
            if !self.is_there(order) {
                self.order(order).await;
            }
            let _ = testbed.patch_order(&name(order), json!({"spec": {"suspend": false}})).await;
        }
        testbed
            .observer
            .until(|seen| {
                verification_state(seen, "v") == Some(VerificationState::Approved)
                    && (0..self.orders)
                        .all(|order| order_state(seen, &name(order)) == Some(OrderState::Assigned))
            })
            .await;
    }
}

fn name(order: usize) -> String {
    format!("o{order}")
}

impl Mood {
    fn action(self) -> Action {
        let status = |code: StatusCode| Canned::status(code.into());
        match self {
            Self::LosesAnswers => Action::DropAfter,
            Self::Resets => Action::DropBefore,
            Self::AsksToTryLater => Action::StatusBefore(status(StatusCode::TOO_MANY_REQUESTS)),
            Self::GatewayTimesOut => Action::StatusAfter(status(StatusCode::GATEWAY_TIMEOUT)),
            Self::IsSlow => {
                serde_json::from_value(json!({"delay": {"ms": 1300}})).expect("an action of the simulator")
            }
            Self::CutsAnswers => Action::Cut,
        }
    }
}

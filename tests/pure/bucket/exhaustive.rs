//! Every interleaving of two clusters on one ledger that fits a size. After each request to the store, which is in memory,
//! the other cluster may go on; a PUT may end in any way, a process may die, a copy may get lost.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tenios_ledger::{LedgerStore, Phase, State, spec};

use super::faulty::{Fate, Faulty};
use super::*;

/// What may still happen.
#[derive(Clone, Copy, Hash)]
struct Left {
    attempts: u8,
    faults: u8,
    deaths: u8,
    losses: u8,
    pushes: u8,
    looks: u8,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// It orders, as nothing that it knows speaks against it.
    Order,
    /// The answer to what it sent is recorded: whether it was processed.
    Answer(bool),
    /// The number for what anybody sent.
    Push,
    /// It looks at the store.
    Look,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin(usize, What),
    /// The request that it waits for ends so, and it comes to its next one.
    GoOn(usize, Fate),
    /// What was late arrives.
    Arrive(usize),
    Away(usize, bool),
    /// Its process dies, and begins anew.
    Die(usize),
    /// Its copy is lost, as by a restore without entries.
    Lose(usize),
}

/// How a PUT may end. One that is lost is one that is late and never arrives.
const FATES: [Fate; 5] = [Fate::AnswerLost, Fate::Repeated, Fate::Late, Fate::Conflict, Fate::Denied];

struct Running {
    what: What,
    attempt: String,
    /// True where it is recorded.
    future: Pin<Box<dyn Future<Output = bool>>>,
    told: Vec<String>,
}

struct World {
    clusters: [Cluster; 2],
    running: [Option<Running>; 2],
    left: Left,
    orders: u8,
    /// Sent, and not known to have come to nothing.
    placed: Vec<String>,
    in_flight: [Option<String>; 2],
    /// Whether it was processed, once its sender knows.
    answered: [Option<bool>; 2],
    /// The attempt of which something was recorded that must not be forgotten.
    recorded: Option<String>,
}

fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Nothing here waits for anything but its own store.
fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = poll(future.as_mut()) {
            return value;
        }
    }
}

fn may_send(state: &State) -> bool {
    let is_free = matches!(state.phase, Phase::Idle | Phase::NotProcessed { .. } | Phase::NotPlaced { .. });
    is_free && state.accepted.is_none()
}

/// As often as it takes, but not for ever: what is away may stay so.
async fn record(ledger: ObjectStoreLedger<Copies>, copies: Copies, event: Event) -> bool {
    for _ in 0..3 {
        if ledger.append(&copies.get(&key("o")), std::slice::from_ref(&event)).await.is_ok() {
            return true;
        }
        let _ = ledger.read(&key("o")).await;
    }
    false
}

async fn look(ledger: ObjectStoreLedger<Copies>) -> bool {
    if !ledger.knows_more() {
        ledger.open().await;
    }
    let _ = ledger.read(&key("o")).await;
    ledger.sync_now().await
}

impl World {
    fn new(left: Left) -> Self {
        let store = Faulty::default();
        let cluster = || finish(Cluster::opened(&store));
        Self {
            clusters: [cluster(), cluster()],
            running: [None, None],
            left,
            orders: 0,
            placed: Vec::new(),
            in_flight: [None, None],
            answered: [None, None],
            recorded: None,
        }
    }

    /// What may happen next.
    fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for who in [0, 1] {
            let cluster = &self.clusters[who];
            if self.running[who].is_some() {
                steps.push(Step::GoOn(who, Fate::Fair));
                if self.left.faults > 0 && cluster.store.awaits_put() {
                    steps.extend(FATES.map(|fate| Step::GoOn(who, fate)));
                }
            } else {
                self.begin(who, &mut steps);
            }
            if self.left.deaths > 0 {
                steps.push(Step::Die(who));
            }
            if cluster.store.is_away() {
                steps.push(Step::Away(who, false));
            } else if self.left.faults > 0 {
                steps.push(Step::Away(who, true));
            }
            if !cluster.store.late().is_empty() {
                steps.push(Step::Arrive(who));
            }
        }
        steps
    }

    fn begin(&self, who: usize, steps: &mut Vec<Step>) {
        let known = self.clusters[who].get("o");
        if self.left.looks > 0 {
            steps.push(Step::Begin(who, What::Look));
        }
        if self.in_flight[who].is_some() {
            let answers =
                [true, false].into_iter().filter(|yes| self.answered[who].is_none_or(|was| was == *yes));
            steps.extend(answers.map(|processed| Step::Begin(who, What::Answer(processed))));
        } else if self.left.attempts > 0 && may_send(&known.state()) {
            steps.push(Step::Begin(who, What::Order));
        }
        let is_answered =
            self.placed.last().is_some_and(|name| !self.in_flight.contains(&Some(name.clone())));
        if self.left.pushes > 0 && is_answered {
            steps.push(Step::Begin(who, What::Push));
        }
        // Not what only this cluster knows.
        let is_stored = known.position.as_ref().is_some_and(|position| position.revision == known.revision);
        if self.left.losses > 0 && is_stored {
            steps.push(Step::Lose(who));
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Begin(who, what) => {
                self.running[who] = Some(self.run(who, what));
                self.go_on(who);
            }
            Step::GoOn(who, fate) => {
                if fate != Fate::Fair {
                    self.left.faults -= 1;
                    self.clusters[who].store.next([fate]);
                }
                self.go_on(who);
                self.clusters[who].store.forgive();
            }
            Step::Arrive(who) => drop(finish(self.clusters[who].store.arrive())),
            Step::Away(who, away) => {
                self.left.faults -= u8::from(away);
                self.clusters[who].store.set_away(away);
            }
            Step::Die(who) => {
                self.left.deaths -= 1;
                (self.running[who], self.in_flight[who], self.answered[who]) = (None, None, None);
                let Cluster { copies, store, .. } = &self.clusters[who];
                let (copies, store) = (copies.clone(), store.clone());
                let ledger = ObjectStoreLedger::new(copies.clone(), objects(&store), URL.into());
                finish(ledger.open());
                store.told();
                self.clusters[who] = Cluster { copies, store, ledger };
            }
            Step::Lose(who) => {
                self.left.losses -= 1;
                self.clusters[who].copies.set(&key("o"), None);
            }
        }
    }

    fn run(&mut self, who: usize, what: What) -> Running {
        let Cluster { copies, ledger, .. } = &self.clusters[who];
        let (copies, ledger) = (copies.clone(), ledger.clone());
        let name = match what {
            What::Order => {
                self.orders += 1;
                self.left.attempts -= 1;
                format!("a{}", self.orders)
            }
            What::Answer(processed) => {
                let name = self.in_flight[who].clone().unwrap_or_default();
                self.answered[who] = Some(processed);
                if !processed {
                    self.placed.retain(|placed| *placed != name);
                }
                name
            }
            What::Push => {
                self.left.pushes -= 1;
                self.placed.last().cloned().unwrap_or_default()
            }
            What::Look => {
                self.left.looks -= 1;
                String::new()
            }
        };
        let id = format!("id-{name}");
        let future: Pin<Box<dyn Future<Output = bool>>> = match what {
            What::Order => {
                let (base, event) = (copies.get(&key("o")), intended(&name));
                Box::pin(async move { ledger.append(&base, &[event]).await.is_ok() })
            }
            What::Answer(true) => {
                let event = Event::Accepted { attempt: attempt(&name), at: at(2), id };
                Box::pin(record(ledger, copies, event))
            }
            What::Answer(false) => {
                let (attempt, why) = (attempt(&name), String::new());
                let event = Event::NotProcessed { attempt, at: at(2), why, retry_after: None };
                Box::pin(record(ledger, copies, event))
            }
            What::Push => {
                let number = tenios_api::PhoneNumber::try_from("+4922112345678").unwrap();
                let event = Event::Assigned { attempt: attempt(&name), at: at(3), order_id: id, number };
                Box::pin(record(ledger, copies, event))
            }
            What::Look => Box::pin(look(ledger)),
        };
        Running { what, attempt: name, future, told: Vec::new() }
    }

    fn go_on(&mut self, who: usize) {
        let Some(mut running) = self.running[who].take() else { return };
        let polled = poll(running.future.as_mut());
        running.told.extend(self.clusters[who].store.told());
        match polled {
            Poll::Pending => self.running[who] = Some(running),
            Poll::Ready(recorded) => self.ended(who, &running, recorded),
        }
    }

    fn ended(&mut self, who: usize, running: &Running, recorded: bool) {
        let name = running.attempt.clone();
        match running.what {
            What::Order if recorded => {
                let stored = finish(self.clusters[who].store.contents());
                assert!(
                    stored.iter().any(|(_, text)| text.contains(&format!("\"{name}\""))),
                    "{name} is not stored"
                );
                self.placed.push(name.clone());
                self.in_flight[who] = Some(name);
            }
            What::Answer(processed) if recorded => {
                (self.in_flight[who], self.answered[who]) = (None, None);
                if processed {
                    self.recorded = Some(name);
                }
            }
            What::Push if recorded => self.recorded = Some(name),
            // It is pushed again.
            What::Push => self.left.pushes += 1,
            _ => {}
        }
        assert!(self.placed.len() <= 1, "ordered twice: {:?}", self.placed);
    }

    fn is_quiet(&self) -> bool {
        self.running.iter().all(Option::is_none)
    }

    /// Everything that decides how it goes on.
    fn state(&self) -> u64 {
        let mut text = String::new();
        for (cluster, running) in self.clusters.iter().zip(&self.running) {
            let copy = cluster.get("o");
            let spec =
                spec::to_spec(&copy).and_then(|spec| serde_json::to_string(&spec).map_err(|e| e.to_string()));
            let is_open = cluster.ledger.knows_more();
            let _ = write!(text, "{} {spec:?} {is_open} ", copy.version.is_some());
            let _ = write!(text, "{} {:?} ", cluster.store.is_away(), cluster.store.late());
            if let Some(Running { what, attempt, told, .. }) = running {
                let _ = write!(text, "{what:?} {attempt} {told:?}");
            }
        }
        let _ = write!(text, "{:?}", finish(self.clusters[0].store.contents()));
        let mut hasher = DefaultHasher::new();
        without_writers(&text).hash(&mut hasher);
        (self.left, self.orders, &self.placed, &self.in_flight, self.answered, &self.recorded)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// When faults stop, both know the same, and everything that was recorded.
    fn settle(self) {
        for cluster in &self.clusters {
            cluster.store.set_away(false);
            finish(cluster.store.arrive());
        }
        for cluster in self.clusters.iter().chain(&self.clusters) {
            for _ in 0..2 {
                finish(look(cluster.ledger.clone()));
            }
        }
        let [here, there] = self.clusters.each_ref().map(|cluster| cluster.get("o").state());
        assert_eq!(self.clusters.each_ref().map(|cluster| cluster.ledger.trouble()), [None, None]);
        assert_eq!(here, there);
        let accepted = here.accepted.as_ref().and_then(|accepted| accepted.attempt.as_ref());
        if let Some(recorded) = &self.recorded {
            assert_eq!(accepted.map(AttemptId::as_str), Some(recorded.as_str()), "{here:?}");
        }
    }
}

/// Random ids by the order in which they come.
fn without_writers(text: &str) -> String {
    let (mut ids, mut out, mut word) = (Vec::<String>::new(), String::new(), String::new());
    for c in text.chars().chain([' ']) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        if word.len() < 16 {
            out.push_str(&word);
        } else {
            let at = ids.iter().position(|id| *id == word).unwrap_or_else(|| {
                ids.push(word.clone());
                ids.len() - 1
            });
            let _ = write!(out, "#{at}");
        }
        word.clear();
        out.push(c);
    }
    out
}

fn replay(left: Left, path: &[Step]) -> World {
    let mut world = World::new(left);
    for step in path {
        world.take(*step);
    }
    world
}

/// Explores it; how many states there are.
fn explore(left: Left) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let first = World::new(left).steps();
    let (mut seen, mut paths) = (HashSet::new(), vec![(Vec::new(), first)]);
    while let Some((path, steps)) = paths.pop() {
        for step in steps {
            let path = [path.as_slice(), &[step]].concat();
            let explored = std::panic::catch_unwind(|| {
                let world = replay(left, &path);
                (world.state(), world.is_quiet(), world.steps())
            });
            let Ok((state, is_quiet, steps)) = explored else { panic!("after {path:?}") };
            if seen.insert(state) {
                if is_quiet {
                    let settled = std::panic::catch_unwind(|| replay(left, &path).settle());
                    assert!(settled.is_ok(), "after {path:?}");
                }
                paths.push((path, steps));
            }
        }
    }
    seen.len()
}

const NOTHING: Left = Left { attempts: 2, faults: 0, deaths: 0, losses: 0, pushes: 0, looks: 0 };

#[test]
fn p01_p13_p27_no_interleaving_of_two_clusters_orders_twice_or_forgets() {
    let mut sizes = vec![Left { pushes: 1, looks: 1, ..NOTHING }];
    if std::env::var("MODEL").is_ok_and(|sizes| sizes == "all") {
        sizes.extend([
            Left { faults: 1, ..NOTHING },
            Left { deaths: 1, looks: 1, ..NOTHING },
            Left { losses: 1, looks: 1, ..NOTHING },
        ]);
    }
    let (count, mut states) = (sizes.len(), 0);
    for size in sizes {
        states += explore(size);
    }
    println!(
        "figure: states of the model, two clusters on one store | complete; 0 violations | {states} in {count} sizes, complete; 0"
    );
}

//! An exhaustive model: every interleaving of replicas, caches, ledger, provider, people and faults that
//! fits a [`Size`], around the code that ships.
//!
//! The code under test is the very code that ships: both kinds' `decide` and `project`, what is decided on the last
//! look, the fold, the cache with all that it does after a conflict or a restore, the index with its claims and its rule
//! for old news, and `KubernetesLedger` with its names and what it makes of errors. Below that is an apiserver that has
//! nothing but ledger entries ([`apiserver`]). Its answers are asked for once for each question, which makes millions
//! of steps cheap; all of them are pure.
//!
//! The life of an attempt is the shipped one, too: who may be sending, what did not leave, how an outcome is recorded,
//! and what becomes of a push. Here is only in which order its steps are taken, as in `provider_call::start` and
//! `provider_call::record`, and the CRDs' rule about frozen fields, which is CEL.
//!
//! How the world is kept finite:
//! - Requests of a resource are bounded ([`Size::attempts`]); what would be sent after the last is not
//!   explored, and counts as rest. Faults and what people do are bounded by [`world::Left`].
//! - Attempts are named in the order in which their intents were recorded. Time stands still: no wait is
//!   ever on. What a time is compared for is an action of its own: a deadline passes, and the wait for
//!   another sender is over once that one can't send any more.
//! - Two replicas that differ only by name are one state where their clocks agree.
//! - A watch that jumps to the newest at any time covers every lag but one: that a replica acts on one
//!   outdated entry and then on another one. [`size::Lag::one_step`] adds that.
//!
//! Who is set back in time goes on and remembers: a process that dies after a restore has lost what the store lost, and
//! no order is safe then.
//!
//! What it leaves out: the budget, Secrets, links, the back-off's times, SIGTERM, the bound on requests in
//! flight, specs that can't be read, and the lease, because every replica always believes that it leads.
//! States are told apart by a hash of 64 bits.

#![allow(dead_code, unused_imports, reason = "a module of each test binary, which uses a part of it")]

mod action;
mod apiserver;
mod code_under_test;
mod environment;
mod judge;
pub mod kinds;
mod names;
mod person;
mod rest;
mod size;
mod sizes;
mod step;
mod tables;
mod view;
mod world;

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Path, Property};

use action::Action;
use code_under_test::CodeUnderTest;
use judge::Covered;
pub use size::Size;
pub use sizes::{all, broken_assumptions, gaps, small};
use world::{Attempt, Fate, Object, Presence, Provider, Replica, Stage, Stored, World};

/// The model of one size.
pub struct Model {
    size: Size,
    code: CodeUnderTest,
    covered: Covered,
    /// States that were followed until they came to rest, by their hash.
    calm: Mutex<HashSet<u64>>,
}

/// What came of exploring.
#[derive(Debug)]
pub struct Explored {
    pub name: &'static str,
    pub unique_states: usize,
    /// Steps that were taken, each from one of those states.
    pub steps: usize,
    pub took: Duration,
    /// Whether every state was looked at; it ends at the first violation.
    pub complete: bool,
    /// Each with the way that leads to it.
    pub violations: Vec<String>,
}

/// Explores one size as a whole, or up to the first violation.
pub fn explore(size: Size, threads: usize) -> Explored {
    assert!(size.left.set_backs == 0 || size.left.crashes == 0, "{}: nobody would remember", size.name);
    let began = Instant::now();
    let (name, comes_to) = (size.name, size.comes_to);
    let code = CodeUnderTest::new(&size);
    let model = Model { size, code, covered: Covered::default(), calm: Mutex::default() };
    let checker = stateright::Model::checker(model)
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let model = checker.model();
    let ways = checker.discoveries();
    let complete = ways.is_empty();
    let mut violations: Vec<String> = ways.into_values().map(|way| model.told(way)).collect();
    let seen = model.covered.all();
    if complete {
        let missing = comes_to.iter().filter(|goal| !seen.contains(goal));
        violations.extend(missing.map(|goal| format!("{name}: it never comes to {goal:?}")));
    }
    let (unique_states, steps) = (checker.unique_state_count(), checker.state_count());
    let took = began.elapsed();
    println!("model: {name}: {unique_states} states, {steps} steps, {took:.1?}, {seen:?}");
    Explored { name, unique_states, steps, took, complete, violations }
}

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            replicas: [Replica::default(); world::REPLICAS],
            ledger: [Stored::default(); world::KEYS],
            objects: [Object::default(); world::KEYS],
            attempts: [[Attempt::default(); world::ATTEMPTS]; world::KEYS],
            late: None,
            left: self.size.left,
            set_backs: 0,
            broken: None,
        };
        if self.size.refused_before > 0 {
            let history = names::history(self.size.refused_before);
            world.ledger[0] = self.code.history(0, &history, self.size.names_collide);
            world.replicas.iter_mut().for_each(|replica| replica.known[0] = world.ledger[0]);
        }
        if self.size.assigned_before {
            world.ledger[0] = self.code.history(0, &names::assigned(), false);
            world.replicas.iter_mut().for_each(|replica| replica.known[0] = world.ledger[0]);
            let (stage, provider) = (Stage::Over, Provider::Placed);
            world.attempts[0][0] =
                Attempt { stage, provider, recorded: true, numbered: true, ..Attempt::default() };
        }
        for key in (0..self.keys()).filter(|key| self.size.resource(*key) != *key) {
            world.objects[usize::from(key)].presence = Presence::Gone;
            world.replicas.iter_mut().for_each(|replica| replica.seen = world.objects);
        }
        vec![world]
    }

    fn actions(&self, world: &World, all: &mut Vec<Action>) {
        self.possible(world, all);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        self.step(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every promise is kept", |_, world: &World| world.broken.is_none()),
            Property::always("it comes to rest", |model: &Self, world| model.comes_to_rest(world).is_ok()),
        ]
    }
}

impl Model {
    fn keys(&self) -> u8 {
        u8::try_from(self.size.kinds.len()).unwrap()
    }

    /// What is broken, and the way that leads there.
    fn told(&self, way: Path<World, Action>) -> String {
        let mut text = String::new();
        let mut last: Option<World> = None;
        for (world, action) in way.into_vec() {
            if let Some(before) = last {
                self.tell_changes(&mut text, &before, &world);
            }
            if let Some(action) = action {
                let _ = writeln!(text, "  {action:?}");
            }
            last = Some(world);
        }
        let Some(world) = last else { return text };
        for key in 0..usize::from(self.keys()) {
            let state = &self.code.interned(world.ledger[key].entry).state;
            let attempts: Vec<_> = world.attempts[key].iter().filter(|a| a.stage != Stage::None).collect();
            let _ = writeln!(
                text,
                "  {} is {:?}, accepted {:?}, number {:?}, strays {:?}; in truth {attempts:?}",
                names::RESOURCES[key],
                state.phase,
                state.accepted,
                state.number,
                state.strays
            );
        }
        self.calm.lock().unwrap().clear();
        let broken = match (world.broken, self.comes_to_rest(&world)) {
            (Some(broken), _) => broken.promise().to_owned(),
            (None, Err(why)) => format!("it comes to rest once faults stop: {why}"),
            (None, Ok(())) => "nothing, now that it is looked at again".into(),
        };
        format!("{}: broken: {broken}\n{text}", self.size.name)
    }

    fn tell_changes(&self, text: &mut String, before: &World, now: &World) {
        for (key, name) in names::RESOURCES.iter().enumerate().take(self.size.kinds.len()) {
            let [old, new] = [before, now].map(|world| self.code.interned(world.ledger[key].entry));
            for event in new.entry.events.iter().filter(|event| !old.entry.events.contains(event)) {
                let _ = writeln!(text, "      the ledger has of {name}: {event:?}");
            }
            if before.objects[key].status != now.objects[key].status {
                let shown = self.code.shown(now.objects[key].status);
                let _ = writeln!(text, "      {name} shows {shown:?}");
            }
        }
    }
}

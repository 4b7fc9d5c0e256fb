//! That everything comes to rest once faults stop. Every state is followed along one course of events in
//! which requests arrive and are taken, answers are read, watches catch up, deadlines pass, and people do
//! nothing.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use tenios_api::order::OrderState;

use super::Model;
use super::action::Action;
use super::code_under_test::Shown;
use super::judge::Coverage;
use super::names;
use super::size::Spec;
use super::view::Next;
use super::world::{Fate, Left, Presence, Provider, World};

/// More steps than this are taken for going round in circles: the longest way that is right has half of it.
const STEPS_TO_REST: usize = 100;

impl Model {
    /// Why it does not come to rest from here.
    pub fn comes_to_rest(&self, world: &World) -> Result<(), String> {
        if world.broken.is_some() {
            return Ok(());
        }
        let mut world = World { left: Left::default(), ..*world };
        let mut way = Vec::new();
        while way.len() < STEPS_TO_REST {
            let mut hasher = DefaultHasher::new();
            world.hash(&mut hasher);
            let seen = hasher.finish();
            if !self.calm.lock().unwrap().insert(seen) && !way.iter().any(|(before, _)| *before == seen) {
                // Followed before: it came to rest from there, or that was told.
                return Ok(());
            }
            let Some((action, next)) = self.calm_step(&world) else { return self.rests_well(&world) };
            if next.broken.is_some() {
                return Ok(());
            }
            way.push((seen, action));
            world = next;
        }
        let last: Vec<_> = way.iter().rev().take(8).rev().map(|(_, action)| action).collect();
        Err(format!("it goes on and on: {last:?}"))
    }

    /// The next thing that happens by itself, if there is one.
    fn calm_step(&self, world: &World) -> Option<(Action, World)> {
        let mut all = Vec::new();
        self.possible(world, &mut all);
        let order = |action: &Action| match action {
            Action::LateWriteArrives => Some(0),
            Action::ProviderTakes { answer: Provider::Placed, .. } => Some(1),
            Action::Answered { .. } | Action::Leaves { .. } => Some(2),
            Action::Saves { fate: Fate::Answered, .. } => Some(3),
            // Where it can still leave, or an answer may still come, that happens first.
            Action::AnswerLost { .. } | Action::Fails { .. } => Some(4),
            Action::LedgerWatched { fate: Fate::Answered, .. }
            | Action::LedgerListed { fate: Fate::Answered, .. }
            | Action::ResourceWatched { .. } => Some(5),
            Action::Elapses { .. } => Some(6),
            Action::Reconciles { fate: Fate::Answered, .. } => Some(7),
            _ => None,
        };
        let mut ordered: Vec<_> = all.into_iter().filter_map(|a| Some((order(&a)?, a))).collect();
        ordered.sort_by_key(|(rank, _)| *rank);
        ordered.into_iter().find_map(|(_, action)| Some((action, self.step(world, action)?)))
    }

    /// Whether everything is in a named state that a person or the provider may leave it in.
    fn rests_well(&self, world: &World) -> Result<(), String> {
        for key in 0..self.keys() {
            self.remembers_all(world, key)?;
            for replica in (0..self.size.replicas).filter(|replica| self.size.reconciles(*replica)) {
                self.has_come_to_an_end(world, replica, key).map_err(|why| {
                    format!("{}, as replica {replica} sees it: {why}", names::RESOURCES[usize::from(key)])
                })?;
            }
        }
        self.has_one_owner(world)
    }

    /// A store that was set back has everything again.
    fn remembers_all(&self, world: &World, key: u8) -> Result<(), String> {
        let stored = World { replicas: Default::default(), ..*world };
        let lost = |n: &u8| {
            let attempt = world.get(key, *n);
            (attempt.recorded && !self.remembers_id(&stored, key, *n))
                || (attempt.numbered && !self.remembers_number(&stored, key, *n))
        };
        match (0..world.requests(key)).find(lost) {
            Some(n) => Err(format!("the ledger does not have what attempt {n} brought")),
            None => Ok(()),
        }
    }

    fn has_come_to_an_end(&self, world: &World, replica: u8, key: u8) -> Result<(), &'static str> {
        let k = usize::from(key);
        let mut asked = *world;
        if self.size.resource(key) != key {
            let _ = self.sender(&mut asked, replica, key);
            let sends = self.requests(&asked, replica, key).since().is_some();
            return if sends { Err("it is still taken for in flight") } else { Ok(()) };
        }
        let senders = self.senders(&mut asked, replica, key);
        if self.requests(&asked, replica, key).since().is_some() {
            return Err("it is still taken for in flight");
        }
        if world.objects[k].presence == Presence::Gone {
            return Ok(());
        }
        match *self.code.decide(self.question(&asked, replica, key, senders)) {
            Next::Rest(rest) if rest.moving => Err("it waits for ever for a request"),
            Next::Rest(rest) if rest.status != world.objects[k].status => Err("it shows something else"),
            Next::Rest(_) if !self.shows_all(world, key) => Err("it does not show what the ledger has"),
            Next::Rest(_) => Ok(()),
            // The bound of what is explored.
            Next::Send { of, .. } if world.requests(of) == self.size.attempts => Ok(()),
            Next::Send { .. } => Err("it wants to send and does not"),
            Next::Record { .. } | Next::Asks => Err("it is never done"),
        }
    }

    fn shows_all(&self, world: &World, key: u8) -> bool {
        let nothing_else = |other: u8| {
            world.ledger[usize::from(other)].entry == 0 || self.shows_what_is_stored(world, other)
        };
        self.shows_what_is_stored(world, key) && self.size.follow_up(key).is_none_or(nothing_else)
    }

    /// Of two orders that have the same id, one shows that; and it is not the one that placed it.
    fn has_one_owner(&self, world: &World) -> Result<(), String> {
        if self.keys() < 2 || self.size.kinds[0] != self.size.kinds[1] {
            return Ok(());
        }
        let ids = [0, 1].map(|k| self.code.interned(world.ledger[k].entry).state.id().map(ToOwned::to_owned));
        let conflicts = [0, 1].map(|k| self.is_in_conflict(world.objects[k].status));
        if conflicts.contains(&true) {
            self.covered.insert(Coverage::Conflict);
        }
        if ids[0].is_some() && ids[0] == ids[1] && conflicts == [false, false] {
            return Err("both show the same order as theirs".into());
        }
        let robbed = |key: u8| {
            let k = usize::from(key);
            let placed = (0..world.requests(key)).any(|n| ids[k].as_ref() == Some(&names::id(key, n)));
            let plain = self.size.specs[k][usize::from(world.objects[k].spec)] == Spec::Plain;
            placed && plain && conflicts[k]
        };
        if robbed(0) || robbed(1) { Err("an order was taken from who placed it".into()) } else { Ok(()) }
    }

    fn is_in_conflict(&self, status: u16) -> bool {
        matches!(&*self.code.shown(status), Some(Shown::Order(s)) if s.state == Some(OrderState::Conflict))
    }
}

//! What each step does. Where a line stands for one of `src/controller` or `src/push` that can't be
//! called from here, it says for which.

use super::Model;
use super::action::Action;
use super::judge::Sight;
use super::shipped::{Appended, Deed, Done, What};
use super::view::{Asked, Next, Question};
use super::world::{
    Attempt, Broken, Flight, Late, ON_ITS_WAY, Outcome, Provider, Stage, Stored, World, Write,
};

impl Model {
    /// The world after this step; none where it can't happen or changes nothing.
    pub fn step(&self, world: &World, action: Action) -> Option<World> {
        let mut next = *world;
        self.take(&mut next, action)?;
        if !self.size.lag.resources {
            next.replicas.iter_mut().for_each(|replica| replica.seen = next.objects);
        }
        if self.size.symmetric() {
            next = next.representative();
        }
        (next != *world).then_some(next)
    }

    /// What processes and the provider do; the rest is in `happens`.
    fn take(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Visits { replica, key } => self.visit(world, replica, key, false)?,
            Action::VisitsUnanswered { replica, key } => self.visit(world, replica, key, true)?,
            Action::LateWriteArrives => self.late_write_arrives(world)?,
            Action::Leaves { key, attempt } => {
                self.judge_departure(world, key, attempt);
                let attempt = world.attempt(key, attempt);
                (attempt.stage, attempt.provider) = (Stage::Waiting, Provider::OnItsWay);
            }
            Action::DeadlinePasses { key, attempt } => world.attempt(key, attempt).stage = Stage::TooLate,
            Action::Fails { key, attempt } => {
                world.attempt(key, attempt).stage = Stage::Knows(Outcome::NotProcessed);
            }
            Action::ProviderTakes { key, attempt, answer } => {
                world.attempt(key, attempt).provider = answer;
                self.judge_account(world, key);
            }
            Action::Answered { key, attempt } => {
                let attempt = world.attempt(key, attempt);
                attempt.stage = Stage::Knows(read(attempt.provider)?);
            }
            Action::AnswerLost { key, attempt } => {
                world.attempt(key, attempt).stage = Stage::Knows(Outcome::Unknown);
            }
            Action::Saves { key, attempt } => self.save(world, key, attempt, false)?,
            Action::SavesUnanswered { key, attempt } => self.save(world, key, attempt, true)?,
            Action::Pushed { replica, key, attempt } => self.push(world, replica, key, attempt, false)?,
            Action::PushedUnanswered { replica, key, attempt } => {
                self.push(world, replica, key, attempt, true)?;
            }
            Action::LedgerWatched { replica, key } => {
                self.act(world, replica, key, What::Watch);
            }
            Action::LedgerWatchedOneStep { replica, key } => self.watch_one_step(world, replica, key)?,
            _ => self.happens(world, action)?,
        }
        Some(())
    }

    pub fn question(&self, world: &World, replica: u8, key: u8, sender: Asked) -> Question {
        let one = &world.replicas[usize::from(replica)];
        let alone = self.keys() == 1;
        let known = if alone { [one.known[0], Stored::default()] } else { one.known };
        let now = self.now(world, replica, key);
        Question { key, known, seen: one.seen, sender, now }
    }

    fn now(&self, world: &World, replica: u8, key: u8) -> i64 {
        self.time(replica, world.requests(key))
    }

    /// Each request has its own time. A replica's clock may be an hour behind.
    fn time(&self, replica: u8, requests: u8) -> i64 {
        let skew = if self.size.skew { 3600 * i64::from(replica) } else { 0 };
        10 * i64::from(requests) - skew
    }

    fn visit(&self, world: &mut World, replica: u8, key: u8, lost: bool) -> Option<()> {
        let sender = self.sender(world, replica, key);
        match *self.shipped.decide(self.question(world, replica, key, sender)) {
            Next::Asks => world.breaks(Broken::Unexpected),
            Next::Rest(_) if lost => return None,
            Next::Rest(rest) => {
                if rest.hides_stray {
                    world.breaks(Broken::StrayHidden);
                }
                // The patch names the uid of the resource that was looked at.
                let uid = world.replica(replica).seen[usize::from(key)].uid;
                let object = world.object(key);
                if object.uid == uid {
                    object.status = rest.status;
                    self.judge_memory(world, key);
                }
            }
            Next::Record(events) => {
                self.append(world, replica, key, Write::Events(events), lost);
            }
            Next::Send(terms) => return self.send(world, replica, key, terms, lost),
        }
        Some(())
    }

    /// As `look::once_more`: only what is still decided so on the resource as it is by now goes on.
    fn is_still_sent(&self, world: &mut World, replica: u8, key: u8, terms: u16) -> bool {
        let k = usize::from(key);
        let (seen, now) = (world.replica(replica).seen[k], world.objects[k]);
        let sender = self.sender(world, replica, key);
        world.replica(replica).seen[k] = now;
        let decided = self.shipped.decide(self.question(world, replica, key, sender));
        let is_still_sent = seen.uid == now.uid && matches!(*decided, Next::Send(again) if again == terms);
        if is_still_sent {
            world.replica(replica).seen[k] = seen;
        }
        is_still_sent
    }

    /// As `errand::start`.
    fn send(&self, world: &mut World, replica: u8, key: u8, terms: u16, lost: bool) -> Option<()> {
        let k = usize::from(key);
        if !self.is_still_sent(world, replica, key, terms) {
            return (!lost).then_some(());
        }
        if matches!(world.replica(replica).flights[k], Flight::Here(_)) {
            return (!lost).then_some(());
        }
        if world.requests(key) == self.size.attempts {
            return None;
        }
        let result = self.append(world, replica, key, Write::Intent(terms), lost);
        let own = world.replica(replica);
        own.flights[k] = Flight::None;
        match result {
            Appended::Stored => {
                let attempt = world.requests(key) - 1;
                world.replica(replica).flights[k] = Flight::Here(attempt);
                *world.attempt(key, attempt) =
                    Attempt { by: replica, stage: Stage::Ready, ..Attempt::default() };
            }
            Appended::Conflict => {}
            Appended::Ambiguous => own.grounded[k] |= ON_ITS_WAY,
        }
        Some(())
    }

    /// As `Flights::sender`.
    pub fn sender(&self, world: &mut World, replica: u8, key: u8) -> Asked {
        let k = usize::from(key);
        let one = world.replica(replica);
        let Some(open) = self.shipped.kept(one.known[k].entry).open else {
            if matches!(one.flights[k], Flight::Elsewhere { .. }) {
                one.flights[k] = Flight::None;
            }
            return Asked::Elsewhere { over: true };
        };
        if one.grounded[k] & (1 << open) != 0 {
            return Asked::NeverLeft;
        }
        match one.flights[k] {
            Flight::Here(attempt) if attempt == open => Asked::Here,
            Flight::Elsewhere { attempt, over } if attempt == open => Asked::Elsewhere { over },
            Flight::Here(_) => Asked::Elsewhere { over: false },
            _ => {
                one.flights[k] = Flight::Elsewhere { attempt: open, over: false };
                Asked::Elsewhere { over: false }
            }
        }
    }

    fn append(&self, world: &mut World, replica: u8, key: u8, write: Write, lost: bool) -> Appended {
        let base = world.replica(replica).known[usize::from(key)];
        if lost {
            world.left.lost_writes -= 1;
            world.late = Some(Late { replica, key, base, write });
        }
        let events = self.events_of(world, replica, key, write);
        let before = world.ledger[usize::from(key)];
        let done = self.act(world, replica, key, What::Append { events, lost });
        if done.result == Appended::Stored {
            self.stored(world, key, before, write, events);
        }
        done.result
    }

    fn events_of(&self, world: &World, replica: u8, key: u8, write: Write) -> u16 {
        match write {
            Write::Events(events) => events,
            Write::Intent(terms) => {
                let now = self.now(world, replica, key);
                self.shipped.intent(key, world.requests(key), terms, now)
            }
        }
    }

    /// The replica's book does this with what is stored and what it knows.
    pub fn act(&self, world: &mut World, replica: u8, key: u8, what: What) -> Done {
        let k = usize::from(key);
        let (known, stored) = (world.replica(replica).known[k], world.ledger[k]);
        let done = self.shipped.act(Deed { key, known, stored, what });
        world.replica(replica).known[k] = done.known;
        world.ledger[k] = done.stored;
        if done.stored != stored {
            self.judge_entry(world, key, stored);
        }
        done
    }

    /// An append by that write was stored. The intent gets its place among the attempts.
    fn stored(&self, world: &mut World, key: u8, before: Stored, write: Write, events: u16) {
        self.judge_events(world, key, before, events);
        if let Write::Intent(terms) = write {
            self.judge_terms(world, key, terms);
            let attempt = world.requests(key);
            *world.attempt(key, attempt) = Attempt { stage: Stage::Over, ..Attempt::default() };
        }
    }

    fn late_write_arrives(&self, world: &mut World) -> Option<()> {
        let Late { replica, key, base, write } = world.late.take()?;
        let (k, attempt) = (usize::from(key), world.requests(key));
        let intends = matches!(write, Write::Intent(_));
        if intends && attempt == self.size.attempts {
            return None;
        }
        let events = self.events_of(world, replica, key, write);
        let before = world.ledger[k];
        let arrived = self.shipped.arrive(key, base, before, events);
        if let Some(now) = arrived {
            world.ledger[k] = now;
            self.judge_entry(world, key, before);
            self.stored(world, key, before, write, events);
            self.sights.see(Sight::LateWrite);
        }
        for replica in &mut world.replicas {
            if intends && replica.grounded[k] & ON_ITS_WAY != 0 {
                replica.grounded[k] &= !ON_ITS_WAY;
                replica.grounded[k] |= u8::from(arrived.is_some()) << attempt;
            }
        }
        Some(())
    }

    /// As the end of `errand::run`: `Book::insist`, then the flight has landed.
    fn save(&self, world: &mut World, key: u8, n: u8, lost: bool) -> Option<()> {
        let Attempt { by, stage: Stage::Knows(outcome), .. } = world.get(key, n) else { return None };
        let events = self.shipped.outcome(key, n, outcome, self.time(by, n + 1));
        if lost {
            self.append(world, by, key, Write::Events(events), true);
            return Some(());
        }
        let before = world.ledger[usize::from(key)];
        let done = self.act(world, by, key, What::Insist { events });
        if done.stored != before {
            self.judge_events(world, key, before, events);
        }
        let attempt = world.attempt(key, n);
        (attempt.stage, attempt.by) = (Stage::Over, 0);
        let flight = &mut world.replica(by).flights[usize::from(key)];
        if *flight == Flight::Here(n) {
            *flight = Flight::None;
        }
        Some(())
    }

    /// As `Receiver::store`, one try; the provider may come again at any time.
    fn push(&self, world: &mut World, replica: u8, key: u8, attempt: u8, lost: bool) -> Option<()> {
        let known = self.shipped.kept(world.replica(replica).known[usize::from(key)].entry);
        let now = self.now(world, replica, key);
        let events = self.shipped.pushed(key, attempt, now);
        let event = &self.shipped.listed(events)[0];
        // One that changes nothing is not explored: where no number is known, the receiver appends it all
        // the same, each time that it is repeated.
        if known.state.clone().then(event) == known.state {
            return None;
        }
        self.append(world, replica, key, Write::Events(events), lost);
        Some(())
    }

    fn watch_one_step(&self, world: &mut World, replica: u8, key: u8) -> Option<()> {
        let k = usize::from(key);
        let (known, stored) = (world.replica(replica).known[k], world.ledger[k]);
        let mut next = stored;
        while self.shipped.kept(next.entry).before != known.entry {
            next.entry = self.shipped.kept(next.entry).before;
            if next.entry == 0 {
                return None;
            }
        }
        world.replica(replica).known[k] = next;
        Some(())
    }
}

/// What an answer tells its reader.
fn read(answer: Provider) -> Option<Outcome> {
    match answer {
        Provider::Placed => Some(Outcome::Accepted),
        Provider::Refused => Some(Outcome::Refused),
        Provider::RefusedForGood => Some(Outcome::RefusedForGood),
        Provider::Busy => Some(Outcome::NotProcessed),
        Provider::Nothing | Provider::OnItsWay | Provider::Lost => None,
    }
}

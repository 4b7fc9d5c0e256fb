//! What each step does. Where a line stands for one of `src/operator/src/controller` or `src/operator/src/push` that can't be
//! called from here, it says for which.

use std::time::Duration;

use tenios_ledger::{Lineage, recording};
use tenios_lifecycle::Sender;
use tenios_lifecycle::attempt::{Intended, LastLook, Requests};

use super::Model;
use super::action::Action;
use super::code_under_test::{Appended, Done, Operation, Told, What};
use super::judge::Coverage;
use super::names;
use super::size::Second;
use super::view::{Asked, Next, Question, Rest};
use super::world::{
    Attempt, Broken, Fate, KEYS, Late, Object, Outcome, Presence, Provider, Stage, Stored, World, Write,
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
            Action::Reconciles { replica, key, fate } => self.reconcile(world, replica, key, fate)?,
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
            Action::Saves { key, attempt, fate } => self.save(world, key, attempt, fate)?,
            Action::Pushed { replica, key, attempt, fate } => {
                self.push(world, replica, key, attempt, fate)?;
            }
            Action::LedgerWatched { replica, key, fate } => {
                self.watch(world, replica, key, What::Watch, fate)?;
            }
            Action::LedgerListed { replica, key, fate } => {
                self.watch(world, replica, key, What::List, fate)?;
            }
            Action::LedgerWatchedOneStep { replica, key } => self.watch_one_step(world, replica, key)?,
            _ => self.happens(world, action)?,
        }
        Some(())
    }

    /// Who may be sending for this resource, and for what else it asks.
    pub fn senders(&self, world: &mut World, replica: u8, key: u8) -> [Asked; 2] {
        let follow_up = self.size.follow_up(key);
        let follow_up = follow_up.map_or(Asked::Here, |other| self.sender(world, replica, other));
        [self.sender(world, replica, key), follow_up]
    }

    pub fn question(&self, world: &World, replica: u8, key: u8, senders: [Asked; 2]) -> Question {
        let one = &world.replicas[usize::from(replica)];
        let alone = self.keys() == 1;
        let known = if alone { [one.known[0], Stored::default()] } else { one.known };
        let now = self.now(world, replica, key);
        Question { key, known, seen: one.seen, senders, now }
    }

    fn now(&self, world: &World, replica: u8, key: u8) -> i64 {
        self.time(replica, world.requests(key))
    }

    /// Each request has its own time. A replica's clock may be an hour behind.
    fn time(&self, replica: u8, requests: u8) -> i64 {
        let skew = if self.size.second == Second::HourBehind { 3600 * i64::from(replica) } else { 0 };
        10 * i64::from(requests) - skew
    }

    /// One reconcile, up to what it does first. A resource that turns out to be another one is decided on once more.
    fn reconcile(&self, world: &mut World, replica: u8, key: u8, fate: Fate) -> Option<()> {
        let mut object = world.replica(replica).seen[usize::from(key)];
        loop {
            let senders = self.senders(world, replica, key);
            let question = self.question(world, replica, key, senders);
            match *self.code.decide(question.about(object)) {
                Next::Asks => world.breaks(Broken::Unexpected),
                Next::Rest(_) if fate != Fate::Answered => return None,
                Next::Rest(rest) => self.show(world, key, object, rest),
                Next::Record { of, events } => {
                    self.judge_words(world, replica, of, events);
                    self.append(world, replica, of, Write::Events(events), fate)?;
                }
                Next::Send { of, terms } => match self.last_look(world, question, object, of, terms) {
                    LastLook::Sends(_) => return self.send(world, replica, of, terms, fate),
                    LastLook::Changed(now) => {
                        self.covered.insert(Coverage::LookedAgain);
                        object = now;
                        continue;
                    }
                    LastLook::Gone => {
                        self.covered.insert(Coverage::LookedAgain);
                        return (fate == Fate::Answered).then_some(());
                    }
                },
            }
            return Some(());
        }
    }

    fn show(&self, world: &mut World, key: u8, looked_at: Object, rest: Rest) {
        if rest.hides_stray {
            world.breaks(Broken::StrayHidden);
        }
        // The patch names the uid of the resource that was looked at.
        let object = world.object(key);
        if object.uid == looked_at.uid && object.presence != Presence::Gone {
            object.status = rest.status;
            self.judge_memory(world, key);
        }
    }

    fn last_look(
        &self,
        world: &World,
        question: Question,
        seen: Object,
        of: u8,
        terms: u16,
    ) -> LastLook<Object> {
        let now = world.objects[usize::from(question.key)];
        if !self.size.assumes.last_look {
            return LastLook::Sends(seen);
        }
        let same = (of, terms);
        let still_sends = |now: &Object| matches!(*self.code.decide(question.about(*now)), Next::Send { of, terms } if (of, terms) == same);
        LastLook::new(&seen.uid, (now.presence != Presence::Gone).then_some(now), |now| now.uid, still_sends)
    }

    /// As `provider_call::start`.
    fn send(&self, world: &mut World, replica: u8, key: u8, terms: u16, fate: Fate) -> Option<()> {
        let n = world.requests(key);
        let attempt = names::attempt(key, n);
        if !self.with_requests(world, replica, key, |requests| requests.begin(&attempt, Duration::ZERO)) {
            return (fate == Fate::Answered).then_some(());
        }
        if n == self.size.attempts {
            return None;
        }
        let result = self.append(world, replica, key, Write::Intent(terms), fate)?;
        let recorded = world.requests(key) > n;
        if recorded {
            self.judge_view(world, key, terms);
        }
        let own_key = &self.code.keys[usize::from(key)];
        let told = |requests: &mut Requests| requests.intended(&attempt, result.result(own_key));
        let leaves = if recorded {
            world.attempt(key, n).withheld = Some(replica);
            self.with_requests(world, replica, key, told)
        } else {
            // An intent that was not recorded has no name: another one will have it.
            let leaves = told(&mut self.requests(world, replica, key));
            self.with_requests(world, replica, key, |requests| requests.finish(&attempt));
            leaves
        };
        if leaves == Intended::Leaves {
            *world.attempt(key, n) = Attempt { by: replica, stage: Stage::Ready, ..Attempt::default() };
        }
        Some(())
    }

    pub fn requests(&self, world: &World, replica: u8, key: u8) -> Requests {
        self.code.known_requests(world.replicas[usize::from(replica)].requests[usize::from(key)])
    }

    pub fn with_requests<T>(
        &self,
        world: &mut World,
        replica: u8,
        key: u8,
        step: impl FnOnce(&mut Requests) -> T,
    ) -> T {
        let mut requests = self.requests(world, replica, key);
        let result = step(&mut requests);
        world.replica(replica).requests[usize::from(key)] = self.code.requests(requests);
        result
    }

    /// Time stands still: whoever has waited has done so for as long as another process can be sending.
    pub fn sender(&self, world: &mut World, replica: u8, key: u8) -> Asked {
        const LIFETIME: Duration = Duration::from_secs(1);
        let k = usize::from(key);
        let state = &self.code.interned(world.replica(replica).known[k].entry).state;
        let before = self.requests(world, replica, key);
        let at = |requests: &mut Requests, now| requests.sender(state, now, LIFETIME);
        let mut sender = self.with_requests(world, replica, key, |requests| at(requests, Duration::ZERO));
        if before != self.requests(world, replica, key) {
            world.replica(replica).waited[k] = false;
        } else if world.replica(replica).waited[k] {
            sender = self.with_requests(world, replica, key, |requests| at(requests, LIFETIME));
        }
        match sender {
            Sender::Here => Asked::Here,
            Sender::NeverLeft => Asked::NeverLeft,
            Sender::Elsewhere { remaining } => Asked::Elsewhere { over: remaining.is_zero() },
        }
    }

    /// None where no write came to its fate.
    fn append(&self, world: &mut World, replica: u8, key: u8, write: Write, fate: Fate) -> Option<Appended> {
        let base = world.replica(replica).known[usize::from(key)];
        if fate == Fate::Late {
            let grounded = matches!(write, Write::Intent(_));
            world.late = Some(Late { replica, key, base, write, grounded });
        }
        let events = self.events_of(world, replica, key, write);
        let before = world.ledger[usize::from(key)];
        let done = self.act(world, replica, key, What::Append { events }, fate)?;
        if done.written {
            self.stored(world, key, before, write, events);
        }
        Some(done.result)
    }

    fn events_of(&self, world: &World, replica: u8, key: u8, write: Write) -> u16 {
        match write {
            Write::Events(events) => events,
            Write::Intent(terms) => {
                let now = self.now(world, replica, key);
                self.code.intent(key, world.requests(key), terms, now)
            }
        }
    }

    /// The replica's cache does this with what is stored and what it knows; none where no write came to its fate.
    pub fn act(&self, world: &mut World, replica: u8, key: u8, what: What, fate: Fate) -> Option<Done> {
        let k = usize::from(key);
        let (known, before) = (world.replica(replica).known[k], world.ledger[k]);
        let (stored, writer) = (self.stored_beside(world, key), world.set_backs);
        let done = self.code.act(Operation { key, known, stored, what, fate, writer });
        match fate {
            Fate::Answered => {}
            _ if !done.failed => return None,
            Fate::Late => world.left.lost_writes -= 1,
            Fate::Undone | Fate::Done | Fate::DoneUnread => {
                world.left.failed_writes -= 1;
                self.covered.insert(Coverage::WriteFailed);
            }
        }
        world.replica(replica).known[k] = done.known;
        world.ledger[k] = done.stored[k];
        if done.stored[k] != before {
            self.judge_entry(world, key, before);
        }
        if done.anothers {
            world.breaks(Broken::Anothers);
        }
        Some(done)
    }

    /// What is stored of this key, and beside it what may have the same name.
    pub fn stored_beside(&self, world: &World, key: u8) -> [Stored; KEYS] {
        let mut stored = world.ledger;
        if !self.size.names_collide {
            let own = stored[usize::from(key)];
            stored = [Stored::default(); KEYS];
            stored[usize::from(key)] = own;
        }
        stored
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
        let Late { replica, key, base, write, grounded } = world.late.take()?;
        let (k, attempt) = (usize::from(key), world.requests(key));
        let intends = matches!(write, Write::Intent(_));
        if intends && attempt == self.size.attempts {
            return None;
        }
        let events = self.events_of(world, replica, key, write);
        let before = world.ledger[k];
        let (stored, writer) = (self.stored_beside(world, key), world.set_backs);
        let (known, what) = (base, What::Arrive { events });
        let done = self.code.act(Operation { key, known, stored, what, fate: Fate::Answered, writer });
        if done.written {
            world.ledger[k] = done.stored[k];
            self.judge_entry(world, key, before);
            self.stored(world, key, before, write, events);
            self.covered.insert(Coverage::LateWrite);
        }
        if done.written && grounded {
            world.attempt(key, attempt).withheld = Some(replica);
            let own_key = &self.code.keys[k];
            let (attempt, result) = (names::attempt(key, attempt), Appended::Ambiguous.result(own_key));
            self.with_requests(world, replica, key, |requests| requests.intended(&attempt, result));
        }
        Some(())
    }

    /// The outcome is recorded, up to the first pause.
    fn save(&self, world: &mut World, key: u8, n: u8, fate: Fate) -> Option<()> {
        let Attempt { by, stage: Stage::Knows(outcome), paused, .. } = world.get(key, n) else {
            return None;
        };
        let attempt = names::attempt(key, n);
        let events = self.code.recorded(key, n, Told::Outcome(outcome), self.time(by, n + 1));
        let event = self.code.listed(events)[0].clone();
        self.with_requests(world, by, key, |requests| requests.answered(&attempt, &event));
        let mut fate_to_meet = fate;
        let mut recording = paused.unwrap_or_default();
        let mut next = paused.map_or(recording::Next::Append, |_| recording::Next::PauseAndRead);
        loop {
            next = match next {
                recording::Next::Append => {
                    let result = self.append_outcome(world, by, key, events, &mut fate_to_meet)?;
                    recording.appended(&result.result(&self.code.keys[usize::from(key)]))
                }
                recording::Next::PauseAndRead => {
                    let done = self.act(world, by, key, What::Read, Fate::Answered)?;
                    let known = self.code.entry(key, done.known);
                    recording.read((done.result == Appended::Stored).then_some(&known), &event)
                }
                recording::Next::Done => break,
            };
            if next == recording::Next::PauseAndRead {
                break;
            }
        }
        if fate_to_meet != Fate::Answered {
            return None;
        }
        let is_kept = self.requests(world, by, key).not_recorded() == Some(&event);
        let recorded = next == recording::Next::Done;
        if !recorded && (fate == Fate::Answered || !is_kept) {
            world.breaks(Broken::InVain);
        }
        if recorded {
            self.with_requests(world, by, key, |requests| requests.finish(&attempt));
            let open = self.code.interned(world.ledger[usize::from(key)].entry).open;
            let is_open = open == Some(n) && !self.lost_an_entry(world);
            if is_open || (outcome == Outcome::Accepted && !world.get(key, n).recorded) {
                world.breaks(Broken::InVain);
            }
        }
        let attempt = world.attempt(key, n);
        attempt.paused = (!recorded).then_some(recording);
        if recorded {
            (attempt.stage, attempt.by) = (Stage::Over, 0);
        }
        Some(())
    }

    /// With this fate for the first write that nothing speaks against.
    fn append_outcome(
        &self,
        world: &mut World,
        by: u8,
        key: u8,
        events: u16,
        fate: &mut Fate,
    ) -> Option<Appended> {
        let k = usize::from(key);
        let (base, before, what) = (world.replica(by).known[k], world.ledger[k], What::Append { events });
        let done = self
            .act(world, by, key, what, *fate)
            .or_else(|| self.act(world, by, key, what, Fate::Answered))?;
        if done.failed {
            let met = std::mem::take(fate);
            if met == Fate::Late {
                world.late =
                    Some(Late { replica: by, key, base, write: Write::Events(events), grounded: false });
            }
        }
        if done.written {
            self.judge_events(world, key, before, events);
        }
        Some(done.result)
    }

    /// The provider tells the number; it may come again at any time.
    fn push(&self, world: &mut World, replica: u8, key: u8, attempt: u8, fate: Fate) -> Option<()> {
        let now = self.now(world, replica, key);
        let events = self.code.recorded(key, attempt, Told::Both, now);
        let base = world.replica(replica).known[usize::from(key)];
        let before = world.ledger[usize::from(key)];
        let done = self.act(world, replica, key, What::Offer { events }, fate)?;
        if fate == Fate::Late {
            world.late = Some(Late { replica, key, base, write: Write::Events(events), grounded: false });
        }
        if done.written {
            self.judge_events(world, key, before, events);
        }
        let state = &self.code.interned(world.ledger[usize::from(key)].entry).state;
        if done.result == Appended::Stored && !state.remembers(&self.code.listed(events)[0]) {
            world.breaks(Broken::Acknowledged);
        }
        Some(())
    }

    /// The watch or a list tells, and what was lost is written back.
    fn watch(&self, world: &mut World, replica: u8, key: u8, what: What, fate: Fate) -> Option<()> {
        let k = usize::from(key);
        let (known, before) = (world.replica(replica).known[k], world.ledger[k]);
        let done = self.act(world, replica, key, what, fate)?;
        if done.stored[k] != before {
            self.covered.insert(Coverage::WrittenBack);
            let [ours, theirs] = [known, before].map(|stored| self.code.interned(stored.entry));
            if ours.entry.lineage(&theirs.entry) == Lineage::Diverged {
                self.covered.insert(Coverage::Diverged);
            }
        }
        Some(())
    }

    fn watch_one_step(&self, world: &mut World, replica: u8, key: u8) -> Option<()> {
        let k = usize::from(key);
        let (known, stored) = (world.replica(replica).known[k], world.ledger[k]);
        let mut next = stored;
        while self.code.interned(next.entry).before != known.entry {
            next.entry = self.code.interned(next.entry).before;
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

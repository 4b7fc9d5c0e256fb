//! What befalls the processes, the caches and the ledger, and what people do.

use tenios_lifecycle::attempt::Requests;

use super::Model;
use super::action::Action;
use super::code_under_test::{Operation, Told, What};
use super::judge::Coverage;
use super::names;
use super::world::{BOGUS, Broken, Fate, KEYS, Object, Presence, Stage, Stored, World};

/// Writers that are none of the replicas.
const ELSEWHERE: u8 = 100;

impl Model {
    pub fn happens(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::LateWriteIsLost => {
                world.late.take()?;
            }
            Action::LedgerListedOld { replica } => {
                world.left.old_lists -= 1;
                for key in 0..self.keys() {
                    self.act(world, replica, key, What::OldList, Fate::Answered);
                }
            }
            Action::ResourceWatched { replica, key } => {
                let object = *world.object(key);
                world.replica(replica).seen[usize::from(key)] = object;
                if object.presence == Presence::Gone {
                    self.forget(world, replica, key);
                    if let Some(follow_up) = self.size.follow_up(key) {
                        self.forget(world, replica, follow_up);
                    }
                }
            }
            Action::Elapses { replica, key } => self.elapse(world, replica, key)?,
            Action::Crashes { replica } => crash(world, replica),
            Action::SaysNotPlaced { key, word } => {
                world.left.words -= 1;
                let resource = self.size.resource(key);
                world.object(resource).word =
                    if word == BOGUS { BOGUS } else { names::word_for(resource != key, word - 1) };
                if word != BOGUS {
                    world.attempt(key, word - 1).said = true;
                }
            }
            Action::Edits { key, spec } => {
                world.left.edits -= 1;
                world.object(key).spec = spec;
            }
            Action::Recreates { key, spec } => {
                world.left.recreations -= 1;
                let object = world.object(key);
                *object = Object { uid: object.uid + 1, spec, word: object.word, ..Object::default() };
            }
            Action::Deletes { key } => {
                world.left.deletions -= 1;
                world.object(key).presence = Presence::Deleting;
            }
            Action::Goes { key } => {
                if world.object(key).presence == Presence::There {
                    world.left.deletions -= 1;
                }
                world.object(key).presence = Presence::Gone;
            }
            Action::StatusWiped { key } => {
                world.left.wipes -= 1;
                world.object(key).status = 0;
            }
            Action::EntryDeleted { key } if self.size.names_collide => self.forget_entry(world, key),
            Action::EntryDeleted { key } => self.lose_entry(world, key, 0),
            Action::EntryRestored { key } => {
                let before = self.code.interned(world.ledger[usize::from(key)].entry).before;
                self.lose_entry(world, key, before);
            }
            Action::SetBack { key, entry } => {
                world.left.set_backs -= 1;
                world.set_backs += 1;
                world.ledger[usize::from(key)].entry = entry;
                world.object(self.size.resource(key)).status = 0;
                self.covered.insert(Coverage::SetBack);
            }
            Action::WritesFromElsewhere { key, attempt, told } => {
                self.write_from_elsewhere(world, key, attempt, told);
            }
            _ => return None,
        }
        Some(())
    }

    /// The clocks of the two processes are not compared: the one that waits counts from when it first saw the
    /// attempt, which is after the sender's clock started, and it waits for longer.
    fn elapse(&self, world: &mut World, replica: u8, key: u8) -> Option<()> {
        let attempt = names::attempt_of(self.requests(world, replica, key).elsewhere()?);
        if world.get(key, attempt).may_leave() {
            return None;
        }
        world.replica(replica).waited[usize::from(key)] = true;
        Some(())
    }

    /// As `Context::forget`.
    fn forget(&self, world: &mut World, replica: u8, key: u8) {
        self.with_requests(world, replica, key, Requests::forget);
        world.replica(replica).waited[usize::from(key)] = false;
        for attempt in &mut world.attempts[usize::from(key)] {
            attempt.withheld = attempt.withheld.filter(|by| *by != replica);
        }
        if let Some(late) = world.late.as_mut().filter(|late| (late.replica, late.key) == (replica, key)) {
            late.grounded = false;
        }
    }

    /// With what is stored as all that it knows.
    fn write_from_elsewhere(&self, world: &mut World, key: u8, attempt: u8, told: Told) {
        let k = usize::from(key);
        let before = world.ledger[k];
        let events = self.code.recorded(key, attempt, told, 10 * i64::from(world.requests(key)));
        let stored = self.stored_beside(world, key);
        let writer = ELSEWHERE + world.left.foreign_writes;
        let what = What::Append { events };
        let done =
            self.code.act(Operation { key, known: before, stored, what, fate: Fate::Answered, writer });
        world.left.foreign_writes -= 1;
        world.ledger[k] = done.stored[k];
        self.judge_entry(world, key, before);
        self.judge_events(world, key, before, events);
    }

    /// As `kubectl tenios ledger forget`.
    fn forget_entry(&self, world: &mut World, key: u8) {
        let stored = self.stored_beside(world, key);
        let (known, what, fate) = (Stored::default(), What::Forget, Fate::Answered);
        let done = self.code.act(Operation { key, known, stored, what, fate, writer: 0 });
        if done.anothers {
            world.breaks(Broken::Anothers);
        }
        self.lose_entry(world, key, 0);
        world.ledger = done.stored;
    }

    /// This is there in the entry's place now.
    fn lose_entry(&self, world: &mut World, key: u8, entry: u16) {
        let k = usize::from(key);
        world.left.losses -= 1;
        world.ledger[k] = Stored { life: world.ledger[k].life + 1, entry };
        // Orders beside the one of this resource stand in the ledger alone.
        for n in 0..world.requests(key) {
            let remembered = (self.remembers_id(world, key, n), self.remembers_number(world, key, n));
            let attempt = world.attempt(key, n);
            attempt.recorded &= remembered.0;
            attempt.numbered &= remembered.1;
        }
        self.covered.insert(Coverage::EntryLost);
    }
}

/// What was on the wire goes on without it. What its watches show at first may be as old as what the dead
/// process knew.
fn crash(world: &mut World, replica: u8) {
    world.left.crashes -= 1;
    let own = world.replica(replica);
    (own.requests, own.waited) = ([0; KEYS], [false; KEYS]);
    if let Some(late) = world.late.as_mut().filter(|late| late.replica == replica) {
        late.grounded = false;
    }
    for attempt in world.attempts.iter_mut().flatten() {
        attempt.withheld = attempt.withheld.filter(|by| *by != replica);
        if attempt.by == replica && !matches!(attempt.stage, Stage::None | Stage::Over) {
            (attempt.stage, attempt.by) = (Stage::Over, 0);
            attempt.paused = None;
        }
    }
}

//! What befalls the processes, the caches and the ledger, and what people do.

use super::Model;
use super::action::Action;
use super::judge::Sight;
use super::shipped::What;
use super::world::{BOGUS, Flight, KEYS, ON_ITS_WAY, Stage, Stored, World};

impl Model {
    pub fn happens(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::LateWriteIsLost => {
                let late = world.late.take()?;
                for replica in &mut world.replicas {
                    replica.grounded[usize::from(late.key)] &= !ON_ITS_WAY;
                }
            }
            Action::LedgerListedOld { replica } => {
                world.left.old_lists -= 1;
                for key in 0..self.keys() {
                    self.act(world, replica, key, What::OldList);
                }
            }
            Action::ResourceWatched { replica, key } => {
                let object = *world.object(key);
                world.replica(replica).seen[usize::from(key)] = object;
            }
            Action::Elapses { replica, key } => elapse(world, replica, key)?,
            Action::Crashes { replica } => crash(world, replica),
            Action::SaysNotPlaced { key, word } => {
                world.left.words -= 1;
                world.object(key).word = word;
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
                (object.uid, object.spec, object.status) = (object.uid + 1, spec, 0);
            }
            Action::StatusWiped { key } => {
                world.left.wipes -= 1;
                world.object(key).status = 0;
            }
            Action::EntryDeleted { key } => self.lose_entry(world, key, 0),
            Action::EntryRestored { key } => {
                let before = self.shipped.kept(world.ledger[usize::from(key)].entry).before;
                self.lose_entry(world, key, before);
            }
            _ => return None,
        }
        Some(())
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
        self.sights.see(Sight::EntryLost);
    }
}

/// The clocks of the two processes are not compared: the one that waits counts from when it first saw the
/// attempt, which is after the sender's clock started, and it waits for longer.
fn elapse(world: &mut World, replica: u8, key: u8) -> Option<()> {
    let flight = world.replica(replica).flights[usize::from(key)];
    let Flight::Elsewhere { attempt, .. } = flight else { return None };
    if world.get(key, attempt).may_leave() {
        return None;
    }
    world.replica(replica).flights[usize::from(key)] = Flight::Elsewhere { attempt, over: true };
    Some(())
}

/// What was on the wire goes on without it. What its watches show at first may be as old as what the dead
/// process knew.
fn crash(world: &mut World, replica: u8) {
    world.left.crashes -= 1;
    let own = world.replica(replica);
    (own.flights, own.grounded) = ([Flight::None; KEYS], [0; KEYS]);
    for attempt in world.attempts.iter_mut().flatten() {
        if attempt.by == replica && !matches!(attempt.stage, Stage::None | Stage::Over) {
            (attempt.stage, attempt.by) = (Stage::Over, 0);
        }
    }
}

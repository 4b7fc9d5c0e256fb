//! What can happen next.

use super::Model;
use super::code_under_test::Told;
use super::size::Person;
use super::world::{Attempt, BOGUS, Fate, Outcome, Presence, Provider, Stage, World};

/// One step of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A replica decides about a resource and does what was decided.
    Reconciles { replica: u8, key: u8, fate: Fate },
    /// The write that was not answered arrives after all, or is found to be outdated.
    LateWriteArrives,
    /// It never will.
    LateWriteIsLost,
    /// The last byte of a request is handed over.
    Leaves { key: u8, attempt: u8 },
    /// The time in which it may leave is over.
    DeadlinePasses { key: u8, attempt: u8 },
    /// It can't leave: nobody listens, or it is too late.
    Fails { key: u8, attempt: u8 },
    /// The provider does with it as it likes.
    ProviderTakes { key: u8, attempt: u8, answer: Provider },
    /// Its answer is read.
    Answered { key: u8, attempt: u8 },
    /// Its answer is not read, whatever it was.
    AnswerLost { key: u8, attempt: u8 },
    /// The sender records its outcome.
    Saves { key: u8, attempt: u8, fate: Fate },
    /// A replica is told the number of a placed order, for the first time or again.
    Pushed { replica: u8, key: u8, attempt: u8, fate: Fate },
    /// A replica's watch of the ledger tells of all that was written. What it may have lost is written back.
    LedgerWatched { replica: u8, key: u8, fate: Fate },
    /// The same by a list, as after the store could not be reached.
    LedgerListed { replica: u8, key: u8, fate: Fate },
    /// It tells of one write.
    LedgerWatchedOneStep { replica: u8, key: u8 },
    /// It begins anew, with a list from before the entries were there.
    LedgerListedOld { replica: u8 },
    /// A replica's watch of the resources tells of all that was written.
    ResourceWatched { replica: u8, key: u8 },
    /// The time in which another process could have been sending is over.
    Elapses { replica: u8, key: u8 },
    /// A process dies and another one begins.
    Crashes { replica: u8 },
    /// A person sets the not-placed annotation: 0 none, n + 1 names attempt n.
    SaysNotPlaced { key: u8, word: u8 },
    /// A person changes the spec.
    Edits { key: u8, spec: u8 },
    /// A person or a tool deletes and re-creates the resource.
    Recreates { key: u8, spec: u8 },
    /// A person or a tool deletes the resource; something holds it.
    Deletes { key: u8 },
    /// It is gone.
    Goes { key: u8 },
    /// The status is gone.
    StatusWiped { key: u8 },
    /// The ledger entry is deleted.
    EntryDeleted { key: u8 },
    /// It is deleted and put there again as it was one write before, as from a backup.
    EntryRestored { key: u8 },
    /// The store is as it was when this was the entry, and no status was shown.
    SetBack { key: u8, entry: u16 },
    /// Another process records this.
    WritesFromElsewhere { key: u8, attempt: u8, told: Told },
}

impl Model {
    pub fn possible(&self, world: &World, all: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        for key in 0..self.keys() {
            for attempt in 0..world.requests(key) {
                self.of_request(world, key, attempt, all);
            }
            for replica in 0..self.size.replicas {
                self.of_replica(world, replica, key, all);
            }
            self.of_people(world, key, all);
        }
        for replica in 0..self.size.replicas {
            if world.left.crashes > 0 {
                all.push(Action::Crashes { replica });
            }
            if world.left.old_lists > 0 {
                all.push(Action::LedgerListedOld { replica });
            }
        }
        if world.late.is_some() {
            all.extend([Action::LateWriteArrives, Action::LateWriteIsLost]);
        }
    }

    fn of_request(&self, world: &World, key: u8, attempt: u8, all: &mut Vec<Action>) {
        let Attempt { stage, provider, .. } = world.get(key, attempt);
        match stage {
            Stage::Ready => all.extend([
                Action::Leaves { key, attempt },
                Action::DeadlinePasses { key, attempt },
                Action::Fails { key, attempt },
            ]),
            Stage::TooLate => {
                all.push(Action::Fails { key, attempt });
                if !self.size.assumes.deadline {
                    all.push(Action::Leaves { key, attempt });
                }
            }
            Stage::Waiting => {
                let answered = !matches!(provider, Provider::OnItsWay | Provider::Lost);
                all.extend(answered.then_some(Action::Answered { key, attempt }));
                all.push(Action::AnswerLost { key, attempt });
            }
            Stage::Knows(_) => {
                all.extend(fates(world).map(|fate| Action::Saves { key, attempt, fate }));
            }
            Stage::None | Stage::Over => {}
        }
        if provider == Provider::OnItsWay {
            let answers = self.size.answers.iter();
            all.extend(answers.map(|answer| Action::ProviderTakes { key, attempt, answer: *answer }));
        }
    }

    fn of_replica(&self, world: &World, replica: u8, key: u8, all: &mut Vec<Action>) {
        let (r, k) = (usize::from(replica), usize::from(key));
        let one = &world.replicas[r];
        if one.seen[k].presence != Presence::Gone && self.size.reconciles(replica) {
            all.extend(fates(world).map(|fate| Action::Reconciles { replica, key, fate }));
        }
        if one.known[k] != world.ledger[k] {
            let was_set_back = world.set_backs > 0;
            let mends = fates(world).filter(|fate| was_set_back || *fate == Fate::Answered);
            // No watch tells what a restore took away.
            if !was_set_back || world.ledger[k].entry != 0 {
                all.extend(mends.clone().map(|fate| Action::LedgerWatched { replica, key, fate }));
            }
            if was_set_back {
                all.extend(mends.map(|fate| Action::LedgerListed { replica, key, fate }));
            }
            if self.size.lag.one_step {
                all.push(Action::LedgerWatchedOneStep { replica, key });
            }
        }
        if one.seen[k] != world.objects[k] {
            all.push(Action::ResourceWatched { replica, key });
        }
        if !one.waited[k] && self.requests(world, replica, key).elsewhere().is_some() {
            all.push(Action::Elapses { replica, key });
        }
        for attempt in 0..world.requests(key) {
            if world.get(key, attempt).provider == Provider::Placed && self.size.pushes(key) {
                all.extend(fates(world).map(|fate| Action::Pushed { replica, key, attempt, fate }));
            }
        }
    }

    fn of_people(&self, world: &World, key: u8, all: &mut Vec<Action>) {
        let object = world.objects[usize::from(key)];
        let left = &world.left;
        let is_gone = object.presence == Presence::Gone;
        let resource = world.objects[usize::from(self.size.resource(key))];
        if left.words > 0 && resource.presence != Presence::Gone {
            let named = (0..world.requests(key)).filter(|n| self.would_say(world, key, *n));
            all.extend(named.map(|n| Action::SaysNotPlaced { key, word: n + 1 }));
        }
        let careless = self.size.person == Person::Careless;
        if left.words > 0 && !is_gone && careless && object.word != BOGUS {
            all.push(Action::SaysNotPlaced { key, word: BOGUS });
        }
        for spec in 0..u8::try_from(self.size.specs[usize::from(key)].len()).unwrap() {
            if left.edits > 0 && !is_gone && spec != object.spec && self.could_edit(world, key, spec) {
                all.push(Action::Edits { key, spec });
            }
            if left.recreations > 0 && self.could_write(world, key, spec) {
                all.push(Action::Recreates { key, spec });
            }
        }
        if left.deletions > 0 && object.presence == Presence::There {
            all.push(Action::Deletes { key });
        }
        if (left.deletions > 0 && !is_gone) || object.presence == Presence::Deleting {
            all.push(Action::Goes { key });
        }
        if left.wipes > 0 && object.status != 0 {
            all.push(Action::StatusWiped { key });
        }
        // Where more is asked for, that alone is lost: a number that is there again by the status alone is asked about.
        if left.losses > 0
            && self.size.follow_up(key).is_none()
            && world.ledger[usize::from(key)].entry != 0
            && self.shows_what_is_stored(world, key)
        {
            all.push(if self.size.restores {
                Action::EntryRestored { key }
            } else {
                Action::EntryDeleted { key }
            });
        }
        self.of_the_store(world, key, all);
    }

    fn of_the_store(&self, world: &World, key: u8, all: &mut Vec<Action>) {
        let k = usize::from(key);
        let stored = world.ledger[k];
        // What nobody remembers is lost.
        let remembered = world.replicas.iter().any(|replica| replica.known[k] == stored);
        if world.left.set_backs > 0 && stored.entry != 0 && remembered {
            let earlier = std::iter::successors(Some(stored.entry), |entry| {
                (*entry != 0).then(|| self.code.interned(*entry).before)
            });
            all.extend(earlier.skip(1).map(|entry| Action::SetBack { key, entry }));
        }
        if world.left.foreign_writes == 0 || world.set_backs == 0 {
            return;
        }
        for attempt in 0..world.requests(key) {
            let told = [Told::Both, Told::Id, Told::Outcome(Outcome::Unknown)];
            let writes = told.map(|told| Action::WritesFromElsewhere { key, attempt, told });
            let Attempt { provider, .. } = world.get(key, attempt);
            all.extend(writes.into_iter().take(2).filter(|_| provider == Provider::Placed));
            // Another leader has waited for as long as the sender can take.
            if self.code.interned(stored.entry).open == Some(attempt) && !world.get(key, attempt).may_leave()
            {
                all.push(writes[2]);
            }
        }
    }
}

/// What may become of a write now.
fn fates(world: &World) -> impl Iterator<Item = Fate> + Clone {
    let late = world.left.lost_writes > 0 && world.late.is_none();
    let fails = world.left.failed_writes > 0;
    [Fate::Answered, Fate::Late, Fate::Undone, Fate::Done, Fate::DoneUnread].into_iter().filter(move |fate| {
        match fate {
            Fate::Answered => true,
            Fate::Late => late,
            Fate::Undone | Fate::Done | Fate::DoneUnread => fails,
        }
    })
}

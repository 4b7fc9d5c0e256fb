//! What must hold after every step, whatever happened before.

use std::sync::atomic::{AtomicU32, Ordering};

use tenios_ledger::past::Past;
use tenios_ledger::{Event, Kind, Phase, State};

use super::Model;
use super::names;
use super::size::{Person, Spec};
use super::world::{Broken, KEYS, Object, Presence, Provider, Stage, Stored, World};

/// More appends than this to one entry are taken for appending without end; none that is right has half
/// of it.
const LONGEST_ENTRY: u64 = 25;

/// Something that a size has to come to, or else it explores less than it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    Assigned,
    Unknown,
    SecondRequest,
    WordHonoured,
    LateWrite,
    NeverLeft,
    Stray,
    Adopted,
    EntryLost,
    Rebuilt,
    Folded,
    Conflict,
    LookedAgain,
    SetBack,
    WrittenBack,
    Diverged,
    WriteFailed,
    Cancelled,
}

impl Coverage {
    const ALL: [Self; 18] = [
        Self::Assigned,
        Self::Unknown,
        Self::SecondRequest,
        Self::WordHonoured,
        Self::LateWrite,
        Self::NeverLeft,
        Self::Stray,
        Self::Adopted,
        Self::EntryLost,
        Self::Rebuilt,
        Self::Folded,
        Self::Conflict,
        Self::LookedAgain,
        Self::SetBack,
        Self::WrittenBack,
        Self::Diverged,
        Self::WriteFailed,
        Self::Cancelled,
    ];
}

/// Which of them were reached.
#[derive(Debug, Default)]
pub struct Covered(AtomicU32);

impl Covered {
    pub fn insert(&self, goal: Coverage) {
        self.0.fetch_or(1 << goal as u32, Ordering::Relaxed);
    }

    pub fn all(&self) -> Vec<Coverage> {
        let seen = self.0.load(Ordering::Relaxed);
        Coverage::ALL.into_iter().filter(|goal| seen & (1 << *goal as u32) != 0).collect()
    }
}

impl Model {
    /// Before this attempt leaves.
    pub fn judge_departure(&self, world: &mut World, key: u8, attempt: u8) {
        for other in (0..world.requests(key)).filter(|n| *n != attempt) {
            let other = world.get(key, other);
            if !other.is_over() {
                world.breaks(Broken::TwoUnderWay);
            }
            self.covered.insert(if other.said { Coverage::WordHonoured } else { Coverage::SecondRequest });
        }
    }

    /// After the provider took a request.
    pub fn judge_account(&self, world: &mut World, key: u8) {
        let placed = |n: &u8| world.get(key, *n).provider == Provider::Placed;
        let many = (0..world.requests(key)).filter(placed).count() > 1;
        if many && self.size.person != Person::Careless {
            world.breaks(Broken::TwoPlaced);
        }
    }

    /// After these events were appended to what was stored before.
    pub fn judge_events(&self, world: &mut World, key: u8, before: Stored, events: u16) {
        for event in self.code.listed(events).iter() {
            match event {
                Event::Intended { .. } => {
                    let state = &self.code.interned(before.entry).state;
                    let pending = matches!(state.phase, Phase::Open { .. } | Phase::Unknown { .. });
                    if pending || state.accepted.is_some() || state.number.is_some() {
                        world.breaks(Broken::IntentOnTop);
                    }
                }
                Event::NotPlaced { attempt, .. } => {
                    let attempt = world.get(key, names::attempt_of(attempt));
                    if !attempt.said || attempt.may_leave() {
                        world.breaks(Broken::WordUnsaid);
                    }
                }
                Event::Accepted { attempt, .. } => {
                    world.attempt(key, names::attempt_of(attempt)).recorded = true;
                }
                Event::Assigned { attempt, .. } => {
                    let attempt = world.attempt(key, names::attempt_of(attempt));
                    (attempt.recorded, attempt.numbered) = (true, true);
                }
                Event::Pushed { attempt, order_id, number, .. } => {
                    let attempt = world.attempt(key, names::attempt_of(attempt));
                    attempt.recorded |= order_id.is_some();
                    attempt.numbered |= number.is_some();
                }
                Event::NotProcessed { attempt, .. } => {
                    let attempt = world.get(key, names::attempt_of(attempt));
                    if attempt.stage == Stage::Over && attempt.provider == Provider::Nothing {
                        self.covered.insert(Coverage::NeverLeft);
                    }
                }
                Event::Unknown { .. } => self.covered.insert(Coverage::Unknown),
                Event::Adopted { .. } => self.covered.insert(Coverage::Adopted),
                Event::Rebuilt { .. } => self.covered.insert(Coverage::Rebuilt),
                Event::Refused { .. } => {}
            }
        }
        self.judge_memory(world, key);
    }

    /// Before a replica records this by its own decision.
    pub fn judge_words(&self, world: &mut World, replica: u8, key: u8, events: u16) {
        for event in self.code.listed(events).iter() {
            let Event::Unknown { attempt, .. } = event else { continue };
            if world.get(key, names::attempt_of(attempt)).withheld == Some(replica) {
                world.breaks(Broken::NeedlesslyUnknown);
            }
        }
    }

    /// After something else was stored than before.
    pub fn judge_entry(&self, world: &mut World, key: u8, before: Stored) {
        let (old, new) =
            (self.code.interned(before.entry), self.code.interned(world.ledger[usize::from(key)].entry));
        if !matches!(new.entry.events.last(), Some(Event::Adopted { .. })) {
            let answered = old.state.accepted.as_ref().is_some_and(|a| a.answered && a.id.is_some());
            if answered && old.state.id() != new.state.id() {
                world.breaks(Broken::Replaced);
            }
            let number = |state: &State| state.number.as_ref().map(|n| n.number.clone());
            if old.state.number.is_some() && number(&old.state) != number(&new.state) {
                world.breaks(Broken::NumberChanged);
            }
        }
        if new.entry.revision > LONGEST_ENTRY + 2 * u64::from(self.size.refused_before) {
            world.breaks(Broken::Endless);
        }
        let open_again = match new.state.phase {
            Phase::Refused { .. } | Phase::NotProcessed { .. } | Phase::NotPlaced { .. } => {
                new.state.accepted.is_none() && !self.lost_an_entry(world)
            }
            // Where the ledger has nothing, the status speaks; after a loss, too.
            Phase::Idle | Phase::Open { .. } | Phase::Unknown { .. } | Phase::Accepted { .. } => false,
        };
        // What others write into a store that was set back is no reason for anything until a process that sends takes
        // it for what is stored.
        let believes = |replica: u8| {
            let known = world.replicas[usize::from(replica)].known[usize::from(key)];
            self.size.reconciles(replica) && known == world.ledger[usize::from(key)]
        };
        let counts = world.set_backs == 0 || (0..self.size.replicas).any(believes);
        if open_again && counts && (0..world.requests(key)).any(|n| !world.get(key, n).is_over()) {
            world.breaks(Broken::ClosedTooEarly);
        }
        self.judge_memory(world, key);
        let is_cancelled = self.size.resource(key) != key && new.state.accepted.is_some();
        if is_cancelled {
            self.covered.insert(Coverage::Cancelled);
        }
        let snapshot = State { past: Past::default(), ..new.entry.snapshot.clone() };
        self.look_at(&new.state, snapshot != State::default());
    }

    fn look_at(&self, state: &State, folded: bool) {
        let covered = [
            (Coverage::Assigned, state.number.is_some()),
            (Coverage::Stray, !state.strays.is_empty()),
            (Coverage::Folded, folded),
        ];
        for (goal, _) in covered.into_iter().filter(|(_, there)| *there) {
            self.covered.insert(goal);
        }
    }

    /// Every id and number that was recorded is still known.
    pub fn judge_memory(&self, world: &mut World, key: u8) {
        let lost = |n| {
            let attempt = world.get(key, n);
            (attempt.recorded && !self.remembers_id(world, key, n))
                || (attempt.numbered && !self.remembers_number(world, key, n))
        };
        if (0..world.requests(key)).any(lost) {
            world.breaks(Broken::Forgotten);
        }
    }

    /// Whether the id of this attempt is in the ledger; once an entry was lost, the status counts as well.
    pub fn remembers_id(&self, world: &World, key: u8, n: u8) -> bool {
        let id = names::id(key, n);
        let state = &self.code.interned(world.ledger[usize::from(key)].entry).state;
        state.id() == Some(&id)
            || state.strays.iter().any(|stray| stray.id == id)
            || (self.lost_an_entry(world)
                && self.shown_id(key, self.status(world, key).0) == Some(id.clone()))
            || in_memory(world, |known| {
                let state = &self.code.interned(known[usize::from(key)].entry).state;
                state.id() == Some(&id) || state.strays.iter().any(|stray| stray.id == id)
            })
    }

    /// The same of its number.
    pub fn remembers_number(&self, world: &World, key: u8, n: u8) -> bool {
        let number = names::number(key, n);
        let state = &self.code.interned(world.ledger[usize::from(key)].entry).state;
        let shown = self.shown_number(self.status(world, key).0);
        state.number.as_ref().is_some_and(|known| known.number == number)
            || state.strays.iter().any(|stray| stray.number.as_ref() == Some(&number))
            || (self.lost_an_entry(world) && shown.as_deref() == Some(number.as_str()))
            || in_memory(world, |known| {
                let state = &self.code.interned(known[usize::from(key)].entry).state;
                state.number.as_ref().is_some_and(|known| known.number == number)
                    || state.strays.iter().any(|stray| stray.number.as_ref() == Some(&number))
            })
    }

    /// When an intent is recorded right after the last look.
    pub fn judge_view(&self, world: &mut World, key: u8, terms: u16) {
        let k = usize::from(key);
        let resource = usize::from(self.size.resource(key));
        let Object { presence, spec, .. } = world.objects[resource];
        let spec = self.size.specs[resource][usize::from(spec)];
        if self.size.kinds[k] == Kind::Cancellation {
            self.judge_cancellation(world, presence, spec);
            return;
        }
        if matches!(spec, Spec::Cancels | Spec::CancelsSuspended | Spec::CancelsAnother) {
            world.breaks(Broken::OrderedToCancel);
        }
        let asks_for = if spec == Spec::Different { names::OTHER_VERIFICATION } else { names::VERIFICATION };
        let as_asked = self.size.kinds[k] == Kind::Verification
            || spec == Spec::Refers
            || self.code.verification_id(terms).as_deref() == Some(asks_for);
        if presence != Presence::There || spec == Spec::Suspended || !as_asked {
            world.breaks(Broken::OldView);
        }
    }

    fn judge_cancellation(&self, world: &mut World, presence: Presence, spec: Spec) {
        let order = &self.code.interned(world.ledger[0].entry).state;
        // Where the store was set back, a process may know what the store does not.
        let is_its_number = world.get(0, 0).numbered
            || order.number.as_ref().is_some_and(|n| n.number == names::number(0, 0));
        if presence != Presence::There || spec == Spec::CancelsSuspended {
            world.breaks(Broken::OldView);
        }
        if spec != Spec::Cancels || !is_its_number {
            world.breaks(Broken::CancelledUnasked);
        }
    }

    pub fn lost_an_entry(&self, world: &World) -> bool {
        world.left.losses < self.size.left.losses
    }

    /// When an order is intended with these terms.
    pub fn judge_terms(&self, world: &mut World, key: u8, terms: u16) {
        let refers = self.size.specs[usize::from(key)].contains(&Spec::Refers);
        if !refers || self.size.kinds[0] != Kind::Verification {
            return;
        }
        let id = self.code.verification_id(terms);
        let is_it = |n| world.get(0, n).provider == Provider::Placed && Some(names::id(0, n)) == id;
        let given = (0..world.requests(0)).any(is_it);
        let spec = self.size.specs[0][usize::from(world.objects[0].spec)];
        if !given || spec != Spec::Approved {
            world.breaks(Broken::Unapproved);
        }
    }
}

/// What a process knows counts as well, while it gives back to a store that was set back what that lost.
fn in_memory(world: &World, knows: impl Fn(&[Stored; KEYS]) -> bool) -> bool {
    world.set_backs > 0 && world.replicas.iter().any(|replica| knows(&replica.known))
}

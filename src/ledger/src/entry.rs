//! One resource's entry, and how two copies of it are told apart.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::past::{Line, Past};
use super::{AttemptId, Event, Key, Phase, State};

/// Names one write of an entry: 64 random bits, so that whoever wrote a revision recognises it as his own,
/// and a ledger that was set back and written on does not pass for the one that was known before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WriterId(u64);

impl WriterId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().as_u64_pair().1)
    }

    /// From its bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// As stored: 16 hexadecimal digits; none where the text is not that.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok().map(Self))?
    }
}

impl fmt::Display for WriterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What compare-and-set compares; only the store that made it can read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    /// A version as this store writes it.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// As the store wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One key's events, the older ones folded.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Whose it is.
    pub key: Key,
    /// Number of appends so far; 0 where nothing is stored.
    pub revision: u64,
    /// What compare-and-set compares; none where nothing is stored.
    pub version: Option<Version>,
    /// Who wrote the newest revisions, oldest first; the last one wrote [`Entry::revision`]. Empty where an
    /// earlier version of the operator wrote it.
    pub writers: Vec<WriterId>,
    /// What the older events fold into.
    pub snapshot: State,
    /// The newest events, oldest first.
    pub events: Vec<Event>,
    /// How far it is in a ledger outside the cluster; none where it is in none.
    pub position: Option<Position>,
}

/// How far an entry is in a ledger outside the cluster, of which this one is a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The random id of that ledger.
    pub store: String,
    /// The number of the newest object of this entry there; 0 where there is none yet.
    pub sequence: u64,
    /// The revision in that object: later ones are here only.
    pub revision: u64,
}

/// How what is stored is related to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lineage {
    /// They are the same revision.
    Same,
    /// It was appended to what is known.
    Later,
    /// What is known was appended to it: it is an old copy, or the store was set back.
    Earlier,
    /// Neither was appended to the other: the store was set back, and somebody wrote since.
    Diverged,
}

/// Above this number of events the older half folds into the snapshot.
const EVENTS_KEPT: usize = 16;

/// Writers of the newest revisions, so many. An order has five.
const WRITERS_KEPT: usize = 16;

impl Entry {
    /// An entry that holds nothing yet.
    #[must_use]
    pub fn empty(key: Key) -> Self {
        Self {
            key,
            revision: 0,
            version: None,
            writers: Vec::new(),
            snapshot: State::default(),
            events: Vec::new(),
            position: None,
        }
    }

    /// What the events fold into.
    #[must_use]
    pub fn state(&self) -> State {
        self.events.iter().fold(self.snapshot.clone(), State::then)
    }

    /// What happened, as far as it is kept: each event at least once, and in the words of [`Past`].
    #[must_use]
    pub fn history(&self) -> Past {
        let mut past = self.snapshot.past.clone();
        for event in &self.events {
            past.push(event);
        }
        past
    }

    /// Whether all these events are among the newest. That says nothing about who wrote them: whether a
    /// write succeeded is settled by [`Entry::writer_of`].
    #[must_use]
    pub fn contains(&self, events: &[Event]) -> bool {
        events.iter().all(|e| self.events.contains(e))
    }

    /// Who wrote this revision, as far as that is kept.
    #[must_use]
    pub fn writer_of(&self, revision: u64) -> Option<WriterId> {
        let back = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        let index = self.writers.len().checked_sub(back.checked_add(1)?)?;
        self.writers.get(index).copied()
    }

    /// The entry as it would be stored after these events.
    #[must_use]
    pub fn with(&self, events: &[Event], writer: WriterId) -> Self {
        let mut next = self.clone();
        next.revision += 1;
        next.writers.push(writer);
        let excess = next.writers.len().saturating_sub(WRITERS_KEPT);
        next.writers.drain(..excess);
        next.events.extend_from_slice(events);
        if next.events.len() > EVENTS_KEPT {
            let older = next.events.len() - EVENTS_KEPT / 2;
            next.snapshot = next.events.drain(..older).fold(next.snapshot, |state, event| {
                let mut state = state.then(&event);
                state.past.push(&event);
                state
            });
        }
        next
    }

    /// Whether it is among the newest events that this request placed nothing.
    fn settles(&self, attempt: &AttemptId) -> bool {
        self.events.iter().any(|event| match event {
            Event::Refused { attempt: settled, .. }
            | Event::NotProcessed { attempt: settled, .. }
            | Event::NotPlaced { attempt: settled, .. } => settled == attempt,
            _ => false,
        })
    }

    /// How `stored` is related to this one, which is known.
    #[must_use]
    pub fn lineage(&self, stored: &Self) -> Lineage {
        let shared = self.revision.min(stored.revision);
        let same = match (self.writer_of(shared), stored.writer_of(shared)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // Nothing is an ancestor of everything.
            _ if shared == 0 => true,
            // Too far back, or written by an earlier version of the operator: told by what they hold.
            _ if self.revision == stored.revision => {
                self.snapshot == stored.snapshot && self.events == stored.events
            }
            _ if self.revision < stored.revision => stored.state().covers(&self.state()),
            _ => self.state().covers(&stored.state()),
        };
        match self.revision.cmp(&stored.revision) {
            _ if !same => Lineage::Diverged,
            std::cmp::Ordering::Equal => Lineage::Same,
            std::cmp::Ordering::Less => Lineage::Later,
            std::cmp::Ordering::Greater => Lineage::Earlier,
        }
    }

    /// Whether `stored` is this very revision, whatever others did to the object that holds it.
    #[must_use]
    pub fn is_same_as(&self, stored: &Self) -> bool {
        let known = self.version.is_some() == stored.version.is_some();
        known && self.position == stored.position && self.lineage(stored) == Lineage::Same
    }

    /// Both lines in one: what to append, and after what, so that neither this one's facts are missing nor
    /// those of `stored`, which the compare-and-set then compares with.
    #[must_use]
    pub fn reunited(&self, stored: &Self) -> (Self, Vec<Event>) {
        let longer = if stored.revision > self.revision { stored } else { self };
        let mut base = Self {
            version: stored.version.clone(),
            position: stored.position.clone(),
            revision: longer.revision,
            writers: longer.writers.clone(),
            ..self.clone()
        };
        if let Some(newest) = self.events.iter().chain(&stored.events).map(|event| Line::of(event).at).max() {
            base.snapshot.past.wrote_back(newest);
        }
        if self.lineage(stored) == Lineage::Earlier {
            return (base, Vec::new());
        }
        base.snapshot.unannounced = self.snapshot.unannounced.or(stored.snapshot.unannounced);
        let (ours, theirs) = (self.state(), stored.state());
        if theirs.attempt().is_some_and(|attempt| self.settles(attempt)) {
            // It is open again only there; on top of ours it would hide the request that was made since.
            let theirs = State { phase: Phase::Idle, ..theirs.clone() };
            let (both, events) = self.joined(&ours, stored, &theirs);
            if both.covers(&ours) && both.covers(&theirs) {
                return (base, events);
            }
        }
        (base, self.joined(&ours, stored, &theirs).1)
    }

    /// What this line becomes with the facts of another, and the events that make it so.
    fn joined(&self, ours: &State, stored: &Self, theirs: &State) -> (State, Vec<Event>) {
        let mut events: Vec<Event> =
            stored.events.iter().filter(|event| !self.events.contains(event)).cloned().collect();
        let mut both = events.iter().fold(ours.clone(), State::then);
        // What they had folded already; then what theirs left open and ours did not know, or the reverse:
        // what may have been placed must not look like what may be tried again.
        for of in [theirs, ours] {
            if !both.covers(of) || (of.is_undecided() && both.may_try_again()) {
                let facts = of.facts();
                both = facts.iter().fold(both, State::then);
                events.extend(facts);
            }
        }
        (both, events)
    }
}

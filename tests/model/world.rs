//! What a state of the model consists of: everything that is stored, on its way, or remembered by a
//! process. Ledger entries, statuses and terms stand here as numbers that [`super::code_under_test`] gave them.

use tenios_ledger::Recording;

/// Resources at most.
pub const KEYS: usize = 2;
/// Replicas at most.
pub const REPLICAS: usize = 2;
/// Requests of one resource at most.
pub const ATTEMPTS: usize = 3;

/// A value of the not-placed annotation that names nothing.
pub const BOGUS: u8 = u8::MAX;

/// What compare-and-set compares: the content, and how often the entry was deleted before. Content 0 is
/// an entry that is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stored {
    pub life: u8,
    pub entry: u16,
}

/// Whether a resource is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    #[default]
    There,
    /// It has a deletion timestamp, and something holds it.
    Deleting,
    Gone,
}

/// A resource as the apiserver has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    pub uid: u8,
    pub presence: Presence,
    /// Which of the size's specs.
    pub spec: u8,
    /// The not-placed annotation: 0 none, n + 1 names attempt n; those of what else is asked for come after.
    pub word: u8,
    /// 0 none.
    pub status: u16,
}

/// How far a request is, as its sender sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    #[default]
    None,
    /// Its intent is recorded; it may leave.
    Ready,
    /// Its deadline passed before it left.
    TooLate,
    /// It left.
    Waiting,
    /// Its end is known and not recorded yet.
    Knows(Outcome),
    /// Recorded, given up, or its sender is gone.
    Over,
}

/// What a sender is going to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Accepted,
    Refused,
    RefusedForGood,
    NotProcessed,
    Unknown,
}

/// What the provider made of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    #[default]
    Nothing,
    OnItsWay,
    Placed,
    Refused,
    RefusedForGood,
    /// It asked to come back later.
    Busy,
    /// The request broke off on its way.
    Lost,
}

/// One request and the truth about it, which no process knows as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// The replica that sends it.
    pub by: u8,
    pub stage: Stage,
    pub provider: Provider,
    /// A person said that it was not placed.
    pub said: bool,
    /// Its id was recorded.
    pub recorded: bool,
    /// Its number was recorded.
    pub numbered: bool,
    /// The replica that withheld it, and knows that it did not leave.
    pub withheld: Option<u8>,
    /// Its outcome could not be recorded: what is stored is read before that is tried again.
    pub paused: Option<Recording>,
}

impl Attempt {
    pub fn may_leave(self) -> bool {
        self.stage == Stage::Ready
    }

    /// Whether another request may be made: this one can't leave any more, and came to nothing or a person
    /// says so.
    pub fn is_over(self) -> bool {
        self.came_to_nothing() || (self.said && !self.may_leave())
    }

    /// Whether it certainly placed nothing and never will.
    pub fn came_to_nothing(self) -> bool {
        let nothing = matches!(
            self.provider,
            Provider::Nothing | Provider::Refused | Provider::RefusedForGood | Provider::Busy
        );
        nothing && !self.may_leave()
    }
}

/// One process. Its restart is one step with its death: while it is down it does nothing, and doing
/// nothing is always possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replica {
    /// The ledger as its cache knows it.
    pub known: [Stored; KEYS],
    /// The resources as its watches showed them.
    pub seen: [Object; KEYS],
    /// What it knows of who is sending.
    pub requests: [u16; KEYS],
    /// Whether it has waited for as long as another process can be sending.
    pub waited: [bool; KEYS],
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    #[default]
    Answered,
    /// Neither it nor the reading after it is answered, and it may arrive later: [`World::late`].
    Late,
    /// It is answered with 504 and was not done.
    Undone,
    /// It is answered with 504 and was done.
    Done,
    /// The same, and the reading after it fails, too.
    DoneUnread,
}

/// A write of which its writer does not know whether it will arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Late {
    pub replica: u8,
    pub key: u8,
    pub base: Stored,
    pub write: Write,
    /// Its writer remembers that the request of this intent did not leave.
    pub grounded: bool,
}

/// What is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    /// The intent of the next attempt, with these terms. The attempt gets its name when this arrives: a
    /// random one that nobody saw before is as good as chosen then.
    Intent(u16),
    /// These events.
    Events(u16),
}

/// How often the rarer things may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Left {
    /// A process dies, and begins anew.
    pub crashes: u8,
    /// A write's answer and its re-reading are lost.
    pub lost_writes: u8,
    /// A write is answered with 504, done or not.
    pub failed_writes: u8,
    /// The store is set back by some writes, as by a restore, under processes that go on.
    pub set_backs: u8,
    /// Another process, which knows only what is stored, writes it down there.
    pub foreign_writes: u8,
    /// A person sets the not-placed annotation.
    pub words: u8,
    /// A person edits the spec.
    pub edits: u8,
    /// The resource is deleted and re-created.
    pub recreations: u8,
    /// The resource is deleted: at once, or something holds it.
    pub deletions: u8,
    /// The status is wiped.
    pub wipes: u8,
    /// The ledger entry is deleted.
    pub losses: u8,
    /// A watch begins anew with an old list, which does not have the entry yet.
    pub old_lists: u8,
}

/// A promise that a step broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Broken {
    TwoUnderWay,
    TwoPlaced,
    IntentOnTop,
    ClosedTooEarly,
    WordUnsaid,
    Forgotten,
    Replaced,
    NumberChanged,
    Unapproved,
    OldView,
    Anothers,
    StrayHidden,
    Endless,
    InVain,
    NeedlesslyUnknown,
    Acknowledged,
    Unexpected,
    OrderedToCancel,
    CancelledUnasked,
}

impl Broken {
    /// What held until then.
    pub fn promise(self) -> &'static str {
        match self {
            Self::TwoUnderWay => {
                "no request leaves unless every other one of its resource is over: it came to nothing, or a person says so"
            }
            Self::TwoPlaced => "the provider places one order at most while nobody says what is not so",
            Self::IntentOnTop => "no intent is recorded on top of an open, unknown or accepted one",
            Self::ClosedTooEarly => "the ledger has room for another request only where every one is over",
            Self::WordUnsaid => {
                "not-placed is recorded only for what a person named, and not while that may leave"
            }
            Self::Forgotten => {
                "an id or number that the provider gave is never forgotten once it was recorded"
            }
            Self::Replaced => "an id that the provider answered is never replaced, but by a person",
            Self::NumberChanged => "a number never changes, but by a person",
            Self::Unapproved => "no order leaves with a verification that nobody approved",
            Self::OldView => "no intent is recorded for what is gone, being deleted, suspended or edited",
            Self::Anothers => "an entry is never taken for another's, nor harmed by what is done to it",
            Self::StrayHidden => "orders beside the one that counts are shown",
            Self::Endless => "nobody appends to an entry without end",
            Self::InVain => {
                "an outcome that nothing speaks against is recorded at once, and is kept until then"
            }
            Self::NeedlesslyUnknown => {
                "who knows that its request did not leave does not call its outcome unknown"
            }
            Self::Acknowledged => "a push is acknowledged only when it is stored",
            Self::Unexpected => "a decision does not ask for what it was given",
            Self::OrderedToCancel => "nothing is ordered while the spec asks to cancel",
            Self::CancelledUnasked => {
                "no cancellation is intended unless the spec names the number that is recorded"
            }
        }
    }
}

/// A state of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    pub replicas: [Replica; REPLICAS],
    pub ledger: [Stored; KEYS],
    pub objects: [Object; KEYS],
    pub attempts: [[Attempt; ATTEMPTS]; KEYS],
    pub late: Option<Late>,
    pub left: Left,
    /// How often the store was set back.
    pub set_backs: u8,
    pub broken: Option<Broken>,
}

impl World {
    /// Requests of this resource so far.
    pub fn requests(&self, key: u8) -> u8 {
        let all = &self.attempts[usize::from(key)];
        u8::try_from(all.iter().filter(|a| a.stage != Stage::None).count()).unwrap()
    }

    pub fn attempt(&mut self, key: u8, n: u8) -> &mut Attempt {
        &mut self.attempts[usize::from(key)][usize::from(n)]
    }

    pub fn get(&self, key: u8, n: u8) -> Attempt {
        self.attempts[usize::from(key)][usize::from(n)]
    }

    pub fn replica(&mut self, replica: u8) -> &mut Replica {
        &mut self.replicas[usize::from(replica)]
    }

    pub fn object(&mut self, key: u8) -> &mut Object {
        &mut self.objects[usize::from(key)]
    }

    /// The first promise that was broken is the one that is told.
    pub fn breaks(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }

    /// The same with the two replicas' places changed.
    fn mirrored(&self) -> Self {
        let mut other = *self;
        other.replicas.swap(0, 1);
        for attempt in other.attempts.iter_mut().flatten() {
            if !matches!(attempt.stage, Stage::None | Stage::Over) {
                attempt.by = 1 - attempt.by;
            }
            attempt.withheld = attempt.withheld.map(|replica| 1 - replica);
        }
        if let Some(late) = &mut other.late {
            late.replica = 1 - late.replica;
        }
        other
    }

    /// One of the two states that differ only by the replicas' names.
    pub fn representative(self) -> Self {
        self.min(self.mirrored())
    }
}

//! The code that ships, asked by the model: the fold, the book with its index and its compare-and-set.
//! The decisions are asked in [`super::view`].

use std::sync::Arc;

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tenios_operator::api::{
    PhoneNumberOrderSpec, PhoneNumberOrderStatus, PhoneVerificationSpec, PhoneVerificationStatus,
};
use tenios_operator::ledger::{
    AppendError, Book, Budget, Budgets, Change, Entry, Event, Key, Kind, Phase, State, Terms, Version, terms,
};

use super::names;
use super::size::Size;
use super::store::{Store, appended};
use super::tables::{Memo, Table};
use super::view::{Next, Question};
use super::world::{Outcome, Stored};

/// A spec as the operator reads it.
pub enum Spec {
    Order(PhoneNumberOrderSpec),
    Verification(PhoneVerificationSpec),
}

/// What a resource shows, without the conditions and times, which nobody decides by.
#[derive(Clone, Debug)]
pub enum Shown {
    Order(PhoneNumberOrderStatus),
    Verification(PhoneVerificationStatus),
}

/// An entry with what the model asks of it again and again.
pub struct Kept {
    pub entry: Entry,
    pub state: State,
    /// The attempt that is open.
    pub open: Option<u8>,
    /// What it was appended to.
    pub before: u16,
}

/// One thing that a replica's book does about one entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Deed {
    pub key: u8,
    pub known: Stored,
    pub stored: Stored,
    pub what: What,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    Append {
        events: u16,
        lost: bool,
    },
    Insist {
        events: u16,
    },
    /// The watch tells of what is stored.
    Watch,
    /// The watch begins anew, with a list from before the entry was there.
    OldList,
}

/// What came of it.
#[derive(Clone, Copy)]
pub struct Done {
    pub result: Appended,
    pub stored: Stored,
    pub known: Stored,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored,
    Conflict,
    Ambiguous,
}

/// See the module documentation.
pub struct Shipped {
    pub keys: Vec<Key>,
    specs: Vec<Vec<Spec>>,
    compares: bool,
    entries: Table<Kept>,
    pub statuses: Table<Option<Shown>>,
    pub terms: Table<Terms>,
    events: Table<Vec<Event>>,
    pub decisions: Memo<Question, Arc<Next>>,
    deeds: Memo<Deed, Done>,
    outcomes: Memo<(u8, u8, Option<Outcome>, i64), u16>,
}

pub fn timestamp(now: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + now).unwrap()
}

/// Everything in the model is ready at once: no executor, no clock.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().unwrap()
}

impl Shipped {
    pub fn new(size: &Size) -> Self {
        let named = size.kinds.iter().zip(names::RESOURCES);
        let key =
            |(kind, name): (&Kind, &str)| Key { kind: *kind, namespace: "shop".into(), name: name.into() };
        let specs =
            |(k, kind): (usize, &Kind)| size.specs[k].iter().map(|spec| spec.real(*kind, k)).collect();
        let new = Self {
            keys: named.map(key).collect(),
            specs: size.kinds.iter().enumerate().map(specs).collect(),
            compares: size.assumes.compare_and_set,
            entries: Table::default(),
            statuses: Table::default(),
            terms: Table::default(),
            events: Table::default(),
            decisions: Memo::default(),
            deeds: Memo::default(),
            outcomes: Memo::default(),
        };
        // The numbers 0: nothing stored, nothing shown.
        new.keep(&Entry::empty(new.keys[0].clone()), 0);
        new.statuses.number("None".into(), || None);
        new
    }

    pub fn kept(&self, entry: u16) -> Arc<Kept> {
        self.entries.get(entry)
    }

    pub fn spec(&self, key: u8, spec: u8) -> &Spec {
        &self.specs[usize::from(key)][usize::from(spec)]
    }

    pub fn shown(&self, status: u16) -> Arc<Option<Shown>> {
        self.statuses.get(status)
    }

    pub fn listed(&self, events: u16) -> Arc<Vec<Event>> {
        self.events.get(events)
    }

    /// The number of these events.
    pub fn events(&self, events: Vec<Event>) -> u16 {
        self.events.number(format!("{events:?}"), || events)
    }

    fn keep(&self, entry: &Entry, before: u16) -> u16 {
        let Entry { key, revision, writers, snapshot, events, .. } = entry;
        let text = format!("{key:?} {revision} {writers:?} {snapshot:?} {events:?}");
        self.entries.number(text, || {
            let state = entry.state();
            let open = match &state.phase {
                Phase::Open { attempt, .. } => Some(names::attempt_of(attempt)),
                _ => None,
            };
            Kept { entry: Entry { version: None, ..entry.clone() }, state, open, before }
        })
    }

    /// An entry that holds these events already, one append each.
    pub fn history(&self, key: u8, events: &[Event]) -> u16 {
        let empty = Entry::empty(self.keys[usize::from(key)].clone());
        let append = |(entry, before): (Entry, u16), event| {
            let next = appended(&entry, std::slice::from_ref(event));
            let number = self.keep(&next, before);
            (next, number)
        };
        events.iter().fold((empty, 0), append).1
    }

    pub fn entry(&self, key: u8, stored: Stored) -> Entry {
        if stored.entry == 0 {
            return Entry::empty(self.keys[usize::from(key)].clone());
        }
        let version = Version::new(format!("{}-{}", stored.life, stored.entry));
        Entry { version: Some(version), ..self.kept(stored.entry).entry.clone() }
    }

    /// A book that has followed these changes of the store.
    pub fn book(store: Arc<Store>) -> Arc<Book> {
        let budget = Budget { requests: 100, window: SignedDuration::from_hours(1) };
        let budgets = Budgets { operator: budget, namespace: budget };
        let (book, _) = Book::new(store, budgets);
        at_once(book.follow());
        book
    }

    /// A replica's book does this, by its own code.
    pub fn act(&self, deed: Deed) -> Done {
        self.deeds.ask(deed, |deed| {
            let stored = self.entry(deed.key, deed.stored);
            let lost = matches!(deed.what, What::Append { lost: true, .. });
            let store = Arc::new(Store::new(stored, self.told(deed), lost, self.compares));
            let book = Self::book(store.clone());
            let result = self.carry_out(deed, &book);
            self.outcome_of(deed, result, &store.stored(), &book)
        })
    }

    /// What the book was told until it knew what it knows, and what it is told now.
    fn told(&self, deed: &Deed) -> Vec<Change> {
        let entry = |stored: Stored| {
            (stored.entry != 0).then(|| Change::Entry(Box::new(self.entry(deed.key, stored))))
        };
        let mut changes: Vec<Change> = entry(deed.known).into_iter().collect();
        match deed.what {
            What::Append { .. } | What::Insist { .. } => {}
            What::Watch => {
                if deed.stored.entry == 0 || deed.known.life != deed.stored.life {
                    changes.push(Change::Gone(self.keys[usize::from(deed.key)].clone()));
                }
                changes.extend(entry(deed.stored));
            }
            What::OldList => changes.extend([Change::Listing, Change::Listed]),
        }
        changes
    }

    fn carry_out(&self, deed: &Deed, book: &Book) -> Appended {
        match deed.what {
            What::Append { events, .. } => {
                let base = self.entry(deed.key, deed.known);
                match at_once(book.append(&base, &self.listed(events))) {
                    Ok(()) => Appended::Stored,
                    Err(AppendError::Conflict(_)) => Appended::Conflict,
                    Err(AppendError::Ambiguous(_) | AppendError::Rejected(_)) => Appended::Ambiguous,
                }
            }
            What::Insist { events } => {
                for event in self.listed(events).iter() {
                    at_once(book.insist(&self.keys[usize::from(deed.key)], event));
                }
                Appended::Stored
            }
            What::Watch | What::OldList => Appended::Stored,
        }
    }

    fn outcome_of(&self, deed: &Deed, result: Appended, now: &Entry, book: &Book) -> Done {
        let version = |stored| self.entry(deed.key, stored).version;
        let stored = if now.version == version(deed.stored) {
            deed.stored
        } else {
            Stored { life: deed.stored.life, entry: self.keep(now, deed.stored.entry) }
        };
        let known = match book.known(&self.keys[usize::from(deed.key)]).entry.version.clone() {
            None => Stored::default(),
            known if known == now.version => stored,
            known if known == version(deed.known) => deed.known,
            known => panic!("{known:?} was never stored"),
        };
        Done { result, stored, known }
    }

    /// A write arrives whose writer does not wait for it any more.
    pub fn arrive(&self, key: u8, base: Stored, stored: Stored, events: u16) -> Option<Stored> {
        let store = Store::new(self.entry(key, stored), Vec::new(), false, self.compares);
        let now = store.put(&self.entry(key, base), &self.listed(events)).ok()?;
        Some(Stored { life: stored.life, entry: self.keep(&now, stored.entry) })
    }

    /// The intent of attempt `n` with these terms.
    pub fn intent(&self, key: u8, n: u8, terms: u16, now: i64) -> u16 {
        let terms = (*self.terms.get(terms)).clone();
        self.events(vec![Event::Intended { attempt: names::attempt(key, n), at: timestamp(now), terms }])
    }

    /// What `errand.rs` records at the end of attempt `n`.
    pub fn outcome(&self, key: u8, n: u8, outcome: Outcome, now: i64) -> u16 {
        self.outcomes.ask((key, n, Some(outcome), now), |_| {
            self.events(vec![names::outcome(key, n, outcome, timestamp(now))])
        })
    }

    /// What the push of attempt `n` records.
    pub fn pushed(&self, key: u8, n: u8, now: i64) -> u16 {
        self.outcomes.ask((key, n, None, now), |_| {
            let (attempt, at) = (names::attempt(key, n), timestamp(now));
            let (order_id, number) = (names::id(key, n), names::number(key, n));
            self.events(vec![Event::Assigned { attempt, at, order_id, number }])
        })
    }

    /// The verification id in these terms.
    pub fn verification_id(&self, terms: u16) -> Option<String> {
        self.terms.get(terms).get(terms::VERIFICATION_ID).cloned()
    }
}

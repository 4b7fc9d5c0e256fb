//! The code that ships, asked by the model: the fold, the cache with its index and its compare-and-set.
//! The decisions are asked in [`super::view`].

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tenios_api::{
    PhoneNumberOrderSpec, PhoneNumberOrderStatus, PhoneVerificationSpec, PhoneVerificationStatus,
};
use tenios_ledger::kubernetes::{KubernetesLedger, to_entry};
use tenios_ledger::{
    AppendError, Budget, Budgets, Change, Entry, Event, Key, Kind, LedgerCache, LedgerStore, Offered, Phase,
    State, Terms, WriterId, terms,
};
use tenios_lifecycle::attempt::Requests;
use tokio::runtime::{Builder, Runtime};

use super::apiserver::{Apiserver, Followed};
use super::names;
use super::size::Size;
use super::tables::{Memo, Table};
use super::view::{Next, Question};
use super::world::{Fate, KEYS, Outcome, Stored};

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
pub struct InternedEntry {
    pub entry: Entry,
    pub state: State,
    /// As it is stored, but for the resource version.
    object: Value,
    /// The attempt that is open.
    pub open: Option<u8>,
    /// What it was appended to.
    pub before: u16,
}

/// One thing that a process does about one entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    pub key: u8,
    pub known: Stored,
    /// Of every key, where their names meant one entry once; else only of this one.
    pub stored: [Stored; KEYS],
    pub what: What,
    pub fate: Fate,
    /// Tells apart who writes the same after the same.
    pub writer: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    Append {
        events: u16,
    },
    /// What was pushed is offered.
    Offer {
        events: u16,
    },
    /// What is stored is read.
    Read,
    /// The write arrives of somebody who does not wait for it any more.
    Arrive {
        events: u16,
    },
    /// The watch tells of what is stored.
    Watch,
    /// A list tells of it.
    List,
    /// The watch begins anew, with a list from before the entry was there.
    OldList,
    /// The entry is deleted, as by `kubectl tenios ledger forget`.
    Forget,
}

/// What came of it.
#[derive(Clone, Copy)]
pub struct Done {
    pub result: Appended,
    /// Whether that was written now, whatever its writer was told.
    pub written: bool,
    /// Whether a write met its fate.
    pub failed: bool,
    pub stored: [Stored; KEYS],
    pub known: Stored,
    /// What belongs to another key was read or written.
    pub anothers: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    Stored,
    Conflict,
    Ambiguous,
}

impl Appended {
    /// As the cache said it.
    pub fn result(self, key: &Key) -> Result<(), AppendError> {
        match self {
            Self::Stored => Ok(()),
            Self::Conflict => Err(AppendError::Conflict(Box::new(Entry::empty(key.clone())))),
            Self::Ambiguous => Err(AppendError::Ambiguous("no answer".into())),
        }
    }
}

/// See the module documentation.
pub struct CodeUnderTest {
    pub keys: Vec<Key>,
    specs: Vec<Vec<Spec>>,
    compares: bool,
    entries: Table<InternedEntry>,
    at_versions: Memo<Stored, Arc<Entry>>,
    pub statuses: Table<Option<Shown>>,
    pub terms: Table<Terms>,
    requests: Table<Requests>,
    events: Table<Vec<Event>>,
    pub decisions: Memo<Question, Arc<Next>>,
    operations: Memo<Operation, Done>,
    outcomes: Memo<(u8, u8, Told, i64), u16>,
}

/// Of what an event is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Told {
    Outcome(Outcome),
    /// A push with id and number.
    Both,
    /// One with the id only.
    Id,
}

pub fn timestamp(now: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + now).unwrap()
}

thread_local! {
    /// For kube's client. Everything behind it is ready at once.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
}

fn at_once<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(work))
}

impl CodeUnderTest {
    pub fn new(size: &Size) -> Self {
        let key = |(n, kind): (usize, &Kind)| Key {
            kind: *kind,
            namespace: names::NAMESPACE.into(),
            name: names::resource(usize::from(size.resource(u8::try_from(n).unwrap())), size.names_collide),
        };
        let specs =
            |(k, kind): (usize, &Kind)| size.specs[k].iter().map(|spec| spec.real(*kind, k)).collect();
        let new = Self {
            keys: size.kinds.iter().enumerate().map(key).collect(),
            specs: size.kinds.iter().enumerate().map(specs).collect(),
            compares: size.assumes.compare_and_set,
            entries: Table::default(),
            at_versions: Memo::default(),
            statuses: Table::default(),
            terms: Table::default(),
            requests: Table::default(),
            events: Table::default(),
            decisions: Memo::default(),
            operations: Memo::default(),
            outcomes: Memo::default(),
        };
        // The numbers 0: nothing stored, nothing shown.
        let nothing = Entry::empty(new.keys[0].clone());
        new.entries.number("None".into(), || InternedEntry {
            state: State::default(),
            entry: nothing,
            object: Value::Null,
            open: None,
            before: 0,
        });
        new.statuses.number("None".into(), || None);
        new.requests(Requests::default());
        new
    }

    pub fn interned(&self, entry: u16) -> Arc<InternedEntry> {
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

    pub fn known_requests(&self, requests: u16) -> Requests {
        (*self.requests.get(requests)).clone()
    }

    /// The number of what a process knows of who is sending.
    pub fn requests(&self, requests: Requests) -> u16 {
        self.requests.number(format!("{requests:?}"), || requests)
    }

    /// The number of these events.
    pub fn events(&self, events: Vec<Event>) -> u16 {
        self.events.number(format!("{events:?}"), || events)
    }

    fn intern(&self, mut object: Value, before: u16) -> u16 {
        object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        self.entries.number(object.to_string(), || {
            let entry = entry_of(&object);
            let state = entry.state();
            let open = match &state.phase {
                Phase::Open { attempt, .. } => Some(names::attempt_of(attempt)),
                _ => None,
            };
            InternedEntry { entry, state, object, open, before }
        })
    }

    /// An entry that holds these events already, one append each, perhaps by the name that earlier versions gave it.
    pub fn history(&self, key: u8, events: &[Event], former: bool) -> Stored {
        let mut stored = Stored::default();
        for event in events {
            let events = self.events(vec![event.clone()]);
            let mut all = [Stored::default(); KEYS];
            all[usize::from(key)] = stored;
            let what = What::Append { events };
            let operation =
                Operation { key, known: stored, stored: all, what, fate: Fate::Answered, writer: 0 };
            stored = self.act(operation).stored[usize::from(key)];
            if former {
                let mut object = self.interned(stored.entry).object.clone();
                object["metadata"]["name"] = names::former().into();
                stored.entry = self.intern(object, self.interned(stored.entry).before);
            }
        }
        stored
    }

    fn object(&self, stored: Stored) -> Value {
        let mut object = self.interned(stored.entry).object.clone();
        let version = u32::from(stored.life) * 100_000 + u32::from(stored.entry);
        object["metadata"]["resourceVersion"] = version.to_string().into();
        object
    }

    pub fn entry(&self, key: u8, stored: Stored) -> Entry {
        if stored.entry == 0 {
            return Entry::empty(self.keys[usize::from(key)].clone());
        }
        let entry = self.at_versions.ask(stored, |stored| Arc::new(entry_of(&self.object(*stored))));
        (*entry).clone()
    }

    /// A cache that has followed these changes of the ledger.
    pub async fn cache(ledger: Option<KubernetesLedger>, changes: Vec<Change>) -> Arc<LedgerCache> {
        let budget = Budget { requests: 100, window: SignedDuration::from_hours(1) };
        let budgets = Budgets { operator: budget, namespace: budget, cancel: budget };
        let ledger = Followed { ledger, changes: Mutex::new(changes) };
        let (cache, _) = LedgerCache::new(Arc::new(ledger), budgets);
        cache.follow().await;
        cache
    }

    /// A process does this, by its own code.
    pub fn act(&self, operation: Operation) -> Done {
        self.operations.ask(operation, |operation| at_once(self.acted(operation)))
    }

    async fn acted(&self, operation: &Operation) -> Done {
        let there = operation.stored.iter().filter(|stored| stored.entry != 0);
        let server = Apiserver::new(there.map(|stored| self.object(*stored)), operation.fate, self.compares);
        let cache = Self::cache(Some(server.ledger()), self.told(operation)).await;
        let result = self.carry_out(operation, &cache, &server).await;
        self.outcome_of(operation, result, &server, &cache)
    }

    /// What the cache was told until it knew what it knows, and what it is told now.
    fn told(&self, operation: &Operation) -> Vec<Change> {
        let key = &self.keys[usize::from(operation.key)];
        let now = operation.stored[usize::from(operation.key)];
        let entry = |stored: Stored| {
            (stored.entry != 0).then(|| Change::Entry(Box::new(self.entry(operation.key, stored))))
        };
        let mut changes: Vec<Change> = entry(operation.known).into_iter().collect();
        match operation.what {
            What::Append { .. } | What::Offer { .. } | What::Read | What::Arrive { .. } | What::Forget => {}
            What::Watch => {
                if now.entry == 0 || operation.known.life != now.life {
                    changes.push(Change::Gone(key.clone()));
                }
                changes.extend(entry(now));
            }
            What::List => {
                changes.push(Change::Listing);
                changes.extend(entry(now));
                changes.push(Change::Listed);
            }
            What::OldList => changes.extend([Change::Listing, Change::Listed]),
        }
        changes
    }

    async fn carry_out(&self, operation: &Operation, cache: &LedgerCache, server: &Apiserver) -> Appended {
        let key = &self.keys[usize::from(operation.key)];
        match operation.what {
            What::Append { events } => {
                let base = self.entry(operation.key, operation.known);
                match cache.append(&base, &self.listed(events)).await {
                    Ok(()) => Appended::Stored,
                    Err(AppendError::Conflict(_)) => Appended::Conflict,
                    Err(AppendError::Ambiguous(_) | AppendError::Rejected(_)) => Appended::Ambiguous,
                }
            }
            What::Arrive { events } => {
                let base = self.entry(operation.key, operation.known);
                let _ = server.ledger().append(&base, &self.listed(events)).await;
                Appended::Stored
            }
            What::Offer { events } => match cache.offer(key, &self.listed(events)[0]).await {
                Offered::Appended | Offered::Known => Appended::Stored,
                Offered::Full | Offered::Failed(_) => Appended::Ambiguous,
            },
            What::Read => match cache.read(key).await {
                Ok(_) => Appended::Stored,
                Err(_) => Appended::Ambiguous,
            },
            What::Watch | What::List | What::OldList => {
                cache.mend_now().await;
                Appended::Stored
            }
            What::Forget => {
                if let Ok(Some((_, entry))) = server.ledger().find(key).await {
                    let _ = cache.forget(&entry).await;
                }
                Appended::Stored
            }
        }
    }

    fn outcome_of(
        &self,
        operation: &Operation,
        result: Appended,
        server: &Apiserver,
        cache: &LedgerCache,
    ) -> Done {
        let key = &self.keys[usize::from(operation.key)];
        let mut done = Done {
            result,
            written: false,
            failed: server.has_failed(),
            stored: [Stored::default(); KEYS],
            known: Stored::default(),
            anothers: false,
        };
        let now = server.objects();
        let version = |object: &Value| entry_of(object).version;
        for (k, stored) in done.stored.iter_mut().enumerate().take(self.keys.len()) {
            let (before, own) = (operation.stored[k], k == usize::from(operation.key));
            let object = now.iter().find(|object| entry_of(object).key == self.keys[k]);
            let was = (before.entry != 0).then(|| self.object(before));
            *stored = match object {
                None if before.entry == 0 => before,
                None => Stored { life: before.life + 1, entry: 0 },
                Some(object) if was.as_ref().and_then(version) == version(object) => before,
                Some(object) => {
                    Stored { life: before.life, entry: self.intern_written(operation, k, object) }
                }
            };
            done.anothers |= !own && *stored != before;
        }
        let (before, stored) =
            (operation.stored[usize::from(operation.key)], done.stored[usize::from(operation.key)]);
        if let What::Append { events } | What::Offer { events } | What::Arrive { events } = operation.what {
            let events = self.listed(events);
            done.written = stored != before
                && self.interned(stored.entry).entry.contains(&events)
                && !self.interned(before.entry).entry.contains(&events);
        }
        let known = cache.known(key).entry;
        done.anothers |= known.key != *key;
        let stored_now = now.iter().find(|object| entry_of(object).key == *key).and_then(version);
        done.known = match &known.version {
            None => Stored::default(),
            now if *now == stored_now => stored,
            now if *now == self.entry(operation.key, operation.known).version => operation.known,
            // Learned from a conflict, before a write of which nobody said that it was done.
            now if *now == self.entry(operation.key, before).version => before,
            _ if done.anothers => operation.known,
            now => panic!("{now:?} was never stored"),
        };
        done
    }

    /// What was written in place of what was stored. Writers are random where it ships; here the same write has the
    /// same one, because otherwise no two paths would ever lead to the same state.
    fn intern_written(&self, operation: &Operation, k: usize, object: &Value) -> u16 {
        let mut object = object.clone();
        let before = operation.stored[k].entry;
        let old = [before, operation.known.entry].map(|entry| self.interned(entry));
        let events = object["spec"]["events"].to_string();
        let mut last = WriterId::from_bits(0);
        // They stand there newest first.
        for (n, writer) in object["spec"]["writers"].as_array_mut().unwrap().iter_mut().rev().enumerate() {
            let id = WriterId::parse(writer.as_str().unwrap()).unwrap();
            last = if old.iter().any(|kept| kept.entry.writers.contains(&id)) {
                id
            } else {
                let mut hasher = DefaultHasher::new();
                (last.to_string(), n, &events, operation.writer).hash(&mut hasher);
                WriterId::from_bits(hasher.finish())
            };
            *writer = last.to_string().into();
        }
        self.intern(object, before)
    }

    /// The intent of attempt `n` with these terms.
    pub fn intent(&self, key: u8, n: u8, terms: u16, now: i64) -> u16 {
        let terms = (*self.terms.get(terms)).clone();
        self.events(vec![Event::Intended { attempt: names::attempt(key, n), at: timestamp(now), terms }])
    }

    /// What is recorded of attempt `n`.
    pub fn recorded(&self, key: u8, n: u8, told: Told, now: i64) -> u16 {
        self.outcomes.ask((key, n, told, now), |_| {
            let (attempt, at) = (names::attempt(key, n), timestamp(now));
            let (order_id, number) = (names::id(key, n), names::number(key, n));
            self.events(vec![match told {
                Told::Outcome(outcome) => names::outcome(key, n, outcome, at),
                Told::Both => Event::Assigned { attempt, at, order_id, number },
                Told::Id => Event::Pushed { attempt, at, order_id: Some(order_id), number: None },
            }])
        })
    }

    /// The verification id in these terms.
    pub fn verification_id(&self, terms: u16) -> Option<String> {
        self.terms.get(terms).get(terms::VERIFICATION_ID).cloned()
    }
}

fn entry_of(object: &Value) -> Entry {
    to_entry(&serde_json::from_value(object.clone()).unwrap()).unwrap()
}

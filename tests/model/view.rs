//! The decisions, by the lifecycle's own code. Whatever is built for a decision is built here.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tenios_api::order::OrderState;
use tenios_api::pdf::Document;
use tenios_api::verification::VerificationState;
use tenios_api::{
    PhoneNumberOrder, PhoneNumberOrderSpec, PhoneNumberOrderStatus, PhoneVerification, PhoneVerificationSpec,
    PhoneVerificationStatus,
};
use tenios_ledger::{Bid, Change, Key, Kind, LedgerCache, Payer, Rival, State};
use tenios_lifecycle::{
    AccessKey, Answers, Budget, Decided, Found, Intent, LinkTarget, Managed, Next as Decision, Progress,
    Recorded, RetryPolicy, SeenVerification, Sender, StatusSummary, Surroundings, View, project,
};

use super::code_under_test::{CodeUnderTest, Shown, Spec, timestamp};
use super::names;
use super::world::{KEYS, Object, Presence, Stored};

/// Time does not pass in the model, so nothing may be waited for.
static RETRY_POLICY: RetryPolicy = RetryPolicy {
    retry_min: Duration::ZERO,
    retry_max: Duration::ZERO,
    refusal_min: Duration::ZERO,
    refusal_max: Duration::ZERO,
};

/// Whatever is asked for is there.
static ANSWERS: LazyLock<Answers> = LazyLock::new(|| Answers {
    access_key: Some(Found::Usable(AccessKey::new(names::ACCESS_KEY.to_owned().into()))),
    document: Some(Found::Usable(Document::new(b"%PDF-1.4 %%EOF".to_vec()).unwrap())),
    budget: Some(Budget::Reserved),
});

/// What a decision is made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    pub key: u8,
    pub known: [Stored; KEYS],
    pub seen: [Object; KEYS],
    /// Of this resource, and of what else it asks for.
    pub senders: [Asked; 2],
    pub now: i64,
}

impl Question {
    /// The same about the resource as it is then.
    pub fn about(mut self, object: Object) -> Self {
        self.seen[usize::from(self.key)] = object;
        self
    }
}

/// [`Sender`], as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    Here,
    NeverLeft,
    Elsewhere { over: bool },
}

impl From<Asked> for Sender {
    fn from(asked: Asked) -> Self {
        match asked {
            Asked::Here => Self::Here,
            Asked::NeverLeft => Self::NeverLeft,
            Asked::Elsewhere { over: true } => Self::Elsewhere { remaining: Duration::ZERO },
            Asked::Elsewhere { over: false } => Self::Elsewhere { remaining: Duration::from_secs(1) },
        }
    }
}

/// A decision.
pub enum Next {
    Record {
        of: u8,
        events: u16,
    },
    Send {
        of: u8,
        terms: u16,
    },
    Rest(Rest),
    /// It asks for what it was given.
    Asks,
}

/// Where a resource rests.
#[derive(Clone, Copy)]
pub struct Rest {
    /// What it shows there.
    pub status: u16,
    /// Whether a request is in flight.
    pub moving: bool,
    /// Whether an order beside this one is passed over in silence.
    pub hides_stray: bool,
}

/// What one decision is about, built.
struct Around<'a> {
    code: &'a CodeUnderTest,
    question: &'a Question,
    key: &'a Key,
    cache: &'a LedgerCache,
    state: &'a State,
    beside: &'a State,
    word: Option<&'a str>,
    now: Timestamp,
}

impl Around<'_> {
    fn decide<M: Managed>(&self, spec: &M::Spec, status: Option<&M::Status>) -> Decided<M::Step> {
        let [sender, other] = self.question.senders.map(Sender::from);
        let view = View {
            key: self.key,
            spec,
            generation: i64::from(self.question.seen[usize::from(self.question.key)].spec),
            deleting: self.question.seen[usize::from(self.question.key)].presence == Presence::Deleting,
            status,
            not_placed: self.word,
            state: self.state,
            beside: self.beside,
            sender,
            known_for: Duration::ZERO,
            answers: &ANSWERS,
            around: self,
            retry_policy: &RETRY_POLICY,
            push: true,
            now: self.now,
        };
        let follow_up = Progress { state: self.beside, sender: other, known_for: Duration::ZERO };
        M::decide(&view, &follow_up)
    }
}

impl Surroundings for Around<'_> {
    fn verification(&self, name: &str) -> SeenVerification {
        let key = &self.code.keys[0];
        match self.code.spec(0, self.question.seen[0].spec) {
            Spec::Verification(spec) if key.name == name => {
                SeenVerification::of(Some(spec), &self.cache.known(key).state, |id| self.is_proven(id))
            }
            _ => SeenVerification::Missing,
        }
    }

    fn link_target(&self, _: &str) -> LinkTarget {
        LinkTarget::Missing
    }

    fn links_to(&self, _: &str) -> Option<String> {
        None
    }

    fn rival(&self, bid: &Bid, payer: &Payer) -> Option<Rival> {
        self.cache.rival(self.key, bid, payer)
    }

    fn is_proven(&self, verification_id: &str) -> bool {
        self.cache.is_proven(verification_id)
    }
}

impl CodeUnderTest {
    pub fn decide(&self, question: Question) -> Arc<Next> {
        self.decisions.ask(question, |question| Arc::new(self.ask(question)))
    }

    fn ask(&self, question: &Question) -> Next {
        let at = usize::from(question.key);
        let known = |k: u8| self.entry(k, question.known[usize::from(k)]);
        let known = (0..u8::try_from(self.keys.len()).unwrap()).map(known);
        let there = known.filter(|entry| entry.version.is_some());
        let changes = there.map(|entry| Change::Entry(Box::new(entry))).collect();
        let cache = Self::cache(None, changes).now_or_never().unwrap();
        let other = self.follow_up(question.key);
        let word = names::word(question.key, other, question.seen[at].word);
        let beside = other.map(|key| cache.known(&self.keys[usize::from(key)]).state).unwrap_or_default();
        let around = Around {
            code: self,
            question,
            key: &self.keys[at],
            cache: &cache,
            state: &cache.known(&self.keys[at]).state,
            beside: &beside,
            word: word.as_deref(),
            now: timestamp(question.now),
        };
        let shown = self.shown(question.seen[at].status);
        match self.spec(question.key, question.seen[at].spec) {
            Spec::Order(spec) => {
                let status = match &*shown {
                    Some(Shown::Order(status)) => Some(status),
                    _ => None,
                };
                let decision = around.decide::<PhoneNumberOrder>(spec, status);
                self.next(question.key, decision, |summary| show_order(spec, &around, summary))
            }
            Spec::Verification(spec) => {
                let status = match &*shown {
                    Some(Shown::Verification(status)) => Some(status),
                    _ => None,
                };
                let decision = around.decide::<PhoneVerification>(spec, status);
                self.next(question.key, decision, |summary| show_verification(spec, &around, summary))
            }
        }
    }

    /// The entry of what else is asked for on behalf of this resource.
    fn follow_up(&self, key: u8) -> Option<u8> {
        let is_it = |other: &Key| {
            other.kind == Kind::Cancellation && other.of_resource() == self.keys[usize::from(key)]
        };
        self.keys.iter().position(is_it).map(|at| u8::try_from(at).unwrap())
    }

    fn next<S>(
        &self,
        key: u8,
        decided: Decided<S>,
        show: impl FnOnce(&StatusSummary<S>) -> (Shown, bool, bool),
    ) -> Next {
        let of = if decided.of == Kind::Cancellation { self.follow_up(key).unwrap() } else { key };
        match decided.next {
            Decision::Record(events) => Next::Record { of, events: self.events(events) },
            Decision::Send(intent) => {
                let terms = intent.recorded();
                Next::Send { of, terms: self.terms.number(format!("{terms:?}"), || terms) }
            }
            Decision::Rest(summary) => {
                let (shown, moving, hides_stray) = show(&summary);
                let status = self.statuses.number(format!("{:?}", Some(&shown)), || Some(shown));
                Next::Rest(Rest { status, moving, hides_stray })
            }
            Decision::Need(_) => Next::Asks,
        }
    }
}

/// What is shown, whether a request is in flight, whether a stray is passed over.
fn show_order(
    spec: &PhoneNumberOrderSpec,
    around: &Around,
    summary: &StatusSummary<OrderState>,
) -> (Shown, bool, bool) {
    let none = PhoneNumberOrderStatus::default();
    let recorded = Recorded { own: around.state, follow_up: around.beside };
    let mut full = project::<PhoneNumberOrder>(Some(spec), recorded, summary, 1, &none, around.now);
    if let Some(cancellation) = &mut full.cancellation {
        cancellation.requested_time = None;
    }
    let tells = matches!(summary.state, OrderState::AwaitingNumber | OrderState::Assigned);
    let moving = matches!(summary.state, OrderState::Ordering | OrderState::Cancelling);
    let shown =
        PhoneNumberOrderStatus { conditions: Vec::new(), ordered_time: None, assigned_time: None, ..full };
    (Shown::Order(shown), moving, tells && hides_stray(around.state, &summary.message))
}

fn show_verification(
    spec: &PhoneVerificationSpec,
    around: &Around,
    summary: &StatusSummary<VerificationState>,
) -> (Shown, bool, bool) {
    let none = PhoneVerificationStatus::default();
    let full = project::<PhoneVerification>(Some(spec), around.state, summary, 1, &none, around.now);
    let tells = matches!(summary.state, VerificationState::AwaitingApproval | VerificationState::Approved);
    let moving = summary.state == VerificationState::Submitting;
    let shown = PhoneVerificationStatus { conditions: Vec::new(), submitted_time: None, ..full };
    (Shown::Verification(shown), moving, tells && hides_stray(around.state, &summary.message))
}

fn hides_stray(state: &State, message: &str) -> bool {
    state.strays.iter().any(|stray| !message.contains(&stray.id))
}

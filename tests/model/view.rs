//! The decisions, by the lifecycle's own code. Whatever is built for a decision is built here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tenios_operator::api::order::OrderState;
use tenios_operator::api::verification::VerificationState;
use tenios_operator::api::{
    PhoneNumberOrderSpec, PhoneNumberOrderStatus, PhoneVerificationSpec, PhoneVerificationStatus,
};
use tenios_operator::ledger::{Account, Book, Change, Entry, State};
use tenios_operator::lifecycle::order::{self, Link, Verification};
use tenios_operator::lifecycle::verification::{self, Secrets};
use tenios_operator::lifecycle::{self, Budget, Decision, Found, Pace, Sender, Standing};

use super::names;
use super::shipped::{Shipped, Shown, Spec, timestamp};
use super::store::Store;
use super::world::{KEYS, Object, Stored};

/// Time does not pass in the model, so nothing may be waited for.
static PACE: Pace = Pace {
    retry_min: Duration::ZERO,
    retry_max: Duration::ZERO,
    refusal_min: Duration::ZERO,
    refusal_max: Duration::ZERO,
};

/// What a decision is made from.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question {
    pub key: u8,
    pub known: [Stored; KEYS],
    pub seen: [Object; KEYS],
    pub sender: Asked,
    pub now: i64,
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
    Record(u16),
    Send(u16),
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
struct Surroundings<'a> {
    question: &'a Question,
    book: &'a Book,
    state: &'a State,
    shown: &'a Option<Shown>,
    word: Option<&'a str>,
    now: Timestamp,
}

impl Surroundings<'_> {
    fn is_proven(&self, state: &State) -> bool {
        state.id().is_some_and(|id| self.book.is_proven(id))
    }
}

impl Shipped {
    pub fn decide(&self, question: Question) -> Arc<Next> {
        self.decisions.ask(question, |question| Arc::new(self.ask(question)))
    }

    fn ask(&self, question: &Question) -> Next {
        let at = usize::from(question.key);
        let known = |k: u8| self.entry(k, question.known[usize::from(k)]);
        let known = (0..u8::try_from(self.keys.len()).unwrap()).map(known);
        let there = known.filter(|entry| entry.version.is_some());
        let changes = there.map(|entry| Change::Entry(Box::new(entry))).collect();
        let nothing = Entry::empty(self.keys[at].clone());
        let book = self.book(Arc::new(Store::new(nothing, changes, false, true)));
        let word = names::word(question.key, question.seen[at].word);
        let surroundings = Surroundings {
            question,
            state: &book.known(&self.keys[at]).state,
            book: &book,
            shown: &self.shown(question.seen[at].status),
            word: word.as_deref(),
            now: timestamp(question.now),
        };
        match self.spec(question.key, question.seen[at].spec) {
            Spec::Order(spec) => self.about_order(spec, &surroundings),
            Spec::Verification(spec) => self.about_verification(spec, &surroundings),
        }
    }

    fn about_order(&self, spec: &PhoneNumberOrderSpec, around: &Surroundings) -> Next {
        let first = around.book.known(&self.keys[0]).state;
        let verification = match (&spec.verification_id, self.spec(0, around.question.seen[0].spec)) {
            (None, Spec::Verification(spec)) => Verification::Found {
                name: &self.keys[0].name,
                spec: Some(spec),
                state: &first,
                proven: around.is_proven(&first),
            },
            (id, _) => Verification::Given(id.as_deref().unwrap()),
        };
        let key = &self.keys[usize::from(around.question.key)];
        let decision = order::decide(&order::View {
            key,
            spec,
            deleting: false,
            status: match around.shown {
                Some(Shown::Order(status)) => Some(status),
                _ => None,
            },
            not_placed: around.word,
            state: around.state,
            sender: around.question.sender.into(),
            known_for: Duration::ZERO,
            verification,
            link: Link::None,
            access_key: Some(Found::Usable(Account::recorded(names::ACCOUNT))),
            budget: Budget::Reserved,
            rival: &|bid, payer| around.book.rival(key, bid, payer),
            pace: &PACE,
            push: true,
            now: around.now,
        });
        self.next(decision, |standing| show_order(around, standing))
    }

    fn about_verification(&self, spec: &PhoneVerificationSpec, around: &Surroundings) -> Next {
        let decision = verification::decide(&verification::View {
            key: &self.keys[usize::from(around.question.key)],
            spec,
            deleting: false,
            status: match around.shown {
                Some(Shown::Verification(status)) => Some(status),
                _ => None,
            },
            not_placed: around.word,
            state: around.state,
            sender: around.question.sender.into(),
            known_for: Duration::ZERO,
            secrets: Some(Secrets {
                access_key: Found::Usable(()),
                document: Found::Usable("sha256:d".into()),
            }),
            proven: around.is_proven(around.state),
            pace: &PACE,
            now: around.now,
        });
        self.next(decision, |standing| show_verification(spec, around, standing))
    }

    fn next<S>(&self, decision: Decision<S>, show: impl FnOnce(&Standing<S>) -> (Shown, bool, bool)) -> Next {
        match decision {
            Decision::Record(events) => Next::Record(self.events(events)),
            Decision::Send(terms) => Next::Send(self.terms.number(format!("{terms:?}"), || terms)),
            Decision::Rest(standing) => {
                let (shown, moving, hides_stray) = show(&standing);
                let status = self.statuses.number(format!("{:?}", Some(&shown)), || Some(shown));
                Next::Rest(Rest { status, moving, hides_stray })
            }
            Decision::ReadSecrets | Decision::Reserve(_) => Next::Asks,
        }
    }
}

/// What is shown, whether a request is in flight, whether a stray is passed over.
fn show_order(around: &Surroundings, standing: &Standing<OrderState>) -> (Shown, bool, bool) {
    let none = PhoneNumberOrderStatus::default();
    let full = lifecycle::project_order(around.state, standing, 1, &none, around.now);
    let tells = matches!(standing.state, OrderState::AwaitingNumber | OrderState::Assigned);
    let moving = standing.state == OrderState::Ordering;
    let shown =
        PhoneNumberOrderStatus { conditions: Vec::new(), ordered_time: None, assigned_time: None, ..full };
    (Shown::Order(shown), moving, tells && hides_stray(around.state, &standing.message))
}

fn show_verification(
    spec: &PhoneVerificationSpec,
    around: &Surroundings,
    standing: &Standing<VerificationState>,
) -> (Shown, bool, bool) {
    let none = PhoneVerificationStatus::default();
    let full = lifecycle::project_verification(Some(spec), around.state, standing, 1, &none, around.now);
    let tells = matches!(standing.state, VerificationState::AwaitingApproval | VerificationState::Approved);
    let moving = standing.state == VerificationState::Submitting;
    let shown = PhoneVerificationStatus { conditions: Vec::new(), submitted_time: None, ..full };
    (Shown::Verification(shown), moving, tells && hides_stray(around.state, &standing.message))
}

fn hides_stray(state: &State, message: &str) -> bool {
    state.strays.iter().any(|stray| !message.contains(&stray.id))
}

//! State as a pure fold over events.

mod adoption;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::account::{Account, Payer};
use super::event::{AttemptId, Event, Refusal, Terms};
use super::past::Past;
use super::terms;
use tenios_api::PhoneNumber;

/// Orders that nobody expected, at most so many are kept: a provider that sends more has a defect that
/// the first of them show.
const STRAYS_KEPT: usize = 16;

/// Requests that the budgets count, at most so many newest are kept for one resource.
const SPENT_KEPT: usize = 256;

fn keep_newest(times: &mut Vec<Timestamp>, at: Timestamp) {
    times.push(at);
    let excess = times.len().saturating_sub(SPENT_KEPT);
    times.drain(..excess);
}

/// Where the newest request stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all_fields = "camelCase")]
pub enum Phase {
    /// None was ever recorded.
    #[default]
    Idle,
    /// Intended, perhaps in flight.
    Open {
        /// The request.
        attempt: AttemptId,
        /// When it was intended.
        at: Timestamp,
    },
    /// Taken by the provider.
    Accepted {
        /// The request; none where a person adopted.
        attempt: Option<AttemptId>,
    },
    /// Refused by the provider.
    Refused {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// The answer.
        refusal: Refusal,
    },
    /// Provably not processed.
    NotProcessed {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// What was seen.
        why: String,
        /// Seconds that the provider asked to wait.
        retry_after: Option<u32>,
    },
    /// Nobody can tell.
    Unknown {
        /// The request.
        attempt: AttemptId,
        /// When.
        at: Timestamp,
        /// What was seen.
        why: String,
    },
    /// Nothing was placed, a person says.
    NotPlaced {
        /// The request.
        attempt: AttemptId,
    },
}

/// What the provider gave, or a person says it gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The verification id or order id; none where only a number was adopted.
    pub id: Option<String>,
    /// The request that is known to have brought it; none where it was adopted.
    pub attempt: Option<AttemptId>,
    /// When that request was intended, or when it was adopted.
    pub at: Timestamp,
    /// Whether the id is the provider's answer, which wins over what a push says it is.
    pub answered: bool,
    /// Whether that a request brought it is not the provider's word: a person says so, of one whose outcome was
    /// not known, or the status did when the ledger had lost its entry.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resolves: bool,
}

impl Accepted {
    fn by_request(id: Option<String>, attempt: &AttemptId, at: Timestamp, answered: bool) -> Self {
        Self { id, attempt: Some(attempt.clone()), at, answered, resolves: false }
    }
}

/// An assigned number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assigned {
    /// The number.
    pub number: PhoneNumber,
    /// When it was recorded.
    pub at: Timestamp,
    /// Whether the provider pushed it; otherwise a person recorded it, and may correct it.
    #[serde(default)]
    pub pushed: bool,
    /// Whether only the status still told it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rebuilt: bool,
}

impl Assigned {
    /// Whether the provider's own word for it is recorded. What only the status still told may be what a person had
    /// adopted for a request, which no status tells apart.
    #[must_use]
    pub fn is_providers(&self) -> bool {
        self.pushed && !self.rebuilt
    }

    fn by_push(number: PhoneNumber, at: Timestamp) -> Self {
        Self { number, at, pushed: true, rebuilt: false }
    }
}

/// An order that exists beside the one of this resource: after a wrong "it was not placed", say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stray {
    /// The request that placed it.
    pub attempt: AttemptId,
    /// Its id; empty where only its number was told.
    pub id: String,
    /// Its number, where known.
    pub number: Option<PhoneNumber>,
}

/// What is known about one resource. Bounded in size whatever happens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// What the newest request asked for; what was ordered, once accepted.
    pub terms: Terms,
    /// Where the newest request stands.
    pub phase: Phase,
    /// Requests ever intended.
    pub attempts: u64,
    /// Requests in a row that were refused or not processed: what back-off grows by.
    pub failures: u32,
    /// The id, once known.
    pub accepted: Option<Accepted>,
    /// The number, once known. The first one stays.
    pub number: Option<Assigned>,
    /// Orders beside this one.
    pub strays: Vec<Stray>,
    /// How many more there are, which the log names and this does not.
    #[serde(skip_serializing_if = "is_zero")]
    pub strays_beyond: u64,
    /// The last request of which a person said that it placed nothing.
    pub not_placed: Option<AttemptId>,
    /// When the requests that count for the budget were intended: all but those provably not processed
    /// or refused.
    pub spent: Vec<Timestamp>,
    /// Whose account paid for those that were not sent with the operator's own key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub payers: BTreeMap<Timestamp, Account>,
    /// When the refused requests were intended.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Timestamp>,
    /// Requests that placed nothing: refused or not processed.
    #[serde(skip_serializing_if = "is_zero")]
    pub void: u64,
    /// The account of the newest request; where none may have placed anything, that of the adoption.
    /// None where it was recorded before accounts were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Whether the adoption's account is that of the operator's own key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// What the events tell that an entry holds no more. An event adds nothing to it before it is folded.
    #[serde(skip_serializing_if = "Past::is_empty")]
    pub past: Past,
    /// Since when there is something that others are to be told of this entry. No event changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unannounced: Option<Timestamp>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl State {
    /// The state after one more event.
    #[must_use]
    pub fn then(mut self, event: &Event) -> Self {
        let beyond = self.strays_beyond;
        self.apply(event);
        // An event tells of one order, however often that is looked for a place.
        self.strays_beyond = self.strays_beyond.min(beyond.saturating_add(1));
        self
    }

    /// The newest request.
    #[must_use]
    pub fn attempt(&self) -> Option<&AttemptId> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Accepted { attempt } => attempt.as_ref(),
            Phase::Open { attempt, .. }
            | Phase::Refused { attempt, .. }
            | Phase::NotProcessed { attempt, .. }
            | Phase::Unknown { attempt, .. }
            | Phase::NotPlaced { attempt } => Some(attempt),
        }
    }

    /// The id that the provider gave.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.accepted.as_ref()?.id.as_deref()
    }

    /// Whether a request may have placed something, which has to be remembered then whatever becomes of
    /// the resource. What was only adopted or asked about, refused or not processed cost nothing.
    #[must_use]
    pub fn may_have_placed(&self) -> bool {
        let brought_by = self.accepted.as_ref().and_then(|accepted| accepted.attempt.as_ref());
        self.attempts > self.void
            || brought_by.is_some_and(|attempt| !attempt.is_asked())
            || !self.strays.is_empty()
    }

    /// Whose account the newest request or, where none may have placed anything, the adoption belongs to.
    #[must_use]
    pub fn payer(&self) -> Payer {
        if !self.may_have_placed() || self.terms.is_empty() {
            return Payer { account: self.account.clone(), own: self.own };
        }
        Payer::of_terms(&self.terms)
    }

    fn apply(&mut self, event: &Event) {
        match event.clone() {
            Event::Intended { attempt, at, terms } => self.intend(attempt, at, terms),
            Event::Accepted { attempt, at, id } => self.accept(attempt, at, id, true),
            Event::Refused { attempt, at, refusal } => {
                if let Some(intended) = self.pending_since(&attempt) {
                    self.give_back(intended);
                    keep_newest(&mut self.refused, intended);
                    self.phase = Phase::Refused { attempt, at, refusal };
                }
            }
            Event::NotProcessed { attempt, at, why, retry_after } => {
                if let Some(intended) = self.pending_since(&attempt) {
                    self.give_back(intended);
                    self.phase = Phase::NotProcessed { attempt, at, why, retry_after };
                }
            }
            Event::Unknown { attempt, at, why } => {
                let open = matches!(&self.phase, Phase::Open { attempt: open, .. } if *open == attempt);
                // An outcome without an intent: the entry was lost while the request was on its way.
                if open || self.phase == Phase::Idle {
                    self.attempts = self.attempts.max((!attempt.is_asked()).into());
                    self.phase = Phase::Unknown { attempt, at, why };
                }
            }
            Event::NotPlaced { attempt, .. } => {
                if self.is_pending(&attempt) {
                    self.not_placed = Some(attempt.clone());
                    self.phase = Phase::NotPlaced { attempt };
                }
            }
            Event::Adopted { at, id, number, account, own } => {
                if !self.may_have_placed() || self.terms.is_empty() {
                    (self.account, self.own) = (account, own);
                }
                self.adopt(at, id, number);
            }
            Event::Assigned { attempt, at, order_id, number } => {
                self.assign(&attempt, at, Some(order_id), number);
            }
            Event::Pushed { attempt, at, order_id, number: Some(number) } => {
                self.assign(&attempt, at, order_id, number);
            }
            Event::Pushed { attempt, at, order_id: Some(id), number: None } => {
                self.accept(attempt, at, id, false);
            }
            Event::Pushed { order_id: None, number: None, .. } => {}
            Event::Rebuilt { at, attempt, id, number, terms, requests } => {
                let is_request = attempt.as_ref().is_some_and(|attempt| !attempt.is_asked());
                self.attempts = self.attempts.max(requests).max(is_request.into());
                if self.accepted.is_none() {
                    self.terms = terms;
                }
                if id.is_some() || number.is_some() {
                    self.phase = Phase::Accepted { attempt: attempt.clone() };
                    let pushed = attempt.is_some();
                    let resolves = pushed;
                    self.accepted.get_or_insert(Accepted { id, attempt, at, answered: true, resolves });
                    self.number = number.map(|number| Assigned { number, at, pushed, rebuilt: true });
                } else if let Some(attempt) = attempt {
                    // Its sender may still be at work: nobody's word counts before its time is over.
                    self.phase = Phase::Open { attempt, at };
                }
            }
        }
    }

    fn intend(&mut self, attempt: AttemptId, at: Timestamp, terms: Terms) {
        self.attempts += 1;
        self.account = terms.get(terms::ACCOUNT).map(|text| Account::recorded(text));
        if terms.contains_key(terms::ACCESS_KEY)
            && let Some(account) = &self.account
        {
            self.payers.insert(at, account.clone());
        }
        keep_newest(&mut self.spent, at);
        self.payers.retain(|at, _| self.spent.contains(at));
        self.terms = terms;
        self.phase = Phase::Open { attempt, at };
    }

    /// The request that was intended then placed nothing.
    fn give_back(&mut self, intended: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.void = self.void.saturating_add(1);
        self.spent.retain(|at| *at != intended);
        self.payers.remove(&intended);
    }

    /// The provider placed what it had refused: it counts after all.
    fn take_back_refusal(&mut self, attempt: &AttemptId) {
        if matches!(&self.phase, Phase::Refused { attempt: refused, .. } if refused == attempt)
            && let Some(intended) = self.refused.pop()
        {
            self.void = self.void.saturating_sub(1);
            self.spent.push(intended);
        }
    }

    /// Whether this request is the newest one and still has no outcome.
    fn is_pending(&self, attempt: &AttemptId) -> bool {
        self.pending_since(attempt).is_some()
    }

    fn pending_since(&self, attempt: &AttemptId) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open { attempt: open, at } if open == attempt => Some(*at),
            // What was rebuilt from a status has spent nothing.
            Phase::Unknown { attempt: open, at, .. } if open == attempt => {
                Some(self.spent.last().copied().unwrap_or(*at))
            }
            _ => None,
        }
    }

    /// The first id stays; one from another request is kept beside it. What the provider answered wins
    /// over what its push says, so that both orders of arrival end alike.
    fn accept(&mut self, attempt: AttemptId, at: Timestamp, id: String, answered: bool) {
        self.take_back_refusal(&attempt);
        let since = self.pending_since(&attempt).unwrap_or(at);
        let newest = self.attempt() == Some(&attempt);
        match &mut self.accepted {
            None => {
                self.accepted = Some(Accepted::by_request(Some(id), &attempt, since, answered));
            }
            Some(known) if known.attempt.as_ref() == Some(&attempt) => {
                known.resolves = false;
                if known.id.is_none() || (answered && !known.answered) {
                    known.id = Some(id);
                    known.answered = answered;
                }
            }
            Some(known) if known.id.as_ref() == Some(&id) => {
                known.attempt.get_or_insert_with(|| attempt.clone());
                known.resolves = false;
            }
            // Only a number was adopted while this request's outcome was unknown.
            Some(known) if known.id.is_none() && known.attempt.is_none() && newest => {
                *known = Accepted::by_request(Some(id), &attempt, known.at, answered);
            }
            Some(_) => self.keep_stray(&attempt, id, None),
        }
        self.took(attempt, newest);
    }

    /// The provider says that it took a request, without the id of what became of it.
    fn accept_nameless(&mut self, attempt: &AttemptId, at: Timestamp) {
        let newest = self.attempt() == Some(attempt);
        if self.accepted.is_none() {
            let at = self.pending_since(attempt).unwrap_or(at);
            self.accepted = Some(Accepted::by_request(None, attempt, at, false));
        }
        self.took(attempt.clone(), newest);
    }

    fn took(&mut self, attempt: AttemptId, newest: bool) {
        self.failures = 0;
        let waits_for_another = matches!(
            self.phase,
            Phase::Open { .. } | Phase::Unknown { .. } | Phase::Accepted { attempt: Some(_) }
        );
        if newest || !waits_for_another {
            self.phase = Phase::Accepted { attempt: Some(attempt) };
        }
    }

    fn assign(&mut self, attempt: &AttemptId, at: Timestamp, order_id: Option<String>, number: PhoneNumber) {
        // What a person adopted for the newest request is that request's, as far as anybody can tell.
        let newest = self.attempt() == Some(attempt);
        match &order_id {
            Some(id) => self.accept(attempt.clone(), at, id.clone(), false),
            None => self.accept_nameless(attempt, at),
        }
        let ours = self.accepted.as_ref().is_some_and(|a| match (&a.attempt, &order_id) {
            (Some(placed), _) if placed == attempt => true,
            (None, None) => newest,
            (_, id) => id.is_some() && a.id == *id,
        });
        match &self.number {
            None if ours => self.number = Some(Assigned::by_push(number, at)),
            Some(known) if ours && known.number == number => {
                self.number = Some(Assigned { pushed: true, rebuilt: false, ..known.clone() });
            }
            _ => self.keep_stray(attempt, order_id.unwrap_or_default(), Some(number)),
        }
    }

    /// An order that is not to be forgotten, as long as it is one of a few.
    fn keep_stray(&mut self, attempt: &AttemptId, id: String, number: Option<PhoneNumber>) {
        let same = |s: &&mut Stray| {
            let same_id = s.id == id || s.id.is_empty() || id.is_empty();
            let same_number = s.number.is_none() || number.is_none() || s.number == number;
            s.attempt == *attempt && same_id && same_number
        };
        if let Some(known) = self.strays.iter_mut().find(same) {
            known.number = known.number.take().or(number);
            if known.id.is_empty() {
                known.id = id;
            }
        } else if self.strays.len() < STRAYS_KEPT {
            self.strays.push(Stray { attempt: attempt.clone(), id, number });
        } else {
            self.strays_beyond = self.strays_beyond.saturating_add(1);
        }
    }

    /// Whether this still tells what a push told. Where it does not, as many orders as are kept beside this one
    /// are known already, and the push is not to be acknowledged.
    #[must_use]
    pub fn remembers(&self, event: &Event) -> bool {
        let (attempt, id, number) = match event {
            Event::Assigned { attempt, order_id, number, .. } => (attempt, Some(order_id), Some(number)),
            Event::Pushed { attempt, order_id, number, .. } => (attempt, order_id.as_ref(), number.as_ref()),
            _ => return true,
        };
        // What the provider answered is the id of its request, whatever a push says.
        let ours = self.accepted.as_ref().is_some_and(|a| a.attempt.as_ref() == Some(attempt));
        let id = id.is_none_or(|id| {
            ours || self.id() == Some(id) || self.strays.iter().any(|stray| stray.id == *id)
        });
        let number = number.is_none_or(|number| {
            self.number.as_ref().is_some_and(|known| known.number == *number)
                || self.strays.iter().any(|stray| stray.number.as_ref() == Some(number))
        });
        id && number
    }
}

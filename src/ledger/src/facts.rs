//! What of a state must never be lost, and how to say it again to an entry that has lost it.

use jiff::Timestamp;

use super::{AttemptId, Event, Phase, State};
use tenios_api::PhoneNumber;

impl State {
    /// Whether nobody knows yet, or nobody can tell, what became of the newest request.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Open { .. } | Phase::Unknown { .. })
    }

    /// Whether nothing stands in the way of another request.
    pub(super) fn may_try_again(&self) -> bool {
        self.accepted.is_none() && !self.is_undecided()
    }

    /// Whether this knows of everything that `other` says was, or may have been, placed. What a person said
    /// may have been corrected since.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let accepted =
            other.accepted.as_ref().is_none_or(|accepted| match (&accepted.attempt, &accepted.id) {
                (None, _) => self.accepted.is_some(),
                (Some(_), Some(id)) => self.has_id(id),
                (Some(attempt), None) => self.has_attempt(attempt),
            });
        let number = other.number.as_ref().is_none_or(|assigned| {
            if assigned.pushed {
                self.has_number(assigned.number.as_str())
            } else {
                self.number.is_some() || self.accepted.is_some()
            }
        });
        let strays = other.strays.iter().all(|stray| {
            // What the provider answered is the id of its request, whatever a push says.
            let ours = self.accepted.as_ref().is_some_and(|a| a.attempt.as_ref() == Some(&stray.attempt));
            (ours || stray.id.is_empty() || self.has_id(&stray.id))
                && stray.number.as_ref().is_none_or(|number| self.has_number(number.as_str()))
        });
        // A request that was followed by others is known by the time at which it was intended.
        let undecided = match &other.phase {
            Phase::Open { attempt, at } => self.has_attempt(attempt) || self.spent.contains(at),
            Phase::Unknown { attempt, at, .. } => {
                self.has_attempt(attempt) || self.spent.contains(other.spent.last().unwrap_or(at))
            }
            _ => true,
        };
        accepted && number && strays && undecided
    }

    fn has_id(&self, id: &str) -> bool {
        self.id() == Some(id) || self.strays.iter().any(|stray| stray.id == id)
    }

    fn has_number(&self, number: &str) -> bool {
        self.number.as_ref().is_some_and(|assigned| assigned.number.as_str() == number)
            || self.strays.iter().any(|s| s.number.as_ref().is_some_and(|known| known.as_str() == number))
    }

    fn has_attempt(&self, attempt: &AttemptId) -> bool {
        self.attempt() == Some(attempt)
            || self.not_placed.as_ref() == Some(attempt)
            || self.accepted.as_ref().is_some_and(|accepted| accepted.attempt.as_ref() == Some(attempt))
            || self.strays.iter().any(|stray| stray.attempt == *attempt)
    }

    /// Events that tell another entry what this one knows to be, or to be perhaps, placed.
    #[must_use]
    pub fn facts(&self) -> Vec<Event> {
        let mut facts = Vec::new();
        if let Some(accepted) = &self.accepted {
            let at = accepted.at;
            let number = self.number.as_ref();
            match (&accepted.attempt, &accepted.id) {
                (None, id) => {
                    let adopted = number.filter(|number| !number.pushed);
                    let number = adopted.map(|number| number.number.clone());
                    facts.push(self.adopted(at, id.clone(), number));
                }
                (Some(attempt), Some(id)) => {
                    facts.push(Event::Accepted { attempt: attempt.clone(), at, id: id.clone() });
                }
                (Some(_), None) => {}
            }
            let asked = accepted.attempt.as_ref().or(self.attempt());
            if let (Some(attempt), Some(number)) = (asked, number.filter(|number| number.pushed)) {
                facts.push(Event::Pushed {
                    attempt: attempt.clone(),
                    at: number.at,
                    order_id: accepted.id.clone(),
                    number: Some(number.number.clone()),
                });
            } else if let (Some(_), Some(number)) =
                (&accepted.attempt, number.filter(|number| !number.pushed))
            {
                let number = Some(number.number.clone());
                facts.push(self.adopted(at, accepted.id.clone(), number));
            }
        }
        for stray in &self.strays {
            facts.push(Event::Pushed {
                attempt: stray.attempt.clone(),
                at: self.accepted.as_ref().map_or_else(Timestamp::default, |accepted| accepted.at),
                order_id: Some(stray.id.clone()).filter(|id| !id.is_empty()),
                number: stray.number.clone(),
            });
        }
        self.undecided(&mut facts);
        facts
    }

    fn adopted(&self, at: Timestamp, id: Option<String>, number: Option<PhoneNumber>) -> Event {
        Event::Adopted { at, id, number, account: self.account.clone(), own: self.own }
    }

    fn undecided(&self, facts: &mut Vec<Event>) {
        let terms = self.terms.clone();
        match &self.phase {
            Phase::Open { attempt, at } => {
                facts.push(Event::Intended { attempt: attempt.clone(), at: *at, terms });
            }
            Phase::Unknown { attempt, at, why } => {
                let intended = self.spent.last().copied().unwrap_or(*at);
                facts.push(Event::Intended { attempt: attempt.clone(), at: intended, terms });
                facts.push(Event::Unknown { attempt: attempt.clone(), at: *at, why: why.clone() });
            }
            _ => {}
        }
    }
}

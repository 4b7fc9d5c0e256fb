//! What a person says of an order or a verification that exists.

use jiff::Timestamp;

use super::{Accepted, Assigned, Phase, State};
use tenios_api::PhoneNumber;

impl State {
    /// A person's word stands until it is corrected, and takes nothing from what the provider said: an
    /// id or number that came from it stays, beside the adopted one if need be.
    pub(super) fn adopt(&mut self, at: Timestamp, id: Option<String>, number: Option<PhoneNumber>) {
        let resolves = matches!(self.phase, Phase::Open { .. } | Phase::Unknown { .. });
        match (&mut self.accepted, id) {
            (None, id) => self.accepted = Some(Accepted { id, attempt: None, at, answered: true, resolves }),
            (Some(_), None) => {}
            (Some(known), Some(id)) if known.id.is_none() => {
                // It may be one that the provider gave before.
                let given = self.strays.iter().find(|s| s.id == id).map(|s| s.attempt.clone());
                // A push that named no id does not make it the provider's word that this is the one.
                let told = known.attempt.take();
                let resolves = resolves || known.resolves || told.is_some();
                known.attempt = told.filter(|_| known.answered).or(given);
                known.resolves = resolves && known.attempt.is_none();
                known.answered = true;
                known.id = Some(id);
            }
            (Some(known), Some(id)) if known.id.as_ref() == Some(&id) => {}
            (Some(_), Some(id)) => self.exchange(at, id),
        }
        if let Some(number) = number {
            self.adopt_number(at, number);
        }
        self.failures = 0;
        self.phase = Phase::Accepted { attempt: self.attempt().cloned() };
    }

    /// Another id takes the place of the present one, and the number with it.
    fn exchange(&mut self, at: Timestamp, id: String) {
        let found = self.strays.iter().position(|s| s.id == id).map(|index| self.strays.remove(index));
        let (attempt, number) = found.map_or((None, None), |s| (Some(s.attempt), s.number));
        let resolves = attempt.is_none() && self.accepted.as_ref().is_some_and(|before| before.resolves);
        let before = self.accepted.replace(Accepted { id: Some(id), attempt, at, answered: true, resolves });
        let number = number.map(|number| Assigned::by_push(number, at));
        let number_before = std::mem::replace(&mut self.number, number);
        let adopted = before.as_ref().is_some_and(|before| before.attempt.is_none());
        if let Some(pushed) = number_before.clone().filter(|number| adopted && number.pushed) {
            // It was pushed for the request, not for the id that a person took that to have.
            match (&self.number, self.attempt().cloned()) {
                (None, _) => self.number = Some(pushed),
                (Some(known), Some(attempt)) if known.number != pushed.number => {
                    self.keep_stray(&attempt, String::new(), Some(pushed.number));
                }
                _ => {}
            }
        }
        if let Some(Accepted { id: Some(id), attempt: Some(attempt), .. }) = before {
            // A number that a person said must not come back as the provider's word.
            self.keep_stray(&attempt, id, number_before.filter(|n| n.pushed).map(|n| n.number));
        }
    }

    fn adopt_number(&mut self, at: Timestamp, number: PhoneNumber) {
        if self.number.as_ref().is_some_and(|known| known.pushed || known.number == number) {
            return;
        }
        let ours = self.accepted.as_ref().and_then(|a| a.id.clone());
        let strays = self.strays.len();
        self.strays.retain(|s| ours.as_ref() != Some(&s.id) || s.number.as_ref() != Some(&number));
        let pushed = self.strays.len() < strays;
        self.number = Some(Assigned { number, at, pushed, rebuilt: false });
    }
}

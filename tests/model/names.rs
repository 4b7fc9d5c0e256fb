//! What things are called. Attempts are numbered in the order in which their intents were recorded.

use jiff::Timestamp;
use tenios_api::PhoneNumber;
use tenios_ledger::{AttemptId, Event, Refusal, Terms};

use super::world::{ATTEMPTS, BOGUS, Outcome};

#[path = "../faults/collide.rs"]
mod collide;

pub const NAMESPACE: &str = "shop";

pub const RESOURCES: [&str; 2] = ["a", "b"];

/// The name of a resource; those that collide meant one ledger entry once.
pub fn resource(n: usize, collide: bool) -> String {
    if !collide {
        return RESOURCES[n].to_owned();
    }
    let (long, cut) = collide::pair(NAMESPACE, "a");
    if n == 0 { long } else { cut }
}

/// The name of the ledger entry of both, as earlier versions had it.
pub fn former() -> String {
    format!("pno.{NAMESPACE}.{}", resource(1, true))
}

/// Whose access key all of them are sent with.
pub const ACCESS_KEY: &str = "0123456789abcdef";

/// The verifications that orders name by id.
pub const VERIFICATION: &str = "v1";
pub const OTHER_VERIFICATION: &str = "v2";

/// An id that exists from before.
pub const FOREIGN: &str = "300000";

pub fn attempt(key: u8, n: u8) -> AttemptId {
    AttemptId::parse(&format!("{}{n}", RESOURCES[usize::from(key)])).unwrap()
}

/// The number of an attempt.
pub fn attempt_of(id: &AttemptId) -> u8 {
    id.as_str()[1..].parse().unwrap()
}

/// The order or verification id that the provider gives to an attempt.
pub fn id(key: u8, n: u8) -> String {
    format!("id-{}{n}", RESOURCES[usize::from(key)])
}

pub fn number(key: u8, n: u8) -> PhoneNumber {
    PhoneNumber::try_from(format!("+4922155500{key}{n}")).unwrap()
}

/// The value of the not-placed annotation.
pub fn word(resource: u8, follow_up: Option<u8>, word: u8) -> Option<String> {
    let own = u8::try_from(ATTEMPTS).unwrap();
    match word {
        0 => None,
        BOGUS => Some("nosuchattempt".into()),
        n if n > own => Some(attempt(follow_up?, n - own - 1).to_string()),
        n => Some(attempt(resource, n - 1).to_string()),
    }
}

/// The value of the annotation that names this attempt.
pub fn word_for(is_follow_up: bool, n: u8) -> u8 {
    if is_follow_up { u8::try_from(ATTEMPTS).unwrap() + n + 1 } else { n + 1 }
}

/// An order that was placed long ago, and has its number.
pub fn assigned() -> Vec<Event> {
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let terms = [
        ("spec.verificationId", VERIFICATION),
        ("verificationId", VERIFICATION),
        ("spec.numberType", "GEOGRAPHICAL"),
    ];
    let terms = terms.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let attempt = || attempt(0, 0);
    vec![
        Event::Intended { attempt: attempt(), at, terms },
        Event::Accepted { attempt: attempt(), at, id: id(0, 0) },
        Event::Assigned { attempt: attempt(), at, order_id: id(0, 0), number: number(0, 0) },
    ]
}

fn refusal(can_pass: bool) -> Refusal {
    Refusal { code: "X".into(), message: String::new(), fields: Vec::new(), can_pass }
}

/// The event for an outcome.
pub fn outcome(key: u8, n: u8, outcome: Outcome, at: Timestamp) -> Event {
    let attempt = attempt(key, n);
    let refused = |attempt, can_pass| Event::Refused { attempt, at, refusal: refusal(can_pass) };
    match outcome {
        Outcome::Accepted => Event::Accepted { attempt, at, id: id(key, n) },
        Outcome::Refused => refused(attempt, true),
        Outcome::RefusedForGood => refused(attempt, false),
        Outcome::NotProcessed => Event::NotProcessed { attempt, at, why: "w".into(), retry_after: None },
        Outcome::Unknown => Event::Unknown { attempt, at, why: "w".into() },
    }
}

/// Attempts that were refused long ago.
pub fn history(refused: u8) -> Vec<Event> {
    let both = |n: u8| {
        let attempt = AttemptId::parse(&format!("h{n}")).unwrap();
        let at = Timestamp::from_second(1_700_000_000 + i64::from(n)).unwrap();
        let refusal = refusal(true);
        let terms = Terms::new();
        [Event::Intended { attempt: attempt.clone(), at, terms }, Event::Refused { attempt, at, refusal }]
    };
    (0..refused).flat_map(both).collect()
}

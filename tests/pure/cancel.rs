//! Cancelling a number: when a request may leave, and above all when not.

mod told;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};
use tenios_api::order::OrderState;
use tenios_api::{
    Endpoint, PhoneNumber, PhoneNumberOrder, PhoneNumberOrderSpec, PhoneNumberOrderStatus, Reason,
    RequestField,
};
use tenios_ledger::{
    AttemptId, Budget as Limit, Budgets, Change, Entry, Event, Key, Kind, LedgerCache, Payer, Phase, Refusal,
    Rival, State, Terms, Title, WriterId,
};
use tenios_lifecycle::{
    Answers, Decided, Managed, Next, Progress, Recorded, RetryPolicy, Sender, StatusSummary, View, project,
};

use crate::decision_inputs::{ALONE, KEY, NOTHING, Others, READY, Rivals, UNASKED, account};
use crate::in_memory_ledger::InMemoryLedger;

const NUMBER: &str = "+4922112345678";
const NOW: i64 = 1_800_000_000;

static RETRY_POLICY: std::sync::LazyLock<RetryPolicy> = std::sync::LazyLock::new(RetryPolicy::default);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(NOW + second).unwrap()
}

fn attempt(name: &str) -> AttemptId {
    AttemptId::parse(name).unwrap()
}

fn number(text: &str) -> PhoneNumber {
    PhoneNumber::try_from(text).unwrap()
}

fn key() -> Key {
    Key { kind: Kind::Order, namespace: "shop".into(), name: "main-line".into() }
}

fn after(events: &[Event]) -> State {
    events.iter().fold(State::default(), State::then)
}

fn terms() -> Terms {
    [("spec.verificationId", "v1"), ("verificationId", "v1"), ("spec.numberType", "GEOGRAPHICAL")]
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .into()
}

/// Everything but a place in the budget.
static KEY_ONLY: std::sync::LazyLock<Answers> =
    std::sync::LazyLock::new(|| Answers { budget: None, ..READY.clone() });

/// An order that has its number.
fn assigned() -> State {
    let (attempt, order_id) = (attempt("o1"), "300000".to_owned());
    after(&[
        Event::Intended { attempt: attempt.clone(), at: at(-99), terms: terms() },
        Event::Accepted { attempt: attempt.clone(), at: at(-98), id: order_id.clone() },
        Event::Assigned { attempt, at: at(-97), order_id, number: number(NUMBER) },
    ])
}

fn intended() -> Event {
    let terms = [("spec.cancel.phoneNumber", NUMBER), ("generation", "1"), ("account", account().as_str())]
        .map(|(k, v)| (k.to_owned(), v.to_owned()));
    Event::Intended { attempt: attempt("c1"), at: at(-9), terms: terms.into() }
}

fn accepted() -> Event {
    Event::Accepted { attempt: attempt("c1"), at: at(-8), id: "2026-12-31".into() }
}

fn unknown() -> Event {
    Event::Unknown { attempt: attempt("c1"), at: at(-8), why: "reset".into() }
}

fn refused(can_pass: bool) -> Event {
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: Vec::new(), can_pass };
    Event::Refused { attempt: attempt("c1"), at: at(-8), refusal }
}

fn spec(changes: &Value) -> PhoneNumberOrderSpec {
    let mut spec = json!({"verificationId": "v1", "cancel": {"phoneNumber": NUMBER}});
    for (name, value) in changes.as_object().unwrap() {
        spec[name] = value.clone();
    }
    serde_json::from_value(spec).unwrap()
}

/// What a decision is made from, and what most tests leave as it is.
struct Given {
    spec: PhoneNumberOrderSpec,
    order: State,
    cancellation: State,
    status: Option<PhoneNumberOrderStatus>,
    not_placed: Option<&'static str>,
    deleting: bool,
    generation: i64,
    sender: Sender,
    answers: &'static Answers,
}

impl Given {
    fn new(changes: &Value, cancellation: &[Event]) -> Self {
        Self {
            spec: spec(changes),
            order: assigned(),
            cancellation: after(cancellation),
            status: None,
            not_placed: None,
            deleting: false,
            generation: 1,
            sender: Sender::Elsewhere { remaining: Duration::ZERO },
            answers: &READY,
        }
    }

    fn decide(&self) -> Decided<OrderState> {
        self.among(ALONE)
    }

    fn among(&self, around: &Others) -> Decided<OrderState> {
        let view = View::<PhoneNumberOrder> {
            key: &key(),
            spec: &self.spec,
            generation: self.generation,
            deleting: self.deleting,
            status: self.status.as_ref(),
            not_placed: self.not_placed,
            state: &self.order,
            beside: &self.cancellation,
            sender: Sender::Elsewhere { remaining: Duration::ZERO },
            known_for: Duration::ZERO,
            answers: self.answers,
            around,
            retry_policy: &RETRY_POLICY,
            push: true,
            now: at(0),
        };
        let progress = Progress { state: &self.cancellation, sender: self.sender, known_for: Duration::ZERO };
        PhoneNumberOrder::decide(&view, &progress)
    }

    fn rests(&self) -> StatusSummary<OrderState> {
        summary(self.decide())
    }

    fn shown(&self) -> PhoneNumberOrderStatus {
        let recorded = Recorded { own: &self.order, follow_up: &self.cancellation };
        let previous = self.status.clone().unwrap_or_default();
        project::<PhoneNumberOrder>(Some(&self.spec), recorded, &self.rests(), 1, &previous, at(0))
    }
}

fn summary(decided: Decided<OrderState>) -> StatusSummary<OrderState> {
    match decided.next {
        Next::Rest(summary) => summary,
        other => panic!("it must rest, not {other:?}"),
    }
}

fn sends(decided: &Decided<OrderState>) -> bool {
    matches!(decided.next, Next::Send(_))
}

/// What is recorded next, of which entry.
fn records(decided: Decided<OrderState>) -> (Kind, Event) {
    match decided.next {
        Next::Record(mut events) if events.len() == 1 => (decided.of, events.remove(0)),
        other => panic!("it must record one event, not {other:?}"),
    }
}

#[test]
fn p16_a_cancellation_is_sent_for_the_number_that_the_spec_repeats_and_held_to_what_it_records() {
    let decided = Given::new(&json!({}), &[]).decide();
    let Next::Send(intent) = decided.next else { panic!("it must send") };
    assert_eq!(decided.of, Kind::Cancellation);
    assert_eq!((intent.endpoint(), Endpoint::CancelNumber.is_pushed()), (Endpoint::CancelNumber, false));
    assert_eq!(intent.fields(), [(RequestField::PhoneNumber, NUMBER.to_owned())]);
    assert!(intent.document().is_none());
    let Event::Intended { terms, .. } = intended() else { unreachable!() };
    assert_eq!(intent.recorded(), terms);
}

#[test]
fn p16_it_asks_for_the_access_key_and_for_a_place_in_a_budget_of_its_own() {
    let mut given = Given::new(&json!({}), &[]);
    given.answers = &UNASKED;
    let decided = given.decide();
    assert!(matches!(decided.next, Next::Need(tenios_lifecycle::Need::AccessKey(None))));
    given.answers = &KEY_ONLY;
    let decided = given.decide();
    assert_eq!(decided.of, Kind::Cancellation);
    let own = Payer { account: Some(KEY.account().clone()), own: true };
    assert!(matches!(decided.next, Next::Need(tenios_lifecycle::Need::Budget(payer)) if payer == own));
}

#[test]
fn p16_without_the_field_nothing_is_cancelled_whatever_becomes_of_the_resource() {
    for deleting in [false, true] {
        let given = Given { deleting, ..Given::new(&json!({"cancel": null}), &[]) };
        assert_eq!(given.rests().state, OrderState::Assigned);
    }
}

#[test]
fn p16_p25_nothing_is_sent_for_another_number_nor_while_suspended_or_deleted() {
    let another = Given::new(&json!({"cancel": {"phoneNumber": "+4922100000000"}}), &[]).rests();
    assert_eq!((another.state, another.reason), (OrderState::Waiting, Reason::InvalidSpec));
    assert!(another.message.contains("+4922100000000") && another.message.contains(NUMBER), "{another:?}");
    let suspended = Given::new(&json!({"suspend": true}), &[]).rests();
    assert_eq!((suspended.state, suspended.reason), (OrderState::Suspended, Reason::Suspended));
    let deleting = Given { deleting: true, ..Given::new(&json!({}), &[]) };
    assert_eq!(deleting.rests().reason, Reason::Deleting);
}

#[test]
fn p16_nothing_is_ordered_in_order_to_be_cancelled() {
    let refusal = Refusal { code: "X".into(), message: String::new(), fields: Vec::new(), can_pass: true };
    let (a, intent) =
        (attempt("o1"), Event::Intended { attempt: attempt("o1"), at: at(-9999), terms: terms() });
    for order in [
        State::default(),
        after(&[intent.clone(), Event::Refused { attempt: a.clone(), at: at(-9998), refusal }]),
        after(&[
            intent.clone(),
            Event::Unknown { attempt: a.clone(), at: at(-9998), why: "w".into() },
            Event::NotPlaced { attempt: a, at: at(-9997) },
        ]),
    ] {
        let given = Given { order, ..Given::new(&json!({}), &[]) };
        let summary = given.rests();
        assert_eq!((summary.state, summary.reason), (OrderState::Waiting, Reason::InvalidSpec));
    }
}

#[test]
fn p16_an_order_that_has_no_number_yet_is_not_cancelled_and_goes_on() {
    let intent = Event::Intended { attempt: attempt("o1"), at: at(-9), terms: terms() };
    let taken = Event::Accepted { attempt: attempt("o1"), at: at(-8), id: "300000".into() };
    let given = Given { order: after(&[intent, taken]), ..Given::new(&json!({}), &[]) };
    assert_eq!(given.rests().state, OrderState::AwaitingNumber);
}

#[test]
fn p16_a_number_that_another_claims_first_is_not_cancelled() {
    let rival: Rivals =
        &|_, _| Some(Rival { key: Key { name: "newer".into(), ..key() }, title: Title::Placed });
    let others = Others { rival: Some(rival), ..Others::default() };
    let summary = summary(Given::new(&json!({}), &[]).among(&others));
    assert_eq!(summary.reason, Reason::InvalidSpec);
    assert!(summary.message.contains("PhoneNumberOrder newer"), "{}", summary.message);
}

#[test]
fn p16_it_is_sent_once_and_what_may_have_left_is_never_followed_by_another() {
    for (events, state, reason) in [
        (vec![intended()], OrderState::Cancelling, Reason::Cancelling),
        (vec![intended(), accepted()], OrderState::Cancelled, Reason::Cancelled),
        (vec![intended(), unknown()], OrderState::OutcomeUnknown, Reason::OutcomeUnknown),
    ] {
        for changes in [
            json!({}),
            json!({"cancel": null}),
            json!({"cancel": {"phoneNumber": "+4922100000000"}}),
            json!({"suspend": true}),
            json!({"verificationId": "v2"}),
        ] {
            let sender = Sender::Elsewhere { remaining: Duration::from_secs(3) };
            let given = Given { sender, ..Given::new(&changes, &events) };
            let summary = given.rests();
            assert_eq!((summary.state, summary.reason), (state, reason), "{changes}");
        }
    }
    let over = Given::new(&json!({}), &[intended()]).decide();
    assert!(matches!(records(over), (Kind::Cancellation, Event::Unknown { .. })));
}

#[test]
fn p16_what_is_cancelled_stays_so_also_where_the_entry_of_the_order_is_lost_or_another_was_ordered() {
    for order in [State::default(), assigned()] {
        let given = Given { order, ..Given::new(&json!({"cancel": null}), &[intended(), accepted()]) };
        let summary = given.rests();
        assert_eq!(summary.state, OrderState::Cancelled);
        assert!(summary.message.contains(NUMBER) && summary.message.contains("2026-12-31"), "{summary:?}");
    }
}

#[test]
fn p16_a_refusal_waits_for_an_edit_and_costs_no_number() {
    let given = Given::new(&json!({}), &[intended(), refused(false)]);
    assert_eq!(given.rests().state, OrderState::Refused);
    assert!(given.rests().message.contains("spec.cancel.done"), "{}", given.rests().message);
    let edited = Given { generation: 3, ..Given::new(&json!({}), &[intended(), refused(false)]) };
    assert!(sends(&edited.decide()), "taken away and set again");
    let away = Given::new(&json!({"cancel": null}), &[intended(), refused(false)]);
    assert_eq!(away.rests().state, OrderState::Assigned);
    let passes = Given::new(&json!({}), &[intended(), refused(true)]).rests();
    assert_eq!((passes.state, passes.requeue_after.is_some()), (OrderState::Refused, true));
}

#[test]
fn p14_p16_cancellations_have_a_budget_of_their_own() {
    let limit = |requests| Limit { requests, window: SignedDuration::from_hours(24) };
    let budgets = Budgets { operator: limit(1), namespace: limit(1), cancel: limit(2) };
    let cache = LedgerCache::new(Arc::new(InMemoryLedger::new(key())), budgets).0;
    let own = Payer { account: None, own: true };
    let tenant = Payer { account: Some(account()), own: false };
    let cancels = |payer: &Payer| {
        cache.reserve(&key().of(Kind::Cancellation), payer, at(0)).map_err(|spent| spent.whose)
    };
    let order = cache.reserve(&key(), &own, at(0)).unwrap();
    let both = [cancels(&own).unwrap(), cancels(&own).unwrap()];
    assert_eq!(cancels(&own).err(), Some("the operator"));
    assert!(cancels(&tenant).is_ok(), "each key has one of its own");
    drop((order, both));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let cancel = key().of(Kind::Cancellation);
    let base = cache.known(&cancel).entry;
    runtime.block_on(cache.append(&base, &[intended(), accepted()])).unwrap();
    assert_eq!((cache.cancel_budget_remaining(at(0)), cache.cancel_budget_limit()), (1, 2));
    assert_eq!(cache.budget_remaining(at(0)), 1, "no order's place is taken");
}

#[test]
fn p16_p26_a_word_that_a_number_is_cancelled_stays_as_long_as_its_order_and_no_longer() {
    let said = Event::Adopted {
        at: at(-6),
        id: Some("2027-01-31".into()),
        number: Some(number(NUMBER)),
        account: None,
        own: true,
    };
    let order = Event::Intended { attempt: attempt("o1"), at: at(-99), terms: terms() };
    let entry = |key: Key, event: &Event| {
        let entry = Entry::empty(key).with(std::slice::from_ref(event), WriterId::random());
        Change::Entry(Box::new(entry))
    };
    let forgettable = |changes: Vec<Change>| {
        let ledger = Arc::new(InMemoryLedger::new(key()));
        let limit = Limit { requests: 1, window: SignedDuration::from_hours(24) };
        let budgets = Budgets { operator: limit, namespace: limit, cancel: limit };
        let cache = LedgerCache::new(ledger.clone(), budgets).0;
        for change in changes {
            ledger.say([change]);
        }
        ledger.say([Change::Listed]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let follows = cache.clone();
            let follows = tokio::spawn(async move { follows.follow().await });
            cache.listed().await;
            follows.abort();
        });
        cache.forgettable(at(1_000_000), |_| true).len()
    };
    let cancel = || entry(key().of(Kind::Cancellation), &said);
    assert_eq!(forgettable(vec![entry(key(), &order), cancel()]), 0);
    assert_eq!(forgettable(vec![cancel()]), 1, "of what was adopted nothing stays");
}

proptest! {
    /// Whatever was recorded, shown or written: a request leaves only for the number that is assigned and repeated,
    /// where none may have left that nobody spoke of.
    #[test]
    fn p16_no_history_cancels_twice(
        events in prop::collection::vec(
            prop::sample::select(vec![
                intended(), accepted(), unknown(), refused(true), refused(false),
                Event::NotProcessed { attempt: attempt("c1"), at: at(-8), why: "w".into(), retry_after: None },
                Event::NotPlaced { attempt: attempt("c1"), at: at(-7) },
                Event::Adopted { at: at(-6), id: Some("2027-01-31".into()), number: None, account: None, own: true },
            ]),
            0..6,
        ),
        known in any::<bool>(),
        wanted in prop::sample::select(vec![NUMBER, "+4922100000000"]),
        done in any::<bool>(),
        annotated in any::<bool>(),
        generation in 1..3_i64,
    ) {
        let mut cancel = json!({"phoneNumber": wanted});
        if done {
            cancel["done"] = json!("2027-01-31");
        }
        let order = if known { assigned() } else { State::default() };
        let not_placed = annotated.then_some("c1");
        let given = Given { order, not_placed, generation, ..Given::new(&json!({"cancel": cancel}), &events) };
        let decided = given.decide();
        if sends(&decided) {
            let state = &given.cancellation;
            let over = matches!(
                state.phase,
                Phase::Idle | Phase::Refused { .. } | Phase::NotProcessed { .. } | Phase::NotPlaced { .. }
            );
            prop_assert_eq!(decided.of, Kind::Cancellation);
            prop_assert!(over && state.accepted.is_none(), "{:?}", state.phase);
            prop_assert!(known && wanted == NUMBER && !done);
        }
    }
}

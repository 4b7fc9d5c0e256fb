//! Who owns an order id or a number (promise 15), by what is recorded of each resource.

use jiff::Timestamp;
use proptest::prelude::*;
use tenios_api::PhoneNumber;
use tenios_ledger::{
    Account, Applied, AttemptId, Bid, Claim, Entry, Event, Index, Key, Kind, Payer, State, Terms, Title,
    Version, WriterId, terms,
};

fn key(namespace: &str, name: &str) -> Key {
    Key { kind: Kind::Order, namespace: namespace.into(), name: name.into() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn attempt() -> AttemptId {
    AttemptId::parse("a1").unwrap()
}

fn number(n: u8) -> PhoneNumber {
    format!("+4922155500{n:02}").try_into().unwrap()
}

/// Whose access key: the operator's own or a tenant's, read or not.
fn payer(account: Option<&str>, own: bool) -> Payer {
    Payer { account: account.map(Account::recorded), own }
}

fn intended(payer: &Payer, second: i64) -> Event {
    let mut terms = Terms::from([("spec.verificationId".to_owned(), "v1".to_owned())]);
    terms.extend(payer.account.as_ref().map(|account| (terms::ACCOUNT.to_owned(), account.to_string())));
    if !payer.own {
        terms.insert(terms::ACCESS_KEY.into(), "tenios/access-key".into());
    }
    Event::Intended { attempt: attempt(), at: at(second), terms }
}

fn accepted(id: u8) -> Event {
    Event::Accepted { attempt: attempt(), at: at(50), id: id.to_string() }
}

fn unknown() -> Event {
    Event::Unknown { attempt: attempt(), at: at(50), why: "w".into() }
}

fn assigned(id: u8, n: u8, second: i64) -> Event {
    Event::Assigned { attempt: attempt(), at: at(second), order_id: id.to_string(), number: number(n) }
}

fn adopted(payer: &Payer, id: Option<u8>, n: Option<u8>, second: i64) -> Event {
    Event::Adopted {
        at: at(second),
        id: id.map(|id| id.to_string()),
        number: n.map(number),
        account: payer.account.clone(),
        own: payer.own,
    }
}

fn entry(key: &Key, events: &[Event]) -> Entry {
    let version = Some(Version::new(format!("{key}-{}", events.len())));
    Entry { version, ..Entry::empty(key.clone()).with(events, WriterId::random()) }
}

/// What else an entry that was news concerns.
fn news(applied: Applied) -> Vec<Key> {
    let Applied::News(related) = applied else { panic!("{applied:?}") };
    related
}

/// Who is in conflict over something, with whom.
fn rivals(index: &Index, key: &Key) -> Vec<(Bid, Key)> {
    let state = index.get(key).unwrap().state;
    let rival = |bid: Bid| index.rival(key, &bid, &state.payer()).map(|rival| (bid, rival.key));
    state.bids().into_iter().filter_map(rival).collect()
}

fn index(entries: &[Entry]) -> Index {
    let mut index = Index::default();
    for entry in entries {
        index.apply(entry);
    }
    index
}

#[test]
fn who_shares_a_claim_is_woken_and_inherits_it() {
    let own = payer(Some("acc0"), true);
    let (first, second) = (key("shop", "first"), key("shop", "second"));
    let mut index = Index::default();
    index.apply(&entry(&first, &[adopted(&own, Some(1), None, 1)]));
    let related = news(index.apply(&entry(&second, &[adopted(&own, Some(1), None, 2)])));
    assert_eq!(related, std::slice::from_ref(&first));
    assert_eq!(rivals(&index, &second)[0].1, first);
    assert_eq!(index.remove(&first), std::slice::from_ref(&second));
    assert_eq!(rivals(&index, &second), []);
    assert_eq!(index.remove(&second), []);
    assert_eq!(index.remove(&second), [], "it is gone already");
}

#[test]
fn p15_an_id_that_the_provider_gave_belongs_to_its_order_and_not_to_who_adopted_it_first() {
    let own = payer(Some("acc0"), true);
    let (squatter, owner) = (key("elsewhere", "squatter"), key("shop", "owner"));
    let mut index = Index::default();
    index.apply(&entry(&squatter, &[adopted(&own, Some(1), Some(1), 0)]));
    assert_eq!(rivals(&index, &squatter), []);
    let placed = entry(&owner, &[intended(&own, 1), accepted(1), assigned(1, 1, 2)]);
    let related = news(index.apply(&placed));
    assert!(related.contains(&squatter), "the one that loses it looks again: {related:?}");
    assert_eq!(rivals(&index, &owner), []);
    assert_eq!(rivals(&index, &squatter).len(), 2);
}

#[test]
fn p15_a_word_that_resolves_an_unknown_request_comes_before_one_that_nothing_backs() {
    let own = payer(Some("acc0"), true);
    let (squatter, owner) = (key("elsewhere", "squatter"), key("shop", "owner"));
    let resolved = [intended(&own, 1), unknown(), adopted(&own, Some(1), Some(1), 99)];
    let index = index(&[entry(&squatter, &[adopted(&own, Some(1), Some(1), 0)]), entry(&owner, &resolved)]);
    assert_eq!(rivals(&index, &owner), []);
    assert_eq!(rivals(&index, &squatter).len(), 2);
    // Not even one who was refused before, or took back a word: no request of his could have brought it.
    let refusal = serde_json::from_value(serde_json::json!({"code": "X"})).unwrap();
    let refused = Event::Refused { attempt: attempt(), at: at(1), refusal };
    let not_placed = Event::NotPlaced { attempt: attempt(), at: at(2) };
    for before in [vec![refused], vec![unknown(), not_placed]] {
        let events: Vec<_> = std::iter::once(intended(&own, 0)).chain(before).collect();
        let state = events.iter().fold(State::default(), State::then);
        let state = state.then(&adopted(&own, Some(1), None, 3));
        assert_eq!(state.bids()[0].title, Title::Adopted, "{events:?}");
    }
}

#[test]
fn p15_a_number_that_was_given_out_again_is_the_newer_orders() {
    let own = payer(Some("acc0"), true);
    let (old, new, squatter) = (key("shop", "old"), key("elsewhere", "new"), key("shop", "squatter"));
    let placed =
        |key: &Key, id, second| entry(key, &[intended(&own, second), accepted(id), assigned(id, 7, second)]);
    let said = entry(&squatter, &[adopted(&own, None, Some(7), 0)]);
    let index = index(&[placed(&new, 2, 20), said, placed(&old, 1, 10)]);
    assert_eq!(rivals(&index, &new), []);
    let [(bid, rival)] = &rivals(&index, &old)[..] else { panic!("one rival") };
    assert_eq!((bid.title, rival), (Title::Placed, &new));
    assert_eq!(rivals(&index, &squatter)[0].1, new);
}

/// Whether they are of one account, as far as anybody can tell.
fn shares(a: (&Payer, &str), b: (&Payer, &str)) -> bool {
    match (&a.0.account, &b.0.account) {
        (Some(one), Some(other)) => one == other,
        _ => a.1 == b.1 || (a.0.own && b.0.own),
    }
}

#[test]
fn p15_claims_are_made_within_an_account_and_a_reference_to_nothing_reaches_nobody() {
    let payers = [
        payer(Some("acc0"), true),
        payer(Some("acc1"), true),
        payer(None, true),
        payer(Some("acc0"), false),
        payer(Some("acc1"), false),
        payer(None, false),
    ];
    let (first, seconds) = (key("shop", "first"), [key("shop", "second"), key("elsewhere", "second")]);
    for (one, other) in payers.iter().flat_map(|one| payers.iter().map(move |other| (one, other))) {
        for second in &seconds {
            let index = index(&[
                entry(&first, &[adopted(one, Some(1), None, 1)]),
                entry(second, &[adopted(other, Some(1), None, 2)]),
            ]);
            let expected = shares((one, "shop"), (other, second.namespace.as_str()));
            assert_eq!(!rivals(&index, second).is_empty(), expected, "{one:?} {other:?} {second}");
            assert_eq!(rivals(&index, &first), [], "{one:?} {other:?} {second}");
        }
    }
    // What an earlier version placed names no account, only whether the key was the operator's own.
    let legacy = entry(&first, &[intended(&payer(None, true), 0), accepted(1)]);
    let index =
        |other: &Payer| index(&[legacy.clone(), entry(&seconds[1], &[adopted(other, Some(1), None, 2)])]);
    assert_eq!(rivals(&index(&payer(None, true)), &seconds[1]).len(), 1);
    assert_eq!(rivals(&index(&payer(Some("acc0"), false)), &seconds[1]), []);
}

#[test]
fn p26_it_costs_nothing_how_many_of_other_accounts_claim_the_same() {
    let mut index = Index::default();
    for n in 0..500 {
        let (key, payer) = (key("theirs", &format!("o{n}")), payer(Some(&format!("acc{n}")), false));
        let related = news(index.apply(&entry(&key, &[adopted(&payer, Some(1), Some(1), n)])));
        assert_eq!(related, [], "nobody is woken by it");
    }
}

/// What may happen to one order, whose request got this id.
fn history(payer: &Payer, given: u8) -> impl Strategy<Value = Vec<Event>> + use<> {
    let payer = payer.clone();
    let event = prop_oneof![
        (0..90i64).prop_map({
            let payer = payer.clone();
            move |second| intended(&payer, second)
        }),
        Just(accepted(given)),
        Just(unknown()),
        Just(Event::NotPlaced { attempt: attempt(), at: at(60) }),
        (0..3u8, 0..90i64).prop_map(move |(n, second)| assigned(given, n, second)),
        (0..3u8, 0..90i64).prop_map(|(n, second)| Event::Pushed {
            attempt: attempt(),
            at: at(second),
            order_id: None,
            number: Some(number(n)),
        }),
        (prop::option::of(0..3u8), prop::option::of(0..3u8), 0..90i64)
            .prop_map(move |(id, n, second)| adopted(&payer, id, n, second)),
    ];
    prop::collection::vec(event, 1..6).prop_map(possible)
}

/// Without adoptions of another id than the one that was placed, which are never recorded.
fn possible(events: Vec<Event>) -> Vec<Event> {
    let mut state = State::default();
    let happens = |event: &Event| {
        let placed = state.accepted.as_ref().filter(|accepted| accepted.attempt.is_some());
        let placed = placed.and_then(|accepted| accepted.id.clone());
        let other =
            matches!((event, placed), (Event::Adopted { id: Some(id), .. }, Some(placed)) if *id != placed);
        state = if other { state.clone() } else { state.clone().then(event) };
        !other
    };
    events.into_iter().filter(happens).collect()
}

fn resources() -> impl Strategy<Value = Vec<(Key, Vec<Event>)>> {
    let whose = (prop::option::of(prop::sample::select(vec!["acc0", "acc1"])), any::<bool>());
    let namespace = prop::sample::select(vec!["shop", "elsewhere"]);
    let one = (namespace, whose, 0..3u8).prop_flat_map(|(namespace, (key, own), given)| {
        history(&payer(key, own), given).prop_map(move |events| (namespace, events))
    });
    prop::collection::vec(one, 2..5).prop_map(|all| {
        let named = |(n, (namespace, events))| (key(namespace, &format!("o{n}")), events);
        all.into_iter().enumerate().map(named).collect()
    })
}

/// Whether the provider's own word is behind what this order claims: an answer, or a push.
fn by_the_provider(events: &[Event], claim: &Claim) -> bool {
    events.iter().any(|event| match (event, claim) {
        (Event::Accepted { id, .. }, Claim::OrderId(claimed)) => id == claimed,
        (Event::Assigned { order_id, .. }, Claim::OrderId(claimed)) => order_id == claimed,
        (
            Event::Assigned { number, .. } | Event::Pushed { number: Some(number), .. },
            Claim::Number(claimed),
        ) => number.as_str() == claimed,
        _ => false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn p15_the_providers_word_comes_first_whatever_came_before_and_whoever_says_what(
        (resources, order) in resources().prop_flat_map(|all| {
            let order = Just((0..all.len()).collect::<Vec<_>>()).prop_shuffle();
            (Just(all), order)
        }),
    ) {
        let entries: Vec<_> = resources.iter().map(|(key, events)| entry(key, events)).collect();
        let sorted = index(&entries);
        let shuffled = index(&order.iter().map(|n| entries[*n].clone()).collect::<Vec<_>>());
        for (key, events) in &resources {
            prop_assert_eq!(rivals(&sorted, key), rivals(&shuffled, key), "whoever is known first");
            let payer = sorted.get(key).unwrap().state.payer();
            for (bid, rival) in rivals(&sorted, key) {
                let (_, theirs) = resources.iter().find(|(key, _)| *key == rival).unwrap();
                let other = sorted.get(&rival).unwrap().state.payer();
                prop_assert!(shares((&payer, &key.namespace), (&other, &rival.namespace)));
                // What a push calls an order that was answered otherwise is not its id (promise 18), and a
                // person's own word may put another in its place.
                let answer = |event: &Event| matches!(event, Event::Accepted { id, .. } if bid.claim != Claim::OrderId(id.clone()));
                let renamed = matches!(bid.claim, Claim::OrderId(_)) && events.iter().any(answer);
                let corrected = events.iter().any(|event| matches!(event, Event::Adopted { .. }));
                if by_the_provider(events, &bid.claim) && !renamed && !corrected {
                    prop_assert!(by_the_provider(theirs, &bid.claim), "{key} loses to a word: {bid:?}");
                }
            }
        }
    }

    #[test]
    fn p15_a_claim_ends_with_its_entry_and_one_of_each_claim_is_its_owner(resources in resources()) {
        let entries: Vec<_> = resources.iter().map(|(key, events)| entry(key, events)).collect();
        let whole = index(&entries);
        let claims = |key: &Key| whole.get(key).unwrap().state.bids();
        for (key, _) in &resources {
            for claim in claims(key).iter().map(|bid| &bid.claim) {
                let contested = |other: &Key| rivals(&whole, other).iter().any(|(bid, _)| bid.claim == *claim);
                let all = resources.iter().map(|(other, _)| other);
                let mut holders = all.filter(|other| claims(other).iter().any(|bid| bid.claim == *claim));
                prop_assert!(holders.any(|holder| !contested(holder)), "{claim:?} has no owner");
            }
        }
        let mut without = index(&entries);
        let (gone, _) = &resources[0];
        without.remove(gone);
        let never = index(&entries[1..]);
        for (key, _) in &resources[1..] {
            prop_assert_eq!(rivals(&without, key), rivals(&never, key));
        }
    }
}

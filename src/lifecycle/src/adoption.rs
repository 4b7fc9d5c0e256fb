//! What a person says that an order is, and who else says so of the same (promise 15).

use super::order::{Next, OrderNeed, View, conflict};
use super::{Decision, Found, Warning};
use tenios_api::PhoneNumber;
use tenios_api::order::AdoptOrder;
use tenios_api::valid::ValidOrder;
use tenios_ledger::{Bid, Claim, Event, Payer, Rival, State, Title};

const ALSO_CLAIMED: &str = "AlsoClaimed";

/// What `spec.adopt` asks for, where that is not recorded yet.
pub(super) fn adopt(view: &View) -> Option<Next> {
    let adopt = ValidOrder::new(view.spec).ok()?.spec().adopt.as_ref()?;
    let AdoptOrder { order_id, phone_number } = adopt;
    let state = view.state;
    if let Some(why) = contradicts_the_provider(state, order_id.as_deref(), phone_number.as_ref()) {
        return Some(conflict(why));
    }
    let known_number = state.number.as_ref().map(|known| &known.number);
    let news_id = order_id.as_deref().is_some_and(|id| Some(id) != state.id());
    let news_number = phone_number.as_ref().is_some_and(|number| Some(number) != known_number);
    let own = view.spec.access_key_secret_ref.is_none();
    let adopted = state.accepted.is_some() && !state.may_have_placed();
    // An earlier version recorded no account with what it adopted.
    let nameless = adopted && state.account.is_none();
    // Who adopted with a key of his own has not adopted with the operator's.
    let moved = adopted && state.own != own;
    if !news_id && !news_number && !nameless && !moved {
        return None;
    }
    // While a sender may be at work its own answer comes first.
    if let Some(wait) = view.in_flight() {
        return Some(wait);
    }
    // Whose it is stays recorded, so that no failure of a moment decides it.
    if let (Some(Found::Unread(why)), false) = (&view.answers.access_key, state.may_have_placed()) {
        return (news_id || news_number).then(|| view.waits_for_access_key(why));
    }
    let Some(payer) = payer(view) else {
        return Some(Decision::Need(OrderNeed::AccessKey(view.spec.access_key_secret_ref.clone())));
    };
    if !news_id && !news_number && !moved && payer.account.is_none() {
        return None;
    }
    let adopted = Event::Adopted {
        at: view.now,
        id: order_id.clone(),
        number: phone_number.clone(),
        account: payer.account.clone(),
        own: payer.own,
    };
    let after = state.clone().then(&adopted);
    let payer = after.payer();
    let conflict = news(state, &after).iter().find_map(|bid| {
        let rival = view.around.rival(bid, &payer).filter(|rival| !is_mere_word(view, rival))?;
        Some(in_conflict(view, bid, &rival))
    });
    Some(conflict.unwrap_or(Decision::Record(vec![adopted])))
}

/// What a stranger says of himself holds up nobody's order that the provider has accepted.
fn is_mere_word(view: &View, rival: &Rival) -> bool {
    view.state.is_placed() && rival.title != Title::Placed && rival.key.namespace != view.key.namespace
}

/// A person's word stands beside what the provider said, and never against it.
fn contradicts_the_provider(state: &State, id: Option<&str>, number: Option<&PhoneNumber>) -> Option<String> {
    let known_id = state.id();
    let placed_by_us = state.accepted.as_ref().is_some_and(|a| a.attempt.is_some() && a.id.is_some());
    if let (Some(wanted), Some(known)) = (id, known_id)
        && wanted != known
        && placed_by_us
    {
        return Some(format!(
            "spec.adopt.orderId is {wanted}, but this resource placed order {known}; remove spec.adopt.orderId, or adopt {wanted} in a resource with another name"
        ));
    }
    if let (Some(wanted), Some(known)) = (number, &state.number)
        && *wanted != known.number
        && known.pushed
        && id.is_none_or(|wanted| Some(wanted) == known_id)
    {
        return Some(format!(
            "spec.adopt.phoneNumber is {wanted}, but the number of this order is {}; remove spec.adopt.phoneNumber",
            known.number
        ));
    }
    None
}

/// Whose account it is about: that of the request which it may resolve, else that of the spec. None where the
/// access key was not read yet.
fn payer(view: &View) -> Option<Payer> {
    if view.state.may_have_placed() {
        return Some(view.state.payer());
    }
    let account = match view.answers.access_key.as_ref()? {
        Found::Usable(access_key) => Some(access_key.account().clone()),
        Found::Missing(_) | Found::Invalid(_) | Found::Unread(_) => None,
    };
    Some(Payer { account, own: view.spec.access_key_secret_ref.is_none() })
}

/// What is claimed afterwards and was not before. Its time counts from when it is recorded.
fn news(before: &State, after: &State) -> Vec<Bid> {
    let had = before.bids();
    let is_new = |bid: &Bid| had.iter().all(|had| had.claim != bid.claim);
    let bid = |bid: Bid| if is_new(&bid) { Bid { since: None, ..bid } } else { bid };
    after.bids().into_iter().map(bid).collect()
}

/// Who else claims what this order claims by the ledger, as a conflict or a warning. An order that the provider
/// gave is in no conflict over it, whatever anybody says: money was paid for it. It may be given out again.
pub(super) fn contested(view: &View) -> Option<Result<Warning, Next>> {
    let payer = view.state.payer();
    let bids = view.state.bids();
    let (bid, rival) = bids.iter().find_map(|bid| Some((bid, view.around.rival(bid, &payer)?)))?;
    if !view.state.is_placed() && bid.title != Title::Placed {
        return Some(Err(in_conflict(view, bid, &rival)));
    }
    let (what, whose) = (what(&bid.claim), whose(view, &rival));
    Some(Ok(if rival.title == Title::Placed {
        let message = format!(
            "TENIOS also gave {what} to {whose}; if it was cancelled in the meantime, this order no longer has it: check the TENIOS portal"
        );
        Warning { reason: "GivenTwice", message }
    } else {
        let message =
            format!("{what} was adopted earlier by {whose}; check the TENIOS portal to see whose it is");
        Warning { reason: ALSO_CLAIMED, message }
    }))
}

fn in_conflict(view: &View, bid: &Bid, rival: &Rival) -> Next {
    let mend = if rival.key.namespace == view.key.namespace {
        "keep only one of the two"
    } else {
        "check spec.adopt, or ask the operator's administrators, who can see both"
    };
    let mut next = conflict(format!(
        "{} is already claimed by {} and can have only one owner; {mend}",
        what(&bid.claim),
        whose(view, rival)
    ));
    // No watch tells that another access key is in the Secret.
    if let Decision::Rest(summary) = &mut next
        && view.spec.access_key_secret_ref.is_some()
        && bid.since.is_none()
    {
        summary.requeue_after = Some(view.retry_policy.retry_max);
    }
    next
}

fn what(claim: &Claim) -> String {
    match claim {
        Claim::OrderId(id) => format!("order id {id}"),
        Claim::Number(number) => format!("number {number}"),
    }
}

/// Another tenant's names are not this tenant's business.
fn whose(view: &View, rival: &Rival) -> String {
    if rival.key.namespace == view.key.namespace {
        format!("PhoneNumberOrder {}", rival.key.name)
    } else {
        "a resource in another namespace".into()
    }
}

/// For the one whose claim it is: that another says the same of itself.
#[must_use]
pub fn also_claimed(claim: &Claim, by: Option<&str>) -> Warning {
    let by = by.map_or_else(|| "another resource".to_owned(), |name| format!("PhoneNumberOrder {name}"));
    let message =
        format!("{by} also claims {} in its spec.adopt; nothing changes for this order", what(claim));
    Warning { reason: ALSO_CLAIMED, message }
}

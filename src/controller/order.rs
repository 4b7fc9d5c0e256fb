//! One visit to a `PhoneNumberOrder`.

use std::sync::Arc;
use std::time::Duration;

use kube::{Resource, ResourceExt};
use secrecy::{ExposeSecret, SecretString};

use super::caches::Guarded;
use super::errand::{self, Errand, NotStarted};
use super::look::{self, Ended, Rounds};
use super::unreadable::{self, Unreadable};
use super::{Context, Failed, PATIENCE, now, status};
use crate::api::order::OrderState;
use crate::api::{NOT_PLACED_ANNOTATION, PhoneNumber, PhoneNumberOrder, PhoneNumberOrderSpec, Reason};
use crate::ledger::{
    Account, AppendError, AttemptId, Bid, Key, Kind, Payer, Reservation, Rival, Spent, State, Terms, Title,
    terms,
};
use crate::lifecycle::order::{Link, Verification, View, decide};
use crate::lifecycle::{Budget, Decision, Found, Standing, also_claimed, project_order, since};
use crate::tenios::Request;

/// A ring of more links than this is not looked for: it shows as waiting for its first link.
const LINKS_FOLLOWED: usize = 64;

/// What one visit has found out so far beyond the caches.
#[derive(Default)]
struct Visit<'a> {
    access_key: Option<Found<SecretString>>,
    reservation: Option<Reservation<'a>>,
    budget: Option<Budget>,
}

/// Visits an order until it rests. Returns when to look again.
pub(super) async fn visit(
    context: &Arc<Context>,
    object: &Arc<Guarded<PhoneNumberOrder>>,
) -> Result<Option<Duration>, Failed> {
    let key =
        Key { kind: Kind::Order, namespace: object.namespace().unwrap_or_default(), name: object.name_any() };
    let (mut object, mut rounds) = (object.clone(), Rounds::default());
    loop {
        let Ok(order) = &object.0 else { return report_unreadable(context, &key, &object).await };
        let standing = match settle(context, &key, &object, order, &mut rounds).await? {
            Ended::Rests(standing) => standing,
            Ended::Changed(now) => {
                object = now;
                continue;
            }
            Ended::Gone => return Ok(None),
        };
        if let Some(soon) = context.slots.not_worth_a_word(&key) {
            return Ok(Some(soon));
        }
        return show(context, &key, &object, order, &standing).await;
    }
}

async fn settle(
    context: &Arc<Context>,
    key: &Key,
    object: &Guarded<PhoneNumberOrder>,
    order: &PhoneNumberOrder,
    rounds: &mut Rounds,
) -> Result<Ended<PhoneNumberOrder, OrderState>, Failed> {
    let mut visit = Visit::default();
    while rounds.another() {
        let known = context.book.known(key);
        match consider(context, key, order, &known.state, &visit) {
            Decision::Rest(standing) => {
                give_back(context, &mut visit);
                return Ok(Ended::Rests(standing));
            }
            // Adopting sends nothing, and waits for no slot.
            Decision::ReadSecrets if order.spec.adopt.is_none() && context.slots.still_waits(key) => {
                return Ok(Ended::Rests(errand::awaits_its_turn(OrderState::Waiting)));
            }
            Decision::ReadSecrets => {
                let reference = order.spec.access_key_secret_ref.as_ref();
                visit.access_key = Some(context.secrets.access_key(&key.namespace, reference).await?);
            }
            Decision::Reserve(payer) => match reserve(context, key, &payer) {
                Ok(place) => {
                    visit.reservation = Some(place);
                    visit.budget = Some(Budget::Reserved);
                }
                Err(spent) => {
                    visit.budget = Some(Budget::Exceeded { whose: spent.whose, until: spent.until });
                }
            },
            Decision::Record(events) => match context.book.append(&known.entry, &events).await {
                Ok(()) => context.wake.changed(key),
                Err(AppendError::Conflict(_)) => {}
                Err(error) => {
                    let standing = errand::ledger_unavailable(OrderState::Waiting, &error.to_string());
                    return Ok(Ended::Rests(standing));
                }
            },
            Decision::Send(terms) => {
                if let Some(ended) = send(context, key, object, terms, &mut visit).await {
                    give_back(context, &mut visit);
                    return Ok(ended);
                }
            }
        }
    }
    give_back(context, &mut visit);
    Ok(Ended::Rests(errand::never_rests(OrderState::Waiting)))
}

/// Who finds no place looks again when one is given back.
fn reserve<'a>(context: &'a Context, key: &Key, payer: &Payer) -> Result<Reservation<'a>, Spent> {
    let reserve = || context.book.reserve(&key.namespace, payer, now());
    let spent = match reserve() {
        Err(spent) => spent,
        place => return place,
    };
    context.shortage.wait(key, &spent.purse);
    // Again, because it may have been given back before this one was known to wait.
    let place = reserve();
    if place.is_ok() {
        context.shortage.visit(key);
    }
    place
}

/// Nothing was sent: whoever waits for the place in the budget can have it.
fn give_back(context: &Context, visit: &mut Visit<'_>) {
    let held = visit.reservation.take().map(|held| held.purses().clone());
    *visit = Visit::default();
    if let Some(purses) = held {
        context.shortage.over(&purses, &context.wake);
    }
}

/// Sends and waits a little for the end. None means: decide again.
async fn send(
    context: &Arc<Context>,
    key: &Key,
    object: &Guarded<PhoneNumberOrder>,
    terms: Terms,
    visit: &mut Visit<'_>,
) -> Option<Ended<PhoneNumberOrder, OrderState>> {
    let rests = |why: NotStarted| {
        why.standing(OrderState::Waiting, OrderState::Ordering, Reason::Ordering, &context.config.pace)
            .map(Ended::Rests)
    };
    let slot = match errand::prepare(context, key).await {
        Ok(slot) => slot,
        Err(why) => return rests(why),
    };
    let now = match look::once_more(&context.client, object).await {
        Ok(Some(now)) => now,
        Ok(None) => return Some(Ended::Gone),
        Err(why) => return rests(NotStarted::Unseen(why.to_string())),
    };
    // What it refers to may be another by now as well.
    let known = context.book.known(key);
    let sends = |order| consider(context, key, order, &known.state, visit) == Decision::Send(terms.clone());
    let order = match &now.0 {
        Ok(order) if now.uid() == object.uid() && sends(order) => order,
        _ => return Some(Ended::Changed(now)),
    };
    let Some(Found::Usable(access_key)) = visit.access_key.take() else { return None };
    let attempt = AttemptId::random();
    let request = Request::Order {
        number_type: order.spec.number_type.as_str(),
        verification_id: terms.get(terms::VERIFICATION_ID)?.clone(),
        link_to: terms.get(terms::LINK_NUMBER).and_then(|n| PhoneNumber::try_from(n.as_str()).ok()),
        push: context.push.as_ref().map(|push| push.target(&key.namespace, &key.name, &attempt)),
    };
    let errand = Errand { key: key.clone(), attempt, terms, request, access_key };
    let started = errand::start(context, &known.entry, errand, slot).await;
    match started {
        Ok(ended) => {
            *visit = Visit::default();
            let _ = tokio::time::timeout(PATIENCE, ended).await;
            None
        }
        Err(why) => {
            give_back(context, visit);
            rests(why)
        }
    }
}

fn consider(
    context: &Context,
    key: &Key,
    order: &PhoneNumberOrder,
    state: &State,
    visit: &Visit,
) -> Decision<OrderState> {
    let spec = &order.spec;
    let name = spec.verification_ref.as_ref().map(|r| r.name.as_str());
    let referred = name.map(|name| Key {
        kind: Kind::Verification,
        namespace: key.namespace.clone(),
        name: name.into(),
    });
    // Registered before the cache is read: a change in between wakes.
    if let Some(target) = &referred {
        context.wake.when_changed(target, key);
    }
    let verification = name.and_then(|name| context.caches.verification(&key.namespace, name));
    let verification_known = referred.as_ref().map(|key| context.book.known(key));
    let view = View {
        key,
        spec,
        deleting: order.metadata.deletion_timestamp.is_some(),
        status: order.status.as_ref(),
        not_placed: order.annotations().get(NOT_PLACED_ANNOTATION).map(String::as_str),
        state,
        sender: context.flights.sender(key, state),
        known_for: context.flights.known_for(key, state),
        verification: match (name, &verification, &verification_known) {
            (Some(name), Some(found), Some(known)) => Verification::Found {
                name,
                spec: found.0.as_ref().ok().map(|v| &v.spec),
                state: &known.state,
                proven: known.state.id().is_some_and(|id| context.book.is_proven(id)),
            },
            (Some(name), _, _) => Verification::Missing(name),
            (None, _, _) => Verification::Given(spec.verification_id.as_deref().unwrap_or_default()),
        },
        link: link(context, key, spec),
        access_key: visit.access_key.as_ref().map(|found| found.as_ref().map(account)),
        budget: visit.budget.clone().unwrap_or(Budget::NotAsked),
        rival: &|bid, payer| rival(context, key, bid, payer),
        pace: &context.config.pace,
        push: context.push.is_some(),
        now: now(),
    };
    decide(&view)
}

fn account(access_key: &SecretString) -> Account {
    Account::of_key(access_key.expose_secret())
}

/// Who comes before this one with a claim. What waits in conflict looks again when that one's entry changes or
/// goes, and that one is told.
fn rival(context: &Context, key: &Key, bid: &Bid, payer: &Payer) -> Option<Rival> {
    let before = context.book.rival(key, bid, payer)?;
    context.wake.when_changed(&before.key, key);
    // Again, because it may have gone before the wake was registered.
    let rival = context.book.rival(key, bid, payer)?;
    let anothers = &rival.key;
    if bid.title != Title::Placed && context.caches.order(&anothers.namespace, &anothers.name).is_some() {
        let by = (anothers.namespace == key.namespace).then_some(key.name.as_str());
        context.contested.tell(anothers, || also_claimed(&bid.claim, by), &context.wake);
    }
    Some(rival)
}

/// Follows `linkTo.orderRef` from order to order.
fn link(context: &Context, key: &Key, spec: &PhoneNumberOrderSpec) -> Link {
    let Some(link) = &spec.link_to else { return Link::None };
    if let Some(number) = &link.phone_number {
        return Link::Number(number.clone());
    }
    let Some(first) = link.order_ref.as_ref().map(|r| r.name.clone()) else { return Link::None };
    let target = Key { name: first.clone(), ..key.clone() };
    context.wake.when_changed(&target, key);
    if let Some(assigned) = &context.book.known(&target).state.number {
        return Link::Number(assigned.number.clone());
    }
    if context.caches.order(&key.namespace, &first).is_none() {
        return Link::Missing(first);
    }
    ring(context, key, &first).map_or(Link::Waiting(first), Link::Ring)
}

/// The names from the one that the links come back to, that one again at the end.
fn ring(context: &Context, key: &Key, first: &str) -> Option<Vec<String>> {
    let mut path = vec![key.name.clone()];
    let mut next = first.to_owned();
    while path.len() <= LINKS_FOLLOWED {
        if let Some(start) = path.iter().position(|name| *name == next) {
            path.push(next);
            return Some(path.split_off(start));
        }
        let order = context.caches.order(&key.namespace, &next)?;
        let link = order.0.as_ref().ok()?.spec.link_to.as_ref()?.order_ref.as_ref()?.name.clone();
        path.push(std::mem::replace(&mut next, link));
    }
    None
}

async fn show(
    context: &Context,
    key: &Key,
    object: &Guarded<PhoneNumberOrder>,
    order: &PhoneNumberOrder,
    standing: &Standing<OrderState>,
) -> Result<Option<Duration>, Failed> {
    let known = context.book.known(key);
    let previous = order.status.clone().unwrap_or_default();
    let generation = order.metadata.generation.unwrap_or_default();
    let next = project_order(&known.state, standing, generation, &previous, now());
    if previous != next && context.is_anothers(key, object).await {
        return Ok(standing.again.or(Some(context.config.pace.retry_max)));
    }
    let since = since(&known.state, standing.reason, &next.conditions);
    context.stands(key, format!("{:?}", standing.state), standing.reason, since);
    if status::write(&context.client, object, &previous, &next).await? {
        context.wake.changed(key);
        status::announce(&context.client, object, &previous.conditions, &next.conditions).await;
    }
    let told = standing.remark.clone().or_else(|| context.contested.of(key));
    context.remark(key, object, told.as_ref()).await;
    Ok(context.look_again(key, standing.reason, standing.again))
}

/// A resource that was stored by an older or looser schema is reported on it and otherwise left alone.
async fn report_unreadable(
    context: &Context,
    key: &Key,
    object: &Guarded<PhoneNumberOrder>,
) -> Result<Option<Duration>, Failed> {
    let Some(Unreadable { why, status: previous }) = unreadable::look(&context.client, object).await? else {
        return Ok(None);
    };
    let message = format!("this version of the operator can't read the resource: {why}; nothing is sent");
    let standing = Standing::new(OrderState::Waiting, Reason::InvalidSpec, message);
    let known = context.book.known(key);
    let generation = object.meta().generation.unwrap_or_default();
    let next = project_order(&known.state, &standing, generation, &previous, now());
    // Since when it is so stands in no status.
    context.stands(key, "Unreadable".into(), standing.reason, None);
    // What it showed before can't be read either, so the only memory of having reported it is ours.
    let words = format!("{generation}: {}", standing.message);
    if context.is_news(key, &words) {
        status::replace(&context.client, object, &next).await?;
        context.was_told(key, &words);
        status::announce(&context.client, object, &[], &next.conditions).await;
    }
    Ok(None)
}

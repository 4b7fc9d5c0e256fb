//! The `ConfigMap` that an order's number is written into: what is to stand there, whose it is, and what is told of it.
//! Who else has one of that name keeps it (promise 28).

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

use super::decide::Recorded;
use tenios_api::name::is_dns_subdomain;
use tenios_api::{Condition, ConditionStatus, ConditionType, PhoneNumber, PhoneNumberOrderSpec, Reason};
use tenios_ledger::Kind;

/// What is to be written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The name of the `ConfigMap`.
    pub name: String,
    /// Its keys; none for one that must not be there.
    pub data: BTreeMap<&'static str, Option<String>>,
    /// What TENIOS said about the end of the number, if it is cancelled.
    pub cancelled: Option<Cancelled>,
}

/// The end of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancelled {
    /// As it was recorded.
    pub date: String,
    /// Whether that day has begun. From then on the number may be somebody else's. A date that can't be read may be any
    /// day.
    pub is_over: bool,
}

impl Cancelled {
    fn new(date: &str, now: Timestamp) -> Self {
        let day = date.parse::<civil::Date>().ok();
        let begins = day.and_then(|day| TimeZone::UTC.to_timestamp(day.into()).ok());
        Self { date: date.to_owned(), is_over: begins.is_none_or(|begins| begins <= now) }
    }
}

/// What was found under that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing.
    Missing,
    /// A `ConfigMap`.
    Exists {
        /// What controls it, if anything does.
        controller: Option<Owner>,
        /// What is in it.
        data: BTreeMap<String, String>,
    },
    /// It may not be read or written, and why.
    Forbidden(String),
    /// It could not be read or written, and why.
    Failed(String),
}

/// What an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// As in `apiVersion`, without the version.
    pub group: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

impl Owner {
    /// The order of this name and uid.
    #[must_use]
    pub fn order(name: &str, uid: &str) -> Self {
        let (group, kind) = (tenios_api::GROUP.to_owned(), Kind::Order.as_str().to_owned());
        Self { group, kind, name: name.to_owned(), uid: uid.to_owned() }
    }

    /// Whether both mean one order, which may have been created again meanwhile: the ledger knows it by its name, too.
    fn is_same_order(&self, other: &Self) -> bool {
        (&self.group, &self.kind, &self.name) == (&other.group, &other.kind, &other.name)
    }
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// To create it.
    Create,
    /// To put the wanted data into it, and the owner; as long as it is the one that was found.
    Update,
    /// Nothing.
    Rest(Told),
}

/// What the condition `NumberWritten` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Whether the number is there.
    pub status: ConditionStatus,
    /// Why.
    pub reason: Reason,
    /// What to do about it.
    pub message: String,
}

impl Told {
    fn not(reason: Reason, message: String) -> Self {
        Self { status: ConditionStatus::False, reason, message }
    }

    /// Whether somebody has to do something about it.
    #[must_use]
    pub fn fails(&self) -> bool {
        !matches!(self.reason, Reason::NumberWritten | Reason::AwaitingNumber | Reason::Cancelled)
    }

    /// Whether it has to be looked at again although nothing changes here: nobody watches what is written.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self.reason, Reason::NumberWritten | Reason::Cancelled)
    }

    /// As it is shown, after what was shown before.
    #[must_use]
    pub fn condition(&self, generation: i64, previous: &[Condition], now: Timestamp) -> Condition {
        Condition {
            type_: ConditionType::NumberWritten,
            status: self.status,
            reason: self.reason,
            message: self.reason.message(&self.message),
            observed_generation: generation,
            last_transition_time: now,
        }
        .carried_over(previous)
    }
}

/// What the order asks for; none where it asks for nothing, and what is told where it is too early or can't be.
#[must_use]
pub fn wanted(
    spec: &PhoneNumberOrderSpec,
    recorded: &Recorded,
    assigned: bool,
    now: Timestamp,
) -> Option<Result<Wanted, Told>> {
    let name = &spec.write_number_to.as_ref()?.config_map_name;
    let number = recorded.own.number.as_ref().filter(|_| assigned);
    let Some(number) = number else {
        let message = "nothing is written before the number is assigned".to_owned();
        return Some(Err(Told::not(Reason::AwaitingNumber, message)));
    };
    // A tenant chose it, and it stands in the path of a request as it is.
    if !is_dns_subdomain(name) {
        return Some(Err(failed(name, "that is not a valid name for a ConfigMap")));
    }
    let cancelled = recorded.follow_up.id().map(|date| Cancelled::new(date, now));
    let data = data(&number.number, recorded.own.id(), cancelled.as_ref());
    Some(Ok(Wanted { name: name.clone(), data, cancelled }))
}

fn data(
    number: &PhoneNumber,
    order_id: Option<&str>,
    cancelled: Option<&Cancelled>,
) -> BTreeMap<&'static str, Option<String>> {
    let digits = number.as_str().trim_start_matches('+');
    let while_ours = |text: String| cancelled.is_none_or(|cancelled| !cancelled.is_over).then_some(text);
    BTreeMap::from([
        ("e164", while_ours(number.to_string())),
        ("digits", while_ours(digits.to_owned())),
        ("national", digits.strip_prefix("49").and_then(|rest| while_ours(format!("0{rest}")))),
        ("orderId", order_id.map(ToOwned::to_owned)),
        ("cancellationDate", cancelled.map(|cancelled| cancelled.date.clone())),
    ])
}

impl Wanted {
    fn written(&self) -> Told {
        let until = self
            .cancelled
            .as_ref()
            .map(|cancelled| format!(" until {}, when its cancellation takes effect", cancelled.date));
        Told {
            status: ConditionStatus::True,
            reason: Reason::NumberWritten,
            message: format!("the number is in ConfigMap {:?}{}", self.name, until.unwrap_or_default()),
        }
    }

    /// What is told of a number that may be somebody else's by now; none of one that is ours.
    fn ended(&self, what: &str) -> Option<Told> {
        let Cancelled { date, .. } = self.cancelled.as_ref().filter(|cancelled| cancelled.is_over)?;
        let message = format!("the number is cancelled as of {date}, so ConfigMap {:?} {what}", self.name);
        Some(Told::not(Reason::Cancelled, message))
    }

    fn not_owned(&self, controller: Option<&Owner>) -> Told {
        let whose = controller.map_or("does not belong to this order".into(), |owner| {
            format!("belongs to {} {:?}", owner.kind, owner.name)
        });
        let message = format!(
            "ConfigMap {:?} {whose} and is left as it is; name another one in spec.writeNumberTo, or delete it",
            self.name
        );
        Told::not(Reason::ConfigMapNotOwned, message)
    }
}

/// What to do about what was found.
#[must_use]
pub fn next(wanted: &Wanted, seen: &Seen, order: &Owner) -> Step {
    let Wanted { name, data, .. } = wanted;
    match seen {
        Seen::Missing => wanted.ended("is not created").map_or(Step::Create, Step::Rest),
        Seen::Exists { controller: Some(owner), data: found } if owner.is_same_order(order) => {
            let same = data.iter().all(|(key, value)| found.get(*key) == value.as_ref());
            if !same || owner.uid != order.uid {
                return Step::Update;
            }
            Step::Rest(wanted.ended("no longer has it").unwrap_or_else(|| wanted.written()))
        }
        Seen::Exists { controller, .. } => {
            let ended = wanted.ended("is left as it is, because it does not belong to this order");
            Step::Rest(ended.unwrap_or_else(|| wanted.not_owned(controller.as_ref())))
        }
        Seen::Forbidden(why) => Step::Rest(Told::not(
            Reason::ConfigMapForbidden,
            format!(
                "the operator may not read or write ConfigMap {name:?}: {why}. Its administrators allow that with numberConfigMaps.enabled=true in the chart"
            ),
        )),
        Seen::Failed(why) => Step::Rest(failed(name, why)),
    }
}

/// What can't be written for a reason that nobody foresaw.
#[must_use]
pub fn failed(name: &str, why: &str) -> Told {
    Told::not(Reason::ConfigMapNotWritten, format!("ConfigMap {name:?} can't be written: {why}; retrying"))
}

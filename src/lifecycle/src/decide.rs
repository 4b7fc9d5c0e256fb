//! What all kinds have in common: something that TENIOS is asked for, at most once.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;

use super::config_map::{Told, Wanted};
use super::retry::Due;
use super::status::Evidence;
use super::{
    AccessKey, Answers, Budget, Decision, Found, Need, Pending, RetryPolicy, Sender, StatusSummary,
    Surroundings, pending, refusal_message, shown,
};
use tenios_api::pdf::Document;
use tenios_api::{Condition, ConditionStatus, ConditionType, Endpoint, Reason, RequestField};
use tenios_ledger::{Event, Key, Kind, Payer, Phase, State, Terms};

/// Something that TENIOS is asked for on behalf of a resource, at most once. It has a ledger entry of its own.
pub trait Asks: Sized {
    /// Of the resource.
    type Spec;
    /// Of the resource.
    type Status: Clone + Default + PartialEq;
    /// What `.status.state` says.
    type Step: Copy + Debug + PartialEq;
    /// What a decision may ask for.
    type Need: Debug + Into<Need>;
    /// What is sent.
    type Intent: Intent + 'static;
    /// A spec that can be sent, with what it refers to.
    type Valid<'a>;

    /// Its name in the ledger.
    const KIND: Kind;
    /// Its steps and words.
    const WORDS: Words<Self::Step>;

    /// What the spec asks for, as it is recorded.
    fn terms(spec: &Self::Spec) -> Terms;
    /// Whether nothing is to be sent for now.
    fn is_suspended(spec: &Self::Spec) -> bool;
    /// Whether it names something that exists already.
    fn adopts(spec: &Self::Spec) -> bool;
    /// What a person says that exists already, where that is not recorded yet.
    fn adopt(view: &View<Self>) -> Option<Decision<Self>>;
    /// What becomes of what was accepted; none where nothing was.
    fn accepted(view: &View<Self>) -> Option<Decision<Self>>;
    /// The spec as it can be sent, or why it can't be.
    ///
    /// # Errors
    /// The field that can't be as it is, for the message.
    fn valid<'a>(view: &View<'a, Self>) -> Result<Self::Valid<'a>, String>;
    /// Whether a person changed anything since the last request that this may have been refused for.
    ///
    /// # Errors
    /// What has to be read to tell.
    fn edited(view: &View<Self>) -> Result<bool, Self::Need>;
    /// What stands between here and a request.
    fn submit(view: &View<Self>, valid: &Self::Valid<'_>) -> Decision<Self>;

    /// Rests until what is missing is there.
    fn waits(reason: Reason, message: impl Into<String>) -> StatusSummary<Self::Step> {
        StatusSummary::new(Self::WORDS.waiting, reason, message)
    }

    /// What a status still shows of these requests.
    fn evidence(status: &Self::Status) -> Evidence;
}

/// A kind of resource, with everything that is asked for on its behalf.
pub trait Managed: Asks {
    /// What else may be asked for once what it is for is there.
    const FOLLOW_UP: Option<Kind>;

    /// Whether the spec asks for that.
    #[must_use]
    fn asks_more(_: &Self::Spec) -> bool {
        false
    }

    /// What to do next about a resource.
    fn decide(view: &View<Self>, follow_up: &Progress) -> Decided<Self::Step>;

    /// When what the spec refers to stops being valid, by the user's word; none where nobody has to know any more.
    #[must_use]
    fn expires(_: &Self::Spec, _: Self::Step) -> Option<Timestamp> {
        None
    }

    /// What is to be written into a `ConfigMap` by a resource at this step; none where nothing is asked for.
    #[must_use]
    fn config_map(_: &Self::Spec, _: &Recorded, _: Self::Step, _: Timestamp) -> Option<Result<Wanted, Told>> {
        None
    }

    /// Whether it is where its spec wants it.
    fn is_ready(step: Self::Step) -> bool;
    /// The status by what the ledger knows, without what [`Self::show`] sets. What only `previous` still tells stays.
    fn known(recorded: &Recorded, previous: &Self::Status) -> Self::Status;
    /// Sets what a resource shows of where it rests.
    fn show(status: &mut Self::Status, generation: i64, step: Self::Step, conditions: Vec<Condition>);
    /// The conditions of a status.
    fn conditions(status: &Self::Status) -> &[Condition];
    /// The conditions that say what became of what was accepted.
    fn outcome(
        spec: Option<&Self::Spec>,
        recorded: &Recorded,
        summary: &StatusSummary<Self::Step>,
    ) -> Vec<(ConditionType, ConditionStatus, Reason)>;
}

/// What the ledger has of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Recorded<'a> {
    /// Of what it is for.
    pub own: &'a State,
    /// Of what else was asked for; empty where nothing can be.
    pub follow_up: &'a State,
}

/// Where nothing else was asked for.
static NOTHING: LazyLock<State> = LazyLock::new(State::default);

impl<'a> From<&'a State> for Recorded<'a> {
    fn from(own: &'a State) -> Self {
        Self { own, follow_up: &NOTHING }
    }
}

/// How far a request is.
pub struct Progress<'a> {
    /// What the ledger knows.
    pub state: &'a State,
    /// Who may be sending.
    pub sender: Sender,
    /// How long this process has known where the newest request stands.
    pub known_for: Duration,
}

/// What to do next about a resource, whichever of its requests it is about.
#[derive(Debug)]
pub struct Decided<S> {
    /// Whose ledger entry it is about.
    pub of: Kind,
    /// What to do.
    pub next: Next<S>,
    /// What is shown while its request is in flight.
    pub sending: (S, Reason),
}

/// As [`Decision`], whatever it is about.
#[derive(Debug)]
pub enum Next<S> {
    /// [`Decision::Record`]
    Record(Vec<Event>),
    /// [`Decision::Need`]
    Need(Need),
    /// [`Decision::Send`]
    Send(Box<dyn Intent>),
    /// [`Decision::Rest`]
    Rest(StatusSummary<S>),
}

impl<M: Asks> From<Decision<M>> for Decided<M::Step> {
    fn from(decision: Decision<M>) -> Self {
        let next = match decision {
            Decision::Record(events) => Next::Record(events),
            Decision::Need(need) => Next::Need(need.into()),
            Decision::Send(intent) => Next::Send(Box::new(intent)),
            Decision::Rest(summary) => Next::Rest(summary),
        };
        Self { of: M::KIND, next, sending: (M::WORDS.sending, M::WORDS.sending_reason) }
    }
}

/// What one request asks TENIOS for. The same value is recorded, compared with the spec, and sent.
pub trait Intent: Debug + Send + Sync {
    /// Where it is sent to.
    fn endpoint(&self) -> Endpoint;
    /// As the ledger has it.
    fn recorded(&self) -> Terms;
    /// The fields of the request.
    fn fields(&self) -> Vec<(RequestField, String)>;
    /// The field with a document.
    fn document(&self) -> Option<(RequestField, &Document)>;
    /// What it is sent with.
    fn access_key(&self) -> &AccessKey;
}

/// How a request is called, and its steps that the others have as well.
pub struct Words<S> {
    /// `order request`
    pub request: &'static str,
    /// What TENIOS did with the request, if it did.
    pub taken: &'static str,
    /// The field that says that it did, and what it is set to.
    pub adopt: (&'static str, &'static str),
    /// What `kubectl` calls the resource.
    pub short_name: &'static str,
    /// What to change after a refusal.
    pub edit: &'static str,
    /// Whether that may be where no watch tells of it.
    pub edit_is_unseen: bool,
    /// Something is missing first.
    pub waiting: S,
    /// A request is in flight.
    pub sending: S,
    /// The reason of that.
    pub sending_reason: Reason,
    /// Nobody can tell what became of a request.
    pub outcome_unknown: S,
    /// TENIOS refused the last request.
    pub refused: S,
    /// A person holds it back.
    pub suspended: S,
}

/// Everything that a decision depends on.
pub struct View<'a, M: Asks> {
    /// Whose it is.
    pub key: &'a Key,
    /// What is wanted.
    pub spec: &'a M::Spec,
    /// Of the spec.
    pub generation: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// What was last shown; read only where the ledger has no entry.
    pub status: Option<&'a M::Status>,
    /// The value of the not-placed annotation.
    pub not_placed: Option<&'a str>,
    /// What the ledger knows.
    pub state: &'a State,
    /// What it knows of the other request of the same resource; empty where there is none.
    pub beside: &'a State,
    /// Who may be sending.
    pub sender: Sender,
    /// How long this process has known where the newest request stands.
    pub known_for: Duration,
    /// What was asked for and answered so far.
    pub answers: &'a Answers,
    /// Other resources.
    pub around: &'a dyn Surroundings,
    /// The bounds of the back-off.
    pub retry_policy: &'a RetryPolicy,
    /// Whether the provider is given a push URL.
    pub push: bool,
    /// The time.
    pub now: Timestamp,
}

impl<'a, M: Asks> View<'a, M> {
    /// Rests until a Secret is there. It may only be read, not watched, so it is looked at again after a while.
    pub(super) fn waits_for_secret(&self, reason: Reason, message: String) -> Decision<M> {
        Decision::Rest(M::waits(reason, message).requeue_after(self.retry_policy.retry_min))
    }

    /// As [`View::waits_for_secret`], for the access key.
    pub(super) fn waits_for_access_key(&self, why: &str) -> Decision<M> {
        self.waits_for_secret(Reason::AccessKeyNotFound, format!("waiting for the access key: {why}"))
    }

    /// The access key, or what has to come first.
    pub(super) fn access_key(
        &self,
        need: impl FnOnce() -> M::Need,
    ) -> Result<&'a AccessKey, Box<Decision<M>>> {
        Err(Box::new(match &self.answers.access_key {
            Some(Found::Usable(access_key)) => return Ok(access_key),
            None => Decision::Need(need()),
            Some(Found::Missing(why) | Found::Invalid(why) | Found::Unread(why)) => {
                self.waits_for_access_key(why)
            }
        }))
    }

    /// Goes on once a place in the budget is reserved.
    pub(super) fn place_in_budget(
        &self,
        budget: &str,
        what: &str,
        access_key: &AccessKey,
        own: bool,
        need: impl FnOnce(Payer) -> M::Need,
    ) -> Result<(), Box<Decision<M>>> {
        Err(Box::new(match &self.answers.budget {
            Some(Budget::Reserved) => return Ok(()),
            None => Decision::Need(need(Payer { account: Some(access_key.account().clone()), own })),
            Some(Budget::Exceeded { whose, until }) => {
                let wait = Duration::try_from(until.duration_since(self.now)).unwrap_or_default();
                let message =
                    format!("{budget} of {whose} is used up; {what} continues at {}", shown(*until));
                // Bounded, because another one may give its place back when it turns out not to have left.
                let wait = wait.clamp(Duration::from_millis(50), self.retry_policy.retry_max);
                Decision::Rest(M::waits(Reason::BudgetExceeded, message).requeue_after(wait))
            }
        }))
    }

    /// Waits for its sender, while one may be at work.
    pub(super) fn in_flight(&self) -> Option<Decision<M>> {
        match pending(self.state, self.sender, None, self.now)? {
            Pending::InFlight { message, requeue_after } => Some(sending(message, requeue_after)),
            _ => None,
        }
    }
}

/// What to do next. Steps that send nothing come before those that may.
#[must_use]
pub fn decide<M: Asks>(view: &View<M>) -> Decision<M> {
    stands(view).unwrap_or_else(|| submit(view))
}

/// What to do about what was asked for, adopted or shown before; none where there is nothing of it.
pub(super) fn stands<M: Asks>(view: &View<M>) -> Option<Decision<M>> {
    let next = told(view).or_else(|| settle(view)).or_else(|| M::accepted(view));
    next.map(|next| warned(view, next))
}

/// What its status or a person tells that the ledger does not know.
pub(super) fn told<M: Asks>(view: &View<M>) -> Option<Decision<M>> {
    rebuild(view).or_else(|| M::adopt(view))
}

fn warned<M: Asks>(view: &View<M>, mut next: Decision<M>) -> Decision<M> {
    if let Decision::Rest(summary) = &mut next {
        let stray = super::stray_annotation([view.state, view.beside], view.not_placed);
        summary.warning = stray.or(summary.warning.take());
    }
    next
}

fn sending<M: Asks>(message: String, requeue_after: Option<Duration>) -> Decision<M> {
    let mut summary = StatusSummary::new(M::WORDS.sending, M::WORDS.sending_reason, message);
    summary.requeue_after = requeue_after;
    Decision::Rest(summary)
}

/// The ledger has nothing, the status has: whoever emptied the ledger, sending again is not the answer.
fn rebuild<M: Asks>(view: &View<M>) -> Option<Decision<M>> {
    let shown = M::evidence(view.status?);
    if !shown.knows_more_than(view.state) {
        return None;
    }
    let Evidence { attempt, requests, id, number, resolved } = shown;
    // Recorded also where another owns the id by now, which is a conflict then: it would vanish from the status
    // otherwise, and the resource would look like a new one.
    let mut terms = M::terms(view.spec);
    terms.extend(resolved.map(|(name, value)| (name.to_owned(), value)));
    Some(Decision::Record(vec![Event::Rebuilt { at: view.now, attempt, id, number, terms, requests }]))
}

/// What is open comes to an end, or is waited for.
fn settle<M: Asks>(view: &View<M>) -> Option<Decision<M>> {
    let Words { request, taken, adopt: (adopt_field, adopt_value), short_name, outcome_unknown, .. } =
        M::WORDS;
    match pending(view.state, view.sender, view.not_placed, view.now)? {
        // An id or number that is known already ends the wait, whatever became of the open attempt.
        Pending::InFlight { .. } | Pending::Unknown { .. } if view.state.accepted.is_some() => None,
        Pending::Settle(event) => Some(Decision::Record(vec![event])),
        Pending::InFlight { message, requeue_after } => Some(sending(message, requeue_after)),
        Pending::Unknown { attempt, why } => Some(Decision::Rest(StatusSummary::new(
            outcome_unknown,
            Reason::OutcomeUnknown,
            format!(
                "it is unknown whether {request} {attempt} was {taken} ({why}); check the TENIOS portal. If it was, set {adopt_field} to {adopt_value}. If it was not, run: kubectl annotate {short_name} {} -n {} --overwrite {}={attempt}",
                view.key.name,
                view.key.namespace,
                tenios_api::NOT_PLACED_ANNOTATION
            ),
        ))),
    }
}

/// Nothing is open or accepted: whether a request may be made, and what stands in between.
pub(super) fn submit<M: Asks>(view: &View<M>) -> Decision<M> {
    warned(view, next_request(view))
}

fn next_request<M: Asks>(view: &View<M>) -> Decision<M> {
    if view.deleting {
        return Decision::Rest(M::waits(Reason::Deleting, "the resource is being deleted; nothing is sent"));
    }
    let valid = match M::valid(view) {
        Ok(valid) => valid,
        Err(why) => return Decision::Rest(M::waits(Reason::InvalidSpec, why)),
    };
    if M::is_suspended(view.spec) {
        let message = "spec.suspend is true; nothing is sent";
        return Decision::Rest(StatusSummary::new(M::WORDS.suspended, Reason::Suspended, message));
    }
    back_off(view).unwrap_or_else(|| M::submit(view, &valid))
}

fn back_off<M: Asks>(view: &View<M>) -> Option<Decision<M>> {
    let edited = match &view.state.phase {
        Phase::Refused { .. } => match M::edited(view) {
            Ok(edited) => edited,
            Err(need) => return Some(Decision::Need(need)),
        },
        _ => false,
    };
    let (next, mut requeue_after) = match view.retry_policy.due(view.state, edited, view.known_for, view.now)
    {
        Due::Now => return None,
        Due::At(at, left) => (Some(at), Some(left)),
        Due::Never => (None, None),
    };
    if M::WORDS.edit_is_unseen {
        // Looked at again before it is due.
        requeue_after = Some(requeue_after.unwrap_or(Duration::MAX).min(view.retry_policy.retry_max));
    }
    let mut summary = match &view.state.phase {
        Phase::Refused { refusal, .. } => {
            let message = refusal_message(refusal, M::WORDS.edit, next);
            StatusSummary::new(M::WORDS.refused, Reason::Refused, message)
        }
        Phase::NotProcessed { why, .. } => {
            let next = next.map(shown).unwrap_or_default();
            let message = format!("the last request was not processed ({why}); it will be retried at {next}");
            M::waits(Reason::ProviderUnavailable, message)
        }
        _ => return None,
    };
    summary.requeue_after = requeue_after;
    Some(Decision::Rest(summary))
}

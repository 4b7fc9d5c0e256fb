//! `history`: what happened to a resource, when, and by whom; from the ledger, the Events and the resource itself.

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, DynamicObject, ListParams};
use serde::Serialize;
use serde_json::json;

use super::cluster::{Cluster, OPERATOR_NAMESPACE, operator_namespace};
use super::out::{self, Format};
use super::table::{self, Cell};
use super::target::{self, Target};
use super::{Failure, said_by};
use tenios_api::causes;
use tenios_ledger::kubernetes::KubernetesLedger;
use tenios_ledger::past::{Line, What};
use tenios_ledger::{Entry, Key, Kind};

#[derive(Debug, Args)]
pub(super) struct HistoryOptions {
    /// pno/NAME or pver/NAME.
    target: Target,
    /// The operator's own namespace, where the ledger is.
    #[arg(long, env = "TENIOS_NAMESPACE", default_value = OPERATOR_NAMESPACE, value_parser = operator_namespace)]
    operator_namespace: String,
    /// Machine-readable output.
    #[arg(long, short)]
    output: Option<Format>,
}

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    /// When; the last time.
    pub(super) time: Option<Timestamp>,
    /// When first, where it happened several times in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<Timestamp>,
    pub(super) times: u64,
    pub(super) by: String,
    pub(super) what: String,
}

impl Row {
    pub(super) fn new(time: Option<Timestamp>, by: &str, what: impl Into<String>) -> Self {
        Self { time, first: None, times: 1, by: by.into(), what: what.into() }
    }
}

/// Who speaks in the ledger.
const OPERATOR: &str = "operator";
const TENIOS: &str = "TENIOS";
const PERSON: &str = "a person";

/// Reasons of Events that say what the ledger has as well.
const ALSO_IN_THE_LEDGER: [&str; 6] =
    ["AwaitingApproval", "AwaitingNumber", "Cancelled", "NumberAssigned", "OutcomeUnknown", "Refused"];

/// None, and a word about it, where it can't be read.
async fn entry_of(ledger: &KubernetesLedger, key: &Key) -> Option<Entry> {
    match ledger.find(key).await {
        Ok(found) => found.map(|(_, entry)| entry),
        Err(error) => {
            eprintln!(
                "The history is shown without the ledger entry {key}, from the resource and its Events, which Kubernetes keeps for an hour only: {}",
                causes(&error)
            );
            None
        }
    }
}

pub(super) async fn run(options: &HistoryOptions, cluster: &Cluster) -> Result<(), Failure> {
    let target = &options.target;
    let resource = target.api(cluster).get_opt(&target.name).await?;
    let key = Key { kind: target.kind, namespace: cluster.namespace.clone(), name: target.name.clone() };
    let ledger = KubernetesLedger::new(&cluster.client, &options.operator_namespace);
    let entry = entry_of(&ledger, &key).await;
    if resource.is_none() && entry.is_none() {
        return Err(Failure::Failed(format!(
            "{target} in namespace {} does not exist, and no ledger entry of it can be read",
            cluster.namespace
        )));
    }
    let events = events(cluster, target).await;
    let mut history = rows(target.kind, resource.as_ref(), entry.as_ref(), &events);
    let cancellation = match key.kind {
        Kind::Order => entry_of(&ledger, &key.of(Kind::Cancellation)).await,
        _ => None,
    };
    if let Some(entry) = &cancellation {
        history.extend(entry.history().lines().iter().map(|line| row(Kind::Cancellation, line)));
        history.sort_by_key(|row| row.time);
    }
    if let Some(format) = options.output {
        let omitted: u64 = entry.iter().chain(&cancellation).map(|entry| entry.history().omitted()).sum();
        return out::print_as(
            format,
            &json!({"resource": target.to_string(), "namespace": cluster.namespace, "omitted": omitted, "history": history}),
        );
    }
    let cells: Vec<Vec<Cell>> = history.iter().map(cells).collect();
    out::print(&table::render(&["TIME", "BY", "WHAT"], &cells, out::is_coloured()))?;
    for note in entry.iter().chain(&cancellation).flat_map(notes) {
        eprintln!("{note}");
    }
    Ok(())
}

/// None where they can't be listed: the rest is shown all the same.
async fn events(cluster: &Cluster, target: &Target) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    let of = format!("involvedObject.kind={},involvedObject.name={}", target.kind.as_str(), target.name);
    match api.list(&ListParams::default().fields(&of)).await {
        Ok(list) => list.items,
        Err(error) => {
            eprintln!("Events are missing: {}", causes(&error));
            Vec::new()
        }
    }
}

/// Oldest first.
fn rows(kind: Kind, resource: Option<&DynamicObject>, entry: Option<&Entry>, events: &[Event]) -> Vec<Row> {
    let mut rows = Vec::new();
    if let Some(entry) = entry {
        rows.extend(entry.history().lines().iter().map(|line| row(kind, line)));
    }
    if let Some(resource) = resource {
        rows.extend(said_by::people(resource));
        if entry.is_none() {
            rows.extend(shown(resource));
        }
    }
    let reason = |event: &Event| event.reason.clone().unwrap_or_default();
    let news = events.iter().filter(|e| entry.is_none() || !ALSO_IN_THE_LEDGER.contains(&&*reason(e)));
    rows.extend(news.map(|event| {
        let note = event.message.as_deref().unwrap_or_default();
        Row::new(time_of(event), OPERATOR, format!("Event {}: {note}", reason(event)))
    }));
    rows.sort_by_key(|row| row.time);
    rows
}

fn time_of(event: &Event) -> Option<Timestamp> {
    let told = event.event_time.as_ref().map(|time| time.0);
    told.or(event.last_timestamp.as_ref().map(|time| time.0)).or(event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0))
}

/// What the status knows of it, for whoever may not read the ledger.
fn shown(resource: &DynamicObject) -> Vec<Row> {
    let told = |time: &str, what: &str, given: &str| {
        let at = target::text(resource, time)?.parse().ok()?;
        let given = target::text(resource, given).map(|given| format!(" {given}")).unwrap_or_default();
        Some(Row::new(Some(at), TENIOS, format!("{what}{given}")))
    };
    [
        told("/status/submittedTime", "accepted the request: verification", "/status/verificationId"),
        told("/status/orderedTime", "accepted the request: order", "/status/orderId"),
        told("/status/assignedTime", "assigned number", "/status/phoneNumber"),
        told("/status/cancellation/requestedTime", "cancelled the number as of", "/status/cancellationDate"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn row(kind: Kind, line: &Line) -> Row {
    let (by, what) = words(kind, line);
    Row { time: Some(line.at), first: line.first, times: line.times, by: by.into(), what }
}

fn words(kind: Kind, line: &Line) -> (&'static str, String) {
    let request = line.attempt.as_ref().map_or("a request".into(), |attempt| format!("request {attempt}"));
    let request = if kind == Kind::Cancellation { format!("{request} to cancel") } else { request };
    let given = given(kind, line);
    match line.what {
        What::Intended => (OPERATOR, format!("recorded {request}, to be sent; no outcome is recorded")),
        What::Accepted => (TENIOS, format!("accepted {request}: {given}")),
        What::Refused => (TENIOS, format!("refused {request}: {}", line.why)),
        What::NotProcessed => (OPERATOR, format!("{request} was not processed: {}", line.why)),
        What::Unknown => (OPERATOR, format!("the outcome of {request} is unknown: {}", line.why)),
        What::NotPlaced if kind == Kind::Cancellation => {
            (PERSON, format!("declared that {request} had no effect"))
        }
        What::NotPlaced => (PERSON, format!("declared that {request} placed nothing")),
        What::Adopted if kind == Kind::Cancellation => {
            (PERSON, format!("declared the number cancelled: {given}"))
        }
        What::Adopted => (PERSON, format!("adopted {given}")),
        What::Pushed => (TENIOS, format!("pushed {given}, for {request}")),
        What::Rebuilt => {
            let request = line.attempt.as_ref().map(|_| request);
            let what: Vec<String> =
                request.into_iter().chain(Some(given).filter(|g| !g.is_empty())).collect();
            (OPERATOR, format!("rebuilt the lost ledger entry from the status: {}", what.join(", ")))
        }
        What::WrittenBack => {
            let what = "wrote back what the ledger had lost when it was set back, at this time or later";
            (OPERATOR, what.into())
        }
        What::Other => (OPERATOR, "recorded what this version of kubectl tenios does not know".into()),
    }
}

/// The id and the number, where there are any.
fn given(kind: Kind, line: &Line) -> String {
    let what = match kind {
        Kind::Verification => "verification",
        Kind::Order => "order",
        Kind::Cancellation => "cancellation date",
    };
    let id = line.id.as_ref().map(|id| format!("{what} {id}"));
    let number = line.number.as_ref().map(|number| format!("number {number}"));
    id.into_iter().chain(number).collect::<Vec<_>>().join(", ")
}

fn cells(row: &Row) -> Vec<Cell> {
    let time = |at: Timestamp| format!("{at:.0}");
    let often = match row.first {
        Some(first) => format!(" ({} times since {})", row.times, time(first)),
        None => String::new(),
    };
    vec![
        table::or_dash(row.time.map(time).as_deref()),
        Cell::from(row.by.as_str()),
        Cell::from(format!("{}{often}", row.what).as_str()),
    ]
}

/// What is missing.
fn notes(entry: &Entry) -> Vec<String> {
    let history = entry.history();
    let mut notes = Vec::new();
    if history.omitted() > 0 {
        notes.push(format!("{} lines after the first ones are not kept any more.", history.omitted()));
    }
    let of_requests =
        [What::Intended, What::Accepted, What::Refused, What::NotProcessed, What::Unknown, What::Rebuilt];
    let told: u64 =
        history.lines().iter().filter(|line| of_requests.contains(&line.what)).map(|line| line.times).sum();
    let missing = entry.state().attempts.saturating_sub(told);
    if history.omitted() == 0 && missing > 0 {
        notes.push(format!(
            "{missing} earlier requests were folded by a version of the operator that kept no history."
        ));
    }
    notes
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use serde_json::{Value, json};
    use tenios_ledger::WriterId;

    use super::*;

    fn entry(kind: Kind, events: &Value) -> Entry {
        let key = Key { kind, namespace: "shop".into(), name: "main-line".into() };
        let events: Vec<tenios_ledger::Event> = serde_json::from_value(events.clone()).unwrap();
        let one_by_one = |entry: Entry, event| entry.with(&[event], WriterId::random());
        events.into_iter().fold(Entry::empty(key), one_by_one)
    }

    fn shown(rows: &[Row]) -> String {
        let cells: Vec<_> = rows.iter().map(cells).collect();
        table::render(&["TIME", "BY", "WHAT"], &cells, false)
    }

    #[test]
    fn a_history_says_what_happened_when_and_by_whom() {
        let entry = entry(
            Kind::Order,
            &json!([
                {"type": "Intended", "attempt": "a1", "at": "2026-11-26T10:00:00Z", "terms": {}},
                {"type": "Refused", "attempt": "a1", "at": "2026-11-26T10:00:01Z", "refusal": {"code": "BUSY"}},
                {"type": "Intended", "attempt": "a2", "at": "2026-11-26T11:00:00Z", "terms": {}},
                {"type": "Refused", "attempt": "a2", "at": "2026-11-26T11:00:01Z", "refusal": {"code": "BUSY"}},
                {"type": "Intended", "attempt": "a3", "at": "2026-11-26T12:00:00Z", "terms": {}},
                {"type": "Unknown", "attempt": "a3", "at": "2026-11-26T12:00:09Z", "why": "a reset"},
                {"type": "NotPlaced", "attempt": "a3", "at": "2026-11-26T13:00:00Z"},
                {"type": "Intended", "attempt": "a4", "at": "2026-11-26T13:00:01Z", "terms": {}},
                {"type": "Accepted", "attempt": "a4", "at": "2026-11-26T13:00:02Z", "id": "300000"},
                {"type": "Assigned", "attempt": "a4", "at": "2026-11-26T13:00:03Z", "orderId": "300000", "number": "+4922112345678"},
            ]),
        );
        let event: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": "BudgetExceeded", "message": "the budget is used up",
            "eventTime": "2026-11-26T12:59:00.000000Z",
        }))
        .unwrap();
        let told: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": "NumberAssigned", "message": "number",
            "eventTime": "2026-11-26T13:00:04.000000Z",
        }))
        .unwrap();
        let shown = shown(&rows(Kind::Order, None, Some(&entry), &[told, event]));
        let expected = "\
TIME                   BY         WHAT
2026-11-26T11:00:01Z   TENIOS     refused request a2: BUSY (2 times since 2026-11-26T10:00:01Z)
2026-11-26T12:00:09Z   operator   the outcome of request a3 is unknown: a reset
2026-11-26T12:59:00Z   operator   Event BudgetExceeded: the budget is used up
2026-11-26T13:00:00Z   a person   declared that request a3 placed nothing
2026-11-26T13:00:02Z   TENIOS     accepted request a4: order 300000
2026-11-26T13:00:03Z   TENIOS     pushed order 300000, number +4922112345678, for request a4
";
        assert_eq!(shown, expected);
        assert_eq!(notes(&entry), Vec::<String>::new());
    }

    #[test]
    fn what_is_adopted_rebuilt_or_still_open_is_told_too() {
        let entry = entry(
            Kind::Verification,
            &json!([
                {"type": "Rebuilt", "at": "2026-11-26T10:00:00Z", "attempt": "a1", "terms": {}, "requests": 1},
                {"type": "Adopted", "at": "2026-11-26T11:00:00Z", "id": "v1"},
                {"type": "Intended", "attempt": "a2", "at": "2026-11-26T12:00:00Z", "terms": {}},
            ]),
        );
        let rows = rows(Kind::Verification, None, Some(&entry), &[]);
        let told: Vec<_> = rows.iter().map(|row| (row.by.as_str(), row.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (OPERATOR, "rebuilt the lost ledger entry from the status: request a1"),
                (PERSON, "adopted verification v1"),
                (OPERATOR, "recorded request a2, to be sent; no outcome is recorded"),
            ]
        );
    }

    #[test]
    fn what_a_person_says_about_a_cancellation_is_told_in_its_own_words() {
        let entry = entry(
            Kind::Cancellation,
            &json!([
                {"type": "Unknown", "attempt": "a1", "at": "2026-11-26T10:00:00Z", "why": "a reset"},
                {"type": "NotPlaced", "attempt": "a1", "at": "2026-11-26T11:00:00Z"},
                {"type": "Adopted", "at": "2026-11-26T12:00:00Z", "id": "2026-12-31"},
            ]),
        );
        let told: Vec<_> = entry.history().lines().iter().map(|line| words(entry.key.kind, line).1).collect();
        let expected = [
            "the outcome of request a1 to cancel is unknown: a reset",
            "declared that request a1 to cancel had no effect",
            "declared the number cancelled: cancellation date 2026-12-31",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_entry_of_an_earlier_version_says_that_something_is_missing() {
        let mut entry = entry(Kind::Order, &json!([]));
        entry.snapshot.attempts = 9;
        assert_eq!(
            notes(&entry),
            ["9 earlier requests were folded by a version of the operator that kept no history."]
        );
    }

    #[test]
    fn without_the_ledger_the_status_tells_what_it_knows() {
        let resource: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "main-line"},
            "status": {"orderId": "300000", "orderedTime": "2026-11-26T10:00:00Z",
                "phoneNumber": "+4922112345678", "assignedTime": "2026-11-26T10:01:00Z",
                "cancellationDate": "2026-12-31", "cancellation": {"requests": 1, "requestedTime": "2026-11-26T10:02:00Z"}},
        }))
        .unwrap();
        let rows = rows(Kind::Order, Some(&resource), None, &[]);
        let told: Vec<_> = rows.iter().map(|row| row.what.as_str()).collect();
        let expected = [
            "accepted the request: order 300000",
            "assigned number +4922112345678",
            "cancelled the number as of 2026-12-31",
        ];
        assert_eq!(told, expected);
    }
}

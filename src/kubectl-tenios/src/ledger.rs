//! `ledger`: what the operator recorded, for its administrators.

mod transfer;

use std::fmt::Write;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use serde_json::{Value, json};

use super::cluster::{Cluster, OPERATOR_NAMESPACE, operator_namespace};
use super::out::{self, Format};
use super::table::{self, Cell};
use super::target::Target;
use super::{Failure, ask};
use tenios_api::{LedgerEntry, causes};
use tenios_ledger::kubernetes::{KubernetesLedger, to_entry};
use tenios_ledger::{Entry, Event, Key, Kind, Phase, State};
use tenios_ledger_object_store::LedgerUrl;
use transfer::{Both, Side};

#[derive(Debug, Args)]
pub(super) struct LedgerOptions {
    /// The operator's own namespace.
    #[arg(long, global = true, env = "TENIOS_NAMESPACE", default_value = OPERATOR_NAMESPACE, value_parser = operator_namespace)]
    operator_namespace: String,
    /// Allow http:// for the object storage.
    #[arg(long, global = true, env = "TENIOS_ALLOW_HTTP", value_parser = FalseyValueParser::new())]
    allow_http: bool,
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Debug, Subcommand)]
enum LedgerCommand {
    /// List all entries; with -n, only those of resources in that namespace.
    List {
        /// Machine-readable output.
        #[arg(long, short)]
        output: Option<Format>,
    },
    /// Show what is recorded for a resource.
    Show {
        /// pno/NAME or pver/NAME.
        target: Target,
        /// Machine-readable output.
        #[arg(long, short)]
        output: Option<Format>,
    },
    /// Delete the entry of a resource that is gone, so that its name can be used for a new order.
    Forget {
        /// pno/NAME or pver/NAME.
        target: Target,
        /// The ledger outside the cluster that the entry is a copy of, as the operator's --ledger.
        #[arg(long, env = "TENIOS_LEDGER")]
        ledger: Option<Side>,
        /// Do not ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
    /// Copy the ledger to object storage or back; what either side lacks is added, and both are compared.
    Copy {
        /// kubernetes, or the URL of a ledger: s3://, gs://, az:// or file:///.
        #[arg(long)]
        from: Side,
        /// The same.
        #[arg(long)]
        to: Side,
        /// Do not ask for confirmation.
        #[arg(long, short)]
        yes: bool,
    },
    /// Compare the ledger at a URL with the copies in the cluster; exits with 1 where they differ.
    Verify {
        /// The URL of the ledger: s3://, gs://, az:// or file:///.
        url: LedgerUrl,
    },
}

pub(super) async fn run(options: &LedgerOptions, cluster: &Cluster) -> Result<(), Failure> {
    let api: Api<LedgerEntry> = Api::namespaced(cluster.client.clone(), &options.operator_namespace);
    let ledger = KubernetesLedger::new(&cluster.client, &options.operator_namespace);
    match &options.command {
        LedgerCommand::List { output } => list(&api, *output, cluster).await,
        LedgerCommand::Show { target, output } => show(&ledger, target, *output, cluster).await,
        LedgerCommand::Forget { target, ledger: at, yes } => {
            let outside = match at {
                Some(Side::Store(url)) => Some(Both::new(&api, &ledger, url, options.allow_http)?),
                Some(Side::Kubernetes) | None => None,
            };
            forget(&api, &ledger, target, outside, *yes, cluster).await
        }
        LedgerCommand::Copy { from, to, yes } => {
            transfer::copy(from, to, *yes, options.allow_http, &api, &ledger, cluster).await
        }
        LedgerCommand::Verify { url } => transfer::verify(url, options.allow_http, &api, &ledger).await,
    }
}

async fn list(api: &Api<LedgerEntry>, output: Option<Format>, cluster: &Cluster) -> Result<(), Failure> {
    let mut entries = api.list(&ListParams::default()).await?.items;
    entries.retain(|entry| cluster.named_namespace.as_ref().is_none_or(|n| *n == entry.spec.namespace));
    entries.sort_by(|a, b| {
        let place = |e: &LedgerEntry| {
            (e.spec.namespace.clone(), std::cmp::Reverse(e.spec.kind.clone()), e.spec.name.clone())
        };
        place(a).cmp(&place(b))
    });
    if let Some(format) = output {
        return out::print_as(format, &json!({"apiVersion": "v1", "kind": "List", "items": entries}));
    }
    let rows: Vec<Vec<Cell>> = entries.iter().map(row).collect();
    out::print(&table::render(
        &["NAMESPACE", "RESOURCE", "PHASE", "ID", "NUMBER", "ATTEMPTS"],
        &rows,
        out::is_coloured(),
    ))
}

fn row(object: &LedgerEntry) -> Vec<Cell> {
    let namespace = Cell::from(object.spec.namespace.as_str());
    let Ok(entry) = to_entry(object) else {
        let name = format!("{}/{}", object.spec.kind, object.spec.name);
        return vec![namespace, Cell::from(name.as_str()), Cell::from("not readable by this version")];
    };
    let state = entry.state();
    vec![
        namespace,
        Cell::from(format!("{}/{}", entry.key.kind.short(), entry.key.name).as_str()),
        Cell::from(phase_label(&state)),
        table::or_dash(state.id()),
        table::or_dash(state.number.as_ref().map(|n| n.number.as_str())),
        Cell::from(state.attempts.to_string().as_str()),
    ]
}

fn phase_label(state: &State) -> &'static str {
    match &state.phase {
        Phase::Idle => "no request",
        Phase::Open { .. } => "intended or in flight",
        Phase::Accepted { .. } => "accepted",
        Phase::Refused { .. } => "refused",
        Phase::NotProcessed { .. } => "not processed",
        Phase::Unknown { .. } => "outcome unknown",
        Phase::NotPlaced { .. } => "not placed",
    }
}

/// The objects of a resource, and what they hold: of its cancellation last.
async fn read(
    ledger: &KubernetesLedger,
    target: &Target,
    cluster: &Cluster,
) -> Result<Vec<(LedgerEntry, Entry)>, Failure> {
    let key = Key { kind: target.kind, namespace: cluster.namespace.clone(), name: target.name.clone() };
    let mut all = Vec::new();
    for key in [Some(key.clone()), (key.kind == Kind::Order).then(|| key.of(Kind::Cancellation))] {
        let Some(key) = key else { continue };
        all.extend(ledger.find(&key).await.map_err(|error| Failure::failed(causes(&error)))?);
    }
    if all.is_empty() { Err(Failure::Failed(format!("the ledger has no entry for {key}"))) } else { Ok(all) }
}

async fn show(
    ledger: &KubernetesLedger,
    target: &Target,
    output: Option<Format>,
    cluster: &Cluster,
) -> Result<(), Failure> {
    let found = read(ledger, target, cluster).await?;
    if let Some(format) = output {
        let objects: Vec<_> = found.iter().map(|(object, _)| object).collect();
        return match objects.as_slice() {
            [object] => out::print_as(format, object),
            objects => out::print_as(format, &json!({"apiVersion": "v1", "kind": "List", "items": objects})),
        };
    }
    let shown: Vec<String> = found.iter().map(|(_, entry)| told(entry)).collect();
    out::print(&shown.join("\n"))
}

fn told(entry: &Entry) -> String {
    let state = entry.state();
    let mut text = format!("{}: {}\n", entry.key, summary(&state));
    for stray in &state.strays {
        let number = stray.number.as_ref().map(|n| format!(" with number {n}")).unwrap_or_default();
        let id = if stray.id.is_empty() { "with an unknown id" } else { &stray.id };
        let _ = writeln!(text, "also accepted: order {id}{number}, for attempt {}", stray.attempt);
    }
    if state.strays_beyond > 0 {
        let _ = writeln!(text, "also accepted: {} more, listed in the operator's log", state.strays_beyond);
    }
    let _ = writeln!(text, "requests so far: {}; the newest events:\n", state.attempts);
    let rows: Vec<Vec<Cell>> = entry.events.iter().map(event_row).collect();
    text + &table::render(&["TIME", "EVENT", "ATTEMPT", "WHAT"], &rows, out::is_coloured())
}

fn summary(state: &State) -> String {
    let id = state.id().map(|id| format!(", id {id}")).unwrap_or_default();
    let number = state.number.as_ref().map(|n| format!(", number {}", n.number)).unwrap_or_default();
    out::sanitize(&format!("{}{id}{number}", phase_label(state)))
}

/// The stored form is what an event of any kind has in common.
fn event_row(event: &Event) -> Vec<Cell> {
    let mut stored = serde_json::to_value(event).unwrap_or_default();
    let mut take = |field: &str| {
        let value = stored.as_object_mut().and_then(|fields| fields.remove(field));
        value.and_then(|value| value.as_str().map(str::to_owned))
    };
    let (at, type_, attempt) = (take("at"), take("type"), take("attempt"));
    let at = at.and_then(|at| at.parse::<Timestamp>().ok()).map(|at| format!("{at:.0}"));
    let rest: Vec<String> =
        stored.as_object().into_iter().flatten().map(|(name, value)| said(name, value)).collect();
    vec![
        table::or_dash(at.as_deref()),
        table::or_dash(type_.as_deref()),
        table::or_dash(attempt.as_deref()),
        Cell::from(rest.join(", ").as_str()),
    ]
}

fn said(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => format!("{name} {text}"),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| said(name, value)).collect::<Vec<_>>().join(", ")
        }
        other => format!("{name} {other}"),
    }
}

async fn forget(
    api: &Api<LedgerEntry>,
    ledger: &KubernetesLedger,
    target: &Target,
    outside: Option<Both<'_>>,
    yes: bool,
    cluster: &Cluster,
) -> Result<(), Failure> {
    let found = read(ledger, target, cluster).await?;
    let namespace = &cluster.namespace;
    if target.api(cluster).get_opt(&target.name).await?.is_some() {
        return Err(Failure::Failed(format!(
            "{target} exists in namespace {namespace}: delete it first, otherwise its status restores the entry"
        )));
    }
    if found.iter().any(|(_, entry)| entry.position.is_some()) && outside.is_none() {
        return Err(Failure::Failed(format!(
            "the entry of {target} is a copy of one on object storage, which brings it back: name that ledger with --ledger"
        )));
    }
    let states: Vec<State> = found.iter().map(|(_, entry)| entry.state()).collect();
    let shown =
        found.iter().zip(&states).map(|((_, entry), state)| format!("{}: {}.", entry.key, summary(state)));
    let shown: Vec<String> = shown.collect();
    ask::confirm(
        &format!(
            "{}\nOnce this is forgotten, {target} in namespace {namespace} can be ordered like a new resource, and these ids are recorded nowhere else.{}",
            shown.join("\n"),
            if states.iter().any(is_open) {
                "\nIts outcome or number is still awaited: wait for it, otherwise its push restores the entry."
            } else {
                ""
            }
        ),
        yes,
    )?;
    // In this order: while the entry of a cancellation is there, nothing is ordered or cancelled under this name.
    for ((object, entry), state) in found.iter().zip(&states) {
        if let Some(outside) = outside.as_ref().filter(|_| entry.position.is_some()) {
            outside.forget(entry).await?;
        } else {
            // The entry as it was shown: not one that was written meanwhile.
            let preconditions = Preconditions {
                uid: object.metadata.uid.clone(),
                resource_version: object.metadata.resource_version.clone(),
            };
            let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
            api.delete(&object.name_any(), &params).await?;
        }
        out::print(&format!("{}: forgotten; it was {}\n", entry.key, summary(state)))?;
    }
    Ok(())
}

fn is_open(state: &State) -> bool {
    match &state.phase {
        Phase::Open { .. } | Phase::Unknown { .. } => true,
        Phase::Accepted { .. } => state.id().is_some() && state.number.is_none(),
        _ => false,
    }
}

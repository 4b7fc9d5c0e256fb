//! `status`: both kinds in one table, and what needs a person.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::{Value, json};

use super::Failure;
use super::cluster::Cluster;
use super::out::{self, Format};
use super::table::{self, Cell, Colour};
use super::target;
use tenios_api::causes;
use tenios_ledger::Kind;

/// How often a live table is drawn again, for the ages.
const REDRAWN_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct StatusOptions {
    /// Show all namespaces.
    #[arg(long, short = 'A')]
    all_namespaces: bool,
    /// Keep running and show changes: as a live table on a terminal, otherwise line by line.
    #[arg(long, short)]
    watch: bool,
    /// Machine-readable output.
    #[arg(long, short)]
    output: Option<Format>,
}

/// Verifications before orders, so that causes stand above their effects.
type Position = (String, Kind, String);

type Shown = BTreeMap<Position, DynamicObject>;

pub(super) async fn run(options: &StatusOptions, cluster: &Cluster) -> Result<(), Failure> {
    let namespace = (!options.all_namespaces).then_some(cluster.namespace.as_str());
    // Also before a watch, which would try again for ever what is forbidden.
    let found = target::all(cluster, namespace).await?;
    let mut shown: Shown =
        found.into_iter().map(|(kind, object)| (position(kind, &object), object)).collect();
    if options.watch {
        return watch(options, cluster, namespace, &mut shown).await;
    }
    match options.output {
        Some(format) => {
            let items: Vec<_> = shown.values().collect();
            out::print_as(format, &json!({"apiVersion": "v1", "kind": "List", "items": items}))
        }
        None if shown.is_empty() => {
            eprintln!(
                "No verifications or orders found in {}.",
                namespace.map_or("any namespace".into(), |n| format!("namespace {n}"))
            );
            Ok(())
        }
        None => out::print(&picture(&shown, options.all_namespaces)),
    }
}

fn position(kind: Kind, object: &DynamicObject) -> Position {
    (object.namespace().unwrap_or_default(), kind, object.name_any())
}

async fn watch(
    options: &StatusOptions,
    cluster: &Cluster,
    namespace: Option<&str>,
    shown: &mut Shown,
) -> Result<(), Failure> {
    let live = options.output.is_none() && out::is_terminal();
    if live {
        draw(shown, options.all_namespaces)?;
    } else {
        for (position, object) in &*shown {
            print_one(options, position, object, false)?;
        }
    }
    let mut changes = changes(cluster, namespace);
    let mut clock = tokio::time::interval(REDRAWN_EVERY);
    loop {
        tokio::select! {
            change = changes.next() => match change {
                None => return Ok(()),
                Some(Err(error)) => eprintln!("the watch broke; restarting it: {}", causes(&error)),
                Some(Ok((kind, event))) => {
                    if let Some((position, object, gone)) = take(shown, kind, event)
                        && !live
                    {
                        print_one(options, &position, &object, gone)?;
                    }
                    if live {
                        draw(shown, options.all_namespaces)?;
                    }
                }
            },
            _ = clock.tick(), if live => draw(shown, options.all_namespaces)?,
        }
    }
}

type Change = Result<(Kind, watcher::Event<DynamicObject>), watcher::Error>;

fn changes(cluster: &Cluster, namespace: Option<&str>) -> impl Stream<Item = Change> + Unpin {
    let of = |kind: Kind| {
        watcher(target::api(cluster, kind, namespace), watcher::Config::default())
            .default_backoff()
            .map(move |event| event.map(|event| (kind, event)))
            .boxed()
    };
    futures::stream::select_all(Kind::RESOURCES.map(of))
}

/// What this event changed of what is shown. What went while the watch was broken stays until the end of it:
/// a table that is looked at is no place to decide from.
fn take(
    shown: &mut Shown,
    kind: Kind,
    event: watcher::Event<DynamicObject>,
) -> Option<(Position, DynamicObject, bool)> {
    match event {
        watcher::Event::Init | watcher::Event::InitDone => None,
        watcher::Event::Delete(object) => {
            let position = position(kind, &object);
            shown.remove(&position).map(|_| (position, object, true))
        }
        watcher::Event::InitApply(mut object) | watcher::Event::Apply(mut object) => {
            object.types = Some(target::types(kind));
            let position = position(kind, &object);
            match shown.entry(position.clone()) {
                Entry::Occupied(known)
                    if known.get().metadata.resource_version == object.metadata.resource_version =>
                {
                    None
                }
                Entry::Occupied(mut known) => {
                    known.insert(object.clone());
                    Some((position, object, false))
                }
                Entry::Vacant(place) => {
                    place.insert(object.clone());
                    Some((position, object, false))
                }
            }
        }
    }
}

fn print_one(
    options: &StatusOptions,
    position: &Position,
    object: &DynamicObject,
    gone: bool,
) -> Result<(), Failure> {
    match options.output {
        Some(Format::Json) => out::print_as(Format::Json, object),
        Some(Format::Yaml) => {
            out::print("---\n")?;
            out::print_as(Format::Yaml, object)
        }
        None => {
            let row = Row::new(position, object);
            let namespace = if options.all_namespaces { format!("{}\t", position.0) } else { String::new() };
            let state = if gone { "Deleted" } else { row.state };
            let line = [
                row.name.as_str(),
                state,
                row.number.unwrap_or("-"),
                row.id.unwrap_or("-"),
                row.reason.unwrap_or("-"),
            ];
            out::print(&format!("{namespace}{}\n", line.map(out::sanitize).join("\t")))
        }
    }
}

/// From the top of an empty screen; what is too long for a line is cut, so that the rest keeps its place.
fn draw(shown: &Shown, all_namespaces: bool) -> Result<(), Failure> {
    out::print(&format!("\x1b[?7l\x1b[H\x1b[2J{}\x1b[?7h", picture(shown, all_namespaces)))
}

fn picture(shown: &Shown, all_namespaces: bool) -> String {
    let rows: Vec<Row> = shown.iter().map(|(position, object)| Row::new(position, object)).collect();
    let mut head = vec!["NAME", "STATE", "NUMBER", "ID", "REASON", "AGE"];
    if all_namespaces {
        head.insert(0, "NAMESPACE");
    }
    let cells: Vec<Vec<Cell>> = rows.iter().map(|row| row.cells(all_namespaces)).collect();
    let mut text = table::render(&head, &cells, out::is_coloured());
    let done = rows.iter().filter(|row| row.colour() == Colour::Green).count();
    let _ = writeln!(text, "\n{} {done} of {} done", bar(done, rows.len()), rows.len());
    for row in rows.iter().filter(|row| row.needs_a_person) {
        let place = if all_namespaces { format!(" in {}", row.namespace) } else { String::new() };
        let _ = writeln!(text, "\n{}{place} needs action: {}", row.name, out::sanitize(row.message));
    }
    text
}

fn bar(done: usize, all: usize) -> String {
    const WIDTH: usize = 20;
    let full = (done * WIDTH).checked_div(all).unwrap_or(0);
    format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full))
}

struct Row<'a> {
    namespace: &'a str,
    name: String,
    state: &'a str,
    number: Option<&'a str>,
    id: Option<&'a str>,
    reason: Option<&'a str>,
    message: &'a str,
    age: String,
    needs_a_person: bool,
}

impl<'a> Row<'a> {
    fn new((namespace, kind, name): &'a Position, object: &'a DynamicObject) -> Self {
        let status = |field: &str| target::text(object, &format!("/status/{field}"));
        let conditions = object.data.pointer("/status/conditions").and_then(Value::as_array);
        let condition = |type_: &str| conditions.into_iter().flatten().find(|c| c["type"] == type_);
        let ready = condition("Ready");
        let reason = ready.and_then(|c| c["reason"].as_str());
        Self {
            namespace,
            name: format!("{}/{name}", kind.short()),
            state: status("state").unwrap_or("-"),
            number: status("phoneNumber"),
            id: status("orderId").or(if *kind == Kind::Verification {
                status("verificationId")
            } else {
                None
            }),
            reason,
            message: ready.and_then(|c| c["message"].as_str()).unwrap_or_default(),
            age: age(object),
            // TENIOS offers no way to ask whether a document is approved.
            needs_a_person: condition("Stalled").is_some_and(|c| c["status"] == "True")
                || (*kind == Kind::Verification && reason == Some("AwaitingApproval")),
        }
    }

    fn colour(&self) -> Colour {
        match self.state {
            "Approved" | "Assigned" | "Cancelled" => Colour::Green,
            "OutcomeUnknown" | "Refused" | "Rejected" | "Conflict" => Colour::Red,
            _ if self.needs_a_person => Colour::Red,
            _ => Colour::Yellow,
        }
    }

    fn cells(&self, with_namespace: bool) -> Vec<Cell> {
        let mut cells = vec![
            Cell::from(self.name.as_str()),
            Cell::new(self.state, self.colour()),
            table::or_dash(self.number),
            table::or_dash(self.id),
            table::or_dash(self.reason),
            Cell::from(self.age.as_str()),
        ];
        if with_namespace {
            cells.insert(0, Cell::from(self.namespace));
        }
        cells
    }
}

fn age(object: &DynamicObject) -> String {
    let Some(created) = object.metadata.creation_timestamp.as_ref() else { return "-".into() };
    let seconds = Timestamp::now().duration_since(created.0).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

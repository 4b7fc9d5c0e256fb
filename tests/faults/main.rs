//! Every promise at every point where something can break (`docs/faults.md`): `make faults` runs all of
//! it, a plain `cargo test` a sample.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't set up its testbed fails")]

mod attack;
mod clusters;
mod collide;
mod grid;
mod judge;
mod meddle;
mod nemesis;
mod outside;
mod person;
mod replicas;
mod restore;
mod run;
mod scenarios;
mod settings;
mod status_observer;
mod table;
mod testbed;
mod topology;
mod walk;

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Instant;

use futures::FutureExt;

use settings::Settings;
use table::Table;

fn main() -> ExitCode {
    let Some(settings) = Settings::read() else { return ExitCode::SUCCESS };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(play(&settings))
}

async fn play(settings: &Settings) -> ExitCode {
    let began = Instant::now();
    let mut table = Table::default();
    println!("seed {} (replay with SEED=)", settings.seed);
    if settings.runs_grid() {
        grid(settings, &mut table, began).await;
    }
    let seeds = settings.walks();
    if !seeds.is_empty() {
        println!("{} walks from seed {}", seeds.len(), seeds[0]);
        let walked = walk::all(seeds, settings.jobs, table::say_walk).await;
        table.walks(&walked);
    }
    for file in ["target/faults/others.txt", "docs/mutants.md"] {
        table.told(&std::fs::read_to_string(harness::checkout(file)).unwrap_or_default());
    }
    table.row(
        "time of the runs above",
        "under 30 min",
        format!("{:.0} s", began.elapsed().as_secs_f64()),
        true,
    );
    if let Some(length) = settings.attack() {
        println!("an attack of {:.0} min", length.as_secs_f64() / 60.0);
        match AssertUnwindSafe(attack::run(length)).catch_unwind().await {
            Ok(attacked) => {
                for (figure, goal, measured, reached) in attacked.rows() {
                    table.row(figure, goal, measured, reached);
                }
            }
            Err(_) => table.row("a tenant with `edit` attacks", "it ends", "the test panicked".into(), false),
        }
    }
    if !table.failures().is_empty() {
        println!("\n{} failures\n{}", table.failures().len(), table.failures().join("\n"));
    }
    println!("\n{table}");
    if settings.is_full() {
        table.keep();
    }
    if table.is_reached() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn grid(settings: &Settings, table: &mut Table, began: Instant) {
    let one = settings.one();
    let (mut cells, recorded) = if one.is_some() || settings.needs_no_record() {
        (Vec::new(), Vec::new())
    } else {
        grid::record(settings.recorded_at_once(), |topology| settings.records(topology)).await
    };
    for ran in &recorded {
        println!("{}: {} requests, {} unknown", ran.case, ran.requests.len(), ran.unknown);
        table::say_wrong(ran);
    }
    cells.extend(replicas::cells());
    cells.extend(clusters::cells());
    let all = cells.len();
    let cells = one.map_or_else(|| settings.choose(cells), |case| vec![case]);
    let outside = cells.iter().filter(|case| case.topology.is_outside()).count();
    println!("{} of {all} runs, {outside} of them with the ledger on object storage", cells.len());
    let (total, mut done) = (cells.len(), 0);
    let ran = grid::all(cells, settings.jobs, |ran| {
        done += 1;
        table::say_wrong(ran);
        if done % 50 == 0 {
            println!("{done} of {total} after {:.0} s", began.elapsed().as_secs_f64());
        }
    })
    .await;
    table.grid(&recorded, &ran);
}

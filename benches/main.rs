//! What the operator costs, and how fast it is, against a client that does the least: `make bench`.
//!
//! Control plane, provider and whoever is measured are processes of their own. Requests are counted in the audit log
//! under the worker's own user. Times are compared with the bare client's, alternated, on the same machine in the same
//! run; by themselves they mean nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a run that can't set up its world fails")]

mod bare;
mod burst;
mod grown;
mod measure;
mod neighbour;
mod outside;
mod plan;
mod plot;
mod report;
mod single;
mod stage;
mod stats;
mod table;
mod throttled;

use std::process::ExitCode;
use std::time::Instant;

use burst::Begins;
use harness::Result;
use plan::{Load, Plan};
use report::{Bursts, Measured};
use stage::{Stage, Who, alternated};

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let done = match arguments.next().as_deref() {
        Some("bare") => bare::run(arguments).await.map(|()| true),
        Some("list") => bare::list(arguments).await.map(|()| true),
        _ => bench().await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every goal is reached.
async fn bench() -> Result<bool> {
    let (plan, began) = (Plan::read(), Instant::now());
    let measured = measure(&plan).await?;
    let table = measured.table();
    println!("\n{table}\n{}", measured.sizes());
    println!("{} goals missed; {:.0} s", table.missed(), began.elapsed().as_secs_f64());
    if plan.keep {
        measured.keep(&plan, &table)?;
    }
    Ok(table.missed() == 0)
}

async fn measure(plan: &Plan) -> Result<Measured> {
    let stage = Stage::start().await?;
    let small = bursts(&stage, plan.small, Begins::Created).await?;
    eprintln!("one order at a time");
    let single = single::run(&stage, plan.single).await?;
    eprintln!("one order at a time, with the ledger on object storage");
    let outside = outside::run(&stage, plan.outside).await?;
    let slow = bursts(&stage, plan.slow, Begins::Created).await?;
    let few_slots = bursts(&stage, plan.few_slots, Begins::Created).await?;
    let many_slots = bursts(&stage, plan.many_slots, Begins::Created).await?;
    let large = bursts(&stage, plan.large, Begins::Created).await?;
    let approved = bursts(&stage, plan.approved, Begins::Approved).await?;
    eprintln!("one order at a time beside another tenant's burst");
    let neighbour = neighbour::run(&stage, plan.many_slots.0, plan.single / 4).await?;
    eprintln!("{} orders at a provider that throttles", plan.throttled);
    let throttled = throttled::run(&stage, plan.throttled).await?;
    let bounded = match plan.bounded {
        Some(load) => {
            // An apiserver that has all of the above in it is slower.
            let stage = fresh(&stage).await?;
            Some(burst::run(&stage, Who::Operator, load, Begins::Created).await?)
        }
        None => None,
    };
    let stage = fresh(&stage).await?;
    eprintln!("starts with finished orders");
    let grown = grown::run(&stage, plan).await?;
    let binary = std::fs::metadata(harness::program::operator_under_test())?.len();
    stage.plane.shut_down();
    Ok(Measured {
        few_slots,
        many_slots,
        large,
        approved,
        small,
        slow,
        single,
        outside,
        neighbour,
        throttled,
        grown,
        bounded,
        binary,
    })
}

/// A new one, and an end of the one before.
async fn fresh(before: &Stage) -> Result<Stage> {
    before.plane.shut_down();
    Stage::start().await
}

async fn bursts(stage: &Stage, (load, times): (Load, usize), begins: Begins) -> Result<Bursts> {
    eprintln!("{} orders {begins:?} at once, {} slots", load.orders, load.slots);
    let mut bursts = Bursts { load, bare: Vec::new(), operator: Vec::new() };
    for who in alternated(times) {
        let ran = burst::run(stage, who, load, begins).await?;
        match who {
            Who::Bare => bursts.bare.push(ran),
            Who::Operator => bursts.operator.push(ran),
        }
    }
    Ok(bursts)
}

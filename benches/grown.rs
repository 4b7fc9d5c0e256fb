//! Many orders that are finished: what a start with them takes, what they weigh, and what they cost while nothing
//! happens.

use std::time::{Duration, Instant};

use kube::api::{Api, PostParams};
use serde_json::json;
use tenios_api::PhoneNumberOrder;

use crate::burst::{as_f64, order};
use crate::measure;
use crate::plan::Plan;
use crate::stage::{Contender, Stage, Who, Worker, alternated};
use crate::stats::Figures;
use harness::finished::Seedling;
use harness::{Mark, Operator, Requests, Result, TestNamespaces};

const PATIENCE: Duration = Duration::from_secs(120);

/// A start with so many finished orders.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// How many.
    pub finished: usize,
    /// Seconds from the start of the process until it was ready.
    pub ready: f64,
    /// The same until a bare client had listed all.
    pub list: f64,
    /// MiB, at most until it was quiet.
    pub peak: f64,
    /// MiB, once it was quiet.
    pub resident: f64,
}

/// While nothing happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idle {
    /// Percent of a processor.
    pub cpu: f64,
    /// Requests in a minute.
    pub requests: f64,
    /// Those that read.
    pub reads: f64,
}

/// See the module documentation.
#[derive(Debug, Default)]
pub struct Grown {
    /// One for each count in the plan, the first with none.
    pub starts: Vec<Start>,
    /// Until ready, as a multiple of a bare list; with [`Plan::kept`] finished ones.
    pub compared: Figures,
    /// With [`Plan::kept`] finished ones.
    pub idle: Idle,
}

/// Runs it.
pub async fn run(stage: &Stage, plan: &Plan) -> Result<Grown> {
    let nursery = Nursery::new(stage).await?;
    let mut grown = Grown { starts: vec![nursery.empty], ..Grown::default() };
    let mut there = 1;
    for &finished in plan.finished.iter().filter(|finished| **finished > 0) {
        nursery.grow(there, finished).await?;
        there = finished;
        let list = nursery.list().await?;
        let mut start = nursery.start().await?;
        (start.finished, start.list) = (finished, list);
        eprintln!(
            "  {finished} finished: ready after {:.2} s (bare list {:.2} s), {:.1} MiB, at most {:.1} MiB",
            start.ready, start.list, start.resident, start.peak
        );
        grown.starts.push(start);
        if finished == plan.kept {
            grown.idle = nursery.idle(plan.idle).await?;
            nursery.contender.stop().await;
            grown.compared = nursery.compare(plan.starts).await?;
        } else {
            nursery.contender.stop().await;
        }
    }
    Ok(grown)
}

struct Nursery<'a> {
    stage: &'a Stage,
    contender: Contender,
    empty: Start,
    seedling: Seedling,
}

impl<'a> Nursery<'a> {
    /// With one order, and the operator stopped.
    async fn new(stage: &'a Stage) -> Result<Self> {
        let contender = stage.contender(Who::Operator, 16).await?;
        contender.namespaces.quiet().await;
        let process = contender.process();
        let empty =
            Start { peak: measure::peak(process), resident: measure::resident(process), ..Start::default() };
        let document = stage.provider.reset(Duration::ZERO, Duration::ZERO).await?;
        let orders: Api<PhoneNumberOrder> = contender.namespaces.api();
        let first = order("seedling", &json!({"verificationId": document}));
        orders.create(&PostParams::default(), &serde_json::from_value(first)?).await?;
        let seedling = Seedling::of(&contender.namespaces).await?;
        contender.stop().await;
        Ok(Self { stage, contender, empty, seedling })
    }

    fn namespaces(&self) -> &TestNamespaces {
        &self.contender.namespaces
    }

    fn operator(&self) -> Result<&Operator> {
        match &self.contender.worker {
            Worker::Operator(operator) => Ok(operator),
            Worker::Bare(_) => Err("not the operator".into()),
        }
    }

    async fn grow(&self, from: usize, to: usize) -> Result<()> {
        self.seedling.copy(self.namespaces(), from..to).await
    }

    /// Seconds until it is ready.
    async fn ready(&self) -> Result<f64> {
        let operator = self.operator()?;
        let began = Instant::now();
        operator.process.start()?;
        while !operator.is_ready().await {
            if !operator.process.is_running() || began.elapsed() > PATIENCE {
                return Err(self.contender.failed("the operator isn't ready"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    async fn start(&self) -> Result<Start> {
        let mark = self.stage.plane.audit().mark();
        let ready = self.ready().await?;
        self.contender.leads().await;
        self.namespaces().quiet().await;
        let made = self.made_since(mark).await;
        let writes = made.clone().writes().only(|request| request.resource != "leases");
        if !writes.is_empty() {
            return Err(format!("finished orders are no longer left alone:\n{writes}").into());
        }
        let process = self.contender.process();
        let (peak, resident) = (measure::peak(process), measure::resident(process));
        Ok(Start { ready, peak, resident, ..Start::default() })
    }

    /// Seconds that a bare list takes, with the start of its process.
    async fn list(&self) -> Result<f64> {
        let list = self.stage.list(self.namespaces()).await?;
        let began = Instant::now();
        list.start()?;
        let status = loop {
            if let Some(status) = list.try_exit_status() {
                break status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let took = began.elapsed().as_secs_f64();
        if status.success() { Ok(took) } else { Err(list.log_tail().into()) }
    }

    async fn compare(&self, times: usize) -> Result<Figures> {
        let (mut lists, mut starts) = (Vec::new(), Vec::new());
        for who in alternated(times) {
            match who {
                Who::Bare => lists.push(self.list().await?),
                Who::Operator => {
                    starts.push(self.ready().await?);
                    self.contender.leads().await;
                    self.contender.stop().await;
                }
            }
        }
        Ok(starts.iter().zip(&lists).map(|(start, list)| start / list).collect())
    }

    async fn idle(&self, span: Duration) -> Result<Idle> {
        let mark = self.namespaces().quiet().await;
        let (cpu, began) = (measure::cpu_seconds(self.contender.process()), Instant::now());
        tokio::time::sleep(span).await;
        let cpu = measure::cpu_seconds(self.contender.process()) - cpu;
        let seconds = began.elapsed().as_secs_f64();
        let made = self.made_since(mark).await.only(|request| request.verb != "watch");
        let reads = made.clone().with_verb(&["get", "list"]);
        eprintln!("  idle for {seconds:.0} s:\n{made}");
        Ok(Idle {
            cpu: 100.0 * cpu / seconds,
            requests: 60.0 * as_f64(made.len()) / seconds,
            reads: 60.0 * as_f64(reads.len()) / seconds,
        })
    }

    async fn made_since(&self, mark: Mark) -> Requests {
        self.stage.plane.requests_since(mark).await.by(&self.namespaces().operator_identity().user())
    }
}

//! What all runs together say.

use std::fmt::Write as _;

use crate::burst::{Ran, as_f64};
use crate::grown::Grown;
use crate::measure;
use crate::neighbour;
use crate::outside::Outside;
use crate::plan::{Load, Plan};
use crate::plot::{Line, Plot};
use crate::single::Waits;
use crate::stats::Figures;
use crate::table::{Table, keep};
use crate::throttled::Throttled;
use harness::{Result, checkout};

/// A burst, by both: one of each for each repeat.
pub struct Bursts {
    pub load: Load,
    pub bare: Vec<Ran>,
    pub operator: Vec<Ran>,
}

/// Everything that was measured.
pub struct Measured {
    pub few_slots: Bursts,
    pub many_slots: Bursts,
    pub large: Bursts,
    pub approved: Bursts,
    pub small: Bursts,
    pub slow: Bursts,
    pub single: [Waits; 2],
    pub outside: Outside,
    pub neighbour: neighbour::Waits,
    pub throttled: Throttled,
    pub grown: Grown,
    /// The burst that is worked off in bounded memory, where it was run.
    pub bounded: Option<Ran>,
    /// Bytes of the operator's binary.
    pub binary: u64,
}

impl Bursts {
    /// How fast the operator is as a share of the bare client.
    fn share(&self) -> Figures {
        self.bare.iter().zip(&self.operator).map(|(bare, operator)| bare.took / operator.took).collect()
    }

    fn most(&self, of: impl Fn(&Ran) -> f64) -> f64 {
        self.operator.iter().map(of).fold(0.0, f64::max)
    }

    fn median(&self, of: impl Fn(&Ran) -> f64) -> f64 {
        self.operator.iter().map(of).collect::<Figures>().median()
    }
}

impl Measured {
    fn bursts(&self) -> [&Bursts; 5] {
        [&self.small, &self.slow, &self.few_slots, &self.many_slots, &self.large]
    }

    /// The figures against their goals.
    pub fn table(&self) -> Table {
        let mut table = Table::default();
        self.speed(&mut table);
        self.requests(&mut table);
        self.memory(&mut table);
        self.waits(&mut table);
        self.outside(&mut table);
        self.neighbour(&mut table);
        let Throttled { orders, share, turned_away } = self.throttled;
        table.row(
            format!("{orders} orders at a provider that takes 5 a second and answers 429 beyond: share of what it allows"),
            format!("{:.0} %, {turned_away:.2} turned away for each taken", share * 100.0),
            "≥ 90 %",
            share >= 0.9,
        );
        let megabytes = as_f64(usize::try_from(self.binary).unwrap_or(usize::MAX)) / 1e6;
        table.row("operator binary", format!("{megabytes:.1} MB"), "≤ 10 MB", megabytes <= 10.0);
        table
    }

    fn speed(&self, table: &mut Table) {
        for (bursts, goal) in [(&self.few_slots, 0.95), (&self.many_slots, 0.85), (&self.large, 0.85)] {
            let Load { orders, slots, answer, .. } = bursts.load;
            let share = bursts.share();
            table.row(
                format!("{orders} orders at once, provider {} ms, {slots} slots: speed as a share of the bare client", answer.as_millis()),
                share.to_string(),
                &format!("≥ {goal}"),
                share.median() >= goal,
            );
        }
        let share = self.approved.share();
        table.row(
            format!(
                "{} orders that wait for one approval: speed as a share of the bare client",
                self.approved.load.orders
            ),
            share.to_string(),
            "≥ 0.85",
            share.median() >= 0.85,
        );
        let first = |bursts: &Bursts, ran: fn(&Bursts) -> &Vec<Ran>| -> f64 {
            ran(bursts).iter().filter_map(|ran| ran.shown.get(99).copied()).collect::<Figures>().median()
        };
        let later = |ran| first(&self.large, ran) / first(&self.small, ran);
        let ratio = later(|bursts| &bursts.operator) / later(|bursts| &bursts.bare);
        table.row(
            format!(
                "the first 100 of {} orders, against a burst of 100; over the same of the bare client",
                self.large.load.orders
            ),
            format!("{ratio:.2}"),
            "≤ 1.1",
            ratio <= 1.1,
        );
        let ideal = self.slow.load.ideal();
        let push = self.slow.load.push.as_secs_f64();
        let over: Figures = self.slow.operator.iter().map(|ran| (ran.took - push) / ideal).collect();
        table.row(
            format!(
                "{} orders at a provider that takes {} s, {} slots: time as a multiple of the ideal",
                self.slow.load.orders,
                self.slow.load.answer.as_secs_f64(),
                self.slow.load.slots
            ),
            over.to_string(),
            "≤ 1.1",
            over.median() <= 1.1,
        );
    }

    fn requests(&self, table: &mut Table) {
        let most =
            |of: fn(&Ran) -> f64| self.bursts().iter().map(|bursts| bursts.most(of)).fold(0.0, f64::max);
        let mut row = |figure: &str, of: fn(&Ran) -> f64, goal: f64| {
            let measured = most(of);
            table.row(figure, format!("{measured:.2}"), &format!("≤ {goal}"), measured <= goal + 0.005);
        };
        row("writes of an order (ledger and status), at the worst load", |ran| ran.cost.writes, 5.0);
        row("reads of an order, at the worst load", |ran| ran.cost.reads, 1.05);
        row("Events of an order, at the worst load", |ran| ran.cost.events, 1.1);
        let cpu = [&self.few_slots, &self.many_slots].map(|bursts| bursts.median(Ran::cpu_ms));
        table.row(
            format!(
                "processor time of the operator for an order, {} and {} slots",
                self.few_slots.load.slots, self.many_slots.load.slots
            ),
            format!("{:.2} and {:.2} ms", cpu[0], cpu[1]),
            "≤ 1.5 ms",
            cpu[0] <= 1.5 && cpu[1] <= 1.5,
        );
    }

    fn memory(&self, table: &mut Table) {
        let Some((empty, kept)) = self.empty_and_kept() else { return };
        table.row("resident, idle", format!("{:.1} MiB", empty.resident), "≤ 10 MiB", empty.resident <= 10.0);
        let each = (kept.resident - empty.resident) * 1024.0 / as_f64(kept.finished);
        table.row(
            format!("resident for each finished order, after a start with {}", kept.finished),
            format!("{each:.2} KiB"),
            "≤ 0.5 KiB",
            each <= 0.5,
        );
        let worked = &self.large;
        let each = worked.median(|ran| ran.memory[2] - ran.memory[0]) * 1024.0 / as_f64(worked.load.orders);
        table.row(
            format!("resident for each finished order, after working off {}", worked.load.orders),
            format!("{each:.2} KiB"),
            "≤ 0.5 KiB",
            each <= 0.5,
        );
        let over = kept.peak - empty.resident;
        table.row(
            format!("peak while starting with {} finished, over idle", kept.finished),
            format!("{over:.1} MiB"),
            "≤ 16 MiB",
            over <= 16.0,
        );
        let compared = &self.grown.compared;
        table.row(
            format!("ready with {} finished, as a multiple of a bare list", kept.finished),
            compared.to_string(),
            "≤ 1.5",
            compared.median() <= 1.5,
        );
        let idle = self.grown.idle;
        table.row(
            format!("idle with {} finished: processor", kept.finished),
            format!("{:.3} %", idle.cpu),
            "< 0.05 %",
            idle.cpu < 0.05,
        );
        table.row(
            format!("idle with {} finished: requests a minute", kept.finished),
            format!("{:.0}, {:.0} of them reads", idle.requests, idle.reads),
            "no reads",
            idle.reads < 0.5,
        );
        if let Some(bounded) = &self.bounded {
            let peak = bounded.memory[1];
            table.row(
                format!("peak while working off {} orders", bounded.shown.len()),
                format!("{peak:.1} MiB"),
                "≤ 64 MiB",
                peak <= 64.0,
            );
        }
    }

    fn empty_and_kept(&self) -> Option<(&crate::grown::Start, &crate::grown::Start)> {
        let starts = &self.grown.starts;
        let kept = starts.iter().rfind(|start| start.finished <= 10_000 && start.finished > 0)?;
        Some((starts.first()?, kept))
    }

    fn waits(&self, table: &mut Table) {
        let [bare, operator] = &self.single;
        let mut row = |figure: &str, bare: &Figures, operator: &Figures| {
            let [half, most] = [0.5, 0.99].map(|share| operator.quantile(share) - bare.quantile(share));
            table.row(
                figure,
                format!(
                    "p50 {half:.1} ms, p99 {most:.1} ms over the bare client's {:.1} and {:.1} ms",
                    bare.median(),
                    bare.quantile(0.99)
                ),
                "p50 ≤ 10 ms, p99 ≤ 50 ms over",
                half <= 10.0 && most <= 50.0,
            );
        };
        row(
            "an order's creation until its request is at the provider, idle",
            &bare.request,
            &operator.request,
        );
        row("a push leaves until its number is in the status, idle", &bare.number, &operator.number);
    }

    fn outside(&self, table: &mut Table) {
        let each: Vec<_> =
            self.outside.requests.iter().map(|(method, each)| format!("{each:.2} {method}")).collect();
        table.fact("the ledger on object storage: requests to it for an order", each.join(", "));
        let [in_cluster, outside] = &self.outside.waits;
        let mut row = |figure: &str, in_cluster: &Figures, outside: &Figures| {
            let [half, most] = [0.5, 0.99].map(|share| outside.quantile(share) - in_cluster.quantile(share));
            table.fact(
                format!("the ledger on object storage, on the same machine: {figure}"),
                format!(
                    "p50 {half:.1} ms, p99 {most:.1} ms over {:.1} and {:.1} ms with the ledger in the cluster",
                    in_cluster.median(),
                    in_cluster.quantile(0.99)
                ),
            );
        };
        row(
            "an order's creation until its request is at the provider, idle",
            &in_cluster.request,
            &outside.request,
        );
        row("a push leaves until its number is in the status, idle", &in_cluster.number, &outside.number);
    }

    fn neighbour(&self, table: &mut Table) {
        let [bare, operator] = [&self.neighbour.bare, &self.neighbour.operator].map(neighbour::Waits::longer);
        table.row(
            format!(
                "one order while another tenant orders {}: p99 as a multiple of idle",
                self.many_slots.load.orders
            ),
            format!("{operator:.1} (the bare client, with one tenant: {bare:.1})"),
            "≤ 3",
            operator <= 3.0,
        );
    }

    /// For whoever sizes the pod.
    pub fn sizes(&self) -> String {
        let mut text = String::from(
            "| finished orders | resident | at most while starting | ready after | a bare list takes |\n|---|---|---|---|---|\n",
        );
        for start in &self.grown.starts {
            let seconds = |seconds: f64| if seconds > 0.0 { format!("{seconds:.2} s") } else { "–".into() };
            let _ = writeln!(
                text,
                "| {} | {:.1} MiB | {:.1} MiB | {} | {} |",
                start.finished,
                start.resident,
                start.peak,
                seconds(start.ready),
                seconds(start.list)
            );
        }
        text.push_str(
            "\n| orders at once, 64 slots | seconds | bare client | at most resident | resident after |\n|---|---|---|---|---|\n",
        );
        for (orders, operator, bare, peak, after) in self.worked_off() {
            let bare = bare.map_or("–".into(), |bare| format!("{bare:.1}"));
            let _ = writeln!(text, "| {orders} | {operator:.1} | {bare} | {peak:.1} MiB | {after:.1} MiB |");
        }
        text
    }

    fn worked_off(&self) -> Vec<(usize, f64, Option<f64>, f64, f64)> {
        let mut rows: Vec<_> = [&self.small, &self.many_slots, &self.large]
            .iter()
            .map(|bursts| {
                let bare: Figures = bursts.bare.iter().map(|ran| ran.took).collect();
                let after = bursts.median(|ran| ran.memory[2]);
                let peak = bursts.most(|ran| ran.memory[1]);
                (bursts.load.orders, bursts.median(|ran| ran.took), Some(bare.median()), peak, after)
            })
            .collect();
        let bounded = self.bounded.as_ref();
        rows.extend(bounded.map(|ran| (ran.shown.len(), ran.took, None, ran.memory[1], ran.memory[2])));
        rows
    }

    fn plots(&self) -> [(&'static str, Plot); 2] {
        let starts = |of: fn(&crate::grown::Start) -> f64| -> Vec<(f64, f64)> {
            self.grown.starts.iter().map(|start| (as_f64(start.finished), of(start))).collect()
        };
        let worked = self.worked_off();
        let bare = worked.iter().filter_map(|row| Some((as_f64(row.0), row.2?))).collect();
        let memory = Plot {
            title: "Memory, MiB",
            across: "orders",
            lines: vec![
                Line { name: "idle", points: starts(|start| start.resident) },
                Line { name: "while starting", points: starts(|start| start.peak) },
                Line {
                    name: "while ordering",
                    points: worked.iter().map(|row| (as_f64(row.0), row.3)).collect(),
                },
            ],
        };
        let time = Plot {
            title: "Time, seconds",
            across: "orders",
            lines: vec![
                Line { name: "until ready", points: starts(|start| start.ready) },
                Line { name: "a bare list", points: starts(|start| start.list) },
                Line {
                    name: "ordering at once",
                    points: worked.iter().map(|row| (as_f64(row.0), row.1)).collect(),
                },
                Line { name: "the bare client", points: bare },
            ],
        };
        [("memory", memory), ("time", time)]
    }

    /// Writes all of it into the documentation.
    pub fn keep(&self, plan: &Plan, table: &Table) -> Result<()> {
        let run = if plan.full { "make bench" } else { "QUICK=1 make bench" };
        let when = jiff::Timestamp::now().strftime("%Y-%m-%d");
        let text = format!("Measured on {when} by `{run}`, on {}.\n\n{table}", measure::machine());
        keep("figures", &text)?;
        let mut sizes = self.sizes();
        for (name, plot) in self.plots() {
            std::fs::write(checkout(&format!("docs/images/performance-{name}.svg")), plot.draw())?;
            let _ = write!(sizes, "\n![{}](images/performance-{name}.svg)\n", plot.title);
        }
        keep("sizes", &sizes)
    }
}

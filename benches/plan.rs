//! What is run: all of it, or as much as five minutes hold.

use std::time::Duration;

/// A burst of orders.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How many.
    pub orders: usize,
    /// Requests in flight at the provider at most.
    pub slots: u16,
    /// How long the provider takes for an answer.
    pub answer: Duration,
    /// How long after it a number is pushed.
    pub push: Duration,
}

impl Load {
    const fn new(orders: usize, slots: u16, answer_ms: u64) -> Self {
        Self { orders, slots, answer: Duration::from_millis(answer_ms), push: Duration::from_millis(500) }
    }

    /// Seconds that the provider alone needs.
    pub fn ideal(&self) -> f64 {
        let rounds = self.orders.div_ceil(usize::from(self.slots));
        f64::from(u32::try_from(rounds).unwrap_or(u32::MAX)) * self.answer.as_secs_f64()
    }
}

/// See the module documentation.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether it is all of it.
    pub full: bool,
    /// Whether the figures go into the documentation.
    pub keep: bool,
    /// Orders at once, few slots; and how often.
    pub few_slots: (Load, usize),
    /// Orders at once, many slots.
    pub many_slots: (Load, usize),
    /// Orders that wait for one approval.
    pub approved: (Load, usize),
    /// The first of a large burst are compared with a small one.
    pub large: (Load, usize),
    /// See [`Self::large`].
    pub small: (Load, usize),
    /// A provider that takes its time.
    pub slow: (Load, usize),
    /// Orders one at a time.
    pub single: usize,
    /// The same with the ledger on object storage.
    pub outside: usize,
    /// Orders at a provider that throttles.
    pub throttled: usize,
    /// Orders that are finished when the operator starts.
    pub finished: &'static [usize],
    /// Of these, with how many the start is compared and the idle time is watched.
    pub kept: usize,
    /// Starts that are compared.
    pub starts: usize,
    /// How long it is watched while idle.
    pub idle: Duration,
    /// A burst to be worked off in bounded memory.
    pub bounded: Option<Load>,
}

impl Plan {
    /// `QUICK=1` asks for the short one, whose figures are kept with `KEEP=1` only; `REPEATS=2` for fewer repeats than
    /// the full one has.
    pub fn read() -> Self {
        let asked = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
        let plan = if asked("QUICK") { Self::quick() } else { Self::full() };
        let repeats = std::env::var("REPEATS").ok().and_then(|repeats| repeats.parse().ok());
        Self { keep: plan.full || asked("KEEP"), ..plan }.at_most(repeats.unwrap_or(usize::MAX))
    }

    fn at_most(mut self, repeats: usize) -> Self {
        let loads = [&mut self.few_slots, &mut self.many_slots, &mut self.approved, &mut self.large];
        for (_, times) in loads.into_iter().chain([&mut self.small, &mut self.slow]) {
            *times = repeats.clamp(1, *times);
        }
        self.starts = repeats.clamp(1, self.starts);
        self
    }

    fn full() -> Self {
        Self {
            full: true,
            keep: true,
            few_slots: (Load::new(1000, 16, 200), 5),
            many_slots: (Load::new(2000, 64, 200), 5),
            large: (Load::new(10_000, 64, 200), 2),
            approved: (Load::new(10_000, 64, 200), 1),
            small: (Load::new(100, 64, 200), 5),
            slow: (Load::new(100, 16, 1000), 5),
            single: 200,
            outside: 100,
            throttled: 150,
            finished: &[0, 100, 1000, 10_000, 50_000],
            kept: 10_000,
            starts: 5,
            idle: Duration::from_secs(120),
            bounded: Some(Load::new(50_000, 64, 200)),
        }
    }

    fn quick() -> Self {
        Self {
            full: false,
            keep: false,
            few_slots: (Load::new(400, 16, 200), 1),
            many_slots: (Load::new(1000, 64, 200), 1),
            large: (Load::new(1500, 64, 200), 1),
            approved: (Load::new(400, 64, 200), 1),
            small: (Load::new(100, 64, 200), 1),
            slow: (Load::new(48, 16, 1000), 1),
            single: 30,
            outside: 20,
            throttled: 40,
            finished: &[0, 100, 1000],
            kept: 1000,
            starts: 1,
            idle: Duration::from_secs(15),
            bounded: None,
        }
    }
}

//! What is run: everything, a sample chosen by a seed, or one case.

use std::num::NonZero;
use std::time::Duration;

use crate::run::Case;
use crate::topology::Topology;

/// See the module documentation.
pub struct Settings {
    pub seed: u64,
    /// Runs at a time.
    pub jobs: usize,
    /// How many cells of the grid; all of them, if none.
    pub sample: Option<usize>,
    full: bool,
    walks: usize,
    only: Option<String>,
    attack_minutes: Option<u64>,
}

/// How long a tenant attacks where everything is run.
const ATTACK_MINUTES: u64 = 30;
/// `ONLY=attack`
const ATTACK: &str = "attack";
/// Runs at a time, for each core. One mostly waits for time-outs and pauses: on two cores a run takes 5 s, of which a third
/// of a second is work, all programs together.
const JOBS_PER_CORE: usize = 10;
/// Quiet runs that are recorded at a time, for each core: they must not look as if anything were slow.
const RECORDED_PER_CORE: usize = 2;
/// Cells in a plain `cargo test`.
const SAMPLE: usize = 40;
/// About 22 crashes each.
const WALKS: usize = 50;
const WALKS_IN_SAMPLE: usize = 4;

impl Settings {
    /// From the environment. None where the command line asks for other tests than these.
    pub fn read() -> Option<Self> {
        let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
        let listed = std::env::args().any(|argument| argument == "--list");
        if listed || (!asked.is_empty() && !asked.iter().any(|name| "faults".contains(name.as_str()))) {
            return None;
        }
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str| variable(name).and_then(|value| value.parse().ok());
        let full = variable("FAULTS").is_some_and(|value| value == "all");
        Some(Self {
            seed: number("SEED").unwrap_or_else(|| u64::from(uuid::Uuid::new_v4().as_fields().0)),
            jobs: number("JOBS").and_then(|n| usize::try_from(n).ok()).unwrap_or(JOBS_PER_CORE * cores()),
            sample: number("SAMPLE").and_then(|n| usize::try_from(n).ok()).or((!full).then_some(SAMPLE)),
            walks: number("WALKS").and_then(|n| usize::try_from(n).ok()).unwrap_or(if full {
                WALKS
            } else {
                WALKS_IN_SAMPLE
            }),
            full,
            only: variable("ONLY"),
            attack_minutes: number("ATTACK_MINUTES"),
        })
    }

    /// Quiet runs at a time.
    pub fn recorded_at_once(&self) -> usize {
        self.jobs.min(RECORDED_PER_CORE * cores())
    }

    /// Whether the figures are those of everything.
    pub fn is_full(&self) -> bool {
        self.full && self.only.is_none() && self.sample.is_none()
    }

    /// The one case that is asked for by its whole name.
    pub fn one(&self) -> Option<Case> {
        self.only.as_ref()?.parse().ok()
    }

    /// Whether only runs with two replicas are asked for.
    pub fn needs_no_record(&self) -> bool {
        ![Topology::Alone, Topology::Outside].into_iter().any(|topology| self.records(topology))
    }

    /// Whether what is asked for may need a record of the runs with these.
    pub fn records(&self, topology: Topology) -> bool {
        let named = self.only.as_ref().and_then(|only| only.split_once('+'));
        let named = named.map(|(_, rest)| rest.split_once('/').map_or(rest, |(named, _)| named));
        named.is_none_or(|named| {
            topology.to_string().strip_prefix('+').is_some_and(|word| word.starts_with(named))
        })
    }

    /// Whether the grid is run: not where only walks or the attack are asked for.
    pub fn runs_grid(&self) -> bool {
        self.only.as_ref().is_none_or(|only| !only.starts_with("walk") && only != ATTACK)
    }

    /// How long a tenant attacks, if he does: where everything is run, or it is asked for.
    pub fn attack(&self) -> Option<Duration> {
        let asked = self.only.as_ref().map_or(self.full, |only| only == ATTACK);
        let minutes = self.attack_minutes.unwrap_or(ATTACK_MINUTES);
        (asked && minutes > 0).then(|| Duration::from_secs(60 * minutes))
    }

    /// The seeds to walk from: one by `ONLY=walk/SEED`, else so many from the seed on.
    pub fn walks(&self) -> Vec<u64> {
        let count = self.walks;
        match self.only.as_deref().map(|only| only.strip_prefix("walk")) {
            Some(None) => Vec::new(),
            _ if self.only.as_deref() == Some(ATTACK) => Vec::new(),
            Some(Some(rest)) if rest.starts_with('/') => rest[1..].parse().into_iter().collect(),
            _ => (self.seed..).take(count).collect(),
        }
    }

    /// In an order that the seed decides, so that a sample is spread over everything.
    pub fn choose(&self, mut cells: Vec<Case>) -> Vec<Case> {
        if let Some(only) = &self.only {
            cells.retain(|case| case.to_string().contains(only.as_str()));
        }
        cells.sort_by_key(|case| (mix(self.seed, &case.to_string()), case.to_string()));
        cells.truncate(self.sample.unwrap_or(usize::MAX));
        cells
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// FNV-1a, because it must give the same everywhere.
fn mix(seed: u64, text: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{LEAD, Pace};

const MS: Duration = Duration::from_millis(1);

/// How a provider decides.
#[derive(Clone, Copy, Debug)]
enum Rule {
    /// So many in each window of so many milliseconds, which begins with the first one.
    Window {
        most: u32,
        ms: u32,
    },
    /// As before, and the windows follow each other.
    Clock {
        most: u32,
        ms: u32,
    },
    /// One in so many milliseconds, and so many in store.
    Bucket {
        ms: u32,
        store: u32,
    },
    Nothing,
}

impl Rule {
    /// Requests a second.
    fn rate(self) -> f64 {
        match self {
            Self::Window { most, ms } | Self::Clock { most, ms } => f64::from(most) / f64::from(ms) * 1000.0,
            Self::Bucket { ms, .. } => 1000.0 / f64::from(ms),
            Self::Nothing => 0.0,
        }
    }
}

/// What it says in `Retry-After`.
#[derive(Clone, Copy, Debug)]
enum Says {
    Nothing,
    OneSecond,
    /// The whole seconds after which it takes one.
    TheTruth,
}

struct Provider {
    rule: Rule,
    says: Says,
    began: Duration,
    count: u32,
    store: f64,
    last: Duration,
}

impl Provider {
    fn new(rule: Rule, says: Says) -> Self {
        let store = if let Rule::Bucket { store, .. } = rule { f64::from(store) } else { 0.0 };
        Self { rule, says, began: Duration::ZERO, count: 0, store, last: Duration::ZERO }
    }

    /// Whether it takes a request; else what it says.
    fn ask(&mut self, now: Duration) -> Result<(), Option<Duration>> {
        let wait = match self.rule {
            Rule::Window { most, ms } | Rule::Clock { most, ms } => {
                let long = MS * ms;
                if self.count == 0 || now >= self.began + long {
                    let aligned = matches!(self.rule, Rule::Clock { .. });
                    self.began = if aligned { now.saturating_sub(now_in(now, long)) } else { now };
                    self.count = 0;
                }
                self.count += 1;
                if self.count <= most {
                    return Ok(());
                }
                (self.began + long).saturating_sub(now)
            }
            Rule::Bucket { ms, store } => {
                let gained = now.saturating_sub(self.last).as_secs_f64() * 1000.0 / f64::from(ms);
                (self.store, self.last) = ((self.store + gained).min(f64::from(store)), now);
                if self.store >= 1.0 {
                    self.store -= 1.0;
                    return Ok(());
                }
                (MS * ms).mul_f64(1.0 - self.store)
            }
            Rule::Nothing => Duration::from_secs(1),
        };
        Err(match self.says {
            Says::Nothing => None,
            Says::OneSecond => Some(Duration::from_secs(1)),
            Says::TheTruth => Some(Duration::from_secs_f64(wait.as_secs_f64().ceil())),
        })
    }
}

fn now_in(now: Duration, window: Duration) -> Duration {
    Duration::from_nanos(u64::try_from(now.as_nanos() % window.as_nanos()).unwrap())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Departs { reserved: Instant },
    Arrives { departed: Instant },
    Answers { departed: Instant, taken: bool, asked: Option<Duration> },
}

/// What came of it where there is always as much to send as the slots allow.
#[derive(Debug, Default)]
struct Played {
    /// When, since the beginning.
    taken: Vec<Duration>,
    turned_away: Vec<Duration>,
    departed: Vec<Duration>,
}

impl Played {
    fn taken_between(&self, from: u32, to: u32) -> f64 {
        let within = |at: &&Duration| (from.into()..to.into()).contains(&at.as_secs());
        f64::from(u32::try_from(self.taken.iter().filter(within).count()).unwrap())
    }
}

const SLOTS: usize = 16;

/// The latency is that of a request that is taken, in milliseconds.
fn play(mut provider: Provider, seconds: u32, latency: u32, seed: u32) -> Played {
    let began = Instant::now();
    let (mut pace, mut played) = (Pace::new(Duration::from_secs(300)), Played::default());
    let mut coming: VecDeque<(Instant, Happens)> = VecDeque::new();
    let (mut in_flight, mut closed_until) = (0, began);
    // Deterministic, and different each time.
    let mut dice = seed;
    let mut roll = |below: u32| {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        MS * ((dice >> 16) % below)
    };
    let (mut now, end) = (began, began + Duration::from_secs(seconds.into()));
    while now < end {
        let mut due: Vec<_> = Vec::new();
        coming.retain(|(at, what)| {
            if *at <= now {
                due.push((*at, *what));
                false
            } else {
                true
            }
        });
        due.sort();
        for (at, what) in due {
            match what {
                Happens::Departs { reserved } => match pace.depart(reserved, at) {
                    Ok(departed) => {
                        assert!(departed >= closed_until, "it leaves while it must not");
                        played.departed.push(departed - began);
                        coming.push_back((departed + 2 * MS + roll(8), Happens::Arrives { departed }));
                    }
                    Err(_) => in_flight -= 1,
                },
                Happens::Arrives { departed } => {
                    let answer = provider.ask(at - began);
                    let (taken, asked, after) = match answer {
                        Ok(()) => (true, None, MS * latency),
                        Err(asked) => (false, asked, MS),
                    };
                    let log = if taken { &mut played.taken } else { &mut played.turned_away };
                    log.push(at - began);
                    coming.push_back((at + after, Happens::Answers { departed, taken, asked }));
                }
                Happens::Answers { departed, taken: true, .. } => {
                    in_flight -= 1;
                    pace.taken(departed);
                }
                Happens::Answers { departed, asked, .. } => {
                    in_flight -= 1;
                    closed_until = closed_until.max(at + asked.unwrap_or(Duration::from_secs(1)));
                    pace.turned_away(departed, asked, at);
                }
            }
        }
        while in_flight < SLOTS
            && let Some(at) = pace.next(now).filter(|at| *at <= now + LEAD)
        {
            pace.reserve(at);
            in_flight += 1;
            coming.push_back((at.max(now + 20 * MS + roll(100)), Happens::Departs { reserved: at }));
        }
        assert!(pace.departures.len() <= super::KEPT);
        let called = (in_flight < SLOTS)
            .then(|| pace.next(now))
            .flatten()
            .map(|at| at.checked_sub(LEAD).unwrap_or(at));
        let next = coming.iter().map(|(at, _)| *at).chain(called).min();
        now = next.unwrap().max(now + MS);
    }
    played
}

#[test]
fn p04_the_pace_that_a_provider_allows_is_found_and_used_to_nine_tenths() {
    let rules = [
        (Rule::Window { most: 1, ms: 2000 }, 1200),
        (Rule::Window { most: 30, ms: 60_000 }, 1200),
        (Rule::Clock { most: 30, ms: 60_000 }, 1200),
        (Rule::Bucket { ms: 2000, store: 1 }, 1200),
        (Rule::Bucket { ms: 2000, store: 10 }, 1200),
        (Rule::Window { most: 5, ms: 1000 }, 300),
        (Rule::Clock { most: 5, ms: 1000 }, 300),
        (Rule::Bucket { ms: 200, store: 1 }, 300),
        (Rule::Bucket { ms: 200, store: 5 }, 300),
        (Rule::Bucket { ms: 200, store: 20 }, 300),
        (Rule::Window { most: 50, ms: 1000 }, 240),
        (Rule::Clock { most: 50, ms: 1000 }, 240),
        (Rule::Bucket { ms: 20, store: 5 }, 240),
        (Rule::Bucket { ms: 20, store: 50 }, 240),
    ];
    for (rule, seconds) in rules {
        for says in [Says::TheTruth, Says::OneSecond, Says::Nothing] {
            // A window of a minute that says "one second" is not told from one of a second.
            if matches!(rule, Rule::Window { ms: 60_000, .. } | Rule::Clock { ms: 60_000, .. })
                && !matches!(says, Says::TheTruth)
            {
                continue;
            }
            let played = play(Provider::new(rule, says), seconds, 20, 1);
            // Where it is was not known at the beginning.
            let from = seconds / 4;
            let taken = played.taken_between(from, seconds);
            let share = taken / (rule.rate() * f64::from(seconds - from));
            let turned_away = f64::from(u32::try_from(played.turned_away.len()).unwrap()) / taken;
            println!(
                "{rule:?} {says:?}: {share:.2} of what is allowed, {turned_away:.2} turned away for each"
            );
            assert!(share >= 0.9, "{rule:?} {says:?}: {share}");
            assert!(turned_away <= 0.15, "{rule:?} {says:?}: {turned_away}");
        }
    }
}

#[test]
fn p04_forty_requests_at_five_a_second_are_taken_in_eight_seconds() {
    let played = play(Provider::new(Rule::Window { most: 5, ms: 1000 }, Says::OneSecond), 10, 20, 1);
    assert!(played.taken.len() >= 45, "{} within ten seconds", played.taken.len());
    assert!(played.turned_away.len() < SLOTS, "those of the first moment: {:?}", played.turned_away);
}

#[test]
fn p04_a_provider_that_takes_nothing_is_asked_less_and_less() {
    for says in [Says::OneSecond, Says::Nothing] {
        let played = play(Provider::new(Rule::Nothing, says), 3600, 20, 1);
        let asked = played.departed.len();
        assert!((50..100).contains(&asked), "{asked} requests within an hour");
    }
}

#[test]
fn p04_a_wait_that_is_asked_for_is_kept_up_to_the_longest_that_is_granted() {
    let (mut pace, now) = (Pace::new(Duration::from_secs(300)), Instant::now());
    assert_eq!(pace.next(now), Some(now));
    pace.reserve(now);
    let departed = pace.depart(now, now).unwrap();
    pace.turned_away(departed, Some(Duration::from_secs(86_400)), now);
    assert_eq!(pace.next(now), Some(now + Duration::from_secs(300)));
    pace.reserve(now);
    let left = pace.depart(now, now + Duration::from_secs(1));
    assert_eq!(left, Err(Duration::from_secs(299)));
}

#[test]
fn p04_after_a_stop_in_vain_one_request_is_sent_to_see_whether_anything_is_taken() {
    let (mut pace, mut now) = (Pace::new(Duration::from_secs(300)), Instant::now());
    let mut send = |pace: &mut Pace, taken: usize| {
        now = pace.next(now).unwrap().max(now);
        for _ in 0..=taken {
            pace.reserve(now);
        }
        let departed = pace.depart(now, now).unwrap();
        pace.turned_away(departed, None, now);
        now += Duration::from_secs(10);
        now
    };
    send(&mut pace, 20);
    let now = send(&mut pace, 0);
    let alone = pace.next(now).unwrap();
    pace.reserve(alone);
    assert_eq!(pace.next(now + Duration::from_secs(60)), None);
    pace.taken(alone);
    assert!(pace.next(now + Duration::from_secs(60)).is_some());
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        (1..60_u32, 100..5000_u32).prop_map(|(most, ms)| Rule::Window { most, ms }),
        (1..60_u32, 100..5000_u32).prop_map(|(most, ms)| Rule::Clock { most, ms }),
        (10..3000_u32, 1..40_u32).prop_map(|(ms, store)| Rule::Bucket { ms, store }),
        Just(Rule::Nothing),
    ]
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![Just(Says::Nothing), Just(Says::OneSecond), Just(Says::TheTruth)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// [`play`] checks each departure.
    #[test]
    fn p04_nothing_leaves_before_the_time_that_was_asked_for(
        rule in rule(),
        says in says(),
        latency in 1..3000_u32,
        seed: u32,
    ) {
        let played = play(Provider::new(rule, says), 30, latency, seed);
        prop_assert!(matches!(rule, Rule::Nothing) || !played.taken.is_empty());
    }
}

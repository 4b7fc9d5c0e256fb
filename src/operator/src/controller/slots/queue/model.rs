//! Every interleaving of a few resources at the queue: reconciles that begin, ask, send, give up, end and panic, answers,
//! deletions, time that passes, and a leader that changes. It is complete: a state is left out only where it was seen
//! before.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::{KEPT_FOR, Queue};
use tenios_ledger::{Key, Kind};

/// What is explored.
struct Size {
    name: &'static str,
    slots: usize,
    /// The namespaces of the resources.
    resources: &'static [&'static str],
    rarely: &'static [Rarely],
}

/// What else may happen, as often as it likes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rarely {
    /// A resource is suspended, or has to wait for something else, before it has sent.
    Suspends,
    /// A resource goes and comes back.
    Deletes,
    /// A reconcile panics, or comes to send nothing when it has a slot.
    Fails,
    /// A wake takes longer than a slot is kept.
    Dawdles,
    /// Another replica leads for a while.
    ChangesLeader,
}

const ANYTHING: &[Rarely] =
    &[Rarely::Suspends, Rarely::Deletes, Rarely::Fails, Rarely::Dawdles, Rarely::ChangesLeader];

fn small() -> Vec<Size> {
    vec![
        Size { name: "a crowd and a single one", slots: 1, resources: &["a", "a", "b"], rarely: &[] },
        Size { name: "two namespaces, anything", slots: 1, resources: &["a", "b"], rarely: ANYTHING },
    ]
}

fn all() -> Vec<Size> {
    let mut all = small();
    all.extend([
        Size {
            name: "a crowd and a single one, slow",
            slots: 1,
            resources: &["a", "a", "b"],
            rarely: &[Rarely::Dawdles],
        },
        Size {
            name: "a crowd and a single one, deleted, failing",
            slots: 1,
            resources: &["a", "a", "b"],
            rarely: &[Rarely::Deletes, Rarely::Fails],
        },
        Size {
            name: "a crowd and a single one, suspended",
            slots: 1,
            resources: &["a", "a", "b"],
            rarely: &[Rarely::Suspends],
        },
        Size { name: "two slots", slots: 2, resources: &["a", "a", "a", "b"], rarely: &[] },
        Size { name: "three namespaces", slots: 1, resources: &["a", "a", "b", "c"], rarely: &[] },
    ]);
    all
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Progress {
    None,
    Begun,
    /// It asked, and it was not its turn.
    Asked,
    /// It has a slot and sends nothing yet.
    Holds,
    /// It has sent.
    Sent,
    /// Its task has ended, and what was kept for a resource that is gone is not forgotten yet.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Resource {
    there: bool,
    /// It is due, and wants to send.
    wants: bool,
    woken: bool,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Something changed: it wants to send.
    Wants(usize),
    /// It is suspended, or waits for something else.
    WantsNot(usize),
    Deletes(usize),
    Begins(usize),
    Takes(usize),
    /// It does not read its Secrets while it waits.
    StillWaits(usize),
    Sends(usize),
    /// The last look says otherwise: it decides anew.
    LetsGo(usize),
    Panics(usize),
    Ends(usize),
    /// After the end of its reconcile it is seen to be gone.
    Forgets(usize),
    Answered,
    TimePasses,
    /// What nobody came for is passed on.
    Overdue,
    ChangesLeader,
}

#[derive(Clone)]
struct World {
    queue: Queue,
    now: Instant,
    resources: Vec<Resource>,
    /// Requests in flight.
    sent: usize,
    /// Offers that went to a namespace while the other waited: `(who waits, who got one)`.
    passed_over: BTreeMap<(String, String), u8>,
}

struct Model {
    size: Size,
    keys: Vec<Key>,
}

impl Model {
    fn new(size: Size) -> Self {
        let key = |(n, namespace): (usize, &&str)| Key {
            kind: Kind::Order,
            namespace: (*namespace).to_owned(),
            name: n.to_string(),
        };
        let keys = size.resources.iter().enumerate().map(key).collect();
        Self { size, keys }
    }

    fn first(&self) -> World {
        let resource = Resource { there: true, wants: true, woken: true, progress: Progress::None };
        World {
            queue: Queue::new(self.size.slots),
            now: Instant::now(),
            resources: vec![resource; self.keys.len()],
            sent: 0,
            passed_over: BTreeMap::new(),
        }
    }

    fn steps(&self, world: &World) -> Vec<Step> {
        let [suspends, deletes, fails, dawdles, changes_leader] =
            [Rarely::Suspends, Rarely::Deletes, Rarely::Fails, Rarely::Dawdles, Rarely::ChangesLeader]
                .map(|what| self.size.rarely.contains(&what));
        let mut all = Vec::new();
        for (n, resource) in world.resources.iter().enumerate() {
            let Resource { there, wants, woken, progress } = *resource;
            let under_way = !matches!(progress, Progress::None | Progress::Ended);
            let may = [
                (!wants && (there || deletes), Step::Wants(n)),
                (wants && suspends, Step::WantsNot(n)),
                (there && deletes, Step::Deletes(n)),
                (there && woken && progress == Progress::None, Step::Begins(n)),
                (progress == Progress::Begun && wants, Step::Takes(n)),
                (progress == Progress::Begun && wants, Step::StillWaits(n)),
                (progress == Progress::Holds, Step::Sends(n)),
                (progress == Progress::Holds && fails, Step::LetsGo(n)),
                (under_way && fails, Step::Panics(n)),
                (progress == Progress::Begun && !wants, Step::Ends(n)),
                (matches!(progress, Progress::Asked | Progress::Sent), Step::Ends(n)),
                (progress == Progress::Ended, Step::Forgets(n)),
            ];
            all.extend(may.into_iter().filter(|(may, _)| *may).map(|(_, step)| step));
        }
        all.extend((world.sent > 0).then_some(Step::Answered));
        all.extend(dawdles.then_some([Step::TimePasses, Step::Overdue]).into_iter().flatten());
        all.extend(changes_leader.then_some(Step::ChangesLeader));
        all
    }

    fn step(&self, world: &World, step: Step) -> World {
        let mut next = world.clone();
        let woken = self.take(&mut next, step);
        for key in woken {
            let n = self.index(&key);
            next.resources[n].woken = true;
        }
        self.count_turns(world, &mut next, step);
        next
    }

    fn take(&self, world: &mut World, step: Step) -> Vec<Key> {
        let World { queue, now, resources, sent, .. } = world;
        let woken = match step {
            Step::Wants(n) | Step::WantsNot(n) => {
                let resource = &mut resources[n];
                (resource.there, resource.wants, resource.woken) = (true, step == Step::Wants(n), true);
                None
            }
            Step::Deletes(n) => {
                let resource = &mut resources[n];
                (resource.there, resource.wants, resource.woken) = (false, false, false);
                queue.forget(&self.keys[n], *now)
            }
            Step::Begins(n) => {
                (resources[n].woken, resources[n].progress) = (false, Progress::Begun);
                queue.begin(&self.keys[n]);
                None
            }
            Step::Takes(n) => {
                let took = queue.take(&self.keys[n], *now);
                resources[n].progress = if took { Progress::Holds } else { Progress::Asked };
                None
            }
            Step::StillWaits(n) => {
                if queue.still_waits(&self.keys[n]) {
                    resources[n].progress = Progress::Asked;
                }
                None
            }
            Step::Sends(n) => {
                (resources[n].wants, resources[n].progress) = (false, Progress::Sent);
                *sent += 1;
                None
            }
            Step::LetsGo(n) => {
                resources[n].progress = Progress::Begun;
                queue.give(*now)
            }
            Step::Panics(n) => {
                let holds = resources[n].progress == Progress::Holds;
                (resources[n].progress, resources[n].woken) = (Progress::Ended, resources[n].there);
                let given = holds.then(|| queue.give(*now)).flatten();
                return given.into_iter().chain(queue.end(&self.keys[n], *now)).collect();
            }
            Step::Ends(n) => {
                resources[n].progress = Progress::Ended;
                queue.end(&self.keys[n], *now)
            }
            Step::Forgets(n) => {
                resources[n].progress = Progress::None;
                if resources[n].there { None } else { queue.forget(&self.keys[n], *now) }
            }
            Step::Answered => {
                *sent -= 1;
                queue.give(*now)
            }
            Step::TimePasses => {
                *now += KEPT_FOR;
                None
            }
            Step::Overdue => return queue.overdue(*now),
            Step::ChangesLeader => {
                queue.clear();
                for resource in resources.iter_mut() {
                    resource.woken = resource.there;
                }
                None
            }
        };
        woken.into_iter().collect()
    }

    fn index(&self, key: &Key) -> usize {
        self.keys.iter().position(|known| known == key).unwrap_or_else(|| panic!("{key} is nobody's"))
    }

    /// Counts the turns that others get while a namespace stands in line.
    fn count_turns(&self, before: &World, next: &mut World, step: Step) {
        let offered =
            |world: &World, key: &Key| world.queue.waiters.get(key).is_some_and(|w| w.offer.is_some());
        let is_new = |key: &&Key| offered(next, key) && !offered(before, key);
        let got: Vec<String> = self.keys.iter().filter(is_new).map(|key| key.namespace.clone()).collect();
        // What nobody came for is anybody's who asks, whoever's turn it is.
        let caught = matches!(step, Step::Takes(n) if next.resources[n].progress == Progress::Holds
            && before.queue.free == 0 && !offered(before, &self.keys[n]));
        let waits = |world: &World, namespace: &str| world.queue.lanes.contains_key(namespace);
        let stands = |namespace: &String| {
            waits(before, namespace) && waits(next, namespace) && !caught && !got.contains(namespace)
        };
        let mut passed_over = before.passed_over.clone();
        passed_over.retain(|(waiting, _), _| stands(waiting));
        let lanes: Vec<&String> = next.queue.lanes.keys().filter(|namespace| stands(namespace)).collect();
        for waiting in lanes {
            for another in &got {
                *passed_over.entry((waiting.clone(), another.clone())).or_default() += 1;
            }
        }
        next.passed_over = passed_over;
    }

    /// What does not hold.
    fn broken(&self, world: &World) -> Option<String> {
        let World { queue, resources, sent, passed_over, .. } = world;
        let offers = queue.waiters.values().filter(|waiter| waiter.offer.is_some()).count();
        let held = resources.iter().filter(|resource| resource.progress == Progress::Holds).count();
        if queue.free + offers + held + sent != self.size.slots {
            return Some(format!("{} free, {offers} offered, {held} held, {sent} sent", queue.free));
        }
        if offers != queue.offered.len() {
            return Some(format!("{offers} offers, and {} are known to have one", queue.offered.len()));
        }
        if queue.free > 0 && offers < queue.waiters.len() {
            return Some("a slot is free while somebody waits without an offer".into());
        }
        let mut summary: Vec<&Key> = queue.lanes.values().flat_map(BTreeMap::values).collect();
        let mut waiting: Vec<&Key> =
            queue.waiters.iter().filter(|(_, w)| w.offer.is_none()).map(|(key, _)| key).collect();
        let mut lanes: Vec<&String> = queue.lanes.keys().collect();
        let mut turns: Vec<&String> = queue.turns.iter().collect();
        summary.sort();
        waiting.sort();
        lanes.sort();
        turns.sort();
        if summary != waiting || lanes != turns || queue.lanes.values().any(BTreeMap::is_empty) {
            return Some("the lanes and turns are not those of who waits".into());
        }
        if let Some(((waiting, another), turns)) = passed_over.iter().find(|(_, turns)| **turns > 1) {
            return Some(format!("{another} got {turns} turns while {waiting} waited"));
        }
        (0..self.keys.len()).find_map(|n| self.is_left_alone(world, n))
    }

    /// Whether nobody will ever look at this one again, though something is to be done.
    fn is_left_alone(&self, world: &World, n: usize) -> Option<String> {
        let Resource { there, wants, woken, progress } = world.resources[n];
        if woken || progress != Progress::None {
            return None;
        }
        match world.queue.waiters.get(&self.keys[n]) {
            None if wants => Some(format!("{n} wants to send, and neither waits nor is woken")),
            Some(_) if !there => Some(format!("{n} is gone and waits")),
            Some(waiter) if waiter.offer.is_some() => Some(format!("{n} has an offer and was not woken")),
            _ => None,
        }
    }

    /// What remains once everything was done that happens by itself.
    fn rest(&self, mut world: World, calm: &mut HashSet<u64>) -> Option<String> {
        let mut way = HashSet::new();
        loop {
            let here = self.digest(&world);
            if !way.insert(here) {
                return Some("it goes round in circles".into());
            }
            if !calm.insert(here) {
                return None;
            }
            let by_itself = |step: &Step| {
                !matches!(
                    step,
                    Step::Wants(_)
                        | Step::WantsNot(_)
                        | Step::Deletes(_)
                        | Step::StillWaits(_)
                        | Step::LetsGo(_)
                        | Step::Panics(_)
                        | Step::ChangesLeader
                        | Step::TimePasses
                        | Step::Overdue
                )
            };
            let Some(step) = self.steps(&world).into_iter().find(by_itself) else {
                let all_free = world.queue.free == self.size.slots && world.queue.waiters.is_empty();
                let wants = world.resources.iter().any(|resource| resource.wants);
                return (wants || !all_free).then(|| "it rests before everybody was served".into());
            };
            world = self.step(&world, step);
        }
    }

    /// What tells a state from another one.
    fn digest(&self, world: &World) -> u64 {
        let World { queue, now, resources, sent, passed_over } = world;
        let mut hasher = DefaultHasher::new();
        (queue.free, &queue.turns, resources, sent).hash(&mut hasher);
        for key in &self.keys {
            let waiter = queue.waiters.get(key).map(|waiter| {
                let offer = waiter.offer.as_ref();
                let offer = offer.map(|offer| (now.duration_since(offer.at) >= KEPT_FOR, offer.loose));
                (offer, waiter.reconciling, waiter.asked)
            });
            let lane: Option<Vec<&Key>> = queue.lanes.get(&key.namespace).map(|lane| lane.values().collect());
            (waiter, lane).hash(&mut hasher);
        }
        passed_over.hash(&mut hasher);
        hasher.finish()
    }

    /// Looks at every state; the first that is wrong is told with the way to it.
    fn explore(&self) -> usize {
        let first = self.first();
        let mut seen = HashMap::from([(self.digest(&first), None)]);
        let mut next = VecDeque::from([first]);
        let mut calm = HashSet::new();
        while let Some(world) = next.pop_front() {
            let here = self.digest(&world);
            let wrong = self.broken(&world).or_else(|| self.rest(world.clone(), &mut calm));
            if let Some(wrong) = wrong {
                panic!("{}: {wrong}, after {:?}", self.size.name, way(&seen, here));
            }
            for step in self.steps(&world) {
                let after = self.step(&world, step);
                if let Entry::Vacant(unseen) = seen.entry(self.digest(&after)) {
                    unseen.insert(Some((here, step)));
                    next.push_back(after);
                }
            }
        }
        println!("model of the queue: {}: {} states", self.size.name, seen.len());
        seen.len()
    }
}

fn way(seen: &HashMap<u64, Option<(u64, Step)>>, end: u64) -> Vec<Step> {
    let steps = std::iter::successors(seen[&end], |(before, _)| seen[before]);
    let mut steps: Vec<Step> = steps.map(|(_, step)| step).collect();
    steps.reverse();
    steps
}

/// The small sizes; with `MODEL=all` every size.
#[test]
fn p24_p26_no_interleaving_loses_a_wake_or_a_slot_or_passes_a_namespace_over_twice() {
    let all_sizes = std::env::var("MODEL").is_ok_and(|sizes| sizes == "all");
    let sizes = if all_sizes { all() } else { small() };
    for size in sizes {
        assert!(Model::new(size).explore() > 1000, "less is explored than it seems");
    }
}

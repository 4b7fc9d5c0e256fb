//! Two clusters on one ledger, at the same time, with faults: they order once, and both know it.

use std::collections::BTreeSet;

use proptest::prelude::*;
use tenios_ledger::{AppendError, Event, LedgerStore, Phase, State};

use super::faulty::{Fate, Faulty};
use super::*;

#[tokio::test]
async fn p27_two_clusters_at_the_same_time_order_once() {
    for _ in 0..50 {
        let store = Faulty::default();
        let (one, other) = (Cluster::opened(&store).await, Cluster::opened(&store).await);
        let results = tokio::join!(one.append("o", intended("a")), other.append("o", intended("b")));
        let (won, lost) = match results {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            both => panic!("{both:?}"),
        };
        let AppendError::Conflict(known) = lost else { panic!("{lost:?}") };
        assert_eq!(known.state(), won.state());
    }
}

/// What happens next, in one of the clusters.
#[derive(Clone, Debug)]
enum Step {
    /// It wants to order, if nothing that it knows speaks against it.
    Order,
    /// The answer to what it sent.
    Answer(bool),
    /// The push for what anybody sent.
    Push,
    /// It looks at the store.
    Sync,
    /// It begins anew.
    Restart,
    /// A restore of its etcd without the entry.
    Lose,
    Away(bool),
    Fates(Vec<Fate>),
    /// What was late arrives.
    Arrive,
}

fn step() -> impl Strategy<Value = Step> {
    let fate = prop_oneof![
        Just(Fate::Fair),
        Just(Fate::AnswerLost),
        Just(Fate::Repeated),
        Just(Fate::Lost),
        Just(Fate::Late),
        Just(Fate::Conflict),
        Just(Fate::Denied),
    ];
    prop_oneof![
        4 => Just(Step::Order),
        3 => any::<bool>().prop_map(Step::Answer),
        1 => Just(Step::Push),
        2 => Just(Step::Sync),
        1 => Just(Step::Restart),
        1 => Just(Step::Lose),
        1 => any::<bool>().prop_map(Step::Away),
        2 => prop::collection::vec(fate, 1..5).prop_map(Step::Fates),
        1 => Just(Step::Arrive),
    ]
}

/// Whether the operator would send on this.
fn may_send(state: &State) -> bool {
    let is_free = matches!(state.phase, Phase::Idle | Phase::NotProcessed { .. } | Phase::NotPlaced { .. });
    is_free && state.accepted.is_none()
}

#[derive(Default)]
struct Judge {
    attempts: u32,
    /// Sent, and whether it was processed is not known to be untrue.
    placed: Vec<String>,
    /// Sent by this cluster and not answered yet.
    in_flight: [Option<String>; 2],
    /// Recorded for sure.
    facts: Vec<(String, Event)>,
}

async fn take(step: &Step, who: usize, clusters: &mut [Cluster; 2], judge: &mut Judge) {
    let cluster = &mut clusters[who];
    match step {
        Step::Order => {
            let known = cluster.get("o");
            if may_send(&known.state()) && judge.in_flight[who].is_none() {
                judge.attempts += 1;
                let name = format!("a{}", judge.attempts);
                if cluster.append("o", intended(&name)).await.is_ok() {
                    judge.placed.push(name.clone());
                    judge.in_flight[who] = Some(name);
                }
            }
        }
        Step::Answer(processed) => {
            let Some(name) = judge.in_flight[who].clone() else { return };
            let event = if *processed {
                Event::Accepted { attempt: attempt(&name), at: at(2), id: format!("id-{name}") }
            } else {
                Event::NotProcessed {
                    attempt: attempt(&name),
                    at: at(2),
                    why: String::new(),
                    retry_after: None,
                }
            };
            record(cluster, &name, event, judge).await;
            judge.in_flight[who] = None;
            if !processed {
                judge.placed.retain(|placed| *placed != name);
            }
        }
        Step::Push => {
            let Some(name) = judge.placed.last().cloned() else { return };
            if judge.in_flight.contains(&Some(name.clone())) {
                return;
            }
            let number = tenios_api::PhoneNumber::try_from("+4922112345678").unwrap();
            let event = Event::Assigned {
                attempt: attempt(&name),
                at: at(3),
                order_id: format!("id-{name}"),
                number,
            };
            record(cluster, &name, event, judge).await;
        }
        Step::Sync => {
            let _ = cluster.ledger.read(&key("o")).await;
            cluster.ledger.sync_now().await;
        }
        Step::Restart => {
            let (copies, own) = (cluster.copies.clone(), cluster.store.clone());
            *cluster = Cluster {
                ledger: ObjectStoreLedger::new(copies.clone(), objects(&own), URL.into()),
                copies,
                store: own,
            };
            cluster.ledger.open().await;
        }
        // Not what only this cluster knows yet.
        Step::Lose => {
            let entry = cluster.get("o");
            if entry.position.as_ref().is_some_and(|position| position.revision == entry.revision) {
                cluster.copies.set(&key("o"), None);
            }
        }
        Step::Away(away) => cluster.store.set_away(*away),
        Step::Fates(fates) => cluster.store.next(fates.iter().copied()),
        Step::Arrive => {
            cluster.store.arrive().await;
        }
    }
}

/// As often as it takes, as the operator does; the last try is with a store that answers.
async fn record(cluster: &Cluster, name: &str, event: Event, judge: &mut Judge) {
    for _ in 0..20 {
        if cluster.append("o", event.clone()).await.is_ok() {
            judge.facts.push((name.to_owned(), event));
            return;
        }
        let _ = cluster.ledger.read(&key("o")).await;
    }
    // Such as for a copy that was lost while the store is away.
    cluster.store.set_away(false);
    cluster.store.forgive();
    for _ in 0..10 {
        cluster.ledger.open().await;
        if cluster.append("o", event.clone()).await.is_ok() {
            judge.facts.push((name.to_owned(), event));
            return;
        }
    }
    panic!("it can't be recorded: {event:?}, {:?}", cluster.ledger.trouble());
}

async fn run(steps: Vec<(bool, Step)>) {
    let store = Faulty::default();
    let mut clusters = [Cluster::opened(&store).await, Cluster::opened(&store).await];
    let mut judge = Judge::default();
    for (who, step) in &steps {
        take(step, usize::from(*who), &mut clusters, &mut judge).await;
        assert!(judge.placed.len() <= 1, "ordered twice: {:?}", judge.placed);
    }
    // When faults stop, both know the same, and everything that was recorded.
    for cluster in &clusters {
        cluster.store.set_away(false);
        cluster.store.forgive();
        cluster.store.arrive().await;
    }
    for cluster in clusters.iter().chain(&clusters) {
        for _ in 0..10 {
            cluster.ledger.open().await;
            cluster.ledger.sync_now().await;
        }
        cluster.ledger.read(&key("o")).await.unwrap();
    }
    let states = clusters.each_ref().map(|cluster| cluster.get("o").state());
    assert_eq!(clusters.each_ref().map(|cluster| cluster.ledger.trouble()), [None, None]);
    assert_eq!(states[0], states[1]);
    let accepted: BTreeSet<&str> = judge
        .facts
        .iter()
        .filter(|(_, event)| !matches!(event, Event::NotProcessed { .. }))
        .map(|(name, _)| name.as_str())
        .collect();
    for name in accepted {
        let id = states[0]
            .accepted
            .as_ref()
            .and_then(|a| a.attempt.as_ref())
            .map(tenios_ledger::AttemptId::as_str);
        assert_eq!(id, Some(name), "{:?}", states[0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn p27_two_clusters_with_faults_order_once_and_end_alike(steps in prop::collection::vec((any::<bool>(), step()), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(steps));
    }
}

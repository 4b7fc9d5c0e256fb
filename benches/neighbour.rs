//! One tenant orders many numbers at once, and another one a single one: what it waits for the other's.

use std::cell::Cell;
use std::time::Duration;

use kube::api::Api;

use crate::burst::{create, until_shown};
use crate::plan::Load;
use crate::single::Orderer;
use crate::stage::{Contender, Stage, Who, Worker, alternated};
use crate::stats::Figures;
use harness::{Result, TestNamespaces};
use serde_json::json;

/// Seconds for an order, while nothing else happens and while the other tenant orders.
#[derive(Debug, Default)]
pub struct Waits {
    /// By the bare client, which has nothing to do for the other tenant: what the apiserver takes longer.
    pub bare: [Figures; 2],
    /// By the operator, which works for both.
    pub operator: [Figures; 2],
}

impl Waits {
    /// How many times as long the slowest of a hundred takes.
    pub fn longer(of: &[Figures; 2]) -> f64 {
        of[1].quantile(0.99) / of[0].quantile(0.99)
    }
}

/// So many while nothing else happens, and as many as fit into the other tenant's burst.
pub async fn run(stage: &Stage, load: Load, singles: usize) -> Result<Waits> {
    let load = Load { push: Duration::from_millis(20), ..load };
    let namespaces = TestNamespaces::on(stage.plane.clone(), "bench").await;
    let other = format!("{}-b", namespaces.namespace);
    namespaces.create_namespace(&other).await;
    namespaces.let_operator_watch(&other).await;
    let both = format!("--watch-namespace={},{other}", namespaces.namespace);
    let options = stage.options(load.slots).args([both]);
    let worker = Worker::Operator(namespaces.operator(options).await);
    let contender = Contender { namespaces, worker };
    contender.leads().await;
    let bare = stage.contender(Who::Bare, load.slots).await?;
    let document = stage.provider.reset(load.answer, load.push).await?;
    let mut singly = [
        Orderer::new(bare.namespaces.api(), &document),
        Orderer::new(Api::namespaced(contender.namespaces.client(), &other), &document),
    ];
    let idle = Cell::new(false);
    let [bare_idle, operator_idle] = times(&mut singly, singles, &idle).await?;
    let burst = async {
        let spec = json!({"verificationId": document});
        let made = create(&contender.namespaces, load.orders, &spec);
        let done = tokio::try_join!(made, until_shown(stage, &contender, load));
        idle.set(true);
        done.map(|_| ())
    };
    let ((), [bare_busy, operator_busy]) = tokio::try_join!(burst, times(&mut singly, load.orders, &idle))?;
    contender.stop().await;
    bare.stop().await;
    Ok(Waits { bare: [bare_idle, bare_busy], operator: [operator_idle, operator_busy] })
}

/// Seconds of each, one after the other, until there are so many or it is over.
async fn times(singly: &mut [Orderer; 2], most: usize, is_over: &Cell<bool>) -> Result<[Figures; 2]> {
    let mut took = [Vec::new(), Vec::new()];
    for who in alternated(most) {
        if is_over.get() {
            break;
        }
        let which = usize::from(who == Who::Operator);
        took[which].push(singly[which].orders().await?.as_secs_f64());
    }
    Ok(took.map(|took| took.into_iter().collect()))
}

//! Ledger entries that no money hangs on go with their resource, those of submitted verifications a hundred
//! resources later: a tenant can make and delete such resources for nothing, and what stayed of each would fill
//! the ledger and the memory of everybody.
//!
//! A re-created resource loses nothing by it: what it adopts stands in its spec. Whatever order a request may have
//! placed stays for ever.

use std::sync::Arc;
use std::time::Duration;

use futures::future::ready;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::{Context, now};
use tenios_api::causes;
use tenios_ledger::Entry;

/// What is deleted in a row is swept together.
const COLLECTED: Duration = Duration::from_secs(1);

/// How often refused requests are looked at, which count for a budget until their time is over.
const EVERY: Duration = Duration::from_secs(60);

const AT_ONCE: usize = 8;

/// Sweeps when resources went, until `stop`. What could not be deleted is tried again, less and less often.
pub(super) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut failed_after = None;
    loop {
        let next = async {
            let Some(pause) = failed_after else {
                let _ = tokio::time::timeout(EVERY, context.gone.notified()).await;
                return tokio::time::sleep(COLLECTED).await;
            };
            tokio::time::sleep(pause).await;
        };
        if stop.run_until_cancelled(next).await.is_none() {
            return;
        }
        let longer = failed_after.map_or(COLLECTED, |pause| (2 * pause).min(EVERY));
        failed_after = if sweep(&context).await { None } else { Some(longer) };
    }
}

/// False where one could not be deleted.
async fn sweep(context: &Context) -> bool {
    let forgettable =
        context.ledger.forgettable(now(), |key| context.stores.knows_it_is_gone(&key.of_resource()));
    let is_still_gone = |entry: &Entry| context.stores.knows_it_is_gone(&entry.key.of_resource());
    let removed = stream::iter(forgettable)
        .filter(|entry| ready(is_still_gone(entry)))
        .map(|entry| async move { context.ledger.forget(&entry).await });
    let results: Vec<_> = removed.buffer_unordered(AT_ONCE).collect().await;
    let removed = results.iter().filter(|result| result.is_ok()).count();
    if removed > 0 {
        tracing::debug!(removed, "deleted ledger entries of resources that are gone and cost nothing");
        // Those of cancellations go after those of their orders.
        context.gone.notify_one();
    }
    let failed = results.into_iter().find_map(Result::err);
    if let Some(error) = &failed {
        tracing::warn!(
            error = causes(error),
            "ledger entries of resources that are gone can't be deleted; retrying. \
            The Role in the operator's namespace has to allow it"
        );
    }
    failed.is_none()
}

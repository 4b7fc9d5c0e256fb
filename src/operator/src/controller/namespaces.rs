//! Which ledger a namespace belongs to. Two installations with ledgers of their own know nothing of each
//! other's requests and would order everything twice. So the first one that is to send from a namespace
//! leaves a Lease there that names its ledger, and any other leaves the namespace alone.
//!
//! The Lease has no end: a ledger does not expire, and an operator that is away for long has not left. It
//! goes with its namespace, or by a person's hand.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::api::{Api, ApiResource, DynamicObject, ObjectMeta};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, ResourceExt};
use parking_lot::Mutex;
use tokio::sync::{Mutex as Door, OwnedMutexGuard};
use tokio_util::sync::CancellationToken;

use super::listing::Listing;
use super::{Context, Failed, call, posting};
use tenios_api::name::is_dns_label;

/// Name of the Lease in each namespace from which something was sent.
pub const NAMESPACE_LEASE: &str = "tenios-operator-ledger";

/// Whose a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamespaceOwner {
    /// Nobody's yet.
    Unclaimed,
    /// Its requests are in this operator's ledger.
    Us,
    /// They are in the ledger in that namespace; empty where the Lease holds no such name.
    Other(String),
}

/// See the module documentation.
pub(super) struct Namespaces {
    client: Client,
    /// The namespace of this operator's ledger, which names it: nothing else may keep one there.
    ledger: String,
    /// Those that have a Lease, as the watches know.
    claimed: Mutex<HashMap<String, NamespaceOwner>>,
    confirmed: Mutex<Confirmed>,
    asking: Mutex<HashMap<String, Weak<Door<()>>>>,
}

/// How long a read of the same Lease by another order is waited for, whose answer counts for all.
const SHARED_WITHIN: Duration = Duration::from_secs(1);

/// How long a Lease that was read as ours counts, unless the watch says otherwise. As long as the request may take
/// to leave after it was read, and in a burst of orders one read is enough for all.
const CONFIRMED_FOR: Duration = Duration::from_secs(5);

/// When the Leases that are ours were read last.
#[derive(Debug, Default)]
struct Confirmed {
    at: HashMap<String, Instant>,
    /// How often the watch said that a namespace is not, or no longer, ours: a read that was under way then may be
    /// older than that.
    contradicted: u64,
}

impl Confirmed {
    fn contradict(&mut self, namespace: &str) {
        self.at.remove(namespace);
        self.contradicted += 1;
    }

    /// It was read as ours, by a request that began then.
    fn confirm(&mut self, namespace: &str, asked: Instant, contradicted: u64) {
        if self.contradicted == contradicted {
            self.at.retain(|_, at| asked.duration_since(*at) < CONFIRMED_FOR);
            self.at.insert(namespace.to_owned(), asked);
        }
    }

    fn is_fresh(&self, namespace: &str, now: Instant) -> bool {
        self.at.get(namespace).is_some_and(|at| now.duration_since(*at) < CONFIRMED_FOR)
    }
}

impl Namespaces {
    pub(super) fn new(client: Client, ledger: String) -> Self {
        Self {
            client,
            ledger,
            claimed: Mutex::default(),
            confirmed: Mutex::default(),
            asking: Mutex::default(),
        }
    }

    /// Whose it is, after it was claimed where it was nobody's. Money hangs on it, so that it is read anew, unless
    /// that was done a moment ago.
    pub(super) async fn acquire(&self, namespace: &str) -> Result<NamespaceOwner, Failed> {
        match self.ask(namespace).await? {
            NamespaceOwner::Unclaimed => {}
            whose => return Ok(whose),
        }
        let lease = Lease {
            metadata: ObjectMeta { name: Some(NAMESPACE_LEASE.into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec { holder_identity: Some(self.ledger.clone()), ..LeaseSpec::default() }),
        };
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), namespace);
        match call(leases.create(&posting(), &lease)).await {
            Err(Failed::Apiserver(kube::Error::Api(status))) if status.code == 409 => {
                self.ask(namespace).await
            }
            created => created.map(|_| NamespaceOwner::Us),
        }
    }

    /// Held by the one that reads the Lease of this namespace; none where that takes too long to be waited for.
    pub(super) async fn turn_to_ask(&self, namespace: &str) -> Option<OwnedMutexGuard<()>> {
        let door = {
            let mut asking = self.asking.lock();
            asking.retain(|_, door| door.strong_count() > 0);
            let door = asking.get(namespace).and_then(Weak::upgrade).unwrap_or_default();
            asking.insert(namespace.to_owned(), Arc::downgrade(&door));
            door
        };
        tokio::time::timeout(SHARED_WITHIN, door.lock_owned()).await.ok()
    }

    /// Whether it was read as ours a moment ago, and the watch has not said otherwise since. Only where there is a
    /// watch that would.
    pub(super) fn is_confirmed(&self, namespace: &str) -> bool {
        self.confirmed.lock().is_fresh(namespace, Instant::now())
    }

    /// Whose it is, as the watch knows.
    pub(super) fn known(&self, namespace: &str) -> NamespaceOwner {
        self.claimed.lock().get(namespace).cloned().unwrap_or(NamespaceOwner::Unclaimed)
    }

    /// How many namespaces are another's.
    pub(super) fn anothers(&self) -> usize {
        self.claimed.lock().values().filter(|whose| matches!(whose, NamespaceOwner::Other(_))).count()
    }

    /// Forgets them all: they are not watched any more.
    pub(super) fn forget(&self) {
        self.claimed.lock().clear();
        self.confirmed.lock().at.clear();
    }

    /// Whose it is now.
    pub(super) async fn ask(&self, namespace: &str) -> Result<NamespaceOwner, Failed> {
        let leases = Api::namespaced_with(self.client.clone(), namespace, &leases());
        let (asked, contradicted) = (Instant::now(), self.confirmed.lock().contradicted);
        let lease = call(leases.get_opt(NAMESPACE_LEASE)).await?;
        let whose = lease.map_or(NamespaceOwner::Unclaimed, |lease| self.held(&lease));
        if whose == NamespaceOwner::Us {
            self.confirmed.lock().confirm(namespace, asked, contradicted);
        }
        Ok(whose)
    }

    fn held(&self, lease: &DynamicObject) -> NamespaceOwner {
        owner(lease.data["spec"]["holderIdentity"].as_str().unwrap_or_default(), &self.ledger)
    }

    /// Takes over what the watch says of a namespace; what was known before, where that is news.
    fn learn(&self, namespace: &str, whose: &NamespaceOwner) -> Option<NamespaceOwner> {
        if *whose != NamespaceOwner::Us {
            self.confirmed.lock().contradict(namespace);
        }
        let mut claimed = self.claimed.lock();
        let before = match whose {
            NamespaceOwner::Unclaimed => claimed.remove(namespace),
            whose => claimed.insert(namespace.to_owned(), whose.clone()),
        };
        let before = before.unwrap_or(NamespaceOwner::Unclaimed);
        (before != *whose).then_some(before)
    }
}

fn leases() -> ApiResource {
    ApiResource::erase::<Lease>(&())
}

/// Follows the Leases of this name in the watched namespace, or in all, until `stop`. A namespace that comes
/// to another, or is left by it, is looked at as a whole.
pub(super) async fn follow(
    context: Arc<Context>,
    namespace: Option<String>,
    listing: Arc<Listing>,
    stop: CancellationToken,
) {
    let client = context.client.clone();
    let api: Api<DynamicObject> = match &namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &leases()),
        None => Api::all_with(client, &leases()),
    };
    let config =
        watcher::Config::default().fields(&format!("metadata.name={NAMESPACE_LEASE}")).page_size(100);
    let mut seen = HashSet::new();
    let mut events = watcher(api, config).default_backoff().take_until(stop.cancelled_owned()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => seen.clear(),
            Ok(watcher::Event::InitApply(lease)) => {
                seen.extend(lease.namespace());
                learn(&context, &lease, &context.namespaces.held(&lease));
            }
            Ok(watcher::Event::Apply(lease)) => learn(&context, &lease, &context.namespaces.held(&lease)),
            Ok(watcher::Event::Delete(lease)) => learn(&context, &lease, &NamespaceOwner::Unclaimed),
            Ok(watcher::Event::InitDone) => {
                let ours = |name: &String| namespace.as_ref().is_none_or(|namespace| namespace == name);
                let known: Vec<String> = context.namespaces.claimed.lock().keys().cloned().collect();
                for gone in known.iter().filter(|name| ours(name) && !seen.contains(*name)) {
                    changed(&context, gone, &NamespaceOwner::Unclaimed);
                }
                seen.clear();
                listing.complete();
            }
            Err(error) => listing.failed(&error),
        }
    }
}

fn learn(context: &Context, lease: &DynamicObject, whose: &NamespaceOwner) {
    if let Some(namespace) = lease.namespace() {
        changed(context, &namespace, whose);
    }
}

fn changed(context: &Context, namespace: &str, whose: &NamespaceOwner) {
    let Some(before) = context.namespaces.learn(namespace, whose) else { return };
    match (&before, whose) {
        (_, NamespaceOwner::Other(ledger)) => {
            tracing::warn!(namespace, "{}", served_by_another(namespace, ledger));
        }
        (NamespaceOwner::Other(_), _) => {
            tracing::info!(namespace, "the namespace no longer belongs to another operator");
        }
        // Claimed by this operator, which goes on.
        _ => return,
    }
    for key in context.stores.keys(namespace) {
        context.requeue.now(&key);
    }
}

/// Whose a namespace is whose Lease holds this name. A tenant can write the Lease, and what he writes goes into logs and
/// Events, so that it counts only where a namespace can be called so.
fn owner(holder: &str, ledger: &str) -> NamespaceOwner {
    match holder {
        holder if holder == ledger => NamespaceOwner::Us,
        holder if is_dns_label(holder) => NamespaceOwner::Other(holder.to_owned()),
        _ => NamespaceOwner::Other(String::new()),
    }
}

/// Why nothing is sent from it, and what to do.
pub(super) fn served_by_another(namespace: &str, ledger: &str) -> String {
    let other = if ledger.is_empty() {
        "another operator".to_owned()
    } else {
        format!("the operator in namespace {ledger}")
    };
    format!(
        "namespace {namespace} is served by {other}, so this operator ignores it and sends nothing; if the other one \
         is gone for good, move its ledger entries to this operator's namespace, then delete Lease {NAMESPACE_LEASE}"
    )
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{CONFIRMED_FOR, Confirmed, NamespaceOwner, owner, served_by_another};

    #[test]
    fn p13_a_lease_that_was_read_counts_for_a_moment_unless_the_watch_says_otherwise() {
        let (mut confirmed, read) = (Confirmed::default(), Instant::now());
        confirmed.confirm("shop", read, 0);
        assert!(confirmed.is_fresh("shop", read) && !confirmed.is_fresh("other", read));
        assert!(!confirmed.is_fresh("shop", read + CONFIRMED_FOR));
        confirmed.contradict("shop");
        assert!(!confirmed.is_fresh("shop", read), "another took it");
        confirmed.confirm("shop", read, 0);
        assert!(!confirmed.is_fresh("shop", read), "it was asked before that was known");
        confirmed.confirm("shop", read, 1);
        confirmed.confirm("other", read + CONFIRMED_FOR, 1);
        assert_eq!(confirmed.at.len(), 1, "what counts no longer is not kept");
    }

    #[test]
    fn what_a_lease_holds_is_quoted_only_where_a_namespace_can_be_called_so() {
        assert_eq!(owner("tenios-system", "tenios-system"), NamespaceOwner::Us);
        assert_eq!(owner("other", "tenios-system"), NamespaceOwner::Other("other".into()));
        for holder in ["", "a\nforged=line", "Shop", &"x".repeat(64)] {
            assert_eq!(owner(holder, "tenios-system"), NamespaceOwner::Other(String::new()), "{holder:?}");
        }
        assert!(served_by_another("shop", "").contains("is served by another operator, so"));
        assert!(
            served_by_another("shop", "other").contains("is served by the operator in namespace other, so")
        );
    }
}

//! Which ledger a namespace belongs to. Two installations with ledgers of their own know nothing of each
//! other's requests and would order everything twice. So the first one that is to send from a namespace
//! leaves a Lease there that names its ledger, and any other leaves the namespace alone.
//!
//! The Lease has no end: a ledger does not expire, and an operator that is away for long has not left. It
//! goes with its namespace, or by a person's hand.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use super::{Failed, call};

/// Name of the Lease in each namespace from which something was sent.
pub const CLAIM: &str = "tenios-operator-ledger";

/// How long what was read counts where no money hangs on it.
const FRESH: Duration = Duration::from_secs(60);

/// Whose a namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nobody's yet.
    Nobodys,
    /// Its requests are in this operator's ledger.
    Ours,
    /// They are in the ledger in that namespace.
    Anothers(String),
}

/// See the module documentation.
pub(super) struct Namespaces {
    client: Client,
    /// The namespace of this operator's ledger, which names it: nothing else may keep one there.
    ledger: String,
    read: Mutex<HashMap<String, (Whose, Instant)>>,
    anothers: Mutex<HashSet<String>>,
}

impl Namespaces {
    pub(super) fn new(client: Client, ledger: String) -> Self {
        Self { client, ledger, read: Mutex::default(), anothers: Mutex::default() }
    }

    /// Whose it is, after it was claimed where it was nobody's.
    pub(super) async fn claim(&self, namespace: &str) -> Result<Whose, Failed> {
        match self.ask(namespace).await? {
            Whose::Nobodys => {}
            whose => return Ok(whose),
        }
        let lease = Lease {
            metadata: ObjectMeta { name: Some(CLAIM.into()), ..ObjectMeta::default() },
            spec: Some(LeaseSpec { holder_identity: Some(self.ledger.clone()), ..LeaseSpec::default() }),
        };
        match call(self.api(namespace).create(&PostParams::default(), &lease)).await {
            Err(Failed::Apiserver(kube::Error::Api(status))) if status.code == 409 => {
                self.ask(namespace).await
            }
            created => created.map(|_| Whose::Ours),
        }
    }

    /// Whose it was within the last minute.
    pub(super) async fn whose(&self, namespace: &str) -> Result<Whose, Failed> {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned();
        match read {
            Some((whose, at)) if at.elapsed() < FRESH && whose != Whose::Nobodys => Ok(whose),
            _ => self.ask(namespace).await,
        }
    }

    /// Whether it is told for the first time that this namespace is another's.
    pub(super) fn is_news(&self, namespace: &str) -> bool {
        self.anothers.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned())
    }

    /// How many namespaces are known to be another's.
    pub(super) fn anothers(&self) -> usize {
        self.anothers.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn ask(&self, namespace: &str) -> Result<Whose, Failed> {
        let lease = call(self.api(namespace).get_opt(CLAIM)).await?;
        let whose = match lease.map(|lease| lease.spec.and_then(|spec| spec.holder_identity)) {
            None => Whose::Nobodys,
            Some(Some(holder)) if holder == self.ledger => Whose::Ours,
            Some(holder) => Whose::Anothers(holder.unwrap_or_default()),
        };
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.insert(namespace.to_owned(), (whose.clone(), Instant::now()));
        if whose == Whose::Ours {
            self.anothers.lock().unwrap_or_else(PoisonError::into_inner).remove(namespace);
        }
        Ok(whose)
    }

    fn api(&self, namespace: &str) -> Api<Lease> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

/// Why nothing is sent from it, and what to do.
pub(super) fn served_by_another(namespace: &str, ledger: &str) -> String {
    format!(
        "the operator in namespace {ledger} keeps the ledger of namespace {namespace}, and this one leaves it alone; \
         if that one is gone for good, move its ledger here and delete Lease {CLAIM}"
    )
}

//! `ledger copy` and `ledger verify`: a ledger moves to object storage or back, and both are compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::str::FromStr;

use futures::{StreamExt, TryStreamExt, stream};
use kube::api::{Api, ListParams};

use super::super::cluster::Cluster;
use super::super::{Failure, ask, out};
use tenios_api::LedgerEntry;
use tenios_ledger::kubernetes::{KubernetesLedger, to_entry};
use tenios_ledger::{Entry, Key};
use tenios_ledger_object_store::{Difference, LedgerUrl, Moved, ObjectStoreLedger};
use tenios_net::trimmed;

/// Entries of a list that are read at a time.
const PAGE: u32 = 100;

/// Entries that are moved or compared at a time.
const AT_ONCE: usize = 8;

/// One side.
#[derive(Clone, Debug)]
pub(super) enum Side {
    Kubernetes,
    Store(LedgerUrl),
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match trimmed(text) {
            "kubernetes" => Ok(Self::Kubernetes),
            url => url
                .parse()
                .map(Self::Store)
                .map_err(|why| format!("neither `kubernetes` nor the URL of a ledger: {why}")),
        }
    }
}

/// What is compared or moved.
pub(super) struct Both<'a> {
    api: &'a Api<LedgerEntry>,
    ledger: ObjectStoreLedger<KubernetesLedger>,
    url: &'a LedgerUrl,
}

impl<'a> Both<'a> {
    pub(super) fn new(
        api: &'a Api<LedgerEntry>,
        ledger: &KubernetesLedger,
        url: &'a LedgerUrl,
        allow_http: bool,
    ) -> Result<Self, Failure> {
        let objects = url.open(allow_http).map_err(|why| Failure::usage(format!("{url}: {why}")))?;
        Ok(Self { api, ledger: ObjectStoreLedger::new(ledger.clone(), objects, url.to_string()), url })
    }

    pub(super) async fn forget(&self, entry: &Entry) -> Result<(), Failure> {
        let forgotten = self.ledger.forget(entry).await.map_err(|why| self.said(why))?;
        if forgotten { Ok(()) } else { Err(self.said("the entry was written meanwhile; look at it again")) }
    }

    fn said(&self, why: impl std::fmt::Display) -> Failure {
        Failure::failed(format!("{}: {why}", self.url))
    }

    /// The copies, with how far they are.
    async fn copies(&self) -> Result<BTreeMap<Key, Entry>, Failure> {
        let mut copies = BTreeMap::new();
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let list = self.api.list(&page).await?;
            for object in &list.items {
                let entry = to_entry(object).map_err(Failure::failed)?;
                copies.insert(entry.key.clone(), entry);
            }
            match list.metadata.continue_ {
                Some(next) if !next.is_empty() => page = page.continue_token(&next),
                _ => return Ok(copies),
            }
        }
    }

    async fn differences(&self) -> Result<BTreeMap<Key, Difference>, Failure> {
        let copies = self.copies().await?;
        let newest = self.ledger.stored().await.map_err(|why| self.said(why))?;
        let keys: BTreeSet<Key> = copies.keys().chain(newest.keys()).cloned().collect();
        let compared = stream::iter(keys).map(|key| {
            let copy = copies.get(&key).cloned().unwrap_or_else(|| Entry::empty(key.clone()));
            let sequence = newest.get(&key).copied().unwrap_or_default();
            async move {
                let difference = self.ledger.difference(&copy, sequence).await;
                difference.map(|difference| (key, difference)).map_err(|why| self.said(why))
            }
        });
        let all: Vec<_> = compared.buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(all.into_iter().collect())
    }

    /// Does this with every entry; what was interrupted is run again.
    async fn each<F>(&self, keys: BTreeSet<Key>, step: impl Fn(Key) -> F) -> Result<usize, Failure>
    where
        F: Future<Output = Result<Moved, String>>,
    {
        let moved = stream::iter(keys).map(step).buffer_unordered(AT_ONCE);
        let written = moved.try_fold(0, |written, moved| async move {
            Ok(if moved == Moved::Written { written + 1 } else { written })
        });
        written.await.map_err(|why| self.said(format!("{why}; what was written stays, so run it again")))
    }

    /// Of those entries that are in the cluster, or of all.
    async fn reconciled(&self, id: &str, all: bool) -> Result<usize, Failure> {
        let mut keys: BTreeSet<Key> = self.copies().await?.into_keys().collect();
        if all {
            keys.extend(self.ledger.stored().await.map_err(|why| self.said(why))?.into_keys());
        }
        self.each(keys, |key| async move { self.ledger.reconcile(&key, id).await }).await
    }

    async fn is_same(&self, all: bool) -> Result<usize, Failure> {
        let mut differences = self.differences().await?;
        if !all {
            differences.retain(|_, difference| *difference != Difference::NotCopied);
        }
        match differences.iter().find(|(_, difference)| **difference != Difference::None) {
            Some((key, difference)) => Err(self.said(format!(
                "{key} {} after all, because something was written meanwhile; run it again",
                words(*difference)
            ))),
            None => Ok(differences.len()),
        }
    }
}

pub(super) async fn copy(
    from: &Side,
    to: &Side,
    yes: bool,
    allow_http: bool,
    api: &Api<LedgerEntry>,
    ledger: &KubernetesLedger,
    cluster: &Cluster,
) -> Result<(), Failure> {
    let (url, to_store) = match (from, to) {
        (Side::Kubernetes, Side::Store(url)) => (url, true),
        (Side::Store(url), Side::Kubernetes) => (url, false),
        _ => {
            return Err(Failure::usage(
                "one of --from and --to has to be kubernetes, and the other one a URL",
            ));
        }
    };
    let both = Both::new(api, ledger, url, allow_http)?;
    let found = both.ledger.genesis().await.map_err(|why| both.said(why))?;
    let copies = both.copies().await?.len();
    let at = &cluster.address;
    if to_store {
        let there = found.map_or_else(|| "a new ledger".into(), |id| format!("ledger {id}"));
        let question = format!(
            "The {copies} entries of the cluster at {at} will be added to {there} at {url}. Nothing there is \
             overwritten or deleted. From then on, this cluster only orders with --ledger {url}."
        );
        ask::confirm(&question, yes)?;
        let id = both.ledger.prepare().await.map_err(|why| both.said(why))?;
        let written = both.reconciled(&id, false).await?;
        let same = both.is_same(false).await?;
        return out::print(&format!(
            "{url}: ledger {id}; {written} entries written, {same} compared: the same\n"
        ));
    }
    let Some(id) = found else { return Err(both.said("there is no ledger")) };
    let question = format!(
        "What ledger {id} at {url} knows will be added to the {copies} entries of the cluster at {at}, which will no longer \
         depend on it. From then on, no other cluster may order with that ledger."
    );
    ask::confirm(&question, yes)?;
    let written = both.reconciled(&id, true).await?;
    let same = both.is_same(true).await?;
    let keys = both.copies().await?.into_keys().collect();
    both.each(keys, |key| {
        let ledger = &both.ledger;
        async move { ledger.release(&key).await }
    })
    .await?;
    out::print(&format!("kubernetes: {written} entries written, {same} compared: the same as ledger {id}\n"))
}

pub(super) async fn verify(
    url: &LedgerUrl,
    allow_http: bool,
    api: &Api<LedgerEntry>,
    ledger: &KubernetesLedger,
) -> Result<(), Failure> {
    let both = Both::new(api, ledger, url, allow_http)?;
    let found = both.ledger.genesis().await.map_err(|why| both.said(why))?;
    let remembered: BTreeSet<String> =
        both.copies().await?.into_values().filter_map(|copy| Some(copy.position?.store)).collect();
    let mut text = match &found {
        Some(id) => format!("{url}: ledger {id}\n"),
        None => format!("{url}: no ledger (genesis.json is missing)\n"),
    };
    let others: Vec<&str> =
        remembered.iter().filter(|id| Some(*id) != found.as_ref()).map(String::as_str).collect();
    if !others.is_empty() {
        let _ = writeln!(text, "this cluster has copies of entries of another ledger: {}", others.join(", "));
    }
    let mut differences = both.differences().await?;
    let all = differences.len();
    // Another cluster's, or of a name that this one has no resource of.
    differences.retain(|_, difference| *difference != Difference::NotCopied);
    let _ = writeln!(text, "{} entries are in the store only", all - differences.len());
    let differ = differences.iter().filter(|(_, difference)| **difference != Difference::None);
    let lines: Vec<String> =
        differ.map(|(key, difference)| format!("{key} {}\n", words(*difference))).collect();
    let _ = writeln!(text, "{} entries compared, {} differ", differences.len(), lines.len());
    text.push_str(&lines.concat());
    out::print(&text)?;
    if found.is_some() && others.is_empty() && lines.is_empty() {
        Ok(())
    } else {
        Err(Failure::AlreadyReported)
    }
}

fn words(difference: Difference) -> &'static str {
    match difference {
        Difference::None => "is the same",
        Difference::NotStored => "is in the cluster only",
        Difference::NotCopied => "is in the store only",
        Difference::CopyIsLater => "is newer in the cluster than in the store",
        Difference::StoreIsLater => "is newer in the store than in the cluster",
        Difference::Diverged => "differs: each side has something that the other one lacks",
    }
}

//! Reading Secrets: by `get` only, when needed, never kept.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use parking_lot::Mutex;
use secrecy::SecretString;
use tokio::sync::{Mutex as Door, OwnedMutexGuard, Semaphore, SemaphorePermit};

use super::{Failed, call};
use tenios_api::SecretKeyRef;
use tenios_api::name::is_dns_subdomain;
use tenios_api::pdf::Document;
use tenios_lifecycle::Found;
use tenios_provider::access_key;

/// A Secret of a megabyte takes five while it is read: as text, as JSON and decoded.
const READ_AT_ONCE: usize = 4;

/// Where access keys and documents come from.
pub(super) struct Secrets {
    client: Client,
    reading: Reading,
    own_access_key: Option<PathBuf>,
}

impl Secrets {
    pub(super) fn new(client: Client, own_access_key: Option<PathBuf>) -> Self {
        Self { client, reading: Reading::default(), own_access_key }
    }

    /// The access key that the spec names, else the operator's own, read anew each time.
    pub(super) async fn access_key(
        &self,
        namespace: &str,
        reference: Option<&SecretKeyRef>,
    ) -> Found<SecretString> {
        let found = match (reference, &self.own_access_key) {
            (Some(reference), _) => {
                self.read(namespace, reference).await.map(|bytes| (bytes, reference.to_string()))
            }
            (None, None) => Found::Missing(
                "spec.accessKeySecretRef is not set, and the operator runs without --access-key-file".into(),
            ),
            (None, Some(path)) => match tokio::fs::read(path).await {
                Ok(bytes) => Found::Usable((bytes, "the operator's --access-key-file".into())),
                Err(error) => {
                    let kind = error.kind();
                    Found::Missing(format!("the operator's --access-key-file can't be read: {kind}"))
                }
            },
        };
        found.and_then(|(bytes, whence)| match access_key(bytes) {
            Ok(access_key) => Found::Usable(access_key),
            Err(why) => Found::Invalid(format!("{whence} {why}")),
        })
    }

    /// The PDF that the spec names.
    pub(super) async fn document(&self, namespace: &str, reference: &SecretKeyRef) -> Found<Document> {
        self.read(namespace, reference).await.and_then(|bytes| match Document::new(bytes) {
            Ok(document) => Found::Usable(document),
            Err(why) => Found::Invalid(format!("{reference} {why}")),
        })
    }

    async fn read(&self, namespace: &str, reference: &SecretKeyRef) -> Found<Vec<u8>> {
        // A tenant chose it, and it stands in the path of a request as it is.
        if !is_dns_subdomain(&reference.name) {
            return Found::Missing(format!(
                "Secret {:?} can't exist: that is not a valid name for a Secret",
                reference.name
            ));
        }
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let _turn = self.reading.turn(namespace).await;
        let secret = match call(api.get_opt(&reference.name)).await {
            Ok(Some(secret)) => secret,
            Ok(None) => return Found::Missing(format!("Secret {:?} does not exist", reference.name)),
            Err(Failed::Apiserver(kube::Error::Api(status))) if status.code == 403 => {
                return Found::Missing(format!(
                    "the operator is not allowed to read Secret {:?}",
                    reference.name
                ));
            }
            Err(error) => {
                return Found::Unread(format!(
                    "Secret {:?} can't be read: {}",
                    reference.name,
                    error.words()
                ));
            }
        };
        match secret.data.and_then(|mut data| data.remove(&reference.key)) {
            Some(bytes) => Found::Usable(bytes.0),
            None => Found::Missing(format!("{reference} does not exist")),
        }
    }
}

/// Whose turn it is to read. One of each namespace at a time stands in the line of all, so that somebody's slow reads
/// are waited for by others once, not by the dozen.
struct Reading {
    all: Semaphore,
    namespaces: Mutex<HashMap<String, Weak<Door<()>>>>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { all: Semaphore::new(READ_AT_ONCE), namespaces: Mutex::default() }
    }
}

impl Reading {
    async fn turn(&self, namespace: &str) -> (OwnedMutexGuard<()>, Option<SemaphorePermit<'_>>) {
        let first = self.door(namespace).lock_owned().await;
        // Never closed.
        (first, self.all.acquire().await.ok())
    }

    /// Kept for as long as somebody stands there.
    fn door(&self, namespace: &str) -> Arc<Door<()>> {
        let mut namespaces = self.namespaces.lock();
        if let Some(door) = namespaces.get(namespace).and_then(Weak::upgrade) {
            return door;
        }
        namespaces.retain(|_, door| door.strong_count() > 0);
        let door = Arc::default();
        namespaces.insert(namespace.to_owned(), Arc::downgrade(&door));
        door
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{READ_AT_ONCE, Reading};

    #[tokio::test]
    async fn p26_a_namespace_reads_one_secret_at_a_time_and_leaves_nothing() {
        let reading = Reading::default();
        let slow = reading.turn("crowd").await;
        let mut crowd: Vec<_> = (0..32).map(|_| Box::pin(reading.turn("crowd"))).collect();
        assert!(crowd.iter_mut().all(|next| next.now_or_never().is_none()), "they wait for the first");
        let others: Vec<_> =
            (1..READ_AT_ONCE).map(|n| reading.turn(&format!("other{n}")).now_or_never()).collect();
        assert!(others.iter().all(Option::is_some), "others wait for none of them");
        assert!(reading.turn("next").now_or_never().is_none(), "{READ_AT_ONCE} are read");
        drop((slow, crowd, others));
        assert!(reading.turn("last").now_or_never().is_some());
        let kept = reading.namespaces.lock().len();
        assert_eq!(kept, 1, "the last one's alone");
    }
}

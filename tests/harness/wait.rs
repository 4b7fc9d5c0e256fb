//! Waiting for a condition, never for a time.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

const PACE: Duration = Duration::from_millis(20);

/// Polls until there is a value or `patience` is over.
pub async fn poll<T>(patience: Duration, mut attempt: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = attempt().await {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Polls until there is a value; fails the test, naming what was awaited, when `patience` is over.
pub async fn until<T>(what: &str, patience: Duration, attempt: impl AsyncFnMut() -> Option<T>) -> T {
    match poll(patience, attempt).await {
        Some(value) => value,
        None => panic!("waited {patience:?} in vain for {what}"),
    }
}

/// Reads again and again until what was read pleases; fails the test with what was read last.
pub async fn until_seen<T: Debug>(
    what: &str,
    patience: Duration,
    mut read: impl AsyncFnMut() -> T,
    pleases: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        let seen = read().await;
        if pleases(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}; last seen: {seen:#?}");
        tokio::time::sleep(PACE).await;
    }
}

/// Reads for all of `span` and fails the test as soon as what was read doesn't please: for what
/// must not happen.
pub async fn holds_for<T: Debug>(
    what: &str,
    span: Duration,
    mut read: impl AsyncFnMut() -> T,
    pleases: impl Fn(&T) -> bool,
) {
    let deadline = Instant::now() + span;
    while Instant::now() < deadline {
        let seen = read().await;
        assert!(pleases(&seen), "{what} ended: {seen:#?}");
        tokio::time::sleep(PACE).await;
    }
}

/// Bounds a future that should end by itself.
pub async fn within<T>(what: &str, patience: Duration, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(patience, future).await;
    ended.unwrap_or_else(|_| panic!("waited {patience:?} in vain for {what}"))
}

//! The accept loop. It ends at shutdown and for no other reason.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{ConnectionConfig, serve};
use super::slots::ConnectionSlots;
use super::{Limits, RequestBody, Tls};

/// The pause after an error of `accept` itself, such as too many open files.
const BACK_OFF: Duration = Duration::from_millis(50);
/// How long, after shutdown, a connection may still begin a request: one may be on its way already.
const LAST_CALL: Duration = Duration::from_millis(250);

pub(super) async fn run<H, F>(
    listener: TcpListener,
    tls: Option<Tls>,
    limits: Limits,
    handler: H,
    shutdown: CancellationToken,
) where
    H: Fn(http::Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let slots = ConnectionSlots::new(limits.connections);
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and written at once: waiting for more only delays them.
                let _ = stream.set_nodelay(true);
                // None: every slot is taken by a request that is being answered. The stream is dropped.
                if let Some(slot) = slots.take() {
                    let config = ConnectionConfig { limits, tls: tls.clone(), draining: shutdown.clone() };
                    tasks.spawn(serve(stream, slot, config, handler.clone()));
                }
            }
            Err(error) if only_that_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                slots.evict_one();
                sleep(BACK_OFF).await;
            }
        }
    }
    drop(listener);
    tasks.close();
    if timeout(LAST_CALL, tasks.wait()).await.is_ok() {
        return;
    }
    slots.evict_silent();
    if timeout(limits.header_timeout + limits.request_timeout, tasks.wait()).await.is_err() {
        slots.evict_all();
        tasks.wait().await;
    }
}

/// The peer left before it was accepted: nothing is wrong here.
fn only_that_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

//! One connection, from its TLS handshake to its end.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::body::{Ended, ReplyBody};
use super::response_gate::{GateOpener, ResponseGate};
use super::slots::{Slot, WaitingFor};
use super::{Limits, RequestBody, Tls};

/// How old a kept connection may become before it takes no further request.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// hyper takes no smaller buffer, and the larger ones are only allocated when needed.
const BUFFER: usize = 64 * 1024;
/// After the last answer, this much of what still comes is thrown away until the client closes: closing
/// with unread bytes resets the connection, and the client may lose the answer.
const LINGER_BYTES: u64 = 1024 * 1024;
const LINGER: Duration = Duration::from_millis(500);

/// What all connections of a server have in common.
pub(super) struct ConnectionConfig {
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) draining: CancellationToken,
}

/// One connection as the service sees it.
struct Connection {
    slot: Arc<Slot>,
    opener: GateOpener,
    limits: Limits,
    requests: AtomicUsize,
}

pub(super) async fn serve<H, F>(stream: TcpStream, slot: Slot, config: ConnectionConfig, handler: H)
where
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let slot = Arc::new(slot);
    let connection = Connection {
        slot: slot.clone(),
        opener: GateOpener::new(config.limits.library_responses),
        limits: config.limits,
        requests: AtomicUsize::new(0),
    };
    let work = async {
        let Some(tls) = config.tls else {
            return serve_http1(stream, connection, &config.draining, handler).await;
        };
        let handshake = tls.acceptor().accept(stream);
        if let Ok(Ok(stream)) = timeout(config.limits.header_timeout, handshake).await {
            serve_http1(stream, connection, &config.draining, handler).await;
        }
    };
    tokio::select! {
        () = slot.evicted().cancelled() => {}
        () = work => {}
    }
}

async fn serve_http1<I, H, F>(io: I, connection: Connection, draining: &CancellationToken, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let limits = connection.limits;
    let io = ResponseGate::new(io, connection.opener.clone());
    let many = limits.max_requests_per_connection > 1;
    let connection = Arc::new(connection);
    let slot = connection.slot.clone();
    let handler = Arc::new(handler);
    let service = service_fn(move |request| {
        Box::pin(answer(connection.clone(), handler.clone(), request))
            as Pin<Box<dyn Future<Output = _> + Send>>
    });
    let mut serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(BUFFER))
        .keep_alive(many)
        .serve_connection(TokioIo::new(io), service);
    let once = limits.header_timeout + limits.request_timeout;
    let ended = tokio::select! {
        ended = poll_fn(|context| serving.poll_without_shutdown(context)) => ended,
        () = drained_or_aged(draining, if many { KEPT_FOR } else { once }) => {
            Pin::new(&mut serving).graceful_shutdown();
            let rest = poll_fn(|context| serving.poll_without_shutdown(context));
            match timeout(once, rest).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    match ended {
        Ok(()) => close(serving.into_parts().io.into_inner(), &slot).await,
        Err(error) => tracing::trace!(%error, "a connection ended early"),
    }
}

async fn drained_or_aged(draining: &CancellationToken, age: Duration) {
    tokio::select! {
        () = draining.cancelled() => {}
        () = sleep(age) => {}
    }
}

async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I, slot: &Slot) {
    slot.set(WaitingFor::Head);
    let farewell = async {
        if io.shutdown().await.is_ok() {
            let _ = tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await;
        }
    };
    let _ = timeout(LINGER, farewell).await;
}

async fn answer<H, F>(
    connection: Arc<Connection>,
    handler: Arc<H>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Ended>
where
    H: Fn(Request<RequestBody>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    // Its head was read: whatever else is wrong with it is the handler's to answer.
    connection.opener.open();
    let (slot, limits) = (&connection.slot, connection.limits);
    let request = request.map(|incoming| RequestBody::new(incoming, slot.clone()));
    let response = match timeout(limits.request_timeout, handler(request)).await {
        Ok(response) => response,
        Err(_) if !limits.library_responses => return Err(Ended),
        Err(_) => too_slow(),
    };
    let last = slot.left_unread()
        || connection.requests.fetch_add(1, Ordering::Relaxed) + 1 >= limits.max_requests_per_connection;
    let kept = (!last).then(|| slot.clone());
    let mut response = response.map(|data| ReplyBody::new(data, kept));
    if last {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn too_slow() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}

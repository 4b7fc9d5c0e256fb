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
use super::seats::{Seat, Stage};
use super::voice::{Leave, Voice};
use super::{Limits, RequestBody, Talk, Tls};

/// Requests that a kept connection may carry.
const REQUESTS: usize = 100;
/// How old a kept connection may become before it takes no further request.
const KEPT_FOR: Duration = Duration::from_secs(300);
/// hyper takes no smaller buffer, and the larger ones are only allocated when needed.
const BUFFER: usize = 64 * 1024;
/// After the last answer, this much of what still comes is thrown away until the client closes: closing
/// with unread bytes resets the connection, and the client may lose the answer.
const LINGER_BYTES: u64 = 1024 * 1024;
const LINGER: Duration = Duration::from_millis(500);

/// What all connections of a server have in common.
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) draining: CancellationToken,
}

/// One connection as the service sees it.
struct Conversation {
    seat: Arc<Seat>,
    leave: Leave,
    limits: Limits,
    requests: AtomicUsize,
}

pub(super) async fn serve<H, F>(stream: TcpStream, seat: Seat, terms: Terms, handler: H)
where
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let seat = Arc::new(seat);
    let conversation = Conversation {
        seat: seat.clone(),
        leave: Leave::new(terms.limits.talk != Talk::HandlerOnly),
        limits: terms.limits,
        requests: AtomicUsize::new(0),
    };
    let work = async {
        let Some(tls) = terms.tls else {
            return converse(stream, conversation, &terms.draining, handler).await;
        };
        let handshake = tls.acceptor().accept(stream);
        if let Ok(Ok(stream)) = timeout(terms.limits.header_timeout, handshake).await {
            converse(stream, conversation, &terms.draining, handler).await;
        }
    };
    tokio::select! {
        () = seat.evicted().cancelled() => {}
        () = work => {}
    }
}

async fn converse<I, H, F>(io: I, conversation: Conversation, draining: &CancellationToken, handler: H)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let limits = conversation.limits;
    let io = Voice::new(io, conversation.leave.clone());
    let many = limits.talk == Talk::Many;
    let conversation = Arc::new(conversation);
    let seat = conversation.seat.clone();
    let handler = Arc::new(handler);
    let service = service_fn(move |request| {
        Box::pin(answer(conversation.clone(), handler.clone(), request))
            as Pin<Box<dyn Future<Output = _> + Send>>
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(limits.header_bytes)
        .max_buf_size(limits.header_bytes.max(BUFFER))
        .keep_alive(many)
        .serve_connection(TokioIo::new(io), service);
    let once = limits.header_timeout + limits.request_timeout;
    let ended = tokio::select! {
        ended = poll_fn(|context| connection.poll_without_shutdown(context)) => ended,
        () = leave(draining, if many { KEPT_FOR } else { once }) => {
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|context| connection.poll_without_shutdown(context));
            match timeout(once, rest).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    match ended {
        Ok(()) => close(connection.into_parts().io.into_inner(), &seat).await,
        Err(error) => tracing::trace!(%error, "a connection ended early"),
    }
}

async fn leave(draining: &CancellationToken, age: Duration) {
    tokio::select! {
        () = draining.cancelled() => {}
        () = sleep(age) => {}
    }
}

async fn close<I: AsyncRead + AsyncWrite + Unpin>(mut io: I, seat: &Seat) {
    seat.set(Stage::Head);
    let farewell = async {
        if io.shutdown().await.is_ok() {
            let _ = tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await;
        }
    };
    let _ = timeout(LINGER, farewell).await;
}

async fn answer<H, F>(
    conversation: Arc<Conversation>,
    handler: Arc<H>,
    request: Request<Incoming>,
) -> Result<Response<ReplyBody>, Ended>
where
    H: Fn(Request<RequestBody>) -> F,
    F: Future<Output = Response<Full<Bytes>>>,
{
    // Its head was read: whatever else is wrong with it is the handler's to answer.
    conversation.leave.give();
    let (seat, talk) = (&conversation.seat, conversation.limits.talk);
    let request = request.map(|incoming| RequestBody::new(incoming, seat.clone()));
    let response = match timeout(conversation.limits.request_timeout, handler(request)).await {
        Ok(response) => response,
        Err(_) if talk == Talk::HandlerOnly => return Err(Ended),
        Err(_) => too_slow(),
    };
    let last = talk != Talk::Many
        || seat.left_unread()
        || conversation.requests.fetch_add(1, Ordering::Relaxed) + 1 >= REQUESTS;
    let kept = (!last).then(|| seat.clone());
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

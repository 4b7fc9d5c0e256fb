//! The simulator's connections. They are hyper's own: an answer that is withheld or cut is what this program is for,
//! and what no server that faces strangers needs to be able to do.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use super::shared::Shared;
use super::traffic;
use tenios_http_server::Tls;

/// After an error of `accept` itself, such as too many open files.
const BACK_OFF: Duration = Duration::from_millis(50);

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// It is answered.
    Whole(Response<Bytes>),
    /// The connection ends without an answer: the client sees a reset.
    Abort,
    /// The whole length of the answer is declared, half of it is sent, and the connection ends.
    Half(Response<Bytes>),
}

/// Ends a connection: in place of an answer, or within one.
#[derive(Debug, thiserror::Error)]
#[error("the simulator ends this connection")]
struct Ended;

/// Accepts connections until the simulator stops.
pub(super) async fn accept(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared>) {
    let stop = shared.stop.clone();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, tls.clone(), shared.clone());
                let stop = stop.clone();
                shared.tasks.spawn(async move {
                    // What ends early is the client's affair.
                    let _ = stop.run_until_cancelled(connection).await;
                });
            }
            Err(_) => tokio::time::sleep(BACK_OFF).await,
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<Tls>, shared: Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    // A second handle: hyper has the first, and an abort has to set how the connection ends.
    let handle = Arc::new(stream.try_clone()?);
    let stream = TcpStream::from_std(stream)?;
    match tls {
        Some(tls) => serve_http1(tls.acceptor().accept(stream).await?, handle, shared).await,
        None => serve_http1(stream, handle, shared).await,
    }
    Ok(())
}

async fn serve_http1<I>(io: I, handle: Arc<std::net::TcpStream>, shared: Arc<Shared>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (handle, shared) = (handle.clone(), shared.clone());
        async move {
            match traffic::handle(shared, request).await {
                Reply::Whole(response) => Ok(response.map(whole)),
                Reply::Half(response) => Ok(half(response)),
                Reply::Abort => {
                    let _ = SockRef::from(&*handle).set_linger(Some(Duration::ZERO));
                    Err(Ended)
                }
            }
        }
    });
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(io), service).await;
}

type Body = BoxBody<Bytes, Ended>;

fn whole(body: Bytes) -> Body {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed()
}

fn half(response: Response<Bytes>) -> Response<Body> {
    let (mut head, mut body) = response.into_parts();
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    body.truncate(body.len() / 2);
    let broken = stream::once(async {
        // hyper writes what it has when a body is pending, and drops it when a body fails.
        tokio::task::yield_now().await;
        Err(Ended)
    });
    let body = stream::iter([Ok(Frame::data(body))]).chain(broken);
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(body)))
}

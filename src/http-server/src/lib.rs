//! A bounded HTTP/1.1 server: for the push receiver, health and metrics.
//!
//! A stranger may open connections here, so everything that one can hold is bounded: the number of
//! connections, the time and bytes of a request's head, the time of a whole request, the age of a
//! connection. Over the limit of connections a new one takes the slot of the oldest that still keeps
//! the server waiting, so that any number of silent connections does not keep a real request out.

#![forbid(unsafe_code)]

mod accept;
mod body;
mod connection;
mod response_gate;
mod slots;
mod tls;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use body::{BodyError, RequestBody, read_body};
pub use tls::{Tls, TlsError};

/// Requests on one connection that is kept alive, for a server whose clients ask again and again.
pub const KEEP_ALIVE_REQUESTS: usize = 100;

/// What one server lets its clients have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that are open at the same time.
    pub connections: usize,
    /// From accepting a connection to the end of the TLS handshake, and again to the end of a request's
    /// head. Also how long a kept connection may be idle.
    pub header_timeout: Duration,
    /// From the end of a request's head to the handler's answer: reading the body is included.
    pub request_timeout: Duration,
    /// Bytes of a request's head, with the request line.
    pub header_bytes: usize,
    /// Requests that one connection may carry. One that carries several is closed after five minutes.
    pub max_requests_per_connection: usize,
    /// Whether a client is told 400, 408, 414 or 431 where something is no request within the bounds or takes too
    /// long. Otherwise the connection is closed, and no answer is sent but the handler's.
    pub library_responses: bool,
}

impl Default for Limits {
    /// 512 connections, 5 s for a head of at most 16 KiB, 10 s for a request, one request a connection.
    fn default() -> Self {
        Self {
            connections: 512,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            max_requests_per_connection: 1,
            library_responses: true,
        }
    }
}

/// A listening socket that does not answer yet: see [`Server::run`].
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    limits: Limits,
    tls: Option<Tls>,
}

impl Server {
    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// The address is taken, not this machine's, or not allowed.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::on(TcpListener::bind(address).await?)
    }

    /// On a socket that listens already.
    ///
    /// # Errors
    /// The socket has no address.
    pub fn on(listener: TcpListener) -> io::Result<Self> {
        let address = listener.local_addr()?;
        Ok(Self { listener, address, limits: Limits::default(), tls: None })
    }

    /// Where it listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Speaks TLS only.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Other limits than the default ones.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Serves until `shutdown`, then lets the requests in flight end (for at most the time that a
    /// request may take) and returns.
    pub async fn run<H, F>(self, handler: H, shutdown: CancellationToken)
    where
        H: Fn(http::Request<RequestBody>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        accept::run(self.listener, self.tls, self.limits, handler, shutdown).await;
    }
}

/// Resolves when the process is told to end: on SIGTERM or SIGINT. It counts from the call on, whenever the future is
/// awaited: before, either of them ends the process at once.
#[must_use = "what it resolves to is the word to end"]
pub fn terminated() -> impl Future<Output = ()> {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut term), Ok(mut int)) = signals else { return };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}

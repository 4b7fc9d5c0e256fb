//! Somebody who listens to the relay, over sockets, and answers as badly as asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use serde_json::Value;
use sha2::Sha256;
use tenios_api::digest::hex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::testbed::PATIENCE;
use harness::{ports, wait};

/// What is done with one connection.
#[derive(Clone, Debug)]
pub enum Reaction {
    Take,
    Status(u16),
    RedirectTo(String),
    /// It is closed before anything is read.
    CutBefore,
    /// The event is read, and no answer comes.
    CutAfter,
    /// The event is read, and half of a 200 comes.
    CutWithin,
    /// The event is read, and nothing more happens.
    Hang,
    /// A head without an end, as fast as it is read.
    EndlessHead,
    /// A byte of the head now and then.
    SlowHead,
    /// 200, and a body without an end.
    EndlessBody,
}

/// One event that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    pub head: String,
    pub body: Vec<u8>,
}

impl Arrival {
    pub fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn id(&self) -> String {
        self.event()["id"].as_str().unwrap().to_owned()
    }

    pub fn name(&self) -> String {
        self.event()["data"]["name"].as_str().unwrap().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// As `docs/relay.md` says how to check it.
    pub fn is_signed_with(&self, key: &str) -> bool {
        let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap().chain_update(&self.body);
        self.header("X-Signature") == format!("sha256={}", hex(&mac.finalize().into_bytes()))
    }
}

#[derive(Debug, Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    next: Mutex<VecDeque<Reaction>>,
    always: Mutex<Option<Reaction>>,
    open: Mutex<usize>,
}

/// See the module documentation.
pub struct Receiver {
    pub port: u16,
    shared: Arc<Shared>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Receiver {
    pub async fn start() -> Self {
        Self::at(ports::free()).await
    }

    pub async fn at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let shared = Arc::<Shared>::default();
        let serving = shared.clone();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = serving.clone();
                tokio::spawn(async move {
                    *shared.open.lock() += 1;
                    let _ = shared.serve(stream).await;
                    *shared.open.lock() -= 1;
                });
            }
        });
        Self { port, shared, listening }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events", self.port)
    }

    /// The next connections; then all are taken again.
    pub fn next<const N: usize>(&self, reactions: [Reaction; N]) {
        self.shared.next.lock().extend(reactions);
    }

    /// Every connection from now on, or as usual again.
    pub fn always(&self, reaction: Option<Reaction>) {
        *self.shared.always.lock() = reaction;
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().clone()
    }

    /// Those of an order.
    pub fn of(&self, name: &str) -> Vec<Arrival> {
        self.arrivals().into_iter().filter(|arrival| arrival.name() == name).collect()
    }

    /// Connections that nobody has closed yet.
    pub fn open(&self) -> usize {
        *self.shared.open.lock()
    }

    /// Waits until so many events arrived.
    pub async fn has(&self, count: usize) -> Vec<Arrival> {
        wait::until_seen("the events", PATIENCE, async || self.arrivals(), |seen| seen.len() >= count).await
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let always = self.always.lock().clone();
        let reaction = always.or_else(|| self.next.lock().pop_front()).unwrap_or(Reaction::Take);
        if matches!(reaction, Reaction::CutBefore) {
            return Ok(());
        }
        let arrival = read(&mut stream).await?;
        self.arrivals.lock().push(arrival);
        let head = |status: u16, more: &str| {
            format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n")
        };
        match reaction {
            Reaction::Take => stream.write_all(head(204, "").as_bytes()).await,
            Reaction::Status(status) => stream.write_all(head(status, "").as_bytes()).await,
            Reaction::RedirectTo(url) => {
                stream.write_all(head(307, &format!("Location: {url}\r\n")).as_bytes()).await
            }
            Reaction::CutBefore | Reaction::CutAfter => Ok(()),
            Reaction::CutWithin => stream.write_all(b"HTTP/1.1 20").await,
            Reaction::Hang => {
                // Until the other side closes.
                let _ = stream.read(&mut [0]).await;
                Ok(())
            }
            Reaction::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 X\r\n").await?;
                loop {
                    stream.write_all(format!("X-More: {}\r\n", "x".repeat(4096)).as_bytes()).await?;
                }
            }
            Reaction::SlowHead => {
                for byte in b"HTTP/1.1 200 X\r\nX-More: ".iter().chain(std::iter::repeat(&b'x')) {
                    stream.write_all(&[*byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Ok(())
            }
            Reaction::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 X\r\nContent-Type: text/plain\r\n\r\n").await?;
                loop {
                    stream.write_all(&[b'x'; 4096]).await?;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Arrival> {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let arrival = Arrival { head, body: bytes[end + 4..].to_vec() };
        if arrival.header("Content-Length").parse() == Ok(arrival.body.len()) {
            return Ok(arrival);
        }
    }
}

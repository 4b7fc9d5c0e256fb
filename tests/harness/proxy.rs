//! A proxy that tunnels (`CONNECT`), to names that resolve nowhere else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::watchdog::lock;

/// See the module documentation. It ends when dropped.
pub struct Proxy {
    /// Its URL.
    pub url: String,
    state: Arc<Mutex<State>>,
    _stop: DropGuard,
}

#[derive(Default)]
struct State {
    routes: BTreeMap<String, SocketAddr>,
    /// What `Proxy-Authorization` has to say.
    authorization: Option<String>,
    refused: BTreeMap<String, u16>,
    asked: Vec<String>,
}

impl Proxy {
    /// With these targets, such as `tenios.test:443`, and where they are.
    pub async fn start(routes: &[(&str, SocketAddr)]) -> Self {
        Self::start_for(routes, None).await
    }

    /// The same for somebody who knows this name and password, which are in its URL.
    pub async fn start_with_password(routes: &[(&str, SocketAddr)], name: &str, password: &str) -> Self {
        let mut proxy = Self::start_for(routes, Some(format!("{name}:{password}"))).await;
        let escaped: String = url::form_urlencoded::byte_serialize(password.as_bytes()).collect();
        proxy.url = proxy.url.replace("http://", &format!("http://{name}:{escaped}@"));
        proxy
    }

    async fn start_for(routes: &[(&str, SocketAddr)], user: Option<String>) -> Self {
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(user)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = routes.iter().map(|(target, address)| ((*target).to_owned(), *address)).collect();
        let state = Arc::new(Mutex::new(State { routes, authorization, ..State::default() }));
        let (stop, shared) = (CancellationToken::new(), state.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(tunnel(client, shared.clone()));
            }
        }));
        Self { url, state, _stop: stop.drop_guard() }
    }

    /// Answers `CONNECT` to this target with a status; 200 tunnels again.
    pub fn answer(&self, target: &str, status: u16) {
        lock(&self.state).refused.insert(target.to_owned(), status);
    }

    /// How often it was asked for this target.
    pub fn asked(&self, target: &str) -> usize {
        lock(&self.state).asked.iter().filter(|asked| *asked == target).count()
    }
}

async fn tunnel(mut client: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < 4096 {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let authorization = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("proxy-authorization").then(|| value.to_owned())
    });
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    let (route, refused) = {
        let mut state = lock(&state);
        state.asked.push(target.to_owned());
        let stranger = state.authorization.is_some() && state.authorization != authorization;
        let refused = state.refused.get(target).copied().filter(|status| *status != 200);
        (state.routes.get(target).copied(), if stranger { Some(407) } else { refused })
    };
    let refusal = async |client: &mut TcpStream, status: u16| {
        let answer = format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        let _ = client.write_all(answer.as_bytes()).await;
    };
    match (route, refused) {
        (_, Some(status)) => refusal(&mut client, status).await,
        (None, None) => refusal(&mut client, 404).await,
        (Some(address), None) => {
            let Ok(mut server) = TcpStream::connect(address).await else { return };
            let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
    }
}

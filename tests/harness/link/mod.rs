//! A proxy between the operator and one of its ends. It names each request so that the name is the
//! same from run to run, and can hold one of them at a point of its way until it is told how to go on.

mod forward;
mod name;
mod storm;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::watchdog::lock;

pub use name::End;
pub use storm::Storm;

/// Where on its way a request is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Read, and nothing of it forwarded.
    Before,
    /// Half of its body is forwarded.
    HalfRequest,
    /// Answered, and nothing of the answer delivered.
    After,
    /// Half of the answer's body is delivered; of a watch, the head.
    HalfAnswer,
}

/// How a held request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As if nothing had been.
    GoOn,
    /// No further: its connections are closed.
    Drop,
    /// It is forwarded, and its answer is not delivered.
    DropAnswer,
    /// The connection breaks at once, and so much later the request arrives all the same.
    Late(Duration),
    /// This in place of the answer.
    Answer(StatusCode),
}

/// A request that is being held.
pub struct Held(oneshot::Sender<(Verdict, oneshot::Sender<()>)>);

impl Held {
    /// Lets it go; what is returned ends when the proxy is done with it, late forwarding included.
    pub fn decide(self, verdict: Verdict) -> oneshot::Receiver<()> {
        let (done, ended) = oneshot::channel();
        // Whoever waited may be gone with its connection, and then it is done.
        let _ = self.0.send((verdict, done));
        ended
    }
}

/// One request that came by.
#[derive(Clone, Debug)]
pub struct Passed {
    /// See [`End::name`].
    pub name: String,
    /// When it had arrived.
    pub at: Instant,
    /// Which of the operator's attempts it carries, where it names one. What goes to the store carries the one that it
    /// records the intent of.
    pub attempt: Option<String>,
    /// The answer's status; none where there was no answer, or none yet.
    pub status: Option<u16>,
    /// How long its answer took.
    pub took: Option<Duration>,
    /// Whether a fault met it.
    pub held: bool,
}

type Meets = Box<dyn FnMut(&str) -> bool + Send>;

struct Armed {
    meets: Meets,
    point: Point,
    tell: mpsc::UnboundedSender<Held>,
}

#[derive(Default)]
struct State {
    counts: BTreeMap<String, u32>,
    passed: Vec<Passed>,
    armed: Option<Armed>,
    first_lists: storm::FirstLists,
}

struct Inner {
    end: End,
    upstream: String,
    client: reqwest::Client,
    state: Mutex<State>,
    storm: watch::Sender<Storm>,
    stalled: watch::Sender<Option<String>>,
}

/// See the module documentation. It ends when dropped.
pub struct Link {
    inner: Arc<Inner>,
    port: u16,
    stop: CancellationToken,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Link {
    /// In front of an apiserver whose certificate this authority signed.
    pub async fn to_apiserver(server: &str, authority: &Path) -> Self {
        let pem = std::fs::read(authority).expect("the authority's certificate");
        let roots = reqwest::Certificate::from_pem_bundle(&pem).expect("certificates");
        let client = client().tls_certs_only(roots).build().expect("a client");
        Self::start(End::Apiserver, server, client).await
    }

    /// In front of a provider that speaks plain HTTP.
    pub async fn to_provider(url: &str) -> Self {
        let client = client().pool_max_idle_per_host(0).build().expect("a client");
        Self::start(End::Provider, url, client).await
    }

    /// In front of object storage that speaks plain HTTP.
    pub async fn to_store(url: &str) -> Self {
        let client = client().pool_max_idle_per_host(0).build().expect("a client");
        Self::start(End::Store, url, client).await
    }

    async fn start(end: End, upstream: &str, client: reqwest::Client) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let upstream = upstream.trim_end_matches('/').to_owned();
        let inner = Arc::new(Inner {
            end,
            upstream,
            client,
            state: Mutex::default(),
            storm: watch::Sender::default(),
            stalled: watch::Sender::default(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, inner.clone(), stop.clone())));
        Self { inner, port, stop }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Holds the request of this name once, at this point. What is returned yields it.
    pub fn hold(&self, request: &str, point: Point) -> mpsc::UnboundedReceiver<Held> {
        let request = request.to_owned();
        self.hold_where(point, move |name| name == request)
    }

    /// Holds the first request whose name fulfils a condition.
    pub fn hold_where(
        &self,
        point: Point,
        meets: impl FnMut(&str) -> bool + Send + 'static,
    ) -> mpsc::UnboundedReceiver<Held> {
        let (tell, told) = mpsc::unbounded_channel();
        lock(&self.inner.state).armed = Some(Armed { meets: Box::new(meets), point, tell });
        told
    }

    /// From now on, until it is told otherwise.
    pub fn storm(&self, storm: Storm) {
        self.inner.storm.send_replace(storm);
    }

    /// Every request for objects in this namespace waits from now on, until another is named, or none.
    pub fn stall(&self, namespace: Option<&str>) {
        self.inner.stalled.send_replace(namespace.map(ToOwned::to_owned));
    }

    /// Holds nothing any more.
    pub fn let_pass(&self) {
        lock(&self.inner.state).armed = None;
    }

    /// What came by so far.
    pub fn passed(&self) -> Vec<Passed> {
        lock(&self.inner.state).passed.clone()
    }
}

/// Nothing here sends anything twice.
fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
}

async fn accept(listener: TcpListener, inner: Arc<Inner>, stop: CancellationToken) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers must not wait for an acknowledgement that is delayed by 40 ms.
        let _ = stream.set_nodelay(true);
        let inner = inner.clone();
        let serve = async move {
            let service = service_fn(move |request| forward::serve(inner.clone(), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        };
        tokio::spawn(stop.clone().run_until_cancelled_owned(serve));
    }
}

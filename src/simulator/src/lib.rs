//! A faithful simulator of the provider, which has no sandbox: the documented methods with their
//! documented answers (`docs/provider-api.md`), a journal of every request that arrived, and faults on command.
//! Whatever the contract leaves unknown is a switch ([`Settings`]).
//!
//! It is driven by its handle ([`Simulator`]) or, from outside, over HTTP below `/_simulator/`.

#![forbid(unsafe_code)]

mod account;
mod admin;
mod connection;
mod fault;
mod journal;
mod options;
mod provider;
mod push;
mod refusal;
mod settings;
mod shared;
mod traffic;

use std::fs::OpenOptions;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use uuid::Uuid;

pub use account::{DocumentState, DocumentView, Order};
pub use fault::{Action, Canned, Fault};
pub use journal::{Answered, JournalEntry, PushEntry};
pub use options::SimulatorOptions;
pub use push::{PushAnswer, PushOverrides};
pub use settings::{BadKey, Millis, OrderIdType, PushSettings, PushTime, Refusal, Settings, Status};

use journal::Journal;
use shared::Shared;
use tenios_http_server::Tls;

/// How a simulator starts.
#[derive(Clone, Debug)]
pub struct Options {
    /// The one access key that is valid.
    pub access_key: SecretString,
    /// A new document is approved after this time; `None`: only on command.
    pub approve_after: Option<Duration>,
    /// A new order gets its number, and its push, after this time.
    pub assign_after: Duration,
    /// A file that gets one line of JSON for each request.
    pub journal: Option<PathBuf>,
    /// Speak TLS.
    pub tls: Option<Tls>,
    /// Whether a `push_url` may be `http://`. The provider takes `https://` only.
    pub plain_push: bool,
    /// Further trust roots (PEM) for the receivers of pushes.
    pub push_ca_file: Option<PathBuf>,
}

impl Options {
    /// Documents are approved on command only, numbers assigned after 2 s; no journal file, no TLS,
    /// pushes to `https://` only.
    #[must_use]
    pub fn new(access_key: impl Into<SecretString>) -> Self {
        Self {
            access_key: access_key.into(),
            approve_after: None,
            assign_after: Duration::from_secs(2),
            journal: None,
            tls: None,
            plain_push: false,
            push_ca_file: None,
        }
    }
}

/// A running simulator. Cheap to clone; it stops when the last clone is dropped.
#[derive(Clone)]
pub struct Simulator(Arc<Running>);

struct Running {
    shared: Arc<Shared>,
    address: SocketAddr,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

impl Simulator {
    /// Listens (port 0: on a free port) and answers, on the current runtime.
    ///
    /// # Errors
    /// The address cannot be listened at, the journal not be opened, or the trust roots not be read.
    pub async fn start(address: SocketAddr, options: Options) -> io::Result<Self> {
        // reqwest asks for the process's provider; one that is installed already stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = push_client(options.push_ca_file.as_deref())?;
        let open = |path| OpenOptions::new().create(true).append(true).open(path);
        let journal = Journal::new(options.journal.map(open).transpose()?);
        let settings = Settings {
            approve_after_ms: options.approve_after.map(Into::into),
            assign_after_ms: options.assign_after.into(),
            ..Settings::default()
        };
        let shared = Shared::new(options.access_key, options.plain_push, client, settings, journal);
        let shared = Arc::new(shared);

        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let scheme = if options.tls.is_some() { "https" } else { "http" };
        shared.tasks.spawn(connection::accept(listener, options.tls, shared.clone()));
        let url = format!("{scheme}://{}/", reachable(address));
        Ok(Self(Arc::new(Running { shared, address, url })))
    }

    /// The base URL, with a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Every request that arrived, whole or not, in the order of arrival.
    #[must_use]
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.0.shared.state().journal.entries().to_vec()
    }

    /// How many requests arrived whole on a path.
    #[must_use]
    pub fn requests(&self, path: &str) -> usize {
        let state = self.0.shared.state();
        state.journal.entries().iter().filter(|entry| entry.complete && entry.path == path).count()
    }

    /// Every push that was answered or given up, in that order.
    #[must_use]
    pub fn pushes(&self) -> Vec<PushEntry> {
        self.0.shared.state().pushes.clone()
    }

    /// The documents.
    #[must_use]
    pub fn documents(&self) -> Vec<DocumentView> {
        self.0.shared.state().account.documents()
    }

    /// The orders, by id.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        self.0.shared.state().account.orders()
    }

    /// The account's numbers.
    #[must_use]
    pub fn numbers(&self) -> Vec<String> {
        self.0.shared.state().account.numbers().iter().cloned().collect()
    }

    /// Puts a fault behind those that wait already.
    pub fn fault(&self, fault: Fault) {
        self.0.shared.state().faults.push(fault);
    }

    /// Forgets the faults that wait.
    pub fn clear_faults(&self) {
        self.0.shared.state().faults.clear();
    }

    /// Changes settings: `simulator.set(|settings| settings.cancel_again = false)`.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.shared.state().settings);
    }

    /// Puts a document in, or changes the state of the one with that id.
    pub fn set_document(&self, id: Uuid, state: DocumentState) {
        self.0.shared.state().account.set_document(id, state, None);
    }

    /// [`Self::set_document`] to approved.
    pub fn approve(&self, id: Uuid) {
        self.set_document(id, DocumentState::Approved);
    }

    /// Gives the account a number, in E.164, that can be linked to and cancelled.
    pub fn add_number(&self, number: &str) {
        self.0.shared.state().account.add_number(number);
    }

    /// Sends the push of an order now, once. None: there is no such order, or no URL to send it to.
    pub async fn push(&self, order_id: u64, overrides: PushOverrides) -> Option<PushAnswer> {
        push::command(&self.0.shared, order_id, &overrides).await
    }

    /// Everything as it was at the start; a journal file goes on.
    pub fn reset(&self) {
        self.0.shared.reset();
    }

    /// Stops it, and returns when nothing of it is left.
    pub async fn stop(&self) {
        self.0.shared.stop.cancel();
        self.0.shared.tasks.close();
        self.0.shared.tasks.wait().await;
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Simulator").field(&self.0.url).finish()
    }
}

fn push_client(ca_file: Option<&Path>) -> io::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0);
    if let Some(path) = ca_file {
        let roots = reqwest::Certificate::from_pem_bundle(&std::fs::read(path)?).map_err(io::Error::other)?;
        builder = builder.tls_certs_merge(roots);
    }
    builder.build().map_err(io::Error::other)
}

/// An address that a client on this machine can use.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

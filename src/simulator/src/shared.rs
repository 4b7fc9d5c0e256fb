//! What all requests of one simulator share.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account::Account;
use super::fault::Queue;
use super::journal::{Journal, PushEntry};
use super::settings::Settings;

const SECOND: Duration = Duration::from_secs(1);

pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) account: Account,
    pub(super) faults: Queue,
    pub(super) journal: Journal,
    pub(super) pushes: Vec<PushEntry>,
    /// The second that began last, and how many requests came in it.
    second: Option<(Instant, u32)>,
    /// Grows by each reset: what began in an earlier era has no effect on this one.
    pub(super) era: u64,
}

impl State {
    /// Whether one more request is too many, by [`Settings::most_per_second`].
    pub(super) fn is_too_much(&mut self) -> bool {
        let Some(most) = self.settings.most_per_second else { return false };
        let now = Instant::now();
        match &mut self.second {
            Some((began, count)) if now.duration_since(*began) < SECOND => {
                *count += 1;
                *count > most
            }
            second => {
                *second = Some((now, 1));
                most == 0
            }
        }
    }
}

pub(super) struct Shared {
    pub(super) access_key: SecretString,
    pub(super) plain_push: bool,
    pub(super) client: reqwest::Client,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    first_settings: Settings,
    state: Mutex<State>,
}

impl Shared {
    pub(super) fn new(
        access_key: SecretString,
        plain_push: bool,
        client: reqwest::Client,
        settings: Settings,
        journal: Journal,
    ) -> Self {
        let state = State {
            settings: settings.clone(),
            account: Account::default(),
            faults: Queue::default(),
            journal,
            pushes: Vec::new(),
            second: None,
            era: 0,
        };
        Self {
            access_key,
            plain_push,
            client,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            first_settings: settings,
            state: Mutex::new(state),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Everything as it was at the start, except for a journal file, which goes on.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.settings = self.first_settings.clone();
        state.account = Account::default();
        state.faults.clear();
        state.journal.clear();
        state.pushes.clear();
        state.era += 1;
    }

    /// Does something on the side. None: the simulator stopped before it was done.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<Option<T>> {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => None,
                done = work => Some(done),
            }
        })
    }
}

//! One task for each account reads all its sources and publishes an immutable snapshot; the account and its policies wake on it.
//! No pass ever waits for a reading.

mod activity;
mod connector;
mod domains;
mod doubts;
mod goto;
mod graph;
mod reading;
mod requests;
mod task;
mod translate;
mod users;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::session::Sessions;
use crate::api::TeamsConnectorAccount;
use crate::clock::Clock;
use crate::plan::observed::{Problem, ReadingKind};
use crate::plan::snapshot::Snapshot;
use crate::runtime::metrics::Metrics;
use requests::Requests;

/// What the newest reading of an account brought.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The newest snapshot; absent until a first try to read.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The snapshot of the reading of all sources before the newest one.
    pub previous: Option<Arc<Snapshot>>,
    /// What kept everything from being read: a Secret, a field of the spec.
    pub problem: Option<Problem>,
    /// When the newest try to read all sources began, whatever it brought.
    pub tried_at: Option<Timestamp>,
}

/// The observers of all accounts; cheap to clone.
#[derive(Clone)]
pub struct Observers(Arc<Inner>);

struct Inner {
    sessions: Sessions,
    clock: Clock,
    metrics: Metrics,
    tasks: Mutex<HashMap<String, Observer>>,
}

struct Observer {
    account: watch::Sender<Arc<TeamsConnectorAccount>>,
    requests: Arc<Requests>,
    latest: watch::Receiver<Reading>,
    task: AbortHandle,
}

impl Observer {
    /// Whether it reads from where the account's spec says, with the credentials that it names.
    fn reads_for(&self, account: &TeamsConnectorAccount) -> bool {
        let (own, spec) = (&self.account.borrow().spec, &account.spec);
        own.goto == spec.goto && own.microsoft365 == spec.microsoft365 && own.connector == spec.connector
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Observers {
    /// No account is observed yet.
    #[must_use]
    pub fn new(sessions: Sessions, clock: Clock, metrics: Metrics) -> Self {
        Self(Arc::new(Inner { sessions, clock, metrics, tasks: Mutex::default() }))
    }

    /// Observes the account from now on, or with its new spec. `published` is called after each reading. What was read elsewhere
    /// than the spec now says counts no more: everything is read anew before anything is concluded.
    pub fn ensure(
        &self,
        account: &Arc<TeamsConnectorAccount>,
        published: impl Fn(&TeamsConnectorAccount) + Send + 'static,
    ) {
        let uid = account.uid().unwrap_or_default();
        let mut tasks = self.lock();
        // A defect must not end all readings of an account for good.
        if tasks.get(&uid).is_some_and(|observer| observer.task.is_finished()) {
            self.0.metrics.panicked("observer");
            tasks.remove(&uid);
        }
        if tasks.get(&uid).is_some_and(|observer| !observer.reads_for(account)) {
            tasks.remove(&uid);
        }
        if let Some(observer) = tasks.get(&uid) {
            let changed = observer.account.borrow().meta_generation() != account.meta_generation();
            observer.account.send_replace(Arc::clone(account));
            if changed {
                observer.requests.add(self.0.clock.now(), ReadingKind::Full);
            }
            return;
        }
        let (sender, receiver) = watch::channel(Arc::clone(account));
        let (published_to, latest) = watch::channel(Reading::default());
        let requests = Arc::new(Requests::default());
        requests.add(task::first_reading_at(account, self.0.clock.now()), ReadingKind::Full);
        let task = task::Task::new(self, receiver, published_to, Arc::clone(&requests));
        let task = tokio::spawn(task.run(published)).abort_handle();
        tasks.insert(uid, Observer { account: sender, requests, latest, task });
    }

    /// Observes the account no longer.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// What the newest reading of the account brought; nothing if it was read elsewhere than the spec now says.
    #[must_use]
    pub fn latest(&self, account: &TeamsConnectorAccount) -> Reading {
        let tasks = self.lock();
        let observer = account.metadata.uid.as_deref().and_then(|uid| tasks.get(uid));
        let current = observer.filter(|observer| observer.reads_for(account));
        current.map(|observer| observer.latest.borrow().clone()).unwrap_or_default()
    }

    /// Asks for a reading of this kind at this time; a wider one before it will do.
    pub fn request(&self, uid: &str, at: Timestamp, kind: ReadingKind) {
        if let Some(observer) = self.lock().get(uid) {
            observer.requests.add(at, kind);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Observer>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of the metadata that tells one spec from another.
trait Generation {
    fn meta_generation(&self) -> Option<i64>;
}

impl Generation for TeamsConnectorAccount {
    fn meta_generation(&self) -> Option<i64> {
        self.metadata.generation
    }
}

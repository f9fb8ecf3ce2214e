//! The loop of one observer: wait, read, publish.

use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::sync::watch;

use super::doubts::Doubts;
use super::requests::Requests;
use super::users::TenantUsers;
use super::{Generation as _, Observers, Reading};
use crate::api::{DomainManager, Reason, TeamsConnectorAccount};
use crate::clock::Clock;
use crate::controllers::error::PassError;
use crate::controllers::frame::later;
use crate::controllers::session::Sessions;
use crate::plan::observed::{Problem, ReadingKind};
use crate::plan::snapshot::Snapshot;
use crate::runtime::metrics::Metrics;

/// First readings after a start are spread over this long, or over the interval if that is shorter.
const SPREAD: SignedDuration = SignedDuration::from_secs(60);
/// A regular reading that brought nothing complete is repeated after this long, growing with each failure in a row.
const RETRY: SignedDuration = SignedDuration::from_secs(30);

pub(super) struct Task {
    sessions: Sessions,
    clock: Clock,
    metrics: Metrics,
    account: watch::Receiver<Arc<TeamsConnectorAccount>>,
    publisher: watch::Sender<Reading>,
    requests: Arc<Requests>,
    tenant: TenantUsers,
    doubts: Doubts,
    failures: u32,
}

/// At once for a spec that nobody has looked at; else spread, so that a restart with many accounts is no burst.
pub(super) fn first_reading_at(account: &TeamsConnectorAccount, now: Timestamp) -> Timestamp {
    let observed = account.status.as_ref().map(|status| status.observed_generation);
    if observed != account.meta_generation() {
        return now;
    }
    let spread = SPREAD.min(account.spec.interval.signed());
    let uid = account.uid().unwrap_or_default();
    let share = uid.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte))) % 1000;
    now.checked_add(spread * i32::try_from(share).unwrap_or(0) / 1000).unwrap_or(now)
}

impl Task {
    pub(super) fn new(
        observers: &Observers,
        account: watch::Receiver<Arc<TeamsConnectorAccount>>,
        publisher: watch::Sender<Reading>,
        requests: Arc<Requests>,
    ) -> Self {
        let inner = &observers.0;
        Self {
            sessions: inner.sessions.clone(),
            clock: inner.clock.clone(),
            metrics: inner.metrics.clone(),
            account,
            publisher,
            requests,
            tenant: TenantUsers::default(),
            doubts: Doubts::default(),
            failures: 0,
        }
    }

    pub(super) async fn run(mut self, published: impl Fn(&TeamsConnectorAccount) + Send) {
        let mut regular = Timestamp::MAX;
        loop {
            let kind = self.next(regular).await;
            let account = Arc::clone(&self.account.borrow());
            let began = self.clock.now();
            Box::pin(self.read(&account, kind, began)).await;
            self.metrics.reading(match kind {
                ReadingKind::Account => "account",
                ReadingKind::Outcome => "outcome",
                ReadingKind::Full => "full",
            });
            if kind == ReadingKind::Full {
                regular = self.next_regular(&account, began);
            }
            published(&account);
        }
    }

    /// Sleeps until a reading is due.
    async fn next(&self, regular: Timestamp) -> ReadingKind {
        loop {
            let (at, kind) = self.requests.next(regular);
            tokio::select! {
                () = self.clock.sleep_until(at) => return self.requests.take(self.clock.now(), kind),
                () = self.requests.changed() => {}
            }
        }
    }

    async fn read(&mut self, account: &TeamsConnectorAccount, kind: ReadingKind, began: Timestamp) {
        let before = self.publisher.borrow().clone();
        let tried_at = if kind == ReadingKind::Full { Some(began) } else { before.tried_at };
        match self.sessions.open(account).await {
            Ok(session) => {
                let old = before.snapshot.clone().unwrap_or_default();
                let (session, metrics, doubts) = (&session, &self.metrics, &self.doubts);
                let manages_domains = account.spec.domain.activation.managed_by == DomainManager::Operator;
                let reader = super::reading::Reader { session, metrics, doubts, manages_domains, began };
                let mut snapshot = reader.read(account, kind, &old, &mut self.tenant).await;
                let mut previous = before.previous;
                if kind == ReadingKind::Full {
                    snapshot.round = old.round + 1;
                    snapshot.full_reading_at = Some(began);
                    previous = before.snapshot;
                }
                let snapshot = Some(Arc::new(snapshot));
                self.publisher.send_replace(Reading { snapshot, previous, problem: None, tried_at });
            }
            Err(error) => {
                let problem = Some(error.problem().unwrap_or_else(|error| unreadable(&error)));
                self.publisher.send_replace(Reading { problem, tried_at, ..before });
            }
        }
    }

    /// The next regular reading: one interval after this one began, sooner while readings are incomplete. Secrets and specs that
    /// cannot be used are no weather: the account's plan says when they are looked at again.
    fn next_regular(&mut self, account: &TeamsConnectorAccount, began: Timestamp) -> Timestamp {
        let interval = account.spec.interval.signed();
        let uid = account.uid().unwrap_or_default();
        let reading = self.publisher.borrow();
        let complete = reading.problem.is_some() || reading.snapshot.as_deref().is_some_and(Snapshot::is_complete);
        self.failures = if complete { 0 } else { self.failures.saturating_add(1) };
        let wait =
            if complete { interval } else { (RETRY * (1_i32 << self.failures.min(6).saturating_sub(1))).min(interval) };
        later(began, wait, &uid)
    }
}

/// The account's plan says when it is asked again, as for any other trouble with Secrets.
fn unreadable(error: &PassError) -> Problem {
    tracing::warn!(cause = error.cause(), "a Secret could not be read");
    let message = "The API server could not be asked for the Secrets of the account.".to_owned();
    Problem { reason: Reason::SecretUnreadable, message }
}

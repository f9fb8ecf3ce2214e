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
use crate::controllers::session::{Fingerprint, Sessions};
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
    /// What the last reading was made with.
    credentials: Option<Fingerprint>,
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
            credentials: None,
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
                let is_swapped = self.credentials.as_ref().is_some_and(|last| *last != session.credentials);
                let (before, kind) = if is_swapped {
                    (self.tenant, self.doubts) = (TenantUsers::default(), Doubts::default());
                    (anew(before), ReadingKind::Full)
                } else {
                    (before, kind)
                };
                self.credentials = Some(session.credentials.clone());
                let old = before.snapshot.clone().unwrap_or_default();
                let (session, metrics, doubts) = (&session, &self.metrics, &self.doubts);
                let manages_domains = account.spec.domain.activation.managed_by == DomainManager::Operator;
                let reader = super::reading::Reader { session, metrics, doubts, manages_domains, began };
                let mut snapshot = Box::pin(reader.read(account, kind, &old, &mut self.tenant)).await;
                let mut previous = before.previous;
                if kind == ReadingKind::Full {
                    snapshot.round = old.round + 1;
                    snapshot.full_reading_at = Some(began);
                    previous = before.snapshot.filter(|_| !is_swapped);
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

/// Nothing that was read with other credentials is the first of two readings that agree (R5): the Secret may mean another account,
/// or see less of this one. The count of the readings goes on.
fn anew(before: Reading) -> Reading {
    let round = before.snapshot.as_ref().map_or(0, |snapshot| snapshot.round);
    let unread = Snapshot { round, ..Snapshot::default() };
    Reading { snapshot: Some(Arc::new(unread)), previous: None, ..before }
}

/// The account's plan says when it is asked again, as for any other trouble with Secrets.
fn unreadable(error: &PassError) -> Problem {
    tracing::warn!(cause = error.cause(), "a Secret could not be read");
    let message = "The API server could not be asked for the Secrets of the account.".to_owned();
    Problem { reason: Reason::SecretUnreadable, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::snapshot::Source;

    /// R5: a swapped Secret leaves nothing behind that a later reading could agree with; the count of readings goes on.
    #[test]
    fn what_was_read_with_other_credentials_counts_no_more() {
        let read = |round| {
            let goto_users = Source::complete(Vec::new(), Timestamp::UNIX_EPOCH);
            Some(Arc::new(Snapshot { round, goto_users, ..Snapshot::default() }))
        };
        let after = anew(Reading { snapshot: read(7), previous: read(6), ..Reading::default() });
        let unread = after.snapshot.unwrap();
        assert!(unread.round == 7 && unread.goto_users.known().is_none() && after.previous.is_none());
    }
}

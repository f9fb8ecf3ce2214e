//! The policy's own objects, indexed once: pins, runs, failures, requests.

use std::collections::{BTreeMap, HashMap};

use k8s_openapi::jiff::Timestamp;

use super::observed::{KnownRun, KnownUser, ObservedPolicy};
use super::run_status::Wait;
use super::runs::{self, Held};
use super::snapshot::{Activity, ConnectorUser};
use super::subjects::{Finding, Subject};
use crate::api::{Reason, RunAction};
use crate::domain::{EntraObjectId, UserKey};

/// The policy's own objects and what they say.
#[derive(Debug)]
pub(super) struct Records<'a> {
    /// What the plan is made from.
    pub observed: &'a ObservedPolicy<'a>,
    /// Time of the plan.
    pub now: Timestamp,
    /// User objects by key.
    pub users: BTreeMap<UserKey, &'a KnownUser>,
    /// The oldest open run.
    pub open: Option<&'a KnownRun>,
    /// Whether `requestedAt` asks for something new.
    pub requested: bool,
    /// Imports and pushes, as last known: what has happened does not become untrue while it cannot be read.
    pub activity: Option<&'a Activity>,
    actions: HashMap<&'a str, &'a RunAction>,
    newest_run: HashMap<&'a str, &'a KnownRun>,
    held: HashMap<&'a str, Held<'a>>,
    refused: HashMap<&'a str, (Reason, &'a str)>,
    pins: HashMap<EntraObjectId, UserKey>,
    first: Option<Timestamp>,
}

impl<'a> Records<'a> {
    /// The objects of the policy.
    pub(super) fn new(observed: &'a ObservedPolicy<'a>, now: Timestamp) -> Self {
        let runs = runs::by_age(&observed.runs);
        let open = runs.iter().copied().find(|run| runs::is_open(run));
        let entries = observed.users.iter().filter_map(|user| Some((user.spec.goto_user_key.parse().ok()?, user)));
        let users: BTreeMap<UserKey, &KnownUser> = entries.collect();
        let seen = users.values().map(|user| user.spec.first_seen.0);
        let first = seen.chain(runs.iter().map(|run| run.spec.created_at.0)).min();
        let of_run = |run: &'a KnownRun| run.spec.actions.iter().map(move |action| (action.user.as_str(), run));
        let requested = observed.requested_at != observed.status.last_handled_reconcile_at.as_deref();
        Self {
            observed,
            now,
            actions: open.into_iter().flat_map(of_action).collect(),
            newest_run: runs.iter().copied().flat_map(of_run).collect(),
            held: runs::held(&runs),
            refused: open.map(runs::refused).unwrap_or_default(),
            pins: pins(&users),
            users,
            open,
            requested: requested && observed.requested_at.is_some(),
            activity: observed.snapshot.and_then(|snapshot| snapshot.activity.known()),
            first,
        }
    }

    /// The action of the open run for the user.
    pub(super) fn action(&self, user: &UserKey) -> Option<&'a RunAction> {
        self.actions.get(user.as_str()).copied()
    }

    /// The newest run that had an action for the user.
    pub(super) fn newest_run(&self, user: &UserKey) -> Option<&'a KnownRun> {
        self.newest_run.get(user.as_str()).copied()
    }

    /// What became of the user in the newest finished run, unless it went well.
    pub(super) fn held(&self, user: &UserKey) -> Option<&Held<'a>> {
        self.held.get(user.as_str())
    }

    /// What the connector refused in the open run.
    pub(super) fn refused(&self, user: &UserKey) -> Option<(Reason, &'a str)> {
        self.refused.get(user.as_str()).copied()
    }

    /// Whether the open run refused more than it could note.
    pub(super) fn noted_all(&self) -> bool {
        self.refused.len() < runs::MAX_FAILURES || self.open.is_some_and(|run| run.status.started_at.is_none())
    }

    /// Why the open run sends nothing before a while has passed; `requestedAt` ends it.
    pub(super) fn refused_until(&self) -> Option<Wait> {
        let refusal = self.open?.status.refusal.as_ref()?;
        (self.now < refusal.next_attempt_time.0 && !self.requested).then(|| Wait::refused(refusal))
    }

    /// Whose pin the Microsoft user is.
    pub(super) fn pinned_to(&self, id: EntraObjectId) -> Option<&UserKey> {
        self.pins.get(&id)
    }

    /// Whether this policy added the pair.
    pub(super) fn is_ours(&self, pair: &ConnectorUser) -> bool {
        pair.external_id.as_deref() == Some(self.observed.external_id)
    }

    /// Whether the pair was there before the policy's first complete plan. The time comes from specs, which survive a crash
    /// in the middle of that plan and a restore: a status decides nothing here.
    pub(super) fn is_older_than_policy(&self, pair: &ConnectorUser) -> bool {
        self.first.is_none_or(|first| pair.updated_at <= first)
    }

    /// When users whose write failed may be tried again.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        let stored = self.observed.status.failure.as_ref().map(|failure| failure.next_attempt_time.0);
        let newest =
            || self.held.values().map(|held| held.since).max().map(|since| super::polling::retry_after(since, 1));
        stored.or_else(newest)
    }

    /// Whether a write for the user failed and nothing came of it yet.
    pub(super) fn failed_before(&self, subject: &Subject<'_>) -> bool {
        let failed = self.held(&subject.key).is_some() || self.refused(&subject.key).is_some();
        failed && subject.pair.is_none() && subject.finding != Finding::Gone
    }

    /// Whether the writes may go out as far as the policy and the account are concerned.
    pub(super) fn may_write(&self) -> bool {
        !self.observed.suspended && self.observed.gate.is_none()
    }
}

fn of_action(run: &KnownRun) -> impl Iterator<Item = (&str, &RunAction)> {
    run.spec.actions.iter().map(|action| (action.user.as_str(), action))
}

/// The oldest pin of a Microsoft user holds; a second one is nobody's.
fn pins(users: &BTreeMap<UserKey, &KnownUser>) -> HashMap<EntraObjectId, UserKey> {
    let mut all: Vec<_> =
        users.iter().filter_map(|(key, user)| Some((user.spec.first_seen.0, key, pin(user)?))).collect();
    all.sort_unstable();
    let mut pins = HashMap::new();
    for (_, key, id) in all {
        pins.entry(id).or_insert_with(|| key.clone());
    }
    pins
}

/// The pin of a user object.
pub(super) fn pin(user: &KnownUser) -> Option<EntraObjectId> {
    user.spec.teams_user_id.as_deref()?.parse().ok()
}

//! The policy's own objects, indexed once: pins, runs, failures, requests.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::adoption;
use super::observed::{KnownRun, KnownUser, ObservedPolicy};
use super::ownership::{self, Evidence};
use super::polling;
use super::run_status::Wait;
use super::runs::{self, Held};
use super::snapshot::{Activity, ConnectorUser};
use super::subjects::{Finding, Subject};
use crate::api::{Decision, Managed, Reason, RunAction, RunFailure, RunOperation, RunType};
use crate::domain::{EntraObjectId, UserKey};

/// The first pass of a policy is over after so long, whatever became of it.
const FIRST_PASS: SignedDuration = SignedDuration::from_mins(15);

/// The policy's own objects and what they say.
#[derive(Debug)]
pub(super) struct Records<'a> {
    /// What the plan is made from.
    pub observed: &'a ObservedPolicy<'a>,
    /// Time of the plan.
    pub now: Timestamp,
    /// User objects by key.
    pub users: BTreeMap<UserKey, &'a KnownUser>,
    /// The oldest open Connect run.
    pub open: Option<&'a KnownRun>,
    /// The oldest open Disconnect run.
    pub disconnect: Option<&'a KnownRun>,
    /// All Disconnect runs, from old to new.
    pub disconnects: Vec<&'a KnownRun>,
    /// Whether `requestedAt` asks for something new.
    pub requested: bool,
    /// Imports and pushes, as last known: what has happened does not become untrue while it cannot be read.
    pub activity: Option<&'a Activity>,
    actions: HashMap<&'a str, &'a RunAction>,
    newest_run: HashMap<&'a str, &'a KnownRun>,
    tries: HashMap<&'a str, u32>,
    held: HashMap<&'a str, Held<'a>>,
    refused: HashMap<&'a str, (Reason, &'a str)>,
    pins: HashMap<EntraObjectId, UserKey>,
    freed: HashMap<&'a str, &'a str>,
    denied: HashSet<&'a str>,
    successors: HashMap<&'a str, &'a str>,
    predecessors: HashMap<&'a str, UserKey>,
    exchanges: HashMap<&'a str, EntraObjectId>,
    /// When users who are not stored yet count as first seen.
    arrival: Timestamp,
    promised: HashMap<EntraObjectId, &'a str>,
    /// The oldest time that the specs of users and runs tell.
    pub first: Option<Timestamp>,
    /// Who may be adopted.
    pub adoption: adoption::Scope,
}

impl<'a> Records<'a> {
    /// The objects of the policy.
    pub(super) fn new(observed: &'a ObservedPolicy<'a>, now: Timestamp) -> Self {
        let runs = runs::by_age(&observed.runs, RunType::Connect);
        let disconnects = runs::by_age(&observed.runs, RunType::Disconnect);
        let open = runs.iter().copied().find(|run| runs::is_open(run));
        let entries = observed.users.iter().filter_map(|user| Some((user.spec.goto_user_key.parse().ok()?, user)));
        let users: BTreeMap<UserKey, &KnownUser> = entries.collect();
        let seen = users.values().map(|user| user.spec.first_seen.0);
        let first = seen.chain(observed.runs.iter().map(|run| run.spec.created_at.0)).min();
        let of_run = |run: &'a KnownRun| run.spec.actions.iter().map(move |action| (action.user.as_str(), run));
        let replacements: Vec<_> = disconnects.iter().flat_map(|run| replacements(run)).collect();
        let begun = || leaving(&users, &disconnects).map(|(_, action)| action);
        let successors = begun().filter_map(replacement).collect();
        let exchanged: Vec<_> = exchanged(&users, &disconnects).collect();
        let requested = observed.requested_at != observed.status.last_handled_reconcile_at.as_deref();
        Self {
            observed,
            now,
            actions: open.into_iter().flat_map(of_action).collect(),
            newest_run: runs.iter().copied().flat_map(of_run).chain(replacements).collect(),
            tries: tries(&runs),
            held: runs::held(&runs),
            refused: open.map(runs::refused).unwrap_or_default(),
            pins: pins(&users, &successors),
            freed: leaving(&users, &disconnects).filter_map(|(_, action)| freed(action)).collect(),
            predecessors: begun()
                .filter_map(replacement)
                .filter_map(|(old, new)| Some((new, old.parse().ok()?)))
                .collect(),
            promised: old_numbers(&users)
                .chain(exchanged.iter().copied().filter_map(promised))
                .chain(begun().filter_map(promised))
                .collect(),
            exchanges: exchanged
                .into_iter()
                .filter_map(|action| Some((action.user.as_str(), exchange(action)?)))
                .collect(),
            successors,
            denied: denied(&runs).collect(),
            disconnect: disconnects.iter().copied().find(|run| runs::is_open(run)),
            disconnects,
            users,
            open,
            requested: requested && observed.requested_at.is_some(),
            activity: observed.snapshot.and_then(|snapshot| snapshot.activity.known()),
            first,
            arrival: arrival(observed, now),
            adoption: adoption::Scope::of(observed, first, now),
        }
    }

    /// The action of the open run for the user.
    pub(super) fn action(&self, user: &UserKey) -> Option<&'a RunAction> {
        self.actions.get(user.as_str()).copied()
    }

    /// Since when the pair is the user's. Whom an open run names was known when it was made, also one whose object the process did
    /// not come to store before it ended: else each such crash would call for another import.
    pub(super) fn first_seen(&self, subject: &Subject<'_>) -> Timestamp {
        let named = self.action(&subject.key).and(self.open).map(|run| run.spec.created_at.0);
        subject.first_seen(named.map_or(self.arrival, |at| at.min(self.arrival)))
    }

    /// The newest run that had an action for the user.
    pub(super) fn newest_run(&self, user: &UserKey) -> Option<&'a KnownRun> {
        self.newest_run.get(user.as_str()).copied()
    }

    /// How many Connect runs had an action for the user.
    pub(super) fn tries(&self, user: &UserKey) -> u32 {
        self.tries.get(user.as_str()).copied().unwrap_or(0)
    }

    /// When somebody is put again whom the connector accepted and has not listed since.
    pub(super) fn put_again(&self, subject: &Subject<'_>) -> Option<Timestamp> {
        Some(polling::put_again(subject.unseen()?.at.0, self.tries(&subject.key)))
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

    /// Why the run sends nothing before a while has passed; `requestedAt` ends it.
    pub(super) fn refused_until(&self, run: &KnownRun) -> Option<Wait> {
        let refusal = run.status.refusal.as_ref()?;
        (self.now < refusal.next_attempt_time.0 && !self.requested).then(|| Wait::refused(refusal))
    }

    /// Whose pin the Microsoft user is.
    pub(super) fn pinned_to(&self, id: EntraObjectId) -> Option<&UserKey> {
        self.pins.get(&id)
    }

    /// Whether somebody is being removed who had the number, and it is not read back as gone yet (R20).
    pub(super) fn is_being_freed(&self, number: &str, user: &UserKey) -> bool {
        self.freed.get(number).is_some_and(|key| {
            *key != user.as_str() && self.successors.get(key).is_none_or(|new| *new != user.as_str())
        })
    }

    /// The new key of somebody whose replacement began.
    pub(super) fn successor(&self, old: &UserKey) -> Option<&'a str> {
        self.successors.get(old.as_str()).copied()
    }

    /// Whose place the user takes, if the replacement began.
    pub(super) fn predecessor(&self, new: &UserKey) -> Option<&UserKey> {
        self.predecessors.get(new.as_str())
    }

    /// The Microsoft user with whom somebody is to be connected whose pair was removed for that.
    pub(super) fn exchanged(&self, user: &UserKey) -> Option<EntraObjectId> {
        self.exchanges.get(user.as_str()).copied()
    }

    /// The number that whoever comes after a replaced user is to have with the Microsoft user.
    pub(super) fn promised(&self, id: EntraObjectId) -> Option<&'a str> {
        self.promised.get(&id).copied()
    }

    /// Every replacement that began and is not at its end: the old key and the new one.
    pub(super) fn replacements(&self) -> impl Iterator<Item = (UserKey, UserKey)> + '_ {
        self.predecessors.iter().filter_map(|(new, old)| Some((old.clone(), new.parse().ok()?)))
    }

    /// Whether the open Disconnect run began with the user.
    pub(super) fn is_executing(&self, known: Option<&KnownUser>) -> bool {
        let leaving = known.and_then(|known| known.spec.leaving.as_deref());
        leaving.is_some() && leaving == self.disconnect.map(|run| run.name.as_str())
    }

    /// Whether somebody denied to connect the user.
    pub(super) fn is_denied(&self, user: &UserKey) -> bool {
        self.denied.contains(user.as_str()) && !self.requested
    }

    /// The run that takes service away from the user, and its action: the old values are in it.
    pub(super) fn removal(&self, user: &UserKey, known: &KnownUser) -> Option<(&'a KnownRun, &'a RunAction)> {
        let run = self.disconnects.iter().find(|run| Some(run.name.as_str()) == known.spec.leaving.as_deref())?;
        Some((run, run.spec.actions.iter().find(|action| action.user == user.as_str())?))
    }

    /// Users of the denied runs of a type.
    pub(super) fn denied(&self, kind: RunType) -> impl Iterator<Item = &'a str> + '_ {
        self.denied_actions(kind).map(|(_, action)| action.user.as_str())
    }

    /// Actions of the denied runs of a type.
    pub(super) fn denied_actions(&self, kind: RunType) -> impl Iterator<Item = (&'a KnownRun, &'a RunAction)> + '_ {
        let runs = self.observed.runs.iter().filter(move |run| run.spec.run_type == kind);
        denied_of(runs)
    }

    /// Above this share of failures a run stops, in percent.
    pub(super) fn failure_limit(&self) -> u32 {
        self.observed.spec.rollout.max_failure_percent
    }

    /// Whether this policy added the pair.
    pub(super) fn is_ours(&self, pair: &ConnectorUser) -> bool {
        pair.external_id.as_deref() == Some(self.observed.external_id)
    }

    /// Whose the pair is, of whoever is `managed` so and to have this Microsoft user.
    pub(super) fn ownership(&self, managed: Managed, expected: Option<EntraObjectId>, pair: &ConnectorUser) -> Managed {
        let is_marked = self.is_ours(pair);
        ownership::of(Evidence { managed, is_marked, expected, actual: pair.teams_user })
    }

    /// Whether the pair is the one that this policy added for the user, or took over, and somebody has said so (R8).
    pub(super) fn owns(&self, managed: Managed, known: &KnownUser, pair: &ConnectorUser) -> bool {
        managed != Managed::None && self.ownership(managed, pin(known), pair) != Managed::None
    }

    /// Whether the run that disabled the user found him by id later: he gets the calls back before anything else is done.
    pub(super) fn is_vetoed(&self, subject: &Subject<'_>) -> bool {
        let run = subject.known.and_then(|known| self.removal(&subject.key, known)).map(|(run, _)| run);
        let still = |failure: &RunFailure| {
            failure.user == subject.key.as_str() && failure.reason == Reason::StillPresent.as_str()
        };
        run.is_some_and(|run| run.status.failures.iter().any(still))
    }

    /// When users whose write failed may be tried again.
    pub(super) fn retry_at(&self) -> Option<Timestamp> {
        let stored = self.observed.status.failure.as_ref().map(|failure| failure.next_attempt_time.0);
        let newest = || self.held.values().map(|held| held.since).max().map(|since| polling::retry_after(since, 1));
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

/// All whom the policy's first complete plan found were first seen then, also those whom the process did not come to store before
/// it ended: else the order in which it stored them would decide about the last license.
fn arrival(observed: &ObservedPolicy<'_>, now: Timestamp) -> Timestamp {
    let first_plan = observed.adopted.and_then(|mark| mark.parse::<adoption::Adopted>().ok()).map(|mark| mark.at);
    let is_carried_out = observed.status.counters.is_some();
    first_plan.filter(|at| !is_carried_out && now.duration_since(*at) < FIRST_PASS).unwrap_or(now)
}

fn tries<'a>(runs: &[&'a KnownRun]) -> HashMap<&'a str, u32> {
    let mut tries = HashMap::new();
    for (user, _) in runs.iter().flat_map(|run| of_action(run)) {
        *tries.entry(user).or_insert(0) += 1;
    }
    tries
}

fn of_action(run: &KnownRun) -> impl Iterator<Item = (&str, &RunAction)> {
    run.spec.actions.iter().map(|action| (action.user.as_str(), action))
}

fn denied<'a>(runs: &[&'a KnownRun]) -> impl Iterator<Item = &'a str> {
    denied_of(runs.iter().copied()).map(|(_, action)| action.user.as_str())
}

fn denied_of<'a>(runs: impl Iterator<Item = &'a KnownRun>) -> impl Iterator<Item = (&'a KnownRun, &'a RunAction)> {
    let denied = runs.filter(|run| run.spec.decision == Some(Decision::Deny));
    denied.flat_map(|run| run.spec.actions.iter().map(move |action| (run, action)))
}

/// What was begun with users who are being removed.
fn leaving<'u, 'a: 'u>(
    users: &'u BTreeMap<UserKey, &'a KnownUser>,
    runs: &'u [&'a KnownRun],
) -> impl Iterator<Item = (&'a KnownRun, &'a RunAction)> + 'u {
    let is_begun = |run: &KnownRun, action: &RunAction| {
        let user = action.user.parse::<UserKey>().ok().and_then(|key| users.get(&key));
        user.is_some_and(|user| user.spec.leaving.as_deref() == Some(run.name.as_str()))
    };
    let of_run = move |run: &'a KnownRun| {
        run.spec.actions.iter().filter(move |action| is_begun(run, action)).map(move |action| (run, action))
    };
    runs.iter().copied().flat_map(of_run)
}

/// The number that becomes free, and who had it.
fn freed(action: &RunAction) -> Option<(&str, &str)> {
    Some((action.expected.phone_number.as_deref()?, action.user.as_str()))
}

/// The old key and the new one.
fn replacement(action: &RunAction) -> Option<(&str, &str)> {
    let new = action.args.new_user.as_deref().filter(|_| action.op == RunOperation::Replace)?;
    Some((action.user.as_str(), new))
}

/// The Microsoft user with whom the action connects the same user, where it removes the pair for that.
fn exchange(action: &RunAction) -> Option<EntraObjectId> {
    action.args.teams_user_id.as_deref().filter(|_| action.op == RunOperation::Delete)?.parse().ok()
}

/// The actions that removed pairs, or are about to, for the same users with others.
fn exchanged<'u, 'a: 'u>(
    users: &'u BTreeMap<UserKey, &'a KnownUser>,
    runs: &'u [&'a KnownRun],
) -> impl Iterator<Item = &'a RunAction> + 'u {
    let newest = |action: &RunAction| {
        let user = users.get(&action.user.parse::<UserKey>().ok()?)?;
        let removed = user.status.last_change.as_ref().filter(|change| change.action.removes());
        user.spec.leaving.as_deref().or_else(|| removed.map(|change| change.run.as_str()))
    };
    let of_run = move |run: &'a KnownRun| {
        let exchanges = run.spec.actions.iter().filter(|action| exchange(action).is_some());
        exchanges.filter(move |action| newest(action) == Some(run.name.as_str()))
    };
    runs.iter().copied().flat_map(of_run)
}

/// The Microsoft user of a replacement or an exchange, and the number that the new pair is to have.
fn promised(action: &RunAction) -> Option<(EntraObjectId, &str)> {
    exchange(action).map(drop).or_else(|| replacement(action).map(drop))?;
    Some((action.args.teams_user_id.as_deref()?.parse().ok()?, action.args.phone_number.as_deref()?))
}

/// The numbers that replaced users had, where the run or `leaving` is lost.
fn old_numbers<'u, 'a: 'u>(
    users: &'u BTreeMap<UserKey, &'a KnownUser>,
) -> impl Iterator<Item = (EntraObjectId, &'a str)> + 'u {
    users.values().filter_map(|user| {
        let change = user.status.last_change.as_ref().filter(|change| change.action == RunOperation::Replace)?;
        let before = change.before.as_ref()?;
        Some((before.teams_user_id.as_deref()?.parse().ok()?, before.phone_number.as_deref()?))
    })
}

/// New users of the run.
fn replacements(run: &KnownRun) -> impl Iterator<Item = (&str, &KnownRun)> {
    run.spec.actions.iter().filter_map(move |action| Some((replacement(action)?.1, run)))
}

/// The oldest pin of a Microsoft user holds; a second one is nobody's. Who was removed claims nobody any more, and who is being
/// replaced gives way to the new key.
fn pins(users: &BTreeMap<UserKey, &KnownUser>, successors: &HashMap<&str, &str>) -> HashMap<EntraObjectId, UserKey> {
    let gives_way = |key: &UserKey, id: EntraObjectId| {
        let new = successors.get(key.as_str()).and_then(|new| users.get(&new.parse::<UserKey>().ok()?));
        new.is_some_and(|new| matched_pin(new).is_none_or(|pin| pin == id))
    };
    let claims = |key: &UserKey, user: &KnownUser| {
        let id = matched_pin(user).filter(|id| !gives_way(key, *id))?;
        (!is_removed(user)).then_some((user.spec.first_seen.0, id))
    };
    let mut all: Vec<_> = users
        .iter()
        .filter_map(|(key, user)| claims(key, user).map(|(first_seen, id)| (first_seen, key, id)))
        .collect();
    all.sort_unstable();
    let mut pins = HashMap::new();
    for (_, key, id) in all {
        pins.entry(id).or_insert_with(|| key.clone());
    }
    pins
}

/// Whether the object only keeps the old values of somebody who was removed.
fn is_removed(user: &KnownUser) -> bool {
    user.spec.managed == Managed::None && user.spec.unmatched_since.is_some()
}

/// The pin of a user object, if it was matched: that of a pair which was only adopted claims nobody (R8).
pub(super) fn matched_pin(user: &KnownUser) -> Option<EntraObjectId> {
    user.spec.matched_by.and_then(|_| pin(user))
}

/// The pin of a user object.
pub(super) fn pin(user: &KnownUser) -> Option<EntraObjectId> {
    user.spec.teams_user_id.as_deref()?.parse().ok()
}

//! Frozen plans: name and hash of a new run, and what is left of an open one.
//!
//! **Architecture invariant:** an open run is resumed from its actions, never recomputed; what the newest reading no longer
//! calls for is skipped, so a run that somebody forged can do nothing that the plan would not.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::observed::{KnownRun, KnownUser, ObservedPolicy};
use super::records::Records;
use super::run_status::Tally;
use super::subjects::{Finding, Subject};
use super::user_plan::Step;
use crate::api::{
    ActionArgs, ActionExpected, DeletionPolicy, Managed, NameRef, Reason, RunAction, RunFailure, RunOperation,
    RunState, RunType, UserSyncPolicySpec, UserSyncRunSpec,
};
use crate::domain::{EntraObjectId, UserKey};

/// A run has at most so many actions; the rest waits for the next one.
pub const MAX_ACTIONS: usize = 2_000;
/// A run keeps at most so many failures.
pub const MAX_FAILURES: usize = 100;

/// Why a user waits before entering a new run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held<'a> {
    /// Reason and message of the failure; `None`: the run ended before the user's turn, or too many failed to note them all.
    pub failure: Option<(Reason, &'a str)>,
    /// When the run ended.
    pub since: Timestamp,
}

/// How an action of an open run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Accepted: the pair is in the connector, or the connector said so a moment ago.
    Done,
    /// No longer called for.
    Skip(String),
    /// To be sent.
    Todo(Step),
    /// Refused in this run.
    Failed,
    /// Nothing is concluded about the user in this reading.
    Hold,
}

/// The runs of a type from old to new.
pub(super) fn by_age(runs: &[KnownRun], kind: RunType) -> Vec<&KnownRun> {
    let mut sorted: Vec<&KnownRun> = runs.iter().filter(|run| run.spec.run_type == kind).collect();
    sorted.sort_by(|left, right| (left.spec.created_at.0, &left.name).cmp(&(right.spec.created_at.0, &right.name)));
    sorted
}

/// Whether the run is not at its end. A lost status opens it again: its done actions are found done.
#[must_use]
pub fn is_open(run: &KnownRun) -> bool {
    match run.status.state {
        None | Some(RunState::AwaitingApproval | RunState::Running) => true,
        Some(
            RunState::Applied | RunState::PartiallyApplied | RunState::Failed | RunState::Denied | RunState::Superseded,
        ) => false,
    }
}

/// Whether so much of the run failed that the rest of it was not tried.
pub(super) fn was_stopped(run: &KnownRun, max_failure_percent: u32) -> bool {
    let outcome = run.status.outcome.unwrap_or_default();
    let tally = Tally { applied: outcome.applied, failed: outcome.failed, ..Tally::default() };
    run.status.state == Some(RunState::Failed) && tally.is_over_limit(max_failure_percent)
}

/// When an import must have begun so that the connector knows every user of the open run; `None`: no run is open.
///
/// The account's plan asks for it too, also while a policy cannot be planned.
#[must_use]
pub fn needs_import_after(runs: &[KnownRun], users: &[KnownUser]) -> Option<Timestamp> {
    let sorted = by_age(runs, RunType::Connect);
    let open = sorted.iter().find(|run| is_open(run))?;
    if is_giving_back(open) {
        return None;
    }
    let members: HashSet<&str> = open.spec.actions.iter().map(|action| action.user.as_str()).collect();
    let seen = users.iter().filter(|user| members.contains(user.spec.goto_user_key.as_str()));
    let newest = seen.map(|user| user.spec.first_seen.0).max().unwrap_or(open.spec.created_at.0);
    Some(sorted.iter().filter_map(|run| not_imported(run, &members)).fold(newest, Timestamp::max))
}

/// Since when the run replaces users, if it began and is not at its end.
#[must_use]
pub fn replaces_since(run: &KnownRun) -> Option<Timestamp> {
    let replaces = is_open(run) && run.spec.actions.iter().any(|action| action.op == RunOperation::Replace);
    run.status.started_at.as_ref().filter(|_| replaces).map(|time| time.0)
}

/// Whether the run does nothing but give calls back.
pub(super) fn is_giving_back(run: &KnownRun) -> bool {
    run.spec.actions.iter().all(|action| action.op == RunOperation::Enable)
}

/// When a run ended in which the connector did not know one of the users: another import is needed.
fn not_imported(run: &KnownRun, members: &HashSet<&str>) -> Option<Timestamp> {
    let unknown =
        |it: &RunFailure| it.reason == Reason::TeamsUserNotImported.as_str() && members.contains(it.user.as_str());
    run.status.failures.iter().any(unknown).then_some(run.status.finished_at.as_ref()?.0)
}

/// Users whose newest finished run did not end well for them.
pub(super) fn held<'a>(sorted: &[&'a KnownRun]) -> HashMap<&'a str, Held<'a>> {
    let mut held = HashMap::new();
    for run in sorted.iter().filter(|run| !is_open(run)) {
        let status = &run.status;
        let since = status.finished_at.as_ref().map_or(run.spec.created_at.0, |time| time.0);
        let failed = status.outcome.map_or(0, |outcome| outcome.failed) as usize;
        let unnoted = status.state == Some(RunState::Failed) || failed > status.failures.len();
        for action in &run.spec.actions {
            if unnoted {
                held.insert(action.user.as_str(), Held { failure: None, since });
            } else {
                held.remove(action.user.as_str());
            }
        }
        held.extend(refused(run).into_iter().map(|(user, failure)| (user, Held { failure: Some(failure), since })));
    }
    held
}

/// What the connector refused in the run, by user.
pub(super) fn refused(run: &KnownRun) -> HashMap<&str, (Reason, &str)> {
    let reason = |failure: &RunFailure| Reason::parse(&failure.reason).unwrap_or(Reason::Rejected);
    let failures = run.status.failures.iter();
    failures.map(|failure| (failure.user.as_str(), (reason(failure), failure.message.as_str()))).collect()
}

/// The spec and the name of a new run for these users; `None` without any.
pub(super) fn new_run(records: &Records<'_>, admitted: &[&Subject<'_>]) -> Option<(String, UserSyncRunSpec)> {
    let actions = admitted.iter().take(MAX_ACTIONS).filter_map(|user| action(user)).collect();
    frozen(records, RunType::Connect, actions)
}

/// The spec and the name of a run with these actions; `None` without any.
pub(super) fn frozen(
    records: &Records<'_>,
    run_type: RunType,
    mut actions: Vec<RunAction>,
) -> Option<(String, UserSyncRunSpec)> {
    if actions.is_empty() {
        return None;
    }
    actions.sort_unstable_by(|left, right| left.user.cmp(&right.user));
    let plan_hash = plan_hash(&actions);
    let observed = records.observed;
    let spec = UserSyncRunSpec {
        policy_ref: NameRef { name: observed.name.to_owned() },
        run_type,
        created_at: Time(records.now),
        policy_hash: goal_hash(observed),
        actions,
        plan_hash,
        decision: None,
        decided_by: None,
    };
    Some((name(observed, &spec.plan_hash), spec))
}

fn action(subject: &Subject<'_>) -> Option<RunAction> {
    if subject.restore {
        let pair = subject.pair?;
        let expected = ActionExpected {
            in_connector: true,
            enabled: Some(false),
            teams_user_id: Some(pair.teams_user.to_string()),
            phone_number: None,
        };
        let (user, args) = (subject.key.to_string(), ActionArgs::default());
        return Some(RunAction { user, op: RunOperation::Enable, args, expected });
    }
    let args = ActionArgs {
        teams_user_id: Some(subject.teams?.id.to_string()),
        phone_number: Some(subject.number.ok()?.as_str().to_owned()),
        new_user: None,
    };
    let expected = ActionExpected { in_connector: subject.pair.is_some(), ..ActionExpected::default() };
    Some(RunAction { user: subject.key.to_string(), op: RunOperation::Put, args, expected })
}

/// `sha256:` and the hash over the actions in canonical JSON: fields in the order of the type, no white space.
#[must_use]
pub fn plan_hash(actions: &[RunAction]) -> String {
    hash(&actions)
}

/// The same over the spec of a policy; whether it is suspended is no part of it, nor what is to become of it.
#[must_use]
pub fn policy_hash(spec: &UserSyncPolicySpec) -> String {
    hash(&counted(spec))
}

/// What a run is planned for: the spec, and whether the policy is being deleted. An approval of the one says nothing of the other.
pub(super) fn goal_hash(observed: &ObservedPolicy<'_>) -> String {
    if observed.deleting { hash(&("deleting", counted(observed.spec))) } else { policy_hash(observed.spec) }
}

fn counted(spec: &UserSyncPolicySpec) -> UserSyncPolicySpec {
    UserSyncPolicySpec { suspend: false, deletion_policy: DeletionPolicy::default(), ..spec.clone() }
}

fn hash(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_vec(value).unwrap_or_default();
    format!("sha256:{}", hex::encode(Sha256::digest(json)))
}

/// `<policy>-<first 8 of the hash>-<attempt>`: one more than any attempt that is known, or that a user's object still names.
fn name(observed: &ObservedPolicy<'_>, plan_hash: &str) -> String {
    let short: String = plan_hash.trim_start_matches("sha256:").chars().take(8).collect();
    let stem = format!("{}-{short}-", observed.name);
    let of_user = |user: &KnownUser| {
        let changed = user.status.last_change.as_ref().map(|change| change.run.clone());
        [changed, user.spec.leaving.clone()]
    };
    let by_users = observed.users.iter().flat_map(of_user).flatten();
    let names = observed.runs.iter().map(|run| run.name.clone()).chain(by_users);
    let attempts = names.filter_map(|name| name.strip_prefix(&stem)?.parse::<u32>().ok());
    format!("{stem}{}", attempts.max().unwrap_or(0).saturating_add(1))
}

/// How every action of the open run stands, in the order of the run.
pub(super) fn verdicts(
    records: &Records<'_>,
    run: &KnownRun,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
) -> Vec<(UserKey, Verdict)> {
    let judge = |action: &RunAction| {
        let key: UserKey = action.user.parse().ok()?;
        let verdict = match subjects.get(&key) {
            None => Verdict::Skip("the user is no longer there".to_owned()),
            Some(subject) if is_done(records, run, action, subject) => Verdict::Done,
            Some(_) if !matches!(action.op, RunOperation::Put | RunOperation::Enable) => {
                Verdict::Skip("not for such a run".to_owned())
            }
            Some(_) if records.refused(&key).is_some() => Verdict::Failed,
            Some(subject) if !records.noted_all() && subject.refusal().is_some() => Verdict::Failed,
            Some(subject) => called_for(records, action, subject),
        };
        Some((key, verdict))
    };
    run.spec.actions.iter().filter_map(judge).collect()
}

fn is_done(records: &Records<'_>, run: &KnownRun, action: &RunAction, subject: &Subject<'_>) -> bool {
    let same = |id: EntraObjectId| action.args.teams_user_id.as_deref() == Some(id.to_string().as_str());
    let paired = subject.pair.is_some_and(|pair| {
        let ours = records.is_ours(pair) || subject.managed == Managed::Adopted;
        pair.licensed && same(pair.teams_user) && ours
    });
    let accepted = subject.last_change().is_some_and(|change| change.run == run.name);
    if action.op == RunOperation::Enable {
        return subject.pair.is_some_and(|pair| pair.enabled);
    }
    action.op == RunOperation::Put && (paired || (subject.pair.is_none() && accepted))
}

/// Whether the reading calls for the action with exactly its values.
fn called_for(records: &Records<'_>, action: &RunAction, subject: &Subject<'_>) -> Verdict {
    match &subject.finding {
        Finding::Keep => return Verdict::Hold,
        _ if action.op == RunOperation::Enable => return restored(records, subject),
        Finding::Admitted { .. } => {}
        Finding::Stopped { reason, .. } => return Verdict::Skip(format!("no longer called for: {reason}")),
        Finding::Wanted { .. }
        | Finding::Gone
        | Finding::Retained(_)
        | Finding::Leaving
        | Finding::Replacing
        | Finding::Removed
        | Finding::Unlisted
        | Finding::Present(_) => {
            return Verdict::Skip("no longer called for".to_owned());
        }
    }
    let (Some(teams), Ok(number)) = (subject.teams, subject.number) else {
        return Verdict::Skip("no longer called for".to_owned());
    };
    if action.args.teams_user_id.as_deref() != Some(teams.id.to_string().as_str()) {
        return Verdict::Skip("another Microsoft user is matched".to_owned());
    }
    if action.args.phone_number.as_deref() != Some(number.as_str()) {
        return Verdict::Skip("another telephone number is routed to the user".to_owned());
    }
    if action.expected.in_connector != subject.pair.is_some() {
        return Verdict::Skip("the user's place in the connector changed".to_owned());
    }
    Verdict::Todo(Step::put(&subject.key, teams.id, number, records.observed.external_id))
}

/// Whether the calls are still to be given back.
fn restored(records: &Records<'_>, subject: &Subject<'_>) -> Verdict {
    let Some(pair) = subject.pair.filter(|_| subject.restore) else {
        return Verdict::Skip("no longer called for".to_owned());
    };
    Verdict::Todo(Step::giving(RunOperation::Enable, &subject.key, pair.teams_user, records.observed.external_id))
}

//! Conditions and pending actions of a policy whose reading is complete.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::observed::{KnownRun, Problem};
use super::records::Records;
use super::rows::Rows;
use super::runs;
use super::snapshot::{JobState, PushAuthorizationState};
use super::subjects::{Finding, Subject};
use super::user_plan::PlannedUser;
use crate::api::conditions::{self, Draft};
use crate::api::reasons::Shown;
use crate::api::{PendingAction, Reason, RunType, UserStage, UserState};
use crate::domain::UserKey;

/// Whether the account that the policy names may be used.
pub(super) const REFERENCES_RESOLVED: &str = "ReferencesResolved";
/// Whether every source was read completely.
pub(super) const SOURCES_COMPLETE: &str = "SourcesComplete";
/// Whether the removal guard holds a run; present only while true.
pub(super) const GUARD_TRIPPED: &str = "GuardTripped";
/// Whether every user that can be connected is connected.
pub(super) const IN_SYNC: &str = "InSync";

/// What is outstanding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own; any may hold together with any other")]
pub(super) struct Outlook {
    /// Somebody was connected before those who wait for a push came: the policy was ready before.
    pub settled: bool,
    /// Somebody is to be added for the first time.
    pub applying: bool,
    /// Somebody is tried again.
    pub retrying: bool,
    /// Too much of the last run failed; its users wait for the next try.
    pub failed: bool,
    /// Somebody waits for a push or a registration.
    pub verifying: bool,
    /// Somebody differs from what was applied.
    pub drifted: bool,
    /// Rows of the manual process are rejected.
    pub misfits: bool,
}

/// What is outstanding about service that is to be taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Removing {
    /// What a human must decide or correct first.
    pub problem: Option<Problem>,
    /// A run goes on.
    pub is_going_on: bool,
    /// Nobody loses service for a while; nobody has to do anything about it.
    pub rests: Option<Problem>,
}

impl Outlook {
    /// What is outstanding for these users.
    pub(super) fn of(
        records: &Records<'_>,
        subjects: &BTreeMap<UserKey, Subject<'_>>,
        users: &[PlannedUser],
        rows: &Rows<'_>,
    ) -> Self {
        let misfits = rows.mapping().is_some_and(|mapping| mapping.rejected > 0);
        let mut outlook = Self { misfits, ..Self::default() };
        for subject in subjects.values() {
            match &subject.finding {
                _ if subject.restore => outlook.retrying = true,
                Finding::Admitted(attempt) if attempt.again => outlook.retrying = true,
                Finding::Admitted(_) => outlook.applying = true,
                _ => {}
            }
        }
        for user in users {
            let is_unlisted = subjects.get(&user.key).is_some_and(|it| it.finding == Finding::Unlisted);
            // Accepted, and newer readings do not show the pair.
            outlook.retrying |= is_unlisted && user.status.stage == Some(UserStage::Apply);
            outlook.add(user);
        }
        outlook.settled = was_settled(records, users);
        let newest = runs::by_age(&records.observed.runs, RunType::Connect).last().copied();
        let stopped = newest.is_some_and(|run| runs::was_stopped(run, records.failure_limit()));
        outlook.failed = stopped && subjects.values().any(|subject| records.failed_before(subject));
        outlook
    }

    fn add(&mut self, user: &PlannedUser) {
        let reason = user.status.reason.as_deref().and_then(Reason::parse);
        match (user.status.state, user.status.stage, reason) {
            (Some(UserState::Pending | UserState::Removing), Some(UserStage::Verify), Some(Reason::AwaitingPush)) => {
                self.verifying = true;
            }
            (Some(UserState::Pending), Some(UserStage::Verify), _)
            | (Some(UserState::Blocked), _, Some(Reason::Disconnected)) => self.drifted = true,
            (Some(UserState::Connected), Some(stage), _) if stage != UserStage::Done => self.drifted = true,
            _ => {}
        }
    }
}

/// Whether somebody was connected before the oldest run whose users still wait for a push was made: the first users of a run
/// who are connected do not make a policy ready whose others are not.
fn was_settled(records: &Records<'_>, users: &[PlannedUser]) -> bool {
    let awaits = |user: &&PlannedUser| {
        user.status.state == Some(UserState::Pending)
            && user.status.reason.as_deref() == Some(Reason::AwaitingPush.as_str())
    };
    let awaited = users.iter().filter(awaits).filter_map(|user| Some(records.newest_run(&user.key)?.spec.created_at.0));
    let oldest = awaited.min().unwrap_or(Timestamp::MAX);
    let connected = users.iter().filter(|user| user.status.state == Some(UserState::Connected));
    let mut since = connected.filter_map(|user| conditions::find(&user.status.conditions, conditions::READY));
    since.any(|ready| ready.last_transition_time.0 < oldest)
}

/// The conditions of a policy, and what humans must do.
pub(super) fn of(records: &Records<'_>, outlook: Outlook, removing: &Removing) -> (Vec<Draft>, Vec<PendingAction>) {
    let stored = records.observed.status.conditions.as_slice();
    let was_ready = conditions::is_true(stored, conditions::READY) || outlook.settled;
    let mut drafts = vec![
        Draft::yes(REFERENCES_RESOLVED, Reason::Succeeded),
        Draft::yes(SOURCES_COMPLETE, Reason::Succeeded),
        in_sync(outlook, removing),
    ];
    let tripped = removing.problem.as_ref().filter(|problem| problem.reason == Reason::RemovalGuardTripped);
    drafts.extend(tripped.map(|it| Draft::yes(GUARD_TRIPPED, it.reason).with_message(it.message.clone())));
    if records.observed.suspended {
        drafts.push(kept(stored, conditions::READY).unwrap_or(Draft::no(conditions::READY, Reason::Suspended)));
        drafts.push(Draft::yes(conditions::SUSPENDED, Reason::Suspended));
        return (drafts, Vec::new());
    }
    let refused = refused(records);
    let gate = records.observed.gate.as_ref().or(refused.as_ref()).filter(|_| outlook.applying || outlook.retrying);
    let waiting = waiting(outlook, gate, removing);
    drafts.push(ready(outlook, waiting.as_ref(), was_ready));
    drafts.extend(waiting.map(|(reason, message)| Draft::yes(conditions::RECONCILING, reason).with_message(message)));
    let human = gate.filter(|gate| gate.reason.info().shown == Shown::Human).cloned();
    let humans: Vec<Problem> =
        human.into_iter().chain(removing.problem.clone()).chain(push_sign_in(records, outlook)).collect();
    let actions: Vec<_> = humans.iter().filter_map(|it| pending(records, it, records.now)).collect();
    if let Some(problem) = humans.into_iter().next() {
        drafts.push(Draft::yes(conditions::ACTION_REQUIRED, problem.reason).with_message(problem.message));
    }
    (drafts, actions)
}

/// What keeps the connector from taking writes, once a person must know: not for a single batch that was lost on its way.
fn refused(records: &Records<'_>) -> Option<Problem> {
    refused_lastingly(records.open?)
}

/// The same of one run.
pub(super) fn refused_lastingly(run: &KnownRun) -> Option<Problem> {
    let refusal = run.status.refusal.as_ref()?;
    let reason = Reason::parse(&refusal.reason)?;
    let lasts = refusal.count > 1 || reason.info().shown == Shown::Human;
    lasts.then(|| Problem { reason, message: reason.message() })
}

fn in_sync(outlook: Outlook, removing: &Removing) -> Draft {
    match outlook {
        Outlook { drifted: true, .. } => Draft::no(IN_SYNC, Reason::Drifted),
        Outlook { applying: true, .. } | Outlook { retrying: true, .. } | Outlook { failed: true, .. } => {
            Draft::no(IN_SYNC, Reason::ChangesPending)
        }
        _ if removing.is_going_on || removing.problem.is_some() => Draft::no(IN_SYNC, Reason::ChangesPending),
        Outlook { verifying: true, .. } => Draft::no(IN_SYNC, Reason::AwaitingPush),
        Outlook { misfits: true, .. } => Draft::no(IN_SYNC, Reason::InvalidMapping),
        _ => Draft::yes(IN_SYNC, Reason::InSync),
    }
}

/// What is waited for, if anything.
fn waiting(outlook: Outlook, gate: Option<&Problem>, removing: &Removing) -> Option<(Reason, String)> {
    let own = |reason: Reason| Some((reason, reason.message()));
    match (outlook, gate) {
        (Outlook { applying: true, .. } | Outlook { retrying: true, .. }, Some(gate)) => {
            Some((Reason::AccountNotReady, gate.message.clone()))
        }
        (Outlook { applying: true, .. }, None) => own(Reason::ChangesPending),
        (Outlook { failed: true, .. }, _) => own(Reason::FailureLimitReached),
        (Outlook { retrying: true, .. }, None) => own(Reason::ChangesPending),
        _ if removing.is_going_on => own(Reason::ChangesPending),
        (Outlook { verifying: true, .. }, _) => own(Reason::AwaitingPush),
        _ if removing.problem.is_some() => {
            removing.problem.as_ref().map(|problem| (problem.reason, problem.message.clone()))
        }
        _ if removing.rests.is_some() => removing.rests.as_ref().map(|rest| (rest.reason, rest.message.clone())),
        _ => None,
    }
}

/// A policy that was ready once stays it while a try is repeated, and while only a push or a registration is waited for.
fn ready(outlook: Outlook, waiting: Option<&(Reason, String)>, was_ready: bool) -> Draft {
    match waiting {
        None => Draft::yes(conditions::READY, Reason::InSync),
        Some((reason, message)) if *reason == Reason::RemovalsResting || (was_ready && !outlook.applying) => {
            Draft::yes(conditions::READY, *reason).with_message(message.clone())
        }
        Some((reason, message)) => Draft::no(conditions::READY, *reason).with_message(message.clone()),
    }
}

/// The push belongs to the account, but its sign-in is what the policy's users wait for.
pub(super) fn push_sign_in(records: &Records<'_>, outlook: Outlook) -> Option<Problem> {
    let reason = Reason::AwaitingPushSignIn;
    let stored = conditions::find(&records.observed.status.conditions, conditions::ACTION_REQUIRED);
    let waited = stored.is_some_and(|condition| condition.reason == reason.as_str());
    let authorization = records.observed.snapshot.and_then(|snapshot| snapshot.push_authorization.known());
    let needed = match authorization.map(|authorization| authorization.state) {
        Some(
            PushAuthorizationState::NotRequested | PushAuthorizationState::Pending | PushAuthorizationState::Expired,
        ) => true,
        Some(PushAuthorizationState::NotRequired | PushAuthorizationState::Granted) => false,
        None => waited,
    };
    let has_changes = records.activity.map_or(waited, |activity| {
        let running = activity.pushes.iter().any(|push| push.state == JobState::Open);
        !running && activity.push_changes_since.is_some()
    });
    (outlook.verifying && needed && has_changes).then(|| Problem { reason, message: reason.message() })
}

/// What a human must do about a problem; `None` when nobody in particular is waited for.
pub(super) fn pending(records: &Records<'_>, problem: &Problem, now: Timestamp) -> Option<PendingAction> {
    let actor = problem.reason.info().actor?;
    let stored = records.observed.status.pending_actions.iter().find(|it| it.id == problem.reason.as_str());
    Some(PendingAction {
        id: problem.reason.as_str().to_owned(),
        actor,
        action: problem.message.clone(),
        link: None,
        since: stored.map_or(Time(now), |it| it.since.clone()),
        expires_at: None,
    })
}

/// A stored condition as a draft: it stays as it is.
pub(super) fn kept(stored: &[Condition], kind: &'static str) -> Option<Draft> {
    let condition = conditions::find(stored, kind)?;
    let status = match condition.status.as_str() {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    };
    let reason = Reason::parse(&condition.reason).unwrap_or(Reason::Progressing);
    Some(Draft { kind, status, reason, message: condition.message.clone() })
}

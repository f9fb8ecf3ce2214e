//! A policy that is being deleted with `deletionPolicy: Delete` (T40): whoever it added is disconnected by a run that waits for a
//! decision, everybody else is released as they stand.
//!
//! **Architecture invariants**
//! - Taken is only a pair that has this policy's id at the connector and is not known as adopted (R8); protected users keep it (R15).
//! - It ends when a complete reading shows that nothing of it is left, or by one of the ways that take nothing from anybody.

use std::collections::BTreeMap;

use super::decision;
use super::disconnect::Disconnect;
use super::judge;
use super::observed::{Next, Problem, ReadingKind};
use super::polling::{self, LISTING_LAG};
use super::protection::Protection;
use super::readiness::{self, IN_SYNC, Outlook, REFERENCES_RESOLVED, SOURCES_COMPLETE};
use super::reading::{Gap, Reading};
use super::records::{self, Records};
use super::runs;
use super::subjects::{Absence, Finding, Subject};
use crate::api::conditions::{self, Draft};
use crate::api::{
    Decision as Decided, DeletionPolicy, Managed, PendingAction, Reason, RunOperation, Shown, TeamsConnectorUserSpec,
    UserCounts, UserStage,
};
use crate::domain::UserKey;

/// How else a deletion ends, for messages.
const WAYS_OUT: &str = "To end the deletion and let everybody keep service, PlatformTeam: set spec.deletionPolicy to Orphan, or the annotation teamsconnector.dev/force-finalize to \"true\".";

/// How a policy that is being deleted comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nothing outside Kubernetes is touched: its objects go, then the finalizer.
    Orphan,
    /// The same, and an event tells why and what was left.
    Left(Reason),
    /// Whoever it added is disconnected first.
    Disconnect,
}

/// What decides how a policy that is being deleted comes to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// A complete plan found that nobody is left.
    pub disconnected: bool,
    /// The annotation `force-finalize`.
    pub forced: bool,
    /// The namespace is being deleted.
    pub terminating: bool,
}

/// How a policy that is being deleted comes to its end.
#[must_use]
pub fn way(policy: DeletionPolicy, circumstances: Circumstances) -> Way {
    match (policy, circumstances) {
        (DeletionPolicy::Orphan, _) | (_, Circumstances { disconnected: true, .. }) => Way::Orphan,
        (_, Circumstances { terminating: true, .. }) => Way::Left(Reason::NamespaceTerminating),
        (_, Circumstances { forced: true, .. }) => Way::Left(Reason::DeletionForced),
        (DeletionPolicy::Delete, _) => Way::Disconnect,
    }
}

/// What is left of the policy's users where its deletion ends early: counts, no addresses. In a namespace that is being deleted the
/// objects may be gone first; then the status alone tells.
#[must_use]
pub fn left<'a>(users: impl IntoIterator<Item = &'a TeamsConnectorUserSpec>, counts: Option<UserCounts>) -> String {
    let (mut added, mut adopted, mut half) = (0, 0, 0);
    for user in users {
        added += u32::from(user.managed == Managed::Added);
        adopted += u32::from(user.managed == Managed::Adopted);
        half += u32::from(user.leaving.is_some());
    }
    let UserCounts { connected, retained, .. } = counts.unwrap_or_default();
    format!(
        "Its user objects tell of {added} users whom it added and {adopted} whom it adopted, {half} of them half removed; its status last showed {connected} connected and {retained} retained."
    )
}

/// Who goes with the policy is no longer called for; nobody new is. Tells of how many users nothing can be said yet.
pub(super) fn withdraw(
    records: &Records<'_>,
    reading: &Reading<'_>,
    subjects: &mut BTreeMap<UserKey, Subject<'_>>,
) -> usize {
    if !records.observed.deleting {
        return 0;
    }
    subjects.values_mut().map(|subject| usize::from(!judge(records, reading, subject))).sum()
}

/// Whether it is known what is left of the user.
fn judge(records: &Records<'_>, reading: &Reading<'_>, subject: &mut Subject<'_>) -> bool {
    let pin = subject.known.and_then(records::pin);
    let is_added = |pair| records.ownership(subject.managed, pin, pair) == Managed::Added;
    let cared_for = subject.managed == Managed::Added || subject.known.is_none();
    if cared_for && subject.pair.is_some_and(is_added) {
        subject.managed = Managed::Added;
        subject.gone = Some(Absence::Policy);
        subject.finding = Finding::Retained(UserStage::Apply);
    } else if subject.pair.is_none() && subject.is_leaving() {
        let freed = judge::is_freed(records, reading, subject);
        subject.finding = if freed { Finding::Removed } else { Finding::Leaving };
    } else if subject.pair.is_none() && may_appear(records, subject) {
        subject.finding = Finding::Keep;
        return false;
    } else if subject.known.is_none() || (subject.pair.is_none() && matches!(subject.finding, Finding::Wanted(_))) {
        subject.finding = Finding::Gone;
    } else if matches!(subject.finding, Finding::Wanted(_)) {
        subject.finding = Finding::Keep;
    }
    true
}

/// Whether a pair that is not listed may still be there: two readings do not agree yet, or it was put a moment ago, perhaps by a
/// process that ended before it could note that.
fn may_appear(records: &Records<'_>, subject: &Subject<'_>) -> bool {
    let known_as_added = subject.known.is_none_or(|known| known.spec.managed == Managed::Added);
    let unsure = subject.known.is_some() && matches!(subject.finding, Finding::Keep | Finding::Unlisted);
    known_as_added && (unsure || was_just_put(records, subject))
}

fn was_just_put(records: &Records<'_>, subject: &Subject<'_>) -> bool {
    let Some(run) = records.newest_run(&subject.key) else { return false };
    let is_put = run.spec.actions.iter().any(|it| it.user == subject.key.as_str() && it.op == RunOperation::Put);
    let ended = run.status.finished_at.as_ref();
    is_put && ended.is_none_or(|at| records.now.duration_since(at.0) < LISTING_LAG)
}

/// Whether somebody denied the newest run of this deletion and nobody asked for another.
pub(super) fn is_denied(records: &Records<'_>) -> bool {
    let goal = runs::goal_hash(records.observed);
    let newest = records.disconnects.iter().rev().find(|run| run.spec.policy_hash == goal);
    newest.is_some_and(|run| run.spec.decision == Some(Decided::Deny)) && !records.requested
}

/// Whether a request for another run is still open.
pub(super) fn awaits_run(records: &Records<'_>, disconnect: &Disconnect) -> bool {
    let goal = || runs::goal_hash(records.observed);
    let newest = records.disconnects.last().filter(|run| run.spec.decision == Some(Decided::Deny));
    records.observed.deleting
        && !disconnect.decision.has_run()
        && newest.is_some_and(|run| run.spec.policy_hash == goal())
}

/// Whether nothing of the policy is left outside Kubernetes that it would have to take away.
pub(super) fn is_over(records: &Records<'_>, reading: &Reading<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> bool {
    let is_left = |it: &Subject<'_>| {
        let goes = it.gone == Some(Absence::Policy) && it.protected_by.is_none();
        goes || it.restore || it.finding == Finding::Leaving
    };
    // From the list of a connector that may be another one nothing is concluded (R16).
    let strange = records.observed.gate.as_ref().is_some_and(|gate| gate.reason == Reason::ConnectorStrange);
    records.observed.deleting
        && !strange
        && !decision::is_older_reading(records, reading)
        && !subjects.values().any(is_left)
}

/// When to look again at users of whom nothing can be said yet.
pub(super) fn next(records: &Records<'_>, awaited: usize) -> Next {
    let soon = Next::At(polling::retry_after(records.now, 1), ReadingKind::Full);
    if awaited > 0 { soon } else { Next::Interval }
}

/// Conditions and pending actions while the reading is complete.
pub(super) fn conditions(
    records: &Records<'_>,
    outlook: Outlook,
    disconnect: &Disconnect,
    protection: &Protection,
) -> (Vec<Draft>, Vec<PendingAction>) {
    let mut drafts = vec![
        Draft::yes(REFERENCES_RESOLVED, Reason::Succeeded),
        Draft::yes(SOURCES_COMPLETE, Reason::Succeeded),
        Draft::no(IN_SYNC, Reason::Deleting),
    ];
    let own = |reason: Reason| Problem { reason, message: reason.message() };
    let decides = disconnect.decision.wait().is_some_and(|wait| wait.decision().is_some());
    let to_go = !disconnect.roles.is_empty();
    let unknown = || (to_go && protection.unknown > 0).then(|| own(Reason::ProtectedUserNotFound));
    let denied = || (to_go && is_denied(records)).then(|| own(Reason::DeletionDenied));
    let approval = || decides.then(|| own(Reason::DeletionAwaitingApproval));
    let gate = records.observed.gate.clone();
    let refused = || records.disconnect.and_then(readiness::refused_lastingly);
    let sign_in = || readiness::push_sign_in(records, outlook);
    let problem = gate.or_else(unknown).or_else(approval).or_else(refused).or_else(denied).or_else(sign_in);
    let pending = show(records, &mut drafts, problem);
    (drafts, pending)
}

/// What keeps a deletion from going on while nothing may be concluded.
pub(super) fn obstacle(records: &Records<'_>, gaps: Option<&[Gap]>) -> Option<Problem> {
    let gate = records.observed.gate.clone().filter(|gate| is_human(gate.reason));
    let gaps = || gaps.unwrap_or_default().iter().filter(|gap| gap.reason != Reason::Progressing);
    let gap = || {
        let first = gaps().find(|gap| is_human(gap.reason)).or_else(|| gaps().next())?;
        Some(Problem { reason: first.reason, message: first.reason.message() })
    };
    gate.or_else(gap)
}

fn is_human(reason: Reason) -> bool {
    matches!(reason.info().shown, Shown::Human | Shown::Stalled)
}

/// Shows how a deletion stands. It is never Stalled: everything is tried again, and there are ways out.
pub(super) fn show(records: &Records<'_>, drafts: &mut Vec<Draft>, problem: Option<Problem>) -> Vec<PendingAction> {
    if records.observed.suspended {
        let stored = readiness::kept(&records.observed.status.conditions, conditions::READY);
        drafts.push(stored.unwrap_or_else(|| Draft::no(conditions::READY, Reason::Suspended)));
        drafts.push(Draft::yes(conditions::SUSPENDED, Reason::Suspended));
        return Vec::new();
    }
    let Some(problem) = problem else {
        drafts.push(Draft::no(conditions::READY, Reason::Deleting));
        drafts.push(Draft::yes(conditions::RECONCILING, Reason::Deleting));
        return Vec::new();
    };
    let problem = with_ways_out(problem);
    let draft = |make: fn(&'static str, Reason) -> Draft, kind| {
        make(kind, problem.reason).with_message(problem.message.clone())
    };
    drafts.push(draft(Draft::no, conditions::READY));
    drafts.push(draft(Draft::yes, conditions::RECONCILING));
    if !is_human(problem.reason) {
        return Vec::new();
    }
    drafts.push(draft(Draft::yes, conditions::ACTION_REQUIRED));
    readiness::pending(records, &problem, records.now).into_iter().collect()
}

/// The message of what belongs to the deletion alone names them already.
fn with_ways_out(problem: Problem) -> Problem {
    if matches!(problem.reason, Reason::DeletionAwaitingApproval | Reason::DeletionDenied) {
        return problem;
    }
    let message = format!("The policy is being deleted. {} {WAYS_OUT}", problem.message);
    Problem { message, ..problem }
}

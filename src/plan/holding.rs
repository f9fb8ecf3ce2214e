//! The plan of a policy about whose users nothing may be concluded: everything stays as stored, only conditions tell why.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::deleting;
use super::observed::{Next, ObservedPolicy, Problem, ReadingKind};
use super::readiness::{self, IN_SYNC, REFERENCES_RESOLVED, SOURCES_COMPLETE};
use super::reading::{self, Gap};
use super::records::Records;
use super::runs;
use super::user_plan::{PlannedUser, RunPlan, UserPlan, Write};
use crate::api::conditions::{self, Draft};
use crate::api::reasons::Shown;
use crate::api::{PendingAction, Reason};
use crate::domain::OrganizationId;

/// The newest complete reading may be so many intervals old before Ready follows a failure.
const TOLERATED_INTERVALS: i64 = 3;

/// The account may not be used.
pub(super) fn unusable(records: &Records<'_>, problem: &Problem) -> UserPlan {
    let stored = records.observed.status.conditions.as_slice();
    let mut drafts = vec![Draft::no(REFERENCES_RESOLVED, problem.reason).with_message(problem.message.clone())];
    drafts.extend(kept(stored, &[SOURCES_COMPLETE, IN_SYNC]));
    let pending = if records.observed.deleting {
        deleting::show(records, &mut drafts, Some(problem.clone()))
    } else {
        show(records, &mut drafts, problem)
    };
    with(records, drafts, pending, Next::Interval)
}

/// A source is incomplete, or there is no reading yet.
pub(super) fn unread(records: &Records<'_>, pbx: Option<OrganizationId>, gaps: Option<&[Gap]>) -> UserPlan {
    let observed = records.observed;
    let stored = observed.status.conditions.as_slice();
    // What held for another spec says nothing of this one.
    let ready = conditions::find(stored, conditions::READY);
    let current = ready.is_some_and(|ready| ready.observed_generation == Some(observed.generation));
    let known = conditions::is_true(stored, REFERENCES_RESOLVED) && (current || observed.suspended && ready.is_some());
    let mut drafts = vec![Draft::yes(REFERENCES_RESOLVED, Reason::Succeeded)];
    drafts.push(sources(stored, gaps));
    drafts.extend(kept(stored, &[IN_SYNC]));
    if observed.deleting {
        let pending = deleting::show(records, &mut drafts, deleting::obstacle(records, gaps));
        return with(records, drafts, pending, retry(gaps.unwrap_or_default(), records.now));
    }
    let stale = gaps.and_then(|gaps| gaps.first()).filter(|_| is_stale(records, pbx, stored));
    let pending = match stale {
        Some(gap) => {
            let message = gap.reason.message();
            show_stale(records, &mut drafts, &Problem { reason: gap.reason, message })
        }
        None if known => {
            drafts.extend(kept(stored, lasting(observed.suspended)));
            drafts.extend(suspended(observed));
            observed.status.pending_actions.clone()
        }
        None => {
            drafts.push(Draft::unknown(conditions::READY, Reason::Progressing));
            let reconciling = Draft::yes(conditions::RECONCILING, Reason::Progressing);
            drafts.push(suspended(observed).unwrap_or(reconciling));
            Vec::new()
        }
    };
    with(records, drafts, pending, retry(gaps.unwrap_or_default(), records.now))
}

/// Conditions that stay while nothing is concluded.
fn lasting(suspended: bool) -> &'static [&'static str] {
    if suspended {
        &[conditions::READY]
    } else {
        &[conditions::READY, conditions::RECONCILING, conditions::STALLED, conditions::ACTION_REQUIRED]
    }
}

fn suspended(observed: &ObservedPolicy<'_>) -> Option<Draft> {
    observed.suspended.then(|| Draft::yes(conditions::SUSPENDED, Reason::Suspended))
}

/// Only this changes while a source is incomplete. Without any reading yet it stays as stored.
fn sources(stored: &[Condition], gaps: Option<&[Gap]>) -> Draft {
    let Some(gaps) = gaps else {
        let first = || Draft::unknown(SOURCES_COMPLETE, Reason::Progressing);
        return readiness::kept(stored, SOURCES_COMPLETE).unwrap_or_else(first);
    };
    let causes: Vec<String> = gaps.iter().map(|gap| format!("{}: {}", gap.source, gap.cause)).collect();
    let message = format!("{} {}", Reason::SourceIncomplete.message(), causes.join("; "));
    Draft::no(SOURCES_COMPLETE, Reason::SourceIncomplete).with_message(message)
}

/// Whether the newest complete reading is older than three intervals; after a restart, whether the sources have been incomplete
/// for so long.
fn is_stale(records: &Records<'_>, pbx: Option<OrganizationId>, stored: &[Condition]) -> bool {
    let newest = records.observed.snapshot.zip(pbx).and_then(|(it, pbx)| reading::oldest_complete(it, pbx));
    let incomplete = || conditions::find(stored, SOURCES_COMPLETE).filter(|condition| condition.status == "False");
    let since = newest.or_else(|| incomplete().map(|condition| condition.last_transition_time.0));
    let tolerated = records.observed.interval_seconds.saturating_mul(TOLERATED_INTERVALS);
    since.is_some_and(|since| records.now.duration_since(since) > SignedDuration::from_secs(tolerated))
}

/// Shows a problem in Ready and the conditions that are present only while true.
fn show(records: &Records<'_>, drafts: &mut Vec<Draft>, problem: &Problem) -> Vec<PendingAction> {
    let draft = |make: fn(&'static str, Reason) -> Draft, kind| {
        make(kind, problem.reason).with_message(problem.message.clone())
    };
    let stored = records.observed.status.conditions.as_slice();
    let shown = problem.reason.info().shown;
    let as_it_was = readiness::kept(stored, conditions::READY).filter(|_| shown == Shown::Retry);
    if records.observed.suspended {
        let ready = readiness::kept(stored, conditions::READY).unwrap_or_else(|| draft(Draft::no, conditions::READY));
        drafts.push(ready);
        drafts.extend(suspended(records.observed));
        return Vec::new();
    }
    drafts.push(as_it_was.unwrap_or_else(|| draft(Draft::no, conditions::READY)));
    match shown {
        Shown::Stalled => drafts.push(draft(Draft::yes, conditions::STALLED)),
        Shown::Human => {
            drafts.push(draft(Draft::yes, conditions::RECONCILING));
            drafts.push(draft(Draft::yes, conditions::ACTION_REQUIRED));
            return readiness::pending(records, problem, records.now).into_iter().collect();
        }
        Shown::Waiting | Shown::Retry => drafts.push(draft(Draft::yes, conditions::RECONCILING)),
        Shown::Ready | Shown::Advice => {}
    }
    Vec::new()
}

/// The reading has been incomplete for so long that Ready follows, whatever the reason.
fn show_stale(records: &Records<'_>, drafts: &mut Vec<Draft>, problem: &Problem) -> Vec<PendingAction> {
    let before = drafts.len();
    let pending = show(records, drafts, problem);
    if !records.observed.suspended {
        drafts.retain(|draft| draft.kind != conditions::READY);
        let ready = Draft::no(conditions::READY, problem.reason).with_message(problem.message.clone());
        drafts.insert(before.min(drafts.len()), ready);
    }
    pending
}

fn kept(stored: &[Condition], kinds: &[&'static str]) -> Vec<Draft> {
    kinds.iter().filter_map(|kind| readiness::kept(stored, kind)).collect()
}

/// The observer reads again on its own; a time that a vendor named is worth waking for.
fn retry(gaps: &[Gap], now: Timestamp) -> Next {
    let named = gaps.iter().filter_map(|gap| gap.retry_at).filter(|at| *at > now).min();
    named.map_or(Next::Interval, |at| Next::At(at, ReadingKind::Full))
}

fn with(records: &Records<'_>, drafts: Vec<Draft>, pending_actions: Vec<PendingAction>, next: Next) -> UserPlan {
    let observed = records.observed;
    let stored = |(key, known): (&crate::domain::UserKey, &&super::observed::KnownUser)| PlannedUser {
        key: key.clone(),
        spec: known.spec.clone(),
        status: known.status.clone(),
        write: Write::Nothing,
    };
    UserPlan {
        policy: observed.name.to_owned(),
        users: records.users.iter().map(stored).collect(),
        obsolete: Vec::new(),
        adopted: None,
        is_over: false,
        run: RunPlan::None,
        disconnect: RunPlan::None,
        witness: None,
        warning: None,
        obsolete_runs: Vec::new(),
        batch_size: 1,
        counters: observed.status.counters,
        counts: observed.status.users,
        blocked: observed.status.blocked_reasons.clone(),
        mapping: observed.status.mapping.clone(),
        removals: observed.status.removals,
        runs: observed.status.runs.clone(),
        needs_import_after: runs::needs_import_after(&observed.runs, &observed.users),
        conditions: drafts,
        pending_actions,
        failure: observed.status.failure.clone(),
        handled_request: observed.status.last_handled_reconcile_at.clone(),
        next,
    }
}

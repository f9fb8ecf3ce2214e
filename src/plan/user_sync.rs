//! The plan of a policy: who is to be connected, from one complete reading, the policy's own objects and the time.
//!
//! **Architecture invariants**
//! - Nobody loses service but through a stored Disconnect run, whose candidates two complete readings agree on.
//! - From an incomplete reading nothing is concluded.
//! - Planning after carrying a plan out gives an empty plan.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::counters;
use super::decision::{self, Decision};
use super::deleting;
use super::disconnect::{self, Disconnect, Role};
use super::holding;
use super::judge;
use super::licenses;
use super::observed::{Next, ObservedPolicy, Problem, ReadingKind};
use super::polling;
use super::protection::{self, Protection};
use super::readiness::{self, Outlook, Removing};
use super::reading::{Presence, Reading};
use super::records::Records;
use super::replace;
use super::rest;
use super::retention;
use super::rows::Rows;
use super::run_status::Tally;
use super::schedule;
use super::standing;
use super::subjects::{Finding, Subject};
use super::user_plan::{PlannedUser, UserPlan};
use crate::api::conditions::Draft;
use crate::api::{Failure, Managed, PendingAction, Reason, RunSummary, RunType};
use crate::domain::{OrganizationId, UserKey};

/// The plan of a policy.
#[must_use]
pub fn user_sync(observed: &ObservedPolicy<'_>, now: Timestamp) -> UserPlan {
    let mut records = Records::new(observed, now);
    // Whose pairs are whose is told by their ids at the connector, so a second policy for the PBX can leave like any other.
    let conflict = |problem: &&Problem| observed.deleting && problem.reason == Reason::ConflictingPolicy;
    if let Some(problem) = observed.reference.as_ref().filter(|it| !conflict(it)) {
        return holding::unusable(&records, problem);
    }
    let pbx: Option<OrganizationId> = observed.spec.pbx.organization_id.parse().ok();
    let attribute = observed.spec.matching.automatic.as_ref().map(|automatic| automatic.teams_attribute);
    let (Some(snapshot), Some(pbx)) = (observed.snapshot, pbx) else {
        return holding::unread(&records, pbx, None);
    };
    match Reading::complete(snapshot, pbx, attribute) {
        Err(gaps) => holding::unread(&records, Some(pbx), Some(&gaps)),
        Ok(reading) => {
            let earlier = observed.previous.filter(|previous| previous.round < snapshot.round);
            let previous = earlier.and_then(|previous| Presence::of(previous, pbx));
            if reading.pairs.values().any(|pair| records.is_ours(pair)) {
                records.adoption.is_known_at_the_connector();
            }
            plan(&records, &reading, previous.as_ref())
        }
    }
}

fn plan<'a>(records: &Records<'a>, reading: &Reading<'a>, previous: Option<&Presence<'a>>) -> UserPlan {
    let rows = Rows::resolve(records, &reading.presence);
    let mut subjects = judge::judge_all(records, reading, previous, &rows);
    let awaited = deleting::withdraw(records, reading, &mut subjects);
    let protection = protection::resolve(records, reading, &subjects);
    for subject in subjects.values_mut() {
        subject.protected_by = protection.of(&subject.key).map(str::to_owned);
    }
    let is_older_reading = decision::is_older_reading(records, reading);
    replace::mark(records, reading, previous, &mut subjects);
    let rests = rest::until(records, reading);
    let licenses = licenses::free(reading, &subjects);
    let disconnect = disconnect::plan(records, &subjects, &protection, is_older_reading, rests, licenses);
    for subject in subjects.values_mut() {
        subject.restore = disconnect::restores(records, subject, &disconnect);
    }
    let admitted =
        if records.observed.deleting { Vec::new() } else { licenses::admit(records, reading, &mut subjects) };
    let decision = decision::decide(records, reading, &subjects, &admitted);
    for subject in subjects.values_mut() {
        subject.managed = managed(subject, decision.has_run(), disconnect.roles.get(&subject.key).copied());
    }
    let users: Vec<_> = subjects
        .values()
        .filter_map(|it| standing::plan(records, reading, it, disconnect.roles.get(&it.key).copied()))
        .collect();
    let gone = subjects.values().filter(|it| it.finding == Finding::Gone && it.known.is_some());
    let counters = counters::counters(reading, &users, disconnect.to_remove);
    let (conditions, pending_actions) = shown(records, &subjects, &users, &rows, &disconnect, &protection);
    let is_idle = matches!((&decision, &disconnect.decision), (Decision::None, Decision::None));
    UserPlan {
        policy: records.observed.name.to_owned(),
        obsolete: gone.map(|subject| subject.key.clone()).collect(),
        adopted: records.adoption.mark.filter(|_| !records.observed.deleting),
        is_over: awaited == 0 && is_idle && deleting::is_over(records, reading, &subjects),
        counts: Some(counters::counts(reading, &users)),
        blocked: counters::blocked(&users),
        mapping: rows.mapping(),
        removals: Some(disconnect.removals),
        runs: open_runs(records, &decision, &disconnect.decision),
        witness: disconnect::witness(&subjects),
        warning: disconnect.warning,
        obsolete_runs: retention::obsolete(records, &subjects),
        batch_size: records.observed.spec.rollout.batch_size as usize,
        needs_import_after: decision.needs_import_after(records, &subjects),
        next: schedule::next(
            records,
            &subjects,
            &users,
            of_runs(records, &decision, &disconnect, is_older_reading, deleting::next(records, awaited)),
        ),
        failure: failure(records, &decision, &subjects),
        handled_request: handled_request(records, &subjects, &decision, &disconnect),
        users,
        run: decision.finish(records, counters),
        disconnect: disconnect.decision.finish(records, counters),
        counters: Some(counters),
        conditions,
        pending_actions,
    }
}

/// Conditions, and what humans must do.
fn shown(
    records: &Records<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
    users: &[PlannedUser],
    rows: &Rows<'_>,
    disconnect: &Disconnect,
    protection: &Protection,
) -> (Vec<Draft>, Vec<PendingAction>) {
    let outlook = Outlook::of(records, subjects, users, rows);
    if records.observed.deleting {
        return deleting::conditions(records, outlook, disconnect, protection);
    }
    readiness::of(records, outlook, &removal_problem(disconnect, protection))
}

/// When the runs need another look, or earlier.
fn of_runs(
    records: &Records<'_>,
    connect: &Decision,
    disconnect: &Disconnect,
    is_older_reading: bool,
    other: Next,
) -> Next {
    let rested = disconnect.rests.map_or(Next::Interval, |at| Next::At(at, ReadingKind::Full));
    let runs = [connect, &disconnect.decision].map(|decision| decision.next(records, is_older_reading));
    runs.into_iter().chain([rested, other]).fold(Next::Interval, schedule::earlier)
}

/// What keeps service from being taken away, as humans must know it.
fn removal_problem(disconnect: &Disconnect, protection: &Protection) -> Removing {
    let wait = disconnect.decision.wait();
    let decide = wait.and_then(|wait| Some((wait.decision()?, wait)));
    let problem = match decide {
        Some((reason, wait)) => Some(Problem { reason, message: format!("{} It waits for {wait}.", reason.message()) }),
        None if protection.unknown > 0 => {
            let reason = Reason::ProtectedUserNotFound;
            Some(Problem { reason, message: format!("{} Entries: {}.", reason.message(), protection.unknown) })
        }
        None => None,
    };
    let is_going_on = disconnect.decision.has_run() && problem.is_none();
    let rests = disconnect.rests.map(|until| {
        let reason = Reason::RemovalsResting;
        Problem { reason, message: format!("{} It ends at {until}.", reason.message()) }
    });
    Removing { problem, is_going_on, rests }
}

/// The open runs, at most ten.
fn open_runs(records: &Records<'_>, connect: &Decision, disconnect: &Decision) -> Vec<RunSummary> {
    let mut runs = connect.open_runs(records, RunType::Connect);
    runs.extend(disconnect.open_runs(records, RunType::Disconnect));
    runs.truncate(10);
    runs
}

/// The mark is written with the run and before the connector is asked. It is taken back when the run ended without the user
/// and nothing is in the connector.
fn managed(subject: &Subject<'_>, has_run: bool, role: Option<Role>) -> Managed {
    if subject.pair.is_some_and(|pair| pair.licensed) {
        return subject.managed;
    }
    match &subject.finding {
        Finding::Admitted(_) if subject.managed == Managed::None && has_run => Managed::Added,
        Finding::Replacing if role == Some(Role::Executing) => Managed::Added,
        Finding::Keep
        | Finding::Admitted(_)
        | Finding::Unlisted
        | Finding::Retained(_)
        | Finding::Leaving
        | Finding::Stopped { reason: Reason::Disconnected, .. } => subject.managed,
        Finding::Gone
        | Finding::Removed
        | Finding::Replacing
        | Finding::Stopped { .. }
        | Finding::Wanted(_)
        | Finding::Present(_) => Managed::None,
    }
}

fn failure(records: &Records<'_>, decision: &Decision, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Option<Failure> {
    let stored = records.observed.status.failure.as_ref();
    match decision {
        Decision::Close(_, _, Tally { failed: 1.., .. }, _) => Some(polling::failed_again(stored, records.now)),
        _ if subjects.values().any(|subject| records.failed_before(subject)) => stored.cloned(),
        _ => None,
    }
}

/// A request is handled once nobody whom it brings back waits for a run any more.
fn handled_request(
    records: &Records<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
    decision: &Decision,
    disconnect: &Disconnect,
) -> Option<String> {
    let created = |key: &UserKey| decision.created().iter().any(|action| action.user == key.as_str());
    let released = |it: &&Subject<'_>| matches!(it.finding, Finding::Admitted(attempt) if attempt.released);
    let in_run = |key: &UserKey| records.action(key).is_some() || created(key);
    let unserved = subjects.values().filter(released).any(|subject| !in_run(&subject.key))
        || deleting::awaits_run(records, disconnect);
    let observed = records.observed;
    let stored = observed.status.last_handled_reconcile_at.as_deref();
    let handled = if unserved { stored } else { observed.requested_at.or(stored) };
    handled.map(str::to_owned)
}

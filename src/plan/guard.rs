//! The removal guard: how many may lose service within a window without somebody's approval (R1, R2).
//!
//! **Architecture invariant:** what is counted comes from the specs of runs and users and from complete readings. A status may
//! only say that a run never began, or that somebody lost service by a run that was deleted; where it is lost, everything counts as
//! done, also of a run that never began: too many that wait for an approval are better than one too many who lost service (R10).

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::jiff::Timestamp;

use super::observed::{KnownRun, KnownUser};
use super::records::Records;
use super::runs;
use super::subjects::Subject;
use crate::api::{Decision, Guard, Managed, RunAction, RunOperation, RunType};
use crate::domain::UserKey;

/// What the guard counts, the judged run aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Users who lost service within the window through runs that nobody approved.
    pub in_window: usize,
    /// So many may.
    pub allowed: usize,
    /// Users in the policy's care whose calls are allowed now.
    pub enabled: usize,
}

impl Count {
    /// Whether so many more are too many. `taken`: how many of them can call now; the last one is always too many.
    pub(super) fn is_exceeded_by(self, planned: usize, taken: usize) -> bool {
        planned > 0 && (self.in_window + planned > self.allowed || (taken > 0 && taken >= self.enabled))
    }
}

/// `min(maxCount, max(alwaysAllow, floor(maxPercent × managed)))`.
pub(super) fn allowed(guard: &Guard, managed: usize) -> usize {
    let share = managed.saturating_mul(guard.max_percent as usize) / 100;
    share.max(guard.always_allow as usize).min(guard.max_count as usize)
}

/// What is counted while `judged` is decided about.
pub(super) fn count(
    records: &Records<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
    judged: Option<&KnownRun>,
) -> Count {
    let guard = &records.observed.spec.removal.guard;
    let can_call =
        |subject: &Subject<'_>| subject.managed != Managed::None && subject.pair.is_some_and(|pair| pair.enabled);
    let enabled: HashSet<&str> = subjects.values().filter(|it| can_call(it)).map(|it| it.key.as_str()).collect();
    let others = records.disconnects.iter().filter(|run| judged.is_none_or(|judged| judged.name != run.name));
    let within: Vec<_> = others.filter(|run| is_within(run, guard, records.now)).collect();
    let unknown = without_run(records);
    let in_runs: usize = within.iter().filter(|run| !was_approved(run)).map(|run| done(run)).sum();
    let in_window = in_runs + unknown.len();
    let of_runs = within.iter().filter(|run| done(run) > 0).map(|run| **run).chain(judged);
    let in_runs = of_runs.flat_map(|run| run.spec.actions.iter().map(|action| person(action, &enabled)));
    let touched: HashSet<&str> = in_runs.chain(unknown).collect();
    let lost = touched.difference(&enabled).count();
    let allowed = allowed(guard, enabled.len() + lost);
    Count { in_window, allowed, enabled: enabled.len() }
}

/// By which key the person is counted: whoever was replaced and can call under the new key is one, and not two.
fn person<'r>(action: &'r RunAction, enabled: &HashSet<&str>) -> &'r str {
    let new = action.args.new_user.as_deref().filter(|new| enabled.contains(new));
    new.unwrap_or(&action.user)
}

/// Users of whom only their objects tell that they lost service within the window, for the run was deleted: whether it was approved
/// is not known, so it counts. What a status says adds to the count and takes nothing from it.
fn without_run<'r>(records: &'r Records<'_>) -> Vec<&'r str> {
    let window = records.observed.spec.removal.guard.window.signed();
    let names: HashSet<&str> = records.disconnects.iter().map(|run| run.name.as_str()).collect();
    let lost = |known: &&KnownUser| {
        let change = known.status.last_change.as_ref().filter(|change| {
            let takes = change.action == RunOperation::Disable || change.action.removes();
            takes && records.now.duration_since(change.at.0) < window
        });
        let begun = known.spec.leaving.as_deref().into_iter().chain(change.map(|change| change.run.as_str()));
        begun.into_iter().any(|run| !names.contains(run))
    };
    records.users.values().copied().filter(lost).map(|known| known.spec.goto_user_key.as_str()).collect()
}

/// Whether somebody approved the run before its end: what a finished run is said to be raises no limit (R6).
fn was_approved(run: &KnownRun) -> bool {
    let seen = run.status.decision.as_ref().map(|seen| seen.value);
    run.spec.decision == Some(Decision::Approve) && seen == Some(Decision::Approve)
}

/// Whether the run counts: it is open, or not longer over than the window.
pub(super) fn is_within(run: &KnownRun, guard: &Guard, now: Timestamp) -> bool {
    if run.spec.run_type != RunType::Disconnect {
        return false;
    }
    let ended = run.status.finished_at.as_ref().map_or(run.spec.created_at.0, |time| time.0);
    let is_going_on = run.status.state.is_some() && runs::is_open(run);
    is_going_on || now.duration_since(ended) < guard.window.signed()
}

/// Whether the status was lost: a run has its counters from its first status on, and they are never filled in later.
pub(super) fn is_lost(run: &KnownRun) -> bool {
    run.status.counters.is_none()
}

/// How many actions of a run count: all of them once it began, for somebody may have lost service for a while and got it back;
/// all of them where a status is lost.
pub(super) fn done(run: &KnownRun) -> usize {
    let began = is_lost(run) || run.status.started_at.is_some();
    if began { run.spec.actions.len() } else { 0 }
}

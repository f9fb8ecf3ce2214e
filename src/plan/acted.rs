//! What follows from having acted: status of the run and of its users, back-off, and when to look again.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::observed::{Next, ReadingKind};
use super::polling;
use super::run_status::{self, Tally};
use super::runs::MAX_FAILURES;
use super::schedule;
use super::standing::{Stand, shortened};
use super::subjects::is_transient;
use super::user_plan::{PlannedUser, ResumedRun, RunPlan, UserPlan, Write};
use crate::api::{Failure, LastChange, Reason, RunFailure, RunOperation, UserStage, UserState, UserSyncRunStatus};
use crate::domain::UserKey;

/// What became of the steps of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActOutcome {
    /// One for each step that the executor came to; a step without one was not tried.
    pub results: Vec<(UserKey, StepResult)>,
}

/// What became of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// The connector has the pair.
    Accepted,
    /// Found, just before the write, not to fit any more.
    Skipped(String),
    /// Refused, or not known to have arrived.
    Failed {
        /// How it shows.
        reason: Reason,
        /// What to do next, without personal data.
        message: String,
    },
    /// The time of the pass was over, the run was stopped, or a limit asked for patience.
    NotTried,
}

/// What follows from having acted.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// The users whose status changed by it; everything else of the plan stands.
    pub users: Vec<PlannedUser>,
    /// The run's status, if there is one to write.
    pub run: Option<RunReport>,
    /// Failures in a row, for the policy's status.
    pub failure: Option<Failure>,
    /// When to look again.
    pub next: Next,
}

/// The status of a run after a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct RunReport {
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: UserSyncRunStatus,
    /// Whether it is at its end.
    pub closed: bool,
}

/// Whether the executor must send no further batch: too much of the run failed.
#[must_use]
pub fn must_stop(plan: &UserPlan, results: &[(UserKey, StepResult)]) -> bool {
    match &plan.run {
        RunPlan::Resume(run) => add(run.tally, results).is_over_limit(),
        RunPlan::None | RunPlan::Create(_) | RunPlan::Close(_) => false,
    }
}

/// What follows from having carried out the plan with this outcome.
#[must_use]
pub fn after(plan: &UserPlan, outcome: &ActOutcome, now: Timestamp) -> Acted {
    let unchanged = |run| Acted { users: Vec::new(), run, failure: plan.failure.clone(), next: plan.next };
    match &plan.run {
        RunPlan::None => unchanged(None),
        RunPlan::Create(run) => {
            unchanged(Some(RunReport { name: run.name.clone(), status: run.status.clone(), closed: false }))
        }
        RunPlan::Close(run) => {
            unchanged(Some(RunReport { name: run.name.clone(), status: run.status.clone(), closed: true }))
        }
        RunPlan::Resume(run) => resumed(plan, run, outcome, now),
    }
}

fn resumed(plan: &UserPlan, run: &ResumedRun, outcome: &ActOutcome, now: Timestamp) -> Acted {
    let tally = add(run.tally, &outcome.results);
    let touched = outcome.results.iter().any(|(_, result)| *result != StepResult::NotTried);
    let mut status = run.status.clone();
    status.failures = failures(&run.status.failures, &outcome.results);
    if touched && status.started_at.is_none() {
        status.started_at = Some(Time(now));
    }
    let ending = tally.ending();
    let status = match ending {
        Some(ending) => run_status::closed(&status, tally, ending, now),
        None => run_status::running(&status, tally, run.waiting.as_ref(), now),
    };
    let failed = ending.is_some() && tally.failed > 0;
    let changed = |(key, result): &(UserKey, StepResult)| user_after(plan.user(key)?, result, &run.name, now);
    let next = if touched || ending.is_some() { Next::At(now, ReadingKind::Outcome) } else { plan.next };
    Acted {
        users: outcome.results.iter().filter_map(changed).collect(),
        run: Some(RunReport { name: run.name.clone(), status, closed: ending.is_some() }),
        failure: if failed { Some(polling::failed_again(plan.failure.as_ref(), now)) } else { plan.failure.clone() },
        next: schedule::earlier(next, plan.next),
    }
}

/// The tally after these results. A step is among the remaining until it has one.
fn add(before: Tally, results: &[(UserKey, StepResult)]) -> Tally {
    let mut tally = before;
    for (_, result) in results {
        match result {
            StepResult::Accepted => tally.applied += 1,
            StepResult::Skipped(_) => tally.skipped += 1,
            StepResult::Failed { .. } => tally.failed += 1,
            StepResult::NotTried => continue,
        }
        tally.remaining = tally.remaining.saturating_sub(1);
    }
    tally
}

/// The failures of the run, at most 100.
fn failures(before: &[RunFailure], results: &[(UserKey, StepResult)]) -> Vec<RunFailure> {
    let added = results.iter().filter_map(|(key, result)| match result {
        StepResult::Failed { reason, message } => Some(RunFailure {
            user: key.to_string(),
            reason: reason.as_str().to_owned(),
            message: shortened(message.clone()),
        }),
        StepResult::Accepted | StepResult::Skipped(_) | StepResult::NotTried => None,
    });
    before.iter().cloned().chain(added).take(MAX_FAILURES).collect()
}

fn user_after(user: &PlannedUser, result: &StepResult, run: &str, now: Timestamp) -> Option<PlannedUser> {
    let mut after = user.clone();
    let stand = match result {
        StepResult::Accepted => {
            after.status.last_change = Some(LastChange::new(run, RunOperation::Put, now));
            Stand::new(UserState::Pending, UserStage::Verify, Reason::AwaitingPush)
        }
        StepResult::Failed { reason, .. } if is_transient(*reason) => {
            Stand::new(UserState::Pending, UserStage::Apply, *reason)
        }
        StepResult::Failed { reason, message } => {
            Stand { message: Some(message.clone()), ..Stand::new(UserState::Blocked, UserStage::Apply, *reason) }
        }
        StepResult::Skipped(_) | StepResult::NotTried => return None,
    };
    stand.apply(&mut after.status, Some(&user.status), user.status.observed_generation, now);
    if after.write == Write::Nothing {
        after.write = Write::Status;
    }
    Some(after)
}

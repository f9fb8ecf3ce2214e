//! What follows from having acted: status of the run and of its users, back-off, and when to look again.

use std::collections::HashMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::observed::{Next, ReadingKind};
use super::polling;
use super::run_status::{self, Tally, Wait};
use super::runs::MAX_FAILURES;
use super::schedule;
use super::standing::{Stand, shortened};
use super::subjects::is_transient;
use super::user_plan::{ClosedRun, NewRun, PlannedUser, ResumedRun, RunPlan, Step, UserPlan, Write};
use crate::api::{
    Failure, LastChange, PairValues, Reason, RunFailure, RunOperation, RunRefusal, UserStage, UserState,
    UserSyncRunStatus,
};
use crate::domain::UserKey;

/// What became of the steps of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActOutcome {
    /// One for each step that the executor came to; a step without one was not tried.
    pub results: Vec<(UserKey, StepResult)>,
    /// What kept the executor from going on.
    pub refusal: Option<Refusal>,
    /// What kept it from looking once more at somebody who is to lose something; nobody else waits for that.
    pub look: Option<Refusal>,
}

impl ActOutcome {
    /// Takes the answers to a batch. One user for whom patience was asked means patience with all; one whose pair changed, with all who
    /// are to lose something.
    pub fn add(&mut self, results: Vec<(UserKey, StepResult)>) {
        if results.iter().any(|(_, result)| *result == StepResult::NotTried) {
            self.refusal = Some(Refusal { reason: Reason::RateLimited, until: None });
        }
        if results.iter().any(|(_, result)| *result == StepResult::Stale) {
            self.look = Some(Refusal { reason: Reason::SourceIncomplete, until: None });
        }
        self.results.extend(results);
    }

    /// Why steps of the run could not be sent.
    fn refusal(&self, run: &ResumedRun) -> Option<Refusal> {
        let looks = run.steps.iter().any(|step| step.look.is_some());
        let sent = self.refusal.filter(|_| !run.steps.is_empty());
        sent.or_else(|| self.look.filter(|_| looks))
    }
}

/// A batch of writes that was not answered, and may have had its effect; or a look that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// How it shows.
    pub reason: Reason,
    /// When the vendor wants to be asked again.
    pub until: Option<Timestamp>,
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
    /// Somebody changed the pair since it was read: what is done is planned anew.
    Stale,
}

impl StepResult {
    /// Whether nothing came of it.
    fn is_nothing(&self) -> bool {
        matches!(self, Self::NotTried | Self::Stale)
    }
}

/// What follows from having acted.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// The users whose status changed by it; everything else of the plan stands.
    pub users: Vec<PlannedUser>,
    /// The statuses of runs to write.
    pub runs: Vec<RunReport>,
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
    let over = |run: &ResumedRun| add(run, &of_run(run, results)).is_over_limit(run.limit);
    plan.run_plans().into_iter().any(|run| matches!(run, RunPlan::Resume(run) if over(run)))
}

/// The results of the steps of this run.
fn of_run(run: &ResumedRun, results: &[(UserKey, StepResult)]) -> Vec<(Step, StepResult)> {
    let steps: HashMap<&UserKey, &Step> = run.steps.iter().map(|step| (&step.user, step)).collect();
    let step = |key: &UserKey| steps.get(key).map(|step| (*step).clone());
    results.iter().filter_map(|(key, result)| Some((step(key)?, result.clone()))).collect()
}

/// What follows from having carried out the plan with this outcome.
#[must_use]
pub fn after(plan: &UserPlan, outcome: &ActOutcome, now: Timestamp) -> Acted {
    let mut acted = Acted { users: Vec::new(), runs: Vec::new(), failure: plan.failure.clone(), next: plan.next };
    for run in plan.run_plans() {
        match run {
            RunPlan::None => {}
            RunPlan::Create(NewRun { name, spec: _, status }) => {
                acted.runs.push(RunReport { name: name.clone(), status: status.clone(), closed: false });
            }
            RunPlan::Close(ClosedRun { name, status }) => {
                acted.runs.push(RunReport { name: name.clone(), status: status.clone(), closed: true });
            }
            RunPlan::Resume(run) => resumed(&mut acted, plan, run, outcome, now),
        }
    }
    let nothing = outcome.results.iter().all(|(_, result)| result.is_nothing());
    if nothing && outcome.refusal.or(outcome.look).is_some() && !acted.runs.iter().any(|run| run.closed) {
        let untils = acted.runs.iter().filter_map(|run| run.status.refusal.as_ref());
        let until = untils.map(|refusal| refusal.next_attempt_time.0).min();
        acted.next = until.map_or(acted.next, |until| Next::At(until, ReadingKind::Outcome));
    }
    acted
}

fn resumed(acted: &mut Acted, plan: &UserPlan, run: &ResumedRun, outcome: &ActOutcome, now: Timestamp) {
    let results = of_run(run, &outcome.results);
    let tally = add(run, &results);
    let touched = results.iter().any(|(_, result)| !result.is_nothing());
    let mut status = run.status.clone();
    status.failures = failures(&run.status.failures, &results);
    let began = results.iter().any(|(_, it)| matches!(it, StepResult::Accepted | StepResult::Failed { .. }));
    if began && status.started_at.is_none() {
        status.started_at = Some(Time(now));
    }
    let refusal = outcome.refusal(run);
    if touched || refusal.is_some() {
        // Whatever was accepted shows that the connector takes writes: the count begins anew.
        let before = status.refusal.as_ref().filter(|_| !touched);
        status.refusal = refusal.map(|refusal| refused_again(before, refusal, now));
    }
    let refused = status.refusal.as_ref().filter(|_| refusal.is_some()).map(Wait::refused);
    let ending = tally.ending(run.limit);
    let status = match ending {
        Some(ending) => run_status::closed(&status, tally, ending, now),
        None => run_status::running(&status, tally, refused.as_ref().or(run.waiting.as_ref()), now),
    };
    let takes_away = run.steps.iter().any(Step::takes_away);
    if ending.is_some() && tally.failed > 0 && !takes_away {
        acted.failure = Some(polling::failed_again(plan.failure.as_ref(), now));
    }
    let changed =
        |(step, result): &(Step, StepResult)| user_after(plan.user(&step.user)?, step, result, &run.name, now);
    acted.users.extend(results.iter().filter_map(changed));
    acted.runs.push(RunReport { name: run.name.clone(), status, closed: ending.is_some() });
    if touched || ending.is_some() {
        acted.next = schedule::earlier(Next::At(now, ReadingKind::Outcome), acted.next);
    }
}

/// One more batch in a row that was not answered. What was written must be read back before the next one.
fn refused_again(before: Option<&RunRefusal>, refusal: Refusal, now: Timestamp) -> RunRefusal {
    let count = before.map_or(0, |before| before.count).saturating_add(1);
    let pause = polling::refused_until(now, count);
    let next = refusal.until.map_or(pause, |until| until.max(pause));
    RunRefusal { reason: refusal.reason.as_str().to_owned(), count, next_attempt_time: Time(next) }
}

/// The tally after these results. A step is among the remaining until it has one.
fn add(run: &ResumedRun, results: &[(Step, StepResult)]) -> Tally {
    let mut tally = run.tally;
    for (step, result) in results {
        match result {
            StepResult::Accepted if !step.is_last => {
                tally.begun += u32::from(step.op == RunOperation::Disable);
                continue;
            }
            StepResult::Accepted => tally.applied += 1,
            StepResult::Skipped(_) => tally.skipped += 1,
            StepResult::Failed { .. } => tally.failed += 1,
            StepResult::NotTried | StepResult::Stale => continue,
        }
        tally.remaining = tally.remaining.saturating_sub(1);
    }
    tally
}

fn accepted(step: &Step) -> Stand {
    match step.op {
        RunOperation::Put | RunOperation::Enable => {
            Stand::new(UserState::Pending, UserStage::Verify, Reason::AwaitingPush)
        }
        RunOperation::Disable => Stand::new(UserState::Removing, UserStage::Apply, Reason::Removing),
        RunOperation::Delete | RunOperation::Replace => {
            Stand::new(UserState::Removing, UserStage::Verify, Reason::AwaitingPush)
        }
    }
}

/// The change with the old values (R14): those of the plan, whatever was done in between.
fn changed(step: &Step, run: &str, now: Timestamp) -> LastChange {
    let change = LastChange::new(run, step.op, now);
    match step.op {
        RunOperation::Put | RunOperation::Enable => change,
        RunOperation::Disable => {
            let after = PairValues { enabled: Some(false), ..step.before.clone() };
            LastChange { before: Some(step.before.clone()), after: Some(after), ..change }
        }
        RunOperation::Delete | RunOperation::Replace => LastChange { before: Some(step.before.clone()), ..change },
    }
}

/// The failures of the run, at most 100.
fn failures(before: &[RunFailure], results: &[(Step, StepResult)]) -> Vec<RunFailure> {
    let added = results.iter().filter_map(|(step, result)| match result {
        StepResult::Failed { reason, message } => Some(RunFailure {
            user: step.user.to_string(),
            reason: reason.as_str().to_owned(),
            message: shortened(message.clone()),
        }),
        // A veto holds for the whole run: what was seen once by id is not looked for until it is gone.
        StepResult::Skipped(_) if step.takes_away() => Some(RunFailure {
            user: step.user.to_string(),
            reason: Reason::StillPresent.as_str().to_owned(),
            message: Reason::StillPresent.message(),
        }),
        StepResult::Accepted | StepResult::Skipped(_) | StepResult::NotTried | StepResult::Stale => None,
    });
    before.iter().cloned().chain(added).take(MAX_FAILURES).collect()
}

fn user_after(user: &PlannedUser, step: &Step, result: &StepResult, run: &str, now: Timestamp) -> Option<PlannedUser> {
    let mut after = user.clone();
    let stand = match result {
        StepResult::Accepted => {
            let before = after.status.last_change.replace(changed(step, run, now));
            if step.takes_away() && before.is_some_and(|before| before.run == run && before.action == step.op) {
                // Not the first time: what is shown of it stays.
                after.write = if after.write == Write::Nothing { Write::Status } else { after.write };
                return Some(after);
            }
            accepted(step)
        }
        StepResult::Failed { .. } if step.op != RunOperation::Put => return None,
        StepResult::Failed { reason, .. } if is_transient(*reason) => {
            Stand::new(UserState::Pending, UserStage::Apply, *reason)
        }
        StepResult::Failed { reason, message } => {
            Stand { message: Some(message.clone()), ..Stand::new(UserState::Blocked, UserStage::Apply, *reason) }
        }
        StepResult::Skipped(_) | StepResult::NotTried | StepResult::Stale => return None,
    };
    stand.apply(&mut after.status, Some(&user.status), user.status.observed_generation, now);
    if after.write == Write::Nothing {
        after.write = Write::Status;
    }
    Some(after)
}

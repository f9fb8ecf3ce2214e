//! The status of an account, computed from what was observed, what was planned and what failed.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::conditions::{Facts, kept_beside, summary};
use super::finding::Finding;
use super::view::{Empty, View};
use super::{AccountPlan, AccountStep, next, parts, pending, setup, sources, steps, words};
use crate::api::conditions::{Draft, merge};
use crate::api::{PendingAction, Reason, Shown, StepFailure, TeamsConnectorAccountStatus};
use crate::plan::observed::{Next, ObservedAccount, Problem};

/// A step that failed, and how it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepProblem {
    /// The step of the plan.
    pub step: AccountStep,
    /// Why it failed.
    pub problem: Problem,
}

/// What a pass ends with.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountReport {
    /// The status to be written, if it differs from the one before.
    pub status: TeamsConnectorAccountStatus,
    /// When to look again.
    pub next: Next,
}

/// The end of a pass whose steps were done but for `problems`.
#[must_use]
pub fn report(
    observed: &ObservedAccount,
    plan: &AccountPlan,
    problems: &[StepProblem],
    now: Timestamp,
) -> AccountReport {
    let empty = Empty::default();
    let view = View::new(observed, &empty, now);
    let repeated = plan.without_effect.iter().filter(|it| problems.iter().all(|problem| problem.step != it.step));
    let problems: &[_] = &problems.iter().chain(repeated).cloned().collect::<Vec<_>>();
    let failure = failure(&view, plan, problems);
    let next = match &failure {
        Some(failure) if !problems.is_empty() => {
            let failed = |step: &AccountStep| problems.iter().any(|problem| problem.step == *step);
            let taken: Vec<_> = plan.steps.iter().filter(|step| !failed(step)).cloned().collect();
            next::after_failure(&view, &plan.gates, &taken, &plan.pending_actions, failure.next_attempt_time.0)
        }
        _ => plan.next,
    };
    AccountReport { status: status(&view, plan, problems, failure), next }
}

fn status(
    view: &View,
    plan: &AccountPlan,
    problems: &[StepProblem],
    failure: Option<StepFailure>,
) -> TeamsConnectorAccountStatus {
    let old = view.observed.status;
    let gates = with_problems(&plan.gates, problems);
    let pending_actions = with_problem_actions(view, plan, problems);
    let facts = Facts {
        gates: &gates,
        stale: plan.stale.as_ref(),
        beside: beside(view, plan, problems),
        action_reason: action_reason(&gates, &pending_actions),
        actions: &pending_actions,
    };
    let summary = summary(view, &facts);
    let waiting_for = pending::in_short(&pending_actions).or_else(|| stalled(&summary));
    let drafts = gates.into_iter().chain([plan.sources_complete.clone()]).chain(summary).collect();
    let pbxs = parts::pbxs(view);
    TeamsConnectorAccountStatus {
        waiting_for,
        pending_actions,
        licenses: parts::licenses(&pbxs),
        pbxs,
        invitation: parts::invitation(view),
        administrators: parts::administrators(view),
        permissions: parts::permissions(view),
        consents: parts::consents(view),
        domains: parts::domains(view),
        microsoft_licenses: parts::microsoft_licenses(view),
        directory_import: parts::directory_import(view),
        tenant_push: parts::tenant_push(view),
        sources: sources::statuses(view),
        last_handled_reconcile_at: handled(view),
        last_handled_resend: setup::handled_resend(view),
        failure,
        observed_generation: view.observed.generation,
        conditions: merge(&old.conditions, drafts, view.observed.generation, view.now),
    }
}

/// A condition that does not hold tells why the step that would mend it failed.
fn with_problems(gates: &[Draft], problems: &[StepProblem]) -> Vec<Draft> {
    let mend = |draft: &Draft| {
        let failed = problems.iter().find(|it| it.step.gate() == draft.kind && draft.status == Some(false));
        failed.map_or_else(
            || draft.clone(),
            |it| Draft::no(draft.kind, it.problem.reason).with_message(it.problem.message.clone()),
        )
    };
    gates.iter().map(mend).collect()
}

/// A failed step that a human must mend replaces the action of its condition.
fn with_problem_actions(view: &View, plan: &AccountPlan, problems: &[StepProblem]) -> Vec<PendingAction> {
    let mut actions = plan.pending_actions.clone();
    let human = |it: &&StepProblem| it.problem.reason.info().shown == Shown::Human;
    for problem in problems.iter().filter(human).map(|it| &it.problem) {
        let finding = Finding { reason: problem.reason, detail: problem.reason.info().cause.to_owned(), actor: None };
        let known = words::of(problem.reason).is_some_and(|words| actions.iter().any(|it| it.id == words.id));
        actions.extend(pending::action(view, &finding).filter(|_| !known));
    }
    actions
}

fn beside(view: &View, plan: &AccountPlan, problems: &[StepProblem]) -> Option<Problem> {
    match problems.first() {
        Some(failed) => Some(failed.problem.clone()),
        None if plan.held_back.is_empty() => None,
        None => kept_beside(view),
    }
}

/// The reason of the condition that the first pending action belongs to.
fn action_reason(gates: &[Draft], actions: &[PendingAction]) -> Option<Reason> {
    let first = actions.first()?;
    let belongs = |reason: &Reason| words::of(*reason).is_some_and(|words| words.id == first.id);
    let shown = gates.iter().map(|draft| draft.reason).find(belongs);
    shown.or_else(|| Reason::ALL.iter().copied().find(belongs))
}

fn stalled(summary: &[Draft]) -> Option<String> {
    let draft = summary.iter().find(|draft| draft.kind == crate::api::conditions::STALLED)?;
    Some(format!("{}: {}", draft.reason.info().actor?, draft.reason))
}

/// A request counts as handled by a pass that could act on it.
fn handled(view: &View) -> Option<String> {
    let acted = !view.observed.suspended && (view.observed.snapshot.is_some() || view.observed.credentials.is_some());
    let value = view.observed.requested_at.filter(|_| acted).map(str::to_owned);
    value.or_else(|| view.observed.status.last_handled_reconcile_at.clone())
}

fn failure(view: &View, plan: &AccountPlan, problems: &[StepProblem]) -> Option<StepFailure> {
    let old = view.observed.status.failure.clone();
    if view.observed.suspended {
        old
    } else if view.observed.credentials.is_some() {
        credentials_failure(view)
    } else if !problems.is_empty() {
        let failed_before = |step: &&AccountStep| old.as_ref().is_some_and(|it| steps::is_of(it, step));
        let held = plan.held_back.iter().filter(failed_before);
        let failed = held.chain(problems.iter().map(|problem| &problem.step));
        let conditions: BTreeSet<_> = failed.map(|step| step.gate().to_owned()).collect();
        let failure = one_more(view, SignedDuration::from_secs(10), SignedDuration::from_mins(10));
        Some(StepFailure { conditions: conditions.into_iter().collect(), ..failure })
    } else if plan.held_back.is_empty() {
        None
    } else {
        old
    }
}

/// How often the credentials could not be used, and when to look at the Secret again: after 5 s, growing to 5 min.
pub(super) fn credentials_failure(view: &View) -> Option<StepFailure> {
    let old = view.observed.status.failure.as_ref();
    let early = old.is_some_and(|old| view.now < old.next_attempt_time.0) && !view.requested();
    if early {
        return old.cloned();
    }
    Some(one_more(view, SignedDuration::from_secs(5), SignedDuration::from_mins(5)))
}

fn one_more(view: &View, first: SignedDuration, limit: SignedDuration) -> StepFailure {
    let count = view.observed.status.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
    let pause = steps::doubling(first, limit, usize::try_from(count).unwrap_or(usize::MAX));
    StepFailure { count, next_attempt_time: Time(view.now + pause), conditions: Vec::new() }
}

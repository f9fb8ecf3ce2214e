//! The status of a policy after a pass: from the plan and from what became of it. Pure.

use k8s_openapi::jiff::Timestamp;

use crate::api::conditions::merge;
use crate::api::{RunSummary, UserSyncPolicyStatus};
use crate::plan::acted::Acted;
use crate::plan::user_plan::UserPlan;

/// Everything that people look at, in one value; a pass that changed nothing gives the status that is stored.
pub(super) fn status(
    before: &UserSyncPolicyStatus,
    plan: &UserPlan,
    acted: &Acted,
    generation: i64,
    now: Timestamp,
) -> UserSyncPolicyStatus {
    UserSyncPolicyStatus {
        counters: plan.counters.or(before.counters),
        users: plan.counts.or(before.users),
        blocked_reasons: if plan.counts.is_some() { plan.blocked.clone() } else { before.blocked_reasons.clone() },
        mapping: plan.mapping.clone(),
        removals: plan.removals.or(before.removals),
        runs: open_runs(plan, acted),
        pending_actions: plan.pending_actions.clone(),
        last_handled_reconcile_at: plan.handled_request.clone(),
        failure: acted.failure.clone(),
        observed_generation: generation,
        conditions: merge(&before.conditions, plan.conditions.clone(), generation, now),
    }
}

/// The open runs of the plan, without those that this pass closed.
fn open_runs(plan: &UserPlan, acted: &Acted) -> Vec<RunSummary> {
    let closed = |name: &str| acted.runs.iter().any(|run| run.closed && run.name == name);
    plan.runs.iter().filter(|run| !closed(&run.name)).cloned().collect()
}

//! The summary conditions, by the condition contract: Ready always, the others only while true, Reconciling and Stalled never both.

use super::graph::previous;
use super::view::View;
use crate::api::conditions::{ACTION_REQUIRED, Draft, READY, RECONCILING, STALLED, SUSPENDED, find};
use crate::api::{PendingAction, Reason, Shown};
use crate::plan::observed::Problem;

/// What the summary is made from.
pub(super) struct Facts<'a> {
    /// The set-up conditions, in order.
    pub(super) gates: &'a [Draft],
    /// A source that could not be read for too long.
    pub(super) stale: Option<&'a Problem>,
    /// A failed step whose condition holds nevertheless.
    pub(super) beside: Option<Problem>,
    /// What humans must do, and the reason of the first.
    pub(super) actions: &'a [PendingAction],
    pub(super) action_reason: Option<Reason>,
}

/// `Ready` and the conditions that exist only while they are true.
pub(super) fn summary(view: &View, facts: &Facts) -> Vec<Draft> {
    if view.observed.suspended {
        return suspended(view);
    }
    let ready = ready(facts);
    let shown = ready.reason.info().shown;
    let mut drafts = Vec::new();
    match ready.status {
        Some(true) => drafts.extend(facts.beside.as_ref().map(|it| with(RECONCILING, it.reason, &it.message))),
        _ if shown == Shown::Stalled => drafts.push(with(STALLED, ready.reason, &ready.message)),
        _ => drafts.push(with(RECONCILING, ready.reason, &ready.message)),
    }
    if let Some((action, reason)) = facts.actions.first().zip(facts.action_reason) {
        drafts.push(with(ACTION_REQUIRED, reason, &format!("{}: {}", action.actor, action.action)));
    }
    drafts.insert(0, ready);
    drafts
}

fn with(kind: &'static str, reason: Reason, message: &str) -> Draft {
    Draft::yes(kind, reason).with_message(message)
}

fn ready(facts: &Facts) -> Draft {
    if let Some(gate) = facts.gates.iter().find(|gate| gate.status != Some(true)) {
        return Draft { kind: READY, ..gate.clone() };
    }
    match facts.stale {
        Some(problem) => Draft::no(READY, problem.reason).with_message(problem.message.clone()),
        None => Draft::yes(READY, Reason::Succeeded).with_message("The connector works and every policy may write."),
    }
}

/// Suspension leaves Ready as it is.
fn suspended(view: &View) -> Vec<Draft> {
    let ready = previous(&view.observed.status.conditions, READY)
        .unwrap_or_else(|| Draft::unknown(READY, Reason::Suspended).with_message(Reason::Suspended.info().cause));
    vec![ready, Draft::yes(SUSPENDED, Reason::Suspended)]
}

/// The problem beside the set-up that was shown before.
pub(super) fn kept_beside(view: &View) -> Option<Problem> {
    let old = find(&view.observed.status.conditions, RECONCILING)?;
    Some(Problem { reason: Reason::parse(&old.reason)?, message: old.message.clone() })
}

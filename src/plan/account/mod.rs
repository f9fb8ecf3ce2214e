//! The plan of an account: which parts of the set-up hold, what is to be started, whom it waits for, when to look again.
//!
//! **Architecture invariant:** whether policies may write is decided by the newest complete values of the reading, never by a status.

mod administrators;
mod conditions;
mod display;
mod domain;
mod dropped;
mod finding;
mod gates;
mod graph;
mod next;
mod parts;
mod pending;
mod push;
mod report;
mod setup;
mod sources;
mod steps;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::observed::{Next, ObservedAccount, Problem};
use crate::api::conditions::Draft;
use crate::api::{PendingAction, Reason};
use crate::domain::OrganizationId;
use finding::problem;
use graph::Judged;
use view::{Empty, View};

pub use dropped::dropped_pbxs;
pub use graph::{
    ADMINISTRATORS_READY, CONNECTION_VERIFIED, CONSENT_GRANTED, CREDENTIALS_VALID, DIRECTORY_IMPORTED,
    DOMAIN_ACTIVATED, ENTITLED, MANAGER_ONBOARDED, PBXS_BOUND, PERMISSIONS_GRANTED, SERVICE_ENABLED,
    TEMPORARY_USER_REMOVED, TENANT_PUSHED,
};
pub use report::{AccountReport, StepProblem, report};
pub use sources::SOURCES_COMPLETE;
pub use steps::AccountStep;

/// What an account's pass does and shows.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountPlan {
    /// One condition for each part of the set-up, in the order of the set-up graph.
    pub gates: Vec<Draft>,
    /// Why policies may not write, over all PBXs; `None`: they may.
    pub write_gate: Option<Problem>,
    /// What is to be written, in order; every value is chosen.
    pub steps: Vec<AccountStep>,
    /// What humans must do now, in order.
    pub pending_actions: Vec<PendingAction>,
    /// When to look again, if every step succeeds.
    pub next: Next,
    /// When the newest push ended, if connector users were last read before that: policies need an Outcome reading.
    pub push_finished_at: Option<Timestamp>,
    pbx_gates: BTreeMap<OrganizationId, Option<Problem>>,
    held_back: Vec<AccountStep>,
    /// One of the steps, because it was accepted before and nothing came of it.
    without_effect: Option<StepProblem>,
    sources_complete: Draft,
    stale: Option<Problem>,
}

impl AccountPlan {
    /// Why the policy of this PBX may not write; `None`: it may. Another PBX of the account does not matter.
    #[must_use]
    pub fn write_gate(&self, pbx: OrganizationId) -> Option<Problem> {
        self.pbx_gates.get(&pbx).cloned().unwrap_or_else(|| Some(not_listed(pbx)))
    }

    /// Whether nothing is written, nobody is waited for and policies may write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.pending_actions.is_empty() && self.write_gate.is_none()
    }
}

fn not_listed(pbx: OrganizationId) -> Problem {
    problem(Reason::PbxNotFound, &format!("The account does not list the PBX {pbx}."), None)
}

/// The plan of one pass.
#[must_use]
pub fn account(observed: &ObservedAccount, now: Timestamp) -> AccountPlan {
    let empty = Empty::default();
    let view = View::new(observed, &empty, now);
    let wanted = steps::wanted(&view);
    let (held_back, wanted): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|step| steps::backs_off(&view, step) || steps::is_fresh(&view, step));
    let mut judged = graph::judge(&view);
    graph::keep_held(&mut judged, &held_back, &observed.status.conditions);
    let stale = sources::stale(&view);
    let pending_actions = pending::actions(&view, &judged);
    let gates: Vec<_> = judged.into_iter().map(Judged::into_draft).collect();
    let next = next::next(&view, &gates, &wanted, &pending_actions);
    let steps: Vec<_> = wanted.into_iter().filter(|step| !steps::awaits_reading(&view, step)).collect();
    AccountPlan {
        next,
        write_gate: graph::write_gate(&view, &view.pbxs, stale.as_ref()),
        pbx_gates: pbx_gates(&view, stale.as_ref()),
        sources_complete: sources::condition(&view),
        push_finished_at: push::unseen_end(&view),
        gates,
        without_effect: steps.iter().find_map(|step| steps::without_effect(&view, step)),
        steps,
        pending_actions,
        held_back,
        stale,
    }
}

fn pbx_gates(view: &View, stale: Option<&Problem>) -> BTreeMap<OrganizationId, Option<Problem>> {
    let gate = |pbx| graph::write_gate(view, std::slice::from_ref(pbx), stale);
    view.pbxs.iter().map(|pbx| (pbx.id, gate(pbx))).collect()
}

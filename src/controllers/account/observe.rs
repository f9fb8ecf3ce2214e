//! What the account's plan is made from: its object, the newest reading, and what its policies want.

use std::str::FromStr as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;

use crate::api::{
    RESEND_INVITATION, RunType, TeamsConnectorAccount, TeamsConnectorAccountStatus, TeamsConnectorUser, UserSyncPolicy,
};
use crate::controllers::context::{Context, is_paused, is_requested};
use crate::controllers::observer::Reading;
use crate::domain::OrganizationId;
use crate::plan::observed::{KnownRun, KnownUser, ObservedAccount, PolicyDemand, Problem};
use crate::plan::runs;
use crate::plan::strange::strange_connector;

/// The parts that a view borrows from.
pub(in crate::controllers) struct Observed {
    account: Arc<TeamsConnectorAccount>,
    status: TeamsConnectorAccountStatus,
    uid: String,
    pub(in crate::controllers) reading: Reading,
    pub(in crate::controllers) facts: Facts,
}

/// What was looked up.
pub(in crate::controllers) struct Facts {
    pub(in crate::controllers) suspended: bool,
    requested_at: Option<String>,
    last_step: Option<Timestamp>,
    policies: Vec<PolicyDemand>,
}

impl Facts {
    /// Why nothing may be written to the connector for a policy, though the account is ready.
    pub(in crate::controllers) fn strange(&self, policy: &str) -> Option<Problem> {
        self.policies.iter().find(|demand| demand.name == policy)?.strange.clone()
    }
}

/// Looks at the stores and the newest reading; nothing is called.
pub(in crate::controllers) fn observe(account: &Arc<TeamsConnectorAccount>, ctx: &Context) -> Observed {
    let uid = account.uid().unwrap_or_default();
    let policies = ctx.policies_of(account);
    let reading = ctx.observers.latest(account);
    let demands = policies.iter().filter_map(|policy| demand(policy, &reading, ctx));
    let suspended = account.spec.suspend || is_paused(account.as_ref());
    let facts = Facts {
        suspended,
        requested_at: ctx.requests.answered(account.as_ref(), reading.tried_at, suspended),
        last_step: ctx.last_writes.of(&uid),
        policies: demands.collect(),
    };
    Observed { status: account.status.clone().unwrap_or_default(), reading, account: Arc::clone(account), uid, facts }
}

fn demand(policy: &UserSyncPolicy, reading: &Reading, ctx: &Context) -> Option<PolicyDemand> {
    let pbx = OrganizationId::from_str(&policy.spec.pbx.organization_id).ok()?;
    let runs: Vec<_> = ctx.runs_of(policy).iter().map(|run| KnownRun::from(run.as_ref())).collect();
    let open = runs.iter().any(runs::is_open);
    let disconnects = |run: &KnownRun| run.spec.run_type == RunType::Disconnect && runs::is_open(run);
    let objects = ctx.users_of(policy);
    let users: Vec<_> = objects.iter().filter(|_| open).map(|user| KnownUser::from(user.as_ref())).collect();
    Some(PolicyDemand {
        name: policy.name_any(),
        pbx,
        needs_import_after: runs::needs_import_after(&runs, &users),
        disconnects: runs.iter().any(disconnects),
        replaces_since: runs.iter().filter(|run| disconnects(run)).filter_map(runs::replaces_since).max(),
        strange: strange(policy, pbx, reading, (&objects, &runs), ctx),
    })
}

/// Somebody who knows better asks for the policy to be carried out.
fn strange(
    policy: &UserSyncPolicy,
    pbx: OrganizationId,
    reading: &Reading,
    (users, runs): (&[Arc<TeamsConnectorUser>], &[KnownRun]),
    ctx: &Context,
) -> Option<Problem> {
    let handled = policy.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    let requested = is_requested(policy, handled);
    let pbx = reading.snapshot.as_ref()?.pbxs.get(&pbx).filter(|_| !requested)?;
    strange_connector(pbx, users.iter().map(Arc::as_ref), runs, ctx.clock.now())
}

impl Observed {
    /// What the plan takes.
    pub(in crate::controllers) fn view(&self) -> ObservedAccount<'_> {
        ObservedAccount {
            uid: &self.uid,
            generation: self.account.metadata.generation.unwrap_or_default(),
            spec: &self.account.spec,
            status: &self.status,
            suspended: self.facts.suspended,
            requested_at: self.facts.requested_at.as_deref(),
            resend_invitation: self.account.annotations().get(RESEND_INVITATION).map(String::as_str),
            credentials: self.reading.problem.clone(),
            snapshot: self.reading.snapshot.as_deref(),
            last_step: self.facts.last_step,
            policies: self.facts.policies.clone(),
        }
    }
}

//! What a policy's plan is made from: own objects and the newest reading of its account. Nothing is called.

use std::str::FromStr as _;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use sha2::{Digest as _, Sha256};

use crate::api::{
    ADOPTED, Reason, TeamsConnectorAccount, TeamsConnectorUser, UserSyncPolicy, UserSyncPolicyStatus, UserSyncRun,
};
use crate::controllers::account;
use crate::controllers::context::{Context, is_paused};
use crate::controllers::observer::Reading;
use crate::domain::OrganizationId;
use crate::plan::account as account_plan;
use crate::plan::observed::{KnownRun, KnownUser, ObservedPolicy, Problem};

/// The parts that a view borrows from.
pub(super) struct Observed {
    pub(super) policy: Arc<UserSyncPolicy>,
    pub(super) account: Option<Arc<TeamsConnectorAccount>>,
    pub(super) status: UserSyncPolicyStatus,
    pub(super) users: Vec<Arc<TeamsConnectorUser>>,
    pub(super) runs: Vec<Arc<UserSyncRun>>,
    name: String,
    external_id: String,
    reading: Reading,
    reference: Option<Problem>,
    gate: Option<Problem>,
    suspended: bool,
    requested_at: Option<String>,
    last_write: Option<Timestamp>,
}

/// Looks at the stores and the newest reading of the account.
pub(super) fn observe(policy: &Arc<UserSyncPolicy>, ctx: &Context) -> Observed {
    let namespace = policy.namespace().unwrap_or_default();
    let account = ctx.account(&namespace, &policy.spec.account_ref.name);
    let uid = policy.uid().unwrap_or_default();
    let reference = reference_problem(policy, account.as_ref(), ctx);
    let mut suspended = policy.spec.suspend || is_paused(policy.as_ref());
    let (mut reading, mut gate) = (Reading::default(), None);
    if let Some(account) = &account {
        let observed = account::observe(account, ctx);
        suspended |= observed.facts.suspended;
        gate = OrganizationId::from_str(&policy.spec.pbx.organization_id)
            .ok()
            .and_then(|pbx| account_plan::account(&observed.view(), ctx.clock.now()).write_gate(pbx))
            .or_else(|| observed.facts.strange(&policy.name_any()));
        reading = observed.reading;
    }
    Observed {
        users: ctx.users_of(policy),
        runs: ctx.runs_of(policy),
        status: policy.status.clone().unwrap_or_default(),
        name: policy.name_any(),
        external_id: external_id(policy, account.as_deref()),
        last_write: ctx.last_writes.of(&uid),
        requested_at: ctx.requests.answered(policy.as_ref(), reading.tried_at, suspended),
        policy: Arc::clone(policy),
        account,
        reading,
        reference,
        gate,
        suspended,
    }
}

/// Hash of account key, PBX and the policy's namespace and name: finds our users at the connector when every object is lost.
fn external_id(policy: &UserSyncPolicy, account: Option<&TeamsConnectorAccount>) -> String {
    let parts = [
        account.map_or("", |account| account.spec.goto.account_key.as_str()),
        &policy.spec.pbx.organization_id.to_lowercase(),
        &policy.namespace().unwrap_or_default(),
        &policy.name_any(),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

fn reference_problem(
    policy: &UserSyncPolicy,
    account: Option<&Arc<TeamsConnectorAccount>>,
    ctx: &Context,
) -> Option<Problem> {
    let Some(account) = account else {
        let name = &policy.spec.account_ref.name;
        let message = format!(
            "spec.accountRef: there is no TeamsConnectorAccount {name} in this namespace. PlatformTeam: create it."
        );
        return Some(Problem { reason: Reason::AccountNotFound, message });
    };
    let pbx = policy.spec.pbx.organization_id.to_lowercase();
    let same_pbx = |other: &str| other.to_lowercase() == pbx;
    if !account.spec.pbxs.iter().any(|listed| same_pbx(&listed.organization_id)) {
        let message = format!(
            "spec.pbx.organizationId: the account {} does not list this PBX. PlatformTeam: add it to the account's spec.pbxs, or correct it.",
            account.name_any()
        );
        return Some(Problem { reason: Reason::PbxNotFound, message });
    }
    let policies = ctx.policies_of(account);
    let oldest = policies.iter().find(|other| same_pbx(&other.spec.pbx.organization_id))?;
    (oldest.uid() != policy.uid()).then(|| Problem {
        reason: Reason::ConflictingPolicy,
        message: format!(
            "The policy {} is older and manages the same PBX. PlatformTeam: delete one of the two.",
            oldest.name_any()
        ),
    })
}

impl Observed {
    /// The user object of this name; the objects are sorted by name.
    pub(super) fn user(&self, name: &str) -> Option<&TeamsConnectorUser> {
        let index =
            self.users.binary_search_by(|user| user.metadata.name.as_deref().unwrap_or_default().cmp(name)).ok()?;
        self.users.get(index).map(Arc::as_ref)
    }

    /// What the plan takes.
    pub(super) fn view(&self) -> ObservedPolicy<'_> {
        let interval = self.account.as_ref().map_or(600, |account| account.spec.interval.signed().as_secs());
        ObservedPolicy {
            name: &self.name,
            generation: self.policy.metadata.generation.unwrap_or_default(),
            spec: &self.policy.spec,
            status: &self.status,
            deleting: self.policy.metadata.deletion_timestamp.is_some(),
            suspended: self.suspended,
            requested_at: self.requested_at.as_deref(),
            adopted: self.policy.annotations().get(ADOPTED).map(String::as_str),
            reference: self.reference.clone(),
            gate: self.gate.clone(),
            external_id: &self.external_id,
            snapshot: self.reading.snapshot.as_deref(),
            previous: self.reading.previous.as_deref(),
            last_write: self.last_write,
            interval_seconds: interval,
            users: self.users.iter().map(|user| KnownUser::from(user.as_ref())).collect(),
            runs: self.runs.iter().map(|run| KnownRun::from(run.as_ref())).collect(),
        }
    }
}

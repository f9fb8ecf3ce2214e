//! What the two plans are made from: own objects and the newest reading.

use k8s_openapi::jiff::Timestamp;

use super::snapshot::Snapshot;
use crate::api::{
    Reason, TeamsConnectorAccountSpec, TeamsConnectorAccountStatus, TeamsConnectorUser, TeamsConnectorUserSpec,
    TeamsConnectorUserStatus, UserSyncPolicySpec, UserSyncPolicyStatus, UserSyncRun, UserSyncRunSpec,
    UserSyncRunStatus,
};
use crate::domain::OrganizationId;

/// What an account's plan is made from.
#[derive(Clone, Debug)]
pub struct ObservedAccount<'a> {
    /// Uid of the object, part of every idempotency key.
    pub uid: &'a str,
    /// Generation of the spec.
    pub generation: i64,
    /// The spec.
    pub spec: &'a TeamsConnectorAccountSpec,
    /// The status before this pass: for transition times and back-off, never for a decision that takes service away.
    pub status: &'a TeamsConnectorAccountStatus,
    /// `suspend`, or the annotation `paused`.
    pub suspended: bool,
    /// Value of the annotation `requestedAt`.
    pub requested_at: Option<&'a str>,
    /// Value of the annotation `resendInvitation`.
    pub resend_invitation: Option<&'a str>,
    /// A problem with the Secrets, the endpoint or the log-in that keeps everything from being read.
    pub credentials: Option<Problem>,
    /// The newest reading.
    pub snapshot: Option<&'a Snapshot>,
    /// When this process last took a step for the account: what was read before does not show it.
    pub last_step: Option<Timestamp>,
    /// The policies that name the account.
    pub policies: Vec<PolicyDemand>,
}

/// A problem, as it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its reason.
    pub reason: Reason,
    /// Its message: cause, next action, who acts; of credentials the cause alone.
    pub message: String,
}

/// What a policy wants of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDemand {
    /// Name of the policy.
    pub name: String,
    /// Its PBX.
    pub pbx: OrganizationId,
    /// The newest `firstSeen` among the users of its open Connect run: an import that began later knows them all.
    pub needs_import_after: Option<Timestamp>,
    /// Whether a Disconnect run is open: what it changes is carried by one push.
    pub disconnects: bool,
    /// Since when a run that is open replaces somebody: both halves are carried by one push.
    pub replaces_since: Option<Timestamp>,
    /// Why nothing may be written to the connector for it, though the account is ready.
    pub strange: Option<Problem>,
}

/// What a policy's plan is made from.
#[derive(Clone, Debug)]
pub struct ObservedPolicy<'a> {
    /// Name of the policy.
    pub name: &'a str,
    /// Generation of the spec.
    pub generation: i64,
    /// The spec.
    pub spec: &'a UserSyncPolicySpec,
    /// The status before this pass: for display, transition times and back-off, never for a decision that takes service away.
    pub status: &'a UserSyncPolicyStatus,
    /// Whether the policy is being deleted with `Delete`: whoever it added is no longer called for.
    pub deleting: bool,
    /// `suspend` or `paused`, of the policy or of its account.
    pub suspended: bool,
    /// Value of the annotation `requestedAt`.
    pub requested_at: Option<&'a str>,
    /// Value of the annotation `adopted`; absent before the first complete plan.
    pub adopted: Option<&'a str>,
    /// Whether the account may be used at all; its problem otherwise (AccountNotFound, ConflictingPolicy, PbxNotFound, …).
    pub reference: Option<Problem>,
    /// Whether the account lets policies write; what it waits for otherwise.
    pub gate: Option<Problem>,
    /// `externalId` of the users that this policy adds.
    pub external_id: &'a str,
    /// The newest reading.
    pub snapshot: Option<&'a Snapshot>,
    /// The reading of all sources before it: nobody is gone unless both agree.
    pub previous: Option<&'a Snapshot>,
    /// When this process last wrote to the connector for this policy; readings begun earlier know nothing of it.
    pub last_write: Option<Timestamp>,
    /// The interval of the account, in seconds.
    pub interval_seconds: i64,
    /// The user objects of the policy.
    pub users: Vec<KnownUser>,
    /// The runs of the policy.
    pub runs: Vec<KnownRun>,
}

/// A user object as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownUser {
    /// Generation of its spec.
    pub generation: i64,
    /// Its spec.
    pub spec: TeamsConnectorUserSpec,
    /// Its status.
    pub status: TeamsConnectorUserStatus,
}

/// A run as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownRun {
    /// Its name.
    pub name: String,
    /// Its spec.
    pub spec: UserSyncRunSpec,
    /// Its status.
    pub status: UserSyncRunStatus,
}

impl From<&TeamsConnectorUser> for KnownUser {
    fn from(user: &TeamsConnectorUser) -> Self {
        let generation = user.metadata.generation.unwrap_or_default();
        Self { generation, spec: user.spec.clone(), status: user.status.clone().unwrap_or_default() }
    }
}

impl From<&UserSyncRun> for KnownRun {
    fn from(run: &UserSyncRun) -> Self {
        let name = run.metadata.name.clone().unwrap_or_default();
        Self { name, spec: run.spec.clone(), status: run.status.clone().unwrap_or_default() }
    }
}

/// When to look again, by the business clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At the account's next regular reading.
    Interval,
    /// A reading of this kind at this time.
    At(Timestamp, ReadingKind),
}

/// How much is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadingKind {
    /// What the connector says of itself: switches, consents, imports, pushes, sign-in.
    Account,
    /// The account part, and what a push changes: connector users, licenses, numbers, voice.
    Outcome,
    /// Every source.
    Full,
}

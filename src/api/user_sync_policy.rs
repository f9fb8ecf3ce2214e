//! `UserSyncPolicy`: which users of one PBX are to be connected.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Approval, Failure, Mapping, Matching, NameRef, PbxRef, PendingAction, Removal, Rollout};

/// Which users of one PBX are to be connected, and what may be changed for that.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "teamsconnector.dev",
    version = "v1alpha1",
    kind = "UserSyncPolicy",
    plural = "usersyncpolicies",
    namespaced,
    status = "UserSyncPolicyStatus",
    derive = "PartialEq",
    shortname = "usp",
    category = "teamsconnector",
    selectable = ".spec.accountRef.name",
    doc = "Which users of one PBX are to be connected to Microsoft Teams, and what may be changed for that.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("the name of a policy has at most 40 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the newest reading is complete and nothing is outstanding"),
    printcolumn(name = "Connected", type_ = "integer", json_path = ".status.users.connected", description = "Users who can call"),
    printcolumn(name = "Add", type_ = "integer", json_path = ".status.counters.usersToAdd", description = "Users to be added now"),
    printcolumn(name = "Remove", type_ = "integer", json_path = ".status.counters.usersToRemove", description = "Users to be removed"),
    printcolumn(name = "Blocked", type_ = "integer", json_path = ".status.users.blocked", description = "Users who cannot be connected; see their reason"),
    printcolumn(name = "Licenses left", type_ = "integer", json_path = ".status.counters.licensesAvailable", description = "Connector licenses not in use"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name", priority = 1),
    printcolumn(name = "PBX", type_ = "string", json_path = ".spec.pbx.organizationId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct UserSyncPolicySpec {
    /// The account whose connector the users are added to, in the same namespace. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("accountRef cannot be changed: create another policy instead"))]
    pub account_ref: NameRef,
    /// The PBX whose users are meant; the account must list it. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("pbx cannot be changed: create another policy instead"))]
    pub pbx: PbxRef,
    /// How a GoTo user and a Microsoft user are found to be the same person.
    pub matching: Matching,
    /// Users who never lose service through this policy: e-mail address or key in GoTo, or UPN, mail address or object id in
    /// Microsoft. Each is resolved once and kept by id; one that names nobody is reported and holds all removals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(min = 1, max = 320)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub protected_users: Vec<String>,
    /// What becomes of a connected user who is no longer called for. Absent: nothing, the user is reported.
    #[serde(default)]
    pub removal: Removal,
    /// Which users who are in the connector already are taken over, so that they may lose service by `removal` like any other.
    /// Decided once, at the policy's first complete plan; whoever is added by somebody else later is reported and never touched.
    #[serde(default)]
    pub adoption: Adoption,
    /// Which runs wait for a decision in their `spec.decision`. A tripped guard always waits.
    #[serde(default)]
    pub approval: Approval,
    /// How fast a run goes on, and when it stops.
    #[serde(default)]
    pub rollout: Rollout,
    /// So many finished runs are kept; runs that took service away at least for the guard's window.
    #[serde(default = "default_history_limit")]
    #[schemars(range(min = 1, max = 100))]
    pub history_limit: u32,
    /// Stops every external write; nothing is undone. A deletion with `Delete` waits too.
    #[serde(default)]
    pub suspend: bool,
    /// What becomes of connected users when the policy is deleted. In a namespace that is deleted it is always `Orphan`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// What becomes of connected users when the policy is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// Nothing: everybody keeps service.
    #[default]
    Orphan,
    /// Whoever this policy added is disconnected, whatever `removal.action` says, `Retain` included: it is about people who are no
    /// longer called for, this about the policy itself. Always by a run that waits for a decision, whatever guard and `approval` say.
    /// Who was adopted or is protected keeps service. The policy stays until all of it is done; `Orphan` ends that at once.
    Delete,
}

/// Which users who are in the connector already are taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Adoption {
    /// Those whom `matching` pairs with the same Microsoft user.
    #[default]
    Matched,
    /// Also those who match nobody: they become candidates for removal, with grace period and guard. An address that is missing,
    /// ambiguous or a Microsoft user's other address is not nobody. For a policy that already knows users it means `Matched`.
    All,
}

/// What the operator observed and plans.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserSyncPolicyStatus {
    /// The guide's five counters, for the PBX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// Users by state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<UserCounts>,
    /// Blocked users by reason, most frequent first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_reasons: Vec<BlockedReason>,
    /// What became of the rows of `matching.manual`; no address is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Mapping>,
    /// How many lost service within the guard's window, and how many may without an approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removals: Option<Removals>,
    /// The open runs, at most 10.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunSummary>,
    /// What humans must do now, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending_actions: Vec<PendingAction>,
    /// The last value of the annotation `teamsconnector.dev/requestedAt` that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Generation of the spec that the status belongs to; -1: none yet.
    pub observed_generation: i64,
    /// Conditions; `Ready` is the summary.
    pub conditions: Vec<Condition>,
}

/// The five counters of the guide (steps 24 to 28).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Connector licenses not in use: total - in use, never below 0.
    pub licenses_available: u32,
    /// Connector licenses bought.
    pub licenses_total: u32,
    /// Users admitted now; those who wait for a license are in `users.waiting`.
    pub users_to_add: u32,
    /// Users whose deletion is planned.
    pub users_to_remove: u32,
    /// Licensed connector users now + usersToAdd - usersToRemove.
    pub users_after_sync: u32,
}

/// What the removal guard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Removals {
    /// Users who lost service within the window through runs that nobody approved.
    pub in_window: u32,
    /// So many may without an approval.
    pub allowed: u32,
}

/// Users by state; `inScope` is the sum of `connected` to `retained`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserCounts {
    /// Users of the PBX that the policy is about.
    pub in_scope: u32,
    /// Number, voice and registration were read back.
    pub connected: u32,
    /// On the way.
    pub pending: u32,
    /// Something must be changed by a human first.
    pub blocked: u32,
    /// Eligible, but no connector license is left.
    pub waiting: u32,
    /// No Microsoft user has the address.
    pub unmatched: u32,
    /// In the connector through this policy, no longer called for: kept, disabled, or on the way out.
    pub retained: u32,
    /// In the connector, neither added nor adopted by this policy.
    pub foreign: u32,
}

/// How many users are blocked for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BlockedReason {
    /// The reason, as on the users.
    pub reason: String,
    /// How many.
    pub users: u32,
}

/// One open run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunSummary {
    /// Name of the `UserSyncRun`.
    pub name: String,
    /// `Connect` or `Disconnect`.
    #[serde(rename = "type")]
    pub kind: super::RunType,
    /// State of the run.
    pub state: super::RunState,
}

fn default_history_limit() -> u32 {
    10
}

//! `UserSyncRun`: one frozen plan, its execution and its outcome.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counters, NameRef};

/// One frozen plan, its execution and its outcome. Written by the operator; people set only the decision.
#[expect(clippy::duplicated_attributes, reason = "columns of a table have equal types")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "teamsconnector.dev",
    version = "v1alpha1",
    kind = "UserSyncRun",
    namespaced,
    status = "UserSyncRunStatus",
    derive = "PartialEq",
    shortname = "usrun",
    category = "teamsconnector",
    selectable = ".spec.policyRef.name",
    doc = "One frozen plan of a policy, its execution and its outcome. Written by the operator; people set only the decision.",
    printcolumn(
        name = "Policy",
        type_ = "string",
        json_path = ".spec.policyRef.name",
        description = "The policy whose plan it is"
    ),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type", description = "What the run may do"),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Where the run stands"),
    printcolumn(
        name = "Add",
        type_ = "integer",
        json_path = ".status.counters.usersToAdd",
        description = "Users to be added, when it was planned"
    ),
    printcolumn(
        name = "Remove",
        type_ = "integer",
        json_path = ".status.counters.usersToRemove",
        description = "Users to be removed, when it was planned"
    ),
    printcolumn(
        name = "Decision",
        type_ = "string",
        json_path = ".spec.decision",
        description = "What somebody decided"
    ),
    printcolumn(
        name = "Applied",
        type_ = "integer",
        json_path = ".status.outcome.applied",
        description = "Writes that were accepted"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.outcome.failed",
        description = "Writes that were refused"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.policyRef == oldSelf.policyRef && self.type == oldSelf.type && self.createdAt == oldSelf.createdAt && self.policyHash == oldSelf.policyHash && self.actions == oldSelf.actions && self.planHash == oldSelf.planHash").message("a run is frozen: only decision and decidedBy can be set"))]
#[x_kube(validation = Rule::new("!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)").message("decision is set once: to decide otherwise, edit the policy or delete the run, and a new run follows"))]
#[x_kube(validation = Rule::new("!has(oldSelf.decision) || (has(self.decidedBy) == has(oldSelf.decidedBy) && (!has(self.decidedBy) || self.decidedBy == oldSelf.decidedBy))").message("decidedBy is set together with decision and not changed"))]
#[x_kube(validation = Rule::new("!has(self.decidedBy) || has(self.decision)").message("decidedBy needs a decision: set decision to Approve or Deny"))]
pub struct UserSyncRunSpec {
    /// The policy whose plan it is.
    pub policy_ref: NameRef,
    /// What the run may do.
    #[serde(rename = "type")]
    pub run_type: RunType,
    /// When it was planned, by the operator's business clock.
    pub created_at: Time,
    /// `sha256:` and the hash over the policy's spec that it was planned from, `suspend` aside: another spec supersedes the run,
    /// a suspension only pauses it.
    #[schemars(length(max = 80), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub policy_hash: String,
    /// The frozen plan: every value chosen, old values to be met.
    #[schemars(length(min = 1, max = 2000))]
    pub actions: Vec<RunAction>,
    /// `sha256:` and the hash over the actions.
    #[schemars(length(max = 80), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub plan_hash: String,
    /// What somebody decided about exactly these actions. Set once; covers no other run and raises no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Who decided: a claim, unless an admission policy compares it with the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 320))]
    pub decided_by: Option<String>,
}

/// A decision about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decision {
    /// It may be carried out.
    Approve,
    /// It is not carried out, and not proposed again while it concerns the same users.
    Deny,
}

/// Type of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunType {
    /// Additions and harmless updates.
    Connect,
    /// Whatever takes service away.
    Disconnect,
}

/// One action of the frozen plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunAction {
    /// `gotoUserKey` of the user.
    #[schemars(length(max = 20))]
    pub user: String,
    /// What is done.
    pub op: RunOperation,
    /// The chosen values.
    pub args: ActionArgs,
    /// The values that must still be found.
    pub expected: ActionExpected,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunOperation {
    /// Adds the pair to the connector; takes a connector license.
    Put,
    /// Gives back the calls that a run of this policy forbade.
    Enable,
    /// Forbids calls; the pair and its license stay.
    Disable,
    /// Forbids calls, then removes the pair; frees the connector license.
    Delete,
    /// For a GoTo user who was created again under another key: removes the pair as `Delete` does, then adds the same Microsoft
    /// user under the new key.
    Replace,
}

impl RunOperation {
    /// Whether the pair is removed from the connector.
    #[must_use]
    pub fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::Replace)
    }
}

/// Values of an action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionArgs {
    /// Entra object id of the Microsoft user; of `Delete`: the one with whom the user is connected once the old pair is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub teams_user_id: Option<String>,
    /// Telephone number in E.164 form; of `Delete`: the one that the user then has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub phone_number: Option<String>,
    /// Of `Replace`: the `gotoUserKey` under which the user was created again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub new_user: Option<String>,
}

/// What must still be so when an action begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ActionExpected {
    /// Whether the user is in the connector.
    pub in_connector: bool,
    /// Whether calls are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Entra object id of the paired Microsoft user.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub teams_user_id: Option<String>,
    /// Telephone number in the connector, in E.164 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub phone_number: Option<String>,
}

/// State of a run, for the column; the conditions are the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunState {
    /// Nothing of it is carried out before somebody decides.
    AwaitingApproval,
    /// Its writes are going on.
    Running,
    /// Every write was accepted.
    Applied,
    /// Some writes were accepted, the rest skipped or failed.
    PartiallyApplied,
    /// Too many writes failed, or all.
    Failed,
    /// Somebody denied it.
    Denied,
    /// Another plan took its place.
    Superseded,
}

/// Outcome of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UserSyncRunStatus {
    /// The five counters when it was planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
    /// For the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// How many actions ended how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<RunOutcome>,
    /// The failures, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<RunFailure>,
    /// Why the connector takes no writes at all, while it takes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<RunRefusal>,
    /// The decision, as it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<SeenDecision>,
    /// When the first write was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Generation that the status belongs to; -1: none yet.
    pub observed_generation: i64,
    /// `Complete` or `Failed` as a Job has; `Ready` for tools.
    pub conditions: Vec<Condition>,
}

/// A decision, as it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeenDecision {
    /// What was decided.
    pub value: Decision,
    /// Who decided, as claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was seen. A run that has not begun 72 hours later ends.
    pub seen_at: Time,
}

/// How many actions ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunOutcome {
    /// Accepted by the connector.
    pub applied: u32,
    /// No longer called for.
    pub skipped: u32,
    /// Refused.
    pub failed: u32,
    /// Still to do.
    pub remaining: u32,
}

/// Whole batches that were not answered, in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunRefusal {
    /// Why the newest one was not.
    pub reason: String,
    /// How many.
    pub count: u32,
    /// When the next one is sent, unless `requestedAt` asks for it earlier.
    pub next_attempt_time: Time,
}

/// One failed action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunFailure {
    /// `gotoUserKey` of the user.
    pub user: String,
    /// Reason, as on the user.
    pub reason: String,
    /// What to do next.
    pub message: String,
}

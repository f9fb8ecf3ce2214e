//! `TeamsConnectorUser`: one user of the PBX, the pinned pair of ids, and where that user stands.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MatchingRow, NameRef, RunOperation};

/// One user of the PBX: the pinned pair of ids and where the user stands. Written by the operator.
#[expect(clippy::duplicated_attributes, reason = "columns of a table have equal types")]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "teamsconnector.dev",
    version = "v1alpha1",
    kind = "TeamsConnectorUser",
    namespaced,
    status = "TeamsConnectorUserStatus",
    derive = "PartialEq",
    shortname = "tcu",
    selectable = ".status.state",
    selectable = ".status.reason",
    selectable = ".spec.policyRef.name",
    doc = "One user of the PBX: the pinned pair of ids and where the user stands. Written by the operator; deleting it disconnects nobody.",
    printcolumn(
        name = "User",
        type_ = "string",
        json_path = ".status.gotoEmail",
        description = "E-mail address in GoTo"
    ),
    printcolumn(
        name = "Extension",
        type_ = "string",
        json_path = ".status.extension",
        description = "Extension of the primary line"
    ),
    printcolumn(
        name = "Number",
        type_ = "string",
        json_path = ".status.phoneNumber.expected",
        description = "The number that the PBX routes to the user"
    ),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state", description = "Where the user stands"),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.reason",
        description = "The one reason; the message tells who does what next"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct TeamsConnectorUserSpec {
    /// The policy that cares for the user.
    pub policy_ref: NameRef,
    /// GoTo's stable key of the user.
    #[schemars(length(max = 20), regex(pattern = "^[0-9]{1,20}$"))]
    pub goto_user_key: String,
    /// The pin: Entra object id of the same person; absent while unmatched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub teams_user_id: Option<String>,
    /// How the pin was found; absent of a user who was adopted without a match: the pin is that of the pair in the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_by: Option<MatchedBy>,
    /// The row of `matching.manual` that the pin came from. It is resolved once: while the policy has it, it means this pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched_row: Option<MatchingRow>,
    /// Whether this policy may ever take service away from the user. Written before the connector is asked.
    #[serde(default)]
    pub managed: Managed,
    /// The run that takes service away from the user: set before the first call, cleared when the number is read back as gone or
    /// the calls are given back. Half a removal is finished or undone, never forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub leaving: Option<String>,
    /// The entry of the policy's `protectedUsers` that was found to mean this user; while the list has it, nothing is taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 320))]
    pub protected_by: Option<String>,
    /// When the pair was first seen; decides who gets the last license.
    pub first_seen: Time,
    /// Since when the user is no longer called for, by two complete readings: start of the grace period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmatched_since: Option<Time>,
}

/// How a pin was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchedBy {
    /// Equal addresses.
    Automatic,
    /// A row of the policy's `matching.manual`.
    Manual,
}

/// Whose user it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Managed {
    /// Nothing was done for the user.
    #[default]
    None,
    /// Added by this policy.
    Added,
    /// Found in the connector and taken over.
    Adopted,
}

/// Where the user stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TeamsConnectorUserStatus {
    /// E-mail address in GoTo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goto_email: Option<String>,
    /// Name in GoTo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Extension of the primary line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// UPN of the Microsoft user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams_user: Option<String>,
    /// Where the user stands, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<UserState>,
    /// The first stage that is not passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<UserStage>,
    /// The one reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do next, and who does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<PhoneNumberStatus>,
    /// Enterprise voice in Teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enterprise_voice: Option<bool>,
    /// SIP registration (guide step 31).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration: Option<RegistrationState>,
    /// The last change that a run made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_change: Option<LastChange>,
    /// Generation that the status belongs to; -1: none yet.
    pub observed_generation: i64,
    /// `Ready`.
    pub conditions: Vec<Condition>,
}

/// State of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum UserState {
    /// Number, voice and registration were read back.
    Connected,
    /// On the way.
    Pending,
    /// A human must change something first.
    Blocked,
    /// No connector license is left.
    Waiting,
    /// Connected, no longer called for; nothing is taken away yet.
    Retained,
    /// No longer called for; a run of this policy forbade the calls.
    Disabled,
    /// Service is being taken away.
    Removing,
    /// Service was taken away; kept for 30 days with the old values.
    Removed,
}

/// Stage of the funnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum UserStage {
    /// What GoTo knows of the user.
    Import,
    /// Whether the policy is about the user.
    Scope,
    /// The Microsoft user.
    Match,
    /// What the Microsoft user needs.
    Preflight,
    /// A connector license.
    License,
    /// A decision.
    Approval,
    /// Writes and push.
    Apply,
    /// Read-back.
    Verify,
    /// All passed.
    Done,
}

/// Telephone number of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PhoneNumberStatus {
    /// The number that the PBX routes to the user's primary extension.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The number that Teams has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

/// SIP registration of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegistrationState {
    /// Green.
    Registered,
    /// Refused.
    Failed,
    /// Switched off.
    Disabled,
    /// Not yet.
    Pending,
    /// No longer.
    Expired,
    /// Not known.
    Unknown,
}

/// The last change that a run made to the user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LastChange {
    /// Name of the run.
    pub run: String,
    /// What it did.
    pub action: RunOperation,
    /// When it was accepted.
    pub at: Time,
    /// What the connector had before, when service was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<PairValues>,
    /// What the connector has since, when something is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<PairValues>,
}

/// A pair, as the connector has it: enough to build it again by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PairValues {
    /// Entra object id of the Microsoft user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams_user_id: Option<String>,
    /// Telephone number in E.164 form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Whether calls are allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl LastChange {
    /// A change that took nothing away.
    #[must_use]
    pub fn new(run: &str, action: RunOperation, at: k8s_openapi::jiff::Timestamp) -> Self {
        Self { run: run.to_owned(), action, at: Time(at), before: None, after: None }
    }
}

//! Parts that several kinds share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Actor;

/// An object of the same namespace, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NameRef {
    /// Name of the object in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// One key of a Secret of the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SecretKeyRef {
    /// Name of the Secret in the same namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key inside the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// A PBX by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PbxRef {
    /// `organizationId` of the PBX, a GUID.
    #[schemars(length(max = 36), regex(pattern = GUID))]
    pub organization_id: String,
}

/// What a human must do now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingAction {
    /// Stable name of the action, such as `SignInForPush`.
    pub id: String,
    /// Who acts.
    pub actor: Actor,
    /// What to do, step by step, in the words of the vendor's guide.
    pub action: String,
    /// Where to click.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Since when it waits.
    pub since: Time,
    /// When the link stops working; a new one is requested by then while it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// Failures in a row, kept so that back-off survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Failures in a row.
    pub count: u32,
    /// Not tried again before this time, unless `requestedAt` asks for it.
    pub next_attempt_time: Time,
}

/// Steps of an account that failed, kept so that back-off survives a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepFailure {
    /// Failures in a row.
    pub count: u32,
    /// Not tried again before this time, unless `requestedAt` asks for it.
    pub next_attempt_time: Time,
    /// The conditions whose steps failed; the steps of others do not wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20), inner(length(max = 63)))]
    pub conditions: Vec<String>,
}

/// Pattern of a GUID.
pub(super) const GUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

//! `TeamsConnectorAccount`: one GoTo account joined to one Microsoft 365 tenant through the connector.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::GUID;
use super::{NameRef, PendingAction, Period, SecretKeyRef, StepFailure};

/// One GoTo account joined to one Microsoft 365 tenant through the Teams Connector.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "teamsconnector.dev",
    version = "v1alpha1",
    kind = "TeamsConnectorAccount",
    namespaced,
    status = "TeamsConnectorAccountStatus",
    derive = "PartialEq",
    shortname = "tca",
    category = "teamsconnector",
    doc = "One GoTo account joined to one Microsoft 365 tenant through the Teams Connector.",
    validation = Rule::new("size(self.metadata.name) <= 40").message("the name of an account has at most 40 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether the connector works and every policy may write"),
    printcolumn(name = "Waiting for", type_ = "string", json_path = ".status.waitingFor", description = "Who must do what now"),
    printcolumn(name = "Licenses", type_ = "string", json_path = ".status.licenses", description = "Connector licenses in use / bought"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Driver", type_ = "string", json_path = ".spec.connector.driver", priority = 1),
    printcolumn(name = "Tenant", type_ = "string", json_path = ".spec.microsoft365.tenantId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct TeamsConnectorAccountSpec {
    /// The GoTo account and how to log in to it.
    pub goto: GotoSpec,
    /// The PBXs that are to be bound to the connector, each named on purpose; none is ever bound by discovery (guide step 9).
    #[x_kube(merge_strategy = ListMerge::Map(vec!["organizationId".into()]))]
    #[schemars(length(min = 1, max = 20))]
    pub pbxs: Vec<PbxSpec>,
    /// The Microsoft 365 tenant and how to log in to it.
    pub microsoft365: Microsoft365Spec,
    /// How the connector is reached.
    pub connector: ConnectorSpec,
    /// The managing user of card 1 (guide step 11).
    pub manager: ManagerSpec,
    /// Further administrators of the connector, by address (guide step 14).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["email".into()]))]
    #[schemars(length(max = 50))]
    pub administrators: Vec<AdministratorSpec>,
    /// Removes administrators whom `administrators` does not list; the managing user and the last owner never are.
    #[serde(default)]
    pub prune_administrators: bool,
    /// The Direct Routing domains and their activation (guide steps 6 and 7).
    #[serde(default)]
    #[schemars(default = "DomainSpec::default")]
    pub domain: DomainSpec,
    /// How often the directories are read; the policies of the account share the reading. 1m to 24h.
    #[serde(default = "default_interval")]
    #[x_kube(validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('24h')").message("interval must be between 1m and 24h"))]
    pub interval: Period,
    /// Stops every external write and every reading; nothing is undone.
    #[serde(default)]
    pub suspend: bool,
}

/// The GoTo side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GotoSpec {
    /// Key of the GoTo account: up to 20 digits, in quotes. Cannot be changed: a second GoTo account is a second object.
    #[schemars(length(max = 20), regex(pattern = "^[0-9]{1,20}$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("accountKey cannot be changed: create a second account object instead"))]
    pub account_key: String,
    /// Secret with the keys `clientId`, `clientSecret` and `refreshToken` or `personalAccessToken` of a super admin.
    pub credentials_secret_ref: NameRef,
}

/// One PBX of the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PbxSpec {
    /// `organizationId` of the PBX, a GUID.
    #[schemars(length(max = 36), regex(pattern = GUID))]
    pub organization_id: String,
    /// Name for people; the operator only repeats it in messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub display_name: Option<String>,
}

/// The Microsoft side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Microsoft365Spec {
    /// Tenant id, a GUID, in the global cloud (also GCC). Cannot be changed.
    #[schemars(length(max = 36), regex(pattern = GUID))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("tenantId cannot be changed: create a second account object instead"))]
    pub tenant_id: String,
    /// How the operator logs in to Microsoft Graph; exactly one kind.
    pub credentials: MicrosoftCredentials,
}

/// How the operator logs in to Microsoft Graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.clientSecret)").message("exactly one kind of credentials is needed: set clientSecret"))]
pub struct MicrosoftCredentials {
    /// A client secret of the operator's app registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<ClientSecretCredentials>,
}

/// A client secret of an app registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecretCredentials {
    /// Application (client) id, a GUID.
    #[schemars(length(max = 36), regex(pattern = GUID))]
    pub client_id: String,
    /// Where the secret's value is.
    pub secret_ref: SecretKeyRef,
}

/// How the connector is reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.driver != 'Api' || has(self.api)").message("driver Api needs api.endpoint"))]
pub struct ConnectorSpec {
    /// `Api`: the connector's HTTP contract. Cannot be changed.
    #[x_kube(validation = Rule::new("self == oldSelf").message("driver cannot be changed: create a second account object instead"))]
    pub driver: Driver,
    /// For the driver `Api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ConnectorApi>,
}

/// Driver of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Driver {
    /// The HTTP contract that this project publishes.
    Api,
}

/// The connector's HTTP contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorApi {
    /// Base URL, https only; its host must be on the operator's allow list (`--connector-allowed-hosts`).
    #[schemars(length(max = 500), regex(pattern = "^https://[^\\s/?#@]+(/[^\\s?#]*)?$"))]
    pub endpoint: String,
    /// Secret with the key `token`; absent: the GoTo access token is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<NameRef>,
}

/// The managing user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagerSpec {
    /// Given name.
    #[schemars(length(min = 1, max = 100))]
    pub first_name: String,
    /// Family name.
    #[schemars(length(min = 1, max = 100))]
    pub last_name: String,
    /// E-mail address that the invitation goes to.
    #[schemars(length(max = 254), regex(pattern = "^[^@\\s]+@[^@\\s]+$"))]
    pub email: String,
}

/// The Direct Routing domains of the connector in the tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainSpec {
    /// How they are activated.
    #[serde(default)]
    #[schemars(default = "ActivationSpec::default")]
    pub activation: ActivationSpec,
}

/// How a domain is activated: it is verified in the tenant, then a licensed user in it is waited for, up to 24 hours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActivationSpec {
    /// Who adds and verifies the domain, makes the temporary user and removes it: the operator, by Microsoft Graph, or the connector.
    #[serde(default)]
    pub managed_by: DomainManager,
    /// Country of the temporary user, ISO 3166-1 alpha-2; Microsoft gives no license without it. Needed with `Operator` until every
    /// domain is activated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2), regex(pattern = "^[A-Z]{2}$"))]
    pub usage_location: Option<String>,
    /// The product whose spare license the temporary user gets, such as `ENTERPRISEPACK`; absent: any with Teams for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub sku_part_number: Option<String>,
}

/// Who manages the domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DomainManager {
    /// The operator, by Microsoft Graph.
    #[default]
    Operator,
    /// The connector; the operator watches.
    Connector,
}

/// A further administrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorSpec {
    /// E-mail address that the invitation goes to.
    #[schemars(length(max = 254), regex(pattern = "^[^@\\s]+@[^@\\s]+$"))]
    pub email: String,
    /// What the administrator may do in the connector.
    pub role: AdministratorRole,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub last_name: Option<String>,
}

/// Role of an administrator of the connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AdministratorRole {
    /// Owns the connector's account.
    Owner,
    /// Changes everything but the owners.
    Administrator,
    /// Synchronizes users.
    SyncOperator,
    /// Looks on.
    Viewer,
}

impl AdministratorRole {
    /// The role as the connector calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Administrator => "Administrator",
            Self::SyncOperator => "SyncOperator",
            Self::Viewer => "Viewer",
        }
    }
}

/// What the operator observed of the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TeamsConnectorAccountStatus {
    /// One line: who must do what now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// What humans must do now, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending_actions: Vec<PendingAction>,
    /// Connector licenses in use / bought, over all PBXs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licenses: Option<String>,
    /// Each PBX of the spec.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pbxs: Vec<PbxStatus>,
    /// The invitation of the managing user (guide steps 12 and 13).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitation: Option<InvitationStatus>,
    /// The administrators of the spec (guide step 14).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub administrators: Vec<AdministratorStatus>,
    /// Application permissions of the operator's own app registration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<PermissionStatus>,
    /// Consents of the connector (guide step 18).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<ConsentStatus>,
    /// Direct Routing domains of the connector in the tenant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainStatus>,
    /// Microsoft seats, by service plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microsoft_licenses: Option<MicrosoftLicenses>,
    /// Tenant to connector (guide step 19).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_import: Option<DirectoryImportStatus>,
    /// Connector to tenant (guide step 30).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_push: Option<TenantPushStatus>,
    /// The sources of the newest reading.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceStatus>,
    /// The last value of the annotation `teamsconnector.dev/requestedAt` that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// The last value of the annotation `teamsconnector.dev/resendInvitation` that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_resend: Option<String>,
    /// Failures in a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<StepFailure>,
    /// Generation of the spec that the status belongs to; -1: none yet.
    pub observed_generation: i64,
    /// Conditions; `Ready` is the summary.
    pub conditions: Vec<Condition>,
}

/// One PBX.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PbxStatus {
    /// `organizationId` of the PBX.
    pub organization_id: String,
    /// Whether it is bound to the connector.
    pub bound: bool,
    /// The policy that manages its users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Connector licenses bought for the PBX.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licenses_total: Option<u32>,
    /// Connector licenses in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licenses_in_use: Option<u32>,
    /// Users of the PBX in the connector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Card 4 (guide step 20).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerificationStatus>,
}

/// Verification of the connection; it holds while it is newer than the consent and the binding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerificationStatus {
    /// `Running`, `Verified`, `Failed` or `Outdated`.
    pub state: String,
    /// When it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
}

/// The invitation of the managing user.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationStatus {
    /// `NotSent`, `Sent`, `Accepted` or `Expired`.
    pub state: String,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Time>,
    /// When its link stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

/// One administrator of the spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdministratorStatus {
    /// Address, as the spec writes it.
    pub email: String,
    /// Role at the connector; absent: not added yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// `NotInvited`, `Invited`, `Active` or `Expired`.
    pub state: String,
}

/// One permission that the operator or the connector needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PermissionStatus {
    /// Name, as Microsoft or GoTo call it.
    pub name: String,
    /// What it is needed for.
    pub reason: String,
    /// Whether it is given.
    pub granted: bool,
}

/// One consent of the connector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsentStatus {
    /// Group of permissions: one pop-up of the guide.
    pub group: String,
    /// `NotRequested`, `Pending`, `Granted` or `Revoked`.
    pub state: String,
    /// What is consented to, and what for.
    pub permissions: Vec<PermissionStatus>,
    /// Who granted it, as the connector tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<String>,
    /// When it was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<Time>,
    /// Where the Global Administrator grants it, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// When the link stops working; it is renewed while it is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Time>,
}

/// One Direct Routing domain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DomainStatus {
    /// Fully qualified name.
    pub name: String,
    /// `Reserved`, `Published`, `Verified`, `Activating`, `Activated` or `Failed`.
    pub state: String,
    /// Since when it has been seen in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Object id of the temporary user in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary_user_id: Option<String>,
}

/// Microsoft seats by service plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MicrosoftLicenses {
    /// Seats with Phone System.
    pub phone_system_total: u32,
    /// Of these in use.
    pub phone_system_in_use: u32,
    /// Free seats of products that the temporary user can have.
    #[serde(default)]
    pub spare_seats: u32,
}

/// Directory import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryImportStatus {
    /// `UpToDate`, `ChangesQueued`, `Syncing`, `Warning` or `Failed`.
    pub state: String,
    /// Users that the last successful import saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_discovered: Option<u64>,
}

/// Push to the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TenantPushStatus {
    /// `UpToDate`, `ChangesQueued`, `Syncing`, `Warning` or `Failed`.
    pub state: String,
    /// Since when changes wait for a push.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_since: Option<Time>,
    /// The Global Administrator's sign-in, while changes wait for it: `NotRequired`, `NotRequested`, `Pending`, `Granted` or
    /// `Expired`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
}

/// One source of the reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Name of the source.
    pub name: String,
    /// Items of the newest complete reading.
    pub items: u64,
    /// Whether the newest reading was complete.
    pub complete: bool,
    /// Why it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

fn default_interval() -> Period {
    Period::minutes(10)
}

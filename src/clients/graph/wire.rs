//! What Entra's token endpoint and Microsoft Graph send and receive. Shared by the client and the simulator.

use serde::{Deserialize, Serialize};

use crate::domain::EntraObjectId;

/// Answer of the token endpoint.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenReply {
    /// `Bearer`.
    pub token_type: String,
    /// Life in seconds.
    pub expires_in: u64,
    /// Bearer token of Graph; opaque, never parsed.
    pub access_token: String,
}

/// Error of the token endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenError {
    /// `invalid_client`, `temporarily_unavailable`, …
    pub error: String,
    /// Text that begins with the AADSTS number.
    #[serde(default)]
    pub error_description: String,
    /// AADSTS numbers: a hint on top of a safe default.
    #[serde(default)]
    pub error_codes: Vec<u64>,
}

/// Error body of Graph.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorDetail,
}

/// The error in [`ErrorBody`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    /// What to branch on, besides the status.
    pub code: String,
    /// Diagnosis only.
    #[serde(default)]
    pub message: String,
    /// More precise codes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<ErrorDetail>,
    /// Nested error.
    #[serde(default, alias = "innererror", skip_serializing_if = "Option::is_none")]
    pub inner_error: Option<serde_json::Value>,
}

/// A page of any Graph listing, delta included.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items; may be empty although more follows.
    pub value: Vec<T>,
    /// Followed verbatim.
    #[serde(rename = "@odata.nextLink", default, skip_serializing_if = "Option::is_none")]
    pub next_link: Option<String>,
    /// The end of a delta round, and the start of the next.
    #[serde(rename = "@odata.deltaLink", default, skip_serializing_if = "Option::is_none")]
    pub delta_link: Option<String>,
    /// On the first page only, and only when asked for.
    #[serde(rename = "@odata.count", default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}

/// A user as `users/delta` sends it: the selected properties, or only a mark that it is gone.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Object id.
    pub id: EntraObjectId,
    /// Present when the user is gone.
    #[serde(rename = "@removed", default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Removed>,
    /// UPN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_principal_name: Option<String>,
    /// Mail address; may be absent and may differ from the UPN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// False: signing in is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_enabled: Option<bool>,
    /// `Member` or `Guest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// Country of use, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_location: Option<String>,
    /// Service plans: these decide what a user can do, never the SKU's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_plans: Option<Vec<AssignedPlan>>,
}

/// Why a user is gone from a delta round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Removed {
    /// `changed`: soft-deleted and restorable; `deleted`: for good.
    pub reason: String,
}

/// A service plan of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedPlan {
    /// `Enabled`, `Warning`, `Suspended`, `Deleted`, `LockedOut`.
    pub capability_status: String,
    /// Name of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Which plan.
    pub service_plan_id: EntraObjectId,
}

/// A subscription of the tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribedSku {
    /// Which product.
    pub sku_id: EntraObjectId,
    /// Its short name, for people.
    pub sku_part_number: String,
    /// `Enabled` and `Warning` are usable.
    pub capability_status: String,
    /// Seats in use.
    pub consumed_units: i64,
    /// Seats bought.
    pub prepaid_units: PrepaidUnits,
    /// Plans inside the product.
    #[serde(default)]
    pub service_plans: Vec<SkuPlan>,
}

/// Seats of a [`SubscribedSku`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PrepaidUnits {
    /// Usable seats.
    pub enabled: i64,
    /// Seats in the grace period after expiry, still usable.
    #[serde(default)]
    pub warning: i64,
}

/// A plan inside a [`SubscribedSku`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SkuPlan {
    /// Which plan.
    pub service_plan_id: EntraObjectId,
    /// Its name.
    #[serde(default)]
    pub service_plan_name: String,
}

/// A telephone number of the tenant.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NumberAssignment {
    /// Opaque id.
    pub id: String,
    /// In E.164 form.
    pub telephone_number: String,
    /// `directRouting`, `callingPlan`, `operatorConnect`, …
    pub number_type: String,
    /// `activated`, `assignmentPending`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation_state: Option<String>,
    /// Who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_target_id: Option<EntraObjectId>,
    /// `primary`, `private`, `alternate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_category: Option<String>,
    /// `unassigned`, `userAssigned`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_status: Option<String>,
    /// `online` or `onPremises`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_source: Option<String>,
}

/// Voice state of a user in Teams. A newly licensed user is absent until Teams has provisioned it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserConfiguration {
    /// Object id of the user.
    pub id: EntraObjectId,
    /// `user`, `resourceAccount`, `guest`, `sfbOnPremUser`, `ineligibleUser`, `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_type: Option<String>,
    /// Enterprise voice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enterprise_voice_enabled: Option<bool>,
    /// Open list, such as `Teams`, `PhoneSystem`.
    #[serde(default)]
    pub feature_types: Vec<String>,
    /// Numbers of the user.
    #[serde(default)]
    pub telephone_numbers: Vec<UserTelephoneNumber>,
}

/// A number in a [`UserConfiguration`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserTelephoneNumber {
    /// In E.164 form.
    pub telephone_number: String,
    /// `primary`, `private`, `alternate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment_category: Option<String>,
}

/// An application in the tenant.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipal {
    /// Object id.
    pub id: EntraObjectId,
    /// Application (client) id.
    pub app_id: EntraObjectId,
}

/// A consented application permission.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppRoleAssignment {
    /// Which permission.
    pub app_role_id: EntraObjectId,
    /// Of which resource: Graph's service principal here.
    pub resource_id: EntraObjectId,
}

/// A domain of the tenant [graph.md, 6.1].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// Fully qualified name.
    pub id: String,
    /// Whether the tenant has proved that it owns it.
    pub is_verified: bool,
}

/// A record that proves ownership [graph.md, 6.3].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsRecord {
    /// `Txt` or `Mx`.
    pub record_type: String,
    /// Text of a TXT record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Body of `POST /domains`.
#[derive(Debug, Clone, Serialize)]
pub struct NewDomain {
    /// Fully qualified name.
    pub id: String,
}

/// A user by UPN, with the licenses that were assigned to it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetUpUser {
    /// Object id.
    pub id: EntraObjectId,
    /// Name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Products.
    #[serde(default)]
    pub assigned_licenses: Vec<AssignedLicense>,
}

/// A product of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignedLicense {
    /// Which product.
    pub sku_id: EntraObjectId,
}

/// Body of `POST /users` [graph.md, 7.1].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewUser {
    /// Whether signing in is allowed.
    pub account_enabled: bool,
    /// Name.
    pub display_name: String,
    /// Mail alias.
    pub mail_nickname: String,
    /// UPN.
    pub user_principal_name: String,
    /// Country of use, ISO 3166-1 alpha-2.
    pub usage_location: String,
    /// The first password.
    pub password_profile: PasswordProfile,
}

/// The first password of a [`NewUser`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordProfile {
    /// Whether it must be changed.
    pub force_change_password_next_sign_in: bool,
    /// The password; it is kept nowhere.
    pub password: String,
}

/// Body of `POST /users/{id}/assignLicense` [graph.md, 7.2].
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AssignLicense {
    /// Products to give.
    pub add_licenses: Vec<AddedLicense>,
    /// Products to take.
    pub remove_licenses: Vec<EntraObjectId>,
}

/// A product that is given.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddedLicense {
    /// Which product.
    pub sku_id: EntraObjectId,
    /// Plans of it that are left out.
    pub disabled_plans: Vec<EntraObjectId>,
}

//! What GoTo's APIs send and receive. Shared by the client and the simulator, so a renamed field breaks both.
//! Unknown fields of answers are ignored; every field that is not called required in the contract is optional.

use serde::{Deserialize, Serialize};

use crate::domain::{AccountKey, OrganizationId, UserKey};

/// Answer of `POST /oauth/token`. A refresh normally brings no new refresh token and no `token_type`.
#[derive(Clone, Serialize, Deserialize)]
pub struct TokenReply {
    /// Bearer token of the APIs.
    pub access_token: String,
    /// `Bearer`; absent in the published example of a refresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Life in seconds.
    pub expires_in: u64,
    /// A rotated refresh token: to be stored before the access token is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Granted scopes, separated by spaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// E-mail address of the user that the token acts as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Level of assurance; only in answers to a personal access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loa: Option<u32>,
}

/// Error of the token endpoint (RFC 6749, 5.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenError {
    /// `invalid_client`, `invalid_grant`, …: decides the class.
    pub error: String,
    /// Text for humans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

/// Error body of `api.goto.com` and, shorter, of `api.getgo.com`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// `AUTHN_EXPIRED_TOKEN`, `AUTHZ_INSUFFICIENT_SCOPE`, `NOT_FOUND`, …
    pub error_code: String,
    /// Text for humans.
    #[serde(default)]
    pub message: String,
    /// What vendor support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// `GET /admin/rest/v1/me`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Me {
    /// The default account of the token's user.
    pub account_key: AccountKey,
    /// Every account that the token's user may administer.
    #[serde(default)]
    pub accounts: Vec<MeAccount>,
}

/// One account of [`Me`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MeAccount {
    /// Its `accountKey`.
    pub key: AccountKey,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A page of the Admin API; `to_index` is inclusive.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminPage<T> {
    /// The items; a page that lacks the field was cut short.
    pub results: Vec<T>,
    /// Index of the first item.
    pub from_index: u64,
    /// Index of the last item.
    pub to_index: u64,
    /// Number of items in the whole list.
    pub total: u64,
}

/// A user of the Admin API.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdminUser {
    /// Stable key, equal to `userKey` of users/v1.
    pub key: UserKey,
    /// Log-in address; pseudo-users of desk telephones have one under `devices.logmein.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// `SUPER_USER`, `MANAGE_ACCOUNT`, …; absent means unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_roles: Option<Vec<String>>,
}

/// A page of `api.goto.com`; the marker is there only if more follows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MarkerPage<T> {
    /// The items.
    pub items: Vec<T>,
    /// To be sent back verbatim as `pageMarker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_marker: Option<String>,
}

/// The lines of one user (users/v1). No e-mail address is in it: join by key.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserLines {
    /// The user.
    pub user_key: UserKey,
    /// Empty for a user who has no line; an answer without it tells nothing.
    pub lines: Vec<Line>,
}

/// One line of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// Id of the line; not known to equal the id of the extension.
    pub id: String,
    /// Name shown on telephones.
    #[serde(default)]
    pub name: String,
    /// The extension's number: the join to [`Extension`].
    pub number: String,
    /// Whether it is the user's primary line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
    /// The PBX.
    pub organization: Organization,
}

/// The PBX that a line belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Organization {
    /// `organizationId`.
    pub id: OrganizationId,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// A telephone number (voice-admin).
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PhoneNumber {
    /// Id of the number.
    pub id: String,
    /// The PBX.
    pub organization_id: OrganizationId,
    /// In E.164 form, as the vendor writes it.
    pub number: String,
    /// Where calls go; absent: unassigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_to: Option<RouteTo>,
    /// `ACTIVE` or another word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

/// Target of a telephone number.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RouteTo {
    /// Id of the extension when `kind` is `EXTENSION`.
    pub id: String,
    /// `EXTENSION` or another word.
    #[serde(rename = "type")]
    pub kind: String,
}

/// An extension (voice-admin).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extension {
    /// Id, the target of [`RouteTo`].
    pub id: String,
    /// The PBX.
    pub organization_id: OrganizationId,
    /// Short number.
    pub number: String,
    /// Name.
    #[serde(default)]
    pub name: String,
    /// `DIRECT_EXTENSION`, `DIAL_PLAN`, …
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

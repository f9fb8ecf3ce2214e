//! The connector's contract: the project's own API for what the vendor's dashboard does by hand.
//! Shared by the client and the simulator. Requests refuse unknown fields, answers ignore them.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{EntraObjectId, OrganizationId, UserKey};

/// Error body of every call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody {
    /// `NoLicense`, `TeamsUserNotImported`, `SignInRequired`, …
    pub error_code: String,
    /// Text for humans.
    #[serde(default)]
    pub message: String,
    /// What support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// A page of any listing; the number of items over all pages must equal `total`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Number of items in the whole list.
    pub total: u64,
    /// To be sent back as `pageMarker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_page_marker: Option<String>,
}

/// `GET P/entitlement`: what was bought for one PBX (guide step 1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entitlement {
    /// Whether the integration is active.
    pub active: bool,
    /// Connector licenses bought.
    pub licenses_total: u32,
    /// Connector licenses in use.
    pub licenses_in_use: u32,
}

/// `GET A`: the account record of card 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRecord {
    /// The managing user.
    pub manager: Manager,
    /// The invitation to the managing user.
    pub invitation: Invitation,
    /// The bound PBXs.
    pub pbxs: Vec<BoundPbx>,
}

/// The managing user (guide step 11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manager {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Address that the invitation goes to.
    pub email: String,
}

/// The invitation (guide steps 12 and 13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invitation {
    /// Where it stands.
    pub state: InvitationState,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Until when its link works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// State of an [`Invitation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvitationState {
    /// Nothing was sent yet.
    NotSent,
    /// The mail is out.
    Sent,
    /// The link was opened.
    Accepted,
    /// The link is no longer valid.
    Expired,
}

/// A bound PBX in [`AccountRecord`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BoundPbx {
    /// Which PBX.
    pub organization_id: OrganizationId,
    /// Since when.
    pub bound_at: Timestamp,
}

/// `GET A/administrators`: a further administrator (guide step 14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Administrator {
    /// Address.
    pub email: String,
    /// `Owner`, `Administrator`, `SyncOperator` or `Viewer`.
    pub role: String,
    /// Where the invitation stands.
    pub state: InvitationState,
    /// When it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invited_at: Option<Timestamp>,
    /// Until when its link works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Body of `PUT A/administrators/{email}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutAdministrator {
    /// Given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Role.
    pub role: String,
}

/// Body of `PUT A/domains/{name}/verification`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutDomainText {
    /// Text of the TXT record.
    pub text: String,
}

/// Body of `PUT A`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutAccount {
    /// The managing user.
    pub manager: Manager,
}

/// Body of `PATCH P/services/teams`: a switch that is left out stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatchServices {
    /// Enable Sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_enabled: Option<bool>,
    /// Enable Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// `GET P/services/teams`: the two switches (guide step 17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeamsService {
    /// Enable Sync.
    pub sync_enabled: bool,
    /// Enable Service.
    pub enabled: bool,
}

/// One group of permissions that the connector asks consent for (guide step 18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Consent {
    /// Name of the group: one pop-up of the guide.
    pub group: String,
    /// Where it stands.
    pub state: ConsentState,
    /// What is consented to.
    pub permissions: Vec<ConsentPermission>,
    /// Who granted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<Timestamp>,
    /// Where the Global Administrator grants it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Until when the link works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Timestamp>,
}

/// State of a [`Consent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ConsentState {
    /// No link was asked for.
    NotRequested,
    /// A link waits for the Global Administrator.
    Pending,
    /// Given.
    Granted,
    /// Taken back.
    Revoked,
}

/// One permission of a [`Consent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentPermission {
    /// Name of the permission.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub reason: String,
    /// Whether it is given.
    pub granted: bool,
}

/// A domain that the connector allots to the tenant for Direct Routing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Domain {
    /// Fully qualified name.
    pub name: String,
    /// Where it stands; the only public sign of activation.
    pub state: DomainState,
    /// Temporary users that exist in it now.
    #[serde(default)]
    pub temporary_users: Vec<String>,
}

/// State of a [`Domain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DomainState {
    /// Allotted.
    Reserved,
    /// The TXT record is published.
    Published,
    /// Microsoft accepted it.
    Verified,
    /// Waiting for Microsoft, up to 24 h.
    Activating,
    /// Ready for calls.
    Activated,
    /// Refused.
    Failed,
}

/// Kind of a synchronization of the connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncKind {
    /// Directory import: tenant to connector (guide step 19).
    Directory,
    /// Push: connector to tenant (guide step 30).
    Push,
}

/// `POST A/syncs`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StartSync {
    /// Which of the two.
    pub kind: SyncKind,
    /// The PBX of a directory import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<OrganizationId>,
}

/// One directory import or push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sync {
    /// Opaque id.
    pub id: String,
    /// Which of the two.
    pub kind: SyncKind,
    /// Where it stands.
    pub state: SyncStatus,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What was seen or changed.
    #[serde(default)]
    pub counts: SyncCounts,
}

/// State of a [`Sync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncStatus {
    /// Accepted.
    Queued,
    /// Working.
    Running,
    /// Done.
    Succeeded,
    /// Done, some users failed.
    Warning,
    /// Not done.
    Failed,
}

/// Counts of a [`Sync`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncCounts {
    /// Users seen.
    pub users: u64,
    /// Users that failed.
    pub failed: u64,
}

/// Outcome of a push for one user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncResult {
    /// The user.
    pub goto_user_key: UserKey,
    /// How it went.
    pub outcome: SyncOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// Text for humans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// How a push went for one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncOutcome {
    /// Number, voice and application were set in the tenant.
    Applied,
    /// Nothing was to do.
    Unchanged,
    /// See `errorCode`.
    Failed,
}

/// `GET A/sync-state`: the ticks beside Sync Now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncState {
    /// Tenant to connector.
    pub directory: SyncSide,
    /// Connector to tenant.
    pub push: SyncSide,
}

/// One side of [`SyncState`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncSide {
    /// The tick.
    pub state: SyncTick,
    /// Since when changes wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes_since: Option<Timestamp>,
}

/// The tick of a [`SyncSide`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SyncTick {
    /// Green.
    UpToDate,
    /// Changes wait for a run.
    ChangesQueued,
    /// A run is working.
    Syncing,
    /// The last run had failures for some users.
    Warning,
    /// The last run failed.
    Failed,
}

/// `GET A/push-authorization`: the Global Administrator's second sign-in (guide step 30).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PushAuthorization {
    /// Where it stands.
    pub state: PushAuthorizationState,
    /// Where to sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// While `Pending`: until when the link works. While `Granted`: until when a push may start; absent when it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// State of a [`PushAuthorization`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PushAuthorizationState {
    /// The connector wants none.
    NotRequired,
    /// No link was asked for.
    NotRequested,
    /// A link waits for the Global Administrator.
    Pending,
    /// A push may start.
    Granted,
    /// The link or the grant is no longer valid.
    Expired,
}

/// `GET P/verifications/latest`: card 4 (guide step 20).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// How it stands.
    pub state: VerificationState,
    /// What was checked.
    #[serde(default)]
    pub checks: Vec<VerificationCheck>,
    /// When it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
}

/// State of a [`Verification`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VerificationState {
    /// Working.
    Running,
    /// Passed.
    Verified,
    /// See `checks`.
    Failed,
}

/// One check of a [`Verification`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationCheck {
    /// What was checked.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// Text for humans.
    #[serde(default)]
    pub message: String,
}

/// `GET P/candidates`: the PBX setting that no public API shows (guide step 4).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The user.
    pub goto_user_key: UserKey,
    /// True: the user cannot be connected.
    pub secure_calling: bool,
}

/// A user in the connector.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectorUser {
    /// The GoTo side of the pair.
    pub goto_user_key: UserKey,
    /// The Microsoft side of the pair.
    pub teams_user_id: EntraObjectId,
    /// Who added the user; set by the operator on those it adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Address that the dashboard shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Number that a push assigns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Whether calls may be made.
    pub enabled: bool,
    /// Whether a connector license is taken.
    pub licensed: bool,
    /// SIP registration (guide step 31).
    pub registration: Registration,
    /// Version for `If-Match`.
    pub etag: String,
    /// Last change of the pair in the connector.
    pub updated_at: Timestamp,
}

/// SIP registration of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Registration {
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
    /// Not known, or a word that this version does not know.
    #[serde(other)]
    Unknown,
}

/// `PUT P/users/{gotoUserKey}`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutUser {
    /// The Microsoft side of the pair.
    pub teams_user_id: EntraObjectId,
    /// Who adds the user.
    pub external_id: String,
    /// Number to be assigned; absent: the connector chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
}

/// `POST P/users:batch`, at most 25 operations, each on its own.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// What to do.
    pub operations: Vec<BatchOperation>,
}

/// One operation of a [`BatchRequest`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchOperation {
    /// Finds the result again.
    pub id: String,
    /// What to do.
    pub method: BatchMethod,
    /// For whom.
    pub goto_user_key: UserKey,
    /// Only if the user still has this etag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// Body of `Put`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<PutUser>,
}

/// Method of a [`BatchOperation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BatchMethod {
    /// Add, or confirm the same pair.
    Put,
    /// Allow calls.
    Enable,
    /// Forbid calls.
    Disable,
    /// Remove; only after `Disable`.
    Delete,
}

/// Answer to a [`BatchRequest`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchReply {
    /// One for each operation, in any order.
    pub results: Vec<BatchResult>,
}

/// One result of a [`BatchReply`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BatchResult {
    /// Of which operation.
    pub id: String,
    /// HTTP status of that operation.
    pub status: u16,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorBody>,
}

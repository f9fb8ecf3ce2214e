//! The connector of one GoTo account: what its dashboard's cards hold.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clients::connector::wire;
use crate::domain::{EntraObjectId, OrganizationId, UserKey};

/// The connector of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Connector {
    /// The connector's own bearer tokens, beside GoTo's.
    pub tokens: BTreeSet<String>,
    /// Card 1; absent until it is filled in.
    pub record: Option<Record>,
    /// Further administrators by address.
    pub administrators: BTreeMap<String, Administrator>,
    /// Every PBX of the account for which something is known; bound or not.
    pub pbxs: BTreeMap<OrganizationId, Pbx>,
    /// The two consent groups.
    pub consents: Vec<ConsentGroup>,
    /// Domains that were allotted.
    pub domains: BTreeMap<String, DomainRecord>,
    /// Users of the tenant as the last successful directory import saw them.
    pub imported: BTreeMap<EntraObjectId, ImportedUser>,
    /// Version of the tenant at the last successful directory import.
    pub imported_version: u64,
    /// Directory imports and pushes, oldest first.
    pub runs: Vec<Run>,
    /// Runs so far: the next id.
    pub run_count: u64,
    /// Sign-in for pushes.
    pub push_authorization: Authorization,
    /// Links that wait for a human, by the token in them.
    pub links: BTreeMap<String, Link>,
    /// Number of the last change of a pair.
    pub revision: u64,
    /// Pairs that were put, those that were there already included.
    #[serde(default)]
    pub puts: u64,
    /// Users that were removed and still have something in the tenant, or whose removal no push has carried yet.
    pub removed: Vec<RemovedPair>,
    /// Answers to POSTs by route and idempotency key.
    pub answers: BTreeMap<String, Answer>,
}

/// Card 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The managing user.
    pub manager: wire::Manager,
    /// The last invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Sent>,
}

/// A mail with a link that is out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sent {
    /// When it was sent.
    pub sent_at: Timestamp,
    /// Until when its link works.
    pub expires_at: Timestamp,
    /// When it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Timestamp>,
}

/// A further administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Administrator {
    /// Given name.
    #[serde(default)]
    pub first_name: String,
    /// Family name.
    #[serde(default)]
    pub last_name: String,
    /// `Owner`, `Administrator`, …
    pub role: String,
    /// The last invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invitation: Option<Sent>,
}

/// One PBX in the connector.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Pbx {
    /// What was bought; absent: the integration is not visible for this PBX.
    pub entitlement: Option<Bought>,
    /// Licenses that were bought while the integration is not visible.
    pub licenses_hidden: u32,
    /// Since when it is bound; absent: it is not.
    pub bound_at: Option<Timestamp>,
    /// The switch Enable Sync.
    pub sync_enabled: bool,
    /// The switch Enable Service.
    pub service_enabled: bool,
    /// Users with secure calling switched on.
    pub secure_calling: BTreeSet<UserKey>,
    /// Connected users.
    pub users: BTreeMap<UserKey, Pair>,
    /// When the licenses of removed users become free.
    pub releasing: Vec<Timestamp>,
    /// The last verification.
    pub verification: Option<VerificationRun>,
    /// Whether the next verification finds no connection.
    pub next_verification_fails: bool,
}

/// The entitlement of one PBX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bought {
    /// Whether the integration is active.
    pub active: bool,
    /// Connector licenses bought.
    pub licenses_total: u32,
}

/// A connected user: it holds a license until it is removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pair {
    /// The Microsoft side.
    pub teams_user: EntraObjectId,
    /// Who added it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Number that a push assigns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Whether calls may be made.
    pub enabled: bool,
    /// Number of its last change: its etag.
    pub revision: u64,
    /// When it was added.
    pub added_at: Timestamp,
    /// Its last change.
    pub updated_at: Timestamp,
    /// The number that a push gave to the Teams user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<String>,
    /// When its registration turns green; absent: no push carried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<Timestamp>,
    /// The address that the GoTo user had, once GoTo no longer knows the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_email: Option<String>,
}

/// What is left of a removed user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemovedPair {
    /// The GoTo side.
    pub goto_user: UserKey,
    /// The Microsoft side.
    pub teams_user: EntraObjectId,
    /// The number that a push gave to the Teams user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<String>,
    /// Number of the change that removed it.
    pub revision: u64,
    /// When.
    pub removed_at: Timestamp,
}

/// One group of permissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentGroup {
    /// Its name.
    pub group: String,
    /// Permissions and what each is for.
    pub permissions: BTreeMap<String, String>,
    /// Where it stands.
    pub state: wire::ConsentState,
    /// Who granted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<Timestamp>,
    /// Token of the newest link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

/// A domain that was allotted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DomainRecord {
    /// Where it stands.
    pub state: wire::DomainState,
    /// The published TXT text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// When the clock of the activation began; set while `Activating`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activating_since: Option<Timestamp>,
    /// When Microsoft has activated it; set while `Activating`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activates_at: Option<Timestamp>,
    /// When a connector that manages its domains looks whether DNS shows the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifies_at: Option<Timestamp>,
    /// The temporary user that the connector itself made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_user: Option<EntraObjectId>,
}

impl DomainRecord {
    /// A domain in this state, of which nothing else is known.
    pub fn new(state: wire::DomainState) -> Self {
        Self { state, text: None, activating_since: None, activates_at: None, verifies_at: None, own_user: None }
    }
}

/// A user of the tenant as a directory import saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImportedUser {
    /// Its UPN then.
    pub user_principal_name: String,
    /// Its mail address then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
}

/// A directory import or a push.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// Opaque id.
    pub id: String,
    /// Which of the two.
    pub kind: wire::SyncKind,
    /// The PBX of a directory import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// When it begins to work.
    pub works_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Its end; absent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<wire::SyncStatus>,
    /// Changes of pairs up to this number are carried by a push.
    #[serde(default)]
    pub revision: u64,
    /// Users seen or carried.
    #[serde(default)]
    pub users: u64,
    /// Outcome per user of a push.
    #[serde(default)]
    pub results: BTreeMap<UserKey, Outcome>,
}

/// How a push went for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Outcome {
    /// The word.
    pub outcome: wire::SyncOutcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
}

/// The Global Administrator's sign-in for pushes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Authorization {
    /// True: the connector has stored what it needs, nobody must sign in.
    pub not_required: bool,
    /// Until when a push may start after the last sign-in.
    pub valid_until: Option<Timestamp>,
    /// Token of the newest link.
    pub link: Option<String>,
}

/// A link that a human follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// What the click does.
    pub purpose: Purpose,
    /// When it was made.
    pub made_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// When it was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
}

/// What a [`Link`] is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Purpose {
    /// The managing user accepts.
    Invitation,
    /// A further administrator accepts.
    Administrator {
        /// Whose invitation.
        email: String,
    },
    /// The Global Administrator grants a group.
    Consent {
        /// Which one.
        group: String,
    },
    /// The Global Administrator signs in for pushes.
    PushSignIn,
}

/// A verification (card 4).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationRun {
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Whether the end has come and the checks are filled in.
    pub ended: bool,
    /// What was checked.
    #[serde(default)]
    pub checks: Vec<wire::VerificationCheck>,
}

/// The first answer to a POST that carried an idempotency key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// When it was given.
    pub at: Timestamp,
    /// Its HTTP status.
    pub status: u16,
    /// Its `Location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Its body.
    pub body: serde_json::Value,
}

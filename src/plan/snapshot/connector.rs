//! What the connector says.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::Permission;
use crate::api::RegistrationState;
use crate::domain::{Address, E164, EntraObjectId, OrganizationId, UserKey};

/// The account record of the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The managing user.
    pub manager: Manager,
    /// The invitation.
    pub invitation: Invitation,
    /// Bound PBXs and since when.
    pub bound: BTreeMap<OrganizationId, Timestamp>,
}

impl AccountRecord {
    /// Whether the managing user accepted: from then on the connector keeps that person.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.invitation.state == InvitationState::Accepted
    }
}

/// The managing user of card 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Address as it is written.
    pub email: String,
}

impl Manager {
    /// The address in comparable form, if it is one.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.email.parse().ok()
    }

    /// Whether both name the same person in the same way.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        let names = |it: &Self| (it.first_name.clone(), it.last_name.clone(), it.address());
        self.address().is_some() && names(self) == names(other)
    }
}

/// A further administrator of the connector (guide step 14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Administrator {
    /// Address as the connector writes it; part of the URLs about the administrator.
    pub email: String,
    /// Role, as the connector calls it.
    pub role: String,
    /// Where the invitation stands.
    pub state: InvitationState,
    /// When the link of the invitation stops working.
    pub expires_at: Option<Timestamp>,
}

/// The invitation of the managing user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Where it stands.
    pub state: InvitationState,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// When its link stops working.
    pub expires_at: Option<Timestamp>,
}

/// State of an [`Invitation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvitationState {
    /// Nothing was sent.
    NotSent,
    /// The mail is out.
    Sent,
    /// The link was opened.
    Accepted,
    /// The link no longer works.
    Expired,
}

impl InvitationState {
    /// The state at a moment: a link whose time is over has expired, whatever the connector last said.
    #[must_use]
    pub fn at(self, now: Timestamp, end: Option<Timestamp>) -> Self {
        let over = end.is_some_and(|end| end <= now);
        if self == Self::Sent && over { Self::Expired } else { self }
    }
}

impl Invitation {
    /// Where it stands at a moment.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> InvitationState {
        self.state.at(now, self.expires_at)
    }
}

/// A consent of the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Group of permissions.
    pub group: String,
    /// Where it stands.
    pub state: ConsentState,
    /// What is consented to, each with its purpose.
    pub permissions: Vec<Permission>,
    /// Who granted it, as the connector tells.
    pub granted_by: Option<String>,
    /// When it was granted.
    pub granted_at: Option<Timestamp>,
    /// Where it is granted.
    pub link: Option<String>,
    /// When the link stops working.
    pub link_expires_at: Option<Timestamp>,
}

impl Consent {
    /// Whether it had been granted and is not any more, a new link or not.
    #[must_use]
    pub fn is_revoked(&self) -> bool {
        let granted_before = self.state == ConsentState::Pending && self.granted_at.is_some();
        self.state == ConsentState::Revoked || granted_before
    }

    /// Whether its link can be followed.
    #[must_use]
    pub fn link_works(&self, now: Timestamp) -> bool {
        let alive = self.link_expires_at.is_none_or(|end| now < end);
        self.state == ConsentState::Pending && self.link.is_some() && alive
    }
}

/// State of a [`Consent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentState {
    /// No link was asked for.
    NotRequested,
    /// A link waits.
    Pending,
    /// Given.
    Granted,
    /// Taken back.
    Revoked,
}

/// A Direct Routing domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Fully qualified name.
    pub name: String,
    /// Where it stands.
    pub state: DomainState,
    /// Temporary users that exist in it, as the connector names them.
    pub temporary_users: Vec<String>,
}

/// State of a [`Domain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DomainState {
    /// Allotted.
    Reserved,
    /// The TXT record is published.
    Published,
    /// Microsoft accepted it.
    Verified,
    /// Waiting for Microsoft.
    Activating,
    /// Ready for calls.
    Activated,
    /// Refused.
    Failed,
}

/// Directory imports and pushes, newest first, and the ticks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Tick of the directory import.
    pub directory_tick: Tick,
    /// Tick of the push.
    pub push_tick: Tick,
    /// Since when changes in the connector wait for a push.
    pub push_changes_since: Option<Timestamp>,
    /// Directory imports, newest first.
    pub imports: Vec<Job>,
    /// Pushes, newest first.
    pub pushes: Vec<Job>,
    /// Failures of the newest finished push, by user: vendor's error code.
    pub push_failures: BTreeMap<UserKey, String>,
}

/// The tick beside Sync Now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// Green.
    UpToDate,
    /// Changes wait.
    ChangesQueued,
    /// Working.
    Working,
    /// Some users failed.
    Warning,
    /// Failed.
    Failed,
}

/// One directory import or push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The connector's id.
    pub id: String,
    /// Where it stands.
    pub state: JobState,
    /// When it was accepted.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Users seen or changed.
    pub users: u64,
}

/// State of a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Accepted or working.
    Open,
    /// Done; some users may have failed.
    Done,
    /// Not done.
    Failed,
}

/// The Global Administrator's sign-in for the push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushAuthorization {
    /// Where it stands.
    pub state: PushAuthorizationState,
    /// Where to sign in.
    pub link: Option<String>,
    /// Until when the link works, or the grant holds.
    pub valid_until: Option<Timestamp>,
}

/// State of a [`PushAuthorization`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushAuthorizationState {
    /// The connector wants none.
    NotRequired,
    /// No link was asked for.
    NotRequested,
    /// A link waits.
    Pending,
    /// A push may start.
    Granted,
    /// No longer valid.
    Expired,
}

/// What was bought for a PBX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entitlement {
    /// Whether the integration is active.
    pub active: bool,
    /// Connector licenses bought.
    pub licenses_total: u32,
    /// Connector licenses in use.
    pub licenses_in_use: u32,
}

/// The two switches of card 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Enable Sync.
    pub user_import_enabled: bool,
    /// Enable Service.
    pub enabled: bool,
}

/// Card 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How it stands.
    pub state: VerificationState,
    /// When it passed.
    pub verified_at: Option<Timestamp>,
    /// Names of the checks that failed.
    pub failed_checks: Vec<String>,
}

/// State of a [`Verification`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationState {
    /// Working.
    Running,
    /// Passed.
    Verified,
    /// Not passed.
    Failed,
}

/// Secure calling of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The user.
    pub key: UserKey,
    /// Whether secure calling is on.
    pub secure_calling: bool,
}

/// A user in the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorUser {
    /// GoTo side.
    pub key: UserKey,
    /// Microsoft side.
    pub teams_user: EntraObjectId,
    /// Who added the user.
    pub external_id: Option<String>,
    /// Number that a push assigns.
    pub number: Option<E164>,
    /// Whether calls may be made.
    pub enabled: bool,
    /// Whether a connector license is taken.
    pub licensed: bool,
    /// Registration.
    pub registration: RegistrationState,
    /// Last change in the connector.
    pub updated_at: Timestamp,
    /// Its version, for `If-Match`: what is taken away is what was read.
    pub etag: String,
}

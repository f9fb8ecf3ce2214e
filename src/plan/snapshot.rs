//! A reading of all sources of one account, in domain words. The observer builds it; plans only look at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::api::Reason;
use crate::domain::{AccountKey, Address, E164, EntraObjectId, Extension, OrganizationId, UserKey};

/// One source: its newest complete value, and what became of the newest try to read it.
#[derive(Clone, Debug)]
pub struct Source<T> {
    /// The newest complete value; absent until there was one.
    pub value: Option<Arc<T>>,
    /// When the reading of `value` began.
    pub read_at: Option<Timestamp>,
    /// Why the newest try was incomplete; absent when it was complete.
    pub failure: Option<SourceFailure>,
}

/// Why a source could not be read completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFailure {
    /// How it shows in conditions.
    pub reason: Reason,
    /// Cause in a few words, without personal data.
    pub cause: String,
    /// Not read again before this time.
    pub retry_at: Option<Timestamp>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { value: None, read_at: None, failure: None }
    }
}

impl<T> Source<T> {
    /// A complete value.
    #[must_use]
    pub fn complete(value: T, read_at: Timestamp) -> Self {
        Self { value: Some(Arc::new(value)), read_at: Some(read_at), failure: None }
    }

    /// The same source after a try that failed: the newest complete value stays.
    #[must_use]
    pub fn failed(&self, failure: SourceFailure) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at, failure: Some(failure) }
    }

    /// The value, if the newest try was complete.
    #[must_use]
    pub fn current(&self) -> Option<&T> {
        if self.failure.is_none() { self.value.as_deref() } else { None }
    }

    /// The newest complete value, however old.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        self.value.as_deref()
    }
}

/// A reading of all sources of one account.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts the readings of all sources; a partial reading keeps the number.
    pub round: u64,
    /// When the newest reading of all sources ended.
    pub full_reading_at: Option<Timestamp>,
    /// Who the GoTo credentials are.
    pub goto_access: Source<GotoAccess>,
    /// Users of the GoTo account.
    pub goto_users: Source<Vec<GotoUser>>,
    /// Lines of the users.
    pub lines: Source<Vec<UserLines>>,
    /// Extensions of the PBXs.
    pub extensions: Source<Vec<PbxExtension>>,
    /// Telephone numbers of the PBXs.
    pub numbers: Source<Vec<PbxNumber>>,
    /// Permissions of the operator's app registration.
    pub graph_permissions: Source<Vec<Permission>>,
    /// Users of the tenant.
    pub teams_users: Source<Vec<TeamsUser>>,
    /// Seats of the tenant by service plan.
    pub seats: Source<Seats>,
    /// Telephone numbers of the tenant.
    pub number_assignments: Source<Vec<TeamsNumber>>,
    /// Voice state of the users of the tenant.
    pub voice: Source<Vec<VoiceState>>,
    /// The account record of the connector; `None`: there is none.
    pub record: Source<Option<AccountRecord>>,
    /// Consents of the connector.
    pub consents: Source<Vec<Consent>>,
    /// Direct Routing domains.
    pub domains: Source<Vec<Domain>>,
    /// Directory imports and pushes, and the ticks.
    pub activity: Source<Activity>,
    /// The Global Administrator's sign-in for the push.
    pub push_authorization: Source<PushAuthorization>,
    /// What belongs to one PBX, for each PBX of the account's spec.
    pub pbxs: BTreeMap<OrganizationId, PbxReading>,
}

impl Snapshot {
    /// The sources whose newest try was incomplete, or that were never read, by name.
    #[must_use]
    pub fn incomplete(&self) -> Vec<(&'static str, Option<&SourceFailure>)> {
        let mut found = Vec::new();
        for status in self.sources() {
            if !status.complete {
                found.push((status.name, status.failure));
            }
        }
        found
    }

    /// Whether every source was read completely in its newest try.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.sources().iter().all(|source| source.complete)
    }

    /// Every source; those of a PBX once for each PBX.
    #[must_use]
    pub fn sources(&self) -> Vec<SourceView<'_>> {
        let mut all = vec![
            SourceView::single("goto-access", &self.goto_access),
            SourceView::list("goto-users", &self.goto_users),
            SourceView::list("lines", &self.lines),
            SourceView::list("extensions", &self.extensions),
            SourceView::list("numbers", &self.numbers),
            SourceView::list("graph-permissions", &self.graph_permissions),
            SourceView::list("teams-users", &self.teams_users),
            SourceView::single("microsoft-licenses", &self.seats),
            SourceView::list("number-assignments", &self.number_assignments),
            SourceView::list("user-configurations", &self.voice),
            SourceView::single("account-record", &self.record),
            SourceView::list("consents", &self.consents),
            SourceView::list("domains", &self.domains),
            SourceView::single("connector-activity", &self.activity),
            SourceView::single("push-authorization", &self.push_authorization),
        ];
        for pbx in self.pbxs.values() {
            all.extend([
                SourceView::single("entitlement", &pbx.entitlement),
                SourceView::single("service", &pbx.service),
                SourceView::single("verification", &pbx.verification),
                SourceView::list("candidates", &pbx.candidates),
                SourceView::list("connector-users", &pbx.users),
            ]);
        }
        all
    }
}

/// A source without its type: for completeness and for the status.
#[derive(Clone, Copy, Debug)]
pub struct SourceView<'a> {
    /// Its name.
    pub name: &'static str,
    /// Items of the newest complete value.
    pub items: u64,
    /// Whether the newest try was complete.
    pub complete: bool,
    /// Why it was not.
    pub failure: Option<&'a SourceFailure>,
}

impl<'a> SourceView<'a> {
    fn list<T>(name: &'static str, source: &'a Source<Vec<T>>) -> Self {
        Self { items: source.known().map_or(0, |items| items.len() as u64), ..Self::single(name, source) }
    }

    fn single<T>(name: &'static str, source: &'a Source<T>) -> Self {
        let items = u64::from(source.value.is_some());
        Self { name, items, complete: source.current().is_some(), failure: source.failure.as_ref() }
    }
}

/// What belongs to one PBX.
#[derive(Clone, Debug, Default)]
pub struct PbxReading {
    /// What was bought; `None`: the integration is not visible for the PBX.
    pub entitlement: Source<Option<Entitlement>>,
    /// The two switches; `None`: not available yet.
    pub service: Source<Option<Service>>,
    /// The last verification; `None`: there was none.
    pub verification: Source<Option<Verification>>,
    /// Secure calling of the users.
    pub candidates: Source<Vec<Candidate>>,
    /// Users in the connector.
    pub users: Source<Vec<ConnectorUser>>,
}

/// Who the GoTo credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotoAccess {
    /// Accounts that the credentials may administer.
    pub accounts: Vec<AccountKey>,
    /// Names of needed scopes that were not granted.
    pub missing_scopes: Vec<String>,
    /// Whether the user of the credentials is a super admin; `None`: not to be told.
    pub super_admin: Option<bool>,
}

/// A user of the GoTo account; pseudo-users of desk telephones are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GotoUser {
    /// Stable key.
    pub key: UserKey,
    /// Address as written.
    pub email: Option<String>,
    /// Address in comparable form.
    pub address: Option<Address>,
    /// Name.
    pub name: String,
}

/// The lines of one user, over all PBXs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLines {
    /// The user.
    pub key: UserKey,
    /// Lines, the primary one first.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The PBX.
    pub organization: OrganizationId,
    /// Number of its extension.
    pub extension: Extension,
    /// Whether GoTo calls it the primary one.
    pub primary: bool,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxExtension {
    /// Id, the target of numbers.
    pub id: String,
    /// The PBX.
    pub organization: OrganizationId,
    /// Short number.
    pub number: Extension,
}

/// A telephone number of a PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxNumber {
    /// The PBX.
    pub organization: OrganizationId,
    /// In E.164 form; `None`: GoTo wrote something else.
    pub number: Option<E164>,
    /// Extension that it is routed to.
    pub extension_id: Option<String>,
}

/// A permission of the operator's own app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Microsoft's name.
    pub name: String,
    /// What it is for.
    pub reason: String,
    /// Whether it was consented to.
    pub granted: bool,
}

/// A user of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts that Microsoft states")]
pub struct TeamsUser {
    /// Entra object id.
    pub id: EntraObjectId,
    /// UPN as written.
    pub upn: String,
    /// UPN in comparable form.
    pub upn_address: Option<Address>,
    /// Mail address in comparable form.
    pub mail_address: Option<Address>,
    /// Whether sign-in is allowed.
    pub enabled: bool,
    /// Whether the user is a guest.
    pub guest: bool,
    /// Whether a service plan for Teams is usable.
    pub has_teams: bool,
    /// Whether a service plan for Phone System is usable.
    pub has_phone_system: bool,
}

/// Seats of the tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Seats with Phone System.
    pub phone_system_total: u32,
    /// Of these in use.
    pub phone_system_in_use: u32,
}

/// A telephone number of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamsNumber {
    /// The number.
    pub number: E164,
    /// What kind it is.
    pub kind: TeamsNumberKind,
    /// Who has it.
    pub target: Option<EntraObjectId>,
    /// Whether the on-premises directory manages it.
    pub on_premises: bool,
}

/// Kind of a telephone number of the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TeamsNumberKind {
    /// Through a session border controller: the connector.
    DirectRouting,
    /// From Microsoft or an operator.
    Other,
}

/// Voice state of a user of the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceState {
    /// The user.
    pub id: EntraObjectId,
    /// What kind of account Teams takes it for.
    pub account: VoiceAccount,
    /// Enterprise voice.
    pub enterprise_voice: bool,
    /// Primary number.
    pub number: Option<E164>,
}

/// What kind of account Teams takes a user for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceAccount {
    /// A person in the cloud.
    User,
    /// A guest or a resource account.
    NotAPerson,
    /// A person homed on premises.
    OnPremises,
    /// Something else.
    Unknown,
}

/// The account record of the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// The managing user's address in comparable form.
    pub manager: Option<Address>,
    /// The invitation.
    pub invitation: Invitation,
    /// Bound PBXs and since when.
    pub bound: BTreeMap<OrganizationId, Timestamp>,
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

/// A consent of the connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Group of permissions.
    pub group: String,
    /// Where it stands.
    pub state: ConsentState,
    /// Names of the permissions.
    pub permissions: Vec<String>,
    /// When it was granted.
    pub granted_at: Option<Timestamp>,
    /// Where it is granted.
    pub link: Option<String>,
    /// When the link stops working.
    pub link_expires_at: Option<Timestamp>,
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
    /// How many temporary users exist in it.
    pub temporary_users: usize,
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
    pub registration: crate::api::RegistrationState,
    /// Last change in the connector.
    pub updated_at: Timestamp,
}

//! What somebody changes beside the operator: administrators of either side, the vendor, Microsoft.
//!
//! Nobody loses service by such a change: only what the operator, or a colleague in the dashboard, does about it takes it away.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::DomainState;
use crate::domain::{AccountKey, EntraObjectId, OrganizationId, UserKey};

mod bulk;
mod connector;
mod dashboard;
mod goto;
mod people;
mod tenant;

pub use bulk::{Among, Change, Who};

/// One change. `user` is a GoTo user: its key or its address; `teamsUser` is a user of the tenant: its object id or its UPN.
/// Without `account` or `organization` the first one is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are named as the objects that they change")]
pub enum WorldEdit {
    /// Renames a GoTo user; the key stays.
    RenameGotoUser { user: String, email: Option<String>, first_name: Option<String>, last_name: Option<String> },
    /// Renames a user of the tenant; the object id stays.
    RenameTeamsUser { teams_user: String, user_principal_name: Option<String>, mail: Option<String> },
    /// Adds a GoTo user with a line, and a number routed to it.
    AddGotoUser {
        organization: Option<OrganizationId>,
        key: UserKey,
        email: String,
        #[serde(default)]
        first_name: String,
        #[serde(default)]
        last_name: String,
        extension: String,
        number: Option<String>,
    },
    /// Adds a user to the tenant, with products by their short names.
    AddTeamsUser {
        id: EntraObjectId,
        user_principal_name: String,
        #[serde(default)]
        skus: Vec<String>,
    },
    /// Deletes a GoTo user with lines and extensions; their numbers are routed to nobody. The connector keeps the pair.
    DeleteGotoUser { user: String },
    /// Deletes a GoTo user and creates the same person again under another key: address, lines and numbers stay.
    RecreateGotoUser { user: String, key: UserKey },
    /// Renames the domain of every GoTo address that has it.
    RenameGotoDomain { from: String, to: String },
    /// Deletes a user of the tenant, restorable.
    DeleteTeamsUser { teams_user: String },
    /// Restores a deleted user of the tenant, found by its object id or the UPN that it had.
    RestoreTeamsUser { teams_user: String },
    /// Deletes a deleted user of the tenant for good.
    PurgeTeamsUser { teams_user: String },
    /// Renames the domain of every UPN and mail address of the tenant that has it; the object ids stay.
    RenameTenantDomain {
        from: String,
        to: String,
        #[serde(default = "yes")]
        user_principal_names: bool,
        #[serde(default = "yes")]
        mails: bool,
    },
    /// Takes every line from a GoTo user; extension and numbers stay.
    RemoveLine { user: String },
    /// Gives a line to a GoTo user, the primary one if there is no other.
    AddLine { organization: Option<OrganizationId>, user: String, extension: String },
    /// Adds a PBX to the account of the first one; with licenses the integration is visible there.
    AddPbx {
        organization: OrganizationId,
        name: String,
        licenses: Option<u32>,
        #[serde(default)]
        bound: bool,
    },
    /// Moves every line of a GoTo user with extension and numbers to another PBX of the account.
    MoveToPbx { user: String, organization: OrganizationId },
    /// Sets the admin roles of a GoTo user.
    SetAdminRoles { user: String, roles: Vec<String> },
    /// Routes a number to the user's extension, or to nobody.
    RouteNumber { number: String, user: Option<String> },
    /// Sets the number of connector licenses.
    SetLicenses { organization: Option<OrganizationId>, total: u32 },
    /// Sets whether the integration is active and visible.
    SetEntitlement { organization: Option<OrganizationId>, visible: bool, active: bool },
    /// Switches secure calling.
    SetSecureCalling { user: String, on: bool },
    /// Sets the status of a service plan of a user (`TEAMS1`, `MCOEV` or an id), or takes the plan away.
    SetPlan { teams_user: String, plan: String, status: Option<String> },
    /// Blocks or allows signing in.
    SetAccountEnabled { teams_user: String, enabled: bool },
    /// Gives a number of the tenant to somebody, or to nobody, by hand.
    SetTenantNumber { number: String, teams_user: Option<String> },
    /// Takes a consent of the connector back.
    RevokeConsent { account: Option<AccountKey>, group: Option<String> },
    /// Grants a consent of the connector without a link.
    GrantConsent { account: Option<AccountKey>, group: Option<String> },
    /// Sets the two switches.
    SetServices { organization: Option<OrganizationId>, sync_enabled: Option<bool>, enabled: Option<bool> },
    /// Sets the state of every domain of an account.
    SetDomain { account: Option<AccountKey>, state: DomainState },
    /// Forgets every directory import.
    ClearImports { account: Option<AccountKey> },
    /// Fails the last verification.
    FailVerification { organization: Option<OrganizationId> },
    /// Fails the next verification, and no other.
    FailNextVerification { organization: Option<OrganizationId> },
    /// Forgets the last verification.
    ClearVerification { organization: Option<OrganizationId> },
    /// Lets an accepted or open invitation be an expired one.
    ExpireInvitation { account: Option<AccountKey> },
    /// Blocks or allows signing in of the operator's application.
    SetApplicationEnabled { enabled: bool },
    /// Adds a client secret beside the others.
    AddClientSecret { value: String, expires_at: Option<Timestamp> },
    /// Removes a client secret.
    RemoveClientSecret { value: String },
    /// Registers a certificate.
    AddCertificate { pem: String, expires_at: Option<Timestamp> },
    /// Removes every certificate.
    RemoveCertificates {},
    /// Adds a federated credential, which Entra knows a little later; `keys` is the JWK set of its issuer.
    AddFederatedCredential { issuer: String, subject: String, audience: String, keys: Option<serde_json::Value> },
    /// Removes every federated credential.
    RemoveFederatedCredentials {},
    /// Answers every call of the token endpoint with this AADSTS number, or truly again.
    SetTokenError { number: Option<u64> },
    /// Adds a domain to the tenant, verified, or without `verified` as one that must be proved.
    AddTenantDomain {
        name: String,
        #[serde(default)]
        verified: bool,
    },
    /// Sets how many seats of a product were bought.
    SetSeats { sku: String, seats: u32 },
    /// Lets another tenant have verified a domain, or no longer.
    SetVerifiedElsewhere { name: String, verified: bool },
    /// Sets the TXT record of a name in DNS, seen at once, or takes it away.
    SetDnsText { name: String, text: Option<String> },
    /// Takes an application permission from the operator's application.
    RemoveAppPermission { permission: String },
    /// Consents to an application permission.
    GrantAppPermission { permission: String },
    /// Unbinds a PBX, whatever is connected.
    UnbindPbx { organization: Option<OrganizationId> },
    /// Binds a PBX.
    BindPbx { organization: Option<OrganizationId> },
    /// A colleague adds a pair in the dashboard; it takes a license by the rules of every pair. With `externalId` another
    /// program did.
    AddPair {
        organization: Option<OrganizationId>,
        user: String,
        teams_user: String,
        external_id: Option<String>,
        number: Option<String>,
    },
    /// A colleague gives a pair another number of the PBX in the dashboard, or lets the routed one be chosen.
    SetPairNumber { organization: Option<OrganizationId>, user: String, number: Option<String> },
    /// A colleague enables or disables a pair in the dashboard.
    SetPairEnabled { organization: Option<OrganizationId>, user: String, enabled: bool },
    /// A colleague removes a pair in the dashboard.
    RemovePair { organization: Option<OrganizationId>, user: String },
    /// Takes a scope from the OAuth clients and from every issued access token.
    RemoveGotoScope { scope: String },
    /// Gives a scope to the OAuth clients and to every issued access token whose grant has it.
    GrantGotoScope { scope: String },
    /// Takes the account from every grant and token, or gives it back: without it GoTo answers 404, as for what is not there.
    SetGotoAccountAccess { account: Option<AccountKey>, granted: bool },
    /// Sets the connector's own bearer tokens.
    SetConnectorTokens { account: Option<AccountKey>, tokens: Vec<String> },
    /// Changes some of the settings, for what begins from now on; an activation that goes on takes as long as is said now.
    ChangeSettings { settings: serde_json::Value },
    /// Makes the same change to many users.
    Each { who: Who, change: Change },
    /// Takes back or restores every refresh token and personal access token.
    SetGotoGrantsRevoked { revoked: bool },
    /// Makes the next refresh bring a new refresh token.
    RotateRefreshTokens {},
}

impl World {
    /// Applies one change at `now`.
    pub fn edit(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        let edited = self.edit_one(edit, now);
        self.follow_domains(now);
        edited
    }

    fn edit_one(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        use WorldEdit as E;
        match edit {
            E::RenameGotoUser { .. }
            | E::AddGotoUser { .. }
            | E::DeleteGotoUser { .. }
            | E::RemoveLine { .. }
            | E::RecreateGotoUser { .. }
            | E::RenameGotoDomain { .. }
            | E::AddLine { .. }
            | E::AddPbx { .. }
            | E::MoveToPbx { .. } => self.edit_people(edit, now),
            E::SetAdminRoles { .. }
            | E::RouteNumber { .. }
            | E::RemoveGotoScope { .. }
            | E::GrantGotoScope { .. }
            | E::SetGotoAccountAccess { .. }
            | E::SetGotoGrantsRevoked { .. }
            | E::RotateRefreshTokens {} => self.edit_goto(edit),
            E::RenameTeamsUser { .. }
            | E::AddTeamsUser { .. }
            | E::DeleteTeamsUser { .. }
            | E::RestoreTeamsUser { .. }
            | E::PurgeTeamsUser { .. }
            | E::RenameTenantDomain { .. }
            | E::SetPlan { .. }
            | E::SetAccountEnabled { .. }
            | E::SetTenantNumber { .. }
            | E::SetSeats { .. }
            | E::AddTenantDomain { .. }
            | E::SetVerifiedElsewhere { .. }
            | E::SetDnsText { .. }
            | E::RemoveAppPermission { .. }
            | E::GrantAppPermission { .. } => self.edit_tenant(edit, now),
            E::AddPair { .. } | E::SetPairEnabled { .. } | E::SetPairNumber { .. } | E::RemovePair { .. } => {
                self.edit_pair(edit, now)
            }
            E::SetApplicationEnabled { .. }
            | E::AddClientSecret { .. }
            | E::RemoveClientSecret { .. }
            | E::AddCertificate { .. }
            | E::RemoveCertificates {}
            | E::AddFederatedCredential { .. }
            | E::RemoveFederatedCredentials {}
            | E::SetTokenError { .. } => self.edit_applications(&edit, now),
            E::ChangeSettings { settings } => self.change_settings(&settings),
            E::Each { who, change } => self.each(&who, &change, now),
            _ => self.edit_connector(edit, now),
        }
    }
}

impl World {
    fn change_settings(&mut self, change: &serde_json::Value) -> Result<(), Refusal> {
        let mut settings = serde_json::to_value(&self.settings).unwrap_or_default();
        json_patch::merge(&mut settings, change);
        self.settings =
            serde_json::from_value(settings).map_err(|_| Refusal::InvalidValue("there is no such setting"))?;
        let seconds = self.settings.domain_activation_seconds;
        for domain in self.connectors.values_mut().flat_map(|it| it.domains.values_mut()) {
            domain.activates_at = domain.activating_since.map(|since| after(since, seconds));
        }
        Ok(())
    }
}

fn replace(field: &mut String, value: Option<String>) {
    if let Some(value) = value {
        *field = value;
    }
}

fn yes() -> bool {
    true
}

/// The address with its domain renamed, if it has that domain.
fn renamed(address: &str, from: &str, to: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    domain.eq_ignore_ascii_case(from).then(|| format!("{local}@{to}"))
}

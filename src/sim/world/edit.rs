//! What somebody changes beside the operator: administrators of either side, the vendor, Microsoft.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::connector::{Bought, VerificationRun};
use super::goto::GotoUser;
use super::permissions::app_role;
use super::settings::after;
use super::{Refusal, World};
use crate::clients::connector::wire::{DomainState, VerificationCheck};
use crate::domain::{AccountKey, EntraObjectId, OrganizationId, UserKey};

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
    /// Deletes a GoTo user.
    DeleteGotoUser { user: String },
    /// Deletes a user of the tenant, restorable.
    DeleteTeamsUser { teams_user: String },
    /// Takes every line from a GoTo user.
    RemoveLine { user: String },
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
    /// Forgets the last verification.
    ClearVerification { organization: Option<OrganizationId> },
    /// Lets an accepted or open invitation be an expired one.
    ExpireInvitation { account: Option<AccountKey> },
    /// Takes an application permission from the operator's application.
    RemoveAppPermission { permission: String },
    /// Consents to an application permission.
    GrantAppPermission { permission: String },
    /// Unbinds a PBX, whatever is connected.
    UnbindPbx { organization: Option<OrganizationId> },
    /// Binds a PBX.
    BindPbx { organization: Option<OrganizationId> },
    /// A colleague adds a pair in the dashboard; it takes a license by the rules of every pair.
    AddPair { organization: Option<OrganizationId>, user: String, teams_user: String },
    /// A colleague enables or disables a pair in the dashboard.
    SetPairEnabled { organization: Option<OrganizationId>, user: String, enabled: bool },
    /// A colleague removes a pair in the dashboard.
    RemovePair { organization: Option<OrganizationId>, user: String },
    /// Takes back or restores every refresh token and personal access token.
    SetGotoGrantsRevoked { revoked: bool },
    /// Makes the next refresh bring a new refresh token.
    RotateRefreshTokens {},
}

impl World {
    /// Applies one change at `now`.
    pub fn edit(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        use WorldEdit as E;
        match edit {
            E::RenameGotoUser { .. }
            | E::AddGotoUser { .. }
            | E::DeleteGotoUser { .. }
            | E::RemoveLine { .. }
            | E::SetAdminRoles { .. }
            | E::RouteNumber { .. }
            | E::SetGotoGrantsRevoked { .. }
            | E::RotateRefreshTokens {} => self.edit_goto(edit, now),
            E::RenameTeamsUser { .. }
            | E::AddTeamsUser { .. }
            | E::DeleteTeamsUser { .. }
            | E::SetPlan { .. }
            | E::SetAccountEnabled { .. }
            | E::SetTenantNumber { .. }
            | E::RemoveAppPermission { .. }
            | E::GrantAppPermission { .. } => self.edit_tenant(edit, now),
            E::AddPair { .. } | E::SetPairEnabled { .. } | E::RemovePair { .. } => self.edit_pair(edit, now),
            _ => self.edit_connector(edit, now),
        }
    }

    fn edit_goto(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::RenameGotoUser { user, email, first_name, last_name } => {
                let user = self.goto_user_mut(&user)?;
                replace(&mut user.email, email);
                replace(&mut user.first_name, first_name);
                replace(&mut user.last_name, last_name);
            }
            WorldEdit::AddGotoUser { organization, key, email, first_name, last_name, extension, number } => {
                let user = GotoUser {
                    email,
                    first_name,
                    last_name,
                    admin_roles: Vec::new(),
                    device: false,
                    lines: Vec::new(),
                    visible_since: Some(self.goto_seen_at(now)),
                };
                self.add_goto_user(organization, &key, user, extension, number)?;
            }
            WorldEdit::DeleteGotoUser { user } => {
                let key = self.find_goto_user(&user)?;
                self.goto.accounts.values_mut().for_each(|it| drop(it.users.remove(&key)));
            }
            WorldEdit::RemoveLine { user } => self.goto_user_mut(&user)?.lines.clear(),
            WorldEdit::SetAdminRoles { user, roles } => self.goto_user_mut(&user)?.admin_roles = roles,
            WorldEdit::RouteNumber { number, user } => self.route(&number, user.as_deref())?,
            WorldEdit::SetGotoGrantsRevoked { revoked } => {
                let goto = &mut self.goto;
                let grants = goto.refresh_tokens.values_mut().chain(goto.personal_access_tokens.values_mut());
                grants.for_each(|grant| grant.revoked = revoked);
            }
            _ => self.goto.refresh_tokens.values_mut().for_each(|grant| grant.rotate_next = true),
        }
        Ok(())
    }

    fn edit_tenant(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        let seen_at = self.graph_seen_at(now);
        match edit {
            WorldEdit::RenameTeamsUser { teams_user, user_principal_name, mail } => {
                let (id, user) = self.teams_user_mut(&teams_user)?;
                replace(&mut user.user_principal_name, user_principal_name);
                user.mail = mail.or_else(|| user.mail.take());
                self.tenant.touch(id, Some(seen_at));
            }
            WorldEdit::AddTeamsUser { id, user_principal_name, skus } => {
                let mut user = self.new_teams_user(
                    user_principal_name,
                    &skus,
                    after(now, self.settings.teams_provisioning_seconds),
                )?;
                user.appears_at = Some(seen_at);
                self.tenant.users.insert(id, user);
                self.tenant.touch(id, Some(seen_at));
            }
            WorldEdit::DeleteTeamsUser { teams_user } => {
                let id = self.find_teams_user(&teams_user)?;
                self.tenant.delete_user(id, seen_at);
            }
            WorldEdit::SetPlan { teams_user, plan, status } => {
                let provisioned_at = after(now, self.settings.teams_provisioning_seconds);
                let plan = self.plan(&plan)?;
                let (id, user) = self.teams_user_mut(&teams_user)?;
                user.set_plan(plan, status, provisioned_at);
                self.tenant.touch(id, Some(seen_at));
            }
            WorldEdit::SetAccountEnabled { teams_user, enabled } => {
                let (id, user) = self.teams_user_mut(&teams_user)?;
                user.account_enabled = enabled;
                self.tenant.touch(id, Some(seen_at));
            }
            WorldEdit::SetTenantNumber { number, teams_user } => {
                let user = teams_user.map(|user| self.find_teams_user(&user)).transpose()?;
                self.tenant.set_number(&number, user, now, seen_at);
            }
            WorldEdit::RemoveAppPermission { permission } => {
                let role = app_role(&permission).ok_or(Refusal::NotFound("permission"))?;
                self.tenant.applications.values_mut().for_each(|it| it.app_roles.retain(|known| *known != role));
            }
            WorldEdit::GrantAppPermission { permission } => {
                let role = app_role(&permission).ok_or(Refusal::NotFound("permission"))?;
                self.tenant.applications.values_mut().for_each(|it| it.app_roles.extend([role]));
            }
            _ => {}
        }
        Ok(())
    }

    fn edit_pair(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::AddPair { organization, user, teams_user } => {
                let (account, pbx) = self.pbx_or_first(organization)?;
                let (user, teams_user_id) = (self.find_goto_user(&user)?, self.find_teams_user(&teams_user)?);
                let external_id = String::new();
                let put = crate::clients::connector::wire::PutUser { teams_user_id, external_id, phone_number: None };
                self.put_user(&account, pbx, &user, &put, now)?;
                let pair = self.pbx_mut(&account, pbx)?.users.get_mut(&user);
                pair.ok_or(Refusal::NotFound("user"))?.external_id = None;
            }
            WorldEdit::SetPairEnabled { organization, user, enabled } => {
                let (account, pbx) = self.pbx_or_first(organization)?;
                let user = self.find_goto_user(&user)?;
                self.set_user_enabled(&account, pbx, &user, enabled, now)?;
            }
            WorldEdit::RemovePair { organization, user } => {
                let (account, pbx) = self.pbx_or_first(organization)?;
                let user = self.find_goto_user(&user)?;
                self.set_user_enabled(&account, pbx, &user, false, now)?;
                self.delete_user(&account, pbx, &user, now)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn edit_connector(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::RevokeConsent { account, group } => {
                let account = self.account_or_first(account)?;
                self.revoke_consent(&account, group.as_deref())?;
            }
            WorldEdit::GrantConsent { account, group } => {
                let (account, who) = (self.account_or_first(account)?, self.settings.global_administrator.clone());
                let connector = self.connector_mut(&account)?;
                let groups: Vec<String> = connector.consents.iter().map(|it| it.group.clone()).collect();
                for name in groups.iter().filter(|name| group.as_ref().is_none_or(|group| group == *name)) {
                    connector.grant(name, who.clone(), now);
                }
            }
            WorldEdit::SetDomain { account, state } => {
                let account = self.account_or_first(account)?;
                let activates_at = after(now, self.settings.domain_activation_seconds);
                for domain in self.connector_mut(&account)?.domains.values_mut() {
                    domain.state = state;
                    domain.activates_at = (state == DomainState::Activating).then_some(activates_at);
                }
            }
            WorldEdit::ClearImports { account } => {
                let account = self.account_or_first(account)?;
                self.connector_mut(&account)?.forget_imports();
            }
            WorldEdit::ExpireInvitation { account } => {
                let account = self.account_or_first(account)?;
                let record = self.connector_mut(&account)?.record.as_mut().ok_or(Refusal::AccountRequired)?;
                if let Some(sent) = &mut record.invitation {
                    sent.accepted_at = None;
                    sent.expires_at = sent.expires_at.min(now);
                }
            }
            other => self.edit_pbx(other, now)?,
        }
        Ok(())
    }

    fn edit_pbx(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::SetLicenses { organization, total } => {
                let pbx = self.first_pbx_mut(organization)?;
                pbx.entitlement.as_mut().ok_or(Refusal::NotVisible)?.licenses_total = total;
            }
            WorldEdit::SetEntitlement { organization, visible, active } => {
                let pbx = self.first_pbx_mut(organization)?;
                let licenses_total = pbx.entitlement.as_ref().map_or(pbx.licenses_hidden, |it| it.licenses_total);
                pbx.licenses_hidden = licenses_total;
                pbx.entitlement = visible.then_some(Bought { active, licenses_total });
            }
            WorldEdit::SetSecureCalling { user, on } => self.set_secure_calling(&user, on)?,
            WorldEdit::SetServices { organization, sync_enabled, enabled } => {
                let pbx = self.first_pbx_mut(organization)?;
                pbx.sync_enabled = sync_enabled.unwrap_or(pbx.sync_enabled);
                pbx.service_enabled = enabled.unwrap_or(pbx.service_enabled);
            }
            WorldEdit::FailVerification { organization } => {
                let failed = VerificationCheck { name: "Domain".into(), passed: false, message: "no answer".into() };
                let run = VerificationRun { started_at: now, ends_at: now, ended: true, checks: vec![failed] };
                self.first_pbx_mut(organization)?.verification = Some(run);
            }
            WorldEdit::ClearVerification { organization } => self.first_pbx_mut(organization)?.verification = None,
            WorldEdit::UnbindPbx { organization } => self.first_pbx_mut(organization)?.bound_at = None,
            WorldEdit::BindPbx { organization } => self.first_pbx_mut(organization)?.bound_at = Some(now),
            _ => {}
        }
        Ok(())
    }
}

fn replace(field: &mut String, value: Option<String>) {
    if let Some(value) = value {
        *field = value;
    }
}

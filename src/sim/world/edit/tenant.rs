//! The tenant, as its administrators change it.

use k8s_openapi::jiff::Timestamp;

use super::{WorldEdit, renamed, replace};
use crate::domain::EntraObjectId;
use crate::sim::world::domains::comparable;
use crate::sim::world::permissions::app_role;
use crate::sim::world::settings::after;
use crate::sim::world::{Lagged, Refusal, Tenant, TenantDomain, World};

impl World {
    pub(super) fn edit_tenant(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
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
            other => self.edit_directory(other, now, seen_at)?,
        }
        Ok(())
    }

    fn edit_directory(&mut self, edit: WorldEdit, now: Timestamp, seen_at: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::DeleteTeamsUser { teams_user } => {
                let id = self.find_teams_user(&teams_user)?;
                self.tenant.delete_user(id, now, seen_at);
            }
            WorldEdit::RestoreTeamsUser { teams_user } => {
                let id = self.deleted_user(&teams_user)?;
                self.tenant.restore_user(id, seen_at).map_err(|_| Refusal::InvalidValue("the UPN is taken"))?;
            }
            WorldEdit::PurgeTeamsUser { teams_user } => {
                let id = self.deleted_user(&teams_user)?;
                self.tenant.purge_user(id, seen_at).map_err(|_| Refusal::NotFound("deleted Teams user"))?;
            }
            WorldEdit::SetSeats { sku, seats } => {
                let mut products = self.tenant.skus.values_mut();
                let product = products.find(|it| it.part_number == sku).ok_or(Refusal::NotFound("product"))?;
                product.enabled_units = seats;
            }
            WorldEdit::RenameTenantDomain { from, to, user_principal_names, mails } => {
                let names = (user_principal_names, mails);
                self.tenant.rename_domain((&from, &to), names, seen_at);
            }
            WorldEdit::AddTenantDomain { name, verified } => {
                let text = self.verification_text();
                let domain = TenantDomain { verified: Lagged::settled(verified), text, ..TenantDomain::verified() };
                self.tenant.domains.insert(comparable(&name), domain);
            }
            WorldEdit::SetVerifiedElsewhere { name, verified } => {
                let names = &mut self.tenant.verified_elsewhere;
                let _changed =
                    if verified { names.insert(comparable(&name)) } else { names.remove(&comparable(&name)) };
            }
            WorldEdit::SetDnsText { name, text } => {
                self.dns.insert(comparable(&name), Lagged::settled(text));
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
}

impl World {
    fn deleted_user(&self, name: &str) -> Result<EntraObjectId, Refusal> {
        self.tenant.find_deleted(name).ok_or(Refusal::NotFound("deleted Teams user"))
    }
}

impl Tenant {
    fn rename_domain(&mut self, (from, to): (&str, &str), (names, mails): (bool, bool), seen_at: Timestamp) {
        let mut changed = Vec::new();
        for (id, user) in &mut self.users {
            let name = renamed(&user.user_principal_name, from, to).filter(|_| names);
            let mail = user.mail.as_deref().and_then(|mail| renamed(mail, from, to)).filter(|_| mails);
            if name.is_some() || mail.is_some() {
                replace(&mut user.user_principal_name, name);
                user.mail = mail.or_else(|| user.mail.take());
                changed.push(*id);
            }
        }
        for id in changed {
            self.touch(id, Some(seen_at));
        }
    }
}

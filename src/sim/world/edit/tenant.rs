//! The tenant, as its administrators change it.

use k8s_openapi::jiff::Timestamp;

use super::{WorldEdit, renamed, replace};
use crate::domain::{Address, EntraObjectId};
use crate::sim::world::permissions::app_role;
use crate::sim::world::settings::after;
use crate::sim::world::tenant::DeletedUser;
use crate::sim::world::{Refusal, Tenant, World};

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
            other => self.edit_directory(other, seen_at)?,
        }
        Ok(())
    }

    fn edit_directory(&mut self, edit: WorldEdit, seen_at: Timestamp) -> Result<(), Refusal> {
        match edit {
            WorldEdit::DeleteTeamsUser { teams_user } => {
                let id = self.find_teams_user(&teams_user)?;
                self.tenant.delete_user(id, seen_at);
            }
            WorldEdit::RestoreTeamsUser { teams_user } => self.tenant.restore_user(&teams_user, seen_at)?,
            WorldEdit::PurgeTeamsUser { teams_user } => self.tenant.purge_user(&teams_user, seen_at)?,
            WorldEdit::RenameTenantDomain { from, to, user_principal_names, mails } => {
                let names = (user_principal_names, mails);
                self.tenant.rename_domain((&from, &to), names, seen_at);
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

impl Tenant {
    fn delete_user(&mut self, id: EntraObjectId, seen_at: Timestamp) {
        self.version += 1;
        let user = self.users.remove(&id).map(Box::new);
        let deleted = DeletedUser { version: self.version, visible_since: Some(seen_at), permanent: false, user };
        self.deleted.insert(id, deleted);
    }

    /// The user is there again under the same id, with everything it had.
    fn restore_user(&mut self, name: &str, seen_at: Timestamp) -> Result<(), Refusal> {
        let id = self.find_deleted(name)?;
        let user = self.deleted.remove(&id).and_then(|deleted| deleted.user);
        let mut user = *user.ok_or(Refusal::NotFound("deleted Teams user"))?;
        user.appears_at = Some(seen_at);
        self.users.insert(id, user);
        self.touch(id, Some(seen_at));
        Ok(())
    }

    fn purge_user(&mut self, name: &str, seen_at: Timestamp) -> Result<(), Refusal> {
        let id = self.find_deleted(name)?;
        self.version += 1;
        let deleted = DeletedUser { version: self.version, visible_since: Some(seen_at), permanent: true, user: None };
        self.deleted.insert(id, deleted);
        Ok(())
    }

    /// A restorable user by object id, or by the UPN that it had.
    fn find_deleted(&self, name: &str) -> Result<EntraObjectId, Refusal> {
        let (id, address) = (name.parse::<EntraObjectId>().ok(), name.parse::<Address>().ok());
        let mut restorable = self.deleted.iter().filter_map(|(key, deleted)| Some((key, deleted.user.as_ref()?)));
        let found = restorable
            .find(|(key, user)| id == Some(**key) || (address.is_some() && user.address() == address))
            .map(|(key, _)| *key);
        found.ok_or(Refusal::NotFound("deleted Teams user"))
    }

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

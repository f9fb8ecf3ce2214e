//! People of GoTo: who is in which PBX, under which key, with which address.

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::{WorldEdit, renamed, replace};
use crate::domain::{AccountKey, OrganizationId, UserKey};
use crate::sim::world::connector::{Bought, Pbx};
use crate::sim::world::goto::{Account, Extension, GotoUser, Line, PhoneNumber};
use crate::sim::world::{Refusal, World};

impl World {
    pub(super) fn edit_people(&mut self, edit: WorldEdit, now: Timestamp) -> Result<(), Refusal> {
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
                let own = self.own_extensions(&user)?;
                let (account, ..) = self.forget_goto_user(&user)?;
                self.goto_account_mut(&account)?.close(&own);
            }
            WorldEdit::RecreateGotoUser { user, key } => self.recreate_goto_user(&user, key, now)?,
            WorldEdit::RenameGotoDomain { from, to } => {
                let users = self.goto.accounts.values_mut().flat_map(|account| account.users.values_mut());
                for user in users {
                    let email = renamed(&user.email, &from, &to);
                    replace(&mut user.email, email);
                }
            }
            WorldEdit::RemoveLine { user } => self.goto_user_mut(&user)?.lines.clear(),
            WorldEdit::AddLine { organization, user, extension } => {
                self.add_line(organization, &user, extension, now)?;
            }
            WorldEdit::MoveToPbx { user, organization } => self.move_to_pbx(&user, organization)?,
            WorldEdit::AddPbx { organization, name, licenses, bound } => {
                let (account, _) = self.pbx_or_first(None)?;
                self.goto_account_mut(&account)?.organizations.insert(organization, name);
                let entitlement = licenses.map(|licenses_total| Bought { active: true, licenses_total });
                let pbx = Pbx { entitlement, bound_at: bound.then_some(now), ..Pbx::default() };
                self.connector_mut(&account)?.pbxs.insert(organization, pbx);
            }
            _ => {}
        }
        Ok(())
    }

    /// GoTo no longer knows the user; the connector remembers the address of a pair.
    fn forget_goto_user(&mut self, name: &str) -> Result<(AccountKey, UserKey, GotoUser), Refusal> {
        let (account, key) = self.account_of(name)?;
        let user = self.goto_account_mut(&account)?.users.remove(&key).ok_or(Refusal::NotFound("GoTo user"))?;
        let pbxs = self.connectors.get_mut(&account).into_iter().flat_map(|connector| connector.pbxs.values_mut());
        for pair in pbxs.filter_map(|pbx| pbx.users.get_mut(&key)) {
            pair.last_email = Some(user.email.clone());
        }
        Ok((account, key, user))
    }

    fn recreate_goto_user(&mut self, name: &str, key: UserKey, now: Timestamp) -> Result<(), Refusal> {
        if self.goto.account_of(&key).is_some() {
            return Err(Refusal::InvalidValue("the key is taken"));
        }
        let seen_at = self.goto_seen_at(now);
        let (account, _, mut user) = self.forget_goto_user(name)?;
        user.visible_since = Some(seen_at);
        for (line, ordinal) in user.lines.iter_mut().zip(1_u32..) {
            line.id = format!("line-{key}-{ordinal}");
        }
        self.goto_account_mut(&account)?.users.insert(key, user);
        Ok(())
    }

    fn add_line(
        &mut self,
        organization: Option<OrganizationId>,
        user: &str,
        number: String,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let (_, organization) = self.pbx_or_first(organization)?;
        let seen_at = self.goto_seen_at(now);
        let (account, key) = self.account_of(user)?;
        let account = self.goto_account_mut(&account)?;
        let user = account.users.get_mut(&key).ok_or(Refusal::NotFound("GoTo user"))?;
        let name = format!("{} {}", user.first_name, user.last_name);
        let (id, primary) = (format!("line-{key}-{number}-{organization}"), user.lines.is_empty());
        user.lines.push(Line { id, name: name.clone(), number: number.clone(), primary, organization });
        if !account.extensions.values().any(|it| it.organization == organization && it.number == number) {
            let id = format!("extension-{key}-{number}-{organization}");
            let kind = "DIRECT_EXTENSION".to_owned();
            account.extensions.insert(id, Extension { organization, number, name, kind, visible_since: Some(seen_at) });
        }
        Ok(())
    }

    fn move_to_pbx(&mut self, name: &str, organization: OrganizationId) -> Result<(), Refusal> {
        let (account, key) = self.account_of(name)?;
        let own = self.own_extensions(name)?;
        let account = self.goto_account_mut(&account)?;
        if !account.organizations.contains_key(&organization) {
            return Err(Refusal::NotFound("PBX"));
        }
        for (id, extension) in account.extensions.iter_mut().filter(|(id, _)| own.contains(*id)) {
            extension.organization = organization;
            let routed = account.phone_numbers.values_mut().filter(|it| it.route_to.as_ref() == Some(id));
            routed.for_each(|it| it.organization = organization);
        }
        let user = account.users.get_mut(&key).ok_or(Refusal::NotFound("GoTo user"))?;
        user.lines.iter_mut().for_each(|line| line.organization = organization);
        Ok(())
    }

    /// Ids of the extensions that nobody but the user has a line of.
    fn own_extensions(&self, name: &str) -> Result<BTreeSet<String>, Refusal> {
        let (account, key) = self.account_of(name)?;
        let account = self.goto.accounts.get(&account).ok_or(Refusal::NotFound("account"))?;
        let has_line = |user: &GotoUser, extension: &Extension| {
            let is_it = |line: &Line| (line.organization, &line.number) == (extension.organization, &extension.number);
            user.lines.iter().any(is_it)
        };
        let user = account.users.get(&key).ok_or(Refusal::NotFound("GoTo user"))?;
        let mine = account.extensions.iter().filter(|(_, extension)| has_line(user, extension));
        let shared = |extension| account.users.iter().any(|(other, user)| *other != key && has_line(user, extension));
        Ok(mine.filter(|(_, extension)| !shared(extension)).map(|(id, _)| id.clone()).collect())
    }

    fn account_of(&self, name: &str) -> Result<(AccountKey, UserKey), Refusal> {
        let key = self.find_goto_user(name)?;
        let account = self.goto.account_of(&key).ok_or(Refusal::NotFound("account"))?.clone();
        Ok((account, key))
    }

    fn goto_account_mut(&mut self, account: &AccountKey) -> Result<&mut Account, Refusal> {
        self.goto.accounts.get_mut(account).ok_or(Refusal::NotFound("account"))
    }
}

impl Account {
    /// The extensions are gone, and numbers that were routed to them are routed to nobody.
    fn close(&mut self, extensions: &BTreeSet<String>) {
        self.extensions.retain(|id, _| !extensions.contains(id));
        let closed = |it: &&mut PhoneNumber| it.route_to.as_ref().is_some_and(|id| extensions.contains(id));
        self.phone_numbers.values_mut().filter(closed).for_each(|it| it.route_to = None);
    }
}

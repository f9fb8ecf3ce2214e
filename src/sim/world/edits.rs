//! Helpers of [`super::WorldEdit`]: finding what an edit names, and the changes themselves.

use k8s_openapi::jiff::Timestamp;

use super::connector::{Connector, Pbx};
use super::goto::{Extension, GotoUser, Line, PhoneNumber};
use super::settings::after;
use super::tenant::{Plan, TenantNumber, TenantUser, Voice, plans};
use super::{Lagged, Refusal, Tenant, World, dice};
use crate::clients::connector::wire::SyncKind;
use crate::domain::{AccountKey, Address, EntraObjectId, OrganizationId, UserKey};

impl World {
    /// The account, or the first one.
    pub fn account_or_first(&self, account: Option<AccountKey>) -> Result<AccountKey, Refusal> {
        account.or_else(|| self.connectors.keys().next().cloned()).ok_or(Refusal::NotFound("account"))
    }

    /// The PBX and its account, or the first one.
    pub fn pbx_or_first(&self, pbx: Option<OrganizationId>) -> Result<(AccountKey, OrganizationId), Refusal> {
        let all = self.connectors.iter().flat_map(|(account, it)| it.pbxs.keys().map(move |pbx| (account, *pbx)));
        let found = all.into_iter().find(|(_, it)| pbx.is_none_or(|pbx| pbx == *it));
        found.map(|(account, pbx)| (account.clone(), pbx)).ok_or(Refusal::NotFound("PBX"))
    }

    pub(crate) fn first_pbx_mut(&mut self, pbx: Option<OrganizationId>) -> Result<&mut Pbx, Refusal> {
        let (account, pbx) = self.pbx_or_first(pbx)?;
        self.pbx_mut(&account, pbx)
    }

    /// A GoTo user by key or address.
    pub fn find_goto_user(&self, name: &str) -> Result<UserKey, Refusal> {
        let address = name.parse::<Address>().ok();
        let is_it = |(key, user): &(&UserKey, &GotoUser)| {
            key.as_str() == name || (address.is_some() && user.address() == address)
        };
        let users = self.goto.accounts.values().flat_map(|account| account.users.iter());
        users.into_iter().find(is_it).map(|(key, _)| key.clone()).ok_or(Refusal::NotFound("GoTo user"))
    }

    /// A user of the tenant by object id or UPN.
    pub fn find_teams_user(&self, name: &str) -> Result<EntraObjectId, Refusal> {
        let (id, address) = (name.parse::<EntraObjectId>().ok(), name.parse::<Address>().ok());
        let is_it = |(key, user): &(&EntraObjectId, &TenantUser)| {
            id == Some(**key) || (address.is_some() && user.address() == address)
        };
        self.tenant.users.iter().find(is_it).map(|(id, _)| *id).ok_or(Refusal::NotFound("Teams user"))
    }

    pub(crate) fn goto_user_mut(&mut self, name: &str) -> Result<&mut GotoUser, Refusal> {
        let key = self.find_goto_user(name)?;
        let user = self.goto.accounts.values_mut().find_map(|account| account.users.get_mut(&key));
        user.ok_or(Refusal::NotFound("GoTo user"))
    }

    pub(crate) fn teams_user_mut(&mut self, name: &str) -> Result<(EntraObjectId, &mut TenantUser), Refusal> {
        let id = self.find_teams_user(name)?;
        let user = self.tenant.users.get_mut(&id).ok_or(Refusal::NotFound("Teams user"))?;
        Ok((id, user))
    }

    /// When readers of GoTo see a change that is made at `now`.
    pub(crate) fn goto_seen_at(&mut self, now: Timestamp) -> Timestamp {
        after(now, dice::roll(self.settings.seed, &mut self.draws, 0, self.settings.goto_lag_seconds))
    }

    /// When readers of Graph see a change that is made at `now`.
    pub(crate) fn graph_seen_at(&mut self, now: Timestamp) -> Timestamp {
        after(now, dice::roll(self.settings.seed, &mut self.draws, 0, self.settings.graph_lag_seconds))
    }

    /// Adds a user with one line, its extension, and a number routed to it; all are seen when the user is.
    pub(crate) fn add_goto_user(
        &mut self,
        pbx: Option<OrganizationId>,
        key: &UserKey,
        mut user: GotoUser,
        number: String,
        phone_number: Option<String>,
    ) -> Result<(), Refusal> {
        let (account, organization) = self.pbx_or_first(pbx)?;
        let account = self.goto.accounts.get_mut(&account).ok_or(Refusal::NotFound("account"))?;
        let name = format!("{} {}", user.first_name, user.last_name);
        let (line, extension) = (format!("line-{key}"), format!("extension-{key}"));
        let visible_since = user.visible_since;
        user.lines.push(Line { id: line, name: name.clone(), number: number.clone(), primary: true, organization });
        account.users.insert(key.clone(), user);
        let kind = "DIRECT_EXTENSION".to_owned();
        account.extensions.insert(extension.clone(), Extension { organization, number, name, kind, visible_since });
        if let Some(number) = phone_number {
            let number = PhoneNumber { organization, number, route_to: Some(extension), visible_since };
            account.phone_numbers.insert(format!("number-{key}"), number);
        }
        Ok(())
    }

    /// A user of the tenant who holds the products; Teams knows a user with Teams from `provisioned_at` on.
    pub(crate) fn new_teams_user(
        &self,
        upn: String,
        skus: &[String],
        provisioned_at: Timestamp,
    ) -> Result<TenantUser, Refusal> {
        let mut user = TenantUser { usage_location: Some("DE".to_owned()), ..TenantUser::named(upn) };
        for name in skus {
            let found = self.tenant.skus.iter().find(|(_, sku)| sku.part_number == *name);
            let (id, sku) = found.ok_or(Refusal::NotFound("product"))?;
            user.skus.insert(*id);
            for plan in sku.plans.keys() {
                user.set_plan(*plan, Some("Enabled".to_owned()), provisioned_at);
            }
        }
        Ok(user)
    }

    /// A service plan by its name in any product, or by its id.
    pub(crate) fn plan(&self, name: &str) -> Result<EntraObjectId, Refusal> {
        let known = self.tenant.skus.values().flat_map(|sku| sku.plans.iter());
        let found = known.into_iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
        found.or_else(|| name.parse().ok()).ok_or(Refusal::NotFound("service plan"))
    }

    pub(crate) fn route(&mut self, number: &str, user: Option<&str>) -> Result<(), Refusal> {
        let user = user.map(|name| self.find_goto_user(name)).transpose()?;
        let accounts = self.goto.accounts.values_mut();
        let holds = |it: &PhoneNumber| it.number == number;
        let account = accounts.into_iter().find(|account| account.phone_numbers.values().any(holds));
        let account = account.ok_or(Refusal::NotFound("number"))?;
        let target = user.and_then(|key| {
            let line = account.users.get(&key)?.lines.iter().find(|line| line.primary)?.clone();
            let is_it = |it: &Extension| it.organization == line.organization && it.number == line.number;
            account.extensions.iter().find(|(_, it)| is_it(it)).map(|(id, _)| id.clone())
        });
        for entry in account.phone_numbers.values_mut().filter(|it| it.number == number) {
            entry.route_to.clone_from(&target);
        }
        Ok(())
    }

    pub(crate) fn set_secure_calling(&mut self, user: &str, on: bool) -> Result<(), Refusal> {
        let key = self.find_goto_user(user)?;
        let account = self.goto.account_of(&key).ok_or(Refusal::NotFound("account"))?.clone();
        let organizations: Vec<OrganizationId> = self.goto.accounts[&account].organizations.keys().copied().collect();
        let connector = self.connector_mut(&account)?;
        for organization in organizations {
            let keys = &mut connector.pbxs.entry(organization).or_default().secure_calling;
            let _changed = if on { keys.insert(key.clone()) } else { keys.remove(&key) };
        }
        Ok(())
    }
}

impl TenantUser {
    /// Sets the status of a plan, or takes it away; a new Teams user is known to Teams from `provisioned_at` on.
    pub(crate) fn set_plan(&mut self, plan: EntraObjectId, status: Option<String>, provisioned_at: Timestamp) {
        match status {
            None => drop(self.plans.remove(&plan)),
            Some(capability_status) => {
                let teams = plan.to_string() == plans::TEAMS1;
                let service = if teams { "TeamspaceAPI" } else { "MicrosoftCommunicationsOnline" }.to_owned();
                self.plans.insert(plan, Plan { capability_status, service });
            }
        }
        if self.has_teams() {
            self.provisioned_at.get_or_insert(provisioned_at);
        }
    }
}

impl Tenant {
    /// Gives a number to somebody by hand, or takes it from whoever has it.
    pub(crate) fn set_number(&mut self, number: &str, user: Option<EntraObjectId>, now: Timestamp, seen_at: Timestamp) {
        let entry = self.numbers.entry(number.to_owned()).or_insert_with(|| TenantNumber {
            number_type: "directRouting".to_owned(),
            source: "online".to_owned(),
            target: Lagged::settled(None),
            visible_since: Some(seen_at),
        });
        let former = *entry.target.truth();
        entry.target.set(user, now, seen_at);
        let mut change = |id: Option<EntraObjectId>, voice: &dyn Fn(&mut Voice)| {
            if let Some(user) = id.and_then(|id| self.users.get_mut(&id)) {
                let mut state = user.voice.truth().clone();
                voice(&mut state);
                state.enabled = !state.numbers.is_empty();
                user.voice.set(state, now, seen_at);
            }
        };
        change(former, &|voice| voice.numbers.retain(|it| it != number));
        change(user, &|voice| voice.numbers.extend([number.to_owned()]));
    }
}

impl Connector {
    /// As if no directory import had ever run.
    pub(crate) fn forget_imports(&mut self) {
        self.imported.clear();
        self.imported_version = 0;
        self.runs.retain(|run| run.kind != SyncKind::Directory);
    }
}

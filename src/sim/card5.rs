//! Card 5 of the dashboard: the five counters, computed as the dashboard would and not as the operator does.
//!
//! **Architecture invariant:** no code of `crate::plan` is used here: this is the oracle that the plan is compared with.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::world::World;
use super::world::connector::{Connector, Pbx};
use super::world::goto::Account;
use crate::domain::{AccountKey, Address, EntraObjectId, OrganizationId, UserKey};

/// The counters of card 5 (guide steps 24 to 28).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card5 {
    /// Licenses that nobody uses.
    pub licenses_available: u32,
    /// Licenses bought.
    pub licenses_total: u32,
    /// Users who would get service.
    pub users_to_add: u32,
    /// Users who would lose service.
    pub users_to_remove: u32,
    /// Users with service afterwards.
    pub users_after_sync: u32,
}

/// A row of the uploaded file: who shall keep or get service. One of the two names of the GoTo user is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Row {
    /// Address at GoTo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goto_email: Option<String>,
    /// Key at GoTo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_key: Option<UserKey>,
    /// UPN or object id in the tenant.
    pub teams_user: String,
}

/// What one press of "Begin syncing" would be about, as the dashboard sees it.
struct Dashboard<'a> {
    world: &'a World,
    account: &'a Account,
    connector: &'a Connector,
    pbx: &'a Pbx,
    organization: OrganizationId,
}

/// The card of one PBX: by the automatic process, or by the manual one when rows are given. All zero where there is no card.
pub fn card5(
    world: &World,
    account: &AccountKey,
    organization: OrganizationId,
    now: Timestamp,
    rows: Option<&[Row]>,
) -> Card5 {
    let Some(dashboard) = Dashboard::open(world, account, organization) else { return Card5::default() };
    let wanted = rows.map_or_else(|| dashboard.automatic(), |rows| dashboard.manual(rows));
    dashboard.count(&wanted, now)
}

impl<'a> Dashboard<'a> {
    fn open(world: &'a World, account: &AccountKey, organization: OrganizationId) -> Option<Self> {
        let connector = world.connectors.get(account)?;
        let pbx = connector.pbxs.get(&organization)?;
        let account = world.goto.accounts.get(account)?;
        Some(Self { world, account, connector, pbx, organization })
    }

    /// Equal addresses, one to one.
    fn automatic(&self) -> BTreeMap<&'a UserKey, EntraObjectId> {
        let people = self.account.members(self.organization).filter_map(|(key, user)| Some((user.address()?, key)));
        let imported = self
            .connector
            .imported
            .iter()
            .filter_map(|(id, user)| Some((user.user_principal_name.parse::<Address>().ok()?, *id)));
        let teams = single(imported);
        single(people).into_iter().filter_map(|(address, key)| Some((key, *teams.get(&address)?))).collect()
    }

    /// The rows of the file that name somebody on both sides.
    fn manual(&self, rows: &[Row]) -> BTreeMap<&'a UserKey, EntraObjectId> {
        let by_address =
            single(self.account.members(self.organization).filter_map(|(key, user)| Some((user.address()?, key))));
        let by_upn: BTreeMap<Address, EntraObjectId> =
            single(self.world.tenant.users.iter().filter_map(|(id, user)| Some((user.address()?, *id))));
        let person = |row: &Row| match (&row.user_key, &row.goto_email) {
            (Some(key), _) => self.account.users.get_key_value(key).map(|(key, _)| key),
            (None, Some(email)) => by_address.get(&email.parse().ok()?).copied(),
            (None, None) => None,
        };
        let teams = |row: &Row| {
            let id = row.teams_user.parse::<EntraObjectId>().ok();
            id.or_else(|| by_upn.get(&row.teams_user.parse().ok()?).copied())
        };
        rows.iter().filter_map(|row| Some((person(row)?, teams(row)?))).collect()
    }

    fn count(&self, wanted: &BTreeMap<&UserKey, EntraObjectId>, now: Timestamp) -> Card5 {
        let licenses_total = self.pbx.entitlement.as_ref().map_or(0, |it| it.licenses_total);
        let licenses_available = licenses_total.saturating_sub(self.pbx.licenses_in_use(now));
        let stays = |key: &UserKey| wanted.get(key) == self.pbx.users.get(key).map(|pair| &pair.teams_user);
        let users_to_remove = number(self.pbx.users.keys().filter(|key| !stays(key)).count());
        let taken: BTreeSet<EntraObjectId> = self.taken();
        let eligible = wanted.iter().filter(|(key, teams)| {
            !self.pbx.users.contains_key(**key) && !taken.contains(teams) && self.is_eligible(key, **teams)
        });
        let users_to_add = number(eligible.count()).min(licenses_available);
        let current = number(self.pbx.users.len());
        let users_after_sync = current + users_to_add - users_to_remove;
        Card5 { licenses_available, licenses_total, users_to_add, users_to_remove, users_after_sync }
    }

    fn taken(&self) -> BTreeSet<EntraObjectId> {
        let pbxs = self.world.connectors.values().flat_map(|connector| connector.pbxs.values());
        pbxs.flat_map(|pbx| pbx.users.values()).map(|pair| pair.teams_user).collect()
    }

    /// A line in the PBX, secure calling off, and an active member of the tenant with Teams and Phone System.
    fn is_eligible(&self, key: &UserKey, teams: EntraObjectId) -> bool {
        let has_line = self.account.users.get(key).is_some_and(|user| !user.device && user.is_in(self.organization));
        let capable = self.world.tenant.users.get(&teams).is_some_and(|user| {
            user.account_enabled && user.user_type == "Member" && user.has_teams() && user.has_phone_system()
        });
        let seen = self.connector.imported.contains_key(&teams);
        has_line && capable && seen && !self.pbx.secure_calling.contains(key)
    }
}

/// Addresses that only one has.
fn single<T>(entries: impl Iterator<Item = (Address, T)>) -> BTreeMap<Address, T> {
    let mut all: BTreeMap<Address, Vec<T>> = BTreeMap::new();
    for (address, it) in entries {
        all.entry(address).or_default().push(it);
    }
    let only = |mut them: Vec<T>| if them.len() == 1 { them.pop() } else { None };
    all.into_iter().filter_map(|(address, them)| Some((address, only(them)?))).collect()
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

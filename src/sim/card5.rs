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

/// Whom one press of "Begin syncing" would give service, and from whom it would take it: what the counters count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Press {
    /// Users to add, in the order of their keys, as many as there are licenses.
    pub to_add: Vec<UserKey>,
    /// Users to remove: everybody in the connector whom the process does not find, whoever added them.
    pub to_remove: Vec<UserKey>,
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
    dashboard.count(&dashboard.press(rows, now), now)
}

/// The names behind the counters; nobody where there is no card.
pub fn press(
    world: &World,
    account: &AccountKey,
    organization: OrganizationId,
    now: Timestamp,
    rows: Option<&[Row]>,
) -> Press {
    Dashboard::open(world, account, organization).map(|dashboard| dashboard.press(rows, now)).unwrap_or_default()
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

    /// The rows of the file that name somebody on both sides, one to one; two that contradict each other are none.
    fn manual(&self, rows: &[Row]) -> BTreeMap<&'a UserKey, EntraObjectId> {
        let (people, teams) = (self.people(), self.teams());
        let named = |row: &Row| {
            let person = match (&row.user_key, &row.goto_email) {
                (Some(key), _) => self.known(key),
                (None, Some(email)) => people.get(&email.parse().ok()?).copied(),
                (None, None) => None,
            };
            let id = row.teams_user.parse::<EntraObjectId>().ok();
            Some((person?, id.or_else(|| teams.get(&row.teams_user.parse().ok()?).copied())?))
        };
        // What is said twice is said once.
        let named: BTreeSet<_> = rows.iter().filter_map(named).collect();
        let (mut by_person, mut by_target) = (BTreeMap::new(), BTreeMap::new());
        for (key, id) in &named {
            *by_person.entry(*key).or_insert(0) += 1;
            *by_target.entry(*id).or_insert(0) += 1;
        }
        named.into_iter().filter(|(key, id)| (by_person[key], by_target[id]) == (1, 1)).collect()
    }

    /// A user of the account, or of a pair whose user GoTo no longer knows.
    fn known(&self, key: &UserKey) -> Option<&'a UserKey> {
        let user = self.account.users.get_key_value(key).map(|(key, _)| key);
        user.or_else(|| self.pbx.users.get_key_value(key).map(|(key, _)| key))
    }

    /// Who has which address: the users of the PBX, and those of pairs whom GoTo knows elsewhere or no longer.
    fn people(&self) -> BTreeMap<Address, &'a UserKey> {
        let members =
            single(self.account.members(self.organization).filter_map(|(key, user)| Some((user.address()?, key))));
        let of_pair = |key: &UserKey, last: Option<&String>| {
            let user = self.account.users.get(key).map(|user| &user.email);
            user.or(last)?.parse::<Address>().ok()
        };
        let pairs = self.pbx.users.iter();
        let mut people = single(pairs.filter_map(|(key, pair)| Some((of_pair(key, pair.last_email.as_ref())?, key))));
        people.extend(members);
        people
    }

    /// Who has which name in the tenant now, else had it at the last import, else before being deleted.
    fn teams(&self) -> BTreeMap<Address, EntraObjectId> {
        let deleted = self.world.tenant.deleted.iter().filter_map(|(id, it)| Some((it.user.as_ref()?.address()?, *id)));
        let imported = self.connector.imported.iter();
        let mut teams = single(deleted);
        teams.extend(single(imported.filter_map(|(id, it)| Some((it.user_principal_name.parse().ok()?, *id)))));
        teams.extend(single(self.world.tenant.users.iter().filter_map(|(id, user)| Some((user.address()?, *id)))));
        teams
    }

    fn press(&self, rows: Option<&[Row]>, now: Timestamp) -> Press {
        let wanted = rows.map_or_else(|| self.automatic(), |rows| self.manual(rows));
        let stays = |key: &UserKey| wanted.get(key) == self.pbx.users.get(key).map(|pair| &pair.teams_user);
        let to_remove: Vec<UserKey> = self.pbx.users.keys().filter(|key| !stays(key)).cloned().collect();
        let taken = self.taken(&to_remove);
        let eligible = wanted.iter().filter(|(key, teams)| {
            !self.pbx.users.contains_key(**key) && !taken.contains(teams) && self.is_eligible(key, **teams)
        });
        let free = usize::try_from(self.available(now)).unwrap_or(usize::MAX);
        Press { to_add: eligible.take(free).map(|(key, _)| (*key).clone()).collect(), to_remove }
    }

    fn available(&self, now: Timestamp) -> u32 {
        let total = self.pbx.entitlement.as_ref().map_or(0, |it| it.licenses_total);
        total.saturating_sub(self.pbx.licenses_in_use(now))
    }

    fn count(&self, press: &Press, now: Timestamp) -> Card5 {
        let (users_to_add, users_to_remove) = (number(press.to_add.len()), number(press.to_remove.len()));
        Card5 {
            licenses_available: self.available(now),
            licenses_total: self.pbx.entitlement.as_ref().map_or(0, |it| it.licenses_total),
            users_to_add,
            users_to_remove,
            users_after_sync: number(self.pbx.users.len()) + users_to_add - users_to_remove,
        }
    }

    /// Teams users of every pair that stays: the same press removes before it adds.
    fn taken(&self, to_remove: &[UserKey]) -> BTreeSet<EntraObjectId> {
        let pbxs = self.world.connectors.values().flat_map(|connector| connector.pbxs.values());
        let stays = |pbx: &Pbx, key: &UserKey| !std::ptr::eq(pbx, self.pbx) || !to_remove.contains(key);
        let pairs = pbxs.flat_map(|pbx| pbx.users.iter().filter(move |(key, _)| stays(pbx, key)));
        pairs.map(|(_, pair)| pair.teams_user).collect()
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

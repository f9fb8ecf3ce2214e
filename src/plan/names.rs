//! Whom a text names in the two directories of one reading.

use std::collections::HashMap;

use super::snapshot::{GotoUser, Line, TeamsUser};
use crate::domain::{Address, EntraObjectId, UserKey};

/// Everything by which people are named.
#[derive(Debug)]
pub(super) struct Names<'a> {
    addresses: HashMap<&'a UserKey, &'a Address>,
    by_address: HashMap<&'a Address, Vec<&'a UserKey>>,
    by_extension: HashMap<&'a str, Vec<&'a UserKey>>,
    teams: HashMap<EntraObjectId, &'a TeamsUser>,
    teams_by_address: HashMap<&'a Address, Vec<EntraObjectId>>,
}

impl<'a> Names<'a> {
    /// `line`: the line of a user in the PBX that counts.
    pub(super) fn of(
        goto_users: &'a [GotoUser],
        teams_users: &'a [TeamsUser],
        line: impl Fn(&UserKey) -> Option<&'a Line>,
    ) -> Self {
        let mut names = Self {
            addresses: goto_users.iter().filter_map(|user| Some((&user.key, user.address.as_ref()?))).collect(),
            by_address: HashMap::new(),
            by_extension: HashMap::new(),
            teams: teams_users.iter().map(|user| (user.id, user)).collect(),
            teams_by_address: HashMap::new(),
        };
        for user in goto_users {
            if let Some(address) = &user.address {
                names.by_address.entry(address).or_default().push(&user.key);
            }
            if let Some(line) = line(&user.key) {
                names.by_extension.entry(line.extension.as_str()).or_default().push(&user.key);
            }
        }
        for user in teams_users {
            let second = user.mail_address.iter().filter(|mail| user.upn_address.as_ref() != Some(mail));
            for address in user.upn_address.iter().chain(second) {
                names.teams_by_address.entry(address).or_default().push(user.id);
            }
        }
        names
    }

    /// The GoTo users with this address, or with this extension.
    pub(super) fn people(&self, text: &str) -> Vec<&'a UserKey> {
        let found = match text.parse::<Address>() {
            Ok(address) => self.by_address.get(&address),
            Err(_) => self.by_extension.get(text),
        };
        found.cloned().unwrap_or_default()
    }

    /// The Microsoft users with this object id or address.
    pub(super) fn teams_users(&self, text: &str) -> Vec<EntraObjectId> {
        if let Ok(id) = text.parse::<EntraObjectId>() {
            return self.has_teams_user(id).then_some(id).into_iter().collect();
        }
        let address = text.parse::<Address>().ok();
        address.and_then(|address| self.teams_by_address.get(&address)).cloned().unwrap_or_default()
    }

    /// Whether the Microsoft user exists.
    pub(super) fn has_teams_user(&self, id: EntraObjectId) -> bool {
        self.teams.contains_key(&id)
    }

    /// Whether somebody of the tenant has the address, as UPN or mail.
    pub(super) fn has_teams_address(&self, address: &Address) -> bool {
        self.teams_by_address.contains_key(address)
    }

    /// Whether the user has an address, and nobody of the tenant has the same as UPN or as mail.
    pub(super) fn matches_nobody(&self, key: &UserKey) -> bool {
        self.addresses.get(key).is_some_and(|address| !self.has_teams_address(address))
    }

    /// Whether the user has an address that the Microsoft user has as UPN or as mail.
    pub(super) fn share_an_address(&self, key: &UserKey, id: EntraObjectId) -> bool {
        let (Some(address), Some(teams)) = (self.addresses.get(key), self.teams.get(&id)) else { return false };
        teams.upn_address.iter().chain(&teams.mail_address).any(|it| it == *address)
    }
}

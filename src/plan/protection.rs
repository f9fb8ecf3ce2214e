//! Protected users: entries of the policy resolved to users once, then kept by id (R15).
//!
//! **Architecture invariant:** an entry that names nobody holds every removal: it may mean anybody.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::reading::Reading;
use super::records::Records;
use super::subjects::Subject;
use crate::domain::{Address, EntraObjectId, UserKey};

/// Who is protected by which entry, and whether an entry names nobody.
#[derive(Debug, Default)]
pub(super) struct Protection {
    by: HashMap<UserKey, String>,
    /// How many entries name nobody.
    pub unknown: usize,
}

/// Resolves the entries: a stored resolution holds while the list has the entry, any other is looked for in the reading.
pub(super) fn resolve(
    records: &Records<'_>,
    reading: &Reading<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
) -> Protection {
    let mut protection = Protection::default();
    let entries: HashSet<&str> = records.observed.spec.protected_users.iter().map(String::as_str).collect();
    if entries.is_empty() {
        return protection;
    }
    let mut found: HashSet<&str> = HashSet::new();
    for (key, user) in &records.users {
        let stored = user.spec.protected_by.as_deref().and_then(|entry| entries.get(entry));
        if let Some(entry) = stored {
            found.insert(entry);
            protection.by.insert(key.clone(), (*entry).to_owned());
        }
    }
    let names = Names::of(reading, subjects);
    for entry in &records.observed.spec.protected_users {
        if found.contains(entry.as_str()) {
            continue;
        }
        let keys = names.of_entry(entry);
        if keys.is_empty() && !exists_outside(reading, entry) {
            protection.unknown += 1;
        }
        for key in keys {
            protection.by.entry(key.clone()).or_insert_with(|| entry.clone());
        }
    }
    protection
}

impl Protection {
    /// The entry that protects the user.
    pub(super) fn of(&self, key: &UserKey) -> Option<&str> {
        self.by.get(key).map(String::as_str)
    }
}

/// Subjects by all that an entry may say.
struct Names<'s> {
    keys: HashMap<&'s str, &'s UserKey>,
    addresses: HashMap<&'s Address, Vec<&'s UserKey>>,
    teams: HashMap<EntraObjectId, Vec<&'s UserKey>>,
}

impl<'s> Names<'s> {
    fn of<'a>(reading: &Reading<'a>, subjects: &'s BTreeMap<UserKey, Subject<'a>>) -> Self {
        let mut names = Self { keys: HashMap::new(), addresses: HashMap::new(), teams: HashMap::new() };
        for (key, subject) in subjects {
            names.keys.insert(key.as_str(), key);
            let pin = subject.known.and_then(super::records::pin);
            let paired = subject.pair.map(|pair| pair.teams_user);
            let matched = subject.teams.map(|teams| teams.id);
            let ids: HashSet<EntraObjectId> = pin.into_iter().chain(paired).chain(matched).collect();
            let people = subject.person.and_then(|person| person.user.address.as_ref()).into_iter();
            let microsoft = ids.iter().filter_map(|id| reading.teams.get(id));
            let microsoft = microsoft.flat_map(|user| user.upn_address.iter().chain(&user.mail_address));
            for address in people.chain(microsoft) {
                names.addresses.entry(address).or_default().push(key);
            }
            for id in ids {
                names.teams.entry(id).or_default().push(key);
            }
        }
        names
    }

    fn of_entry(&self, entry: &str) -> Vec<&'s UserKey> {
        let entry = entry.trim();
        if let Some(key) = self.keys.get(entry) {
            return vec![key];
        }
        if let Ok(id) = entry.parse::<EntraObjectId>() {
            return self.teams.get(&id).cloned().unwrap_or_default();
        }
        let address = entry.parse::<Address>().ok();
        address.and_then(|address| self.addresses.get(&address).cloned()).unwrap_or_default()
    }
}

/// Whether the entry names somebody of the two directories with whom the policy has nothing to do.
fn exists_outside(reading: &Reading<'_>, entry: &str) -> bool {
    let entry = entry.trim();
    let id = entry.parse::<EntraObjectId>().ok();
    let key = entry.parse::<UserKey>().ok();
    let address = entry.parse::<Address>().ok();
    id.is_some_and(|id| reading.teams.contains_key(&id))
        || key.is_some_and(|key| reading.people.contains_key(&key))
        || address.is_some_and(|address| {
            reading.addresses.contains_key(&address) || reading.presence.names.has_teams_address(&address)
        })
}

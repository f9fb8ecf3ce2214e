//! The exchange of a person: a valid row names another Microsoft user than the one the user is connected with.
//!
//! **Architecture invariant:** nobody loses service for a row whose Microsoft user could not be connected, or is connected with
//! somebody whom no row moves away.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::funnel;
use super::reading::{Presence, Reading};
use super::records::{self, Records};
use super::rows::Rows;
use crate::api::{Managed, Reason};
use crate::domain::{EntraObjectId, UserKey};

/// Why users whose row names another Microsoft user stay with the one they have.
#[derive(Debug, Default)]
pub(super) struct Obstacles(HashMap<UserKey, Reason>);

impl Obstacles {
    /// Of every row that contradicts a pair.
    pub(super) fn of(
        records: &Records<'_>,
        reading: &Reading<'_>,
        previous: Option<&Presence<'_>>,
        rows: &Rows<'_>,
    ) -> Self {
        let contradicts = |key: &UserKey, target| bond(records, reading, key).is_some_and(|old| old != target);
        let mut movers: BTreeMap<&UserKey, EntraObjectId> =
            rows.valid().filter(|(key, target)| contradicts(key, *target)).collect();
        let mut obstacles = HashMap::new();
        loop {
            let leaving: BTreeSet<&UserKey> =
                movers.keys().copied().filter(|key| !is_protected(records, key)).collect();
            let stays = |key: &UserKey| !leaving.contains(key);
            let fault = |key: &UserKey, target: EntraObjectId| {
                let held = holder(records, reading, previous, target, key).is_some_and(stays);
                let preflight = || reading.teams.get(&target).and_then(|teams| funnel::microsoft(reading, teams));
                if held { Some(Reason::TeamsUserTaken) } else { preflight() }
            };
            let found: Vec<_> = movers.iter().filter_map(|(key, id)| Some((*key, fault(key, *id)?))).collect();
            if found.is_empty() {
                return Self(obstacles);
            }
            for (key, reason) in found {
                movers.remove(key);
                obstacles.insert(key.clone(), reason);
            }
        }
    }

    /// Why the user is not exchanged.
    pub(super) fn for_user(&self, key: &UserKey) -> Option<Reason> {
        self.0.get(key).copied()
    }
}

fn is_protected(records: &Records<'_>, key: &UserKey) -> bool {
    records.users.get(key).is_some_and(|known| known.spec.protected_by.is_some())
}

/// The Microsoft user with whom this policy connected the user, or took the user over; of somebody who is not listed in the
/// connector whom the mark was made for. A pair that somebody changed is nobody's but theirs.
pub(super) fn bond(records: &Records<'_>, reading: &Reading<'_>, key: &UserKey) -> Option<EntraObjectId> {
    let known = records.users.get(key).copied();
    let managed = known.map_or(Managed::None, |known| known.spec.managed);
    let pin = known.and_then(records::pin);
    let Some(pair) = reading.pairs.get(key) else { return pin.filter(|_| managed != Managed::None) };
    (records.ownership(managed, pin, pair) != Managed::None).then_some(pair.teams_user)
}

/// Who else is connected with the Microsoft user, by the connector or by a pin that was listed there a moment ago.
pub(super) fn holder<'r>(
    records: &'r Records<'_>,
    reading: &'r Reading<'_>,
    previous: Option<&Presence<'_>>,
    id: EntraObjectId,
    key: &UserKey,
) -> Option<&'r UserKey> {
    let paired = reading.pairs_by_teams.get(&id).map(|pair| &pair.key);
    let pinned = records.pinned_to(id).filter(|user| previous.is_some_and(|it| it.has_pair(user)));
    paired.into_iter().chain(pinned).find(|user| *user != key)
}

//! The exchange of a person: a valid row names another Microsoft user than the one the user is connected with.
//!
//! **Architecture invariant:** nobody loses service for a row whose Microsoft user could not be connected at once, or is connected with
//! somebody whom no row moves away. The number and the license of the old pair are kept for the new one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::jiff::Timestamp;

use super::funnel::{self, Pairing};
use super::licenses;
use super::numbers;
use super::reading::{Presence, Reading};
use super::records::{self, Records};
use super::rows::Rows;
use super::subjects::{Absence, Finding, Subject};
use crate::api::{Managed, Reason};
use crate::domain::{E164, EntraObjectId, UserKey};

/// What becomes of users whose row names another Microsoft user: the number that the new pair is to have, or why they stay with the
/// one they have.
#[derive(Debug, Default)]
pub(super) struct Exchanges<'a>(HashMap<UserKey, Result<&'a E164, Reason>>);

impl<'a> Exchanges<'a> {
    /// Of every row that contradicts a pair.
    pub(super) fn of(
        records: &Records<'a>,
        reading: &Reading<'a>,
        previous: Option<&Presence<'_>>,
        rows: &Rows<'_>,
    ) -> Self {
        let contradicts = |key: &UserKey, target| bond(records, reading, key).is_some_and(|old| old != target);
        let mut movers: BTreeMap<&UserKey, EntraObjectId> =
            rows.valid().filter(|(key, target)| contradicts(key, *target)).collect();
        let mut exchanges = HashMap::new();
        for (key, target) in &movers {
            exchanges.insert((*key).clone(), number(records, reading, key, *target));
        }
        loop {
            let leaving: BTreeSet<&UserKey> =
                movers.keys().copied().filter(|key| !is_protected(records, key)).collect();
            let stays = |key: &UserKey| !leaving.contains(key);
            let fault = |key: &UserKey, target: EntraObjectId| {
                let holder = holder(records, reading, previous, target, key);
                let held = holder.is_some_and(|holder| stays(holder) || since(records, holder) > since(records, key));
                let refused = || exchanges.get(key).and_then(|number| number.err());
                if held { Some(Reason::TeamsUserTaken) } else { refused() }
            };
            let found: Vec<_> = movers.iter().filter_map(|(key, id)| Some((*key, fault(key, *id)?))).collect();
            if found.is_empty() {
                return Self(exchanges);
            }
            for (key, reason) in found {
                movers.remove(key);
                exchanges.insert(key.clone(), Err(reason));
            }
        }
    }

    /// The number that the user's new pair is to have, or why there is to be none.
    pub(super) fn for_user(&self, key: &UserKey) -> Option<Result<&'a E164, Reason>> {
        self.0.get(key).copied()
    }
}

/// Since when the user's pair is to go: whoever waits for somebody else's Microsoft user goes no earlier than that one.
fn since(records: &Records<'_>, key: &UserKey) -> Timestamp {
    let known = records.users.get(key).and_then(|known| known.spec.unmatched_since.as_ref());
    known.map_or(records.now, |since| since.0)
}

/// The number with which the user could be connected with the other Microsoft user, once the old pair is gone.
///
/// # Errors
/// The first thing that the new pair would miss; a license too, where the old pair's is none that was bought.
fn number<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    key: &UserKey,
    target: EntraObjectId,
) -> Result<&'a E164, Reason> {
    let pair = reading.pairs.get(key).copied();
    // Of whom the listing of that user is needed nothing is taken away without it.
    let (Some(person), Some(teams)) = (reading.people.get(key), reading.teams.get(&target)) else {
        return Err(Reason::SourceIncomplete);
    };
    if reading.taken_elsewhere.contains(&target) {
        return Err(Reason::TeamsUserTaken);
    }
    let paired = pair.and_then(|pair| pair.number.as_ref()).map(E164::as_str);
    let kept = [paired, numbers::actual(reading, target), records.promised(target)];
    let number = numbers::expected(reading, person, &kept);
    let from = bond(records, reading, key);
    let pairing = Pairing { users: &[key], teams, from, number, in_connector: true };
    let is_licensed = || pair.is_none_or(|pair| licenses::are_bought(reading, 0, pair));
    match (funnel::preflight(reading, &pairing), number) {
        (Some(fault), _) => Err(fault),
        (None, Ok(_)) if !is_licensed() => Err(Reason::ConnectorLicenseExhausted),
        (None, number) => number,
    }
}

/// Whether the user's pair was removed for the Microsoft user whom a row still names.
pub(super) fn goes_on(records: &Records<'_>, subject: &Subject<'_>) -> bool {
    let Some(target) = records.exchanged(&subject.key) else { return false };
    match subject.finding {
        Finding::Leaving => subject.gone == Some(Absence::Person(target)),
        Finding::Keep => true,
        _ => subject.teams.is_some_and(|teams| teams.id == target),
    }
}

/// Whether a pair was removed so that this one can come: under an old key of the user, or with another Microsoft user. Whoever decided
/// about the one decided about the other.
pub(super) fn follows(records: &Records<'_>, key: &UserKey, teams: Option<EntraObjectId>) -> bool {
    records.predecessor(key).is_some() || (teams.is_some() && records.exchanged(key) == teams)
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

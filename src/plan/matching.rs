//! Who is the same person: pin first, then the pair found again at the connector, then equal addresses, one to one.

use super::reading::{Person, Reading};
use super::records::Records;
use crate::api::Reason;
use crate::domain::{EntraObjectId, UserKey};

/// The Microsoft user whose chosen attribute equals the GoTo address, if both have it alone.
///
/// # Errors
/// The one reason why nobody is matched; nobody is ever guessed.
pub(super) fn automatic(
    reading: &Reading<'_>,
    records: &Records<'_>,
    person: &Person<'_>,
) -> Result<EntraObjectId, Reason> {
    let id = equal_address(reading, person)?;
    if is_claimed(reading, records, id, &person.user.key) { Err(Reason::TeamsUserTaken) } else { Ok(id) }
}

/// The same, whoever has that Microsoft user already.
///
/// # Errors
/// As above.
pub(super) fn equal_address(reading: &Reading<'_>, person: &Person<'_>) -> Result<EntraObjectId, Reason> {
    let Some(address) = &person.user.address else { return Err(Reason::MissingEmail) };
    let Some(found) = reading.by_address.get(address) else { return Err(Reason::NoMatch) };
    if reading.addresses.get(address).is_some_and(|count| *count > 1) {
        return Err(Reason::DuplicateEmail);
    }
    found.ok_or(Reason::AmbiguousMatch)
}

/// Whether the Microsoft user is pinned to another GoTo user, or this policy paired the two in the connector.
pub(super) fn is_claimed(reading: &Reading<'_>, records: &Records<'_>, id: EntraObjectId, user: &UserKey) -> bool {
    let pinned = records.pinned_to(id).is_some_and(|key| key != user);
    let pair = reading.pairs_by_teams.get(&id).filter(|pair| records.is_ours(pair));
    pinned || pair.is_some_and(|pair| pair.key != *user)
}

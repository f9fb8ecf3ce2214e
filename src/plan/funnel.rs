//! Preflight: what the matched Microsoft user, the line and the number must fulfil. The first miss is the one reason.

use super::reading::Reading;
use super::snapshot::{TeamsUser, VoiceAccount};
use crate::api::Reason;
use crate::domain::{E164, EntraObjectId, UserKey};

/// A pair as it is, or as it is to be.
pub(super) struct Pairing<'p> {
    /// The user, and who else may have the number in the connector.
    pub users: &'p [&'p UserKey],
    /// The Microsoft user.
    pub teams: &'p TeamsUser,
    /// Another Microsoft user, whom the number is to be taken from.
    pub from: Option<EntraObjectId>,
    /// The number.
    pub number: Result<&'p E164, Reason>,
    /// A license is spent already, so what is merely not known yet does not count.
    pub in_connector: bool,
}

/// The first stage of the preflight that the pair does not pass.
pub(super) fn preflight(reading: &Reading<'_>, pairing: &Pairing<'_>) -> Option<Reason> {
    let Pairing { users, teams, number, in_connector, .. } = pairing;
    let secure = || users.first().and_then(|user| secure_calling(reading, user, *in_connector));
    microsoft(reading, teams).or_else(secure).or_else(|| match number {
        Ok(number) => number_is_free(reading, pairing, number),
        Err(reason) => Some(*reason),
    })
}

fn microsoft(reading: &Reading<'_>, teams: &TeamsUser) -> Option<Reason> {
    let voice = reading.voice.get(&teams.id);
    let account = voice.map(|voice| voice.account);
    if !teams.enabled {
        Some(Reason::AccountDisabled)
    } else if teams.guest || account == Some(VoiceAccount::NotAPerson) {
        Some(Reason::GuestOrResourceAccount)
    } else if account == Some(VoiceAccount::OnPremises) {
        Some(Reason::HomedOnPremises)
    } else if !teams.has_teams {
        Some(Reason::NoTeamsLicense)
    } else if !teams.has_phone_system {
        Some(Reason::NoPhoneSystemLicense)
    } else if reading.calling_plans.contains(&teams.id) {
        Some(Reason::CallingPlanConflict)
    } else if voice.is_none() {
        Some(Reason::LicensePropagating)
    } else {
        None
    }
}

/// A user whom the connector's candidates do not name is not known: nobody is admitted on a guess, nobody is blamed.
fn secure_calling(reading: &Reading<'_>, user: &UserKey, in_connector: bool) -> Option<Reason> {
    match reading.secure_calling.get(user) {
        Some(true) => Some(Reason::SecureCallingEnabled),
        Some(false) => None,
        None => (!in_connector).then_some(Reason::SourceIncomplete),
    }
}

fn number_is_free(reading: &Reading<'_>, pairing: &Pairing<'_>, number: &E164) -> Option<Reason> {
    let Pairing { users, teams, from, .. } = pairing;
    let assignment = reading.assignments.get(number);
    if assignment.is_some_and(|it| it.on_premises) {
        return Some(Reason::NumberOwnedOnPremises);
    }
    let other_in_teams =
        assignment.and_then(|it| it.target).is_some_and(|target| target != teams.id && Some(target) != *from);
    let other_in_connector = reading.pair_numbers.get(number).is_some_and(|key| !users.contains(key));
    (other_in_teams || other_in_connector).then_some(Reason::NumberInUse)
}

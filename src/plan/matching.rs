//! Who is the same person: a valid row, then the pin while its origin holds, then the pair found again at the connector, then equal
//! addresses, one to one.
//!
//! **Architecture invariant:** a row, or the want of one, moves nobody whom two complete readings do not agree on, and nobody who
//! is connected but through a removal.

use super::exchange;
use super::judge::Judge;
use super::reading::{Person, Presence, Reading};
use super::records::{self, Records};
use super::rows::{Claim, Rows};
use super::snapshot::TeamsUser;
use super::subjects::{Absence, Finding, Subject};
use crate::api::{Managed, MatchedBy, Reason, UserStage};
use crate::domain::{EntraObjectId, UserKey};

type Match<'a> = Result<&'a TeamsUser, Finding>;

impl<'a> Judge<'_, 'a> {
    /// The Microsoft user, or what follows without one.
    pub(super) fn teams_user(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Match<'a> {
        let target = self.rows.target(&subject.key);
        let pin = subject.known.and_then(records::matched_pin);
        // A row that names another one comes first: that the old one is gone is the usual reason to edit it.
        if (target.is_none() || target == pin)
            && let Some(finding) = self.missing(subject)
        {
            return Err(finding);
        }
        if let Some(Claim::Valid(target, row)) = self.rows.of(&subject.key) {
            let teams = self.by_row(subject, target)?;
            if subject.obstacle.is_none() {
                (subject.matched_by, subject.row) = (Some(MatchedBy::Manual), Some(row));
            }
            return Ok(teams);
        }
        if let Some(found) = self.by_pin(subject, person).or_else(|| self.again(subject)) {
            return found;
        }
        if self.rows.of(&subject.key) == Some(Claim::Rejected) {
            return Err(Finding::stopped(UserStage::Match, Reason::MappingRejected));
        }
        subject.matched_by = Some(MatchedBy::Automatic);
        match automatic(self.reading, self.records, self.rows, person) {
            Ok(id) => self.reading.teams.get(&id).copied().ok_or(Finding::Keep),
            Err(reason @ Reason::MissingEmail) => Err(Finding::stopped(UserStage::Import, reason)),
            Err(reason) => Err(Finding::stopped(UserStage::Match, reason)),
        }
    }

    /// Whom the user would have, whoever has that Microsoft user now.
    pub(super) fn claim(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Option<&'a TeamsUser> {
        if let Some(Claim::Valid(target, row)) = self.rows.of(&subject.key) {
            (subject.matched_by, subject.row) = (Some(MatchedBy::Manual), Some(row));
            return self.reading.teams.get(&target).copied();
        }
        let pinned = subject.known.and_then(records::matched_pin);
        let pinned = pinned.filter(|id| self.origin(subject, person, *id).is_some());
        let id = pinned.or_else(|| equal_address(self.reading, self.records, person).ok())?;
        self.reading.teams.get(&id).copied()
    }

    /// The pinned Microsoft user is not in this reading; `None`: there is, or nothing is lost with it.
    fn missing(&self, subject: &mut Subject<'a>) -> Option<Finding> {
        let id = subject.known.and_then(records::matched_pin).filter(|id| !self.reading.teams.contains_key(id))?;
        if self.previous.is_none_or(|it| it.has_teams_user(id)) {
            return Some(Finding::Keep);
        }
        (subject.managed != Managed::None && self.care(subject) != Managed::None).then(|| {
            subject.gone = Some(Absence::TeamsUser);
            Finding::Retained(UserStage::Match)
        })
    }

    /// Whom a valid row names. Whoever is connected with another one loses that pair first, through a run.
    fn by_row(&self, subject: &mut Subject<'a>, target: EntraObjectId) -> Match<'a> {
        let bond = exchange::bond(self.records, self.reading, &subject.key);
        if let Some(old) = bond.filter(|old| *old != target)
            && let Some(teams) = self.exchange(subject, old, target)?
        {
            return Ok(teams);
        }
        let holder = exchange::holder(self.records, self.reading, self.previous, target, &subject.key);
        if bond != Some(target) && holder.is_some() {
            return Err(Finding::stopped(UserStage::Match, Reason::TeamsUserTaken));
        }
        self.reading.teams.get(&target).copied().ok_or(Finding::Keep)
    }

    /// The old Microsoft user while nothing may be taken away for the new one; `None`: nothing is left of the old pair.
    fn exchange(
        &self,
        subject: &mut Subject<'a>,
        old: EntraObjectId,
        target: EntraObjectId,
    ) -> Result<Option<&'a TeamsUser>, Finding> {
        if self.rows_before.target(&subject.key) != Some(target) {
            return Err(Finding::Keep);
        }
        let number = self.exchanges.for_user(&subject.key);
        subject.obstacle = number.and_then(Result::err).filter(|_| subject.pair.is_some());
        if subject.obstacle.is_some() {
            let old = self.reading.teams.get(&old).copied().map(Some);
            return old.ok_or_else(|| self.missing(subject).unwrap_or(Finding::Keep));
        }
        match self.let_go(subject) {
            Some(finding) => {
                subject.gone = Some(Absence::Person(target));
                subject.number = number.unwrap_or(subject.number);
                Err(finding)
            }
            None => Ok(None),
        }
    }

    /// What is left of a pair that is no longer called for; `None`: nothing.
    fn let_go(&self, subject: &mut Subject<'a>) -> Option<Finding> {
        let unlisted = matches!(self.lost(subject), Some(Finding::Keep | Finding::Unlisted));
        if subject.pair.is_none() && unlisted { Some(Finding::Keep) } else { self.leave(subject, UserStage::Match) }
    }

    /// The pin, as long as its origin holds.
    fn by_pin(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Option<Match<'a>> {
        let id = subject.known.and_then(records::matched_pin)?;
        let teams = self.reading.teams.get(&id)?;
        let given_away = subject.pair.is_none() && self.rows.give_to_another(id, &subject.key);
        if self.records.pinned_to(id) != Some(&subject.key) || (given_away && self.lost(subject).is_none()) {
            return Some(Err(Finding::stopped(UserStage::Match, Reason::TeamsUserTaken)));
        }
        subject.matched_by = self.origin(subject, person, id);
        if subject.matched_by.is_some() { Some(Ok(teams)) } else { self.unmatch(subject, id).map(Err) }
    }

    /// By what the pin holds; a row that does not count still exists.
    fn origin(&self, subject: &Subject<'a>, person: &Person<'a>, id: EntraObjectId) -> Option<MatchedBy> {
        let stored = subject.known.and_then(|known| known.spec.matched_by);
        if self.rows.of(&subject.key).is_some() {
            return stored;
        }
        let is_equal = || automatic(self.reading, self.records, self.rows, person) == Ok(id);
        let holds = self.is_automatic() && (stored == Some(MatchedBy::Automatic) || is_equal());
        holds.then_some(MatchedBy::Automatic)
    }

    /// The pair found again at the connector.
    fn again(&self, subject: &mut Subject<'a>) -> Option<Match<'a>> {
        let id = subject.pair.filter(|pair| self.records.is_ours(pair))?.teams_user;
        let claimed = is_claimed(self.reading, self.records, id, &subject.key);
        let teams = self.reading.teams.get(&id).filter(|_| !claimed)?;
        let is_row = self.rows.of(&subject.key).is_some();
        if !is_row && !self.is_automatic() {
            return self.unmatch(subject, id).map(Err);
        }
        subject.matched_by = Some(if is_row { MatchedBy::Manual } else { MatchedBy::Automatic });
        Some(Ok(teams))
    }

    /// No rule gives the pair any more; `None`: nothing is lost with it.
    fn unmatch(&self, subject: &mut Subject<'a>, id: EntraObjectId) -> Option<Finding> {
        if exchange::bond(self.records, self.reading, &subject.key) != Some(id) {
            return None;
        }
        let finding = self.let_go(subject)?;
        let equal = |it: &Presence<'_>| self.is_automatic() && it.names.share_an_address(&subject.key, id);
        if finding != Finding::Keep && !equal(&self.reading.presence) {
            if self.is_automatic() && subject.person.is_none_or(|person| person.user.address.is_none()) {
                // Whom the address would match no last look can tell. Calls that a run forbade are given back meanwhile.
                return Some(if subject.is_leaving() { finding } else { Finding::Keep });
            }
            let agrees = self.previous.is_some_and(|it| !equal(it)) && self.rows_before.of(&subject.key).is_none();
            if !agrees {
                return Some(Finding::Keep);
            }
            subject.gone = Some(if self.is_automatic() { Absence::Match } else { Absence::Rule });
        }
        Some(finding)
    }

    fn is_automatic(&self) -> bool {
        self.records.observed.spec.matching.automatic.is_some()
    }
}

/// The Microsoft user whose chosen attribute equals the GoTo address, if both have it alone.
///
/// # Errors
/// The one reason why nobody is matched; nobody is ever guessed.
fn automatic(
    reading: &Reading<'_>,
    records: &Records<'_>,
    rows: &Rows<'_>,
    person: &Person<'_>,
) -> Result<EntraObjectId, Reason> {
    let id = equal_address(reading, records, person)?;
    let taken = is_claimed(reading, records, id, &person.user.key) || rows.give_to_another(id, &person.user.key);
    if taken { Err(Reason::TeamsUserTaken) } else { Ok(id) }
}

/// The same, whoever has that Microsoft user already.
///
/// # Errors
/// As above.
fn equal_address(reading: &Reading<'_>, records: &Records<'_>, person: &Person<'_>) -> Result<EntraObjectId, Reason> {
    if records.observed.spec.matching.automatic.is_none() {
        return Err(Reason::NoMatch);
    }
    let Some(address) = &person.user.address else { return Err(Reason::MissingEmail) };
    let Some(found) = reading.by_address.get(address) else { return Err(Reason::NoMatch) };
    if reading.addresses.get(address).is_some_and(|count| *count > 1) {
        return Err(Reason::DuplicateEmail);
    }
    found.ok_or(Reason::AmbiguousMatch)
}

/// Whether the Microsoft user is pinned to another GoTo user, or this policy paired the two in the connector.
fn is_claimed(reading: &Reading<'_>, records: &Records<'_>, id: EntraObjectId, user: &UserKey) -> bool {
    let pinned = records.pinned_to(id).is_some_and(|key| key != user);
    let pair = reading.pairs_by_teams.get(&id).filter(|pair| records.is_ours(pair));
    pinned || pair.is_some_and(|pair| pair.key != *user)
}

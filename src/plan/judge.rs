//! What the reading says of each user: who is in the PBX, who left, and what is left of them in the connector.
//!
//! **Architecture invariant:** absence is concluded from two complete readings that agree; until then all stays as stored.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::SignedDuration;

use super::exchange::Exchanges;
use super::reading::{Place, Presence, Reading};
use super::records::{self, Records};
use super::replace;
use super::rows::Rows;
use super::snapshot::ConnectorUser;
use super::subjects::{Absence, Finding, Subject};
use crate::api::{Managed, Reason, UserStage};
use crate::domain::UserKey;

/// The old values of somebody who was removed are kept so long (R14).
const REMOVED_ARE_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Judges every user of the PBX, every user without a line and every user in the policy's care.
pub(super) fn judge_all<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    previous: Option<&Presence<'a>>,
    rows: &Rows<'a>,
) -> BTreeMap<UserKey, Subject<'a>> {
    let mut keys: BTreeSet<&UserKey> = reading.presence.in_scope().collect();
    keys.extend(records.users.keys());
    keys.extend(reading.pairs.values().filter(|pair| records.is_ours(pair)).map(|pair| &pair.key));
    if records.adoption.all {
        keys.extend(reading.pairs.values().filter(|pair| records.adoption.covers(pair)).map(|pair| &pair.key));
    }
    let rows_before = previous.map(|previous| Rows::resolve(records, previous)).unwrap_or_default();
    let exchanges = Exchanges::of(records, reading, previous, rows);
    let judge = Judge { records, reading, previous, rows, rows_before, exchanges };
    keys.into_iter().map(|key| (key.clone(), judge.user(key))).collect()
}

/// Judges users by one reading and the one before it.
pub(super) struct Judge<'j, 'a> {
    pub records: &'j Records<'a>,
    pub reading: &'j Reading<'a>,
    pub previous: Option<&'j Presence<'a>>,
    /// The rows as this reading resolves them.
    pub rows: &'j Rows<'a>,
    /// The rows as the earlier reading resolves them.
    pub rows_before: Rows<'a>,
    pub exchanges: Exchanges<'a>,
}

impl<'a> Judge<'_, 'a> {
    fn user(&self, key: &UserKey) -> Subject<'a> {
        let known = self.records.users.get(key).copied();
        let person = self.reading.people.get(key).copied();
        let mut subject = Subject::new(key, known, person, self.reading.pairs.get(key).copied());
        subject.finding = match self.reading.presence.place(key) {
            Some(Place::Here) => self.member(&mut subject),
            place => self.outsider(&mut subject, place),
        };
        subject
    }

    /// Not, or no longer, in the PBX.
    fn outsider(&self, subject: &mut Subject<'a>, place: Option<Place>) -> Finding {
        let no_line = || Finding::stopped(UserStage::Import, Reason::NoLine);
        let adopts = self.adopts_unmatched(subject);
        if subject.known.is_none() && !self.is_ours(subject) && !adopts {
            return if place == Some(Place::NoLine) { no_line() } else { Finding::Gone };
        }
        if adopts {
            subject.managed = Managed::Adopted;
        }
        if !self.previous.is_some_and(|it| it.place(&subject.key) != Some(Place::Here)) {
            if adopts {
                return Finding::Retained(UserStage::Import);
            }
            return if subject.known.is_some() { Finding::Keep } else { Finding::Gone };
        }
        subject.gone = Some(Absence::Line);
        match self.leave(subject, UserStage::Import) {
            Some(finding) => finding,
            None if self.is_kept_in_memory(subject) => Finding::Removed,
            None if place == Some(Place::NoLine) => no_line(),
            None => Finding::Gone,
        }
    }

    /// What happens to somebody who is no longer called for; `None`: nothing was done for the user, or nothing is left of it.
    pub(super) fn leave(&self, subject: &mut Subject<'a>, stage: UserStage) -> Option<Finding> {
        if subject.pair.is_some() {
            subject.managed = self.care(subject);
            return (subject.managed != Managed::None).then_some(Finding::Retained(stage));
        }
        let cared_for = subject.managed != Managed::None;
        if cared_for && subject.is_leaving() && !is_freed(self.records, self.reading, subject) {
            return Some(Finding::Leaving);
        }
        if cared_for && !subject.is_leaving() && self.previous.is_some_and(|it| it.has_pair(&subject.key)) {
            return Some(Finding::Keep);
        }
        subject.managed = Managed::None;
        None
    }

    /// Whether the user was removed not so long ago that the old values may go.
    fn is_kept_in_memory(&self, subject: &Subject<'a>) -> bool {
        let Some(known) = subject.known else { return false };
        let removed = known.status.last_change.as_ref().filter(|it| it.action.removes());
        let young = removed.is_some_and(|it| self.records.now.duration_since(it.at.0) < REMOVED_ARE_KEPT);
        subject.is_leaving() || young
    }

    /// In the PBX.
    fn member(&self, subject: &mut Subject<'a>) -> Finding {
        let Some(person) = subject.person else { return Finding::Keep };
        match self.teams_user(subject, &person) {
            Ok(teams) => subject.teams = Some(teams),
            Err(Finding::Stopped { stage, reason, message }) => {
                match reason {
                    Reason::NoMatch => self.unmatched(subject),
                    Reason::TeamsUserTaken => subject.claim = self.claim(subject, &person),
                    _ => {}
                }
                let left = self.leave(subject, stage);
                return left.unwrap_or(Finding::Stopped { stage, reason, message });
            }
            Err(finding) => return finding,
        }
        self.matched(subject, &person)
    }

    /// Whether the pair is taken over though its user matches nobody (R8).
    fn adopts_unmatched(&self, subject: &Subject<'a>) -> bool {
        let scope = &self.records.adoption;
        let is_free = |pair: &ConnectorUser| !self.records.is_ours(pair) && scope.covers(pair);
        scope.all && subject.known.is_none() && subject.pair.is_some_and(is_free)
    }

    /// Matches nobody: adopted, and gone when two readings agree that nobody has the address. Whoever was matched once is judged
    /// by the pin alone: a rename is never a removal (R9).
    fn unmatched(&self, subject: &mut Subject<'a>) {
        if self.rows.of(&subject.key).is_some() {
            return;
        }
        let alone = self.reading.presence.matches_nobody(&subject.key);
        if alone && self.adopts_unmatched(subject) {
            subject.managed = Managed::Adopted;
        }
        let was_matched = subject.known.and_then(records::matched_pin).is_some();
        let agree = alone && self.previous.is_some_and(|it| it.matches_nobody(&subject.key));
        if agree && subject.managed == Managed::Adopted && subject.pair.is_some() && !was_matched {
            subject.gone = Some(Absence::Match);
        }
    }

    /// In whose care the pair is by what is stored. Where somebody else's took its place the user is released; one with our mark and
    /// another Microsoft user is kept in mind and never taken, for without its object it would look like ours.
    pub(super) fn care(&self, subject: &Subject<'a>) -> Managed {
        let Some(pair) = subject.pair else { return Managed::None };
        let pin = subject.known.and_then(records::pin);
        match (self.records.ownership(subject.managed, pin, pair), subject.managed) {
            (Managed::None, Managed::None) if self.records.is_ours(pair) => Managed::Added,
            (Managed::None, stored) if self.records.is_ours(pair) => stored,
            (whose, _) => whose,
        }
    }

    fn is_ours(&self, subject: &Subject<'a>) -> bool {
        subject.pair.is_some_and(|pair| self.records.is_ours(pair))
    }
}

/// Whether the number of somebody who was removed is read back as gone, and no change waits for a push any more (R13, R19).
pub(super) fn is_freed(records: &Records<'_>, reading: &Reading<'_>, subject: &Subject<'_>) -> bool {
    let Some(known) = subject.known else { return true };
    if is_replaced(records, reading, subject) {
        return true;
    }
    let is_replacing = records.successor(&subject.key).is_some() && records.is_executing(subject.known);
    if is_replacing || replace::is_awaited(records, reading, known, &subject.key) {
        return false;
    }
    let removed_at = known.status.last_change.as_ref().map(|change| change.at.0);
    let pushed = records.activity.is_some_and(|activity| {
        activity.push_changes_since.is_none_or(|since| removed_at.is_some_and(|removed_at| since > removed_at))
    });
    let noted = known.status.last_change.as_ref().and_then(|change| change.before.as_ref()?.phone_number.as_deref());
    let old = records.removal(&subject.key, known).and_then(|(_, it)| it.expected.phone_number.as_deref()).or(noted);
    // Whoever else is connected with the Microsoft user has the number by right.
    let pin = records::pin(known).filter(|id| !reading.pairs_by_teams.contains_key(id));
    let voice = pin.and_then(|id| reading.voice.get(&id));
    let holds = match (voice.and_then(|voice| voice.number.as_ref()), old) {
        (Some(now), Some(old)) => now.as_str() == old,
        // Where nothing tells the old number the push alone does.
        (Some(_), None) | (None, _) => false,
    };
    pushed && !holds
}

/// Whether the pair is there that the replacement was to make: the number stays where it is.
fn is_replaced(records: &Records<'_>, reading: &Reading<'_>, subject: &Subject<'_>) -> bool {
    let new = records.successor(&subject.key).and_then(|key| key.parse::<UserKey>().ok());
    let pair = new.and_then(|key| reading.pairs.get(&key));
    pair.is_some_and(|pair| subject.known.and_then(records::pin) == Some(pair.teams_user))
}

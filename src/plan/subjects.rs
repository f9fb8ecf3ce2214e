//! What the reading says of each user, before licenses are handed out.
//!
//! **Architecture invariant:** absence is concluded from two complete readings that agree; until then all stays as stored.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::funnel;
use super::matching;
use super::numbers;
use super::observed::KnownUser;
use super::polling::LISTING_LAG;
use super::reading::{Person, Place, Presence, Reading};
use super::records::{self, Records};
use super::replace::Successor;
use super::snapshot::{ConnectorUser, TeamsUser};
use crate::api::reasons::Shown;
use crate::api::{LastChange, Managed, Reason, RunOperation, UserStage, UserState};
use crate::domain::{E164, UserKey};

/// The old values of somebody who was removed are kept so long (R14).
const REMOVED_ARE_KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A user and what the reading says.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    /// GoTo's key.
    pub key: UserKey,
    /// The object, if there is one.
    pub known: Option<&'a KnownUser>,
    /// What GoTo says; absent when the user is gone.
    pub person: Option<Person<'a>>,
    /// The Microsoft user: pinned, found again or matched.
    pub teams: Option<&'a TeamsUser>,
    /// The Microsoft user whom the user would have, were that one not somebody else's.
    pub claim: Option<&'a TeamsUser>,
    /// Under which key the user was created again.
    pub successor: Option<Successor<'a>>,
    /// The number that the user should have.
    pub number: Result<&'a E164, Reason>,
    /// The user's pair in the connector.
    pub pair: Option<&'a ConnectorUser>,
    /// Whose pair it is.
    pub managed: Managed,
    /// What is gone, if two complete readings agree that the user is no longer called for.
    pub gone: Option<Absence>,
    /// The entry of `protectedUsers` that means the user.
    pub protected_by: Option<String>,
    /// Calls that a run forbade are given back.
    pub restore: bool,
    /// What follows.
    pub finding: Finding,
}

/// What two complete readings agree is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The GoTo user, or every line of his in the PBX.
    Line,
    /// The Microsoft user.
    TeamsUser,
    /// There never was a match: the pair was adopted, and no Microsoft user has the GoTo address.
    Match,
}

/// What follows for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All stays as stored: two readings do not agree yet.
    Keep,
    /// The object may go.
    Gone,
    /// Connected by this policy, no longer called for: nothing is taken away.
    Retained(UserStage),
    /// Takes the place of a key that is gone, by the run that removes it.
    Replacing,
    /// Removed from the connector by a run; the number is not read back as gone yet.
    Leaving,
    /// Removed, and the number is read back as gone.
    Removed,
    /// The first stage that is not passed.
    Stopped {
        /// The stage.
        stage: UserStage,
        /// Why.
        reason: Reason,
        /// Message, if it is not the reason's own.
        message: Option<String>,
    },
    /// Passed all up to the license.
    Wanted(Attempt),
    /// Has a license in this plan.
    Admitted(Attempt),
    /// Accepted a moment ago, not listed yet.
    Unlisted,
    /// In the connector, ours; with what the preflight misses.
    Present(Option<Reason>),
}

/// Which try it is to add a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// A try failed before.
    pub again: bool,
    /// Not before the back-off is over, for this reason.
    pub held: Option<Reason>,
    /// `requestedAt` brought the user back.
    pub released: bool,
}

impl Finding {
    fn stopped(stage: UserStage, reason: Reason) -> Self {
        Self::Stopped { stage, reason, message: None }
    }
}

impl Subject<'_> {
    /// State, as stored.
    pub(super) fn stored_state(&self) -> Option<UserState> {
        self.known.and_then(|known| known.status.state)
    }

    /// The last change, as stored.
    pub(super) fn last_change(&self) -> Option<&LastChange> {
        self.known.and_then(|known| known.status.last_change.as_ref())
    }

    /// What the connector refused, as stored; for display and back-off only.
    pub(super) fn refusal(&self) -> Option<Reason> {
        let status = &self.known?.status;
        let refused = status.state == Some(UserState::Blocked) && status.stage == Some(UserStage::Apply);
        let reason = if refused { status.reason.as_deref().and_then(Reason::parse) } else { None };
        reason.filter(|reason| !matches!(reason, Reason::ForeignUser | Reason::Disconnected))
    }

    /// Since when the pair is the user's, for the order of licenses.
    pub(super) fn first_seen(&self, now: Timestamp) -> Timestamp {
        let pin = self.known.and_then(records::pin);
        match (self.known, self.teams) {
            (Some(known), Some(teams)) if pin == Some(teams.id) => known.spec.first_seen.0,
            (Some(known), None) => known.spec.first_seen.0,
            _ => now,
        }
    }
}

/// Judges every user of the PBX, every user without a line and every user in the policy's care.
pub(super) fn judge_all<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    previous: Option<&Presence<'a>>,
) -> BTreeMap<UserKey, Subject<'a>> {
    let mut keys: BTreeSet<&UserKey> = reading.presence.in_scope().collect();
    keys.extend(records.users.keys());
    keys.extend(reading.pairs.values().filter(|pair| records.is_ours(pair)).map(|pair| &pair.key));
    if records.adoption.all {
        keys.extend(reading.pairs.values().filter(|pair| records.adoption.covers(pair)).map(|pair| &pair.key));
    }
    let judge = Judge { records, reading, previous };
    keys.into_iter().map(|key| (key.clone(), judge.user(key))).collect()
}

struct Judge<'j, 'a> {
    records: &'j Records<'a>,
    reading: &'j Reading<'a>,
    previous: Option<&'j Presence<'a>>,
}

impl<'a> Judge<'_, 'a> {
    fn user(&self, key: &UserKey) -> Subject<'a> {
        let known = self.records.users.get(key).copied();
        let mut subject = Subject {
            key: key.clone(),
            known,
            person: self.reading.people.get(key).copied(),
            teams: None,
            claim: None,
            successor: None,
            number: Err(Reason::NumberMissing),
            pair: self.reading.pairs.get(key).copied(),
            managed: known.map_or(Managed::None, |known| known.spec.managed),
            gone: None,
            protected_by: None,
            restore: false,
            finding: Finding::Keep,
        };
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
    fn leave(&self, subject: &mut Subject<'a>, stage: UserStage) -> Option<Finding> {
        let cared_for = subject.managed != Managed::None || self.is_ours(subject);
        if cared_for && subject.pair.is_some() {
            if subject.managed == Managed::None {
                subject.managed = Managed::Added;
            }
            return Some(Finding::Retained(stage));
        }
        if cared_for && is_leaving(subject) && !self.is_freed(subject) {
            return Some(Finding::Leaving);
        }
        if cared_for && !is_leaving(subject) && self.previous.is_some_and(|it| it.has_pair(&subject.key)) {
            return Some(Finding::Keep);
        }
        subject.managed = Managed::None;
        None
    }

    /// Whether the number of somebody who was removed is read back as gone, and no change waits for a push any more (R13, R19).
    fn is_freed(&self, subject: &Subject<'a>) -> bool {
        let Some(known) = subject.known else { return true };
        let is_replacing = self.records.successor(&subject.key).is_some() && self.records.is_executing(subject.known);
        if is_replacing || self.is_replaced(subject, known) {
            return self.is_replaced(subject, known);
        }
        let removed_at = known.status.last_change.as_ref().map(|change| change.at.0);
        let pushed = self.records.activity.is_some_and(|activity| {
            activity.push_changes_since.is_none_or(|since| removed_at.is_some_and(|removed_at| since > removed_at))
        });
        let old = self.records.removal(&subject.key, known).and_then(|(_, it)| it.expected.phone_number.as_deref());
        let voice = records::pin(known).and_then(|id| self.reading.voice.get(&id));
        let holds = match (voice.and_then(|voice| voice.number.as_ref()), old) {
            (Some(now), Some(old)) => now.as_str() == old,
            (Some(_), None) => true,
            (None, _) => false,
        };
        pushed && !holds
    }

    /// Whether the pair is there that the replacement was to make: the number stays where it is.
    fn is_replaced(&self, subject: &Subject<'a>, known: &KnownUser) -> bool {
        let new = self.records.successor(&subject.key).and_then(|key| key.parse::<UserKey>().ok());
        let pair = new.and_then(|key| self.reading.pairs.get(&key));
        pair.is_some_and(|pair| records::pin(known) == Some(pair.teams_user))
    }

    /// Whether the user was removed not so long ago that the old values may go.
    fn is_kept_in_memory(&self, subject: &Subject<'a>) -> bool {
        let Some(known) = subject.known else { return false };
        let removed = known.status.last_change.as_ref().filter(|it| it.action.removes());
        let young = removed.is_some_and(|it| self.records.now.duration_since(it.at.0) < REMOVED_ARE_KEPT);
        is_leaving(subject) || young
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

    /// The Microsoft user: the pin, the pair found again, or equal addresses.
    fn teams_user(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Result<&'a TeamsUser, Finding> {
        if let Some(id) = subject.known.and_then(records::matched_pin) {
            match self.reading.teams.get(&id) {
                Some(_) if self.records.pinned_to(id) != Some(&subject.key) => {
                    return Err(Finding::stopped(UserStage::Match, Reason::TeamsUserTaken));
                }
                Some(teams) => return Ok(teams),
                None if self.previous.is_none_or(|it| it.has_teams_user(id)) => return Err(Finding::Keep),
                None if subject.managed != Managed::None && subject.pair.is_some() => {
                    subject.gone = Some(Absence::TeamsUser);
                    return Err(Finding::Retained(UserStage::Match));
                }
                None => {}
            }
        }
        let again = subject.pair.filter(|pair| self.records.is_ours(pair)).map(|pair| pair.teams_user);
        let free = |id| !matching::is_claimed(self.reading, self.records, id, &subject.key);
        if let Some(teams) = again.filter(|id| free(*id)).and_then(|id| self.reading.teams.get(&id)) {
            return Ok(teams);
        }
        match matching::automatic(self.reading, self.records, person) {
            Ok(id) => self.reading.teams.get(&id).copied().ok_or(Finding::Keep),
            Err(reason @ Reason::MissingEmail) => Err(Finding::stopped(UserStage::Import, reason)),
            Err(reason) => Err(Finding::stopped(UserStage::Match, reason)),
        }
    }

    /// Whom the user would have, whoever has that Microsoft user now.
    fn claim(&self, subject: &Subject<'a>, person: &Person<'a>) -> Option<&'a TeamsUser> {
        let pinned = subject.known.and_then(records::matched_pin);
        let id = pinned.or_else(|| matching::equal_address(self.reading, person).ok())?;
        self.reading.teams.get(&id).copied()
    }

    fn matched(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Finding {
        let Some(teams) = subject.teams else { return Finding::Keep };
        let actual = self.reading.voice.get(&teams.id).and_then(|voice| voice.number.as_ref());
        subject.number = numbers::expected(self.reading, person, actual);
        subject.managed = self.ownership(subject, teams);
        let fault =
            |in_connector| funnel::preflight(self.reading, &[&subject.key], teams, subject.number, in_connector);
        let at = |fault: Option<Reason>, reason| match fault {
            Some(fault) => Finding::stopped(UserStage::Preflight, fault),
            None => Finding::stopped(UserStage::Apply, reason),
        };
        let Some(pair) = subject.pair else {
            let taken = self.reading.pairs_by_teams.contains_key(&teams.id);
            return match self.lost(subject) {
                Some(finding) => finding,
                None if taken => at(fault(false), Reason::TeamsUserTaken),
                None => fault(false).map_or_else(|| self.wanted(subject), |fault| at(Some(fault), fault)),
            };
        };
        if subject.managed == Managed::None {
            return at(fault(false), Reason::ForeignUser);
        }
        if !pair.enabled {
            return Finding::stopped(UserStage::Apply, Reason::Disconnected);
        }
        if pair.licensed {
            return Finding::Present(fault(true));
        }
        fault(true).map_or_else(|| self.wanted(subject), |fault| at(Some(fault), fault))
    }

    /// Whose pair it is. A pair with another id, or added by somebody else and not adopted, is nobody's but theirs.
    fn ownership(&self, subject: &Subject<'a>, teams: &TeamsUser) -> Managed {
        let Some(pair) = subject.pair else { return subject.managed };
        let same = pair.teams_user == teams.id;
        match subject.managed {
            Managed::Adopted if same => Managed::Adopted,
            Managed::None | Managed::Added if same && self.records.is_ours(pair) => Managed::Added,
            Managed::None if same && subject.known.is_none() && self.records.adoption.covers(pair) => Managed::Adopted,
            Managed::None | Managed::Added | Managed::Adopted => Managed::None,
        }
    }

    /// A user whom the connector accepted, or who was adopted, and who is not in its listing.
    fn lost(&self, subject: &Subject<'a>) -> Option<Finding> {
        // A change that took service away is no reason to expect the pair.
        let change = subject.last_change().filter(|it| matches!(it.action, RunOperation::Put | RunOperation::Enable));
        let again = self.records.action(&subject.key).is_some() && {
            self.records.open.is_some_and(|run| change.is_none_or(|change| change.run != run.name))
        };
        let was_there = change.is_some()
            || subject.managed == Managed::Adopted
            || subject.stored_state() == Some(UserState::Connected);
        if again || !was_there {
            return None;
        }
        if change.is_some_and(|change| self.records.now.duration_since(change.at.0) < LISTING_LAG) {
            return Some(Finding::Unlisted);
        }
        if self.previous.is_none_or(|it| it.has_pair(&subject.key)) {
            return Some(Finding::Keep);
        }
        (!self.records.requested).then(|| Finding::stopped(UserStage::Apply, Reason::Disconnected))
    }

    /// Eligible, unless an earlier failure keeps the user out for now.
    fn wanted(&self, subject: &Subject<'a>) -> Finding {
        let released = self.records.requested && subject.last_change().is_some();
        let in_run = self.records.action(&subject.key).is_some();
        if !in_run && self.records.is_denied(&subject.key) {
            return Finding::stopped(UserStage::Approval, Reason::Denied);
        }
        if let Some((reason, message)) = self.records.refused(&subject.key).filter(|_| in_run) {
            return refused(reason, Some(message.to_owned()));
        }
        if let Some(reason) = subject.refusal().filter(|_| in_run && !self.records.noted_all()) {
            return refused(reason, None);
        }
        let Some(held) = self.records.held(&subject.key) else {
            return Finding::Wanted(Attempt { released, ..Attempt::default() });
        };
        let waits = self.records.retry_at().is_some_and(|at| self.records.now < at);
        if in_run || self.records.requested || !waits {
            return Finding::Wanted(Attempt { again: true, held: None, released: self.records.requested });
        }
        match held.failure {
            Some((reason, message)) => refused(reason, Some(message.to_owned())),
            None => refused(subject.refusal().unwrap_or(Reason::ChangesPending), None),
        }
    }

    fn is_ours(&self, subject: &Subject<'a>) -> bool {
        subject.pair.is_some_and(|pair| self.records.is_ours(pair))
    }
}

/// A user whose write failed: one that repeating may help stays on the way, any other is blocked until the next try.
fn refused(reason: Reason, message: Option<String>) -> Finding {
    if is_transient(reason) {
        return Finding::Wanted(Attempt { again: true, held: Some(reason), released: false });
    }
    Finding::Stopped { stage: UserStage::Apply, reason, message }
}

/// Whether a run began to take service away from the user.
fn is_leaving(subject: &Subject<'_>) -> bool {
    subject.known.is_some_and(|known| known.spec.leaving.is_some())
}

/// Whether a machine is waited for.
pub(super) fn is_transient(reason: Reason) -> bool {
    matches!(reason.info().shown, Shown::Waiting | Shown::Retry)
}

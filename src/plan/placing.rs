//! Where a matched user stands with preflight and connector.

use super::exchange;
use super::funnel::{self, Pairing};
use super::judge::Judge;
use super::numbers;
use super::polling::LISTING_LAG;
use super::reading::Person;
use super::snapshot::TeamsUser;
use super::subjects::{Attempt, Finding, Subject, is_transient};
use crate::api::{Managed, Reason, RunOperation, UserStage, UserState};
use crate::domain::E164;

impl<'a> Judge<'_, 'a> {
    pub(super) fn matched(&self, subject: &mut Subject<'a>, person: &Person<'a>) -> Finding {
        let Some(teams) = subject.teams else { return Finding::Keep };
        let paired = subject.pair.and_then(|pair| pair.number.as_ref()).map(E164::as_str);
        let (actual, promised) = (numbers::actual(self.reading, teams.id), self.records.promised(teams.id));
        let is_promised = self.records.exchanged(&subject.key) == Some(teams.id);
        // An exchange puts the number that was shown.
        let kept = if is_promised { [promised, actual, paired] } else { [actual, paired, promised] };
        subject.number = numbers::expected(self.reading, person, &kept);
        subject.managed = self.ownership(subject, teams);
        let (users, number) = ([&subject.key], subject.number);
        let pairing = |in_connector| Pairing { users: &users, teams, from: None, number, in_connector };
        let fault = |in_connector| funnel::preflight(self.reading, &pairing(in_connector));
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
        let fault = subject.obstacle.or_else(|| fault(true));
        if pair.licensed {
            return Finding::Present(fault);
        }
        fault.map_or_else(|| self.wanted(subject), |fault| at(Some(fault), fault))
    }

    /// Whose the pair of a matched user is: one that was there before the policy and that nothing is stored of is adopted.
    fn ownership(&self, subject: &Subject<'a>, teams: &TeamsUser) -> Managed {
        let Some(pair) = subject.pair else { return subject.managed };
        let adopts = subject.known.is_none() && self.records.adoption.covers(pair) && !self.records.is_ours(pair);
        let managed = if adopts { Managed::Adopted } else { subject.managed };
        self.records.ownership(managed, Some(teams.id), pair)
    }

    /// A user whom the connector accepted, or who was adopted, and who is not in its listing.
    pub(super) fn lost(&self, subject: &Subject<'a>) -> Option<Finding> {
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
        if subject.unseen().is_some() {
            return None;
        }
        (!self.records.requested).then(|| Finding::stopped(UserStage::Apply, Reason::Disconnected))
    }

    /// Eligible, unless an earlier failure keeps the user out for now.
    fn wanted(&self, subject: &Subject<'a>) -> Finding {
        let released = self.records.requested && subject.last_change().is_some();
        let in_run = self.records.action(&subject.key).is_some();
        let follows = exchange::follows(self.records, &subject.key, subject.teams.map(|teams| teams.id));
        if !in_run && !follows && self.records.is_denied(&subject.key) {
            return Finding::stopped(UserStage::Approval, Reason::Denied);
        }
        if let Some((reason, message)) = self.records.refused(&subject.key).filter(|_| in_run) {
            return refused(reason, Some(message.to_owned()));
        }
        if let Some(reason) = subject.refusal().filter(|_| in_run && !self.records.noted_all()) {
            return refused(reason, None);
        }
        if let Some(at) = self.records.put_again(subject) {
            let waits = !in_run && !self.records.requested && self.records.now < at;
            let held = waits.then_some(Reason::AcceptedWithoutEffect);
            return Finding::Wanted(Attempt { again: true, held, released });
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
}

/// A user whose write failed: one that repeating may help stays on the way, any other is blocked until the next try.
fn refused(reason: Reason, message: Option<String>) -> Finding {
    if is_transient(reason) {
        return Finding::Wanted(Attempt { again: true, held: Some(reason), released: false });
    }
    Finding::Stopped { stage: UserStage::Apply, reason, message }
}

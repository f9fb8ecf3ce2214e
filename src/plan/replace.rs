//! Replacement: a GoTo user who was created again under another key for the same Microsoft user (R1, R8, R13).
//!
//! It is one action of a Disconnect run: the old pair is disabled and removed, then the new key is put with the same Microsoft
//! user. There is no grace period and `Retain` does not forbid it, for nobody's service is meant to end; the guard counts it once.
//!
//! **Architecture invariants**
//! - The old key is in no list of the account, by two complete readings that agree; who merely lost the line is no predecessor.
//! - Nothing begins unless the new key passes everything that the connector asks for, and the license that the old pair frees is
//!   one that was bought. The new key is put by the run that removed the old pair, so that one decision covers both.
//! - Nobody is left half replaced: while only the calls are forbidden they are given back where the run may not go on; once the old
//!   pair is removed the new key is put, whatever holds the run, or by an ordinary run where that one is over. Number and license
//!   are promised to it until then. Nothing is written under `suspend`, nor when the policy is deleted with `Orphan`.

use std::collections::BTreeMap;

use k8s_openapi::jiff::SignedDuration;

use super::funnel::{self, Pairing};
use super::licenses;
use super::numbers;
use super::observed::{KnownRun, KnownUser};
use super::reading::{Person, Place, Presence, Reading};
use super::records::{self, Records};
use super::runs::Verdict;
use super::snapshot::{ConnectorUser, TeamsUser};
use super::subjects::{Absence, Finding, Subject, is_transient};
use super::user_plan::Step;
use crate::api::{Managed, Reason, RunAction, RunOperation, UserStage};
use crate::domain::{E164, UserKey};

/// The license of the old pair is read back as free within this time, or the new key waits for one like anybody else.
pub(super) const LICENSE_WINDOW: SignedDuration = SignedDuration::from_mins(15);

/// Under which key a user came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Successor<'a> {
    /// GoTo's new key.
    pub key: UserKey,
    /// The Microsoft user, who stays the same.
    pub teams: &'a TeamsUser,
    /// The number that the new key has: the same, while it is routed there.
    pub number: &'a E164,
    /// Whether the old pair is removed already, or the license that it frees is one that was bought.
    pub is_licensed: bool,
}

/// Tells both sides of every replacement that is possible or under way.
pub(super) fn mark<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    previous: Option<&Presence<'a>>,
    subjects: &mut BTreeMap<UserKey, Subject<'a>>,
) {
    if records.observed.deleting {
        return;
    }
    let finder = Finder { records, reading, previous, subjects };
    let mut found: BTreeMap<UserKey, Vec<Successor<'a>>> = BTreeMap::new();
    for (old, successor) in subjects.values().filter_map(|new| finder.predecessor(new)) {
        found.entry(old).or_default().push(successor);
    }
    for (old, mut successors) in found {
        // Two for one: nobody is guessed.
        let (Some(successor), true) = (successors.pop(), successors.is_empty()) else { continue };
        if let Some(new) = subjects.get_mut(&successor.key) {
            new.teams = Some(successor.teams);
            new.number = Ok(successor.number);
            new.finding = if successor.is_licensed {
                Finding::Replacing
            } else {
                Finding::stopped(UserStage::License, Reason::ConnectorLicenseExhausted)
            };
        }
        if let Some(old) = subjects.get_mut(&old) {
            old.successor = Some(successor);
        }
    }
}

struct Finder<'f, 'a> {
    records: &'f Records<'a>,
    reading: &'f Reading<'a>,
    previous: Option<&'f Presence<'a>>,
    subjects: &'f BTreeMap<UserKey, Subject<'a>>,
}

impl<'a> Finder<'_, 'a> {
    /// Whose place the user takes.
    fn predecessor(&self, new: &Subject<'a>) -> Option<(UserKey, Successor<'a>)> {
        let waits = match new.finding {
            Finding::Wanted(_) => true,
            Finding::Stopped { reason, .. } => matches!(reason, Reason::TeamsUserTaken | Reason::NumberInUse),
            _ => false,
        };
        let teams = new.claim.or(new.teams).filter(|_| waits && new.pair.is_none())?;
        let paired = self.reading.pairs_by_teams.get(&teams.id).map(|pair| &pair.key);
        let old = self.subjects.get(paired.or_else(|| self.records.predecessor(&new.key))?)?;
        if !self.is_replaceable(old, new, teams) {
            return None;
        }
        let number = number(self.records, self.reading, &new.person?, teams, old.pair).ok()?;
        let users = [&new.key, &old.key];
        let pairing = Pairing { users: &users, teams, from: None, number: Ok(number), in_connector: false };
        let fault = funnel::preflight(self.reading, &pairing);
        let unlisted = licenses::unlisted(self.subjects);
        let is_licensed = old.pair.is_none_or(|pair| licenses::are_bought(self.reading, unlisted, pair));
        let successor = || Successor { key: new.key.clone(), teams, number, is_licensed };
        fault.is_none().then(|| (old.key.clone(), successor()))
    }

    /// Whether the old key is gone for good and its pair is the policy's.
    fn is_replaceable(&self, old: &Subject<'a>, new: &Subject<'a>, teams: &TeamsUser) -> bool {
        let stored = old.known.filter(|known| known.spec.managed != Managed::None);
        let owns = |known| old.pair.is_none_or(|pair| self.records.owns(old.managed, known, pair));
        let is_ours = stored.is_some_and(|known| records::pin(known) == Some(teams.id) && owns(known));
        let is_begun =
            self.records.successor(&old.key) == Some(new.key.as_str()) && self.records.is_executing(old.known);
        let fits = match old.finding {
            Finding::Retained(_) => self.agree(old) && old.pair.is_some_and(|pair| pair.teams_user == teams.id),
            Finding::Leaving | Finding::Keep => is_begun,
            _ => false,
        };
        let vanished = self.reading.presence.place(&old.key).is_none();
        let may_go = old.protected_by.is_none() || (is_begun && old.pair.is_none());
        vanished && is_ours && fits && may_go
    }

    fn agree(&self, old: &Subject<'a>) -> bool {
        old.gone == Some(Absence::Line) && self.previous.is_some_and(|it| it.place(&old.key).is_none())
    }
}

/// The action that replaces the user.
pub(super) fn action(subject: &Subject<'_>, mut action: RunAction) -> RunAction {
    if let Some(successor) = &subject.successor {
        action.op = RunOperation::Replace;
        action.args.teams_user_id = Some(successor.teams.id.to_string());
        action.args.phone_number = Some(successor.number.as_str().to_owned());
        action.args.new_user = Some(successor.key.to_string());
    }
    action
}

/// The new side of a replacement.
pub(super) fn new_side<'s, 'a>(
    action: &RunAction,
    subjects: &'s BTreeMap<UserKey, Subject<'a>>,
) -> Option<&'s Subject<'a>> {
    let key = action.args.new_user.as_deref().filter(|_| action.op == RunOperation::Replace)?;
    subjects.get(&key.parse::<UserKey>().ok()?)
}

/// Whether the action means exactly the replacement that the reading calls for.
pub(super) fn is_called_for(action: &RunAction, old: &Subject<'_>) -> bool {
    old.successor.as_ref().is_some_and(|successor| {
        successor.is_licensed
            && action.args.new_user.as_deref() == Some(successor.key.as_str())
            && action.args.teams_user_id.as_deref() == Some(successor.teams.id.to_string().as_str())
            && action.args.phone_number.as_deref() == Some(successor.number.as_str())
    })
}

/// Whether the new key is in the connector with the Microsoft user of the action, and not by somebody else.
pub(super) fn is_done(records: &Records<'_>, action: &RunAction, new: Option<&Subject<'_>>) -> bool {
    let ours = new.and_then(|new| new.pair).filter(|pair| action.op == RunOperation::Replace && records.is_ours(pair));
    ours.is_some_and(|pair| action.args.teams_user_id == Some(pair.teams_user.to_string()))
}

/// Whether the old pair is removed, and the new key is still to come and can be connected but for what passes by itself.
pub(super) fn is_awaited(records: &Records<'_>, reading: &Reading<'_>, old: &KnownUser, key: &UserKey) -> bool {
    let new = records.successor(key).and_then(|new| new.parse::<UserKey>().ok());
    let (Some(new), Some(id)) = (new.filter(|_| !records.observed.deleting), records::pin(old)) else { return false };
    let (Some(person), Some(teams)) = (reading.people.get(&new), reading.teams.get(&id)) else { return false };
    let is_theirs = match records.users.get(&new) {
        Some(known) => records::matched_pin(known) == Some(id),
        None => reading.presence.names.share_an_address(&new, id),
    };
    let is_free = !reading.pairs_by_teams.contains_key(&id) && !reading.pairs.contains_key(&new);
    let number = number(records, reading, person, teams, None);
    let pairing = Pairing { users: &[&new, key], teams, from: None, number, in_connector: false };
    let fault = || funnel::preflight(reading, &pairing);
    let is_here = reading.presence.place(&new) == Some(Place::Here) && reading.presence.place(key).is_none();
    is_here && is_theirs && is_free && fault().is_none_or(is_transient)
}

/// The number that the new key has: the one that the Microsoft user has or had, while it is routed to the user.
fn number<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    person: &Person<'a>,
    teams: &TeamsUser,
    pair: Option<&ConnectorUser>,
) -> Result<&'a E164, Reason> {
    let paired = pair.and_then(|pair| pair.number.as_ref()).map(E164::as_str);
    numbers::expected(reading, person, &[numbers::actual(reading, teams.id), records.promised(teams.id), paired])
}

/// How the action stands once the old pair is removed: the new key is put, with the license that the old one had.
pub(super) fn second_half(
    records: &Records<'_>,
    run: &KnownRun,
    action: &RunAction,
    old: &Subject<'_>,
    new: Option<&Subject<'_>>,
    licenses: usize,
) -> Verdict {
    let skip = |why: &str| Verdict::Skip(why.to_owned());
    let Some(new) = new.filter(|new| new.finding == Finding::Replacing && is_called_for(action, old)) else {
        return skip("the new user cannot be connected any more");
    };
    if licenses == 0 {
        let removed_at = old.last_change().map_or(run.spec.created_at.0, |change| change.at.0);
        let late = records.now.duration_since(removed_at) >= LICENSE_WINDOW;
        return if late { skip("no connector license became free") } else { Verdict::Hold };
    }
    let (Some(teams), Ok(number)) = (new.teams, new.number) else { return Verdict::Hold };
    if !new.is_marked(teams.id) {
        return Verdict::Hold;
    }
    Verdict::Todo(Step::put(&new.key, teams.id, number, records.observed.external_id))
}

/// Takes one of the licenses that are free now, if the step needs one.
pub(super) fn has_license(step: &Step, free: &mut usize) -> bool {
    if step.op != RunOperation::Put {
        return true;
    }
    let has = *free > 0;
    *free = free.saturating_sub(1);
    has
}

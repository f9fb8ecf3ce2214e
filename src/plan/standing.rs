//! Where a user stands: the object as it should be, spec and status.
//!
//! **Architecture invariant:** what is observed of a user on the way is published only when state, stage or reason change, so
//! that a user needs four writes from unknown to Connected, and none while nothing changes.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::SignedDuration;

use super::candidates;
use super::disconnect::{self, Role};
use super::observed::KnownUser;
use super::polling::LISTING_LAG;
use super::reading::Reading;
use super::records::Records;
use super::subjects::{Absence, Finding, Subject};
use super::user_plan::{PlannedUser, Write};
use super::verification;
use crate::api::conditions::{self, Draft};
use crate::api::{
    LastChange, Managed, MatchedBy, MatchingRow, NameRef, PhoneNumberStatus, Reason, RunOperation,
    TeamsConnectorUserSpec, TeamsConnectorUserStatus, UserStage, UserState,
};

/// A message of a user object has at most so many characters.
const MESSAGE_LIMIT: usize = 200;

/// Whom the connector accepted and does not list after so long is not there yet.
const UNSEEN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// Where a user stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stand {
    /// In one word.
    pub state: UserState,
    /// The first stage that is not passed.
    pub stage: UserStage,
    /// The one reason.
    pub reason: Reason,
    /// What to do next, if it is not the reason's own message.
    pub message: Option<String>,
    /// Whether the user can call.
    pub ready: bool,
}

impl Stand {
    /// Not ready, with the reason's own message.
    pub(super) fn new(state: UserState, at: UserStage, reason: Reason) -> Self {
        Self { state, stage: at, reason, message: None, ready: false }
    }

    /// The status with this standing.
    pub(super) fn apply(
        self,
        status: &mut TeamsConnectorUserStatus,
        previous: Option<&TeamsConnectorUserStatus>,
        generation: i64,
        now: k8s_openapi::jiff::Timestamp,
    ) {
        let message = shortened(self.message.unwrap_or_else(|| self.reason.message()));
        let ready = Draft { kind: conditions::READY, status: Some(self.ready), reason: self.reason, message };
        status.state = Some(self.state);
        status.stage = Some(self.stage);
        status.reason = Some(self.reason.as_str().to_owned());
        status.message = Some(ready.message.clone());
        status.observed_generation = generation;
        let before = previous.map(|status| status.conditions.as_slice()).unwrap_or_default();
        status.conditions = conditions::merge(before, vec![ready], generation, now);
    }

    fn is_stored(&self, known: &KnownUser) -> bool {
        let status = &known.status;
        status.state == Some(self.state)
            && status.stage == Some(self.stage)
            && status.reason.as_deref() == Some(self.reason.as_str())
    }
}

/// The user's object as it should be; `None`: there should be none.
pub(super) fn plan(
    records: &Records<'_>,
    reading: &Reading<'_>,
    subject: &Subject<'_>,
    role: Option<Role>,
) -> Option<PlannedUser> {
    let stand = match &subject.finding {
        Finding::Gone => return None,
        Finding::Keep => return subject.known.map(|known| kept(subject, known)),
        _ => stand(records, reading, subject, role),
    };
    let spec = spec(records, subject, role);
    let spec_changed = subject.known.is_none_or(|known| known.spec != spec);
    let generation = subject.known.map_or(0, |known| known.generation) + i64::from(spec_changed);
    let mut status = facts(reading, subject, &stand);
    status.last_change = last_change(records, subject);
    stand.apply(&mut status, subject.known.map(|known| &known.status), generation, records.now);
    let write = match subject.known {
        None => Write::Create,
        Some(_) if spec_changed => Write::SpecAndStatus,
        Some(known) if known.status != status => Write::Status,
        Some(_) => Write::Nothing,
    };
    Some(PlannedUser { key: subject.key.clone(), spec, status, write })
}

/// The user's object exactly as stored.
pub(super) fn kept(subject: &Subject<'_>, known: &KnownUser) -> PlannedUser {
    let (spec, status) = (known.spec.clone(), known.status.clone());
    PlannedUser { key: subject.key.clone(), spec, status, write: Write::Nothing }
}

/// No longer called for, and still in the connector.
fn retained(records: &Records<'_>, subject: &Subject<'_>, at: UserStage, role: Option<Role>) -> Stand {
    let keep = |reason| Stand::new(UserState::Retained, at, reason);
    if subject.protected_by.is_some() {
        return keep(Reason::Protected);
    }
    match role {
        Some(Role::Executing) => Stand::new(UserState::Removing, UserStage::Apply, removing(records, subject)),
        Some(Role::Awaiting) => Stand::new(UserState::Retained, UserStage::Approval, Reason::ApprovalPending),
        Some(Role::Denied) => Stand::new(UserState::Retained, UserStage::Approval, Reason::Denied),
        Some(Role::Queued) => keep(Reason::RemovalHeld),
        None if subject.is_half()
            && candidates::operation(records, subject) == Some(RunOperation::Disable)
            && !subject.restore =>
        {
            Stand::new(UserState::Disabled, UserStage::Done, Reason::Removed)
        }
        None if matches!(subject.gone, Some(Absence::Person(_))) => keep(Reason::ExchangePending),
        None => keep(Reason::InGracePeriod),
    }
}

/// A write that was accepted and has no effect is named once the connector should have shown it.
fn removing(records: &Records<'_>, subject: &Subject<'_>) -> Reason {
    let named = || {
        let reason = subject.known.and_then(|known| known.status.reason.as_deref());
        reason == Some(Reason::AcceptedWithoutEffect.as_str())
    };
    let is_late = |at| records.now.duration_since(at) >= LISTING_LAG;
    match candidates::unshown(subject) {
        Some(at) if is_late(at) || named() => Reason::AcceptedWithoutEffect,
        _ => Reason::Removing,
    }
}

/// The run that takes service away: from before its first call until nothing of it is left to do or to undo, and the old values,
/// which only that run tells, are noted.
fn leaving(records: &Records<'_>, subject: &Subject<'_>, role: Option<Role>) -> Option<String> {
    let stored = subject.known.and_then(|known| known.spec.leaving.clone());
    let half = subject.pair.is_some_and(|pair| !pair.enabled) || subject.finding == Finding::Leaving;
    // What was accepted and is not shown yet is not forgotten: it could not be undone.
    let young = |at| records.now.duration_since(at) < LISTING_LAG;
    let is_unshown = candidates::unshown(subject).is_some_and(young);
    match role {
        _ if subject.finding == Finding::Replacing => None,
        Some(Role::Executing) => records.disconnect.map(|run| run.name.clone()).or(stored),
        _ if half || is_unshown || (subject.finding == Finding::Removed && !is_noted(subject)) => stored,
        _ => None,
    }
}

fn stand(records: &Records<'_>, reading: &Reading<'_>, subject: &Subject<'_>, role: Option<Role>) -> Stand {
    match &subject.finding {
        Finding::Retained(stage) => retained(records, subject, *stage, role),
        Finding::Leaving => Stand::new(UserState::Removing, UserStage::Verify, Reason::AwaitingPush),
        Finding::Removed => Stand::new(UserState::Removed, UserStage::Done, removed_because(subject)),
        Finding::Replacing => replacing(role),
        Finding::Stopped { .. } if subject.restore => {
            Stand::new(UserState::Pending, UserStage::Apply, Reason::ChangesPending)
        }
        Finding::Stopped { stage, reason, message } => {
            Stand { message: message.clone(), ..Stand::new(stopped(*stage, *reason), *stage, *reason) }
        }
        Finding::Admitted(attempt) | Finding::Wanted(attempt) => {
            let reason = attempt.held.unwrap_or(Reason::ChangesPending);
            Stand::new(UserState::Pending, UserStage::Apply, reason)
        }
        Finding::Unlisted => unlisted(records, reading, subject),
        Finding::Present(fault) => present(records, reading, subject, *fault),
        Finding::Keep | Finding::Gone => Stand::new(UserState::Pending, UserStage::Import, Reason::Progressing),
    }
}

/// Accepted a moment ago. A reading at about that time proves nothing; a newer one tells that the pair is not there yet.
fn unlisted(records: &Records<'_>, reading: &Reading<'_>, subject: &Subject<'_>) -> Stand {
    let accepted = subject.last_change().map(|change| change.at.0);
    let is_newer =
        accepted.zip(reading.pairs_read_at).is_some_and(|(at, read)| read.duration_since(at) >= UNSEEN_AFTER);
    if !is_newer || subject.stored_state() == Some(UserState::Connected) {
        return Stand::new(UserState::Pending, UserStage::Verify, Reason::AwaitingPush);
    }
    let again = records.tries(&subject.key) > 1;
    let reason = if again { Reason::AcceptedWithoutEffect } else { Reason::ChangesPending };
    Stand::new(UserState::Pending, UserStage::Apply, reason)
}

/// The new key of somebody whose old key is being removed.
fn replacing(role: Option<Role>) -> Stand {
    match role {
        Some(Role::Denied) => Stand::new(UserState::Blocked, UserStage::Approval, Reason::Denied),
        Some(Role::Awaiting) => Stand::new(UserState::Pending, UserStage::Apply, Reason::ApprovalPending),
        Some(Role::Queued | Role::Executing) | None => {
            Stand::new(UserState::Pending, UserStage::Apply, Reason::ChangesPending)
        }
    }
}

fn removed_because(subject: &Subject<'_>) -> Reason {
    let replaced = subject.last_change().is_some_and(|change| change.action == RunOperation::Replace);
    if replaced { Reason::Replaced } else { Reason::Removed }
}

fn stopped(stage: UserStage, reason: Reason) -> UserState {
    match (stage, reason) {
        (UserStage::License, _) => UserState::Waiting,
        (UserStage::Preflight, Reason::LicensePropagating | Reason::SourceIncomplete) => UserState::Pending,
        _ => UserState::Blocked,
    }
}

/// In the connector, ours. Who was connected stays it and is not ready; who was not yet stays on the way.
fn present(records: &Records<'_>, reading: &Reading<'_>, subject: &Subject<'_>, fault: Option<Reason>) -> Stand {
    let was_connected = subject.stored_state() == Some(UserState::Connected);
    let missing = verification::missing(reading, subject, was_connected);
    match (was_connected, fault, missing) {
        (_, None, None) => {
            Stand { ready: true, ..Stand::new(UserState::Connected, UserStage::Done, Reason::Connected) }
        }
        (true, Some(fault), _) => Stand::new(UserState::Connected, UserStage::Preflight, fault),
        (true, None, Some(missing)) => Stand::new(UserState::Connected, UserStage::Verify, missing),
        (false, Some(fault), _) => Stand::new(UserState::Pending, UserStage::Verify, fault),
        (false, None, Some(missing)) => {
            let reason = verification::awaited(records, subject, missing);
            Stand::new(UserState::Pending, UserStage::Verify, reason)
        }
    }
}

fn spec(records: &Records<'_>, subject: &Subject<'_>, role: Option<Role>) -> TeamsConnectorUserSpec {
    let stored = subject.known.map(|known| &known.spec);
    let stored_pin = || stored.and_then(|spec| spec.teams_user_id.clone());
    let teams_user_id = match &subject.finding {
        Finding::Retained(_) => stored_pin().or_else(|| subject.pair.map(|pair| pair.teams_user.to_string())),
        Finding::Stopped { reason: Reason::NoLine, .. } | Finding::Leaving | Finding::Removed => stored_pin(),
        _ => subject.teams.map(|teams| teams.id.to_string()),
    };
    let is_out = matches!(subject.finding, Finding::Leaving | Finding::Removed)
        || (matches!(subject.finding, Finding::Retained(_)) && subject.gone.is_some());
    let is_out = is_out && subject.gone != Some(Absence::Policy);
    let unmatched_since =
        is_out.then(|| stored.and_then(|spec| spec.unmatched_since.clone()).unwrap_or(Time(records.now)));
    let (matched_by, matched_row) = origin(subject, teams_user_id.is_some());
    TeamsConnectorUserSpec {
        policy_ref: NameRef { name: records.observed.name.to_owned() },
        goto_user_key: subject.key.to_string(),
        teams_user_id,
        matched_by,
        matched_row,
        managed: subject.managed,
        leaving: leaving(records, subject, role),
        protected_by: subject.protected_by.clone(),
        first_seen: Time(records.first_seen(subject)),
        unmatched_since,
    }
}

/// How the pin was found, and the row that it came from. Both stay with the pin of a user who is no longer called for.
fn origin(subject: &Subject<'_>, is_pinned: bool) -> (Option<MatchedBy>, Option<MatchingRow>) {
    if !is_pinned || is_unmatched(subject) {
        return (None, None);
    }
    let stored = subject.known.map(|known| &known.spec);
    let found = subject.matched_by.filter(|_| subject.teams.is_some());
    let by = found.or_else(|| stored.and_then(|spec| spec.matched_by)).unwrap_or(MatchedBy::Automatic);
    let row = subject.row.or_else(|| stored.and_then(|spec| spec.matched_row.as_ref()));
    (Some(by), row.filter(|_| by == MatchedBy::Manual).cloned())
}

/// Whether the user was adopted without a match: the pin is only what the pair in the connector says, and no match (R8).
fn is_unmatched(subject: &Subject<'_>) -> bool {
    let adopted = || subject.managed == Managed::Adopted;
    let stored = |spec: &TeamsConnectorUserSpec| spec.matched_by.is_none() && spec.teams_user_id.is_some();
    subject.teams.is_none() && subject.known.map_or_else(adopted, |known| stored(&known.spec))
}

/// All but the standing. Of a user who is retained the stored facts stay where the directories no longer tell them.
fn facts(reading: &Reading<'_>, subject: &Subject<'_>, stand: &Stand) -> TeamsConnectorUserStatus {
    let stored = subject.known.map(|known| known.status.clone()).unwrap_or_default();
    if matches!(stand.state, UserState::Retained | UserState::Disabled | UserState::Removing | UserState::Removed) {
        return stored;
    }
    let same = subject.known.is_some_and(|known| stand.state == UserState::Pending && stand.is_stored(known));
    let voice = subject.teams.and_then(|teams| reading.voice.get(&teams.id));
    let user = subject.person.map(|person| person.user);
    let stored_number = stored.phone_number.unwrap_or_default();
    let observed = voice.and_then(|voice| voice.number.as_ref()).map(|number| number.as_str().to_owned());
    let number = PhoneNumberStatus {
        expected: subject.number.ok().map(|number| number.as_str().to_owned()),
        actual: if same { stored_number.actual } else { observed },
    };
    let enterprise_voice = voice.map(|voice| voice.enterprise_voice);
    let registration = subject.pair.map(|pair| pair.registration);
    TeamsConnectorUserStatus {
        goto_email: user.and_then(|user| user.email.clone()),
        display_name: user.map(|user| user.name.clone()).filter(|name| !name.is_empty()),
        extension: subject.person.and_then(|person| person.line).map(|line| line.extension.clone()),
        teams_user: subject.teams.map(|teams| teams.upn.clone()),
        phone_number: (number != PhoneNumberStatus::default()).then_some(number),
        enterprise_voice: if same { stored.enterprise_voice } else { enterprise_voice },
        registration: if same { stored.registration } else { registration },
        ..TeamsConnectorUserStatus::default()
    }
}

/// As stored; found again by the connector's own time when the process ended between the write and the note of it.
fn last_change(records: &Records<'_>, subject: &Subject<'_>) -> Option<LastChange> {
    let stored = subject.last_change();
    if let Some(removed) = removed(records, subject) {
        return Some(removed);
    }
    let ours = subject.pair.filter(|pair| subject.managed == Managed::Added && records.is_ours(pair));
    let found = ours.zip(records.newest_run(&subject.key)).map(|(pair, run)| (pair.updated_at, run));
    let newer = found.filter(|(_, run)| stored.is_none_or(|it| it.run != run.name && it.at.0 < run.spec.created_at.0));
    let noted = newer.map(|(at, run)| LastChange::new(&run.name, RunOperation::Put, at));
    noted.or_else(|| stored.cloned())
}

/// A removal that was not noted: the process ended before, or the status was lost. The run has the old values (R14).
fn removed(records: &Records<'_>, subject: &Subject<'_>) -> Option<LastChange> {
    let is_out = matches!(subject.finding, Finding::Leaving | Finding::Removed);
    let (run, action) = records.removal(&subject.key, subject.known.filter(|_| is_out && !is_noted(subject))?)?;
    let change = LastChange::new(&run.name, action.op, records.now);
    Some(LastChange { before: Some(disconnect::before(action)), ..change })
}

/// Whether the removal is noted, with the old values.
fn is_noted(subject: &Subject<'_>) -> bool {
    subject.last_change().is_some_and(|change| change.action.removes())
}

/// At most as many characters as a user object may have.
pub(super) fn shortened(message: String) -> String {
    if message.chars().count() <= MESSAGE_LIMIT {
        return message;
    }
    message.chars().take(MESSAGE_LIMIT - 3).chain("...".chars()).collect()
}

//! Read-back: a user is connected only when number, voice and registration were read.

use k8s_openapi::jiff::Timestamp;

use super::polling::READ_BACK_WINDOW;
use super::reading::Reading;
use super::records::Records;
use super::snapshot::{Job, JobState};
use super::subjects::Subject;
use crate::api::{Reason, RegistrationState, UserStage, UserState};

/// What was not read back; `None`: all three were.
pub(super) fn missing(reading: &Reading<'_>, subject: &Subject<'_>, was_connected: bool) -> Option<Reason> {
    let voice = subject.teams.and_then(|teams| reading.voice.get(&teams.id));
    let actual = voice.and_then(|voice| voice.number.as_ref());
    let registration = subject.pair.map(|pair| pair.registration);
    if actual.is_none() || actual != subject.number.ok() {
        Some(Reason::NumberMismatch)
    } else if !voice.is_some_and(|voice| voice.enterprise_voice) {
        Some(Reason::VoiceNotEnabled)
    } else if registration == Some(RegistrationState::Registered) {
        None
    } else if was_connected && registration != Some(RegistrationState::Failed) {
        Some(Reason::RegistrationExpired)
    } else {
        Some(Reason::RegistrationFailed)
    }
}

/// What is the matter with a user who is in the connector and was not read back yet: inside the window the push is waited for,
/// after it the reason is what is missing.
pub(super) fn awaited(records: &Records<'_>, subject: &Subject<'_>, missing: Reason) -> Reason {
    if records.activity.is_none() {
        return stored(subject).unwrap_or(Reason::AwaitingPush);
    }
    let since = carried_since(subject);
    let finished = newest_push(records, JobState::Done).filter(|push| since.is_some_and(|at| push.started_at >= at));
    let Some(push) = finished else { return Reason::AwaitingPush };
    let failures = records.activity.map(|activity| &activity.push_failures);
    if let Some(code) = failures.and_then(|failures| failures.get(&subject.key)) {
        return push_failure(code);
    }
    let late = push.finished_at.is_some_and(|at| records.now.duration_since(at) >= READ_BACK_WINDOW);
    if late { missing } else { Reason::AwaitingPush }
}

/// What was the matter when it could be told.
fn stored(subject: &Subject<'_>) -> Option<Reason> {
    let status = &subject.known?.status;
    let verifying = status.state == Some(UserState::Pending) && status.stage == Some(UserStage::Verify);
    if verifying { status.reason.as_deref().and_then(Reason::parse) } else { None }
}

/// A push that began at this time or later carried the pair: the earlier of what we noted and what the connector says, for it
/// touches the pair on its own too.
pub(super) fn carried_since(subject: &Subject<'_>) -> Option<Timestamp> {
    let updated = subject.pair.map(|pair| pair.updated_at);
    let noted = subject.last_change().map(|change| change.at.0);
    updated.into_iter().chain(noted).min()
}

/// The newest push in this state.
pub(super) fn newest_push<'a>(records: &Records<'a>, state: JobState) -> Option<&'a Job> {
    let pushes = records.activity.map(|activity| activity.pushes.as_slice()).unwrap_or_default();
    pushes.iter().filter(|push| push.state == state).max_by_key(|push| push.started_at)
}

fn push_failure(code: &str) -> Reason {
    match code {
        "NoPhoneSystem" => Reason::NoPhoneSystemLicense,
        "NumberInUse" => Reason::NumberInUse,
        _ => Reason::Rejected,
    }
}

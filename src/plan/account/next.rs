//! When to look again: soon for machines and slower with age, by the minute for humans, otherwise at the interval.

use std::cmp::Reverse;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::push::{self, Push};
use super::steps::{self, AccountStep};
use super::view::View;
use super::{report, sources};
use crate::api::conditions::{Draft, find};
use crate::api::{PendingAction, Reason, Shown};
use crate::plan::observed::{Next, ReadingKind};
use crate::plan::snapshot::SourceLine;
use crate::plan::snapshot::VerificationState;

/// A machine is asked again this soon.
const SOON: SignedDuration = SignedDuration::from_secs(2);
/// A human who has not answered after this long is waited for more patiently.
const EAGER: SignedDuration = SignedDuration::from_mins(10);
/// What cannot help by itself is looked at again after this long.
const STALLED: SignedDuration = SignedDuration::from_hours(6);

type Look = (Timestamp, ReadingKind);

/// The earliest moment at which somebody may have answered.
pub(super) fn next(view: &View, gates: &[Draft], steps: &[AccountStep], actions: &[PendingAction]) -> Next {
    if view.observed.suspended {
        return Next::Interval;
    }
    let looks = machines(view, gates)
        .chain(humans(view, actions))
        .chain(steps.first().map(|_| (view.now + SOON, ReadingKind::Account)))
        .chain(credentials(view))
        .chain(back_off(view))
        .chain(sources(view))
        .chain(push_end(view))
        .chain(stalled(view, gates));
    earliest(view, looks)
}

/// The same after a failed step: not before its next attempt, unless something else is looked at earlier, such as the steps that went well.
pub(super) fn after_failure(
    view: &View,
    gates: &[Draft],
    taken: &[AccountStep],
    actions: &[PendingAction],
    retry_at: Timestamp,
) -> Next {
    let other = match next(view, gates, taken, actions) {
        Next::At(at, kind) => Some((at, kind)),
        Next::Interval => None,
    };
    earliest(view, other.into_iter().chain([(retry_at, ReadingKind::Account)]))
}

/// The earliest look, unless the next regular reading comes before it.
fn earliest(view: &View, looks: impl Iterator<Item = Look>) -> Next {
    let regular = view.now + view.observed.spec.interval.signed();
    let soonest = looks.min_by_key(|(at, kind)| (*at, Reverse(*kind)));
    soonest.filter(|(at, _)| *at < regular).map_or(Next::Interval, |(at, kind)| Next::At(at, kind))
}

/// 2 s to 30 s in the first minutes, then minutes.
pub(super) fn machine_pause(age: SignedDuration) -> SignedDuration {
    let age = age.as_secs();
    let seconds = if age < 150 { (age / 5).max(SOON.as_secs()) } else { (age / 10).clamp(30, 300) };
    SignedDuration::from_secs(seconds)
}

fn machines(view: &View, gates: &[Draft]) -> impl Iterator<Item = Look> {
    let activity = view.snapshot.activity.known();
    let import = activity.and_then(steps::open_import).map(|job| job.started_at);
    let push = match push::state(view) {
        Some(Push::Running(since) | Push::Collecting(since)) => Some(since),
        _ => None,
    };
    let waits = import.into_iter().chain(push).chain(verification_since(view)).chain(activation_since(view, gates));
    let waits = waits.chain(push::starting(view));
    let looks: Vec<_> = waits.map(|since| (view.now + machine_pause(view.age(since)), ReadingKind::Account)).collect();
    looks.into_iter().chain(import_retry(view))
}

fn verification_since(view: &View) -> Option<Timestamp> {
    let running = |state: Option<VerificationState>| state == Some(VerificationState::Running);
    let state = |pbx: &super::view::Pbx| Some(pbx.reading.verification.known()?.as_ref()?.state);
    let pbx = view.pbxs.iter().find(|pbx| running(state(pbx)))?;
    let changed = find(&view.observed.status.conditions, super::CONNECTION_VERIFIED);
    let changed = changed.map_or(view.now, |condition| condition.last_transition_time.0);
    super::gates::must_be_verified_after(view, pbx).map(|since| since.max(changed))
}

fn activation_since(view: &View, gates: &[Draft]) -> Option<Timestamp> {
    let pending = [Reason::DomainVerificationPending, Reason::DomainUnverified, Reason::DomainActivationPending];
    let waits = gates.iter().any(|gate| pending.contains(&gate.reason));
    let domains = view.snapshot.domains.known().filter(|_| waits)?;
    domains.iter().filter_map(|domain| super::parts::domain_since(view, domain)).max()
}

fn import_retry(view: &View) -> Option<Look> {
    let activity = view.snapshot.activity.known()?;
    steps::import_demand(view, activity)?;
    let at = steps::import_retry_at(activity).filter(|at| view.now < *at)?;
    Some((at, ReadingKind::Account))
}

/// While the credentials cannot be used nothing that a human did can be read.
fn humans(view: &View, actions: &[PendingAction]) -> Vec<Look> {
    let readable = view.observed.credentials.is_none();
    actions.iter().filter(|_| readable).map(|action| human(view, action)).collect()
}

/// Every minute for ten minutes, then every five; sooner where a link stops working and must be renewed.
fn human(view: &View, action: &PendingAction) -> Look {
    let pause = if view.age(action.since.0) < EAGER { 1 } else { 5 };
    let at = view.now + SignedDuration::from_mins(pause);
    let end = action.expires_at.as_ref().map(|end| end.0).filter(|end| view.now < *end);
    let kind = match action.id.as_str() {
        "BuyIntegration" => ReadingKind::Outcome,
        "GrantPermissions" | "UseSuperAdministrator" | "RenewCredentials" => ReadingKind::Full,
        _ => ReadingKind::Account,
    };
    if kind == ReadingKind::Full {
        return (view.now + SignedDuration::from_mins(5), kind);
    }
    (end.map_or(at, |end| at.min(end)), kind)
}

/// A missing or wrong Secret is looked at again after 5 s, growing to 5 min.
fn credentials(view: &View) -> Option<Look> {
    view.observed.credentials.as_ref()?;
    Some((report::credentials_failure(view)?.next_attempt_time.0.max(view.now + SOON), ReadingKind::Full))
}

fn back_off(view: &View) -> Option<Look> {
    let failure = view.observed.status.failure.as_ref().filter(|_| view.observed.credentials.is_none())?;
    Some(failure.next_attempt_time.0).filter(|at| view.now < *at).map(|at| (at, ReadingKind::Account))
}

/// A vendor that asked for patience is asked again when it said.
fn sources(view: &View) -> Vec<Look> {
    let retry = |line: &SourceLine| Some((line.failure?.retry_at?.max(view.now + SOON), line.kind));
    sources::lines(view).iter().filter_map(retry).collect()
}

/// What a push changed is read as soon as it ended.
fn push_end(view: &View) -> Option<Look> {
    push::unseen_end(view).filter(|_| push::is_read(view)).map(|_| (view.now + SOON, ReadingKind::Outcome))
}

fn stalled(view: &View, gates: &[Draft]) -> Option<Look> {
    let stalled = gates.iter().any(|gate| gate.status != Some(true) && gate.reason.info().shown == Shown::Stalled);
    stalled.then_some((view.now + STALLED, ReadingKind::Full))
}

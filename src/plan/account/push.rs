//! The push to Teams (guide step 30) belongs to the account: one for the changes of all policies.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::finding::Verdict;
use super::graph::TENANT_PUSHED;
use super::steps;
use super::view::{View, is_current};
use crate::api::Reason;
use crate::api::conditions::find;
use crate::plan::replace::LICENSE_WINDOW;
use crate::plan::snapshot::{Activity, ConnectorUser, Job, JobState, PushAuthorization, PushAuthorizationState, Tick};

/// While a run is still writing, a push waits until nothing changed for this long: one push and one sign-in for all.
const QUIET: SignedDuration = SignedDuration::from_mins(2);
/// A connector that has started a push shows it within this time.
const SHOWN_WITHIN: SignedDuration = SignedDuration::from_mins(1);
/// What is said while a push is started.
const STARTING: &str = "A push to Teams is being started.";
/// A link is renewed this long before it stops working.
const LINK_MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// What the newest complete values say about the next push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Push {
    /// Nothing waits.
    Idle,
    /// One is working since then.
    Running(Timestamp),
    /// The newest failed and nothing has changed since.
    Failed,
    /// Somebody must sign in first.
    NeedsSignIn,
    /// A run is still writing.
    Collecting(Timestamp),
    /// It may start.
    Due,
}

/// Where the push stands; `None`: not read yet.
pub(super) fn state(view: &View) -> Option<Push> {
    let activity = view.snapshot.activity.known()?;
    let authorization = view.snapshot.push_authorization.known()?;
    Some(if let Some(open) = activity.pushes.iter().find(|job| job.state == JobState::Open) {
        Push::Running(open.started_at)
    } else if !is_needed(view, activity) {
        Push::Idle
    } else if has_failed(view, activity) {
        Push::Failed
    } else if !may_start(authorization, view.now) {
        Push::NeedsSignIn
    } else {
        collecting(view).map_or(Push::Due, Push::Collecting)
    })
}

pub(super) fn verdict(view: &View) -> Verdict {
    match state(view) {
        None => Verdict::Unread,
        Some(Push::Idle) => Verdict::Holds,
        Some(Push::Running(_)) => Verdict::unmet(Reason::Progressing, "A push to Teams is running."),
        Some(Push::Failed) => Verdict::unmet(Reason::PushFailed, Reason::PushFailed.info().cause),
        Some(Push::NeedsSignIn) => Verdict::unmet(Reason::AwaitingPushSignIn, Reason::AwaitingPushSignIn.info().cause),
        Some(Push::Collecting(_)) => {
            Verdict::unmet(Reason::Progressing, "Changes are being collected for one push to Teams.")
        }
        Some(Push::Due) => Verdict::unmet(Reason::Progressing, STARTING),
    }
}

/// When this process started the push that is still due: the connector accepted it, and no reading shows it.
pub(super) fn unshown(view: &View) -> Option<Timestamp> {
    let told = find(&view.observed.status.conditions, TENANT_PUSHED)?;
    let was_started = told.message == STARTING || told.reason == Reason::AcceptedWithoutEffect.as_str();
    view.observed.last_step.filter(|_| was_started && state(view) == Some(Push::Due))
}

/// The same, while a reading may still come to show it.
pub(super) fn starting(view: &View) -> Option<Timestamp> {
    unshown(view).filter(|at| view.age(*at) < SHOWN_WITHIN)
}

/// Changes wait by the tick, or a pair is newer than the newest push. Without a known push the tick alone tells:
/// old pushes are not listed for ever.
fn is_needed(view: &View, activity: &Activity) -> bool {
    let newest = activity.pushes.iter().filter(|job| job.state != JobState::Failed).map(|job| job.started_at).max();
    let newer = |user: &ConnectorUser| newest.is_some_and(|start| user.updated_at > start);
    activity.push_changes_since.is_some()
        || matches!(activity.push_tick, Tick::ChangesQueued | Tick::Failed)
        || users(view).any(newer)
}

/// A failed push is repeated after a newer change or consent, or on request; never by itself.
fn has_failed(view: &View, activity: &Activity) -> bool {
    let Some(failed) = newest(activity).filter(|job| job.state == JobState::Failed) else { return false };
    let consents = view.snapshot.consents.known().into_iter().flatten().filter_map(|consent| consent.granted_at);
    let changed = newest_change(view).into_iter().chain(consents).max().is_some_and(|at| at > failed.started_at);
    !changed && !view.requested()
}

fn newest(activity: &Activity) -> Option<&Job> {
    activity.pushes.iter().max_by_key(|job| job.started_at)
}

fn users<'a>(view: &'a View) -> impl Iterator<Item = &'a ConnectorUser> {
    view.pbxs.iter().filter_map(|pbx| pbx.reading.users.known()).flatten()
}

/// When a pair in the connector last changed, as far as it is known.
pub(super) fn newest_change(view: &View) -> Option<Timestamp> {
    let waiting = view.snapshot.activity.known().and_then(|activity| activity.push_changes_since);
    users(view).map(|user| user.updated_at).chain(waiting).max()
}

fn may_start(authorization: &PushAuthorization, now: Timestamp) -> bool {
    match authorization.state {
        PushAuthorizationState::NotRequired => true,
        PushAuthorizationState::Granted => authorization.valid_until.is_none_or(|end| now < end),
        PushAuthorizationState::NotRequested | PushAuthorizationState::Pending | PushAuthorizationState::Expired => {
            false
        }
    }
}

/// Whether a link must be requested: there is none that will work for a while.
pub(super) fn needs_link(authorization: &PushAuthorization, now: Timestamp) -> bool {
    working_link(authorization, now).is_none() || authorization.valid_until.is_some_and(|end| end <= now + LINK_MARGIN)
}

/// The link that works now.
pub(super) fn working_link(authorization: &PushAuthorization, now: Timestamp) -> Option<&str> {
    let pending = authorization.state == PushAuthorizationState::Pending;
    let works = pending && authorization.valid_until.is_none_or(|end| now < end);
    authorization.link.as_deref().filter(|_| works)
}

/// Since when changes are collected.
fn collecting(view: &View) -> Option<Timestamp> {
    let policies = &view.observed.policies;
    let running = policies.iter().any(steps::is_writing);
    let changed = newest_change(view).filter(|at| running && view.age(*at) < QUIET);
    let replaced = || policies.iter().filter_map(|policy| policy.replaces_since).max();
    changed.or_else(|| replaced().filter(|at| view.age(*at) < LICENSE_WINDOW))
}

/// Names the newest push and change: part of the idempotency key of the next push. One that had no effect is started anew.
pub(super) fn token(view: &View) -> String {
    let push = view.snapshot.activity.known().and_then(newest).map_or("none", |job| job.id.as_str());
    let change = newest_change(view).map(|at| at.to_string()).unwrap_or_default();
    match view.observed.status.failure.as_ref().filter(|_| unshown(view).is_some()) {
        Some(failure) => format!("{push}/{change}/{}", failure.count),
        None => format!("{push}/{change}"),
    }
}

/// Whether what decides about a push was read completely at last.
pub(super) fn is_read(view: &View) -> bool {
    is_current(&view.snapshot.activity)
        && is_current(&view.snapshot.push_authorization)
        && is_current(&view.snapshot.consents)
        && view.pbxs.iter().all(|pbx| is_current(&pbx.reading.users))
}

/// When the newest push ended, if connector users were last read before that.
pub(super) fn unseen_end(view: &View) -> Option<Timestamp> {
    let pushes = &view.snapshot.activity.known()?.pushes;
    let ended = pushes.iter().filter_map(|job| job.finished_at).max()?;
    let read_before = |at: Option<Timestamp>| at.is_some_and(|at| at < ended);
    view.pbxs.iter().any(|pbx| read_before(pbx.reading.users.read_at)).then_some(ended)
}

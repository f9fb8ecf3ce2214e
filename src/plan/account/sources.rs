//! The sources of a reading: what was read completely, what was not, and for how long.

use k8s_openapi::jiff::Timestamp;

use super::finding::problem;
use super::graph;
use super::view::View;
use crate::api::conditions::{Draft, find};
use crate::api::{Actor, Reason, SourceStatus};
use crate::plan::observed::Problem;
use crate::plan::snapshot::{SourceFailure, SourceLine};

/// Condition: the newest reading of every source was complete.
pub const SOURCES_COMPLETE: &str = "SourcesComplete";

/// All sources of the account; what belongs to its PBXs is summed up.
pub(super) fn lines<'a>(view: &View<'a>) -> Vec<SourceLine<'a>> {
    view.snapshot.sources(view.pbxs.iter().map(|pbx| pbx.reading))
}

/// The tenant's side of domains that are being set up: their own conditions tell of it, and no policy waits for it.
const OF_SET_UP: &str = "tenantDomains";

/// The sources that policies need.
fn needed<'a>(view: &View<'a>) -> Vec<SourceLine<'a>> {
    lines(view).into_iter().filter(|it| it.name != OF_SET_UP).collect()
}

/// The first source that policies need and that failed for such a reason.
pub(super) fn failed_for<'a>(view: &View<'a>, wanted: fn(Reason) -> bool) -> Option<(&'static str, &'a SourceFailure)> {
    needed(view).iter().find_map(|it| Some((it.name, it.failure.filter(|failure| wanted(failure.reason))?)))
}

/// Who acts, where the table of reasons cannot know.
fn actor(source: &str, failure: &SourceFailure) -> Option<Actor> {
    (failure.reason == Reason::PermissionMissing).then(|| who_permits(source))
}

/// Who gives the right to read a source: the tenant's administrator, or the one whose GoTo token the other vendors take.
pub(super) fn who_permits(source: &str) -> Actor {
    match source {
        "permissions" | "teamsUsers" | "seats" | "numberAssignments" | "voice" | OF_SET_UP => {
            Actor::GlobalAdministrator
        }
        _ => Actor::GoToSuperAdministrator,
    }
}

/// Whether a reason says something of the credentials rather than of the weather.
pub(super) fn is_about_credentials(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::SecretNotFound
            | Reason::KeyMissing
            | Reason::CredentialsRejected
            | Reason::CredentialsExpired
            | Reason::NotSuperAdministrator
            | Reason::TenantMismatch
            | Reason::InvalidSpec
    )
}

/// `status.sources`.
pub(super) fn statuses(view: &View) -> Vec<SourceStatus> {
    if view.observed.snapshot.is_none() {
        return view.observed.status.sources.clone();
    }
    lines(view).iter().map(status).collect()
}

fn status(line: &SourceLine) -> SourceStatus {
    let unread = (!line.known).then(|| "not read yet".to_owned());
    SourceStatus {
        name: line.name.to_owned(),
        items: u64::try_from(line.items).unwrap_or(u64::MAX),
        complete: line.is_complete(),
        cause: line.failure.map(|failure| failure.cause.clone()).or(unread),
    }
}

/// The condition `SourcesComplete`.
pub(super) fn condition(view: &View) -> Draft {
    if let Some(problem) = failing(view) {
        return Draft::no(SOURCES_COMPLETE, problem.reason).with_message(problem.message);
    }
    if view.observed.snapshot.is_some() && lines(view).iter().all(SourceLine::is_complete) {
        return Draft::yes(SOURCES_COMPLETE, Reason::Succeeded).with_message("Every source was read completely.");
    }
    graph::previous(&view.observed.status.conditions, SOURCES_COMPLETE).unwrap_or_else(|| {
        Draft::unknown(SOURCES_COMPLETE, Reason::Progressing).with_message("The first reading is under way.")
    })
}

fn failing(view: &View) -> Option<Problem> {
    if let Some(found) = &view.observed.credentials {
        return Some(problem(found.reason, &found.message, None));
    }
    let lines = lines(view);
    let failed: Vec<_> = lines.iter().filter_map(|it| Some((it.name, it.failure?))).collect();
    let (name, first) = failed.first()?;
    let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
    Some(problem(
        first.reason,
        &format!("Not read completely: {} ({}).", names.join(", "), first.cause),
        actor(name, first),
    ))
}

/// The source whose newest complete value is older than three intervals, whether it was tried in vain or not tried at all.
pub(super) fn stale(view: &View) -> Option<Problem> {
    let patience = view.patience();
    let since = failing_since(view);
    let too_old = |read_at: Option<Timestamp>| {
        read_at.filter(|_| view.observed.credentials.is_none()).or(since).is_some_and(|at| view.age(at) > patience)
    };
    if let Some(found) = &view.observed.credentials {
        return too_old(None).then(|| problem(found.reason, &found.message, None));
    }
    let lines = needed(view);
    let untried = lines.iter().all(|it| it.failure.is_none());
    let is_old = |it: &&SourceLine| {
        if untried { view.is_old(it.read_at) } else { it.failure.is_some() && too_old(it.read_at) }
    };
    let old = lines.iter().find(is_old)?;
    let detail = format!("{} has not been read completely for three intervals", old.name);
    Some(match old.failure {
        Some(failure) => problem(failure.reason, &format!("{detail}: {}.", failure.cause), actor(old.name, failure)),
        None => problem(Reason::SourceIncomplete, &format!("{detail}."), None),
    })
}

/// After a restart nothing tells how old the newest complete reading is but the condition.
fn failing_since(view: &View) -> Option<Timestamp> {
    find(&view.observed.status.conditions, SOURCES_COMPLETE)
        .filter(|condition| condition.status == "False")
        .map(|condition| condition.last_transition_time.0)
}

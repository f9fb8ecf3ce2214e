//! When a policy looks again.

use std::collections::BTreeMap;

use super::candidates::{self, Candidacy};
use super::observed::{Next, ReadingKind};
use super::polling::look_again;
use super::records::Records;
use super::snapshot::JobState;
use super::subjects::{Finding, Subject};
use super::user_plan::PlannedUser;
use super::verification;
use crate::api::{Reason, UserStage, UserState};
use crate::domain::UserKey;

/// The earliest of what the run needs and what the users wait for. While only a human is awaited it is the interval: the
/// account looks for the human's answer.
pub(super) fn next(
    records: &Records<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
    users: &[PlannedUser],
    run: Next,
) -> Next {
    if records.observed.suspended {
        return run;
    }
    let verifying = users.iter().any(is_verifying);
    let push = if verifying { push(records, subjects) } else { Next::Interval };
    [
        run,
        push,
        unlisted(records, subjects),
        again(records, subjects),
        retry(records, subjects),
        grace(records, subjects),
    ]
    .into_iter()
    .fold(Next::Interval, earlier)
}

/// The earlier of two; of two at one time the one that reads more.
pub(super) fn earlier(left: Next, right: Next) -> Next {
    match (left, right) {
        (Next::Interval, other) | (other, Next::Interval) => other,
        (Next::At(left, left_kind), Next::At(right, right_kind)) => match left.cmp(&right) {
            std::cmp::Ordering::Less => Next::At(left, left_kind),
            std::cmp::Ordering::Equal => Next::At(left, left_kind.max(right_kind)),
            std::cmp::Ordering::Greater => Next::At(right, right_kind),
        },
    }
}

fn is_verifying(user: &PlannedUser) -> bool {
    matches!(user.status.state, Some(UserState::Pending | UserState::Removing))
        && user.status.stage == Some(UserStage::Verify)
        && user.status.reason.as_deref() == Some(Reason::AwaitingPush.as_str())
}

/// A push that runs, or one that ended a moment ago and carried somebody who was not read back yet.
fn push(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Next {
    if let Some(open) = verification::newest_push(records, JobState::Open) {
        return Next::At(look_again(open.started_at, records.now), ReadingKind::Outcome);
    }
    let Some(done) = verification::newest_push(records, JobState::Done) else { return Next::Interval };
    let carried = |subject: &Subject<'_>| {
        matches!(subject.finding, Finding::Present(_) | Finding::Leaving)
            && verification::carried_since(subject).is_some_and(|since| done.started_at >= since)
    };
    match done.finished_at {
        Some(finished) if subjects.values().any(carried) => {
            Next::At(look_again(finished, records.now), ReadingKind::Outcome)
        }
        _ => Next::Interval,
    }
}

/// The next end of a grace period.
fn grace(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Next {
    let end = |subject: &Subject<'_>| match candidates::of(records, subject) {
        Candidacy::InGrace(end) => Some(end),
        Candidacy::Not | Candidacy::Ripe => None,
    };
    let earliest = subjects.values().filter_map(end).min();
    earliest.map_or(Next::Interval, |end| Next::At(end, ReadingKind::Full))
}

fn unlisted(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Next {
    let missing = subjects.values().filter(|subject| subject.finding == Finding::Unlisted);
    // Somebody who is put again and again is looked for less often.
    let since = |it: &Subject<'_>| match it.last_change() {
        Some(change) if records.tries(&it.key) < 2 => Some(change.at.0),
        Some(_) => Some(it.first_seen(records.now)),
        None => None,
    };
    let newest = missing.filter_map(since).max();
    newest.map_or(Next::Interval, |since| Next::At(look_again(since, records.now), ReadingKind::Outcome))
}

/// When the first of those is put again whom the connector accepted and does not list.
fn again(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Next {
    let waits = |subject: &&Subject<'_>| matches!(subject.finding, Finding::Admitted(it) if it.held.is_some());
    let times = subjects.values().filter(waits).filter_map(|subject| records.put_again(subject));
    let earliest = times.filter(|at| *at > records.now && records.may_write()).min();
    earliest.map_or(Next::Interval, |at| Next::At(at, ReadingKind::Account))
}

fn retry(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Next {
    let waits = |subject: &Subject<'_>| {
        let absent = subject.pair.is_none() && subject.finding != Finding::Gone;
        absent && records.held(&subject.key).is_some() && records.action(&subject.key).is_none()
    };
    let at = records.retry_at().filter(|at| *at > records.now && records.may_write());
    match at {
        Some(at) if subjects.values().any(waits) => Next::At(at, ReadingKind::Account),
        _ => Next::Interval,
    }
}

//! The plan of a policy: who is to be connected, from one complete reading, the policy's own objects and the time.
//!
//! **Architecture invariants**
//! - Nobody loses service here: the only write is the PUT of a pair, and only inside a stored run.
//! - From an incomplete reading nothing is concluded.
//! - Planning after carrying a plan out gives an empty plan.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::counters;
use super::decision::{self, Decision};
use super::holding;
use super::licenses;
use super::observed::ObservedPolicy;
use super::polling;
use super::readiness::{self, Outlook};
use super::reading::{Presence, Reading};
use super::records::Records;
use super::run_status::Tally;
use super::schedule;
use super::standing;
use super::subjects::{self, Finding, Subject};
use super::user_plan::UserPlan;
use crate::api::{Failure, Managed, Reason};
use crate::domain::{OrganizationId, UserKey};

/// The plan of a policy.
#[must_use]
pub fn user_sync(observed: &ObservedPolicy<'_>, now: Timestamp) -> UserPlan {
    let records = Records::new(observed, now);
    if let Some(problem) = &observed.reference {
        return holding::unusable(&records, problem);
    }
    let pbx: Option<OrganizationId> = observed.spec.pbx.organization_id.parse().ok();
    let attribute = observed.spec.matching.automatic.as_ref().map(|automatic| automatic.teams_attribute);
    let (Some(snapshot), Some(pbx)) = (observed.snapshot, pbx) else {
        return holding::unread(&records, pbx, None);
    };
    match Reading::complete(snapshot, pbx, attribute) {
        Err(gaps) => holding::unread(&records, Some(pbx), Some(&gaps)),
        Ok(reading) => {
            let earlier = observed.previous.filter(|previous| previous.round < snapshot.round);
            let previous = earlier.and_then(|previous| Presence::of(previous, pbx));
            plan(&records, &reading, previous.as_ref())
        }
    }
}

fn plan<'a>(records: &Records<'a>, reading: &Reading<'a>, previous: Option<&Presence<'a>>) -> UserPlan {
    let mut subjects = subjects::judge_all(records, reading, previous);
    let admitted = licenses::admit(records, reading, &mut subjects);
    let decision = decision::decide(records, reading, &subjects, &admitted);
    for subject in subjects.values_mut() {
        subject.managed = managed(subject, decision.has_run());
    }
    let users: Vec<_> = subjects.values().filter_map(|subject| standing::plan(records, reading, subject)).collect();
    let gone = subjects.values().filter(|it| it.finding == Finding::Gone && it.known.is_some());
    let counters = counters::counters(reading, &users);
    let (conditions, pending_actions) = readiness::of(records, Outlook::of(records, &subjects, &users));
    UserPlan {
        policy: records.observed.name.to_owned(),
        obsolete: gone.map(|subject| subject.key.clone()).collect(),
        counts: Some(counters::counts(reading, &users)),
        blocked: counters::blocked(&users),
        removals: None,
        runs: decision.open_runs(records),
        needs_import_after: decision.needs_import_after(records, &subjects),
        next: schedule::next(records, &subjects, &users, decision.next(records, reading)),
        failure: failure(records, &decision, &subjects),
        handled_request: handled_request(records, &subjects, &decision),
        users,
        run: decision.finish(records, counters),
        counters: Some(counters),
        conditions,
        pending_actions,
    }
}

/// The mark is written with the run and before the connector is asked. It is taken back when the run ended without the user
/// and nothing is in the connector.
fn managed(subject: &Subject<'_>, has_run: bool) -> Managed {
    if subject.pair.is_some_and(|pair| pair.licensed) {
        return subject.managed;
    }
    match &subject.finding {
        Finding::Admitted(_) if subject.managed == Managed::None && has_run => Managed::Added,
        Finding::Keep
        | Finding::Admitted(_)
        | Finding::Unlisted
        | Finding::Retained(_)
        | Finding::Stopped { reason: Reason::Disconnected, .. } => subject.managed,
        Finding::Gone | Finding::Stopped { .. } | Finding::Wanted(_) | Finding::Present(_) => Managed::None,
    }
}

fn failure(records: &Records<'_>, decision: &Decision, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Option<Failure> {
    let stored = records.observed.status.failure.as_ref();
    match decision {
        Decision::Close(_, _, Tally { failed: 1.., .. }, _) => Some(polling::failed_again(stored, records.now)),
        _ if subjects.values().any(|subject| records.failed_before(subject)) => stored.cloned(),
        _ => None,
    }
}

/// A request is handled once nobody whom it brings back waits for a run any more.
fn handled_request(
    records: &Records<'_>,
    subjects: &BTreeMap<UserKey, Subject<'_>>,
    decision: &Decision,
) -> Option<String> {
    let created = |key: &UserKey| decision.created().iter().any(|action| action.user == key.as_str());
    let released = |it: &&Subject<'_>| matches!(it.finding, Finding::Admitted(attempt) if attempt.released);
    let in_run = |key: &UserKey| records.action(key).is_some() || created(key);
    let unserved = subjects.values().filter(released).any(|subject| !in_run(&subject.key));
    let observed = records.observed;
    let stored = observed.status.last_handled_reconcile_at.as_deref();
    let handled = if unserved { stored } else { observed.requested_at.or(stored) };
    handled.map(str::to_owned)
}

//! Which runs may go: beyond `historyLimit`, and nothing that guard, grace or a denial still needs.

use std::collections::{BTreeMap, HashSet};

use super::guard;
use super::observed::KnownRun;
use super::records::Records;
use super::runs;
use super::subjects::{Finding, Subject};
use crate::api::{Decision, RunAction, RunType};
use crate::domain::UserKey;

/// Names of the finished runs that may go, oldest first.
///
/// Kept are: the newest `historyLimit` of each type, runs that disconnected within the guard's window, a denial while somebody of
/// its set would be proposed again, and whatever a half-removed user refers to.
pub(super) fn obsolete(records: &Records<'_>, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Vec<String> {
    let limit = records.observed.spec.history_limit as usize;
    let leaving: HashSet<&str> = records.users.values().filter_map(|user| user.spec.leaving.as_deref()).collect();
    let is_out = |it: &&Subject<'_>| it.gone.is_some() || it.pair.is_none() || it.finding == Finding::Keep;
    let out: HashSet<&str> = subjects.values().filter(is_out).map(|it| it.key.as_str()).collect();
    let recurs = |action: &RunAction| out.contains(action.user.as_str());
    let is_needed = |run: &KnownRun| {
        runs::is_open(run)
            || guard::is_within(run, &records.observed.spec.removal.guard, records.now)
            || leaving.contains(run.name.as_str())
            || (run.spec.decision == Some(Decision::Deny) && run.spec.actions.iter().any(recurs))
    };
    let of_kind = |kind| {
        let sorted = runs::by_age(&records.observed.runs, kind);
        let closed: Vec<_> = sorted.into_iter().filter(|run| !runs::is_open(run)).collect();
        let excess = closed.len().saturating_sub(limit);
        closed.into_iter().take(excess).filter(|run| !is_needed(run)).map(|run| run.name.clone()).collect::<Vec<_>>()
    };
    [RunType::Connect, RunType::Disconnect].into_iter().flat_map(of_kind).collect()
}

//! What is done about runs: one is created, resumed or closed; at most one is open.

use std::collections::{BTreeMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::counters::number;
use super::exchange;
use super::observed::{KnownRun, Next, ReadingKind};
use super::polling;
use super::reading::Reading;
use super::records::Records;
use super::run_status::{self, Ending, Tally, Wait};
use super::runs::{self, Verdict};
use super::snapshot::JobState;
use super::subjects::{Finding, Subject};
use super::user_plan::{ClosedRun, NewRun, ResumedRun, RunPlan, Step};
use crate::api::{
    Approval, Counters, Decision as Decided, RunAction, RunSummary, RunType, SeenDecision, UserSyncRunSpec,
    UserSyncRunStatus,
};
use crate::domain::UserKey;

/// An approved run that has not begun after so long ends: what was approved is no longer what is there.
pub(super) const APPROVAL_HOLDS: SignedDuration = SignedDuration::from_hours(72);

/// What is done about runs, before the counters are known.
pub(super) enum Decision {
    None,
    Create(String, UserSyncRunSpec, Option<Wait>),
    Resume(ResumedRun),
    Close(String, UserSyncRunStatus, Tally, Ending),
}

struct Decider<'d, 'a> {
    records: &'d Records<'a>,
    reading: &'d Reading<'a>,
}

/// What is done about runs.
pub(super) fn decide<'a>(
    records: &Records<'a>,
    reading: &Reading<'a>,
    subjects: &BTreeMap<UserKey, Subject<'a>>,
    admitted: &[UserKey],
) -> Decision {
    Decider { records, reading }.decide(subjects, admitted)
}

impl Decider<'_, '_> {
    fn decide(&self, subjects: &BTreeMap<UserKey, Subject<'_>>, admitted: &[UserKey]) -> Decision {
        let records = &self.records;
        let Some(run) = records.open else {
            let ready = |key: &UserKey| {
                subjects
                    .get(key)
                    .filter(|it| matches!(it.finding, Finding::Admitted(attempt) if attempt.held.is_none()))
            };
            // Calls are given back at once and alone: no approval, no import and no newcomer delays them.
            let mut candidates: Vec<_> = subjects.values().filter(|it| self.gets_calls_back(it)).collect();
            if candidates.is_empty() && records.observed.spec.approval == Approval::All {
                // Whoever comes after a removed pair was decided about when that one was.
                candidates.extend(admitted.iter().filter_map(ready).filter(|it| self.follows(it)));
            }
            let waits = candidates.is_empty() && records.observed.spec.approval == Approval::All;
            if candidates.is_empty() {
                candidates.extend(admitted.iter().filter_map(ready));
            }
            let may = records.may_write() && !is_older_reading(self.records, self.reading);
            let new = if may { runs::new_run(records, &candidates) } else { None };
            let waiting = waits.then_some(Wait::Approval);
            return new.map_or(Decision::None, |(name, spec)| Decision::Create(name, spec, waiting));
        };
        let verdicts = runs::verdicts(records, run, subjects);
        let tally = tally(&verdicts);
        let status = status_of(run, &verdicts, records.now);
        let ending = superseded(records, run).or_else(|| tally.ending(records.failure_limit()));
        match ending.or_else(|| self.gives_way(run, subjects).then_some(Ending::Superseded)) {
            Some(ending) => Decision::Close(run.name.clone(), status, tally, ending),
            None => Decision::Resume(self.resume(run, status, verdicts, subjects)),
        }
    }

    fn resume(
        &self,
        run: &KnownRun,
        status: UserSyncRunStatus,
        verdicts: Vec<(UserKey, Verdict)>,
        subjects: &BTreeMap<UserKey, Subject<'_>>,
    ) -> ResumedRun {
        let tally = tally(&verdicts);
        let mut skipped = Vec::new();
        let mut todo = Vec::new();
        for (key, verdict) in verdicts {
            match verdict {
                Verdict::Skip(why) => skipped.push((key, why)),
                Verdict::Todo(step) => todo.push(step),
                Verdict::Done | Verdict::Failed | Verdict::Hold => {}
            }
        }
        let nothing = todo.is_empty();
        let is_decided =
            !nothing && todo.iter().all(|step| exchange::follows(self.records, &step.user, Some(step.teams_user)));
        let is_marked = |step: &Step| subjects.get(&step.user).is_some_and(|it| it.is_marked(step.teams_user));
        let steps: Vec<Step> = todo.into_iter().filter(is_marked).collect();
        let waiting = self.waiting(run, nothing, steps.is_empty(), is_decided);
        let steps = if waiting.is_some() { Vec::new() } else { steps };
        let limit = self.records.failure_limit();
        ResumedRun { name: run.name.clone(), steps, waiting, skipped, tally, status, limit }
    }

    /// Whether a run that has not begun keeps somebody waiting who is to get calls back.
    fn gives_way(&self, run: &KnownRun, subjects: &BTreeMap<UserKey, Subject<'_>>) -> bool {
        let follows = |it: &Subject<'_>| {
            let asks = self.records.observed.spec.approval == Approval::All;
            asks && matches!(it.finding, Finding::Admitted(_)) && self.follows(it)
        };
        let kept_out =
            |it: &Subject<'_>| self.records.action(&it.key).is_none() && (self.gets_calls_back(it) || follows(it));
        run.status.started_at.is_none() && self.records.may_write() && subjects.values().any(kept_out)
    }

    /// Whether a pair was removed so that the user's can come.
    fn follows(&self, subject: &Subject<'_>) -> bool {
        exchange::follows(self.records, &subject.key, subject.teams.map(|teams| teams.id))
    }

    /// Whether the user is to get calls back now: not while a try that failed waits for the next one.
    fn gets_calls_back(&self, subject: &Subject<'_>) -> bool {
        subject.restore && self.records.held(&subject.key).is_none_or(|_| !is_waiting(self.records))
    }

    fn waiting(&self, run: &KnownRun, nothing: bool, unmarked: bool, is_decided: bool) -> Option<Wait> {
        let gives_back = runs::is_giving_back(run);
        if !gives_back
            && !is_decided
            && self.records.observed.spec.approval == Approval::All
            && run.spec.decision.is_none()
        {
            Some(Wait::Approval)
        } else if let Some(wait) = stopped(self.records, run, is_older_reading(self.records, self.reading)) {
            Some(wait)
        } else if nothing {
            Some(Wait::Agreement)
        } else if unmarked {
            Some(Wait::Objects)
        } else if gives_back || self.is_imported() {
            None
        } else {
            Some(Wait::Import)
        }
    }

    /// Whether an import succeeded that began when every user of the open run was known.
    fn is_imported(&self) -> bool {
        let observed = self.records.observed;
        let Some(needed) = runs::needs_import_after(&observed.runs, &observed.users) else { return true };
        let imports = self.records.activity.map(|activity| activity.imports.as_slice()).unwrap_or_default();
        imports.iter().any(|import| import.state == JobState::Done && import.started_at >= needed)
    }
}

impl Decision {
    /// Whether a run is open while the plan is carried out.
    pub(super) fn has_run(&self) -> bool {
        matches!(self, Self::Create(..) | Self::Resume(_))
    }

    /// The actions of a run that is created.
    pub(super) fn created(&self) -> &[RunAction] {
        match self {
            Self::Create(_, spec, _) => &spec.actions,
            Self::None | Self::Resume(_) | Self::Close(..) => &[],
        }
    }

    /// As part of the plan.
    pub(super) fn finish(self, records: &Records<'_>, counters: Counters) -> RunPlan {
        match self {
            Self::None => RunPlan::None,
            Self::Create(name, spec, waiting) => {
                let actions = number(spec.actions.len());
                let status = run_status::created(counters, actions, waiting.as_ref(), records.now);
                RunPlan::Create(NewRun { name, spec, status })
            }
            Self::Resume(mut run) => {
                // A crash before its first status: while nobody of it is connected these are still the counters of its plan.
                // Of a run that takes service away it would hide that the status was lost.
                let is_connect = records.open.is_some_and(|open| open.name == run.name);
                let is_new = is_connect && run.status.state.is_none() && run.tally.applied == 0;
                let planned = is_new.then_some(counters);
                run.status.counters = run.status.counters.or(planned);
                RunPlan::Resume(run)
            }
            Self::Close(name, before, tally, ending) => {
                RunPlan::Close(ClosedRun { name, status: run_status::closed(&before, tally, ending, records.now) })
            }
        }
    }

    /// The runs of this type that are open while the plan is carried out.
    pub(super) fn open_runs(&self, records: &Records<'_>, kind: RunType) -> Vec<RunSummary> {
        let (closing, created) = match self {
            Self::Close(name, ..) => (Some(name), None),
            Self::Create(name, ..) => (None, Some(name.clone())),
            Self::None | Self::Resume(_) => (None, None),
        };
        let sorted = runs::by_age(&records.observed.runs, kind);
        let open = sorted.into_iter().filter(|run| runs::is_open(run) && Some(&run.name) != closing);
        let names = open.map(|run| run.name.clone()).chain(created);
        let state = |name: &str| run_status::open_state(self.waiting(name));
        names.map(|name| RunSummary { state: state(&name), name, kind }).collect()
    }

    /// Why the run of this name, if it is this plan's, sends nothing.
    pub(super) fn waiting(&self, run: &str) -> Option<&Wait> {
        match self {
            Self::Create(name, _, waiting) if name == run => waiting.as_ref(),
            Self::Resume(resumed) if resumed.name == run => resumed.waiting.as_ref(),
            Self::None | Self::Create(..) | Self::Resume(_) | Self::Close(..) => None,
        }
    }

    /// What the run waits for.
    pub(super) fn wait(&self) -> Option<&Wait> {
        match self {
            Self::Create(_, _, waiting) => waiting.as_ref(),
            Self::Resume(run) => run.waiting.as_ref(),
            Self::None | Self::Close(..) => None,
        }
    }

    /// When an import must have begun that knows every user of the run.
    pub(super) fn needs_import_after(
        &self,
        records: &Records<'_>,
        subjects: &BTreeMap<UserKey, Subject<'_>>,
    ) -> Option<Timestamp> {
        let subject = |action: &RunAction| subjects.get(&action.user.parse::<UserKey>().ok()?);
        let first_seen = |action| subject(action).map(|subject| records.first_seen(subject));
        match self {
            Self::Create(_, spec, _) => spec.actions.iter().filter_map(first_seen).max(),
            Self::Resume(_) => runs::needs_import_after(&records.observed.runs, &records.observed.users),
            Self::None | Self::Close(..) => None,
        }
    }

    /// When the run needs another look.
    pub(super) fn next(&self, records: &Records<'_>, is_older_reading: bool) -> Next {
        let now = records.now;
        match self {
            Self::None if is_older_reading => Next::At(now, ReadingKind::Outcome),
            Self::None => Next::Interval,
            Self::Create(..) | Self::Close(..) => Next::At(now, ReadingKind::Account),
            Self::Resume(run) => match &run.waiting {
                None | Some(Wait::OlderReading) => Next::At(now, ReadingKind::Outcome),
                Some(Wait::Import | Wait::Objects) => {
                    Next::At(polling::look_again(awaited_since(records), now), ReadingKind::Account)
                }
                Some(Wait::Effect(since)) => Next::At(polling::look_again(*since, now), ReadingKind::Outcome),
                Some(Wait::Refused { until, .. }) => Next::At(*until, ReadingKind::Outcome),
                Some(Wait::Rest(until)) => Next::At(*until, ReadingKind::Full),
                Some(
                    Wait::Suspended
                    | Wait::Gate(_)
                    | Wait::Agreement
                    | Wait::Approval
                    | Wait::Guard { .. }
                    | Wait::Protection,
                ) => Next::Interval,
            },
        }
    }
}

/// Since when an import is awaited: the start of the newest one, if it is younger than the run.
fn awaited_since(records: &Records<'_>) -> Timestamp {
    let created = records.open.map_or(records.now, |run| run.spec.created_at.0);
    let imports = records.activity.map(|activity| activity.imports.as_slice()).unwrap_or_default();
    imports.iter().map(|import| import.started_at).fold(created, Timestamp::max)
}

/// Whether the reading of the connector's users began before the last write.
pub(super) fn is_older_reading(records: &Records<'_>, reading: &Reading<'_>) -> bool {
    records.observed.last_write.is_some_and(|written| reading.pairs_read_at.is_none_or(|at| at < written))
}

/// Why nothing may be sent for the run now, whatever it is.
pub(super) fn stopped(records: &Records<'_>, run: &KnownRun, is_older_reading: bool) -> Option<Wait> {
    if records.observed.suspended {
        Some(Wait::Suspended)
    } else if let Some(gate) = &records.observed.gate {
        Some(Wait::Gate(gate.reason))
    } else if let Some(refused) = records.refused_until(run) {
        Some(refused)
    } else {
        is_older_reading.then_some(Wait::OlderReading)
    }
}

/// Whether users whose write failed still wait for the next try.
fn is_waiting(records: &Records<'_>) -> bool {
    !records.requested && records.retry_at().is_some_and(|at| records.now < at)
}

/// How a run ends whatever became of its actions: another plan or another hash, a denial, an approval that nobody may revive (R6).
pub(super) fn superseded(records: &Records<'_>, run: &KnownRun) -> Option<Ending> {
    let changed = run.spec.policy_hash != runs::goal_hash(records.observed);
    let forged = run.spec.plan_hash != runs::plan_hash(&run.spec.actions);
    let seen = run.status.decision.as_ref();
    let late = run.status.started_at.is_none()
        && seen.is_some_and(|seen| records.now.duration_since(seen.seen_at.0) > APPROVAL_HOLDS);
    match run.spec.decision {
        Some(Decided::Deny) => Some(Ending::Denied),
        Some(Decided::Approve) if run.status.state.is_none() || late => Some(Ending::Superseded),
        _ => (changed || forged).then_some(Ending::Superseded),
    }
}

/// The status of the run without the failures of users who went through after all, and with the decision as it is seen.
pub(super) fn status_of(run: &KnownRun, verdicts: &[(UserKey, Verdict)], now: Timestamp) -> UserSyncRunStatus {
    let done = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Done).map(|(key, _)| key.as_str());
    let done: HashSet<&str> = done.collect();
    let mut status = run.status.clone();
    status.failures.retain(|failure| !done.contains(failure.user.as_str()));
    if let (Some(value), None) = (run.spec.decision, &status.decision) {
        status.decision = Some(SeenDecision { value, by: run.spec.decided_by.clone(), seen_at: Time(now) });
    }
    status
}

pub(super) fn tally(verdicts: &[(UserKey, Verdict)]) -> Tally {
    let mut tally = Tally::default();
    for (_, verdict) in verdicts {
        *match verdict {
            Verdict::Done => &mut tally.applied,
            Verdict::Skip(_) => &mut tally.skipped,
            Verdict::Failed => &mut tally.failed,
            Verdict::Todo(_) | Verdict::Hold => &mut tally.remaining,
        } += 1;
    }
    tally
}

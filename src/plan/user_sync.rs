//! The plan of a policy: who is to be connected, from one complete reading, the policy's own objects and the time.
//!
//! **Architecture invariants**
//! - Nobody loses service here: the only write is the PUT of a pair, and only inside a stored run.
//! - From an incomplete reading nothing is concluded.
//! - Planning after carrying a plan out gives an empty plan.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;

use super::counters::{self, number};
use super::holding;
use super::licenses;
use super::observed::{Next, ObservedPolicy, ReadingKind};
use super::polling;
use super::readiness::{self, Outlook};
use super::reading::{Presence, Reading};
use super::records::{self, Records};
use super::run_status::{self, Ending, Tally, Wait};
use super::runs::{self, Verdict};
use super::schedule;
use super::standing;
use super::subjects::{self, Finding, Subject};
use super::user_plan::{ClosedRun, NewRun, PlannedUser, ResumedRun, RunPlan, Step, UserPlan};
use crate::api::{Counters, Failure, Managed, Reason, RunState, RunSummary, RunType, UserStage, UserState};
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
            Planner { records, reading }.plan(previous.as_ref())
        }
    }
}

struct Planner<'a> {
    records: Records<'a>,
    reading: Reading<'a>,
}

/// What is done about runs, before the counters are known.
enum Decision {
    None,
    Create(String, crate::api::UserSyncRunSpec),
    Resume(ResumedRun),
    Close(String, Tally, Ending),
}

impl<'a> Planner<'a> {
    fn plan(&self, previous: Option<&Presence<'a>>) -> UserPlan {
        let (records, reading) = (&self.records, &self.reading);
        let mut subjects = subjects::judge_all(records, reading, previous);
        let admitted = licenses::admit(records, reading, &mut subjects);
        let decision = self.decide(&subjects, &admitted);
        let has_run = matches!(decision, Decision::Create(..) | Decision::Resume(_));
        for subject in subjects.values_mut() {
            subject.managed = self.managed(subject, has_run);
        }
        let users: Vec<_> = subjects.values().filter_map(|subject| standing::plan(records, reading, subject)).collect();
        let gone = subjects.values().filter(|it| it.finding == Finding::Gone && it.known.is_some());
        let counters = counters::counters(reading, &users);
        let outlook = self.outlook(&subjects, &users);
        let (conditions, pending_actions) = readiness::of(records, outlook);
        let next = schedule::next(records, &subjects, &users, self.next(&decision));
        let failure = self.failure(&decision, &subjects);
        let handled_request = self.handled_request(&subjects, &decision);
        UserPlan {
            policy: records.observed.name.to_owned(),
            obsolete: gone.map(|subject| subject.key.clone()).collect(),
            counts: Some(counters::counts(reading, &users)),
            blocked: counters::blocked(&users),
            runs: self.open_runs(&decision),
            needs_import_after: needs_import_after(records, &decision),
            users,
            run: self.finish(decision, counters),
            counters: Some(counters),
            conditions,
            pending_actions,
            failure,
            handled_request,
            next,
        }
    }

    fn decide(&self, subjects: &BTreeMap<UserKey, Subject<'_>>, admitted: &[UserKey]) -> Decision {
        let records = &self.records;
        let Some(run) = records.open else {
            let ready = |key: &UserKey| {
                subjects
                    .get(key)
                    .filter(|it| matches!(it.finding, Finding::Admitted(attempt) if attempt.held.is_none()))
            };
            let candidates: Vec<_> = admitted.iter().filter_map(ready).collect();
            let may = records.may_write() && !self.is_older_reading();
            let new = if may { runs::new_run(records, &candidates) } else { None };
            return new.map_or(Decision::None, |(name, spec)| Decision::Create(name, spec));
        };
        let verdicts = runs::verdicts(records, run, subjects);
        let tally = tally(&verdicts);
        if run.spec.policy_generation != records.observed.generation {
            return Decision::Close(run.name.clone(), tally, Ending::Superseded);
        }
        match tally.ending() {
            Some(ending) => Decision::Close(run.name.clone(), tally, ending),
            None => Decision::Resume(self.resume(run, verdicts, tally, subjects)),
        }
    }

    fn resume(
        &self,
        run: &super::observed::KnownRun,
        verdicts: Vec<(UserKey, Verdict)>,
        tally: Tally,
        subjects: &BTreeMap<UserKey, Subject<'_>>,
    ) -> ResumedRun {
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
        let steps: Vec<Step> = todo.into_iter().filter(|step| is_marked(subjects.get(&step.user), step)).collect();
        let waiting = self.waiting(nothing, steps.is_empty());
        let steps = if waiting.is_some() { Vec::new() } else { steps };
        ResumedRun { name: run.name.clone(), steps, waiting, skipped, tally, status: run.status.clone() }
    }

    fn waiting(&self, nothing: bool, unmarked: bool) -> Option<Wait> {
        let records = &self.records;
        if records.observed.suspended {
            Some(Wait::Suspended)
        } else if let Some(gate) = &records.observed.gate {
            Some(Wait::Gate(gate.reason))
        } else if self.is_older_reading() {
            Some(Wait::OlderReading)
        } else if nothing {
            Some(Wait::Agreement)
        } else if unmarked {
            Some(Wait::Objects)
        } else if self.is_imported() {
            None
        } else {
            Some(Wait::Import)
        }
    }

    /// Whether the reading of the connector's users began before the last write.
    fn is_older_reading(&self) -> bool {
        self.records.observed.last_write.is_some_and(|written| self.reading.pairs_read_at.is_none_or(|at| at < written))
    }

    /// Whether an import succeeded that began when every user of the open run was known.
    fn is_imported(&self) -> bool {
        let observed = self.records.observed;
        let Some(needed) = runs::needs_import_after(&observed.runs, &observed.users) else { return true };
        let imports = self.records.activity.map(|activity| activity.imports.as_slice()).unwrap_or_default();
        imports.iter().any(|import| import.state == super::snapshot::JobState::Done && import.started_at >= needed)
    }

    /// The mark is written with the run and before the connector is asked. It is taken back when the run ended without the user
    /// and nothing is in the connector.
    fn managed(&self, subject: &Subject<'_>, has_run: bool) -> Managed {
        if subject.pair.is_some_and(|pair| pair.licensed) || subject.finding == Finding::Keep {
            return subject.managed;
        }
        match &subject.finding {
            Finding::Admitted(_) if subject.managed == Managed::None && has_run => Managed::Added,
            Finding::Admitted(_) | Finding::Unlisted | Finding::Retained(_) => subject.managed,
            Finding::Stopped { reason: Reason::Disconnected, .. } => subject.managed,
            _ => Managed::None,
        }
    }

    fn finish(&self, decision: Decision, counters: Counters) -> RunPlan {
        let now = self.records.now;
        match decision {
            Decision::None => RunPlan::None,
            Decision::Create(name, spec) => {
                let status = run_status::created(counters, number(spec.actions.len()), now);
                RunPlan::Create(NewRun { name, spec, status })
            }
            Decision::Resume(run) => RunPlan::Resume(run),
            Decision::Close(name, tally, ending) => {
                let before = self.records.open.map(|run| run.status.clone()).unwrap_or_default();
                RunPlan::Close(ClosedRun { name, status: run_status::closed(&before, tally, ending, now) })
            }
        }
    }

    fn open_runs(&self, decision: &Decision) -> Vec<RunSummary> {
        let closing = match decision {
            Decision::Close(name, ..) => Some(name.as_str()),
            _ => None,
        };
        let created = match decision {
            Decision::Create(name, _) => Some(name.clone()),
            _ => None,
        };
        let sorted = runs::by_age(&self.records.observed.runs);
        let open = sorted.into_iter().filter(|run| runs::is_open(run) && Some(run.name.as_str()) != closing);
        let names = open.map(|run| run.name.clone()).chain(created);
        names.take(10).map(|name| RunSummary { name, kind: RunType::Connect, state: RunState::Running }).collect()
    }

    fn failure(&self, decision: &Decision, subjects: &BTreeMap<UserKey, Subject<'_>>) -> Option<Failure> {
        let stored = self.records.observed.status.failure.as_ref();
        match decision {
            Decision::Close(_, Tally { failed: 1.., .. }, _) => Some(polling::failed_again(stored, self.records.now)),
            _ if subjects.values().any(|it| self.failed_before(it)) => stored.cloned(),
            _ => None,
        }
    }

    fn failed_before(&self, subject: &Subject<'_>) -> bool {
        let failed = self.records.held(&subject.key).is_some() || self.records.refused(&subject.key).is_some();
        failed && subject.pair.is_none() && subject.finding != Finding::Gone
    }

    fn outlook(&self, subjects: &BTreeMap<UserKey, Subject<'_>>, users: &[PlannedUser]) -> Outlook {
        let mut outlook = Outlook::default();
        for subject in subjects.values() {
            match &subject.finding {
                Finding::Admitted(attempt) if attempt.again => outlook.retrying = true,
                Finding::Admitted(_) => outlook.applying = true,
                _ => {}
            }
        }
        for user in users {
            let reason = user.status.reason.as_deref().and_then(Reason::parse);
            match (user.status.state, user.status.stage) {
                (Some(UserState::Pending), Some(UserStage::Verify)) if reason == Some(Reason::AwaitingPush) => {
                    outlook.verifying = true;
                }
                (Some(UserState::Pending), Some(UserStage::Verify)) => outlook.drifted = true,
                (Some(UserState::Connected), Some(stage)) if stage != UserStage::Done => outlook.drifted = true,
                (Some(UserState::Blocked), _) if reason == Some(Reason::Disconnected) => outlook.drifted = true,
                _ => {}
            }
        }
        let newest = runs::by_age(&self.records.observed.runs).last().map(|run| run.status.state);
        let failed = newest == Some(Some(RunState::Failed));
        outlook.failed = failed && subjects.values().any(|subject| self.failed_before(subject));
        outlook
    }

    /// A request is handled once nobody whom it brings back waits for a run any more.
    fn handled_request(&self, subjects: &BTreeMap<UserKey, Subject<'_>>, decision: &Decision) -> Option<String> {
        let observed = self.records.observed;
        let created = |key: &UserKey| match decision {
            Decision::Create(_, spec) => spec.actions.iter().any(|action| action.user == key.as_str()),
            _ => false,
        };
        let released = |it: &&Subject<'_>| matches!(it.finding, Finding::Admitted(attempt) if attempt.released);
        let in_run = |key: &UserKey| self.records.action(key).is_some() || created(key);
        let unserved = subjects.values().filter(released).any(|subject| !in_run(&subject.key));
        let stored = observed.status.last_handled_reconcile_at.as_deref();
        let handled = if unserved { stored } else { observed.requested_at.or(stored) };
        handled.map(str::to_owned)
    }

    fn next(&self, decision: &Decision) -> Next {
        let now = self.records.now;
        match decision {
            Decision::None if self.is_older_reading() => Next::At(now, ReadingKind::Outcome),
            Decision::None => Next::Interval,
            Decision::Create(..) | Decision::Close(..) => Next::At(now, ReadingKind::Account),
            Decision::Resume(run) => match &run.waiting {
                None | Some(Wait::OlderReading) => Next::At(now, ReadingKind::Outcome),
                Some(Wait::Import | Wait::Objects) => {
                    let since = self.records.open.map_or(now, |run| run.spec.created_at.0);
                    Next::At(polling::look_again(since, now), ReadingKind::Account)
                }
                Some(Wait::Suspended | Wait::Gate(_) | Wait::Agreement) => Next::Interval,
            },
        }
    }
}

fn tally(verdicts: &[(UserKey, Verdict)]) -> Tally {
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

/// Whether the stored object says already that the pair is ours: nothing is sent on the strength of a write that may be lost.
fn is_marked(subject: Option<&Subject<'_>>, step: &Step) -> bool {
    let known = subject.and_then(|subject| subject.known);
    known.is_some_and(|it| it.spec.managed == Managed::Added && records::pin(it) == Some(step.teams_user))
}

fn needs_import_after(records: &Records<'_>, decision: &Decision) -> Option<Timestamp> {
    match decision {
        Decision::Create(..) => Some(records.now),
        Decision::Resume(_) => runs::needs_import_after(&records.observed.runs, &records.observed.users),
        Decision::None | Decision::Close(..) => None,
    }
}

//! The run that takes service away: proposed from the candidates, held by guard and approval, resumed from its frozen actions.
//!
//! **Architecture invariants**
//! - It is stored before its first write, and `leaving` in the user's spec before the first call for that user.
//! - Whoever came back, is protected or does not fit the old values is skipped, so a forged run can do nothing new.

use std::collections::{BTreeMap, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::candidates::{self, Candidacy};
use super::decision::{self, Decision};
use super::deleting;
use super::guard::{self, Count};
use super::observed::{KnownRun, KnownUser};
use super::polling::{self, LISTING_LAG};
use super::protection::Protection;
use super::records::Records;
use super::replace;
use super::run_status::{Ending, Tally, Wait};
use super::runs::{self, MAX_ACTIONS, MAX_FAILURES, Verdict};
use super::snapshot::ConnectorUser;
use super::subjects::{Absence, Finding, Subject};
use super::user_plan::{EarlyWarning, ResumedRun, Step};
use crate::api::{
    ActionArgs, ActionExpected, Approval, Managed, PairValues, Reason, Removals, RunAction, RunOperation, RunType,
};
use crate::domain::{EntraObjectId, UserKey};

/// How somebody who is no longer called for stands with runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// In a run that waits for a decision.
    Awaiting,
    /// In a run, or ripe for the next one.
    Queued,
    /// Being taken away now: `leaving` is set.
    Executing,
    /// Somebody denied it.
    Denied,
}

/// What is done about service that is to be taken away.
pub(super) struct Disconnect {
    /// About the run.
    pub decision: Decision,
    /// How users stand with it.
    pub roles: HashMap<UserKey, Role>,
    /// For `status.removals`.
    pub removals: Removals,
    /// Licensed pairs whose deletion is planned.
    pub to_remove: usize,
    /// Until when removals rest, if somebody waits for that.
    pub rests: Option<Timestamp>,
    /// Candidates in grace would exceed the guard.
    pub warning: Option<EarlyWarning>,
}

struct Planner<'d, 'a> {
    records: &'d Records<'a>,
    subjects: &'d BTreeMap<UserKey, Subject<'a>>,
    protection: &'d Protection,
    ripe: Vec<&'d Subject<'a>>,
    is_older_reading: bool,
    rests: Option<Timestamp>,
    licenses: usize,
}

/// What is done about service that is to be taken away.
pub(super) fn plan<'a>(
    records: &Records<'a>,
    subjects: &BTreeMap<UserKey, Subject<'a>>,
    protection: &Protection,
    is_older_reading: bool,
    rests: Option<Timestamp>,
    licenses: usize,
) -> Disconnect {
    let ripe = subjects.values().filter(|it| candidates::of(records, it) == Candidacy::Ripe).collect();
    let planner = Planner { records, subjects, protection, ripe, is_older_reading, rests, licenses };
    let count = guard::count(records, subjects, records.disconnect);
    let mut plan = match records.disconnect {
        Some(run) => planner.go_on(run, count),
        None => planner.propose(count),
    };
    let both = subjects.values().filter_map(|it| Some((it.successor.as_ref()?.key.clone(), *plan.roles.get(&it.key)?)));
    let new_sides: Vec<_> = both.collect();
    plan.roles.extend(new_sides);
    plan.warning = planner.warning(count);
    plan.rests = rests.filter(|_| !planner.ripe.is_empty());
    plan
}

impl Planner<'_, '_> {
    /// No run is open: the ripe candidates form one, unless all of them were denied.
    fn propose(&self, count: Count) -> Disconnect {
        let records = self.records;
        // What was denied is one thing: to leave is another than to be replaced, or exchanged with somebody.
        let meant = |action: &RunAction| {
            let ActionArgs { teams_user_id, new_user, .. } = &action.args;
            (action.user.clone(), action.op == RunOperation::Replace, teams_user_id.clone(), new_user.clone())
        };
        // Whoever came back in between and left again was not meant.
        let mut denied = HashMap::new();
        for (run, action) in records.denied_actions(RunType::Disconnect) {
            let at = denied.entry(meant(action)).or_insert(run.spec.created_at.0);
            *at = run.spec.created_at.0.max(*at);
        }
        let is_denied = |it: &&&Subject<'_>| {
            let since = it.known.and_then(|known| known.spec.unmatched_since.as_ref());
            let at = action(records, it).and_then(|action| denied.get(&meant(&action)).copied());
            since.zip(at).is_some_and(|(since, at)| since.0 <= at)
        };
        let all_denied = if records.observed.deleting {
            deleting::is_denied(records) || self.ripe.is_empty()
        } else {
            self.ripe.iter().all(|it| is_denied(&it))
        };
        let role = if all_denied { Role::Denied } else { Role::Queued };
        let mut roles: HashMap<_, _> = self.ripe.iter().map(|it| (it.key.clone(), role)).collect();
        let may = records.may_write() && !self.is_older_reading && self.protection.unknown == 0;
        let taken: Vec<_> = self.ripe.iter().copied().filter(|it| self.rests.is_none() || takes_nothing(it)).collect();
        if all_denied || !may || taken.is_empty() || self.is_backing_off() {
            return result(Decision::None, roles, count, 0);
        }
        let actions: Vec<_> = taken.iter().take(MAX_ACTIONS).filter_map(|it| action(records, it)).collect();
        let to_remove = actions.iter().filter(|action| action.op.removes()).count();
        let is_refused = taken.iter().any(|it| is_denied(&it));
        let waiting = self.held(count, taken.len(), can_call(taken.iter().copied()), is_refused);
        if waiting.is_some() {
            for role in roles.values_mut() {
                *role = Role::Awaiting;
            }
        }
        let decision = match runs::frozen(records, RunType::Disconnect, actions) {
            Some((name, spec)) => Decision::Create(name, spec, waiting),
            None => Decision::None,
        };
        result(decision, roles, count, to_remove)
    }

    /// A run that ended with failures or vetoes is not followed at once by the next.
    fn is_backing_off(&self) -> bool {
        let closed = self.records.disconnects.iter().rev().filter(|run| !runs::is_open(run));
        let failed: Vec<_> = closed.take_while(|run| !run.status.failures.is_empty()).collect();
        let ended = failed.first().and_then(|run| run.status.finished_at.as_ref());
        let until = ended.map(|at| polling::retry_after(at.0, super::counters::number(failed.len())));
        until.is_some_and(|until| until > self.records.now) && !self.records.requested
    }

    /// Why the actions wait for a decision (R1, R2, R3, R6).
    ///
    /// `is_refused`: somebody denied to take service away from one of them; that the set changed is no reason to do it unasked.
    fn held(&self, count: Count, planned: usize, taken: usize, is_refused: bool) -> Option<Wait> {
        let spec = self.records.observed.spec;
        if self.records.observed.deleting {
            return Some(Wait::Approval);
        }
        if count.is_exceeded_by(planned, taken) {
            return Some(Wait::Guard { planned: planned + count.in_window, allowed: count.allowed });
        }
        (is_refused || spec.approval != Approval::Automatic).then_some(Wait::Approval)
    }

    fn go_on(&self, run: &KnownRun, count: Count) -> Disconnect {
        let verdicts = self.verdicts(run);
        let mut tally = decision::tally(&verdicts);
        tally.begun = super::counters::number(verdicts.iter().filter(|(key, it)| self.is_half(run, key, it)).count());
        let mut status = decision::status_of(run, &verdicts, self.records.now);
        if status.started_at.is_none() && self.took_away(run, &verdicts) {
            status.started_at = Some(Time(self.records.now));
        }
        let limit = self.records.failure_limit();
        // A failure or veto that cannot be noted any more would be tried again in every pass.
        let is_full = || (run.status.failures.len() >= MAX_FAILURES).then_some(Ending::FailureLimit);
        let ending = decision::superseded(self.records, run).or_else(|| tally.ending(limit)).or_else(is_full);
        if let Some(ending) = ending {
            let role = if ending == Ending::Denied { Role::Denied } else { Role::Queued };
            let roles = self.ripe.iter().map(|it| (it.key.clone(), role)).collect();
            return result(Decision::Close(run.name.clone(), status, tally, ending), roles, count, 0);
        }
        let waiting = self.waiting(run, count, &verdicts);
        let (resumed, roles) = self.resume(run, status, verdicts, tally, waiting);
        let to_remove = self.to_remove(run);
        let own = if run.spec.decision.is_none() { guard::done(run) } else { 0 };
        let shown = Count { in_window: count.in_window + own, ..count };
        result(Decision::Resume(resumed), roles, shown, to_remove)
    }

    /// Licensed pairs of the run that a deletion still waits for.
    fn to_remove(&self, run: &KnownRun) -> usize {
        let deletes = run.spec.actions.iter().filter(|action| action.op.removes());
        let open =
            deletes.filter(|action| matches!(self.verdict(run, action), Some((_, Verdict::Todo(_) | Verdict::Hold))));
        let subject = |action: &RunAction| self.subjects.get(&action.user.parse::<UserKey>().ok()?);
        open.filter_map(subject).filter(|it| it.pair.is_some_and(|pair| pair.licensed)).count()
    }

    fn waiting(&self, run: &KnownRun, count: Count, verdicts: &[(UserKey, Verdict)]) -> Option<Wait> {
        let records = self.records;
        let live: HashSet<&UserKey> =
            verdicts.iter().filter(|(_, it)| !matches!(it, Verdict::Skip(_))).map(|(key, _)| key).collect();
        let others: Vec<_> = self.ripe.iter().copied().filter(|it| !live.contains(&it.key)).collect();
        let todo = live.iter().filter_map(|key| self.subjects.get(*key));
        let taken = can_call(todo.chain(others.iter().copied()));
        let live_names: HashSet<&str> = live.iter().map(|key| key.as_str()).collect();
        let is_refused = records.denied(RunType::Disconnect).any(|user| live_names.contains(user));
        let own = guard::done(run).max(live.len());
        let planned = own + others.len();
        let held = if run.spec.decision.is_none() { self.held(count, planned, taken, is_refused) } else { None };
        if held.is_some() {
            held
        } else if let Some(wait) = decision::stopped(records, run, self.is_older_reading) {
            Some(wait)
        } else if self.protection.unknown > 0 {
            Some(Wait::Protection)
        } else if let Some(until) = self.rests.filter(|_| run.spec.decision.is_none() && takes_calls(verdicts)) {
            Some(Wait::Rest(until))
        } else if !verdicts.iter().any(|(_, it)| matches!(it, Verdict::Todo(_))) {
            let is_kept = |key: &UserKey| self.subjects.get(key).is_none_or(|it| it.finding == Finding::Keep);
            let holds = verdicts.iter().filter(|(_, it)| *it == Verdict::Hold);
            let soon = holds.map(|(key, _)| key).any(|key| !is_kept(key));
            let unshown = live.iter().filter_map(|key| candidates::unshown(self.subjects.get(*key)?)).min();
            let unshown = unshown.map(|at| run.status.started_at.as_ref().map_or(at, |began| began.0.min(at)));
            let other = if soon { Wait::Objects } else { Wait::Agreement };
            Some(unshown.map_or(other, Wait::Effect))
        } else {
            None
        }
    }

    /// The next users at a time, those who were begun first; calls only for whom `leaving` is stored.
    fn resume(
        &self,
        run: &KnownRun,
        status: crate::api::UserSyncRunStatus,
        verdicts: Vec<(UserKey, Verdict)>,
        tally: Tally,
        waiting: Option<Wait>,
    ) -> (ResumedRun, HashMap<UserKey, Role>) {
        let is_held = matches!(waiting, Some(Wait::Approval | Wait::Guard { .. }));
        let (mut todo, mut skipped) = (Vec::new(), Vec::new());
        // Whoever is ripe and not in the run waits for the next one.
        let mut roles: HashMap<_, _> = self.ripe.iter().map(|it| (it.key.clone(), Role::Queued)).collect();
        for (key, verdict) in verdicts {
            match verdict {
                Verdict::Todo(step) => {
                    roles.insert(key.clone(), if is_held { Role::Awaiting } else { Role::Queued });
                    todo.push((key, step));
                }
                Verdict::Skip(why) => skipped.push((key, why)),
                Verdict::Hold if self.is_begun(run, &key) => _ = roles.insert(key, Role::Executing),
                Verdict::Done | Verdict::Failed | Verdict::Hold => {}
            }
        }
        let begun = |key: &UserKey| self.is_begun(run, key);
        todo.sort_by_key(|(key, step)| (step.takes_away(), !begun(key)));
        todo.truncate(self.records.observed.spec.rollout.batch_size as usize);
        let is_sending = waiting.is_none();
        // Who is half replaced or exchanged is not left so by what holds the run: the calls are given back, or the new key is put.
        let is_paused = waiting.as_ref().is_some_and(holds);
        let is_undone = |key: &UserKey| is_paused && self.subjects.get(key).is_some_and(Subject::stays_otherwise);
        let goes_on = |key: &UserKey, step: &Step| begun(key) && !(step.takes_away() && is_undone(key));
        for (key, _) in todo.iter().filter(|(key, step)| is_sending || goes_on(key, step)) {
            roles.insert(key.clone(), Role::Executing);
        }
        let finishes = is_paused && decision::stopped(self.records, run, self.is_older_reading).is_none();
        let is_sent = |step: &Step| is_sending || (finishes && !step.takes_away());
        let mut licenses = self.licenses;
        let steps = todo.into_iter().filter(|(key, step)| begun(key) && is_sent(step)).map(|(_, step)| step);
        let steps: Vec<_> = steps.filter(|step| replace::has_license(step, &mut licenses)).collect();
        let waiting = waiting.or_else(|| steps.is_empty().then_some(Wait::Objects));
        (
            ResumedRun {
                name: run.name.clone(),
                steps,
                waiting,
                skipped,
                tally,
                status,
                limit: self.records.failure_limit(),
            },
            roles,
        )
    }

    /// Whether the run forbade the calls of somebody with whom it is not at its end.
    fn is_half(&self, run: &KnownRun, key: &UserKey, verdict: &Verdict) -> bool {
        matches!(verdict, Verdict::Todo(_) | Verdict::Hold) && self.is_off(run, key)
    }

    /// Whether the run forbade the calls.
    fn is_off(&self, run: &KnownRun, key: &UserKey) -> bool {
        let is_off = || self.subjects.get(key).is_some_and(|it| it.pair.is_some_and(|pair| !pair.enabled));
        let was_on = |action: &RunAction| action.user == key.as_str() && action.expected.enabled == Some(true);
        self.is_begun(run, key) && is_off() && run.spec.actions.iter().any(was_on)
    }

    /// Whether somebody lost something by the run, though the process ended or the connector did not answer before that was noted.
    fn took_away(&self, run: &KnownRun, verdicts: &[(UserKey, Verdict)]) -> bool {
        verdicts.iter().any(|(key, verdict)| *verdict == Verdict::Done || self.is_off(run, key))
    }

    fn is_begun(&self, run: &KnownRun, user: &UserKey) -> bool {
        self.records.users.get(user).is_some_and(|known| known.spec.leaving.as_deref() == Some(run.name.as_str()))
    }

    fn verdicts(&self, run: &KnownRun) -> Vec<(UserKey, Verdict)> {
        run.spec.actions.iter().filter_map(|action| self.verdict(run, action)).collect()
    }

    /// How an action stands.
    fn verdict(&self, run: &KnownRun, action: &RunAction) -> Option<(UserKey, Verdict)> {
        let key: UserKey = action.user.parse().ok()?;
        let skip = |why: &str| Verdict::Skip(why.to_owned());
        let Some(subject) = self.subjects.get(&key) else { return Some((key, skip("the user is no longer there"))) };
        let begun = self.is_begun(run, &key);
        let new = replace::new_side(action, self.subjects);
        let of_action = |user: &String| *user == action.user || action.args.new_user.as_ref() == Some(user);
        let refused = run.status.failures.iter().find(|failure| of_action(&failure.user));
        let verdict = match (subject.pair, refused) {
            _ if action.op != RunOperation::Disable && !action.op.removes() => skip("not for such a run"),
            _ if replace::is_done(self.records, action, new) => Verdict::Done,
            _ if subject.finding == Finding::Keep && !begun && self.is_stuck(run) => {
                skip("nothing could be concluded about the user for too long")
            }
            _ if subject.finding == Finding::Keep || new.is_some_and(|new| new.finding == Finding::Keep) => {
                Verdict::Hold
            }
            (None, Some(_)) if action.op == RunOperation::Replace => Verdict::Failed,
            (None, None) if action.op == RunOperation::Replace && begun => {
                replace::second_half(self.records, run, action, subject, new, self.licenses)
            }
            (None, _) if begun || changed_by(subject, run) => Verdict::Done,
            (None, _) => skip("nothing is left in the connector"),
            (Some(pair), _) if begun && !pair.enabled && action.op == RunOperation::Disable => Verdict::Done,
            (_, Some(refused)) if refused.reason == Reason::StillPresent.as_str() => skip("found by id just before"),
            (_, Some(_)) => Verdict::Failed,
            (Some(pair), None) => self.called_for(run, action, subject, pair, begun),
        };
        Some((key, verdict))
    }

    /// Whether the run is open for so long that it waits for nobody who was not begun.
    fn is_stuck(&self, run: &KnownRun) -> bool {
        self.records.now.duration_since(run.spec.created_at.0) > decision::APPROVAL_HOLDS
    }

    /// How the one stands who has the Microsoft user that the subject is to get: the pair goes no earlier than that one's.
    fn after_holder(&self, run: &KnownRun, subject: &Subject<'_>, op: RunOperation) -> Option<Verdict> {
        let Some(Absence::Person(target)) = subject.gone else { return None };
        let has_it = |it: &&Subject<'_>| it.key != subject.key && it.pair.is_some_and(|it| it.teams_user == target);
        let holder = self.subjects.values().find(has_it)?;
        if run.status.failures.iter().any(|failure| failure.user == holder.key.as_str()) {
            return Some(Verdict::Skip("the Microsoft user is still somebody else's".to_owned()));
        }
        let calls = holder.pair.is_some_and(|pair| pair.enabled);
        (op == RunOperation::Delete && calls).then_some(Verdict::Hold)
    }

    fn called_for(
        &self,
        run: &KnownRun,
        action: &RunAction,
        subject: &Subject<'_>,
        pair: &ConnectorUser,
        begun: bool,
    ) -> Verdict {
        let skip = |why: &str| Verdict::Skip(why.to_owned());
        if subject.protected_by.is_some() {
            return skip("the user is protected");
        }
        let owns = |known: &KnownUser| self.records.owns(subject.managed, known, pair);
        if subject.known.is_none_or(|known| known.spec.managed == Managed::None || !owns(known)) {
            return skip("the user is not managed by this policy");
        }
        let Some(gone) = subject.gone.filter(|_| matches!(subject.finding, Finding::Retained(_))) else {
            return skip("the user is called for again");
        };
        let ripe = candidates::of(self.records, subject) == Candidacy::Ripe;
        if candidates::operation(self.records, subject) != Some(action.op) || !(ripe || begun) {
            return skip("the grace period is not over");
        }
        if action.op == RunOperation::Replace && !replace::is_called_for(action, subject) {
            return skip("the user is not called for under this new key");
        }
        if action.op == RunOperation::Delete && action.args != exchanged(subject) {
            return skip("the row names another person by now, or another number is routed to the user");
        }
        let same_pair = action.expected.teams_user_id.as_deref() == Some(pair.teams_user.to_string().as_str());
        let same = same_pair
            && action.expected.phone_number.as_deref() == pair.number.as_ref().map(crate::domain::E164::as_str)
            && action.expected.enabled == Some(pair.enabled);
        if !same_pair || !(same || begun) {
            return skip("the pair in the connector changed");
        }
        let removing = if action.op == RunOperation::Replace { action.op } else { RunOperation::Delete };
        let op = if pair.enabled { RunOperation::Disable } else { removing };
        if let Some(verdict) = self.after_holder(run, subject, op) {
            return verdict;
        }
        if candidates::unshown(subject).is_some_and(|at| self.records.now.duration_since(at) < LISTING_LAG) {
            return Verdict::Hold;
        }
        Verdict::Todo(Step {
            user: subject.key.clone(),
            op,
            teams_user: pair.teams_user,
            number: None,
            external_id: self.records.observed.external_id.to_owned(),
            // Over only once it is read back.
            is_last: false,
            if_match: Some(pair.etag.clone()),
            look: Some(gone).filter(|gone| *gone != Absence::Policy),
            address: subject.person.and_then(|person| person.user.address.clone()),
            before: before(action),
        })
    }

    /// Users of the open run, if it began and nobody decided about it.
    fn begun_unasked(&self) -> HashSet<&str> {
        let run = self.records.disconnect.filter(|run| run.spec.decision.is_none() && guard::done(run) > 0);
        run.into_iter().flat_map(|run| &run.spec.actions).map(|action| action.user.as_str()).collect()
    }

    /// Candidates in grace who, with what is ripe and done, would exceed the guard: told at once, not a day later.
    fn warning(&self, count: Count) -> Option<EarlyWarning> {
        let in_grace: Vec<_> = self
            .subjects
            .values()
            .filter(|it| matches!(candidates::of(self.records, it), Candidacy::InGrace(_)))
            .collect();
        let own = self.begun_unasked();
        let others = in_grace.iter().chain(&self.ripe).filter(|it| !own.contains(it.key.as_str()));
        let planned = own.len() + others.count();
        let taken = can_call(in_grace.iter().copied().chain(self.ripe.iter().copied()));
        let exceeds = !in_grace.is_empty() && count.is_exceeded_by(planned, taken);
        exceeds.then(|| EarlyWarning {
            users: super::counters::number(planned + count.in_window),
            allowed: super::counters::number(count.allowed),
        })
    }
}

fn result(decision: Decision, roles: HashMap<UserKey, Role>, count: Count, to_remove: usize) -> Disconnect {
    let number = super::counters::number;
    let removals = Removals { in_window: number(count.in_window), allowed: number(count.allowed) };
    Disconnect { decision, roles, removals, to_remove, rests: None, warning: None }
}

/// Whether the run waits for people, or for a window to end: for longer than anybody may be left half replaced.
fn holds(wait: &Wait) -> bool {
    wait.decision().is_some() || matches!(wait, Wait::Protection | Wait::Rest(_))
}

/// Whether somebody is to lose calls that he has; of who is replaced and cannot call, nothing is left to lose.
fn takes_calls(verdicts: &[(UserKey, Verdict)]) -> bool {
    let steps = verdicts.iter().filter_map(|(_, it)| if let Verdict::Todo(step) = it { Some(step) } else { None });
    steps.into_iter().any(|step| matches!(step.op, RunOperation::Disable | RunOperation::Delete))
}

fn takes_nothing(subject: &Subject<'_>) -> bool {
    subject.successor.is_some() && subject.pair.is_some_and(|pair| !pair.enabled)
}

/// How many of them can call now.
fn can_call<'s, 'a: 's>(subjects: impl Iterator<Item = &'s Subject<'a>>) -> usize {
    subjects.filter(|it| it.pair.is_some_and(|pair| pair.enabled)).count()
}

fn changed_by(subject: &Subject<'_>, run: &KnownRun) -> bool {
    subject.last_change().is_some_and(|change| change.run == run.name)
}

fn action(records: &Records<'_>, subject: &Subject<'_>) -> Option<RunAction> {
    let (pair, op) = (subject.pair?, candidates::operation(records, subject)?);
    let expected = ActionExpected {
        in_connector: true,
        enabled: Some(pair.enabled),
        teams_user_id: Some(pair.teams_user.to_string()),
        phone_number: pair.number.as_ref().map(|number| number.as_str().to_owned()),
    };
    let action = RunAction { user: subject.key.to_string(), op, args: exchanged(subject), expected };
    Some(replace::action(subject, action))
}

/// With whom the user is connected once the old pair is gone.
fn exchanged(subject: &Subject<'_>) -> ActionArgs {
    let Some(Absence::Person(target)) = subject.gone else { return ActionArgs::default() };
    let phone_number = subject.number.ok().map(|number| number.as_str().to_owned());
    ActionArgs { teams_user_id: Some(target.to_string()), phone_number, new_user: None }
}

/// What the connector had when the run was planned.
pub(super) fn before(action: &RunAction) -> PairValues {
    let ActionExpected { in_connector: _, enabled, teams_user_id, phone_number } = action.expected.clone();
    PairValues { teams_user_id, phone_number, enabled }
}

/// A user who is known to be there: what a last look must find, or the look itself cannot be trusted.
pub(super) fn witness(subjects: &BTreeMap<UserKey, Subject<'_>>) -> Option<(UserKey, EntraObjectId)> {
    let present = |it: &Subject<'_>| {
        matches!(it.finding, Finding::Present(_)).then(|| Some((it.key.clone(), it.teams?.id))).flatten()
    };
    subjects.values().find_map(present)
}

/// Whether calls that a run forbade are to be given back: the user came back, or nothing takes the rest any more.
pub(super) fn restores(records: &Records<'_>, subject: &Subject<'_>, disconnect: &Disconnect) -> bool {
    let Some(known) = subject.known.filter(|known| known.spec.leaving.is_some()) else { return false };
    let is_half = subject.pair.is_some_and(|pair| !pair.enabled && pair.licensed) && subject.managed != Managed::None;
    if !is_half || known.spec.managed == Managed::None || subject.finding == Finding::Keep {
        return false;
    }
    let is_gone = subject.gone.is_some() && matches!(subject.finding, Finding::Retained(_));
    let stays_disabled = is_gone
        && subject.protected_by.is_none()
        && !records.is_vetoed(subject)
        && match candidates::operation(records, subject) {
            Some(RunOperation::Disable) => true,
            Some(_) if subject.stays_otherwise() => match disconnect.roles.get(&subject.key) {
                Some(Role::Executing) => true,
                Some(Role::Queued) => {
                    !matches!(disconnect.decision, Decision::None) && !disconnect.decision.wait().is_some_and(holds)
                }
                Some(Role::Awaiting | Role::Denied) | None => false,
            },
            Some(_) => match disconnect.roles.get(&subject.key) {
                Some(Role::Queued | Role::Executing) => true,
                // Somebody said no: a new run about others as well keeps nobody without calls until it is decided.
                Some(Role::Awaiting) => {
                    records.denied(RunType::Disconnect).all(|denied| denied != subject.key.as_str())
                }
                Some(Role::Denied) | None => false,
            },
            None => false,
        };
    !stays_disabled && subject.pair.is_some_and(|pair| records.owns(subject.managed, known, pair))
}

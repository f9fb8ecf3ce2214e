//! A tiny pure executor: it carries plans out, can be stopped before any write, and then remembers only what was stored.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::world::{OURS, World, at, key, pbx};
use crate::api::{
    Adoption, Approval, AutomaticMatching, Decision, DeletionPolicy, Matching, NameRef, PbxRef, Reason, Removal,
    Rollout, RunOperation, RunState, TeamsAttribute, UserState, UserSyncPolicySpec, UserSyncPolicyStatus, conditions,
};
use crate::domain::UserKey;
use crate::plan::acted::{self, ActOutcome, Acted, StepResult};
use crate::plan::observed::{KnownRun, KnownUser, ObservedPolicy, Problem};
use crate::plan::snapshot::Snapshot;
use crate::plan::user_plan::{PlannedUser, RunPlan, UserPlan, Write};
use crate::plan::user_sync::user_sync;

/// Most steps that are sent at once.
const BATCH: usize = 25;

/// The process ended before a write.
#[derive(Debug)]
pub(super) struct Crash;

/// Looks at everything.
type Look = dyn Fn(&Cluster);

/// Is shown everything as it is just before each write.
#[derive(Clone)]
pub(super) struct Witness(pub Rc<Look>);

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Witness")
    }
}

/// What is stored, what the process knows, and the world.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub world: World,
    pub spec: UserSyncPolicySpec,
    pub generation: i64,
    pub status: UserSyncPolicyStatus,
    pub users: BTreeMap<UserKey, KnownUser>,
    pub runs: BTreeMap<String, KnownRun>,
    pub now: Timestamp,
    pub snapshot: Option<Snapshot>,
    pub previous: Option<Snapshot>,
    pub round: u64,
    pub last_write: Option<Timestamp>,
    pub gate: Option<Problem>,
    pub reference: Option<Problem>,
    pub deleting: bool,
    pub suspended: bool,
    pub requested_at: Option<String>,
    pub adopted: Option<String>,
    /// Writes of user objects.
    pub object_writes: BTreeMap<UserKey, u32>,
    /// PUTs that were sent.
    pub puts: Vec<UserKey>,
    /// Everything else that was sent.
    pub other_calls: Vec<(RunOperation, UserKey)>,
    /// Whom a last look by id finds.
    pub found_by_id: BTreeSet<UserKey>,
    /// Writes until the process ends.
    pub budget: Option<u32>,
    pub writes: u32,
    pub witness: Option<Witness>,
}

impl Cluster {
    pub(super) fn new(world: World) -> Self {
        Self {
            world,
            spec: UserSyncPolicySpec {
                account_ref: NameRef { name: "contoso".to_owned() },
                pbx: PbxRef { organization_id: pbx().to_string() },
                matching: Matching {
                    automatic: Some(AutomaticMatching { teams_attribute: TeamsAttribute::UserPrincipalName }),
                    manual: None,
                },
                protected_users: Vec::new(),
                removal: Removal::default(),
                adoption: Adoption::default(),
                approval: Approval::default(),
                rollout: Rollout::default(),
                history_limit: 10,
                suspend: false,
                deletion_policy: DeletionPolicy::default(),
            },
            generation: 1,
            status: UserSyncPolicyStatus::default(),
            users: BTreeMap::new(),
            runs: BTreeMap::new(),
            now: at(0),
            snapshot: None,
            previous: None,
            round: 0,
            last_write: None,
            gate: None,
            reference: None,
            deleting: false,
            suspended: false,
            requested_at: None,
            adopted: None,
            object_writes: BTreeMap::new(),
            puts: Vec::new(),
            other_calls: Vec::new(),
            found_by_id: BTreeSet::new(),
            budget: None,
            writes: 0,
            witness: None,
        }
    }

    /// So many people who can all be connected, read once.
    pub(super) fn of(people: usize) -> Self {
        let mut cluster = Self::new(World::of(people));
        cluster.read();
        cluster
    }

    /// The same, everybody connected.
    pub(super) fn connected(people: usize) -> Self {
        let mut cluster = Self::of(people);
        cluster.settle();
        assert!((0..people).all(|index| cluster.state(index) == Some(UserState::Connected)));
        cluster
    }

    /// A complete reading, ten seconds later.
    pub(super) fn read(&mut self) {
        self.wait(10);
        self.round += 1;
        self.previous = self.snapshot.take();
        self.snapshot = Some(self.world.snapshot(self.round, self.now));
    }

    /// Two complete readings that agree.
    pub(super) fn read_twice(&mut self) {
        self.read();
        self.read();
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(super) fn observed(&self) -> ObservedPolicy<'_> {
        ObservedPolicy {
            name: "hq",
            generation: self.generation,
            spec: &self.spec,
            status: &self.status,
            deleting: self.deleting,
            suspended: self.suspended,
            requested_at: self.requested_at.as_deref(),
            adopted: self.adopted.as_deref(),
            reference: self.reference.clone(),
            gate: self.gate.clone(),
            external_id: OURS,
            snapshot: self.snapshot.as_ref(),
            previous: self.previous.as_ref(),
            last_write: self.last_write,
            interval_seconds: 600,
            users: self.users.values().cloned().collect(),
            runs: self.runs.values().cloned().collect(),
        }
    }

    pub(super) fn plan(&self) -> UserPlan {
        let plan = user_sync(&self.observed(), self.now);
        assert_eq!(plan.check(), []);
        plan
    }

    fn write(&mut self) -> Result<(), Crash> {
        if let Some(Witness(look)) = &self.witness {
            look(self);
        }
        match &mut self.budget {
            Some(0) => return Err(Crash),
            Some(left) => *left -= 1,
            None => {}
        }
        self.writes += 1;
        Ok(())
    }

    /// One pass: plan, store, act, report.
    pub(super) fn try_pass(&mut self) -> Result<UserPlan, Crash> {
        let plan = self.plan();
        if let Some(adopted) = plan.adopted {
            self.write()?;
            self.adopted = Some(adopted.to_string());
        }
        for run in plan.run_plans() {
            let RunPlan::Create(run) = run else { continue };
            self.write()?;
            let stored = KnownRun {
                name: run.name.clone(),
                spec: run.spec.clone(),
                status: crate::api::UserSyncRunStatus::default(),
            };
            assert!(self.runs.insert(run.name.clone(), stored).is_none(), "a run of this name exists");
        }
        for user in &plan.users {
            self.store(user)?;
        }
        for key in &plan.obsolete {
            self.write()?;
            self.users.remove(key);
        }
        let mut outcome = ActOutcome::default();
        let batch = plan.batch_size.clamp(1, BATCH);
        for (index, step) in plan.steps().into_iter().enumerate() {
            // The executor looks between two batches.
            if index % batch == 0 && acted::must_stop(&plan, &outcome.results) {
                break;
            }
            self.write()?;
            match step.op {
                RunOperation::Put => self.puts.push(step.user.clone()),
                op => self.other_calls.push((op, step.user.clone())),
            }
            let vetoed = step.look.is_some() && self.found_by_id.contains(&step.user);
            let result = if vetoed {
                StepResult::Skipped("found by id".to_owned())
            } else {
                self.last_write = Some(self.now);
                self.world.answer(step, self.now)
            };
            outcome.add(vec![(step.user.clone(), result)]);
        }
        let acted = acted::after(&plan, &outcome, self.now);
        self.report(&plan, acted)?;
        Ok(plan)
    }

    fn store(&mut self, user: &PlannedUser) -> Result<(), Crash> {
        let before = self.users.get(&user.key).cloned();
        if matches!(user.write, Write::Create | Write::SpecAndStatus) {
            self.write()?;
            let generation = before.as_ref().map_or(0, |known| known.generation) + 1;
            let status = before.map(|known| known.status).unwrap_or_default();
            let known = KnownUser { generation, spec: user.spec.clone(), status };
            self.users.insert(user.key.clone(), known);
            *self.object_writes.entry(user.key.clone()).or_default() += 1;
        }
        if user.write != Write::Nothing {
            self.store_status(user)?;
        }
        Ok(())
    }

    fn store_status(&mut self, user: &PlannedUser) -> Result<(), Crash> {
        self.write()?;
        let known = self.users.get_mut(&user.key).unwrap();
        assert_ne!(known.status, user.status, "a write that changes nothing");
        assert_eq!(known.generation, user.status.observed_generation);
        known.status = user.status.clone();
        *self.object_writes.entry(user.key.clone()).or_default() += 1;
        Ok(())
    }

    fn report(&mut self, plan: &UserPlan, acted: Acted) -> Result<(), Crash> {
        for user in &acted.users {
            self.store_status(user)?;
        }
        for report in acted.runs {
            let stored = &self.runs[&report.name];
            if stored.status != report.status {
                self.write()?;
                self.runs.get_mut(&report.name).unwrap().status = report.status;
            }
        }
        for name in &plan.obsolete_runs {
            self.write()?;
            self.runs.remove(name);
        }
        let status = UserSyncPolicyStatus {
            counters: plan.counters,
            users: plan.counts,
            blocked_reasons: plan.blocked.clone(),
            mapping: plan.mapping.clone(),
            removals: plan.removals,
            runs: plan.runs.clone(),
            pending_actions: plan.pending_actions.clone(),
            last_handled_reconcile_at: plan.handled_request.clone(),
            failure: acted.failure,
            observed_generation: self.generation,
            conditions: conditions::merge(&self.status.conditions, plan.conditions.clone(), self.generation, self.now),
        };
        if status != self.status {
            self.write()?;
            self.status = status;
        }
        Ok(())
    }

    pub(super) fn pass(&mut self) -> UserPlan {
        self.try_pass().unwrap()
    }

    /// What account and time do between two passes: imports, pushes, a new reading.
    pub(super) fn between(&mut self, plan: &UserPlan) {
        self.wait(1);
        if plan.needs_import_after.is_some_and(|needed| self.world.imports.iter().all(|job| job.started_at < needed)) {
            self.world.import(self.now);
        }
        if self.world.changes_since.is_some() {
            self.world.push(self.now);
        }
        self.read();
    }

    /// Passes until a plan is empty and a second one too.
    pub(super) fn try_settle(&mut self) -> Result<(), Crash> {
        let mut quiet = 0;
        for _ in 0..40 {
            let plan = self.try_pass()?;
            quiet = if plan.is_empty() { quiet + 1 } else { 0 };
            if quiet == 3 {
                assert_eq!(plan.to_string(), "");
                return Ok(());
            }
            self.between(&plan);
        }
        panic!("does not come to rest:\n{}", self.plan());
    }

    pub(super) fn settle(&mut self) {
        self.try_settle().unwrap();
    }

    /// The same while a run may wait for a decision: until nothing is written any more.
    pub(super) fn settle_while_waiting(&mut self) {
        let mut quiet = 0;
        for _ in 0..60 {
            let before = self.writes;
            let plan = self.pass();
            quiet = if self.writes == before { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
            self.between(&plan);
        }
        panic!("does not come to rest:\n{}", self.plan());
    }

    /// Somebody approves whatever waits for a decision.
    pub(super) fn approve_all(&mut self) {
        let waiting = |run: &&mut KnownRun| run.status.state == Some(RunState::AwaitingApproval);
        let approve = |run: &mut KnownRun| run.spec.decision = Some(Decision::Approve);
        self.runs.values_mut().filter(waiting).for_each(approve);
    }

    /// The same with a process that ends after every so many writes; each has read twice before its next.
    pub(super) fn settle_while_crashing(&mut self, writes: u32) {
        for _ in 0..400 {
            self.budget = Some(writes);
            if self.try_settle().is_ok() {
                self.budget = None;
                return;
            }
            self.restart();
            self.read();
            if self.world.changes_since.is_some() {
                self.world.push(self.now);
            }
        }
        panic!("does not come to rest:\n{}", self.plan());
    }

    /// The process starts again and remembers nothing.
    pub(super) fn restart(&mut self) {
        self.budget = None;
        self.last_write = None;
        self.snapshot = None;
        self.previous = None;
        self.read();
    }

    pub(super) fn user(&self, index: usize) -> &KnownUser {
        &self.users[&key(index)]
    }

    pub(super) fn state(&self, index: usize) -> Option<UserState> {
        self.user(index).status.state
    }

    pub(super) fn reason(&self, index: usize) -> Option<Reason> {
        self.user(index).status.reason.as_deref().and_then(Reason::parse)
    }

    /// The only run.
    pub(super) fn run(&self) -> &KnownRun {
        assert_eq!(self.runs.len(), 1);
        self.runs.values().next().unwrap()
    }

    pub(super) fn run_states(&self) -> Vec<Option<RunState>> {
        let mut runs: Vec<_> = self.runs.values().collect();
        runs.sort_by_key(|run| run.spec.created_at.0);
        runs.into_iter().map(|run| run.status.state).collect()
    }

    pub(super) fn condition(&self, kind: &str) -> Option<(String, String)> {
        let condition = conditions::find(&self.status.conditions, kind)?;
        Some((condition.status.clone(), condition.reason.clone()))
    }
}

/// A problem with its own message.
pub(super) fn problem(reason: Reason) -> Problem {
    Problem { reason, message: reason.message() }
}

/// A condition as the tests write it.
#[expect(clippy::unnecessary_wraps, reason = "compared with what may be absent")]
pub(super) fn is(status: &str, reason: Reason) -> Option<(String, String)> {
    Some((status.to_owned(), reason.as_str().to_owned()))
}

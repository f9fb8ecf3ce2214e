//! The plan of one policy: closed, printable, checkable. The executor has no choices.

use std::collections::HashSet;
use std::fmt;

use k8s_openapi::jiff::Timestamp;

use super::adoption::Adopted;
use super::observed::Next;
use super::run_status::{Tally, Wait};
use super::runs::MAX_ACTIONS;
pub use super::subjects::Absence;
use crate::api::conditions::{self, Draft};
use crate::api::{
    BlockedReason, Counters, Decision, Failure, Managed, Mapping, PairValues, PendingAction, Removals, RunOperation,
    RunSummary, TeamsConnectorUserSpec, TeamsConnectorUserStatus, UserCounts, UserSyncRunSpec, UserSyncRunStatus,
};
use crate::domain::{Address, E164, EntraObjectId, UserKey};

/// So many refused looks in a row are no accident any more: a quarter of an hour.
const LOOKS: u32 = 5;

/// What one pass of a policy does.
#[derive(Clone, Debug, PartialEq)]
pub struct UserPlan {
    /// Name of the policy.
    pub policy: String,
    /// Every user object that should exist, by key. Written after a new run is stored and before the connector is asked.
    pub users: Vec<PlannedUser>,
    /// Users whose objects may go: nothing was done for them, or nothing is left of it.
    pub obsolete: Vec<UserKey>,
    /// What the annotation `adopted` of the policy is to be: stored before anything else.
    pub adopted: Option<Adopted>,
    /// Nobody is left whom a policy that is being deleted would have to disconnect: its objects and its finalizer may go.
    pub is_over: bool,
    /// What is done about the run that connects.
    pub run: RunPlan,
    /// What is done about the run that takes service away. Its calls go out before those of the other.
    pub disconnect: RunPlan,
    /// Somebody who is known to be there: a last look by id that does not find this user proves nothing about others.
    pub witness: Option<(UserKey, EntraObjectId)>,
    /// Candidates in grace would exceed the guard: a Warning event, at once.
    pub warning: Option<EarlyWarning>,
    /// Finished runs that may go.
    pub obsolete_runs: Vec<String>,
    /// So many users at a time; then failures and reasons to stop are looked at.
    pub batch_size: usize,
    /// The guide's five counters.
    pub counters: Option<Counters>,
    /// Users by state.
    pub counts: Option<UserCounts>,
    /// Blocked users by reason, most frequent first.
    pub blocked: Vec<BlockedReason>,
    /// What became of the rows of the manual process.
    pub mapping: Option<Mapping>,
    /// What the removal guard counts.
    pub removals: Option<Removals>,
    /// The runs that are open when the plan is carried out.
    pub runs: Vec<RunSummary>,
    /// The newest `firstSeen` of the open run's users while it has writes to do: an import must have begun no earlier.
    pub needs_import_after: Option<Timestamp>,
    /// Conditions of the policy; those without a draft go.
    pub conditions: Vec<Draft>,
    /// What humans must do now, in order.
    pub pending_actions: Vec<PendingAction>,
    /// Failures in a row.
    pub failure: Option<Failure>,
    /// For `status.lastHandledReconcileAt`.
    pub handled_request: Option<String>,
    /// When to look again, if the plan is carried out.
    pub next: Next,
}

/// A user object as it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedUser {
    /// The user.
    pub key: UserKey,
    /// The whole spec.
    pub spec: TeamsConnectorUserSpec,
    /// The whole status.
    pub status: TeamsConnectorUserStatus,
    /// What of it must be written.
    pub write: Write,
}

/// What of a user object must be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Nothing: it is stored like that.
    Nothing,
    /// The status.
    Status,
    /// The spec, then the status.
    SpecAndStatus,
    /// There is no object yet: the spec, then the status.
    Create,
}

/// What is done about runs.
#[derive(Clone, Debug, PartialEq)]
pub enum RunPlan {
    /// Nothing.
    None,
    /// A new run is stored, and nothing is sent in this pass.
    Create(NewRun),
    /// An open run goes on.
    Resume(ResumedRun),
    /// An open run is at its end.
    Close(ClosedRun),
}

/// A run to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRun {
    /// Its name.
    pub name: String,
    /// Its frozen plan.
    pub spec: UserSyncRunSpec,
    /// Its first status.
    pub status: UserSyncRunStatus,
}

/// A run that goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct ResumedRun {
    /// Its name.
    pub name: String,
    /// What is sent now, in this order.
    pub steps: Vec<Step>,
    /// Why nothing is sent.
    pub waiting: Option<Wait>,
    /// Skipped actions and why.
    pub skipped: Vec<(UserKey, String)>,
    /// How its actions stand, `steps` among the remaining.
    pub tally: Tally,
    /// Its status as stored.
    pub status: UserSyncRunStatus,
    /// Above this share of failures it stops, in percent.
    pub limit: u32,
}

/// A run at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedRun {
    /// Its name.
    pub name: String,
    /// Its last status.
    pub status: UserSyncRunStatus,
}

/// More would lose service at the end of their grace period than the guard allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EarlyWarning {
    /// Users who would have lost service within the window.
    pub users: u32,
    /// So many may.
    pub allowed: u32,
}

/// One write. Repeating it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// GoTo side.
    pub user: UserKey,
    /// What is asked of the connector.
    pub op: RunOperation,
    /// Microsoft side.
    pub teams_user: EntraObjectId,
    /// Number that a push assigns.
    pub number: Option<E164>,
    /// Marks the pair as added by this policy.
    pub external_id: String,
    /// Whether the action is done with it: `Delete` begins with `Disable`.
    pub is_last: bool,
    /// What must be looked up by id just before, beside the plan's `witness`: the write is skipped unless it is gone.
    pub look: Option<Absence>,
    /// Only if the pair still has this version.
    pub if_match: Option<String>,
    /// The GoTo address that no Microsoft user has, if that is what is taken for gone.
    pub address: Option<Address>,
    /// What the connector had when the run was planned.
    pub before: PairValues,
}

/// How a plan contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two objects for one user.
    #[error("user {0} is planned twice")]
    PlannedTwice(UserKey),
    /// An object that is kept and removed.
    #[error("the object of user {0} is planned and obsolete")]
    KeptAndObsolete(UserKey),
    /// A write that takes a license before the spec says whose user it is.
    #[error("user {0} is written without being marked as added")]
    Unmarked(UserKey),
    /// A write that takes service away from somebody protected, or before the spec says so.
    #[error("service is taken from user {0} who is protected or not marked as leaving")]
    NotLeaving(UserKey),
    /// Two writes for one user.
    #[error("user {0} is written twice")]
    WrittenTwice(UserKey),
    /// Writes of a run that waits.
    #[error("run {0} waits and writes")]
    WaitsAndWrites(String),
    /// A run that is too large or empty.
    #[error("run {0} has {1} actions")]
    Size(String, usize),
    /// Counters that do not add up.
    #[error("the counters do not add up")]
    Counters,
    /// Conditions that exclude each other, or no Ready.
    #[error("the conditions exclude each other")]
    Conditions,
    /// A message that is too long for a user object.
    #[error("the message of user {0} is too long")]
    Message(UserKey),
}

impl UserPlan {
    /// Whether carrying it out writes nothing but, at most, the policy's own status.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let unchanged = self.users.iter().all(|user| user.write == Write::Nothing);
        let idle = self.run == RunPlan::None && self.disconnect == RunPlan::None;
        unchanged && idle && self.adopted.is_none() && self.obsolete.is_empty() && self.obsolete_runs.is_empty()
    }

    /// The user's object.
    #[must_use]
    pub fn user(&self, key: &UserKey) -> Option<&PlannedUser> {
        let index = self.users.binary_search_by(|user| user.key.cmp(key)).ok()?;
        self.users.get(index)
    }

    /// What is sent now.
    #[must_use]
    pub fn steps(&self) -> Vec<&Step> {
        self.run_plans().into_iter().flat_map(RunPlan::steps).collect()
    }

    /// What is done about runs, in the order in which it is carried out.
    #[must_use]
    pub fn run_plans(&self) -> [&RunPlan; 2] {
        [&self.disconnect, &self.run]
    }

    /// Whether looks at those who are to lose something were refused so often that one who cannot be looked at fails, and the others go on.
    #[must_use]
    pub fn is_out_of_patience(&self) -> bool {
        let RunPlan::Resume(run) = &self.disconnect else { return false };
        run.status.refusal.as_ref().is_some_and(|refusal| refusal.count >= LOOKS)
    }

    /// Whether somebody denied a run since that the plan goes on with. `decisions`: names of the runs, and what is decided by now.
    #[must_use]
    pub fn is_denied(&self, mut decisions: impl Iterator<Item = (String, Option<Decision>)>) -> bool {
        let goes_on =
            |name: &str| self.run_plans().iter().any(|it| matches!(it, RunPlan::Resume(run) if run.name == name));
        decisions.any(|(name, decision)| decision == Some(Decision::Deny) && goes_on(&name))
    }

    /// Every way in which the plan contradicts itself; a plan with one must not be carried out.
    #[must_use]
    pub fn check(&self) -> Vec<Violation> {
        let mut found = self.check_users();
        found.extend(self.check_run(&self.disconnect, true));
        found.extend(self.check_run(&self.run, false));
        let adds_up = |it: &Counters| {
            it.licenses_available <= it.licenses_total && it.users_after_sync + it.users_to_remove >= it.users_to_add
        };
        if self.counters.is_some_and(|counters| !adds_up(&counters)) || !self.counts.is_none_or(sums_up) {
            found.push(Violation::Counters);
        }
        let has = |kind| self.conditions.iter().filter(|draft| draft.kind == kind).count();
        let ready = self.conditions.iter().any(|it| it.kind == conditions::READY && it.status == Some(true));
        let (reconciling, stalled) = (has(conditions::RECONCILING), has(conditions::STALLED));
        if has(conditions::READY) != 1 || reconciling + stalled > 1 || (stalled > 0 && ready) {
            found.push(Violation::Conditions);
        }
        found
    }

    fn check_users(&self) -> Vec<Violation> {
        let mut keys = HashSet::new();
        let twice = self.users.iter().filter(|user| !keys.insert(&user.key));
        let mut found: Vec<_> = twice.map(|user| Violation::PlannedTwice(user.key.clone())).collect();
        let long = |user: &&PlannedUser| {
            user.write != Write::Nothing && user.status.message.as_ref().is_some_and(|text| text.chars().count() > 200)
        };
        found.extend(self.users.iter().filter(long).map(|user| Violation::Message(user.key.clone())));
        let kept = self.obsolete.iter().filter(|key| keys.contains(key));
        found.extend(kept.map(|key| Violation::KeptAndObsolete(key.clone())));
        found
    }

    fn check_run(&self, run: &RunPlan, takes_away: bool) -> Vec<Violation> {
        let run = match run {
            RunPlan::None | RunPlan::Close(_) => return Vec::new(),
            RunPlan::Create(run) => {
                let size = run.spec.actions.len();
                let fits = (1..=MAX_ACTIONS).contains(&size);
                return if fits { Vec::new() } else { vec![Violation::Size(run.name.clone(), size)] };
            }
            RunPlan::Resume(run) => run,
        };
        let mut found = Vec::new();
        // A new key is put though the run that removed the old pair is held: nobody is left half replaced.
        let finishes = |step: &Step| step.op == RunOperation::Put && takes_away;
        if run.waiting.is_some() && !run.steps.iter().all(finishes) {
            found.push(Violation::WaitsAndWrites(run.name.clone()));
        }
        let mut written = HashSet::new();
        for step in &run.steps {
            if !written.insert(&step.user) {
                found.push(Violation::WrittenTwice(step.user.clone()));
            }
            if self.user(&step.user).is_none_or(|user| user.spec.managed == Managed::None) {
                found.push(Violation::Unmarked(step.user.clone()));
            }
            if step.takes_away() && self.user(&step.user).is_none_or(|user| !user.may_lose_service(&run.name)) {
                found.push(Violation::NotLeaving(step.user.clone()));
            }
        }
        found
    }
}

impl RunPlan {
    /// What is sent now.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Resume(run) => &run.steps,
            Self::None | Self::Create(_) | Self::Close(_) => &[],
        }
    }
}

impl Step {
    /// A write that gives service, done with one call and with nothing to look up before.
    pub(super) fn giving(op: RunOperation, user: &UserKey, teams_user: EntraObjectId, external_id: &str) -> Self {
        Self {
            user: user.clone(),
            op,
            teams_user,
            number: None,
            external_id: external_id.to_owned(),
            is_last: true,
            look: None,
            if_match: None,
            address: None,
            before: PairValues::default(),
        }
    }

    /// Adds the pair with this number.
    pub(super) fn put(user: &UserKey, teams_user: EntraObjectId, number: &E164, external_id: &str) -> Self {
        Self { number: Some(number.clone()), ..Self::giving(RunOperation::Put, user, teams_user, external_id) }
    }

    /// Whether service is taken away.
    #[must_use]
    pub fn takes_away(&self) -> bool {
        self.op == RunOperation::Disable || self.op.removes()
    }
}

impl PlannedUser {
    fn may_lose_service(&self, run: &str) -> bool {
        self.spec.protected_by.is_none() && self.spec.leaving.as_deref() == Some(run)
    }
}

fn sums_up(counts: UserCounts) -> bool {
    let UserCounts { in_scope, connected, pending, blocked, waiting, unmatched, retained, foreign: _ } = counts;
    in_scope == connected + pending + blocked + waiting + unmatched + retained
}

/// One line for each write and each wait; no address and no telephone number. An empty plan prints nothing.
impl fmt::Display for UserPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Adopted { adoption, at: _ }) = self.adopted {
            writeln!(f, "policy: the first complete plan, adopts {adoption:?}")?;
        }
        if self.is_over {
            writeln!(f, "policy: nobody is left to disconnect")?;
        }
        write!(f, "{}{}", self.disconnect, self.run)?;
        for user in self.users.iter().filter(|user| user.write != Write::Nothing) {
            writeln!(f, "{user}")?;
        }
        for key in &self.obsolete {
            writeln!(f, "user {key}: remove the object, nothing else")?;
        }
        for name in &self.obsolete_runs {
            writeln!(f, "run {name}: remove the object, nothing else")?;
        }
        Ok(())
    }
}

impl fmt::Display for RunPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Create(run) => {
                writeln!(f, "run {}: create", run.name)?;
                for action in &run.spec.actions {
                    let teams = action.args.teams_user_id.as_deref().unwrap_or("nobody");
                    writeln!(f, "  {} {} with {teams}", verb(action.op), action.user)?;
                }
                Ok(())
            }
            Self::Resume(run) => {
                writeln!(f, "run {}: resume, {}", run.name, run.tally)?;
                for (user, why) in &run.skipped {
                    writeln!(f, "  skip {user}: {why}")?;
                }
                for step in &run.steps {
                    writeln!(f, "  {} {} with {}", verb(step.op), step.user, step.teams_user)?;
                }
                run.waiting.as_ref().map_or(Ok(()), |waiting| writeln!(f, "  waits: {waiting}"))
            }
            Self::Close(run) => {
                let state = run.status.state.map(|state| format!("{state:?}")).unwrap_or_default();
                writeln!(f, "run {}: close as {state}", run.name)
            }
        }
    }
}

fn verb(op: RunOperation) -> &'static str {
    match op {
        RunOperation::Put => "put",
        RunOperation::Enable => "enable",
        RunOperation::Disable => "disable",
        RunOperation::Delete => "delete",
        RunOperation::Replace => "replace",
    }
}

impl fmt::Display for PlannedUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.write {
            Write::Nothing => "keep",
            Write::Status => "status",
            Write::SpecAndStatus => "spec and status",
            Write::Create => "create",
        };
        write!(f, "user {}: {verb}", self.key)?;
        if let (Some(state), Some(stage)) = (self.status.state, self.status.stage) {
            write!(f, ", {state:?} at {stage:?}: {}", self.status.reason.as_deref().unwrap_or("no reason"))?;
        }
        match self.spec.managed {
            Managed::None => Ok(()),
            managed => write!(f, ", managed {managed:?}"),
        }
    }
}

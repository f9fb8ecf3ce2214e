//! The status of a run: how its actions stand, whether it goes on, how it ended.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::api::conditions::{self, Draft};
use crate::api::{Counters, Reason, RunOutcome, RunRefusal, RunState, UserSyncRunStatus};

/// `Complete`, as a Job has it.
pub const COMPLETE: &str = "Complete";
/// `Failed`, as a Job has it.
pub const FAILED: &str = "Failed";

/// The share says nothing about fewer attempts than these.
const MIN_ATTEMPTS: u64 = 5;

/// How the actions of a run stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accepted.
    pub applied: u32,
    /// No longer called for.
    pub skipped: u32,
    /// Refused.
    pub failed: u32,
    /// Still to do.
    pub remaining: u32,
    /// Of those still to do: the first of several writes was accepted.
    pub begun: u32,
}

/// Why an open run sends nothing now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// `suspend` or `paused`.
    Suspended,
    /// The account is not ready for writes.
    Gate(Reason),
    /// The newest reading began before the last write.
    OlderReading,
    /// A directory import that knows every user.
    Import,
    /// The user objects are not stored yet.
    Objects,
    /// Users about whom the newest reading concludes nothing.
    Agreement,
    /// The connector accepted a write and does not show it; since when that may have been.
    Effect(Timestamp),
    /// A decision, because the policy asks for one.
    Approval,
    /// A decision, because more would lose service than the guard allows.
    Guard {
        /// Users who would have lost service within the window.
        planned: usize,
        /// So many may.
        allowed: usize,
    },
    /// An entry of `protectedUsers` names nobody.
    Protection,
    /// The guard's window is over since the objects of the policy vanished.
    Rest(Timestamp),
    /// The connector takes no writes for now.
    Refused {
        /// Why.
        reason: Reason,
        /// When the next one is sent.
        until: Timestamp,
    },
}

impl Wait {
    /// Because of batches that were not answered.
    #[must_use]
    pub fn refused(refusal: &RunRefusal) -> Self {
        let reason = Reason::parse(&refusal.reason).unwrap_or(Reason::ConnectorUnreachable);
        Self::Refused { reason, until: refusal.next_attempt_time.0 }
    }
}

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every write was accepted.
    Applied,
    /// Some writes were accepted.
    PartiallyApplied,
    /// Too many writes failed.
    FailureLimit,
    /// All writes failed.
    Failed,
    /// Somebody denied it.
    Denied,
    /// Nothing of it is called for, or the policy's spec changed.
    Superseded,
}

impl Tally {
    /// Whether so much failed, by `rollout.maxFailurePercent`, that nothing more is sent.
    #[must_use]
    pub fn is_over_limit(self, max_failure_percent: u32) -> bool {
        let failed = u64::from(self.failed);
        let attempted = failed + u64::from(self.applied) + u64::from(self.begun);
        attempted >= MIN_ATTEMPTS && failed * 100 > attempted.saturating_mul(max_failure_percent.into())
    }

    /// How the run ends, if it is at its end.
    #[must_use]
    pub fn ending(self, max_failure_percent: u32) -> Option<Ending> {
        match self {
            it if it.is_over_limit(max_failure_percent) => Some(Ending::FailureLimit),
            Self { remaining: 1.., .. } => None,
            Self { applied: 0, failed: 1.., .. } => Some(Ending::Failed),
            Self { applied: 0, .. } => Some(Ending::Superseded),
            Self { skipped: 0, failed: 0, .. } => Some(Ending::Applied),
            _ => Some(Ending::PartiallyApplied),
        }
    }

    fn outcome(self) -> RunOutcome {
        let Self { applied, skipped, failed, remaining, begun: _ } = self;
        RunOutcome { applied, skipped, failed, remaining }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { applied, skipped, failed, remaining, begun: _ } = self;
        write!(f, "{applied} applied, {skipped} skipped, {failed} failed, {remaining} to do")
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspended => f.write_str("the policy or its account is suspended"),
            Self::Gate(reason) => write!(f, "the account is not ready for writes ({reason})"),
            Self::OlderReading => f.write_str("a reading that is newer than the last write"),
            Self::Import => f.write_str("a directory import that began after the newest user was first seen"),
            Self::Objects => f.write_str("the user objects are not stored yet"),
            Self::Agreement => f.write_str("a second complete reading for users who were not found"),
            Self::Effect(_) => f.write_str("the connector does not show what it accepted"),
            Self::Refused { reason, .. } => write!(f, "the connector takes no writes for now ({reason})"),
            Self::Approval => f.write_str("a decision in spec.decision"),
            Self::Guard { planned, allowed } => write!(
                f,
                "a decision in spec.decision, for {planned} users would lose service within the window and {allowed} may"
            ),
            Self::Rest(until) => write!(f, "until {until}, for the objects of the policy had vanished"),
            Self::Protection => f.write_str("an entry of spec.protectedUsers names nobody"),
        }
    }
}

impl Ending {
    /// For the column.
    #[must_use]
    pub fn state(self) -> RunState {
        match self {
            Self::Applied => RunState::Applied,
            Self::PartiallyApplied => RunState::PartiallyApplied,
            Self::FailureLimit | Self::Failed => RunState::Failed,
            Self::Denied => RunState::Denied,
            Self::Superseded => RunState::Superseded,
        }
    }

    fn reason(self) -> Reason {
        match self {
            Self::Applied => Reason::Applied,
            Self::PartiallyApplied => Reason::PartiallyApplied,
            Self::FailureLimit => Reason::FailureLimitReached,
            Self::Failed => Reason::RunFailed,
            Self::Denied => Reason::Denied,
            Self::Superseded => Reason::Superseded,
        }
    }

    fn drafts(self) -> Vec<Draft> {
        let reason = self.reason();
        match self.state() {
            RunState::Failed => vec![
                Draft::yes(FAILED, reason),
                Draft::no(conditions::READY, reason),
                Draft::yes(conditions::STALLED, reason),
            ],
            RunState::Applied
            | RunState::PartiallyApplied
            | RunState::Denied
            | RunState::Superseded
            | RunState::AwaitingApproval
            | RunState::Running => {
                vec![Draft::yes(COMPLETE, reason), Draft::yes(conditions::READY, reason)]
            }
        }
    }
}

/// State of a run that is not at its end.
pub(super) fn open_state(waiting: Option<&Wait>) -> RunState {
    let awaits = waiting.is_some_and(|waiting| waiting.decision().is_some());
    if awaits { RunState::AwaitingApproval } else { RunState::Running }
}

impl Wait {
    /// The reason, if somebody must decide.
    pub(super) fn decision(&self) -> Option<Reason> {
        match self {
            Self::Approval => Some(Reason::AwaitingApproval),
            Self::Guard { .. } => Some(Reason::RemovalGuardTripped),
            Self::Suspended
            | Self::Gate(_)
            | Self::OlderReading
            | Self::Import
            | Self::Objects
            | Self::Agreement
            | Self::Effect(_)
            | Self::Protection
            | Self::Rest(_)
            | Self::Refused { .. } => None,
        }
    }
}

/// Generation of the spec: the decision is its only change.
fn generation(status: &UserSyncRunStatus) -> i64 {
    1 + i64::from(status.decision.is_some())
}

/// The first status of a run.
#[must_use]
pub fn created(counters: Counters, actions: u32, waiting: Option<&Wait>, now: Timestamp) -> UserSyncRunStatus {
    let tally = Tally { remaining: actions, ..Tally::default() };
    let before = UserSyncRunStatus { counters: Some(counters), ..UserSyncRunStatus::default() };
    running(&before, tally, waiting, now)
}

/// The status of a run that goes on.
#[must_use]
pub fn running(before: &UserSyncRunStatus, tally: Tally, waiting: Option<&Wait>, now: Timestamp) -> UserSyncRunStatus {
    // Reading back after a write is part of running: it comes and goes with every batch.
    let waiting = waiting.filter(|waiting| **waiting != Wait::OlderReading);
    let message = waiting.map_or_else(|| Reason::Running.message(), |waiting| format!("Waits: {waiting}."));
    let reason = waiting.and_then(Wait::decision).unwrap_or(Reason::Running);
    let draft = |make: fn(&'static str, Reason) -> Draft, kind| make(kind, reason).with_message(message.clone());
    let mut drafts = vec![draft(Draft::no, conditions::READY), draft(Draft::yes, conditions::RECONCILING)];
    if reason != Reason::Running {
        drafts.push(draft(Draft::yes, conditions::ACTION_REQUIRED));
    }
    let generation = generation(before);
    UserSyncRunStatus {
        state: Some(open_state(waiting)),
        outcome: Some(tally.outcome()),
        observed_generation: generation,
        conditions: conditions::merge(&before.conditions, drafts, generation, now),
        ..before.clone()
    }
}

/// The last status of a run.
#[must_use]
pub fn closed(before: &UserSyncRunStatus, tally: Tally, ending: Ending, now: Timestamp) -> UserSyncRunStatus {
    UserSyncRunStatus {
        state: Some(ending.state()),
        outcome: Some(tally.outcome()),
        finished_at: Some(Time(now)),
        // A batch whose answer got lost may have had its effect; a run that is over is not tried again.
        refusal: None,
        observed_generation: generation(before),
        conditions: conditions::merge(&before.conditions, ending.drafts(), generation(before), now),
        ..before.clone()
    }
}

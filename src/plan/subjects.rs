//! A user, and what the reading says of him before licenses are handed out.

use k8s_openapi::jiff::Timestamp;

use super::observed::KnownUser;
use super::reading::Person;
use super::records;
use super::replace::Successor;
use super::snapshot::{ConnectorUser, TeamsUser};
use crate::api::reasons::Shown;
use crate::api::{LastChange, Managed, MatchedBy, MatchingRow, Reason, RunOperation, UserStage, UserState};
use crate::domain::{E164, EntraObjectId, UserKey};

/// A user and what the reading says.
#[derive(Clone, Debug)]
pub(super) struct Subject<'a> {
    /// GoTo's key.
    pub key: UserKey,
    /// The object, if there is one.
    pub known: Option<&'a KnownUser>,
    /// What GoTo says; absent when the user is gone.
    pub person: Option<Person<'a>>,
    /// The Microsoft user: pinned, found again or matched.
    pub teams: Option<&'a TeamsUser>,
    /// How `teams` was found; `None`: as stored.
    pub matched_by: Option<MatchedBy>,
    /// The valid row that names `teams`.
    pub row: Option<&'a MatchingRow>,
    /// Why the user stays with `teams` though a valid row names another Microsoft user.
    pub obstacle: Option<Reason>,
    /// The Microsoft user whom the user would have, were that one not somebody else's.
    pub claim: Option<&'a TeamsUser>,
    /// Under which key the user was created again.
    pub successor: Option<Successor<'a>>,
    /// The number that the user should have.
    pub number: Result<&'a E164, Reason>,
    /// The user's pair in the connector.
    pub pair: Option<&'a ConnectorUser>,
    /// Whose pair it is.
    pub managed: Managed,
    /// What is gone, if two complete readings agree that the user is no longer called for.
    pub gone: Option<Absence>,
    /// The entry of `protectedUsers` that means the user.
    pub protected_by: Option<String>,
    /// Calls that a run forbade are given back.
    pub restore: bool,
    /// What follows.
    pub finding: Finding,
}

/// What two complete readings agree is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The GoTo user, or every line of his in the PBX.
    Line,
    /// The Microsoft user.
    TeamsUser,
    /// The match: no row names the user, and the Microsoft user does not have the GoTo address.
    Match,
    /// The policy: it is being deleted with `Delete`.
    Policy,
    /// What the policy says: no row names the user, and no addresses are compared.
    Rule,
    /// The person: a valid row names this Microsoft user instead.
    Person(EntraObjectId),
}

/// What follows for a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// All stays as stored: two readings do not agree yet.
    Keep,
    /// The object may go.
    Gone,
    /// Connected by this policy, no longer called for: nothing is taken away.
    Retained(UserStage),
    /// Takes the place of a key that is gone, by the run that removes it.
    Replacing,
    /// Removed from the connector by a run; the number is not read back as gone yet.
    Leaving,
    /// Removed, and the number is read back as gone.
    Removed,
    /// The first stage that is not passed.
    Stopped {
        /// The stage.
        stage: UserStage,
        /// Why.
        reason: Reason,
        /// Message, if it is not the reason's own.
        message: Option<String>,
    },
    /// Passed all up to the license.
    Wanted(Attempt),
    /// Has a license in this plan.
    Admitted(Attempt),
    /// Accepted a moment ago, not listed yet.
    Unlisted,
    /// In the connector, ours; with what the preflight misses.
    Present(Option<Reason>),
}

/// Which try it is to add a user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// A try failed before.
    pub again: bool,
    /// Not before the back-off is over, for this reason.
    pub held: Option<Reason>,
    /// `requestedAt` brought the user back.
    pub released: bool,
}

impl Finding {
    pub(super) fn stopped(stage: UserStage, reason: Reason) -> Self {
        Self::Stopped { stage, reason, message: None }
    }
}

impl<'a> Subject<'a> {
    /// Of whom nothing is said yet.
    pub(super) fn new(
        key: &UserKey,
        known: Option<&'a KnownUser>,
        person: Option<Person<'a>>,
        pair: Option<&'a ConnectorUser>,
    ) -> Self {
        Self {
            key: key.clone(),
            known,
            person,
            teams: None,
            claim: None,
            successor: None,
            matched_by: None,
            row: None,
            obstacle: None,
            number: Err(Reason::NumberMissing),
            pair,
            managed: known.map_or(Managed::None, |known| known.spec.managed),
            gone: None,
            protected_by: None,
            restore: false,
            finding: Finding::Keep,
        }
    }
}

impl Subject<'_> {
    /// Whether the stored object says already that the pair is ours: nothing is sent on the strength of a write that may be lost.
    pub(super) fn is_marked(&self, teams_user: EntraObjectId) -> bool {
        self.known.is_some_and(|it| it.spec.managed != Managed::None && records::pin(it) == Some(teams_user))
    }

    /// Whether a run forbade the calls and the pair is still there.
    pub(super) fn is_half(&self) -> bool {
        self.is_leaving() && self.pair.is_some_and(|pair| !pair.enabled)
    }

    /// Whether the person stays, under another key or with another Microsoft user: only the pair is to go.
    pub(super) fn stays_otherwise(&self) -> bool {
        self.successor.is_some() || matches!(self.gone, Some(Absence::Person(_)))
    }

    /// Whether a run began to take service away from the user.
    pub(super) fn is_leaving(&self) -> bool {
        self.known.is_some_and(|known| known.spec.leaving.is_some())
    }

    /// State, as stored.
    pub(super) fn stored_state(&self) -> Option<UserState> {
        self.known.and_then(|known| known.status.state)
    }

    /// The last change, as stored.
    pub(super) fn last_change(&self) -> Option<&LastChange> {
        self.known.and_then(|known| known.status.last_change.as_ref())
    }

    /// The change that the connector accepted and has not shown in any reading since, as stored. Somebody whose pair was removed by
    /// hand within the same minutes looks alike.
    pub(super) fn unseen(&self) -> Option<&LastChange> {
        let status = &self.known?.status;
        let never_listed = status.state == Some(UserState::Pending) && status.stage == Some(UserStage::Apply);
        self.last_change().filter(|it| never_listed && self.pair.is_none() && it.action == RunOperation::Put)
    }

    /// What the connector refused, as stored; for display and back-off only.
    pub(super) fn refusal(&self) -> Option<Reason> {
        let status = &self.known?.status;
        let refused = status.state == Some(UserState::Blocked) && status.stage == Some(UserStage::Apply);
        let reason = if refused { status.reason.as_deref().and_then(Reason::parse) } else { None };
        reason.filter(|reason| !matches!(reason, Reason::ForeignUser | Reason::Disconnected))
    }

    /// Since when the pair is the user's, for the order of licenses; `arrival`: of somebody who is new.
    pub(super) fn first_seen(&self, arrival: Timestamp) -> Timestamp {
        let pin = self.known.and_then(records::pin);
        match (self.known, self.teams) {
            (Some(known), Some(teams)) if pin == Some(teams.id) => known.spec.first_seen.0,
            (Some(known), None) => known.spec.first_seen.0,
            _ => arrival,
        }
    }
}

/// Whether a machine is waited for.
pub(super) fn is_transient(reason: Reason) -> bool {
    matches!(reason.info().shown, Shown::Waiting | Shown::Retry)
}

//! The last look by id before service is taken away. It can only veto.
//!
//! GoTo answers 404 also for want of a permission, so a look that does not find the witness, who is known to be there, proves
//! nothing about anybody (R5). The witness is asked for before the looks of a batch and again after them.
//!
//! Where nobody is known to be there, nothing can tell whether a look is answered truly: then only a run that somebody approved
//! goes on. Two complete readings agree about its users, and a human was shown that nobody would be left.

use crate::api::{Decision, Reason};
use crate::clients::error::{ApiError, Class};
use crate::controllers::error::refusal;
use crate::controllers::session::Session;
use crate::domain::{EntraObjectId, OrganizationId, UserKey};
use crate::plan::acted::Refusal;
use crate::plan::user_plan::{Absence, RunPlan, Step, UserPlan};

/// Looks up users by id with one session.
pub(super) struct Look<'a> {
    session: &'a Session,
    pbx: OrganizationId,
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing: the write may be sent.
    Nothing,
    /// What was taken for gone: the write is not sent.
    Still,
}

impl<'a> Look<'a> {
    pub(super) fn new(session: &'a Session, pbx: OrganizationId) -> Self {
        Self { session, pbx }
    }

    /// Whether looks can be trusted now.
    ///
    /// # Errors
    /// When the witness is not found, or cannot be asked for.
    pub(super) async fn witness(&self, plan: &UserPlan, steps: &[&Step]) -> Result<(), Refusal> {
        let asked = |absence| steps.iter().any(|step| step.look == Some(absence));
        let Some((user, teams_user)) = &plan.witness else {
            // Nobody else is left: the guard never lets the last ones go without a decision.
            let looks = asked(Absence::Line) || asked(Absence::TeamsUser) || asked(Absence::Match);
            return if looks && !is_approved(plan) { Err(untrusted()) } else { Ok(()) };
        };
        if asked(Absence::Line) && self.line(user).await? == Found::Nothing {
            return Err(untrusted());
        }
        if (asked(Absence::TeamsUser) || asked(Absence::Match)) && self.teams_user(*teams_user).await? == Found::Nothing
        {
            return Err(untrusted());
        }
        Ok(())
    }

    /// Looks for what the step takes for gone.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub(super) async fn find(&self, step: &Step) -> Result<Found, Refusal> {
        match step.look {
            // What the policy says of a user was read with the policy, and who goes with it is still there.
            None | Some(Absence::Rule | Absence::Policy) => Ok(Found::Nothing),
            Some(Absence::Line) => self.line(&step.user).await,
            Some(Absence::TeamsUser) => self.teams_user(step.teams_user).await,
            Some(Absence::Match) => self.same_address(step).await,
            Some(Absence::Person(instead)) => self.nobody_instead(instead).await,
        }
    }

    async fn line(&self, user: &UserKey) -> Result<Found, Refusal> {
        let lines = self.session.goto.lines_of(user).await;
        let here = |line: &crate::clients::goto::wire::Line| line.organization.id == self.pbx;
        // Whoever has more lines than one answer shows may have one here.
        found(lines.map(|page| page.items.iter().any(here) || page.next_page_marker.is_some()))
    }

    async fn teams_user(&self, id: EntraObjectId) -> Result<Found, Refusal> {
        found(self.session.graph.user(id).await.map(|_| true))
    }

    /// Whether the one whom a row names instead is no longer there. The row itself is the policy's own word.
    async fn nobody_instead(&self, id: EntraObjectId) -> Result<Found, Refusal> {
        let found = self.teams_user(id).await?;
        Ok(if found == Found::Still { Found::Nothing } else { Found::Still })
    }

    /// Whether the pair's Microsoft user has the GoTo address by now, or nobody knows which that is.
    async fn same_address(&self, step: &Step) -> Result<Found, Refusal> {
        let same =
            |address: Option<String>| address.and_then(|it| it.parse().ok()).is_some_and(|it| Some(it) == step.address);
        let user = self.session.graph.user(step.teams_user).await;
        found(user.map(|user| step.address.is_none() || same(user.user_principal_name) || same(user.mail)))
    }
}

fn found(answer: Result<bool, ApiError>) -> Result<Found, Refusal> {
    match answer {
        Ok(true) => Ok(Found::Still),
        Ok(false) => Ok(Found::Nothing),
        Err(error) if error.class() == Class::Absent => Ok(Found::Nothing),
        Err(error) => {
            tracing::warn!(%error, "a last look failed; nothing is taken away now");
            Err(refusal(&error))
        }
    }
}

fn untrusted() -> Refusal {
    tracing::warn!("a last look did not find who is known to be there; nothing is taken away now");
    Refusal { reason: Reason::SourceIncomplete, until: None }
}

fn is_approved(plan: &UserPlan) -> bool {
    let RunPlan::Resume(run) = &plan.disconnect else { return false };
    run.status.decision.as_ref().is_some_and(|decision| decision.value == Decision::Approve)
}

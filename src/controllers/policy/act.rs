//! Sends the writes of a run, in batches, for at most a minute. It has no choices: every value was chosen by the plan.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::ResourceExt as _;

use super::look::{Found, Look};
use crate::api::{Reason, RunOperation, TeamsConnectorAccount, UserSyncPolicy};
use crate::clients::connector::BATCH_LIMIT;
use crate::clients::connector::wire::{BatchMethod, BatchOperation, BatchResult, PutUser};
use crate::clients::error::{ApiError, word};
use crate::controllers::context::Context;
use crate::controllers::error::{PassError, refusal};
use crate::controllers::session::Session;
use crate::domain::{OrganizationId, UserKey};
use crate::plan::acted::{self, ActOutcome, Refusal, StepResult};
use crate::plan::user_plan::{Step, UserPlan};

/// A pass acts so long, then reports and goes on in the next one.
const ACTING: Duration = Duration::from_mins(1);

/// Sends the steps in batches of 25. After one that was not answered nothing more is sent in this pass: the next reading tells
/// what became of it. Nor is anything once the policy or its account was suspended, edited or deleted, or a
/// run of the plan denied (R22).
///
/// # Errors
/// When the API server could not be asked for a Secret; nothing was sent then.
pub(super) async fn act(
    plan: &UserPlan,
    pbx: OrganizationId,
    (policy, account): (&UserSyncPolicy, &TeamsConnectorAccount),
    ctx: &Context,
) -> Result<ActOutcome, PassError> {
    let mut outcome = ActOutcome::default();
    let session = match ctx.sessions.open(account).await {
        Ok(session) => session,
        Err(error) => {
            outcome.refusal = Some(Refusal { reason: error.problem()?.reason, until: None });
            return Ok(outcome);
        }
    };
    let began = Instant::now();
    let executor = Executor { plan, pbx, session: &session };
    for batch in plan.steps().chunks(plan.batch_size.clamp(1, BATCH_LIMIT)) {
        let stopped = outcome.refusal.is_some() || acted::must_stop(plan, &outcome.results);
        let runs = ctx.runs_of(policy);
        let decisions = runs.iter().map(|run| (run.name_any(), run.spec.decision));
        let is_called_off = !ctx.is_as_planned(policy, account) || plan.is_denied(decisions);
        if stopped || is_called_off || began.elapsed() > ACTING {
            break;
        }
        executor.carry_out(batch, &mut outcome).await;
    }
    Ok(outcome)
}

struct Executor<'a> {
    plan: &'a UserPlan,
    pbx: OrganizationId,
    session: &'a Session,
}

impl Executor<'_> {
    /// Looks once more at those who are to lose something, and sends what may be sent.
    async fn carry_out(&self, batch: &[&Step], outcome: &mut ActOutcome) {
        let (doubtful, mut steps): (Vec<&Step>, Vec<&Step>) = batch.iter().partition(|step| step.look.is_some());
        steps.extend(self.gone(&doubtful, outcome).await);
        if steps.is_empty() {
            return;
        }
        match send(&steps, self.pbx, self.session).await {
            Ok(results) => outcome.add(results),
            Err(error) => {
                let refusal = refusal(&error);
                tracing::warn!(reason = %refusal.reason, %error, "a batch was not answered; the run goes on later");
                outcome.refusal = Some(refusal);
            }
        }
    }

    /// Of those who are to lose something, those who were looked for and not found. Where that cannot be trusted it is nobody.
    async fn gone<'s>(&self, steps: &[&'s Step], outcome: &mut ActOutcome) -> Vec<&'s Step> {
        let look = Look::new(self.session, self.pbx);
        if let Err(refusal) = look.witness(self.plan, steps).await {
            outcome.look = Some(refusal);
            return Vec::new();
        }
        let mut gone = Vec::with_capacity(steps.len());
        for step in steps {
            match look.find(step).await {
                Ok(Found::Nothing) => gone.push(*step),
                Ok(Found::Still) => {
                    let why = "found by id just before".to_owned();
                    outcome.results.push((step.user.clone(), StepResult::Skipped(why)));
                }
                Err(refusal) if self.plan.is_out_of_patience() => {
                    let failed = StepResult::Failed { reason: refusal.reason, message: refusal.reason.message() };
                    outcome.results.push((step.user.clone(), failed));
                }
                Err(refusal) => outcome.look = Some(refusal),
            }
        }
        // A permission that was withdrawn since would let everybody look gone.
        if let Err(refusal) = look.witness(self.plan, &gone).await {
            outcome.look = Some(refusal);
            return Vec::new();
        }
        gone
    }
}

async fn send(steps: &[&Step], pbx: OrganizationId, session: &Session) -> Result<Vec<(UserKey, StepResult)>, ApiError> {
    let operations = steps.iter().map(|step| operation(step)).collect();
    let reply = session.connector.batch(pbx, operations).await?;
    let mut results: HashMap<String, BatchResult> =
        reply.results.into_iter().map(|result| (result.id.clone(), result)).collect();
    let answered = steps.iter().filter_map(|step| {
        let result = results.remove(step.user.as_str())?;
        Some((step.user.clone(), judge(step, &result)))
    });
    Ok(answered.collect())
}

fn operation(step: &Step) -> BatchOperation {
    let put = || PutUser {
        teams_user_id: step.teams_user,
        external_id: step.external_id.clone(),
        phone_number: step.number.as_ref().map(|number| number.as_str().to_owned()),
    };
    let (method, body) = match step.op {
        RunOperation::Put => (BatchMethod::Put, Some(put())),
        RunOperation::Enable => (BatchMethod::Enable, None),
        RunOperation::Disable => (BatchMethod::Disable, None),
        RunOperation::Delete | RunOperation::Replace => (BatchMethod::Delete, None),
    };
    BatchOperation {
        id: step.user.to_string(),
        method,
        goto_user_key: step.user.clone(),
        if_match: step.if_match.clone(),
        body,
    }
}

/// Every code of the contract has its reason; what is not in it is shown as it came.
fn judge(step: &Step, result: &BatchResult) -> StepResult {
    // Who is not there has nothing to lose any more.
    let is_done = result.status == 404 && step.takes_away();
    if (200..300).contains(&result.status) || is_done {
        return StepResult::Accepted;
    }
    let code = result.error.as_ref().map_or("", |error| error.error_code.as_str());
    let failed = |reason: Reason| StepResult::Failed { reason, message: reason.message() };
    match (result.status, code) {
        (429, _) => StepResult::NotTried,
        (412, _) => StepResult::Stale,
        // It may have had its effect, which the next reading shows; one user does not keep the run open for the others.
        (500..=599, _) => failed(Reason::ConnectorUnreachable),
        (_, "NoLicense") => failed(Reason::ConnectorLicenseExhausted),
        (_, "TeamsUserNotImported") => failed(Reason::TeamsUserNotImported),
        (_, "TeamsUserTaken" | "PairExists") => failed(Reason::TeamsUserTaken),
        (_, "SecureCallingEnabled") => failed(Reason::SecureCallingEnabled),
        (status, code) => {
            // A text that has not the form of a code might be personal data.
            let code = word(code).unwrap_or_default();
            let message =
                format!("The connector refused the user: {status} {code}. PlatformTeam: see the connector portal.");
            StepResult::Failed { reason: Reason::Rejected, message }
        }
    }
}

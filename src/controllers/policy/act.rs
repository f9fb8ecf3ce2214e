//! Sends the writes of a run, in batches, for at most a minute. It has no choices: every value was chosen by the plan.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use kube::ResourceExt;

use crate::api::{Reason, RunOperation, TeamsConnectorAccount};
use crate::clients::connector::BATCH_LIMIT;
use crate::clients::connector::wire::{BatchMethod, BatchOperation, BatchResult, PutUser};
use crate::clients::error::Class;
use crate::controllers::context::Context;
use crate::controllers::session::Session;
use crate::domain::{OrganizationId, UserKey};
use crate::plan::acted::{self, ActOutcome, StepResult};
use crate::plan::user_plan::{Step, UserPlan};

/// A pass acts so long, then reports and goes on in the next one.
const ACTING: Duration = Duration::from_mins(1);

/// What a batch leaves to be decided.
enum Batch {
    Answered(Vec<(UserKey, StepResult)>),
    /// Nothing more is sent in this pass; the next reading tells what became of it.
    Stop,
}

/// Sends the steps in batches of 25. What was not answered is not tried in this pass.
pub(super) async fn act(
    plan: &UserPlan,
    pbx: OrganizationId,
    account: &TeamsConnectorAccount,
    ctx: &Context,
) -> ActOutcome {
    let mut outcome = ActOutcome::default();
    let session = match ctx.sessions.open(account).await {
        Ok(session) => session,
        Err(error) => {
            tracing::warn!(account = account.name_any(), %error, "the run is put off");
            return outcome;
        }
    };
    let began = Instant::now();
    // Nothing is taken away before the last look by id is made, and it is not made here yet.
    let steps: Vec<_> = plan.steps().into_iter().filter(|step| step.look.is_none()).collect();
    for batch in steps.chunks(plan.batch_size.clamp(1, BATCH_LIMIT)) {
        if began.elapsed() > ACTING || acted::must_stop(plan, &outcome.results) {
            break;
        }
        match send(batch, pbx, &session).await {
            Batch::Answered(results) => outcome.results.extend(results),
            Batch::Stop => break,
        }
    }
    outcome
}

async fn send(steps: &[&Step], pbx: OrganizationId, session: &Session) -> Batch {
    let operations = steps.iter().map(|step| operation(step)).collect();
    match session.connector.batch(pbx, operations).await {
        Ok(reply) => {
            let mut results: HashMap<String, BatchResult> =
                reply.results.into_iter().map(|result| (result.id.clone(), result)).collect();
            let answered = steps.iter().filter_map(|step| {
                let result = results.remove(step.user.as_str())?;
                Some((step.user.clone(), judge(&result)))
            });
            Batch::Answered(answered.collect())
        }
        Err(error) => {
            let class = match error.class() {
                Class::Retry | Class::Resync | Class::Absent => "retry",
                Class::Throttled { .. } => "throttled",
                Class::Credentials(_) | Class::Permission(_) => "human",
                Class::Conflict(_) | Class::Permanent => "refused",
            };
            tracing::warn!(class, %error, "a batch was not answered; the run goes on after the next reading");
            Batch::Stop
        }
    }
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
        RunOperation::Delete => (BatchMethod::Delete, None),
    };
    BatchOperation { id: step.user.to_string(), method, goto_user_key: step.user.clone(), if_match: None, body }
}

/// Every code of the contract has its reason; what is not in it is shown as it came.
fn judge(result: &BatchResult) -> StepResult {
    if (200..300).contains(&result.status) {
        return StepResult::Accepted;
    }
    let code = result.error.as_ref().map_or("", |error| error.error_code.as_str());
    let failed = |reason: Reason| StepResult::Failed { reason, message: reason.message() };
    match (result.status, code) {
        (429 | 500..=599, _) => StepResult::NotTried,
        (_, "NoLicense") => failed(Reason::ConnectorLicenseExhausted),
        (_, "TeamsUserNotImported") => failed(Reason::TeamsUserNotImported),
        (_, "TeamsUserTaken" | "PairExists") => failed(Reason::TeamsUserTaken),
        (_, "SecureCallingEnabled") => failed(Reason::SecureCallingEnabled),
        (status, code) => StepResult::Failed {
            reason: Reason::Rejected,
            message: format!(
                "The connector refused the user with {status} {code}. PlatformTeam: see the connector portal."
            ),
        },
    }
}

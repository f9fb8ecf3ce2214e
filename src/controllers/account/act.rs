//! Executes the steps of an account's plan. It has no choices: every value was chosen by the plan.

use kube::ResourceExt;
use secrecy::SecretString;
use uuid::Uuid;

use crate::api::TeamsConnectorAccount;
use crate::clients::connector::wire::{self, PatchServices, PutAdministrator, StartSync, SyncKind};
use crate::clients::error::{ApiError, Class};
use crate::clients::graph::TemporaryUser;
use crate::controllers::context::Context;
use crate::controllers::error::{PassError, advised, problem};
use crate::controllers::session::Session;
use crate::plan::account::{AccountPlan, AccountStep, StepProblem};
use crate::plan::domains::{TEMPORARY_NAME, TEMPORARY_USER, temporary_upn};
use crate::plan::snapshot::Manager;

/// Takes the steps in order and tells which failed; each is on its own.
///
/// # Errors
/// When the API server could not be asked for a Secret; no step was taken then.
pub(super) async fn act(
    plan: &AccountPlan,
    account: &TeamsConnectorAccount,
    ctx: &Context,
) -> Result<Vec<StepProblem>, PassError> {
    if plan.steps.is_empty() {
        return Ok(Vec::new());
    }
    let session = match ctx.sessions.open(account).await {
        Ok(session) => session,
        Err(error) => {
            let problem = error.problem()?;
            let failed = |step: &AccountStep| StepProblem { step: step.clone(), problem: advised(&problem) };
            return Ok(plan.steps.iter().map(failed).collect());
        }
    };
    let uid = account.uid().unwrap_or_default();
    let _written = ctx.last_writes.noted(&uid, &ctx.clock);
    let mut problems = Vec::new();
    for step in &plan.steps {
        tracing::info!(account = account.name_any(), %step, "account step");
        match take(step, &session).await {
            Ok(()) => {}
            Err(error) if is_done(step, &error.class()) => {}
            Err(error) => {
                tracing::warn!(account = account.name_any(), %step, %error, "an account step failed");
                problems.push(StepProblem { step: step.clone(), problem: problem(&error) });
            }
        }
    }
    Ok(problems)
}

/// Begun or done by somebody else: the next reading tells.
fn is_done(step: &AccountStep, class: &Class) -> bool {
    match class {
        // Microsoft does not see the record yet; whether the domain is verified is read.
        Class::Absent | Class::Permanent | Class::Conflict(_) if matches!(step, AccountStep::VerifyDomain { .. }) => {
            true
        }
        Class::Absent => {
            matches!(
                step,
                AccountStep::RemoveAdministrator { .. }
                    | AccountStep::DeleteTemporaryUser { .. }
                    | AccountStep::UnbindPbx { .. }
            )
        }
        Class::Conflict(code) => {
            matches!(step, AccountStep::AddDomain { .. } | AccountStep::CreateTemporaryUser { .. })
                || ["SyncRunning", "AlreadyAccepted"].contains(&code.as_str())
        }
        _ => false,
    }
}

fn temporary_user(domain: &str, usage_location: &str) -> TemporaryUser {
    TemporaryUser {
        user_principal_name: temporary_upn(domain),
        mail_nickname: TEMPORARY_USER.to_owned(),
        display_name: TEMPORARY_NAME.to_owned(),
        usage_location: usage_location.to_owned(),
    }
}

/// Nobody ever signs in with it, and it is kept nowhere; the ending satisfies the tenant's rules of complexity.
fn password() -> SecretString {
    format!("{}{}aA1!", Uuid::new_v4().simple(), Uuid::new_v4().simple()).into()
}

async fn take(step: &AccountStep, session: &Session) -> Result<(), ApiError> {
    let (connector, graph) = (&session.connector, &session.graph);
    match step {
        AccountStep::PutRecord { manager: Manager { first_name, last_name, email } } => {
            let (first_name, last_name, email) = (first_name.clone(), last_name.clone(), email.clone());
            connector.put_account(wire::Manager { first_name, last_name, email }).await
        }
        AccountStep::SendInvitation { key } => connector.send_invitation(key).await,
        AccountStep::PutAdministrator { administrator } => {
            let (first_name, last_name) = (administrator.first_name.clone(), administrator.last_name.clone());
            let body = PutAdministrator { first_name, last_name, role: administrator.role.as_str().to_owned() };
            connector.put_administrator(&administrator.email, &body).await
        }
        AccountStep::InviteAdministrator { email, key } => connector.invite_administrator(email, key).await,
        AccountStep::RemoveAdministrator { email } => connector.delete_administrator(email).await,
        AccountStep::EnableSync { pbx } => {
            connector.patch_services(*pbx, &PatchServices { sync_enabled: Some(true), enabled: None }).await
        }
        AccountStep::EnableService { pbx } => {
            connector.patch_services(*pbx, &PatchServices { sync_enabled: None, enabled: Some(true) }).await
        }
        AccountStep::RequestConsents { key } => connector.request_consents(key).await,
        AccountStep::AddDomain { name } => graph.add_domain(name).await,
        AccountStep::PublishDomainText { name, text } => connector.publish_domain_text(name, text).await,
        AccountStep::VerifyDomain { name } => graph.verify_domain(name).await,
        AccountStep::CreateTemporaryUser { domain, usage_location } => {
            graph.create_user(&temporary_user(domain, usage_location), &password()).await
        }
        AccountStep::AssignLicense { user, sku } => graph.assign_license(*user, *sku).await,
        AccountStep::RemoveLicenses { user, skus } => graph.remove_licenses(*user, skus.clone()).await,
        AccountStep::DeleteTemporaryUser { user } => graph.delete_user(*user).await,
        AccountStep::BindPbx { pbx } => connector.bind_pbx(*pbx).await,
        AccountStep::UnbindPbx { pbx } => connector.unbind_pbx(*pbx).await,
        AccountStep::StartVerification { pbx, key } => connector.start_verification(*pbx, key).await,
        AccountStep::StartDirectoryImport { pbx, key } => {
            let body = StartSync { kind: SyncKind::Directory, organization_id: Some(*pbx) };
            connector.start_sync(&body, key).await.map(drop)
        }
        AccountStep::RequestPushAuthorization { key } => connector.request_push_authorization(key).await.map(drop),
        AccountStep::StartPush { key } => {
            let body = StartSync { kind: SyncKind::Push, organization_id: None };
            connector.start_sync(&body, key).await.map(drop)
        }
    }
}

//! The policy's pass: observe → plan → act → report.

mod act;
mod look;
mod objects;
mod observe;
mod report;

use std::convert::Infallible;
use std::str::FromStr as _;
use std::sync::Arc;

use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use super::context::{Context, STORE_BEHIND, is_requested};
use super::error::PassError;
use super::frame::{Failures, Frame, Passed};
use super::{deletion, finalizer, publish};
use crate::api::{Reason, UserSyncPolicy};
use crate::domain::OrganizationId;
use crate::plan::acted::{self, ActOutcome};
use crate::plan::deleting::{self, Way};
use crate::plan::observed::{Next, ReadingKind};
use crate::plan::user_plan::UserPlan;
use crate::plan::user_sync::user_sync;
use crate::runtime::lanes::Lane;
use objects::Objects;
use observe::{Observed, observe};

const KIND: &str = "UserSyncPolicy";

/// One pass; errors end in the frame.
pub(super) async fn reconcile(
    policy: Arc<UserSyncPolicy>,
    ctx: Arc<Context>,
    failures: Failures,
) -> Result<Action, Infallible> {
    if !ctx.filled(&policy.namespace().unwrap_or_default()).await {
        return Ok(Action::requeue(STORE_BEHIND));
    }
    let frame = Frame { kind: KIND, ctx: &ctx, failures: &failures, lane: lane(&policy) };
    let reference = ObjectRef::from_obj(policy.as_ref());
    Ok(frame
        .run(policy.as_ref(), Box::pin(pass(&policy, &ctx)), |at| ctx.policies.wake_at(reference.clone(), at))
        .await)
}

fn lane(policy: &UserSyncPolicy) -> Lane {
    let observed = policy.status.as_ref().map(|status| status.observed_generation);
    let unobserved = policy.metadata.generation != observed;
    if unobserved || asked(policy) || policy.metadata.deletion_timestamp.is_some() {
        Lane::Interactive
    } else {
        Lane::Periodic
    }
}

/// Whether `requestedAt` has a value that was not acted upon.
fn asked(policy: &UserSyncPolicy) -> bool {
    let handled = policy.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    is_requested(policy, handled)
}

async fn pass(policy: &Arc<UserSyncPolicy>, ctx: &Arc<Context>) -> Result<Passed, PassError> {
    let api: Api<UserSyncPolicy> = Api::namespaced(ctx.client.clone(), &policy.namespace().unwrap_or_default());
    let busy = ctx.clock.busy();
    let objects = Objects::new(policy, ctx);
    if !objects.caught_up() {
        return Ok(Passed::PutOff);
    }
    if policy.metadata.deletion_timestamp.is_some() {
        let way = deletion::way(policy, ctx).await?;
        if way != Way::Disconnect {
            return delete(&api, policy, ctx, &objects, way).await.map(|()| Passed::Done);
        }
    } else if !finalizer::is_set(policy.as_ref()) {
        return finalizer::add(&api, policy.as_ref()).await.map(|()| Passed::Done);
    }
    let observed = observe(policy, ctx);
    let view = observed.view();
    let plan = user_sync(&view, ctx.clock.now());
    let violations = plan.check();
    if let Some(violation) = violations.first() {
        tracing::error!(policy = policy.name_any(), %violation, "the plan contradicts itself and is not carried out");
        return Err(PassError::Contradiction);
    }
    if plan.is_over {
        // Its event begins the pass that removes the objects; whatever happens on the way, nobody is looked for again.
        return Ok(if objects.store_disconnected().await? { Passed::Done } else { Passed::PutOff });
    }
    if let Some(adopted) = plan.adopted
        && !objects.store_adopted(adopted).await?
    {
        return Ok(Passed::PutOff);
    }
    objects.store_run(&plan).await?;
    objects.store_specs(&plan, &observed).await?;
    drop(busy);
    let outcome = act(&plan, &observed, ctx).await?;
    let _busy = ctx.clock.busy();
    let now = ctx.clock.now();
    let acted = acted::after(&plan, &outcome, now);
    objects.store_statuses(&plan, &acted, &observed).await?;
    objects.store_run_status(&acted, &observed).await?;
    objects.remove_obsolete(&plan, &observed).await?;
    let status = report::status(&observed.status, &plan, &acted, view.generation, now);
    if publish::changes(&observed.status, &status) {
        let written = publish::status(&api, policy.as_ref(), &status).await?;
        ctx.expectations.wrote(objects.uid(), KIND, &written);
        publish::transitions(ctx, policy.as_ref(), &observed.status.conditions, &status.conditions).await;
    }
    if ctx.warned.is_new(objects.uid(), plan.warning) {
        publish::warn(ctx, policy.as_ref(), Reason::RemovalGuardAhead).await;
    }
    schedule(ctx, &observed, &plan, acted.next);
    Ok(Passed::Done)
}

async fn act(plan: &UserPlan, observed: &Observed, ctx: &Context) -> Result<ActOutcome, PassError> {
    let Some(account) = &observed.account else { return Ok(ActOutcome::default()) };
    let pbx = OrganizationId::from_str(&observed.policy.spec.pbx.organization_id);
    let Some(pbx) = pbx.ok().filter(|_| !plan.steps().is_empty()) else { return Ok(ActOutcome::default()) };
    // Whatever is sent, even without an answer, is newer than any reading that began before the end of it.
    let uid = observed.policy.uid().unwrap_or_default();
    let _written = ctx.last_writes.noted(&uid, &ctx.clock);
    act::act(plan, pbx, (&observed.policy, account), ctx).await
}

/// Orders the next reading. What was written is read back at once; what somebody asked for is read anew.
fn schedule(ctx: &Context, observed: &Observed, plan: &UserPlan, next: Next) {
    let Some(account) = &observed.account else { return };
    if plan.needs_import_after.is_some() {
        // The account starts the directory import that the run needs.
        ctx.accounts.wake(ObjectRef::from_obj(account.as_ref()));
    }
    let account = account.uid().unwrap_or_default();
    let now = ctx.clock.now();
    if asked(&observed.policy) && ctx.requests.is_new(observed.policy.as_ref(), now) {
        ctx.observers.request(&account, now, ReadingKind::Full);
    }
    if let Next::At(at, kind) = next {
        ctx.observers.request(&account, at, kind);
    }
}

/// Nobody is disconnected any more. Runs and users go first, then the finalizer.
async fn delete(
    api: &Api<UserSyncPolicy>,
    policy: &Arc<UserSyncPolicy>,
    ctx: &Context,
    objects: &Objects<'_>,
    way: Way,
) -> Result<(), PassError> {
    ctx.last_writes.forget(objects.uid());
    ctx.requests.forget(objects.uid());
    ctx.warned.is_new(objects.uid(), None);
    if let Way::Left(reason) = way
        && ctx.left.is_new(objects.uid())
    {
        let users = ctx.users_of(policy);
        let left = deleting::left(users.iter().map(|user| &user.spec), policy.status.as_ref().and_then(|it| it.users));
        publish::left(ctx, policy.as_ref(), reason, &left).await;
    }
    if objects.remove_all().await? {
        finalizer::remove(api, policy.as_ref()).await?;
        ctx.left.forget(objects.uid());
        // A policy that waited behind this one may go on.
        if let Some(account) = ctx.account(&policy.namespace().unwrap_or_default(), &policy.spec.account_ref.name) {
            ctx.wake_policies(&account);
        }
    }
    Ok(())
}

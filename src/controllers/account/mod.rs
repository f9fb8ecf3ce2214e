//! The account's pass: observe → plan → act → report.

mod act;
mod observe;

use std::convert::Infallible;
use std::sync::Arc;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};

use super::context::{Context, STORE_BEHIND, is_requested};
use super::error::PassError;
use super::expectations::version;
use super::frame::{Failures, Frame, Passed};
use super::{deletion, finalizer, publish};
use crate::api::TeamsConnectorAccount;
use crate::plan::account as plan;
use crate::plan::observed::{Next, ReadingKind};
use crate::runtime::lanes::Lane;

pub(super) use observe::observe;

const KIND: &str = "TeamsConnectorAccount";

/// One pass; errors end in the frame.
pub(super) async fn reconcile(
    account: Arc<TeamsConnectorAccount>,
    ctx: Arc<Context>,
    failures: Failures,
) -> Result<Action, Infallible> {
    if !ctx.filled(&account.namespace().unwrap_or_default()).await {
        return Ok(Action::requeue(STORE_BEHIND));
    }
    let frame = Frame { kind: KIND, ctx: &ctx, failures: &failures, lane: lane(&account) };
    let reference = ObjectRef::from_obj(account.as_ref());
    Ok(frame
        .run(account.as_ref(), Box::pin(pass(&account, &ctx)), |at| ctx.accounts.wake_at(reference.clone(), at))
        .await)
}

fn lane(account: &TeamsConnectorAccount) -> Lane {
    let status = account.status.clone().unwrap_or_default();
    let unobserved = account.metadata.generation != Some(status.observed_generation);
    if unobserved || asked(account) || account.metadata.deletion_timestamp.is_some() {
        Lane::Interactive
    } else {
        Lane::Periodic
    }
}

/// Whether `requestedAt` has a value that was not acted upon.
fn asked(account: &TeamsConnectorAccount) -> bool {
    let handled = account.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    is_requested(account, handled)
}

async fn pass(account: &Arc<TeamsConnectorAccount>, ctx: &Arc<Context>) -> Result<Passed, PassError> {
    let api: Api<TeamsConnectorAccount> = Api::namespaced(ctx.client.clone(), &account.namespace().unwrap_or_default());
    let uid = account.uid().unwrap_or_default();
    let busy = ctx.clock.busy();
    if account.metadata.deletion_timestamp.is_some() {
        // While a policy is being deleted with Delete it goes on as ever: readings, sign-in and push are needed.
        if !deletion::is_needed(account, ctx).await? {
            return delete(&api, account, ctx, &uid).await.map(|()| Passed::Done);
        }
    } else if !finalizer::is_set(account.as_ref()) {
        return finalizer::add(&api, account.as_ref()).await.map(|()| Passed::Done);
    }
    if !ctx.expectations.seen(&uid, KIND, |_| version(account.as_ref())) {
        return Ok(Passed::PutOff);
    }
    let now = ctx.clock.now();
    let observed = observe(account, ctx);
    if observed.facts.suspended {
        ctx.observers.forget(&uid);
    } else {
        let waker = Arc::clone(ctx);
        ctx.observers.ensure(account, move |account| waker.wake_all(account));
        if asked(account) && ctx.requests.is_new(account.as_ref(), now) {
            ctx.observers.request(&uid, now, ReadingKind::Full);
        }
    }
    let view = observed.view();
    let plan = plan::account(&view, now);
    drop(busy);
    let problems = act::act(&plan, account, ctx).await?;
    let _busy = ctx.clock.busy();
    let report = plan::report(&view, &plan, &problems, ctx.clock.now());
    let before = account.status.clone().unwrap_or_default();
    if publish::changes(&before, &report.status) {
        let written = publish::status(&api, account.as_ref(), &report.status).await?;
        ctx.expectations.wrote(&uid, KIND, &written);
        publish::transitions(ctx, account.as_ref(), &before.conditions, &report.status.conditions).await;
        ctx.wake_policies(account);
    }
    if let Next::At(at, kind) = report.next {
        ctx.observers.request(&uid, at, kind);
    }
    if plan.push_finished_at.is_some() {
        ctx.observers.request(&uid, outcome_at(&observed, ctx.clock.now()), ReadingKind::Outcome);
    }
    Ok(Passed::Done)
}

/// A finished push is looked at at once; not again and again while the connector cannot be read.
fn outcome_at(observed: &observe::Observed, now: Timestamp) -> Timestamp {
    let readable = observed
        .reading
        .snapshot
        .as_deref()
        .is_some_and(|snapshot| snapshot.pbxs.values().all(|pbx| pbx.users.failure.is_none()));
    if readable { now } else { now.checked_add(SignedDuration::from_secs(30)).unwrap_or(now) }
}

/// Orphan: nothing outside Kubernetes is touched.
async fn delete(
    api: &Api<TeamsConnectorAccount>,
    account: &Arc<TeamsConnectorAccount>,
    ctx: &Context,
    uid: &str,
) -> Result<(), PassError> {
    ctx.observers.forget(uid);
    ctx.requests.forget(uid);
    ctx.last_writes.forget(uid);
    finalizer::remove(api, account.as_ref()).await?;
    ctx.wake_policies(account);
    Ok(())
}

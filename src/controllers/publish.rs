//! The I/O of reporting: compare, write, tell. A report that changes nothing writes nothing.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::serde_json::json;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use kube::{Api, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::Context;
use super::error::PassError;
use crate::api::conditions::{ACTION_REQUIRED, READY, STALLED, find};
use crate::api::{FIELD_MANAGER, Reason};

/// Writes of own objects that are under way at the same time.
const IN_FLIGHT: usize = 16;

/// Whether a status would be stored otherwise than the stored one. Times are stored in whole seconds and a vendor's are finer, so
/// the values themselves would differ for ever.
pub(super) fn changes<S: Serialize>(stored: &S, status: &S) -> bool {
    match (serde_json::to_value(stored), serde_json::to_value(status)) {
        (Ok(stored), Ok(status)) => stored != status,
        _ => true,
    }
}

/// Replaces the status of the object it was computed from. The uid test keeps it off a re-created object of the same name:
/// a merge patch or an apply with a wrong uid would be accepted.
pub(super) async fn status<K, S>(api: &Api<K>, object: &K, status: &S) -> Result<K, PassError>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
    S: Serialize,
{
    let operations = json!([
        {"op": "test", "path": "/metadata/uid", "value": object.meta().uid},
        {"op": "add", "path": "/status", "value": status},
    ]);
    let patch: json_patch::Patch = serde_json::from_value(operations)
        .map_err(|error| PassError::kubernetes("writing a status")(kube::Error::SerdeError(error)))?;
    let written = api.patch_status(&object.name_any(), &PatchParams::default(), &Patch::Json::<()>(patch)).await;
    refused(api, object, written, "writing a status").await
}

/// The API server answers a failed uid test, a schema and an admission policy alike: only a look tells whether the object is
/// another one by now.
pub(super) async fn refused<K, T>(
    api: &Api<K>,
    object: &K,
    answer: Result<T, kube::Error>,
    doing: &'static str,
) -> Result<T, PassError>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    if let Err(kube::Error::Api(status)) = &answer
        && status.is_invalid()
    {
        let now = api.get_opt(&object.name_any()).await.map_err(PassError::kubernetes(doing))?;
        if now.is_none_or(|now| now.uid() != object.uid()) {
            return Err(PassError::Gone);
        }
    }
    answer.map_err(PassError::kubernetes(doing))
}

/// Creates or updates an own object by server-side apply. `object` carries the uid of a known object, none for a new one.
pub(super) async fn apply<K>(api: &Api<K>, object: &K) -> Result<K, PassError>
where
    K: Resource + Serialize + DeserializeOwned + Clone + std::fmt::Debug,
{
    api.patch(&object.name_any(), &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(object))
        .await
        .map_err(PassError::kubernetes("applying an own object"))
}

/// Runs writes of own objects side by side; the first failure ends the pass, the next pass goes on from what is stored.
pub(super) async fn side_by_side<T, F>(writes: Vec<F>) -> Result<Vec<T>, PassError>
where
    F: Future<Output = Result<T, PassError>>,
{
    stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
}

/// One event for each transition of the conditions that people wait for. Failing to tell never fails a pass.
pub(super) async fn transitions<K>(ctx: &Context, object: &K, before: &[Condition], after: &[Condition])
where
    K: Resource<DynamicType = ()>,
{
    for kind in [READY, STALLED, ACTION_REQUIRED] {
        let (old, new) = (find(before, kind), find(after, kind));
        let changed = match (old, new) {
            (Some(old), Some(new)) => old.status != new.status || old.reason != new.reason,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if let Some(condition) = new.filter(|_| changed) {
            emit(ctx, object, kind, condition).await;
        }
    }
}

async fn emit<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, kind: &str, condition: &Condition) {
    let good = kind == READY && (condition.status == "True" || !is_problem(&condition.reason));
    tell(ctx, object, if good { EventType::Normal } else { EventType::Warning }, &condition.reason).await;
}

/// A Warning event that belongs to no condition.
pub(super) async fn warn<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, reason: Reason) {
    tell(ctx, object, EventType::Warning, reason.as_str()).await;
}

/// What the deletion of a policy left. A namespace that is being deleted takes no event: there it is told of the namespace.
pub(super) async fn left<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, reason: Reason, left: &str) {
    let (namespace, policy) = (object.meta().namespace.clone(), object.name_any());
    tracing::warn!(namespace, policy, %reason, left, "the deletion of a policy ends without disconnecting anybody");
    let mut event = event(EventType::Warning, reason.as_str());
    event.note = Some(format!("{} {left}", reason.message()));
    if ctx.recorder.publish(&event, &object.object_ref(&())).await.is_ok() {
        return;
    }
    event.note = Some(format!("UserSyncPolicy {policy}: {} {left}", reason.message()));
    let about = ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Namespace".to_owned()),
        name: namespace,
        ..ObjectReference::default()
    };
    if let Err(error) = ctx.recorder.publish(&event, &about).await {
        tracing::debug!(%error, "an event could not be recorded");
    }
}

async fn tell<K: Resource<DynamicType = ()>>(ctx: &Context, object: &K, type_: EventType, reason: &str) {
    if let Err(error) = ctx.recorder.publish(&event(type_, reason), &object.object_ref(&())).await {
        tracing::debug!(%error, "an event could not be recorded");
    }
}

fn event(type_: EventType, reason: &str) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(catalogue_text(reason)),
        action: "Reconcile".to_owned(),
        secondary: None,
    }
}

/// Events repeat the table of reasons, never a message, which may hold names that people wrote.
fn catalogue_text(reason: &str) -> String {
    Reason::parse(reason).map_or_else(|| reason.to_owned(), Reason::message)
}

fn is_problem(reason: &str) -> bool {
    use crate::api::reasons::Shown;
    Reason::parse(reason).is_none_or(|reason| match reason.info().shown {
        Shown::Ready | Shown::Waiting | Shown::Advice => false,
        Shown::Human | Shown::Stalled | Shown::Retry => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{LastChange, RunOperation, TeamsConnectorUserStatus};

    fn status(at: &str) -> TeamsConnectorUserStatus {
        let last_change = LastChange::new("run", RunOperation::Put, at.parse().unwrap());
        TeamsConnectorUserStatus { last_change: Some(last_change), ..TeamsConnectorUserStatus::default() }
    }

    /// P1: a pass that changes nothing writes nothing, however fine the times are that a vendor tells.
    #[test]
    fn what_is_stored_alike_is_no_change() {
        let stored = status("2026-01-05T08:00:24Z");
        assert!(!changes(&stored, &status("2026-01-05T08:00:24.896Z")));
        assert!(changes(&stored, &status("2026-01-05T08:00:25Z")));
    }
}

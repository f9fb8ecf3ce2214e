//! The finalizer of accounts and policies: stored before the first external write, removed when nothing is left to do.

use k8s_openapi::serde_json::json;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use super::error::PassError;
use super::publish;
use crate::api::FINALIZER;

/// Whether the object has our finalizer.
pub(super) fn is_set<K: Resource>(object: &K) -> bool {
    object.finalizers().iter().any(|name| name == FINALIZER)
}

/// Adds the finalizer; the uid test keeps it off a re-created object of the same name.
pub(super) async fn add<K>(api: &Api<K>, object: &K) -> Result<(), PassError>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    let mut operations = vec![json!({"op": "test", "path": "/metadata/uid", "value": object.meta().uid})];
    if object.finalizers().is_empty() {
        operations.push(json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]}));
    } else {
        operations.push(json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER}));
    }
    patch(api, object, operations, "storing the finalizer").await
}

/// Removes the finalizer, wherever it is in the list; somebody else's edit of the list makes the patch fail, and the next pass repeats it.
pub(super) async fn remove<K>(api: &Api<K>, object: &K) -> Result<(), PassError>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    let Some(index) = object.finalizers().iter().position(|name| name == FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let operations = vec![
        json!({"op": "test", "path": "/metadata/uid", "value": object.meta().uid}),
        json!({"op": "test", "path": path, "value": FINALIZER}),
        json!({"op": "remove", "path": path}),
    ];
    patch(api, object, operations, "removing the finalizer").await
}

async fn patch<K>(
    api: &Api<K>,
    object: &K,
    operations: Vec<serde_json::Value>,
    doing: &'static str,
) -> Result<(), PassError>
where
    K: Resource + DeserializeOwned + Clone + std::fmt::Debug,
{
    let patch: json_patch::Patch = serde_json::from_value(operations.into())
        .map_err(|error| PassError::kubernetes(doing)(kube::Error::SerdeError(error)))?;
    let patched = api.patch(&object.name_any(), &PatchParams::default(), &Patch::Json::<()>(patch)).await;
    publish::refused(api, object, patched, doing).await.map(drop)
}

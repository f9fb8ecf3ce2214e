//! How a policy that is being deleted comes to its end, and what waits for it.

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, ResourceExt};

use super::context::Context;
use super::error::PassError;
use crate::api::{DISCONNECTED, DeletionPolicy, FORCE_FINALIZE, TeamsConnectorAccount, UserSyncPolicy};
use crate::plan::deleting::{self, Circumstances, Way};

/// How the deletion of the policy goes on. Whether its namespace is being deleted is asked of the API server each time: nothing is
/// taken away while that is not known (T41).
///
/// # Errors
/// When the API server does not tell.
pub(super) async fn way(policy: &UserSyncPolicy, ctx: &Context) -> Result<Way, PassError> {
    let is = |name: &str, value: &str| policy.annotations().get(name).is_some_and(|found| found == value);
    let asks = policy.spec.deletion_policy == DeletionPolicy::Delete;
    let circumstances = Circumstances {
        disconnected: policy.metadata.uid.as_ref().is_some_and(|uid| is(DISCONNECTED, uid)),
        forced: is(FORCE_FINALIZE, "true"),
        terminating: asks && is_terminating(&policy.namespace().unwrap_or_default(), ctx).await?,
    };
    Ok(deleting::way(policy.spec.deletion_policy, circumstances))
}

async fn is_terminating(namespace: &str, ctx: &Context) -> Result<bool, PassError> {
    let api: Api<Namespace> = Api::all(ctx.client.clone());
    let found = api.get_opt(namespace).await.map_err(PassError::kubernetes("looking at the namespace"))?;
    Ok(found.is_none_or(|namespace| namespace.metadata.deletion_timestamp.is_some()))
}

/// Whether a policy that is being deleted with `Delete` still needs the account.
///
/// # Errors
/// When the API server does not tell.
pub(super) async fn is_needed(account: &TeamsConnectorAccount, ctx: &Context) -> Result<bool, PassError> {
    let policies = ctx.policies_of(account);
    for policy in policies.iter().filter(|policy| policy.metadata.deletion_timestamp.is_some()) {
        if way(policy, ctx).await? == Way::Disconnect {
            return Ok(true);
        }
    }
    Ok(false)
}

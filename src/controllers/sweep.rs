//! The sweep: removes runs and user objects whose policy is gone. Nothing outside Kubernetes is touched, so nobody loses service.

use std::collections::HashSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;
use tokio::time::MissedTickBehavior;

use super::context::{Context, Stores};
use super::error::PassError;
use super::publish;
use crate::api::{TeamsConnectorUser, UserSyncPolicy, UserSyncRun};
use crate::plan::sweep::Ownerless;

/// How often, in real time, the stores are looked through; nothing is called for that.
const LOOKING: Duration = Duration::from_secs(15);
/// So many at a time, then the policy is looked for again.
const AT_A_TIME: usize = 100;

/// Sweeps until `stop` turns true.
pub(super) async fn sweep(ctx: Arc<Context>, stop: Receiver<bool>) {
    let mut ticks = tokio::time::interval(LOOKING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ownerless = Ownerless::default();
    let mut next = None;
    while !*stop.borrow() {
        tokio::select! {
            _ = ticks.tick() => {}
            () = sleep_until(&ctx, next) => {}
        }
        let _busy = ctx.clock.busy();
        let now = ctx.clock.now();
        let (runs, users) = (found(&ctx.stores, Stores::runs), found(&ctx.stores, Stores::users));
        let uids = runs.iter().filter_map(|it| it.uid()).chain(users.iter().filter_map(|it| it.uid()));
        let due: HashSet<String> = ownerless.due(uids, now).into_iter().collect();
        let removed = async {
            remove(&ctx, runs, &due).await?;
            remove(&ctx, users, &due).await
        };
        if let Err(error) = removed.await {
            tracing::warn!(%error, cause = error.cause(), "what outlived its policy was not removed; it is tried again");
        }
        next = ownerless.next(ctx.clock.now());
    }
}

async fn sleep_until(ctx: &Context, at: Option<Timestamp>) {
    match at {
        Some(at) => ctx.clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// An own object that belongs to a policy.
trait Owned: Resource<DynamicType = (), Scope = NamespaceResourceScope> {
    /// The name of its policy.
    fn policy(&self) -> &str;
}

impl Owned for UserSyncRun {
    fn policy(&self) -> &str {
        &self.spec.policy_ref.name
    }
}

impl Owned for TeamsConnectorUser {
    fn policy(&self) -> &str {
        &self.spec.policy_ref.name
    }
}

type StoreOf<K> = fn(&Stores) -> &kube::runtime::reflector::Store<K>;

impl Stores {
    fn runs(&self) -> &kube::runtime::reflector::Store<UserSyncRun> {
        &self.runs
    }

    fn users(&self) -> &kube::runtime::reflector::Store<TeamsConnectorUser> {
        &self.users
    }
}

/// The objects whose policy no store knows. From a store that is not filled nothing is concluded.
fn found<K: Owned + Clone + Debug + 'static>(stores: &[Stores], of: StoreOf<K>) -> Vec<Arc<K>> {
    let filled = stores.iter().filter(|stores| stores.filled.iter().all(|filled| *filled.borrow()));
    let of_scope = |stores: &Stores| {
        let policies = stores.policies.state();
        let living: HashSet<_> =
            policies.iter().map(|it| (it.meta().namespace.as_deref(), it.meta().name.as_deref())).collect();
        of(stores).state_filter(|object| {
            let meta = object.meta();
            meta.deletion_timestamp.is_none() && !living.contains(&(meta.namespace.as_deref(), Some(object.policy())))
        })
    };
    filled.flat_map(of_scope).collect()
}

/// Removes those that are due, some at a time, each as it was seen, after the API server itself has said that their policy is gone:
/// a store may be behind.
async fn remove<K>(ctx: &Context, objects: Vec<Arc<K>>, due: &HashSet<String>) -> Result<(), PassError>
where
    K: Owned + Clone + Debug + DeserializeOwned,
{
    let mut objects: Vec<_> =
        objects.into_iter().filter(|object| object.uid().is_some_and(|uid| due.contains(&uid))).collect();
    let owner = |object: &Arc<K>| (object.namespace().unwrap_or_default(), object.policy().to_owned());
    objects.sort_by_key(owner);
    for of_policy in objects.chunk_by(|left, right| owner(left) == owner(right)) {
        for some in of_policy.chunks(AT_A_TIME) {
            let Some(first) = some.first() else { continue };
            let (namespace, policy) = owner(first);
            let policies: Api<UserSyncPolicy> = Api::namespaced(ctx.client.clone(), &namespace);
            let living = policies.get_opt(&policy).await.map_err(PassError::kubernetes("looking for a policy"))?;
            if living.is_some() {
                break;
            }
            let api: Api<K> = Api::namespaced(ctx.client.clone(), &namespace);
            publish::side_by_side(some.iter().map(|object| remove_one(&api, object.as_ref())).collect()).await?;
            tracing::info!(
                namespace,
                policy,
                objects = some.len(),
                "removed what outlived its policy; nobody was disconnected"
            );
        }
    }
    Ok(())
}

async fn remove_one<K>(api: &Api<K>, object: &K) -> Result<(), PassError>
where
    K: Owned + Clone + Debug + DeserializeOwned,
{
    let preconditions = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(&object.name_any(), &params).await {
        Ok(_) => Ok(()),
        // It changed, or is gone: the next look tells.
        Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
        Err(error) => Err(PassError::kubernetes("removing what outlived its policy")(error)),
    }
}

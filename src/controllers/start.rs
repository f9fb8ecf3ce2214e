//! Starts the watches and the two controllers of each scope, and ends when told to.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::stream::{BoxStream, FuturesUnordered};
use futures::{Stream, StreamExt, future};
use k8s_openapi::NamespaceResourceScope;
use kube::runtime::controller::{Config, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch::Receiver;

use super::context::{Context, Stores};
use super::error::PassError;
use super::frame::Failures;
use super::{account, policy, sweep};
use crate::api::{TeamsConnectorAccount, TeamsConnectorUser, UserSyncPolicy, UserSyncRun};
use crate::runtime::gather::gather;
use crate::runtime::metrics::Metrics;
use crate::runtime::server::Health;
use crate::runtime::watches::{Filled, Label, watch};

/// Stores of a scope together with the streams that fill them and trigger passes.
pub struct Scope {
    stores: Stores,
    accounts: Trigger<TeamsConnectorAccount>,
    accounts_again: Trigger<TeamsConnectorAccount>,
    policies: Trigger<UserSyncPolicy>,
    policies_again: Trigger<UserSyncPolicy>,
    runs: Trigger<UserSyncRun>,
    users: Trigger<TeamsConnectorUser>,
}

type Trigger<K> = BoxStream<'static, Result<K, watcher::Error>>;
type Wakers<K> = BoxStream<'static, ObjectRef<K>>;

/// How often the objects in the stores are counted.
const COUNTING: std::time::Duration = std::time::Duration::from_secs(15);
/// How long readiness waits, after the first namespace can be read, for the others.
const STRAGGLERS: std::time::Duration = std::time::Duration::from_secs(20);
/// Passes that a controller may run at once; the lanes decide within it.
const CONCURRENCY: u16 = 64;

impl Scope {
    /// Opens the six watches of a namespace, or of all of them. An account or a policy is watched twice: as the object of its own
    /// controller, and as what wakes the other one; shared streams lose deletions.
    pub fn open(client: &Client, namespace: Option<&str>, metrics: &Metrics) -> Self {
        let opener = Opener { client, namespace, metrics };
        let (account_store, accounts, accounts_filled) = opener.watch("accounts");
        let (policy_store, policies, policies_filled) = opener.watch("policies");
        let (run_store, runs, runs_filled) = opener.watch("runs");
        let (user_store, users, users_filled) = opener.watch("users");
        let (_, accounts_again, _) = opener.watch("accounts-for-policies");
        let (_, policies_again, _) = opener.watch("policies-for-accounts");
        let filled = vec![accounts_filled, policies_filled, runs_filled, users_filled];
        let stores = Stores {
            accounts: account_store,
            policies: policy_store,
            runs: run_store,
            users: user_store,
            filled,
            namespace: namespace.map(str::to_owned),
        };
        Self { stores, accounts, accounts_again, policies, policies_again, runs, users }
    }

    /// The stores.
    pub fn stores(&self) -> Stores {
        self.stores.clone()
    }
}

struct Opener<'a> {
    client: &'a Client,
    namespace: Option<&'a str>,
    metrics: &'a Metrics,
}

impl Opener<'_> {
    fn watch<K>(&self, name: &'static str) -> (Store<K>, Trigger<K>, Filled)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug
            + Send
            + Sync
            + 'static,
    {
        let api: Api<K> = match self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let (store, writer) = reflector::store();
        let label = Label { namespace: self.namespace.map(str::to_owned), name };
        let (stream, filled) = watch(api, writer, label, self.metrics.clone());
        (store, stream.boxed(), filled)
    }
}

/// Returns once the four kinds are served (T23) in one namespace at least: until then there is nothing to watch.
pub async fn wait_for_kinds(client: &Client, namespaces: &[String]) {
    let mut scopes: Vec<_> = namespaces.iter().map(|name| Some(name.as_str())).collect();
    if scopes.is_empty() {
        scopes.push(None);
    }
    let mut pause = 1;
    for namespace in scopes.iter().copied().cycle() {
        let Err(error) = served(client, namespace).await else { return };
        let hint = "the kinds of teamsconnector.dev cannot be listed yet: install the chart's CRDs and roles";
        let cause = PassError::kubernetes("listing")(error).cause();
        tracing::warn!(cause, namespace, hint);
        tokio::time::sleep(std::time::Duration::from_secs(pause)).await;
        pause = (pause * 2).min(30);
    }
}

async fn served(client: &Client, namespace: Option<&str>) -> Result<(), kube::Error> {
    let one = kube::api::ListParams::default().limit(1);
    let api: Api<TeamsConnectorUser> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    api.list(&one).await.map(drop)
}

/// The streams of objects whose time has come.
pub struct Woken<A, P> {
    /// Accounts.
    pub accounts: A,
    /// Policies.
    pub policies: P,
}

/// Runs both controllers of every scope until `stop` turns true and the running passes are done.
pub async fn run<A, P>(ctx: Arc<Context>, scopes: Vec<Scope>, woken: Woken<A, P>, health: Health, stop: Receiver<bool>)
where
    A: Stream<Item = ObjectRef<TeamsConnectorAccount>> + Send + 'static,
    P: Stream<Item = ObjectRef<UserSyncPolicy>> + Send + 'static,
{
    let accounts = split(woken.accounts, scopes.len());
    let policies = split(woken.policies, scopes.len());
    let told = Arc::clone(&ctx);
    tokio::spawn(async move {
        ready(&told.stores).await;
        health.set_ready();
    });
    tokio::spawn(count_objects(Arc::clone(&ctx)));
    tokio::spawn(sweep::sweep(Arc::clone(&ctx), stop.clone()));
    let failures = Failures::default();
    let running = scopes.into_iter().zip(accounts).zip(policies).map(|((scope, accounts), policies)| {
        scope.run(Arc::clone(&ctx), Woken { accounts, policies }, failures.clone(), stop.clone())
    });
    future::join_all(running).await;
}

impl Scope {
    async fn run(
        self,
        ctx: Arc<Context>,
        woken: Woken<Wakers<TeamsConnectorAccount>, Wakers<UserSyncPolicy>>,
        failures: Failures,
        stop: Receiver<bool>,
    ) {
        let Self { stores, accounts, accounts_again, policies, policies_again, runs, users } = self;
        let config = Config::default().concurrency(CONCURRENCY);
        let known = Arc::clone(&ctx);
        let account_failures = failures.clone();
        let accounts = Controller::for_stream(accounts, stores.accounts)
            .with_config(config.clone())
            .watches_stream(policies_again, |policy| account_of(&policy))
            .reconcile_on(woken.accounts)
            .graceful_shutdown_on(stopped(stop.clone()))
            .run(
                move |object, ctx| account::reconcile(object, ctx, account_failures.clone()),
                |_, error, _| match *error {},
                Arc::clone(&ctx),
            );
        let users =
            users.filter_map(|user| future::ready(user.ok().and_then(|user| owner(&user, &user.spec.policy_ref.name))));
        let policies = Controller::for_stream(policies, stores.policies)
            .with_config(config)
            .watches_stream(accounts_again, move |account| policies_of(&known, &account))
            .watches_stream(runs, |run| owner(&run, &run.spec.policy_ref.name))
            .reconcile_on(gather(users, ctx.clock.clone()))
            .reconcile_on(woken.policies)
            .graceful_shutdown_on(stopped(stop))
            .run(
                move |object, ctx| policy::reconcile(object, ctx, failures.clone()),
                |_, error, _| match *error {},
                ctx,
            );
        // Each pass has told what went wrong itself; an object that is gone is no error.
        future::join(accounts.for_each(|_| future::ready(())), policies.for_each(|_| future::ready(()))).await;
    }
}

/// Feeds the metric of objects in the stores.
async fn count_objects(ctx: Arc<Context>) {
    let mut ticks = tokio::time::interval(COUNTING);
    loop {
        ticks.tick().await;
        let sum = |count: fn(&Stores) -> usize| ctx.stores.iter().map(count).sum();
        ctx.metrics.store_objects("TeamsConnectorAccount", sum(|stores| stores.accounts.len()));
        ctx.metrics.store_objects("UserSyncPolicy", sum(|stores| stores.policies.len()));
        ctx.metrics.store_objects("UserSyncRun", sum(|stores| stores.runs.len()));
        ctx.metrics.store_objects("TeamsConnectorUser", sum(|stores| stores.users.len()));
    }
}

/// Returns once every store of every scope is filled. A namespace that cannot be read, as one that was deleted, is waited for a
/// while after the first and then passed over: the others are served.
async fn ready(stores: &[Stores]) {
    let mut filling: FuturesUnordered<_> =
        stores.iter().map(|stores| async { (stores.filled().await, stores.namespace.as_deref()).1 }).collect();
    let mut missing: BTreeSet<_> = stores.iter().map(|stores| stores.namespace.as_deref()).collect();
    if let Some(first) = filling.next().await {
        missing.remove(&first);
    }
    let rest = async {
        while let Some(filled) = filling.next().await {
            missing.remove(&filled);
        }
    };
    if tokio::time::timeout(STRAGGLERS, rest).await.is_err() {
        tracing::warn!(namespaces = ?missing, "serving the other namespaces; these cannot be read yet");
    }
}

/// The stream of woken objects for each scope. A controller knows only the objects of its own namespace and passes over others.
fn split<K>(woken: impl Stream<Item = ObjectRef<K>> + Send + 'static, scopes: usize) -> Vec<Wakers<K>>
where
    K: Resource<DynamicType = ()> + Send + Sync + 'static,
{
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..scopes).map(|_| tokio::sync::mpsc::unbounded_channel()).unzip();
    tokio::spawn(woken.for_each(move |object| {
        for sender in &senders {
            let _ = sender.send(object.clone());
        }
        future::ready(())
    }));
    let stream = |receiver| {
        futures::stream::unfold(receiver, |mut receiver: tokio::sync::mpsc::UnboundedReceiver<_>| async {
            receiver.recv().await.map(|item| (item, receiver))
        })
    };
    receivers.into_iter().map(|receiver| stream(receiver).boxed()).collect()
}

async fn stopped(mut stop: Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn account_of(policy: &UserSyncPolicy) -> Option<ObjectRef<TeamsConnectorAccount>> {
    Some(ObjectRef::new(&policy.spec.account_ref.name).within(&policy.namespace()?))
}

/// Policies of the account, and those that wait for an account of this name.
fn policies_of(ctx: &Context, account: &TeamsConnectorAccount) -> Vec<ObjectRef<UserSyncPolicy>> {
    ctx.policies_of(account).iter().map(|policy| ObjectRef::from_obj(policy.as_ref())).collect()
}

fn owner<K: ResourceExt>(object: &K, policy: &str) -> Option<ObjectRef<UserSyncPolicy>> {
    Some(ObjectRef::new(policy).within(&object.namespace()?))
}

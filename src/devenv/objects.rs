//! Objects as JSON, and waiting for them by watch.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use serde_json::Value;
use tokio::task::JoinHandle;

/// Objects by name, as they are now.
pub type Objects = BTreeMap<String, Value>;

/// The kinds that are waited for: ours by their short names, and what they refer to.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("tca", "teamsconnector.dev/v1alpha1", "TeamsConnectorAccount", "teamsconnectoraccounts"),
    ("usp", "teamsconnector.dev/v1alpha1", "UserSyncPolicy", "usersyncpolicies"),
    ("usrun", "teamsconnector.dev/v1alpha1", "UserSyncRun", "usersyncruns"),
    ("tcu", "teamsconnector.dev/v1alpha1", "TeamsConnectorUser", "teamsconnectorusers"),
    ("secret", "v1", "Secret", "secrets"),
    ("configmap", "v1", "ConfigMap", "configmaps"),
    ("event", "events.k8s.io/v1", "Event", "events"),
];

/// The API of a kind by its short name, such as `usp`.
pub fn api(client: &Client, namespace: &str, short: &str) -> anyhow::Result<Api<DynamicObject>> {
    let (_, api_version, kind, plural) =
        KINDS.into_iter().find(|kind| kind.0 == short).context("a kind without a short name")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    };
    Ok(Api::namespaced_with(client.clone(), namespace, &resource))
}

/// All objects of an API.
pub async fn list(api: &Api<DynamicObject>) -> anyhow::Result<Objects> {
    let list = api.list(&ListParams::default()).await?;
    list.items.into_iter().map(named).collect()
}

fn named(object: DynamicObject) -> anyhow::Result<(String, Value)> {
    let name = object.metadata.name.clone().context("an object without a name")?;
    Ok((name, serde_json::to_value(object)?))
}

/// Follows all objects of an API and returns what `found` finds first in them; fails after `limit` with the last state.
pub async fn wait<T>(
    api: &Api<DynamicObject>,
    what: &str,
    limit: Duration,
    found: impl FnMut(&Objects) -> Option<T>,
) -> anyhow::Result<T> {
    let mut last = Objects::new();
    match tokio::time::timeout(limit, follow(api.clone(), &mut last, found)).await {
        Ok(answer) => answer,
        Err(_elapsed) => bail!("{what}: not within {} s; the objects now: {}", limit.as_secs(), short(&last)),
    }
}

async fn follow<T>(
    api: Api<DynamicObject>,
    objects: &mut Objects,
    mut found: impl FnMut(&Objects) -> Option<T>,
) -> anyhow::Result<T> {
    let mut events = watcher(api, watcher::Config::default()).boxed();
    let mut complete = false;
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Init => {
                objects.clear();
                complete = false;
            }
            Event::InitDone => complete = true,
            Event::InitApply(object) | Event::Apply(object) => objects.extend([named(object)?]),
            Event::Delete(object) => drop(objects.remove(&named(object)?.0)),
        }
        if let Some(answer) = complete.then(|| found(objects)).flatten() {
            return Ok(answer);
        }
    }
    bail!("the watch ended")
}

/// Name and status of each, for an error message.
fn short(objects: &Objects) -> String {
    let line = |(name, object): (&String, &Value)| format!("\n{name}: {}", object["status"]);
    objects.iter().map(line).collect()
}

/// Looks at every version of the objects of an API until it is ended: for what must never be.
pub struct Vigil(JoinHandle<anyhow::Result<()>>);

impl Vigil {
    /// `wrong` says what is wrong with the objects, if anything is.
    pub fn start(api: Api<DynamicObject>, mut wrong: impl FnMut(&Objects) -> Option<String> + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            let mut objects = Objects::new();
            let seen = follow(api, &mut objects, |objects| wrong(objects)).await?;
            bail!("{seen}")
        }))
    }

    /// Fails if anything was wrong in the meantime.
    pub async fn end(self) -> anyhow::Result<()> {
        if self.0.is_finished() {
            return self.0.await?;
        }
        self.0.abort();
        Ok(())
    }
}

/// The status of a condition, `True`, `False` or `Unknown`; `None` without it.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    conditions(object).find(|condition| condition["type"] == kind)?["status"].as_str()
}

/// The reason of a condition; `None` without it.
pub fn reason<'a>(object: &'a Value, kind: &str) -> Option<&'a str> {
    conditions(object).find(|condition| condition["type"] == kind)?["reason"].as_str()
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    object["status"]["conditions"].as_array().into_iter().flatten()
}

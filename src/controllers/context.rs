//! What every pass shares.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt};

use super::expectations::Expectations;
use super::observer::Observers;
use super::session::Sessions;
use crate::api::{
    ADOPTED, PAUSED, REQUESTED_AT, TeamsConnectorAccount, TeamsConnectorUser, UserSyncPolicy, UserSyncRun,
};
use crate::clock::Clock;
use crate::plan::adoption::Adopted;
use crate::plan::user_plan::EarlyWarning;
use crate::runtime::lanes::Lanes;
use crate::runtime::metrics::Metrics;
use crate::runtime::timers::Timers;
use crate::runtime::watches::Filled;

/// How long, in real time, a pass waits at most for a store that is behind.
pub const STORE_BEHIND: Duration = Duration::from_secs(2);

/// The stores of one scope: one namespace, or all of them.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Accounts.
    pub accounts: Store<TeamsConnectorAccount>,
    /// Policies.
    pub policies: Store<UserSyncPolicy>,
    /// Runs.
    pub runs: Store<UserSyncRun>,
    /// Users.
    pub users: Store<TeamsConnectorUser>,
    /// Whether each of them is filled.
    pub filled: Vec<Filled>,
    /// Its namespace; all of them without one.
    pub namespace: Option<String>,
}

impl Stores {
    /// Returns once all of them are filled.
    pub async fn filled(&self) {
        for filled in &self.filled {
            if filled.clone().wait_for(|filled| *filled).await.is_err() {
                // The watch has ended for good: liveness sees it, and nothing is concluded from an empty store.
                std::future::pending::<()>().await;
            }
        }
    }

    fn serves(&self, namespace: &str) -> bool {
        self.namespace.as_deref().is_none_or(|own| own == namespace)
    }
}

/// What every pass shares.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Business time.
    pub clock: Clock,
    /// Makes clients from Secrets.
    pub sessions: Sessions,
    /// The tasks that read the accounts' sources.
    pub observers: Observers,
    /// The stores of all scopes.
    pub stores: Vec<Stores>,
    /// Wakes accounts.
    pub accounts: Timers<TeamsConnectorAccount>,
    /// Wakes policies.
    pub policies: Timers<UserSyncPolicy>,
    /// Permits of passes.
    pub lanes: Lanes,
    /// Metrics.
    pub metrics: Metrics,
    /// Events.
    pub recorder: Recorder,
    /// Own writes that the stores have not shown yet.
    pub expectations: Expectations,
    /// When each account and each policy last wrote to the connector.
    pub last_writes: LastWrites,
    /// Values of `requestedAt` for which a reading was ordered.
    pub requests: Requested,
    /// Early warnings that were told.
    pub warned: Warned,
    /// Policies whose deletion ended early, and that it was told.
    pub left: Left,
}

impl Context {
    /// Whether the stores of the namespace are filled, or are within two seconds: until then what is absent may only look deleted.
    /// Nothing refers to another namespace, so one that can no longer be read stops nobody else.
    pub async fn filled(&self, namespace: &str) -> bool {
        let stores = self.stores.iter().filter(|stores| stores.serves(namespace));
        let filled = futures::future::join_all(stores.map(Stores::filled));
        tokio::time::timeout(STORE_BEHIND, filled).await.is_ok()
    }

    /// The account of this name.
    pub fn account(&self, namespace: &str, name: &str) -> Option<Arc<TeamsConnectorAccount>> {
        let reference = ObjectRef::new(name).within(namespace);
        self.stores.iter().find_map(|stores| stores.accounts.get(&reference))
    }

    /// Whether policy and account still are what a plan was made from: not suspended, edited, deleted or made anew since (R22).
    pub fn is_as_planned(&self, policy: &UserSyncPolicy, account: &TeamsConnectorAccount) -> bool {
        let namespace = policy.namespace().unwrap_or_default();
        let reference = ObjectRef::from_obj(policy);
        let now = self.stores.iter().find_map(|stores| stores.policies.get(&reference));
        let same_policy = now.is_some_and(|now| is_same(now.as_ref(), policy));
        same_policy && self.account(&namespace, &account.name_any()).is_some_and(|now| is_same(now.as_ref(), account))
    }

    /// The policies that name the account, oldest first, by name where the age is the same.
    pub fn policies_of(&self, account: &TeamsConnectorAccount) -> Vec<Arc<UserSyncPolicy>> {
        let (namespace, name) = (account.namespace(), account.name_any());
        let mut found: Vec<_> = self
            .stores
            .iter()
            .flat_map(|stores| stores.policies.state())
            .filter(|policy| policy.namespace() == namespace && policy.spec.account_ref.name == name)
            .collect();
        found.sort_by_cached_key(|policy| seniority(policy));
        found
    }

    /// The user objects of the policy, by name.
    pub fn users_of(&self, policy: &UserSyncPolicy) -> Vec<Arc<TeamsConnectorUser>> {
        let (namespace, name) = (policy.namespace(), policy.name_any());
        let mut found: Vec<_> = self
            .stores
            .iter()
            .flat_map(|stores| stores.users.state_filter(|user| user.spec.policy_ref.name == name))
            .filter(|user| user.namespace() == namespace)
            .collect();
        found.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        found
    }

    /// The runs of the policy, by name.
    pub fn runs_of(&self, policy: &UserSyncPolicy) -> Vec<Arc<UserSyncRun>> {
        let (namespace, name) = (policy.namespace(), policy.name_any());
        let mut found: Vec<_> = self
            .stores
            .iter()
            .flat_map(|stores| stores.runs.state_filter(|run| run.spec.policy_ref.name == name))
            .filter(|run| run.namespace() == namespace)
            .collect();
        found.sort_by(|left, right| left.metadata.name.cmp(&right.metadata.name));
        found
    }

    /// Wakes the account and its policies: there is something new to see.
    pub fn wake_all(&self, account: &TeamsConnectorAccount) {
        self.accounts.wake(ObjectRef::from_obj(account));
        self.wake_policies(account);
    }

    /// Wakes the policies of the account.
    pub fn wake_policies(&self, account: &TeamsConnectorAccount) {
        for policy in self.policies_of(account) {
            self.policies.wake(ObjectRef::from_obj(policy.as_ref()));
        }
    }
}

/// What decides which of two policies for one PBX is the older one: the time of its first complete plan, which a restore from a
/// backup keeps, then that of its creation, which a restore resets.
fn seniority(policy: &UserSyncPolicy) -> (Timestamp, Option<Timestamp>, String) {
    let mark = policy.annotations().get(ADOPTED).and_then(|mark| mark.parse::<Adopted>().ok());
    let first_plan = mark.map_or(Timestamp::MAX, |mark| mark.at);
    (first_plan, policy.creation_timestamp().map(|time| time.0), policy.name_any())
}

/// Whether nothing that a person decides about an object is newer than what was seen of it.
fn is_same(now: &impl ResourceExt, seen: &impl ResourceExt) -> bool {
    let decided = |it: &ObjectMeta| (it.uid.clone(), it.generation, it.deletion_timestamp.is_some());
    decided(now.meta()) == decided(seen.meta()) && is_paused(now) == is_paused(seen)
}

/// Whether the annotation `paused` stops the object.
pub fn is_paused(object: &impl ResourceExt) -> bool {
    object.annotations().get(PAUSED).is_some_and(|value| value == "true")
}

/// Whether `requestedAt` has another value than the one that was handled last.
pub fn is_requested(object: &impl ResourceExt, handled: Option<&str>) -> bool {
    object.annotations().get(REQUESTED_AT).is_some_and(|value| Some(value.as_str()) != handled)
}

/// The last value of `requestedAt` of each object, by uid, and when a reading was ordered for it: one reading for each value. The
/// value counts, and is echoed, once that reading was made.
#[derive(Clone, Debug, Default)]
pub struct Requested(Arc<Mutex<HashMap<String, (String, Timestamp)>>>);

impl Requested {
    /// Whether the object carries a value that no reading was ordered for; it is remembered.
    pub fn is_new(&self, object: &impl ResourceExt, now: Timestamp) -> bool {
        let Some(value) = object.annotations().get(REQUESTED_AT) else { return false };
        let uid = object.uid().unwrap_or_default();
        let mut ordered = self.lock();
        if ordered.get(&uid).is_some_and(|(known, _)| known == value) {
            return false;
        }
        ordered.insert(uid, (value.clone(), now));
        true
    }

    /// The value, once the newest try to read everything began after it was noticed. While suspended nothing is read, and the
    /// plan does nothing with it.
    pub fn answered(&self, object: &impl ResourceExt, tried_at: Option<Timestamp>, suspended: bool) -> Option<String> {
        let value = object.annotations().get(REQUESTED_AT)?;
        let ordered = self.lock();
        let (known, at) = object.meta().uid.as_ref().and_then(|uid| ordered.get(uid)).cloned().unzip();
        let made = known.as_ref() == Some(value) && tried_at.zip(at).is_some_and(|(tried, at)| tried >= at);
        (suspended || made).then(|| value.clone())
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Timestamp)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last early warning of each policy, by uid: it is told once, and again when its numbers change.
#[derive(Clone, Debug, Default)]
pub struct Warned(Arc<Mutex<HashMap<String, EarlyWarning>>>);

impl Warned {
    /// Whether there is something to tell that was not told yet; it is remembered.
    pub fn is_new(&self, uid: &str, warning: Option<EarlyWarning>) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(warning) = warning {
            return told.insert(uid.to_owned(), warning) != Some(warning);
        }
        told.remove(uid);
        false
    }
}

/// Policies, by uid, of which it was told what their deletion left. Lost with the process: then it is told again.
#[derive(Clone, Debug, Default)]
pub struct Left(Arc<Mutex<HashSet<String>>>);

impl Left {
    /// Whether it was not told yet; it is remembered.
    pub fn is_new(&self, uid: &str) -> bool {
        self.lock().insert(uid.to_owned())
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When each account and each policy last wrote to the connector, by uid. Lost with the process without harm: the next reading is newer anyway.
#[derive(Clone, Debug, Default)]
pub struct LastWrites(Arc<Mutex<HashMap<String, Timestamp>>>);

impl LastWrites {
    /// The last write for the object in this process.
    pub fn of(&self, uid: &str) -> Option<Timestamp> {
        self.lock().get(uid).copied()
    }

    /// Something is written for the object until the guard goes, however that happens: a pass that is given up half-way has
    /// written too.
    pub fn noted<'a>(&'a self, uid: &'a str, clock: &'a Clock) -> Written<'a> {
        Written { writes: self, uid, clock }
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Timestamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes the time of a write when it goes.
pub struct Written<'a> {
    writes: &'a LastWrites,
    uid: &'a str,
    clock: &'a Clock,
}

impl Drop for Written<'_> {
    fn drop(&mut self) {
        self.writes.lock().insert(self.uid.to_owned(), self.clock.now());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::serde_json::{from_value, json};

    use super::*;

    fn policy(name: &str, created: &str, mark: Option<&str>) -> UserSyncPolicy {
        let spec = json!({
            "accountRef": {"name": "contoso"},
            "pbx": {"organizationId": "00000000-0000-4000-8000-0000000000ff"},
            "matching": {"automatic": {"teamsAttribute": "UserPrincipalName"}},
        });
        let mut policy = UserSyncPolicy::new(name, from_value(spec).unwrap());
        policy.metadata.creation_timestamp = Some(Time(created.parse().unwrap()));
        policy.metadata.annotations = mark.map(|mark| BTreeMap::from([(ADOPTED.to_owned(), mark.to_owned())]));
        policy
    }

    /// R8, R10: which policy manages a PBX outlives a restore, which gives every object a new time of creation, in any order.
    #[test]
    fn the_policy_that_planned_first_is_the_older_one_whenever_it_was_created() {
        let first = policy("z-first", "2026-03-02T00:00:00Z", Some("Matched@2026-01-05T08:00:00Z"));
        let second = policy("a-second", "2026-03-01T00:00:00Z", None);
        let garbled = policy("b-third", "2026-03-03T00:00:00Z", Some("long ago"));
        let mut policies = [garbled, second, first];
        policies.sort_by_cached_key(seniority);
        assert_eq!(policies.map(|policy| policy.name_any()), ["z-first", "a-second", "b-third"]);
    }
}

//! The samples on a clock that the test moves: driven to a known state, and watched all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use k8s_openapi::jiff::SignedDuration;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use teams_connector_operator::devenv::environment::Setup;
use teams_connector_operator::devenv::objects::{self, Vigil};
use teams_connector_operator::devenv::simulator::Control;

use crate::harness::{self, Placed};

/// Our four kinds.
pub(crate) const KINDS: [&str; 4] = ["tca", "usp", "usrun", "tcu"];
/// Time moves so far at once.
const STEP: SignedDuration = SignedDuration::from_mins(2);
/// The account and the policy of the samples.
pub(crate) const ACCOUNT: &str = "contoso";
pub(crate) const POLICY: &str = "head-office";

/// An environment whose simulated time stands until the test moves it.
pub(crate) struct Stage {
    pub(crate) environment: Placed,
    clicked: Mutex<BTreeSet<String>>,
}

impl Stage {
    /// Hostile, with humans who wait to be told; the operator is not started.
    pub(crate) async fn prepare(name: &str) -> Self {
        Self::prepare_with(name, |_| ()).await
    }

    pub(crate) async fn prepare_with(name: &str, change: impl FnOnce(&mut Setup)) -> Self {
        let environment = harness::prepare_with(name, |setup| {
            setup.simulator.iter_mut().filter(|flag| *flag == "jump").for_each(|flag| "explicit".clone_into(flag));
            change(setup);
        })
        .await;
        eprintln!("{}: IT_SEED={}", environment.namespace(), environment.simulator().seed());
        Self { environment, clicked: Mutex::default() }
    }

    pub(crate) fn control(&self) -> &Control {
        self.environment.simulator().control()
    }

    /// Moves time on; everybody has done what there was to do when it returns. Two minutes at a time: on a busy machine somebody
    /// may not have said yet what is waited for, and must not sleep through an hour.
    pub(crate) async fn advance(&self, by: &str) {
        let mut left = by.parse::<SignedDuration>().unwrap();
        while left.is_positive() {
            let step = left.min(STEP);
            self.control().advance(&format!("{}s", step.as_secs())).await.unwrap();
            left -= step;
        }
    }

    /// The samples; the account is read every `interval`.
    pub(crate) fn samples(&self, interval: &str) -> Vec<DynamicObject> {
        let mut samples = self.environment.samples().unwrap();
        for sample in &mut samples {
            if let Some(value) = sample.data.pointer_mut("/spec/interval") {
                *value = json!(interval);
            }
        }
        samples
    }

    /// Applies the samples and starts the operator.
    pub(crate) async fn start(&self, interval: &str) {
        self.environment.apply(&self.samples(interval)).await.unwrap();
        self.environment.operator().start_ready().await.unwrap();
    }

    /// From nothing to the end state, the sign-in for the push included.
    pub(crate) async fn connect(&self, interval: &str) {
        self.start(interval).await;
        self.finish(2).await;
        self.rest().await;
    }

    /// Until so many users are connected and the policy is ready, whatever was before.
    pub(crate) async fn finish(&self, connected: u64) {
        for _ in 0..60 {
            self.advance("30s").await;
            self.sign_in().await;
            let policy = self.get("usp", POLICY).await;
            if objects::condition(&policy, "Ready") == Some("True")
                && policy["status"]["users"]["connected"] == connected
            {
                return;
            }
        }
        panic!("the end state is not reached: {}", self.trouble().await);
    }

    /// The Global Administrator signs in where a link waits; tells whether one did.
    pub(crate) async fn sign_in(&self) -> bool {
        let account = self.get("tca", ACCOUNT).await;
        let actions = account["status"]["pendingActions"].as_array().cloned().unwrap_or_default();
        // Other pending actions lead to the vendors' own pages.
        let ours = |link: &str| link.starts_with(self.control().url());
        let Some(link) = actions.iter().find_map(|action| action["link"].as_str().filter(|link| ours(link))) else {
            return false;
        };
        // One that the account showed before the world changed leads nowhere: the next one will.
        let before = self.clicked.lock().unwrap().contains(link);
        let new = !before && self.control().click(link).await.is_ok();
        if new {
            self.clicked.lock().unwrap().insert(link.to_owned());
        }
        new
    }

    /// Until nothing is outstanding and every source is read completely.
    pub(crate) async fn rest(&self) {
        self.advance_until("everything is at rest", "30s", 60, async || {
            let (account, policy) = (self.get("tca", ACCOUNT).await, self.get("usp", POLICY).await);
            let quiet = |object: &Value| {
                let is = |kind| objects::condition(object, kind);
                is("Ready") == Some("True") && is("SourcesComplete") == Some("True") && is("Reconciling").is_none()
            };
            quiet(&account) && quiet(&policy)
        })
        .await;
    }

    /// Moves time on in steps until something holds; it is looked at only while nothing is under way.
    pub(crate) async fn advance_until(&self, what: &str, step: &str, steps: u32, holds: impl AsyncFn() -> bool) {
        for _ in 0..steps {
            if holds().await {
                return;
            }
            self.advance(step).await;
        }
        let held = holds().await;
        assert!(held, "{what}: not within {steps} x {step}; {}", self.trouble().await);
    }

    /// The conditions that are not as they should be, and the sources that were not read.
    async fn trouble(&self) -> String {
        let mut told = Vec::new();
        for kind in ["tca", "usp"] {
            for (name, object) in self.environment.list(kind).await.unwrap() {
                let status = |field: &str| object["status"][field].as_array().cloned().unwrap_or_default();
                let bad = |condition: &Value| condition["status"] != "True" || condition["reason"] != "Succeeded";
                let sources = status("sources").into_iter().filter(|source| source["complete"] != true);
                for one in status("conditions").into_iter().filter(bad).chain(sources) {
                    told.push(format!("{kind}/{name}: {one}"));
                }
            }
        }
        told.join("\n")
    }

    pub(crate) async fn get(&self, kind: &str, name: &str) -> Value {
        self.environment.get(kind, name).await.unwrap()
    }

    /// A merge patch as the administrator.
    pub(crate) async fn patch(&self, kind: &str, name: &str, patch: &Value) {
        let api = objects::api(self.environment.client(), self.environment.namespace(), kind).unwrap();
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, kind: &str, name: &str) {
        let api = objects::api(self.environment.client(), self.environment.namespace(), kind).unwrap();
        drop(api.delete(name, &kube::api::DeleteParams::default()).await.unwrap());
    }

    /// Deletes an object and waits until it is gone.
    pub(crate) async fn remove(&self, kind: &str, name: &str) {
        self.delete(kind, name).await;
        let gone = |objects: &objects::Objects| (!objects.contains_key(name)).then_some(());
        self.environment.wait_for_all(kind, "it is gone", gone).await.unwrap();
    }

    /// Changes the account's interval; the new spec is read at once.
    pub(crate) async fn read_every(&self, interval: &str) {
        self.patch("tca", ACCOUNT, &json!({"spec": {"interval": interval}})).await;
        self.observed("tca", ACCOUNT).await;
        self.rest().await;
    }

    /// Until the operator has seen the newest spec of an object.
    pub(crate) async fn observed(&self, kind: &str, name: &str) -> Value {
        let seen = |object: &Value| object["status"]["observedGeneration"] == object["metadata"]["generation"];
        self.environment.wait_for(kind, name, "the spec is observed", seen).await.unwrap()
    }

    /// The Warning event that tells of an object for a reason; it is sent after the status was written.
    pub(crate) async fn warning(&self, name: &str, reason: &str) -> Value {
        let meant = |event: &&Value| {
            event["regarding"]["name"] == name && event["reason"] == reason && event["type"] == "Warning"
        };
        let what = format!("a Warning tells of {reason} at {name}");
        self.environment.wait_for_all("event", &what, |events| events.values().find(meant).cloned()).await.unwrap()
    }

    /// Where each user stands: state and reason by name.
    pub(crate) async fn standing(&self) -> BTreeMap<String, (String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let users = self.environment.list("tcu").await.unwrap();
        users
            .into_iter()
            .map(|(name, user)| (name, (text(&user["status"]["state"]), text(&user["status"]["reason"]))))
            .collect()
    }

    /// The Disconnect run that waits for a decision, and its name.
    pub(crate) async fn waiting_run(&self) -> Option<(String, Value)> {
        let runs = self.environment.list("usrun").await.unwrap();
        let waits = |run: &Value| run["spec"]["type"] == "Disconnect" && run["status"]["state"] == "AwaitingApproval";
        runs.into_iter().find(|(_, run)| waits(run))
    }

    /// How many readings of everything the operator has made.
    pub(crate) async fn full_readings(&self) -> u64 {
        let metrics = self.environment.operator().metrics().await.unwrap();
        let line = metrics.lines().find(|line| line.starts_with("teams_connector_readings_total{kind=\"full\"}"));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |count| count.parse().unwrap())
    }

    /// Our objects as they are now, without what every write moves.
    pub(crate) async fn picture(&self) -> Picture {
        let mut picture = Picture::new();
        for kind in KINDS {
            let objects = self.environment.list(kind).await.unwrap();
            picture.extend(objects.into_iter().map(|(name, object)| (format!("{kind}/{name}"), bare(&object))));
        }
        picture
    }

    /// Watches our objects from now on: every version of each must be as in `picture`, but for what `bare` leaves out.
    pub(crate) fn watch(&self, picture: Picture) -> Watch {
        let seen = Arc::new(Mutex::new(Seen { picture, ..Seen::default() }));
        let vigils = KINDS.map(|kind| {
            let api = objects::api(self.environment.client(), self.environment.namespace(), kind).unwrap();
            let seen = Arc::clone(&seen);
            Vigil::start(api, move |objects| {
                seen.lock().unwrap().compare(kind, objects);
                None
            })
        });
        Watch { seen, vigils: vigils.into() }
    }
}

/// Objects by `kind/name`.
pub(crate) type Picture = BTreeMap<String, Value>;

/// Looks at every version of our objects.
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    vigils: Vec<Vigil>,
}

#[derive(Default)]
struct Seen {
    picture: Picture,
    doing: String,
    differences: Vec<String>,
    last: Picture,
    states: BTreeMap<String, Vec<String>>,
}

impl Watch {
    /// What is being done, for the message of a failure.
    pub(crate) fn during(&self, doing: &str) {
        doing.clone_into(&mut self.seen.lock().unwrap().doing);
    }

    /// What differed since the last look.
    pub(crate) fn differences(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap().differences)
    }

    /// The states that each user had, one after the other.
    pub(crate) fn states(&self) -> BTreeMap<String, Vec<String>> {
        self.seen.lock().unwrap().states.clone()
    }

    /// Ends watching; what differed in the meantime.
    pub(crate) async fn end(self) -> Vec<String> {
        for vigil in self.vigils {
            vigil.end().await.unwrap();
        }
        std::mem::take(&mut self.seen.lock().unwrap().differences)
    }
}

impl Seen {
    fn compare(&mut self, kind: &str, objects: &objects::Objects) {
        let now: Picture = objects.iter().map(|(name, object)| (format!("{kind}/{name}"), bare(object))).collect();
        let gone = self.picture.keys().filter(|key| key.starts_with(&format!("{kind}/")) && !now.contains_key(*key));
        let mut differences: Vec<String> = gone.map(|key| format!("{key} is gone")).collect();
        for (key, object) in now {
            if self.last.get(&key) == Some(&object) {
                continue;
            }
            if let Some(difference) = difference(self.picture.get(&key).unwrap_or(&Value::Null), &object, "") {
                differences.push(format!("{key}{difference}"));
            }
            if let (Some(state), "tcu") = (object["status"]["state"].as_str(), kind) {
                let states = self.states.entry(key.clone()).or_default();
                if states.last().is_none_or(|last| last != state) {
                    states.push(state.to_owned());
                }
            }
            self.last.insert(key, object);
        }
        let doing = &self.doing;
        self.differences.extend(differences.into_iter().map(|difference| format!("{doing}: {difference}")));
    }
}

/// Spec and status, without the one condition that a failed reading may change and what tells only what was read.
fn bare(object: &Value) -> Value {
    let mut status = object["status"].clone();
    if let Some(status) = status.as_object_mut() {
        status.remove("sources");
        status.remove("microsoftLicenses");
    }
    // The sign-in for a push is valid for an hour, whatever is read.
    if status["tenantPush"]["authorization"] == "Granted" {
        status["tenantPush"]["authorization"] = json!("Expired");
    }
    if let Some(conditions) = status["conditions"].as_array_mut() {
        conditions.retain(|condition| condition["type"] != "SourcesComplete");
    }
    json!({"spec": object["spec"], "status": status, "deleted": object["metadata"]["deletionTimestamp"]})
}

/// The first place where two values differ.
fn difference(old: &Value, new: &Value, path: &str) -> Option<String> {
    match (old, new) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<_> = left.keys().chain(right.keys()).collect();
            keys.into_iter().find_map(|key| difference(&old[key], &new[key], &format!("{path}.{key}")))
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            (0..left.len()).find_map(|at| difference(&left[at], &right[at], &format!("{path}[{at}]")))
        }
        _ if old == new => None,
        _ => Some(format!("{path}: {old} became {new}")),
    }
}

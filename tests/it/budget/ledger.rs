//! What a first synchronization costs: the calls that the simulator served and the requests that the API server answered.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use teams_connector_operator::devenv::audit::Request;
use teams_connector_operator::devenv::objects;
use teams_connector_operator::devenv::simulator::Control;

use crate::harness::{self, Placed};

/// The account of the samples.
pub(super) const ACCOUNT: &str = "contoso";
/// The policy of the samples.
pub(super) const POLICY: &str = "head-office";
/// How far time moves between two looks.
const STEP: &str = "1m";
/// So many steps are enough for whatever is waited for here.
const STEPS: u32 = 90;

/// A generated world whose time moves only when it is told to, and an operator that serves it.
pub(super) struct World {
    pub(super) environment: Placed,
}

/// Everything that was counted up to a moment in which nobody had anything to do.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) calls: Vec<Call>,
    pub(super) requests: Vec<Request>,
    /// Readings by kind: `full`, `outcome`, `account`.
    pub(super) readings: BTreeMap<String, u64>,
    /// Passes by kind of object.
    pub(super) passes: BTreeMap<String, u64>,
}

/// One call that the simulator served.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Call {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) api: String,
    pub(super) method: String,
    pub(super) route: String,
    pub(super) status: u16,
    pub(super) wrote: bool,
    pub(super) injected: Option<String>,
    pub(super) page: Option<u64>,
}

impl Call {
    /// `graph GET /v1.0/users/delta`.
    pub(super) fn name(&self) -> String {
        format!("{} {} {}", self.api, self.method, self.route)
    }

    /// Whether the API answered it truly: no fault, no limit, and no access token that was at its end; such a call is made once more.
    pub(super) fn is_true(&self) -> bool {
        self.injected.is_none() && ![401, 429].contains(&self.status)
    }

    /// Whether an access token was asked for.
    pub(super) fn is_token(&self) -> bool {
        self.method == "POST" && self.route.ends_with("/token")
    }
}

impl World {
    /// A hostile world of so many users, of whom so many percent are unknown to the tenant; the samples are applied and the
    /// operator runs.
    pub(super) async fn begin(name: &str, users: u32, unmatched_percent: u32) -> Self {
        let environment = harness::prepare_with(name, |setup| {
            setup.simulator.retain(|flag| flag != "--demo");
            setup.simulator.iter_mut().filter(|flag| *flag == "jump").for_each(|flag| "explicit".clone_into(flag));
            let sized =
                ["--users".to_owned(), users.to_string(), "--unmatched".to_owned(), unmatched_percent.to_string()];
            setup.simulator.extend(sized);
        })
        .await;
        eprintln!("{}: IT_SEED={}", environment.namespace(), environment.simulator().seed());
        environment.apply(&environment.samples().unwrap()).await.unwrap();
        environment.operator().start_ready().await.unwrap();
        Self { environment }
    }

    pub(super) fn control(&self) -> &Control {
        self.environment.simulator().control()
    }

    /// Moves time on, through every moment that somebody sleeps for.
    pub(super) async fn advance(&self, by: &str) {
        self.control().advance(by).await.unwrap();
    }

    /// Moves time on until an object is as wanted.
    pub(super) async fn until(&self, kind: &str, name: &str, what: &str, met: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..STEPS {
            if let Some(object) = self.environment.list(kind).await.unwrap().remove(name) {
                if met(&object) {
                    return object;
                }
                last = object["status"].clone();
            }
            self.advance(STEP).await;
        }
        panic!(
            "{kind}/{name}: {what}: not within {STEPS} x {STEP}, seed {}; {last:#}",
            self.environment.simulator().seed()
        )
    }

    /// The Global Administrator opens the link that the account names.
    pub(super) async fn sign_in(&self) {
        let link = |account: &Value| {
            let actions = account["status"]["pendingActions"].as_array()?;
            actions.iter().find_map(|action| action["link"].as_str().map(str::to_owned))
        };
        let account = self.until("tca", ACCOUNT, "the sign-in is asked for", |account| link(account).is_some()).await;
        self.control().click(&link(&account).unwrap()).await.unwrap();
    }

    /// Everything counted so far, at rest: half a minute passes without a call, so no reading is under way or told to wait.
    pub(super) async fn ledger(&self) -> Ledger {
        let mut before = self.count().await;
        for _ in 0..STEPS {
            self.advance("30s").await;
            let now = self.count().await;
            let same = now.requests.len() == before.requests.len() && now.calls.len() == before.calls.len();
            if same && now.passes == before.passes {
                return now;
            }
            before = now;
        }
        panic!("it never rests; seed {}", self.environment.simulator().seed())
    }

    async fn count(&self) -> Ledger {
        let mut journal = self.control().journal("").await.unwrap();
        let page = self.environment.operator().metrics().await.unwrap();
        Ledger {
            calls: serde_json::from_value(journal["calls"].take()).unwrap(),
            requests: self.environment.audit(harness::control_plane().await).unwrap(),
            readings: counters(&page, "teams_connector_readings_total"),
            passes: counters(&page, "teams_connector_reconcile_total"),
        }
    }

    /// Renames people in GoTo: a new last name, as after a wedding.
    pub(super) async fn rename(&self, keys: &[&str]) {
        let edit = |key: &&str| json!({"edit": "renameGotoUser", "user": key, "email": null, "firstName": null, "lastName": "Renamed"});
        self.control().edit(&keys.iter().map(edit).collect::<Vec<_>>()).await.unwrap();
    }

    /// Puts a label on every user object, several at a time, as the administrator.
    pub(super) async fn label_users(&self, label: &str) {
        let api = objects::api(self.environment.client(), self.environment.namespace(), "tcu").unwrap();
        let names: Vec<_> = self.environment.list("tcu").await.unwrap().into_keys().collect();
        let patch = Patch::Merge(json!({"metadata": {"labels": {label: "yes"}}}));
        let params = PatchParams::default();
        let labelling = names.iter().map(|name| api.patch(name, &params, &patch));
        stream::iter(labelling).buffer_unordered(16).try_collect::<Vec<_>>().await.unwrap();
    }
}

impl Ledger {
    /// What came after an earlier ledger of the same world.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let less = |now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>| {
            now.iter().map(|(name, count)| (name.clone(), count - then.get(name).unwrap_or(&0))).collect()
        };
        Self {
            calls: self.calls[earlier.calls.len()..].to_vec(),
            requests: self.requests[earlier.requests.len()..].to_vec(),
            readings: less(&self.readings, &earlier.readings),
            passes: less(&self.passes, &earlier.passes),
        }
    }

    /// What the operator wrote into Kubernetes.
    pub(super) fn writes(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(|request| request.writes())
    }

    /// The same by verb, resource and answer.
    pub(super) fn by_resource(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.writes() {
            *counts.entry(format!("{} {} {}", request.verb, request.resource, request.code)).or_default() += 1;
        }
        counts
    }

    /// Calls by API, method and route, the injected ones apart.
    pub(super) fn calls_by_name(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in &self.calls {
            let apart = if call.is_true() { "" } else { " (injected)" };
            *counts.entry(format!("{}{apart}", call.name())).or_default() += 1;
        }
        counts
    }
}

/// The samples of a counter by the label `kind`, summed over the others.
fn counters(page: &str, name: &str) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with(&format!("{name}{{"))) {
        let (labels, value) = line.rsplit_once(' ').unwrap();
        let kind = labels.split("kind=\"").nth(1).unwrap().split('"').next().unwrap();
        *sums.entry(kind.to_owned()).or_default() += value.parse::<u64>().unwrap();
    }
    sums
}

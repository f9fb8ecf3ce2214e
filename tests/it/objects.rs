//! Objects are not people: status, objects, policies and namespaces are lost, deleted and restored, and nobody loses service.

use std::collections::BTreeMap;
use std::time::Duration;

use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};
use teams_connector_operator::devenv::environment::Setup;
use teams_connector_operator::devenv::objects::{self, condition, reason};

use crate::harness;
use crate::stage::{ACCOUNT, KINDS, POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
/// Users of the generated world whom the policy can connect.
const PEOPLE: u64 = 25;

/// 30 users of whom 25 can be connected; whoever is gone for half an hour is removed.
async fn prepare_with(name: &str, change: impl FnOnce(&mut Setup)) -> Stage {
    Stage::prepare_with(name, |setup| {
        let at = setup.simulator.iter().position(|flag| flag == "--demo").unwrap();
        setup.simulator.splice(at..=at, ["--users", "30", "--licenses", "25", "--unmatched", "5"].map(str::to_owned));
        change(setup);
    })
    .await
}

/// The samples with a policy that removes.
fn samples(stage: &Stage, interval: &str) -> Vec<DynamicObject> {
    let mut samples = stage.samples(interval);
    for sample in &mut samples {
        if sample.types.as_ref().is_some_and(|types| types.kind == "UserSyncPolicy") {
            sample.data["spec"]["removal"] = json!({"action": "Remove", "gracePeriod": "30m"});
        }
    }
    samples
}

/// Everybody is connected and nothing is outstanding.
async fn connected(name: &str, interval: &str) -> Stage {
    let stage = prepare_with(name, |_| ()).await;
    stage.environment.apply(&samples(&stage, interval)).await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    stage.finish(PEOPLE).await;
    stage.rest().await;
    stage
}

/// What was asked of the connector for users since then, whether it had an effect or not, and every other change there.
pub(crate) async fn asked(stage: &Stage, since: u64) -> Vec<String> {
    let journal = stage.control().journal(&format!("since={since}")).await.unwrap();
    let changes = |call: &&Value| call["api"] == "connector" && (call["route"] == BATCH || call["wrote"] == true);
    let calls = journal["calls"].as_array().unwrap().iter().filter(changes);
    calls.map(|call| format!("{} {}", call["method"].as_str().unwrap(), call["route"].as_str().unwrap())).collect()
}

/// Waits for so many further readings of everything, complete ones: a negative needs something to be concluded from.
pub(crate) async fn readings(stage: &Stage, count: u64) {
    let before = stage.full_readings().await;
    let made = async || stage.full_readings().await >= before + count;
    stage.advance_until("the sources are read", "1m", 120, made).await;
    stage.rest().await;
}

/// The specs of our users: pins and marks, and since when nobody calls for them.
async fn specs(stage: &Stage) -> BTreeMap<String, Value> {
    let users = stage.environment.list("tcu").await.unwrap();
    users.into_iter().map(|(name, user)| (name, user["spec"].clone())).collect()
}

/// The parts of the specs that must come back even where the objects were lost.
fn marks(specs: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let marks = |spec: &Value| json!([spec["gotoUserKey"], spec["teamsUserId"], spec["managed"]]);
    let managed = specs.iter().filter(|(_, spec)| spec["managed"] != "None");
    managed.map(|(name, spec)| (name.clone(), marks(spec))).collect()
}

/// So many connected users lose their line.
async fn leave(stage: &Stage, count: usize) -> Vec<String> {
    let users = stage.environment.list("tcu").await.unwrap();
    let connected = users.values().filter(|user| user["status"]["state"] == "Connected");
    let keys: Vec<_> =
        connected.map(|user| user["spec"]["gotoUserKey"].as_str().unwrap().to_owned()).take(count).collect();
    let gone = json!({"edit": "each", "who": {"users": keys}, "change": "removeLine"});
    stage.control().edit(&gone).await.unwrap();
    keys
}

/// Until so many users are retained because nobody calls for them.
async fn in_grace(stage: &Stage, count: usize) {
    let retained = async || stage.standing().await.values().filter(|(state, _)| state == "Retained").count() == count;
    stage.advance_until("they are in their grace period", "1m", 60, retained).await;
}

/// More leave than the guard allows; until the run waits for a decision.
async fn held(stage: &Stage) -> String {
    leave(stage, 8).await;
    let waits = async || waiting(stage).await.is_some();
    stage.advance_until("the run waits for a decision", "2m", 90, waits).await;
    waiting(stage).await.unwrap()
}

/// The Disconnect run that waits for a decision.
async fn waiting(stage: &Stage) -> Option<String> {
    stage.waiting_run().await.map(|(name, _)| name)
}

async fn kubectl(stage: &Stage, args: &[&str]) -> String {
    let plane = harness::control_plane().await;
    let namespace = ["--namespace", stage.environment.namespace()];
    plane.kubectl_stdout(&[&namespace, args].concat()).await.unwrap()
}

pub(crate) async fn are_gone(stage: &Stage, kinds: &[&str]) {
    for kind in kinds {
        let api = objects::api(stage.environment.client(), stage.environment.namespace(), kind).unwrap();
        let gone = |objects: &objects::Objects| objects.is_empty().then_some(());
        objects::wait(&api, "all are gone", Duration::from_mins(2), gone).await.unwrap();
    }
}

/// Empties the status of every object of ours.
async fn wipe_status(stage: &Stage) {
    for kind in KINDS {
        let api = objects::api(stage.environment.client(), stage.environment.namespace(), kind).unwrap();
        for name in stage.environment.list(kind).await.unwrap().into_keys() {
            let mut object = api.get(&name).await.unwrap();
            object.data.as_object_mut().unwrap().remove("status");
            let stored = api.replace_status(&name, &PostParams::default(), &object).await.unwrap();
            // The default of the schema is all that is left.
            assert_eq!(stored.data["status"].get("conditions"), None, "{kind}/{name}");
        }
    }
}

/// R10, T40: with every status of ours lost, nobody loses service and nothing is sent for anybody: pins, marks and the grace period
/// come from the specs. The end state is the same, and the grace period ends when it would have.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_status_takes_service_from_nobody() {
    let stage = connected("status", "5m").await;
    let gone = leave(&stage, 1).await;
    in_grace(&stage, 1).await;
    stage.rest().await;
    let (before, standing) = (specs(&stage).await, stage.standing().await);
    let (counters, runs) = (stage.get("usp", POLICY).await["status"]["counters"].clone(), run_names(&stage).await);
    assert_eq!(marks(&before).len() as u64, PEOPLE);
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    stage.environment.operator().terminate().await.unwrap();
    wipe_status(&stage).await;
    stage.environment.operator().start_ready().await.unwrap();
    readings(&stage, 3).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
    assert_eq!(specs(&stage).await, before);
    assert_eq!(stage.standing().await, standing);
    assert_eq!(
        (stage.get("usp", POLICY).await["status"]["counters"].clone(), run_names(&stage).await),
        (counters, runs)
    );
    let removed = async || {
        stage.sign_in().await;
        is_removed(&stage, &gone[0]).await
    };
    stage.advance_until("the one who is gone is removed", "1m", 60, removed).await;
    // Somebody else may have the license by now.
    let (mut kept, managed) = (marks(&before), marks(&specs(&stage).await));
    assert!(!managed.contains_key(&format!("{POLICY}-{}", gone[0])));
    kept.remove(&format!("{POLICY}-{}", gone[0]));
    assert!(kept.iter().all(|(name, marks)| managed.get(name) == Some(marks)), "nobody else");
}

/// Whether the user is removed, number and all.
async fn is_removed(stage: &Stage, key: &str) -> bool {
    stage.standing().await[&format!("{POLICY}-{key}")].0 == "Removed"
}

async fn run_names(stage: &Stage) -> Vec<String> {
    stage.environment.list("usrun").await.unwrap().into_keys().collect()
}

/// R11, T40: deleting every user object and every run removes nobody. They are found again at the connector by their id as added,
/// nothing is sent for who is there, and for who is gone the grace period begins anew. Nor is the guard's allowance given back (R1):
/// removals rest until its window has passed.
#[tokio::test(flavor = "multi_thread")]
async fn deleted_objects_are_not_people() {
    let stage = connected("deleted", "5m").await;
    let gone = leave(&stage, 1).await;
    in_grace(&stage, 1).await;
    let (before, standing) = (specs(&stage).await, stage.standing().await);
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    kubectl(&stage, &["delete", "usrun,tcu", "--all"]).await;
    let all = async || stage.standing().await == standing;
    stage.advance_until("everybody is found again", "1m", 30, all).await;
    let found = specs(&stage).await;
    assert_eq!(marks(&found), marks(&before));
    assert!(marks(&found).values().all(|marks| marks[2] == "Added"));
    readings(&stage, 3).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
    assert_eq!(stage.standing().await, standing);
    assert_eq!(run_names(&stage).await, Vec::<String>::new(), "nothing is planned for who is there");
    let since = |specs: &BTreeMap<String, Value>| {
        specs.values().find_map(|spec| spec["unmatchedSince"].as_str().map(str::to_owned)).unwrap()
    };
    assert!(since(&specs(&stage).await) > since(&before), "the grace period begins anew");
    let rests = async || reason(&stage.get("usp", POLICY).await, "Ready") == Some("RemovalsResting");
    stage.advance_until("removals rest", "2m", 60, rests).await;
    let ahead = stage.full_readings().await + 3;
    let read = async || stage.full_readings().await >= ahead;
    stage.advance_until("the sources are read", "1m", 60, read).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    stage.patch("tca", ACCOUNT, &json!({"spec": {"interval": "3h"}})).await;
    let removed = async || {
        stage.sign_in().await;
        is_removed(&stage, &gone[0]).await
    };
    stage.advance_until("a window later the one who is gone is removed", "1h", 40, removed).await;
}

/// R11, T40, Orphan: a policy that is deleted in the foreground while more than the guard allows wait for a decision ends at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_deleted_in_the_foreground_disconnects_nobody() {
    let stage = connected("foreground", "5m").await;
    held(&stage).await;
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    kubectl(&stage, &["delete", "usp", POLICY, "--cascade=foreground", "--wait=false"]).await;
    are_gone(&stage, &["usp", "tcu", "usrun"]).await;
    let before = stage.full_readings().await;
    let read = async || stage.full_readings().await >= before + 3;
    stage.advance_until("the account is read on", "1m", 60, read).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
}

/// A namespace of its own for the objects: the operator, its account and its rights outlive it.
pub(crate) struct Branch {
    pub(crate) stage: Stage,
    pub(crate) namespace: String,
}

impl Branch {
    /// The operator serves both namespaces; that of the objects goes with everything in it, so its rights are the cluster's.
    pub(crate) async fn open(name: &str) -> Self {
        let namespace = harness::new_namespace(&format!("{name}-branch")).await;
        let stage = prepare_with(name, |setup| {
            setup.values = json!({"watchNamespaces": [namespace.clone(), setup.namespace.clone()]});
        })
        .await;
        let branch = Self { stage, namespace };
        branch.grant().await;
        let mut samples = samples(&branch.stage, "5m");
        for sample in &mut samples {
            sample.metadata.namespace = Some(branch.namespace.clone());
        }
        branch.stage.environment.apply(&samples).await.unwrap();
        branch.stage.environment.operator().start_ready().await.unwrap();
        branch
    }

    /// What an installation for the whole cluster grants.
    async fn grant(&self) {
        let release = self.stage.environment.release();
        let account = &self.stage.environment.operator().rendered().service_account;
        let role = release.of_kind("Role").find(|role| role.metadata.name.as_ref() == Some(account)).unwrap();
        let (own, name) = (self.stage.environment.namespace(), format!("operator-{}", self.namespace));
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": role.data["rules"],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": own}],
        });
        for document in [role, binding] {
            self.stage.environment.apply_yaml(&document.to_string()).await.unwrap();
        }
    }

    pub(crate) async fn list(&self, kind: &str) -> objects::Objects {
        objects::list(&objects::api(self.stage.environment.client(), &self.namespace, kind).unwrap()).await.unwrap()
    }

    /// Until everybody is connected.
    pub(crate) async fn finish(&self) {
        let all = async || {
            self.sign_in().await;
            let policy = self.list("usp").await.remove(POLICY).unwrap();
            condition(&policy, "Ready") == Some("True") && policy["status"]["users"]["connected"] == PEOPLE
        };
        self.stage.advance_until("everybody is connected", "30s", 90, all).await;
    }

    async fn sign_in(&self) {
        let account = self.list("tca").await.remove(ACCOUNT).unwrap();
        let links = account["status"]["pendingActions"].as_array().into_iter().flatten();
        let links = links.filter_map(|action| action["link"].as_str());
        for link in links.filter(|link| link.starts_with(self.stage.control().url())) {
            drop(self.stage.control().click(link).await);
        }
    }
}

/// R11, T41, Orphan: a namespace is deleted while more than the guard allows wait for a decision, its Secrets maybe first. It ends
/// at once, and nobody is disconnected.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_ends_and_disconnects_nobody() {
    let branch = Branch::open("namespace").await;
    let stage = &branch.stage;
    branch.finish().await;
    let users = branch.list("tcu").await;
    let keys: Vec<_> = users.values().filter(|user| user["status"]["state"] == "Connected").take(8).collect();
    let keys: Vec<_> = keys.into_iter().map(|user| user["spec"]["gotoUserKey"].clone()).collect();
    let gone = json!({"edit": "each", "who": {"users": keys}, "change": "removeLine"});
    stage.control().edit(&gone).await.unwrap();
    let waits = async || branch.list("usrun").await.values().any(|run| run["status"]["state"] == "AwaitingApproval");
    stage.advance_until("the run waits for a decision", "2m", 90, waits).await;
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    let plane = harness::control_plane().await;
    plane.kubectl_stdout(&["delete", "namespace", &branch.namespace, "--timeout=2m"]).await.unwrap();
    stage.advance("1h").await;
    assert_eq!(asked(stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
}

/// Our objects as a backup keeps them: spec and metadata, without status and without what the API server sets.
async fn backup(stage: &Stage, kinds: &[&str]) -> Vec<DynamicObject> {
    let mut kept = Vec::new();
    for kind in kinds {
        let api = objects::api(stage.environment.client(), stage.environment.namespace(), kind).unwrap();
        for name in stage.environment.list(kind).await.unwrap().into_keys() {
            let mut object = api.get(&name).await.unwrap();
            object.data.as_object_mut().unwrap().remove("status");
            let metadata = &mut object.metadata;
            (metadata.uid, metadata.resource_version, metadata.owner_references) = (None, None, None);
            (metadata.managed_fields, metadata.creation_timestamp, metadata.generation) = (None, None, None);
            kept.push(object);
        }
    }
    kept
}

async fn restore(stage: &Stage, objects: &[DynamicObject]) {
    for object in objects {
        let kind = object.types.as_ref().unwrap().kind.as_str();
        let short = match kind {
            "TeamsConnectorAccount" => "tca",
            "UserSyncPolicy" => "usp",
            "UserSyncRun" => "usrun",
            "TeamsConnectorUser" => "tcu",
            other => panic!("{other}"),
        };
        let api = objects::api(stage.environment.client(), stage.environment.namespace(), short).unwrap();
        api.create(&PostParams::default(), object).await.unwrap();
    }
}

/// R10, R11, T40: everything of ours is deleted while the operator runs and restored without status, users and runs before their
/// policy: the same pins, marks and end state, and nothing is sent for anybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_ends_as_before() {
    let stage = connected("restored", "5m").await;
    leave(&stage, 1).await;
    in_grace(&stage, 1).await;
    stage.rest().await;
    let kept = backup(&stage, &["tcu", "usrun", "usp", "tca"]).await;
    let (before, standing, runs) = (specs(&stage).await, stage.standing().await, run_names(&stage).await);
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    kubectl(&stage, &["delete", "usp,tca", "--all"]).await;
    are_gone(&stage, &KINDS).await;
    restore(&stage, &kept).await;
    stage.observed("usp", POLICY).await;
    readings(&stage, 3).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
    assert_eq!(specs(&stage).await, before);
    assert_eq!(stage.standing().await, standing);
    assert_eq!(run_names(&stage).await, runs);
}

/// R6, R10: a run that somebody approved and whose status is lost ends Superseded: an approval is not revived by a restore. Those who
/// are gone are planned anew and wait for a new decision.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_does_not_survive_its_status() {
    let stage = connected("decided", "5m").await;
    let run = held(&stage).await;
    stage.environment.operator().terminate().await.unwrap();
    stage.patch("usrun", &run, &json!({"spec": {"decision": "Approve", "decidedBy": "maria"}})).await;
    let kept = backup(&stage, &["tca", "usp", "usrun", "tcu"]).await;
    let before = specs(&stage).await;
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    for (kind, name) in [("usp", POLICY), ("tca", ACCOUNT)] {
        stage.patch(kind, name, &json!({"metadata": {"finalizers": null}})).await;
    }
    kubectl(&stage, &["delete", "tca,usp,usrun,tcu", "--all"]).await;
    are_gone(&stage, &KINDS).await;
    restore(&stage, &kept).await;
    stage.environment.operator().start_ready().await.unwrap();
    let superseded = async || stage.get("usrun", &run).await["status"]["state"] == "Superseded";
    stage.advance_until("the approved run ends", "1m", 60, superseded).await;
    stage.advance_until("a new run waits", "1m", 60, async || waiting(&stage).await.is_some()).await;
    let ahead = stage.full_readings().await + 3;
    let read = async || stage.full_readings().await >= ahead;
    stage.advance_until("the sources are read", "1m", 60, read).await;
    assert_ne!(waiting(&stage).await.unwrap(), run);
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
    assert_eq!(specs(&stage).await, before);
}

fn orphan(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "teamsconnector.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// What belongs to a policy that was never there.
async fn make_orphans(stage: &Stage) {
    let user = json!({"policyRef": {"name": "nobody"}, "gotoUserKey": "2", "managed": "Added", "firstSeen": "2026-01-05T08:01:48Z"});
    let hash = format!("sha256:{}", "0b".repeat(32));
    let run = json!({
        "policyRef": {"name": "nobody"}, "type": "Disconnect", "createdAt": "2026-01-05T08:01:48Z",
        "policyHash": hash, "planHash": hash, "decision": "Approve",
        "actions": [{"user": "2", "op": "Delete", "args": {}, "expected": {"inConnector": true}}],
    });
    for document in [orphan("TeamsConnectorUser", "nobody-2", &user), orphan("UserSyncRun", "nobody-0b0b0b0b-1", &run)]
    {
        stage.environment.apply_yaml(&document.to_string()).await.unwrap();
    }
}

/// T9: runs and users whose policy does not exist go within 24 h, those of a living policy stay. When the policy vanishes without
/// its finalizer, so do they. Nothing is sent for anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_outlives_its_policy_is_swept_within_a_day() {
    let stage = connected("sweep", "5m").await;
    stage.read_every("3h").await;
    let (specs_before, runs) = (specs(&stage).await, run_names(&stage).await);
    let (hash, sequence) =
        (stage.control().state_hash().await.unwrap(), stage.control().last_sequence().await.unwrap());
    make_orphans(&stage).await;
    // The stores are looked through in real time.
    tokio::time::sleep(Duration::from_secs(20)).await;
    stage.advance("4h").await;
    assert!(stage.environment.get("tcu", "nobody-2").await.is_ok(), "a restore has time");
    let swept = async || specs(&stage).await == specs_before && run_names(&stage).await == runs;
    stage.advance_until("what nobody owns is gone", "1h", 19, swept).await;
    stage.advance("5h").await;
    assert_eq!((specs(&stage).await, run_names(&stage).await), (specs_before, runs), "those of the policy stay");

    stage.environment.operator().terminate().await.unwrap();
    stage.patch("usp", POLICY, &json!({"metadata": {"finalizers": null}})).await;
    stage.delete("usp", POLICY).await;
    stage.environment.operator().start_ready().await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let swept = async || specs(&stage).await.is_empty() && run_names(&stage).await.is_empty();
    stage.advance_until("what outlived the policy is gone", "1h", 24, swept).await;
    assert_eq!(asked(&stage, sequence).await, Vec::<String>::new());
    assert_eq!(stage.control().state_hash().await.unwrap(), hash);
    assert_eq!(condition(&stage.get("tca", ACCOUNT).await, "Ready"), Some("True"));
}

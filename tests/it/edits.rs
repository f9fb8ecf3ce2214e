//! Changes to what the operator was told: an endpoint, the namespaces it serves; and a connector that takes no writes.

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::harness;
use crate::leaving::{open, pairs};
use crate::stage::{ACCOUNT, POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
const UNBIND: &str = "/accounts/{accountKey}/pbxs/{organizationId}";
const USERS: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users";

/// Batches that the connector answered well since then.
async fn batches(stage: &Stage, since: u64) -> usize {
    let calls = stage.control().writes_since(since).await.unwrap();
    calls.iter().filter(|call| call["route"] == BATCH).count()
}

async fn fails(stage: &Stage, method: &str, route: &str) {
    let rule = json!([{"match": {"method": method, "route": route}, "then": {"status": {"code": 503}}}]);
    stage.control().add_faults(&rule).await.unwrap();
}

async fn run(stage: &Stage) -> Option<Value> {
    stage.environment.list("usrun").await.unwrap().into_values().next()
}

/// R16: what was read elsewhere is no ground for a write. A connector that takes no writes is shown on run and policy, the run
/// stays open and ends once it does again.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_endpoint_holds_writes_until_it_was_read() {
    let stage = Stage::prepare("endpoint").await;
    fails(&stage, "POST", BATCH).await;
    stage.start("10m").await;
    let refused = async || run(&stage).await.is_some_and(|run| run["status"]["refusal"]["count"].as_u64() > Some(1));
    stage.advance_until("batches are refused", "10s", 90, refused).await;
    stage.advance("1s").await;
    let open = run(&stage).await.unwrap();
    assert_eq!((reason(&open, "Reconciling"), condition(&open, "Ready")), (Some("Running"), Some("False")));
    assert_eq!(open["status"]["refusal"]["reason"], "ConnectorUnreachable");
    let policy = stage.get("usp", POLICY).await;
    assert_eq!(reason(&policy, "Reconciling"), Some("AccountNotReady"), "{policy}");

    stage.patch("usp", POLICY, &json!({"spec": {"suspend": true}})).await;
    stage.observed("usp", POLICY).await;
    stage.control().clear_faults().await.unwrap();
    stage.advance("25m").await;
    fails(&stage, "GET", USERS).await;
    let sequence = stage.control().last_sequence().await.unwrap();
    let endpoint = stage.get("tca", ACCOUNT).await["spec"]["connector"]["api"]["endpoint"].as_str().unwrap().to_owned();
    let moved = json!({"spec": {"connector": {"api": {"endpoint": format!("{endpoint}/")}}}});
    stage.patch("tca", ACCOUNT, &moved).await;
    stage.patch("usp", POLICY, &json!({"spec": {"suspend": false}})).await;
    stage.observed("usp", POLICY).await;
    stage.advance("25m").await;
    assert_eq!(batches(&stage, sequence).await, 0, "written before the connector's users were read");
    stage.control().clear_faults().await.unwrap();
    stage.finish(2).await;
    assert_eq!(stage.environment.list("usrun").await.unwrap().len(), 1, "resumed, not planned anew");
}

/// The PBXs of the account's spec from now on.
async fn list(stage: &Stage, pbxs: &[Value]) {
    stage.patch("tca", ACCOUNT, &json!({"spec": {"pbxs": pbxs}})).await;
    stage.observed("tca", ACCOUNT).await;
}

async fn unbound(stage: &Stage) -> usize {
    let calls = stage.control().writes_since(0).await.unwrap();
    calls.iter().filter(|call| call["method"] == "DELETE" && call["route"] == UNBIND).count()
}

/// R16: a PBX that is taken from the list stays bound while somebody of it is connected, and it is said why; nobody else notices. Once
/// nobody is, it is unbound, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_pbx_that_is_taken_from_the_list_stays_bound_while_it_is_in_use() {
    let stage = open("dropped", 3, 2, json!({"action": "Retain"}), false).await;
    let head = stage.get("tca", ACCOUNT).await["spec"]["pbxs"][0].clone();
    let (organization, user) = ("99999999-9999-4999-8999-0000000000ee", "8888888888800000001");
    let edits = json!([
        {"edit": "addPbx", "organization": organization, "name": "Branch", "licenses": 2},
        {"edit": "addGotoUser", "organization": organization, "key": user, "email": "other@contoso.example", "extension": "7001", "number": null},
    ]);
    stage.control().edit(&edits).await.unwrap();
    list(&stage, &[head.clone(), json!({"organizationId": organization, "displayName": "Branch"})]).await;
    let bound = async || stage.get("tca", ACCOUNT).await["status"]["pbxs"][1]["bound"] == true;
    stage.advance_until("the second PBX is bound", "1m", 30, bound).await;
    let pair = json!({"organization": organization, "edit": "addPair", "user": user, "teamsUser": "user00003@contoso.example"});
    stage.control().edit(&pair).await.unwrap();
    let all = pairs(&stage).await;

    list(&stage, &[head]).await;
    let told = async || {
        let account = stage.get("tca", ACCOUNT).await;
        reason(&account, "PbxsBound") == Some("PbxInUse") && account["status"]["pbxs"][1]["users"] == 1
    };
    stage.advance_until("it is told that the PBX is in use", "1m", 30, told).await;
    stage.advance("30m").await;
    let account = stage.get("tca", ACCOUNT).await;
    assert_eq!((condition(&account, "PbxsBound"), unbound(&stage).await), (Some("True"), 0));
    assert_eq!(condition(&stage.get("usp", POLICY).await, "Ready"), Some("True"));

    stage.control().edit(&json!({"edit": "removePair", "organization": organization, "user": user})).await.unwrap();
    let forgotten =
        async || stage.get("tca", ACCOUNT).await["status"]["pbxs"].as_array().is_some_and(|pbxs| pbxs.len() == 1);
    stage.advance_until("the PBX is unbound", "5m", 12, forgotten).await;
    stage.advance("30m").await;
    assert_eq!((unbound(&stage).await, reason(&stage.get("tca", ACCOUNT).await, "PbxsBound")), (1, Some("Succeeded")));
    let others = all.0.into_iter().filter(|key| key != user).collect();
    assert_eq!(pairs(&stage).await.0, others);
}

/// A namespace that is served no longer exists: the others go on, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_goes_away_stops_no_other() {
    let other = harness::new_namespace("goes-away").await;
    let stage = Stage::prepare_with("stays", |setup| {
        setup.values = json!({"watchNamespaces": [other.clone(), setup.namespace.clone()]});
    })
    .await;
    stage.connect("10m").await;
    let plane = harness::control_plane().await;
    plane.kubectl_stdout(&["delete", "namespace", &other, "--wait"]).await.unwrap();
    stage.environment.operator().terminate().await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    stage.control().edit(&json!({"edit": "setLicenses", "total": 3})).await.unwrap();
    stage.finish(3).await;
}

/// R16: a connector that lists none of the connected users may be another one. Nobody is added there before a person has said so;
/// then everybody is added again.
#[tokio::test(flavor = "multi_thread")]
async fn a_connector_without_the_connected_users_is_not_written() {
    let stage = Stage::prepare("strange").await;
    stage.connect("5m").await;
    stage.advance("15m").await;
    let removed = json!({"edit": "each", "who": {"among": "connected"}, "change": "removePair"});
    stage.control().edit(&json!([removed, {"edit": "setLicenses", "total": 3}])).await.unwrap();
    let sequence = stage.control().last_sequence().await.unwrap();
    let asks = async || reason(&stage.get("usp", POLICY).await, "ActionRequired") == Some("ConnectorStrange");
    stage.advance_until("a person is asked", "1m", 40, asks).await;
    stage.advance("30m").await;
    assert_eq!(stage.control().writes_since(sequence).await.unwrap(), Vec::<Value>::new());
    let request = json!({"metadata": {"annotations": {"teamsconnector.dev/requestedAt": "it is the right one"}}});
    stage.patch("usp", POLICY, &request).await;
    stage.finish(3).await;
}

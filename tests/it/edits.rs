//! Changes to what the operator was told: an endpoint, the namespaces it serves; and a connector that takes no writes.

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::harness;
use crate::stage::{ACCOUNT, POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
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

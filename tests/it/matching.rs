//! The manual process: rows that say who is the same person, and what becomes of those who are connected when rows change.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::reason;

use crate::harness;
use crate::leaving::{disconnect, in_state, pairs, prepare};
use crate::stage::{POLICY, Stage};

const USER: &str = "user00002@contoso.example";
const SECOND: &str = "99999999-9999-4999-8999-000000000002";

/// What was changed at the connector since then, in order: batches of a run, and what the connector synchronises: imports and pushes.
async fn changes(stage: &Stage, since: u64) -> Vec<&'static str> {
    let calls = stage.control().writes_since(since).await.unwrap();
    let ours = calls.iter().filter(|call| call["api"] == "connector" && call["method"] == "POST");
    let word = |call: &Value| match call["route"].as_str().unwrap() {
        "/accounts/{accountKey}/pbxs/{organizationId}/users:batch" => Some("batch"),
        "/accounts/{accountKey}/syncs" => Some("sync"),
        _ => None,
    };
    ours.filter_map(word).collect()
}

async fn user(stage: &Stage) -> Value {
    let users = stage.environment.list("tcu").await.unwrap();
    users.into_values().find(|user| user["status"]["gotoEmail"] == USER).unwrap()
}

async fn rows(stage: &Stage, entries: Value) {
    stage.patch("usp", POLICY, &json!({"spec": {"matching": {"manual": {"entries": entries}}}})).await;
    stage.observed("usp", POLICY).await;
}

async fn column(stage: &Stage, path: &str) -> String {
    let output = format!("jsonpath={path}");
    let plane = harness::control_plane().await;
    let arguments = ["-n", stage.environment.namespace(), "get", "usp", POLICY, "-o", &output];
    plane.kubectl_stdout(&arguments).await.unwrap()
}

/// R13, R16, R20: a row connects whom the addresses do not match; a row that names nobody is told and takes nobody's service. The
/// row that names another person waits until that one could be connected, for the grace period and a decision; then calls, pair and number go in this order, and only
/// after the push that frees the number the new pair is put with it.
#[tokio::test(flavor = "multi_thread")]
async fn rows_connect_and_an_edited_row_exchanges_in_order() {
    let stage = prepare("rows", 4, 4, false).await;
    let renamed = json!({"edit": "renameTeamsUser", "teamsUser": USER, "userPrincipalName": "zwei@contoso.example", "mail": "zwei@contoso.example"});
    let second =
        json!({"edit": "addTeamsUser", "id": SECOND, "userPrincipalName": "drei@contoso.example", "skus": ["SPE_E5"]});
    stage.control().edit(&json!([renamed, second])).await.unwrap();
    stage.start("10m").await;
    let guard = json!({"maxPercent": 1, "alwaysAllow": 0});
    let removal = json!({"action": "Remove", "gracePeriod": "1h", "guard": guard});
    stage.patch("usp", POLICY, &json!({"spec": {"removal": removal}})).await;
    let nobody = json!({"goto": "nobody@contoso.example", "teams": "user00001@contoso.example"});
    rows(&stage, json!([{"goto": USER, "teams": "Zwei@Contoso.example"}, nobody])).await;
    stage.finish(4).await;
    let before = user(&stage).await;
    assert_eq!((&before["spec"]["matchedBy"], &before["status"]["state"]), (&json!("Manual"), &json!("Connected")));
    assert_eq!(column(&stage, "{.status.mapping.accepted} {.status.mapping.rejected}").await, "1 1");
    let told = "{.status.mapping.rejections[0].source} {.status.mapping.rejections[0].line} {.status.mapping.rejections[0].reason}";
    assert_eq!(column(&stage, told).await, "Entries 2 NoGotoUser");
    assert_eq!(reason(&stage.get("usp", POLICY).await, "InSync"), Some("InvalidMapping"));

    let (everybody, _) = pairs(&stage).await;
    let since = stage.control().last_sequence().await.unwrap();
    let extension = before["status"]["extension"].clone();
    rows(&stage, json!([{"goto": extension, "teams": "drei@contoso.example"}, nobody])).await;
    let shows = async |reason: &str| user(&stage).await["status"]["reason"] == reason;
    let unready = async || shows("LicensePropagating").await;
    stage.advance_until("the new person cannot be connected yet", "1m", 15, unready).await;
    assert_eq!(user(&stage).await["status"]["state"], "Connected");
    let waits = async || shows("ExchangePending").await;
    stage.advance_until("the exchange is in grace", "5m", 30, waits).await;
    let asks = async || disconnect(&stage).await.is_some_and(|run| run["status"]["state"] == "AwaitingApproval");
    stage.advance_until("the run waits for a decision", "5m", 20, asks).await;
    stage.advance("30m").await;
    assert_eq!(pairs(&stage).await, (everybody.clone(), BTreeSet::new()));
    assert_eq!(changes(&stage, since).await, Vec::<&str>::new(), "nothing before the decision");

    let run = disconnect(&stage).await.unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    stage.patch("usrun", &run, &json!({"spec": {"decision": "Approve", "decidedBy": "maria"}})).await;
    let exchanged = async || {
        stage.sign_in().await;
        let user = user(&stage).await;
        user["spec"]["teamsUserId"] == SECOND && user["status"]["state"] == "Connected"
    };
    stage.advance_until("the new pair is connected", "1m", 120, exchanged).await;
    // Disable, delete, push; an import that knows the new Microsoft user; put, push.
    assert_eq!(changes(&stage, since).await, ["batch", "batch", "sync", "sync", "batch", "sync"]);
    let after = user(&stage).await;
    assert_eq!(after["status"]["phoneNumber"], before["status"]["phoneNumber"]);
    assert_eq!(in_state(&stage, "Connected").await, everybody);
    assert_eq!((&after["spec"]["unmatchedSince"], &after["spec"]["leaving"]), (&Value::Null, &Value::Null));
    stage.rest().await;
    assert_eq!(stage.get("usrun", &run).await["status"]["state"], "Applied");
}

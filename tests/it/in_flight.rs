//! A run is stopped while a batch of it is on its way.

use std::time::Duration;

use serde_json::{Value, json};
use teams_connector_operator::devenv::proxy::Call;

use crate::leaving::{happens, pairs};
use crate::stage::{POLICY, Stage};

/// As the proxy names it.
const BATCH: &str = "POST /accounts/{id}/pbxs/{id}/users:batch";
/// Milliseconds that a batch takes: long enough to see it, and to let everybody know of an edit.
const SLOW: u64 = 3_000;

/// Every batch takes so long that it is seen on its way.
pub(crate) fn slow() -> Value {
    let matches = json!({"api": "connector", "method": "POST", "route": "/accounts/{accountKey}/pbxs/{organizationId}/users:batch"});
    json!([{"match": matches, "then": {"delay": {"ms": SLOW}}}])
}

pub(crate) fn batches(stage: &Stage) -> Vec<Call> {
    let calls = stage.environment.proxy("connector").unwrap().calls();
    calls.into_iter().filter(|call| call.route == BATCH).collect()
}

/// Until a batch is on its way; how many there were until then.
async fn in_flight(stage: &Stage) -> usize {
    in_flight_after(stage, 0).await
}

/// The same for one after so many. Time does not move on before a call is answered, so that it is looked for meanwhile.
pub(crate) async fn in_flight_after(stage: &Stage, before: usize) -> usize {
    let seen = async {
        loop {
            let sent = batches(stage);
            if sent.len() > before && sent.last().is_some_and(|call| call.status.is_none()) {
                return sent.len();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let time = async {
        for _ in 0..800 {
            stage.sign_in().await;
            stage.advance("5s").await;
        }
    };
    tokio::select! {
        sent = seen => sent,
        () = time => panic!("no batch is sent"),
    }
}

/// The newest run of a type.
async fn newest(stage: &Stage, kind: &str) -> Value {
    let runs = stage.environment.list("usrun").await.unwrap();
    let of_kind = runs.into_values().filter(|run| run["spec"]["type"] == kind);
    of_kind.max_by_key(|run| run["spec"]["createdAt"].as_str().unwrap().to_owned()).unwrap()
}

/// Suspends the policy while a batch is on its way: it is the last one until the policy is resumed, and the run goes on as it was.
async fn suspended(stage: &Stage, kind: &str) {
    let sent = in_flight(stage).await;
    let run = newest(stage, kind).await["metadata"]["name"].clone();
    stage.patch("usp", POLICY, &json!({"spec": {"suspend": true}})).await;
    let seen = async || {
        let policy = stage.get("usp", POLICY).await;
        policy["status"]["observedGeneration"] == policy["metadata"]["generation"]
    };
    stage.advance_until("the suspension is seen", "5s", 120, seen).await;
    stage.advance("30m").await;
    assert_eq!(batches(stage).len(), sent, "{kind}: sent while suspended");
    stage.patch("usp", POLICY, &json!({"spec": {"suspend": false}})).await;
    in_flight(stage).await;
    assert_eq!(newest(stage, kind).await["metadata"]["name"], run, "{kind}: resumed, not planned anew");
}

/// Edits the policy while a batch is on its way: nothing more is done by that run.
async fn edited(stage: &Stage, kind: &str, edit: &Value) {
    in_flight(stage).await;
    let run = newest(stage, kind).await["metadata"]["name"].as_str().unwrap().to_owned();
    let done = async || {
        let status = stage.get("usrun", &run).await["status"].clone();
        status["outcome"]["applied"].as_u64().unwrap_or(0)
    };
    let before = done().await;
    stage.patch("usp", POLICY, &json!({"spec": edit})).await;
    let ended = async || stage.get("usrun", &run).await["status"]["state"] == "Superseded";
    stage.advance_until("the run of the old spec ends", "5s", 60, ended).await;
    assert!(done().await <= before + BATCH_SIZE, "{kind}: more than the batch in flight");
}

const BATCH_SIZE: u64 = 4;

/// R22, T42: suspend and an edit stop a run that connects and one that disconnects after the batch in flight. No further call is
/// sent; resumed, the run goes on, and after an edit another one ends what was begun.
#[tokio::test(flavor = "multi_thread")]
async fn suspend_and_an_edit_stop_a_run_after_the_batch_in_flight() {
    let stage = Stage::prepare_with("in-flight", |setup| {
        setup.proxied = true;
        let at = setup.simulator.iter().position(|flag| flag == "--demo").unwrap();
        let world = ["--users", "24", "--licenses", "24", "--unmatched", "0"].map(str::to_owned);
        setup.simulator.splice(at..=at, world);
    })
    .await;
    stage.control().add_faults(&slow()).await.unwrap();
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    let removal = json!({"action": "Remove", "gracePeriod": "10m", "guard": guard});
    let spec = json!({"spec": {"rollout": {"batchSize": BATCH_SIZE}, "removal": removal}});
    stage.environment.apply(&stage.samples("10m")).await.unwrap();
    stage.patch("usp", POLICY, &spec).await;
    stage.environment.operator().start_ready().await.unwrap();
    suspended(&stage, "Connect").await;
    edited(&stage, "Connect", &json!({"historyLimit": 11})).await;
    stage.control().clear_faults().await.unwrap();
    stage.finish(24).await;

    let left = happens(&stage, json!({"drawn": 10, "seed": 5}), json!("deleteGotoUser")).await;
    let (before, _) = pairs(&stage).await;
    stage.control().add_faults(&slow()).await.unwrap();
    suspended(&stage, "Disconnect").await;
    edited(&stage, "Disconnect", &json!({"historyLimit": 12})).await;
    stage.control().clear_faults().await.unwrap();
    let gone = async || {
        stage.sign_in().await;
        pairs(&stage).await == (&before - &left, std::collections::BTreeSet::new())
    };
    stage.advance_until("what was begun is ended", "1m", 90, gone).await;
}

//! A decision covers exactly its run, and takes nothing from anybody who is still there.

use std::collections::BTreeSet;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use teams_connector_operator::devenv::objects;

use crate::leaving::{batches, happens, in_state, open, pairs};
use crate::stage::{POLICY, Stage};

/// The listing whose absences are believed when it agrees with itself.
const ADMIN: &str = "/admin/rest/v1/accounts/{accountKey}/users";

/// Until a run waits; its name.
async fn held(stage: &Stage) -> String {
    stage.advance_until("a run waits", "10m", 20, async || stage.waiting_run().await.is_some()).await;
    stage.waiting_run().await.unwrap().0
}

async fn approve(stage: &Stage, run: &str) {
    stage.patch("usrun", run, &json!({"spec": {"decision": "Approve", "decidedBy": "maria"}})).await;
}

/// So many further readings, complete or not.
async fn readings(stage: &Stage, count: u64) {
    let ahead = stage.full_readings().await + count;
    let made = async || stage.full_readings().await >= ahead;
    stage.advance_until("the sources are read", "10m", 30, made).await;
}

/// R5, R6: the actions of a run cannot be edited, before its approval or after; an approval of a superseded run does nothing; an
/// approved run takes nothing while GoTo answers 404 for want of a permission, and exactly its set afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_covers_its_run_and_nothing_else() {
    let guard = json!({"maxCount": 1, "alwaysAllow": 1});
    let stage = open("covers", 30, 30, json!({"action": "Remove", "gracePeriod": "1h", "guard": guard}), false).await;
    let (before, _) = pairs(&stage).await;
    let left = happens(&stage, json!({"drawn": 2, "seed": 3}), json!("deleteGotoUser")).await;
    let first = held(&stage).await;
    stage.patch("usp", POLICY, &json!({"spec": {"historyLimit": 11}})).await;
    let superseded = async || stage.get("usrun", &first).await["status"]["state"] == "Superseded";
    stage.advance_until("another spec ends the run", "1m", 20, superseded).await;
    let second = held(&stage).await;
    let since = stage.control().last_sequence().await.unwrap();
    approve(&stage, &first).await;
    readings(&stage, 3).await;
    assert_eq!((pairs(&stage).await, batches(&stage, since).await), ((before.clone(), BTreeSet::new()), 0));

    let access = |granted: bool| json!({"edit": "setGotoAccountAccess", "granted": granted});
    stage.control().edit(&access(false)).await.unwrap();
    is_frozen(&stage, &second, &before).await;
    approve(&stage, &second).await;
    is_frozen(&stage, &second, &before).await;
    readings(&stage, 3).await;
    assert_eq!((pairs(&stage).await, batches(&stage, since).await), ((before.clone(), BTreeSet::new()), 0));
    stage.control().edit(&access(true)).await.unwrap();
    let gone = async || {
        stage.sign_in().await;
        in_state(&stage, "Removed").await == left
    };
    stage.advance_until("the approved run is carried out", "2m", 60, gone).await;
    assert_eq!(pairs(&stage).await, (&before - &left, BTreeSet::new()));
}

/// The API server lets nobody put somebody else into the run.
async fn is_frozen(stage: &Stage, run: &str, others: &BTreeSet<String>) {
    let api = objects::api(stage.environment.client(), stage.environment.namespace(), "usrun").unwrap();
    let mut actions = stage.get("usrun", run).await["spec"]["actions"].clone();
    actions[0]["user"] = json!(others.first().unwrap());
    let edit = Patch::Merge(json!({"spec": {"actions": actions}}));
    let error = api.patch(run, &PatchParams::default(), &edit).await.unwrap_err();
    assert!(error.to_string().contains("a run is frozen"), "{error}");
}

/// R4, R5, T31: a listing lies for longer than the grace period, and somebody approves to disconnect all whom it hides: each is
/// looked up by id first, and found.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_of_a_lie_takes_service_from_nobody() {
    let stage = open("believed", 20, 20, json!({"action": "Remove", "gracePeriod": "20m"}), false).await;
    stage.rest().await;
    let (before, since) = (pairs(&stage).await, stage.control().last_sequence().await.unwrap());
    for (api, route, percent) in [("goto-admin", ADMIN, 10), ("goto-admin", ADMIN, 50)] {
        let lie = json!([{"match": {"api": api, "route": route}, "then": {"shorterList": {"percent": percent}}}]);
        stage.control().add_faults(&lie).await.unwrap();
        let run = held(&stage).await;
        approve(&stage, &run).await;
        let ended = async || stage.get("usrun", &run).await["status"]["finishedAt"].is_string();
        stage.advance_until("the run is at its end", "2m", 30, ended).await;
        let status = stage.get("usrun", &run).await["status"].clone();
        assert_eq!(
            (&status["state"], &status["failures"][0]["reason"]),
            (&json!("Superseded"), &json!("StillPresent"))
        );
        assert_eq!((pairs(&stage).await, batches(&stage, since).await), (before.clone(), 0), "{lie}");
        stage.control().clear_faults().await.unwrap();
        stage.advance("75m").await;
    }
    stage.rest().await;
    assert_eq!(in_state(&stage, "Connected").await, before.0);
}

//! R5: GoTo stops telling in the middle of a run, and what it says then looks like absence.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::in_flight::{batches, in_flight_after, slow};
use crate::leaving::{disconnect, happens, open, pairs};
use crate::stage::{POLICY, Stage};

/// Users of a batch.
const BATCH_SIZE: usize = 4;

/// Until the third batch of a run that removes is on its way, and answered: one batch of users is removed, one can no longer call.
async fn in_the_middle(stage: &Stage) -> usize {
    let from = batches(stage).len();
    stage.control().add_faults(&slow()).await.unwrap();
    for sent in from..from + 3 {
        in_flight_after(stage, sent).await;
    }
    from
}

/// Nothing is sent for three hours after the batch in flight.
async fn nothing_more(stage: &Stage, from: usize, before: &BTreeSet<String>) {
    while batches(stage).last().unwrap().status.is_none() {
        stage.advance("1s").await;
    }
    let (enabled, disabled) = pairs(stage).await;
    // The connector asks GoTo too: the batch in flight may be refused.
    let taken = before.len() - enabled.len();
    assert!(taken == BATCH_SIZE || taken == 2 * BATCH_SIZE, "{taken} cannot call");
    assert_eq!(taken - disabled.len(), BATCH_SIZE, "the first ones are removed");
    stage.advance("3h").await;
    assert_eq!(batches(stage).len(), from + 3, "sent on the strength of a look that nobody can trust");
    assert_eq!(pairs(stage).await, (enabled, disabled));
}

async fn until_removed(stage: &Stage, from: usize, rest: &BTreeSet<String>) {
    let gone = async || {
        stage.sign_in().await;
        let ended = async || disconnect(stage).await.is_some_and(|run| run["status"]["state"] == "Applied");
        pairs(stage).await == (rest.clone(), BTreeSet::new()) && ended().await
    };
    stage.advance_until("the run goes on to its end", "2m", 60, gone).await;
    let sent = batches(stage)[from..].iter().filter(|call| call.status == Some(200)).count();
    assert_eq!(sent, 6, "everybody once");
}

/// 24 people are connected, and ten of them leave.
async fn leaving(name: &str) -> (Stage, BTreeSet<String>, BTreeSet<String>) {
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    let stage = open(name, 24, 24, json!({"action": "Remove", "gracePeriod": "10m", "guard": guard}), true).await;
    stage.patch("usp", POLICY, &json!({"spec": {"rollout": {"batchSize": BATCH_SIZE}}})).await;
    stage.observed("usp", POLICY).await;
    let (before, _) = pairs(&stage).await;
    let left = happens(&stage, json!({"drawn": 10, "seed": 6}), json!("deleteGotoUser")).await;
    (stage, before, left)
}

/// R5: the operator's permission is withdrawn after the first users lost service: GoTo answers 404 for everything and everybody.
/// Nothing more is taken away, whoever is removed stays removed, and the run goes on when the permission is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_withdrawn_in_the_middle_of_a_run_stops_it() {
    let (stage, before, left) = leaving("withdrawn").await;
    let from = in_the_middle(&stage).await;
    let granted = |granted: bool| json!({"edit": "setGotoAccountAccess", "granted": granted});
    stage.control().edit(&granted(false)).await.unwrap();
    stage.control().clear_faults().await.unwrap();
    nothing_more(&stage, from, &before).await;
    stage.control().edit(&granted(true)).await.unwrap();
    until_removed(&stage, from, &(&before - &left)).await;
}

/// What GoTo says of users: lists that are empty, and nobody is found by id.
fn nobody() -> Vec<Value> {
    let rule = |api: &str, route: &str, then: &Value| json!({"match": {"api": api, "method": "GET", "route": route}, "then": then});
    let empty = json!({"shorterList": {"percent": 0}});
    vec![
        rule("goto-admin", "/admin/rest/v1/accounts/{accountKey}/users", &empty),
        rule("goto-api", "/users/v1/users", &empty),
        rule("goto-api", "/users/v1/users/{userKey}/lines", &json!({"status": {"code": 404}})),
    ]
}

/// R5: the same with complete lists that are empty, reading after reading, and 404 for everybody by id: those who never left are not
/// found either, so nobody is believed to be gone, though no guard would hold the run.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_found_in_the_middle_of_a_run_and_nobody_else_loses_anything() {
    let (stage, before, left) = leaving("nobody").await;
    let from = in_the_middle(&stage).await;
    stage.control().clear_faults().await.unwrap();
    stage.control().add_faults(&nobody()).await.unwrap();
    nothing_more(&stage, from, &before).await;
    stage.control().clear_faults().await.unwrap();
    until_removed(&stage, from, &(&before - &left)).await;
}

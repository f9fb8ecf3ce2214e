//! A GoTo user who is created again under another key is replaced in order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::leaving::{batches, disconnect, happens, in_state, open, pairs};
use crate::stage::{POLICY, Stage};

const SYNCS: &str = "/accounts/{accountKey}/syncs";

/// Everything about the pairs that a replacement must keep: number and external id by Microsoft user, and who may call.
pub(crate) async fn service(stage: &Stage) -> BTreeMap<String, Value> {
    let world = stage.control().world().await.unwrap();
    let connectors = world["connectors"].as_object().unwrap().values();
    let pbxs = connectors.flat_map(|connector| connector["pbxs"].as_object().unwrap().values());
    let pairs = pbxs.flat_map(|pbx| pbx["users"].as_object().unwrap().values());
    let shown = |pair: &Value| json!([pair["phoneNumber"], pair["externalId"], pair["enabled"], pair["provisioned"]]);
    pairs.map(|pair| (pair["teamsUser"].as_str().unwrap().to_owned(), shown(pair))).collect()
}

/// How many changes of pairs the connectors have seen.
pub(crate) async fn changes(stage: &Stage) -> u64 {
    let world = stage.control().world().await.unwrap();
    world["connectors"].as_object().unwrap().values().filter_map(|connector| connector["revision"].as_u64()).sum()
}

async fn pushes(stage: &Stage) -> usize {
    let world = stage.control().world().await.unwrap();
    let connectors = world["connectors"].as_object().unwrap().values();
    let runs = connectors.flat_map(|connector| connector["runs"].as_array().into_iter().flatten());
    runs.filter(|run| run["kind"] == "Push").count()
}

/// Somebody who is connected is created again; the old key.
pub(crate) async fn recreate(stage: &Stage, seed: usize) -> String {
    let gone = happens(stage, json!({"drawn": 1, "seed": seed}), json!("recreateGotoUser")).await;
    gone.into_iter().next().unwrap()
}

/// Moves time on until everybody is connected and these are removed.
async fn until_replaced(stage: &Stage, gone: &BTreeSet<String>, people: usize, what: &str) {
    for _ in 0..60 {
        stage.sign_in().await;
        let (removed, connected) = (in_state(stage, "Removed").await, in_state(stage, "Connected").await);
        if removed == *gone && connected.len() == people {
            return;
        }
        stage.advance("2m").await;
    }
    panic!("{what}: {:?}", stage.standing().await);
}

/// R9, R13: under `Retain`, without any grace period: calls are forbidden, the old pair is removed, the new key is put with the same
/// Microsoft user and number, by one run of one action and with one push. The simulator refuses any other order.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_is_created_again_is_replaced_in_order() {
    let stage = open("replaced", 12, 12, json!({"action": "Retain"}), false).await;
    stage.rest().await;
    let (before, served) = (pairs(&stage).await.0, service(&stage).await);
    let (since, changed, pushed) =
        (stage.control().last_sequence().await.unwrap(), changes(&stage).await, pushes(&stage).await);
    let old = recreate(&stage, 1).await;
    stage.advance_until("the run is there", "1m", 40, async || disconnect(&stage).await.is_some()).await;
    let written = async || changes(&stage).await - changed >= 3;
    stage.advance_until("the pairs are exchanged", "10s", 180, written).await;
    until_replaced(&stage, &[old.clone()].into(), 12, "replaced").await;
    stage.rest().await;
    let (now, disabled) = pairs(&stage).await;
    let new: Vec<&String> = now.difference(&before).collect();
    assert_eq!((now.len(), new.len(), now.contains(&old), disabled), (12, 1, false, BTreeSet::new()));
    assert_eq!(service(&stage).await, served, "same people, same numbers");
    assert_eq!(
        (batches(&stage, since).await, changes(&stage).await - changed, pushes(&stage).await - pushed),
        (3, 3, 1)
    );
    let run = disconnect(&stage).await.unwrap();
    let action = &run["spec"]["actions"][0];
    assert_eq!((&action["op"], &action["args"]["newUser"]), (&json!("Replace"), &json!(new[0])));
    assert_eq!((&run["status"]["state"], run["spec"]["actions"].as_array().unwrap().len()), (&json!("Applied"), 1));
    let policy = stage.get("usp", POLICY).await;
    assert_eq!(
        (&policy["status"]["removals"]["inWindow"], &policy["status"]["users"]["connected"]),
        (&json!(1), &json!(12))
    );
    let calls = stage.control().writes_since(since).await.unwrap();
    assert_eq!(calls.iter().filter(|call| call["route"] == SYNCS).count(), 1, "no import, one push");
}

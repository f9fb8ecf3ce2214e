//! R17: one bad user never blocks others, and many stop the run.

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::reason;

use crate::leaving::{in_state, key_of, prepare};
use crate::stage::{POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
const PEOPLE: u32 = 20;
/// Another PBX of the account, which the policy knows nothing of.
const OTHER: &str = "99999999-9999-4999-8999-0000000000ee";

/// Somebody of the other PBX.
fn other(number: u32) -> String {
    format!("88888888888{number:08}")
}

/// The connector will refuse these users one by one: each of their Microsoft users is paired with somebody in another PBX, where
/// no reading of the policy's PBX shows it.
async fn take(stage: &Stage, numbers: &[u32]) {
    let other_pbx =
        json!({"edit": "addPbx", "organization": OTHER, "name": "Other", "licenses": PEOPLE, "bound": true});
    let mut edits = vec![other_pbx];
    for number in numbers {
        let (user, email) = (other(*number), format!("other{number}@contoso.example"));
        let teams_user = format!("user{number:05}@contoso.example");
        let extension = (7000 + number).to_string();
        edits.push(json!({"edit": "addGotoUser", "organization": OTHER, "key": user, "email": email, "extension": extension, "number": null}));
        edits.push(json!({"edit": "addPair", "organization": OTHER, "user": user, "teamsUser": teams_user}));
    }
    stage.control().edit(&edits).await.unwrap();
}

async fn give_back(stage: &Stage, numbers: &[u32]) {
    let edit = |number: &u32| json!({"edit": "removePair", "organization": OTHER, "user": other(*number)});
    stage.control().edit(&numbers.iter().map(edit).collect::<Vec<_>>()).await.unwrap();
}

/// When each batch was sent.
async fn batches(stage: &Stage) -> Vec<Timestamp> {
    let journal = stage.control().journal("api=connector&since=0").await.unwrap();
    let calls = journal["calls"].as_array().unwrap().iter().filter(|call| call["route"] == BATCH);
    calls.map(|call| call["at"].as_str().unwrap().parse().unwrap()).collect()
}

/// The runs from old to new.
async fn runs(stage: &Stage) -> Vec<Value> {
    let mut runs: Vec<Value> = stage.environment.list("usrun").await.unwrap().into_values().collect();
    runs.sort_by_key(|run| run["spec"]["createdAt"].as_str().unwrap().to_owned());
    runs
}

fn outcome(run: &Value) -> [u64; 3] {
    ["applied", "failed", "remaining"].map(|field| run["status"]["outcome"][field].as_u64().unwrap_or(0))
}

/// When the policy tries again.
async fn next_attempt(stage: &Stage) -> Timestamp {
    let failure = stage.get("usp", POLICY).await["status"]["failure"].clone();
    failure["nextAttemptTime"].as_str().unwrap().parse().unwrap()
}

/// R17: one of 20 is refused: the other 19 are connected by the same run, the one is named, and he is connected when the cause is mended.
#[tokio::test(flavor = "multi_thread")]
async fn one_refused_user_blocks_nobody() {
    let stage = prepare("one-refused", PEOPLE, PEOPLE, false).await;
    take(&stage, &[7]).await;
    stage.start("10m").await;
    let others = async || {
        stage.sign_in().await;
        in_state(&stage, "Connected").await.len() == 19
    };
    stage.advance_until("the others are connected", "30s", 60, others).await;
    let first = runs(&stage).await.remove(0);
    assert_eq!((first["status"]["state"].as_str(), outcome(&first)), (Some("PartiallyApplied"), [19, 1, 0]), "{first}");
    assert_eq!(first["status"]["failures"][0]["user"], key_of(7));
    let users = stage.environment.list("tcu").await.unwrap();
    let refused = users.values().find(|user| user["spec"]["gotoUserKey"] == key_of(7)).unwrap();
    assert_eq!(
        (&refused["status"]["state"], &refused["status"]["reason"]),
        (&json!("Blocked"), &json!("TeamsUserTaken"))
    );
    give_back(&stage, &[7]).await;
    let healed = async || {
        stage.sign_in().await;
        in_state(&stage, "Connected").await.len() == 20
    };
    stage.advance_until("he is tried again by himself", "5m", 24, healed).await;
}

/// R17: of the first five three are refused: the run ends there and says so. The next try comes when it was announced, not before; by
/// `requestedAt` it comes at once, and everybody is connected when the cause is mended.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_refused_users_stop_the_run() {
    let refused = [1, 2, 3, 6, 7, 8, 11, 12, 13];
    let stage = prepare("refused", PEOPLE, PEOPLE, false).await;
    take(&stage, &refused).await;
    stage.environment.apply(&stage.samples("10m")).await.unwrap();
    stage.patch("usp", POLICY, &json!({"spec": {"rollout": {"batchSize": 5}}})).await;
    stage.environment.operator().start_ready().await.unwrap();
    let stopped = async || {
        let runs = runs(&stage).await;
        runs.first().is_some_and(|run| reason(run, "Failed") == Some("FailureLimitReached"))
    };
    stage.advance_until("the run is stopped", "5s", 120, stopped).await;
    assert_eq!(outcome(&runs(&stage).await[0]), [2, 3, 15]);
    assert_eq!(batches(&stage).await.len(), 1, "nothing is sent after the share was exceeded");
    let told = |policy: &Value| reason(policy, "Reconciling") == Some("FailureLimitReached");
    stage.environment.wait_for("usp", POLICY, "the policy tells it", told).await.unwrap();
    let announced = next_attempt(&stage).await;
    let tried = async || batches(&stage).await.len() > 1;
    stage.advance_until("it goes on", "10s", 60, tried).await;
    assert!(batches(&stage).await[1] >= announced, "not before {announced}");

    stage.advance("15m").await;
    give_back(&stage, &refused).await;
    let (sent, announced) = (batches(&stage).await.len(), next_attempt(&stage).await);
    let request = json!({"metadata": {"annotations": {"teamsconnector.dev/requestedAt": "mended"}}});
    stage.patch("usp", POLICY, &request).await;
    let again = async || batches(&stage).await.len() > sent;
    stage.advance_until("by request it goes on at once", "2s", 60, again).await;
    assert!(batches(&stage).await[sent] < announced, "before {announced}");
    stage.finish(u64::from(PEOPLE)).await;
}

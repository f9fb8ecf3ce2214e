//! T33, R19: the connector says yes and nothing happens. Nobody is told what is not there, and it heals when the connector does.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::leaving::{disconnect, happens, in_state, key_of, open, pairs, prepare};
use crate::stage::{ACCOUNT, POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";
const SYNCS: &str = "/accounts/{accountKey}/syncs";

fn without_effect(route: &str, user: Option<&str>, after: u64) -> Value {
    let mut matches = json!({"api": "connector", "method": "POST", "route": route});
    if let Some(user) = user {
        matches["user"] = json!(user);
    }
    json!([{"match": matches, "after": after, "then": "acceptedWithoutEffect"}])
}

/// How many calls had no effect so far.
async fn fired(stage: &Stage) -> u64 {
    let rules = stage.control().get("/faults").await.unwrap();
    rules.as_array().unwrap().iter().map(|rule| rule["fired"].as_u64().unwrap()).sum()
}

/// The object of a user.
async fn user(stage: &Stage, key: &str) -> Value {
    let users = stage.environment.list("tcu").await.unwrap();
    users.into_values().find(|user| user["spec"]["gotoUserKey"] == key).unwrap()
}

async fn shows(stage: &Stage, key: &str) -> (String, String) {
    let status = user(stage, key).await["status"].clone();
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"))
}

fn shown(state: &str, reason: &str) -> (String, String) {
    (state.to_owned(), reason.to_owned())
}

/// T33, R19: a pair that the connector accepted and does not have makes nobody Connected. It is named after the window, put again with
/// growing distance, its license goes to nobody else, and the others are connected meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_without_effect_is_named_and_put_again() {
    let stage = prepare("no-pair", 4, 3, false).await;
    let (victim, next) = (key_of(2), key_of(4));
    stage.control().add_faults(&without_effect(BATCH, Some(&victim), 0)).await.unwrap();
    stage.environment.apply(&stage.samples("10m")).await.unwrap();
    stage.patch("usp", POLICY, &json!({"spec": {"rollout": {"batchSize": 1}}})).await;
    let watch = stage.watch(stage.picture().await);
    stage.environment.operator().start_ready().await.unwrap();
    let named = async || {
        stage.sign_in().await;
        in_state(&stage, "Connected").await.len() == 2
            && shows(&stage, &victim).await == shown("Pending", "AcceptedWithoutEffect")
    };
    stage.advance_until("it is named", "1m", 60, named).await;
    // The policy's status is written after that of its users.
    let pending = |policy: &Value| reason(policy, "InSync") == Some("ChangesPending");
    stage.environment.wait_for("usp", POLICY, "a change is outstanding", pending).await.unwrap();
    let before = fired(&stage).await;
    stage.advance("2h").await;
    let again = fired(&stage).await - before;
    assert!((2..=8).contains(&again), "put again {again} times in two hours");
    assert_eq!(shows(&stage, &victim).await.0, "Pending");
    assert_eq!(shows(&stage, &next).await, shown("Waiting", "ConnectorLicenseExhausted"));
    let states = watch.states().into_iter().find(|(name, _)| name.contains(&victim)).unwrap().1;
    assert_eq!(states, ["Pending"], "never anything else");

    stage.control().clear_faults().await.unwrap();
    let healed = async || {
        stage.sign_in().await;
        shows(&stage, &victim).await == shown("Connected", "Connected")
    };
    stage.advance_until("it heals by itself", "5m", 30, healed).await;
    stage.rest().await;
    assert_eq!(in_state(&stage, "Connected").await.len(), 3);
    watch.end().await;
}

/// T33, R19: a push that was accepted and never runs connects nobody; the account names it, and starts another with growing distance.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_without_effect_is_named_and_started_again() {
    let stage = prepare("no-push", 3, 3, false).await;
    stage.start("10m").await;
    let asked = async || reason(&stage.get("tca", ACCOUNT).await, "ActionRequired") == Some("AwaitingPushSignIn");
    stage.advance_until("the sign-in is awaited", "30s", 60, asked).await;
    let watch = stage.watch(stage.picture().await);
    stage.control().add_faults(&without_effect(SYNCS, None, 0)).await.unwrap();
    let named = async || {
        stage.sign_in().await;
        reason(&stage.get("tca", ACCOUNT).await, "TenantPushed") == Some("AcceptedWithoutEffect")
    };
    stage.advance_until("it is named", "10s", 60, named).await;
    assert_eq!(condition(&stage.get("tca", ACCOUNT).await, "Ready"), Some("False"));
    for _ in 0..6 {
        stage.advance("10m").await;
        stage.sign_in().await;
    }
    let started = fired(&stage).await;
    assert!((4..=16).contains(&started), "started {started} times in an hour");
    let states: BTreeSet<String> = watch.states().into_values().flatten().collect();
    assert_eq!(states, BTreeSet::from(["Pending".to_owned()]), "nobody is anything else");
    watch.end().await;

    stage.control().clear_faults().await.unwrap();
    stage.finish(3).await;
    stage.rest().await;
    assert_eq!(stage.get("tca", ACCOUNT).await["status"]["failure"], Value::Null);
}

/// T33, R13, R19, R20: calls that were forbidden without effect, then a pair that was deleted without effect: nobody is Removed, the
/// order is kept, the number goes to nobody, and one run ends it once the connector does what it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_without_effect_is_named_and_frees_nothing() {
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    let removal = json!({"action": "Remove", "gracePeriod": "10m", "guard": guard});
    let stage = open("no-removal", 6, 5, removal, false).await;
    let (before, _) = pairs(&stage).await;
    let waiting = key_of(6);
    let left = happens(&stage, json!({"drawn": 1, "seed": 4, "among": "connected"}), json!("deleteGotoUser")).await;
    let leaver = left.first().unwrap().clone();
    let number = user(&stage, &leaver).await["status"]["phoneNumber"]["expected"].clone();
    let own = user(&stage, &waiting).await["status"]["phoneNumber"]["expected"].clone();
    // Somebody who waits is to have the leaver's number.
    let routed = json!([{"edit": "routeNumber", "number": own, "user": null}, {"edit": "routeNumber", "number": number, "user": waiting},
        {"edit": "setLicenses", "total": 6}]);
    stage.control().edit(&routed).await.unwrap();

    stage.control().add_faults(&without_effect(BATCH, Some(&leaver), 0)).await.unwrap();
    is_named(&stage, &leaver).await;
    assert_eq!(pairs(&stage).await, (before.clone(), BTreeSet::new()), "nobody lost anything");
    stage.control().clear_faults().await.unwrap();
    stage.control().add_faults(&without_effect(BATCH, Some(&leaver), 1)).await.unwrap();
    let disabled = async || pairs(&stage).await.1 == left;
    stage.advance_until("the calls are forbidden", "2m", 20, disabled).await;
    is_named(&stage, &leaver).await;
    stage.advance("1h").await;
    assert!((4..=10).contains(&fired(&stage).await), "deleted {} times", fired(&stage).await);
    assert_eq!(pairs(&stage).await, (&before - &left, left.clone()), "deleted in name only");
    assert_eq!(shows(&stage, &leaver).await, shown("Removing", "AcceptedWithoutEffect"));
    assert_eq!(shows(&stage, &waiting).await, shown("Blocked", "NumberInUse"));
    assert_eq!(disconnect(&stage).await.unwrap()["status"]["state"], "Running");

    stage.control().clear_faults().await.unwrap();
    let given = async || {
        stage.sign_in().await;
        shows(&stage, &waiting).await == shown("Connected", "Connected")
    };
    stage.advance_until("the number is free for the other", "2m", 60, given).await;
    assert_eq!(shows(&stage, &leaver).await, shown("Removed", "Removed"));
    assert_eq!(disconnect(&stage).await.unwrap()["status"]["state"], "Applied");
    assert_eq!(user(&stage, &waiting).await["status"]["phoneNumber"]["actual"], number);
}

async fn is_named(stage: &Stage, leaver: &str) {
    let named = async || shows(stage, leaver).await == shown("Removing", "AcceptedWithoutEffect");
    stage.advance_until("it is named", "2m", 40, named).await;
    assert_eq!(in_state(stage, "Removed").await, BTreeSet::new());
}

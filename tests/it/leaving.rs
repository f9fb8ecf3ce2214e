//! Nobody loses service by accident: grace, guard, approval, and lies of every kind.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use teams_connector_operator::devenv::objects::{condition, reason};

use crate::stage::{POLICY, Stage};

const BATCH: &str = "/accounts/{accountKey}/pbxs/{organizationId}/users:batch";

/// A world of so many people who can all be connected; the operator is not started.
pub(crate) async fn prepare(name: &str, people: u32, licenses: u32, proxied: bool) -> Stage {
    Stage::prepare_with(name, |setup| {
        setup.proxied = proxied;
        let at = setup.simulator.iter().position(|flag| flag == "--demo").unwrap();
        let (people, licenses) = (people.to_string(), licenses.to_string());
        let world = ["--users", &people, "--licenses", &licenses, "--unmatched", "0"].map(str::to_owned);
        setup.simulator.splice(at..=at, world);
    })
    .await
}

/// The same, with a policy that removes leavers after an hour; everybody is connected.
pub(crate) async fn open(name: &str, people: u32, licenses: u32, removal: Value, proxied: bool) -> Stage {
    let stage = prepare(name, people, licenses, proxied).await;
    stage.start("10m").await;
    stage.patch("usp", POLICY, &json!({"spec": {"removal": removal}})).await;
    stage.finish(u64::from(people.min(licenses))).await;
    stage
}

fn removal(guard: &Value) -> Value {
    json!({"action": "Remove", "gracePeriod": "1h", "guard": guard})
}

/// Lets something happen to some people; their keys.
pub(crate) async fn happens(stage: &Stage, who: Value, change: Value) -> BTreeSet<String> {
    let answer =
        stage.control().post("/world/edit", &json!({"edit": "each", "who": who, "change": change})).await.unwrap();
    let users: Vec<String> = serde_json::from_value(answer["users"].clone()).unwrap();
    users.into_iter().collect()
}

/// The pairs of the world: whose calls are allowed, and whose not.
pub(crate) async fn pairs(stage: &Stage) -> (BTreeSet<String>, BTreeSet<String>) {
    let world = stage.control().world().await.unwrap();
    let connectors = world["connectors"].as_object().unwrap().values();
    let pbxs = connectors.flat_map(|connector| connector["pbxs"].as_object().unwrap().values());
    let users = pbxs.flat_map(|pbx| pbx["users"].as_object().unwrap().iter());
    let (enabled, disabled): (Vec<_>, Vec<_>) = users.partition(|(_, pair)| pair["enabled"] == true);
    let keys = |pairs: Vec<(&String, &Value)>| pairs.into_iter().map(|(key, _)| key.clone()).collect();
    (keys(enabled), keys(disabled))
}

/// The key of somebody of a generated world, counted from 1.
pub(crate) fn key_of(number: u32) -> String {
    format!("20000000000{number:08}")
}

/// The users in this state.
pub(crate) async fn in_state(stage: &Stage, wanted: &str) -> BTreeSet<String> {
    let users = stage.environment.list("tcu").await.unwrap();
    let found = users.values().filter(|user| user["status"]["state"] == wanted);
    found.map(|user| user["spec"]["gotoUserKey"].as_str().unwrap().to_owned()).collect()
}

/// The only Disconnect run.
pub(crate) async fn disconnect(stage: &Stage) -> Option<Value> {
    let runs = stage.environment.list("usrun").await.unwrap();
    let mut runs = runs.into_values().filter(|run| run["spec"]["type"] == "Disconnect");
    let run = runs.next();
    assert!(runs.next().is_none(), "one Disconnect run");
    run
}

pub(crate) async fn batches(stage: &Stage, since: u64) -> usize {
    let calls = stage.control().writes_since(since).await.unwrap();
    calls.iter().filter(|call| call["route"] == BATCH).count()
}

/// R12, R13, R14, R19: whoever left keeps service for the grace period, visibly; then calls, pair and number go in this order, the
/// old values are kept, and nobody else is touched. The simulator refuses any other order.
#[tokio::test(flavor = "multi_thread")]
async fn leavers_lose_service_after_the_grace_period_and_nobody_else_does() {
    let stage = open("leavers", 30, 30, removal(&json!({})), false).await;
    let (before, _) = pairs(&stage).await;
    let left = happens(&stage, json!({"drawn": 2, "seed": 1}), json!("deleteGotoUser")).await;
    let since = stage.control().last_sequence().await.unwrap();
    let in_grace = async || in_state(&stage, "Retained").await == left;
    stage.advance_until("the leavers are in grace", "5m", 10, in_grace).await;
    stage.advance("30m").await;
    assert_eq!((in_state(&stage, "Retained").await, batches(&stage, since).await), (left.clone(), 0));
    let gone = async || {
        stage.sign_in().await;
        in_state(&stage, "Removed").await == left
    };
    stage.advance_until("the leavers are removed", "2m", 60, gone).await;
    let (now, disabled) = pairs(&stage).await;
    assert_eq!(now, &before - &left);
    assert_eq!(disabled, BTreeSet::new());
    let run = disconnect(&stage).await.unwrap();
    assert_eq!(run["status"]["state"], "Applied", "{run}");
    for user in stage.environment.list("tcu").await.unwrap().values() {
        let key = user["spec"]["gotoUserKey"].as_str().unwrap();
        if left.contains(key) {
            assert!(user["status"]["lastChange"]["before"]["phoneNumber"].is_string(), "{user}");
            assert!(user["spec"]["leaving"].is_null(), "{user}");
        } else {
            assert_eq!(user["status"]["state"], "Connected", "{user}");
        }
    }
    stage.rest().await;
    assert_eq!(stage.get("usp", POLICY).await["status"]["users"]["connected"], 28);
}

/// R1, R2, R3, R6, R7: 41 leavers of 400 are more than the guard allows. Nothing of the set is executed, additions of the same day
/// go through, the run waits and says so; its approval executes exactly those who are still gone, once.
#[tokio::test(flavor = "multi_thread")]
async fn more_leavers_than_the_guard_allows_wait_for_an_approval() {
    let stage = open("guard", 400, 397, removal(&json!({})), false).await;
    let left = happens(&stage, json!({"drawn": 41, "seed": 2}), json!("removeLine")).await;
    let (before, _) = pairs(&stage).await;
    let leavers: BTreeSet<String> = left.intersection(&before).cloned().collect();
    let waits = async || disconnect(&stage).await.is_some_and(|run| run["status"]["state"] == "AwaitingApproval");
    stage.advance_until("the run waits for a decision", "10m", 20, waits).await;
    stage.warning(POLICY, "RemovalGuardAhead").await;
    let policy = stage.get("usp", POLICY).await;
    assert_eq!(
        (condition(&policy, "GuardTripped"), reason(&policy, "ActionRequired")),
        (Some("True"), Some("RemovalGuardTripped"))
    );
    let run = disconnect(&stage).await.unwrap();
    assert_eq!(run["spec"]["actions"].as_array().unwrap().len(), leavers.len());

    stage.control().edit(&json!({"edit": "setLicenses", "total": 400})).await.unwrap();
    let added = async || {
        stage.sign_in().await;
        let (enabled, _) = pairs(&stage).await;
        enabled.len() == before.len() + 3 - (left.len() - leavers.len())
    };
    stage.advance_until("newcomers of the same day are added", "2m", 40, added).await;
    stage.advance("2h").await;
    let (enabled, disabled) = pairs(&stage).await;
    assert!(enabled.is_superset(&before) && disabled.is_empty(), "nobody of the set lost anything");

    let back = leavers.first().unwrap().clone();
    let users = stage.environment.list("tcu").await.unwrap();
    let extension =
        users.values().find(|user| user["spec"]["gotoUserKey"] == back).unwrap()["status"]["extension"].clone();
    stage.control().edit(&json!({"edit": "addLine", "user": back, "extension": extension})).await.unwrap();
    stage.advance("25m").await;
    let name = run["metadata"]["name"].as_str().unwrap();
    stage.patch("usrun", name, &json!({"spec": {"decision": "Approve", "decidedBy": "maria"}})).await;
    let done = async || {
        stage.sign_in().await;
        condition(&stage.get("usrun", name).await, "Complete") == Some("True")
    };
    stage.advance_until("the approved run is carried out", "1m", 90, done).await;
    let mut kept = enabled;
    kept.retain(|key| *key == back || !leavers.contains(key));
    let (now, disabled) = pairs(&stage).await;
    assert_eq!((now, disabled), (kept, BTreeSet::new()), "exactly those who were still gone");
    let outcome = stage.get("usrun", name).await["status"]["outcome"].clone();
    assert_eq!((outcome["applied"].as_u64(), outcome["skipped"].as_u64()), (Some(leavers.len() as u64 - 1), Some(1)));
}

/// R10: denied, a set is not proposed again, after a restart neither, until it changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_denied_set_is_not_proposed_again() {
    let stage = open("denied", 30, 30, removal(&json!({"maxCount": 1, "alwaysAllow": 1})), false).await;
    let (before, _) = pairs(&stage).await;
    happens(&stage, json!({"drawn": 2, "seed": 3}), json!("deleteGotoUser")).await;
    let waits = async || disconnect(&stage).await.is_some_and(|run| run["status"]["state"] == "AwaitingApproval");
    stage.advance_until("the run waits for a decision", "10m", 20, waits).await;
    let name = disconnect(&stage).await.unwrap()["metadata"]["name"].as_str().unwrap().to_owned();
    stage.patch("usrun", &name, &json!({"spec": {"decision": "Deny"}})).await;
    let denied = async || stage.get("usrun", &name).await["status"]["state"] == "Denied";
    stage.advance_until("the denial is seen", "1m", 20, denied).await;
    stage.environment.operator().kill().await.unwrap();
    stage.environment.operator().start_ready().await.unwrap();
    let readings = stage.full_readings().await + 3;
    stage.advance_until("three readings", "5m", 20, async || stage.full_readings().await >= readings).await;
    assert_eq!(disconnect(&stage).await.unwrap()["metadata"]["name"], name, "no second run");
    assert_eq!(pairs(&stage).await, (before, BTreeSet::new()));
}

/// What a listing may be made to say.
fn lies() -> Vec<Value> {
    let routes = [
        ("goto-admin", "/admin/rest/v1/accounts/{accountKey}/users"),
        ("goto-api", "/users/v1/users"),
        ("graph", "/v1.0/users/delta"),
        ("connector", "/accounts/{accountKey}/pbxs/{organizationId}/users"),
    ];
    let effects = [
        json!({"shorterList": {"percent": 0}}),
        json!({"shorterList": {"percent": 10}}),
        json!({"stopsAfterPage": {"page": 3}}),
        json!({"totalOff": {"by": -3}}),
        json!({"status": {"code": 404}}),
    ];
    let rule = |api: &str, route: &str, then: &Value| json!({"match": {"api": api, "route": route, "method": "GET"}, "then": then});
    routes.iter().flat_map(|(api, route)| effects.iter().map(move |then| rule(api, route, then))).collect()
}

/// R4, R5, T31: empty, nine tenths shorter, ending early, with a wrong total, or 404, for longer than the grace period, with a
/// guard that would allow all of it: nobody loses anything, and no call that takes away is made.
#[tokio::test(flavor = "multi_thread")]
async fn no_lie_of_a_listing_takes_service_away() {
    let off = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    let stage = open("lies", 40, 40, json!({"action": "Remove", "gracePeriod": "20m", "guard": off}), false).await;
    stage.rest().await;
    let (before, since) = (pairs(&stage).await, stage.control().last_sequence().await.unwrap());
    for lie in lies() {
        stage.control().add_faults(&json!([lie])).await.unwrap();
        let readings = stage.full_readings().await + 4;
        stage.advance_until("four readings", "10m", 12, async || stage.full_readings().await >= readings).await;
        stage.advance("20m").await;
        assert_eq!((pairs(&stage).await, batches(&stage, since).await), (before.clone(), 0), "{lie}");
        stage.control().clear_faults().await.unwrap();
        stage.advance("25m").await;
    }
    stage.rest().await;
    assert_eq!(in_state(&stage, "Connected").await, before.0);
}

/// R1: with a window of ten days one leaver every nine hours, and a restart after each, trip like all on one day.
#[tokio::test(flavor = "multi_thread")]
async fn one_leaver_every_few_hours_trips_the_window_of_ten_days() {
    let guard = json!({"window": "240h", "alwaysAllow": 3, "maxCount": 3});
    let stage = open("ten-days", 12, 12, json!({"action": "Remove", "gracePeriod": "1h", "guard": guard}), false).await;
    stage.read_every("1h").await;
    let mut left = BTreeSet::new();
    for seed in 0..4 {
        left.extend(happens(&stage, json!({"drawn": 1, "seed": seed}), json!("deleteGotoUser")).await);
        // In great steps: whoever sleeps through a moment comes a little later.
        for _ in 0..18 {
            stage.control().advance("30m").await.unwrap();
            stage.sign_in().await;
        }
        stage.environment.operator().kill().await.unwrap();
        stage.environment.operator().start_ready().await.unwrap();
    }
    let tripped = async || condition(&stage.get("usp", POLICY).await, "GuardTripped") == Some("True");
    stage.advance_until("the guard trips", "10m", 6, tripped).await;
    let (enabled, _) = pairs(&stage).await;
    assert_eq!((left.len(), enabled.len()), (4, 9), "three went, the fourth waits");
    assert!(enabled.intersection(&left).count() == 1);
}

/// R5: a permission that is withdrawn after the witness was found makes everybody look gone; the witness is asked for again after
/// the looks, so nothing is taken away. Whoever is to be connected does not wait for that, and all goes on once it is given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_is_withdrawn_between_witness_and_look_takes_nothing_away() {
    let stage = open("withdrawn", 30, 29, removal(&json!({})), false).await;
    let (before, _) = pairs(&stage).await;
    let left = happens(&stage, json!({"drawn": 1, "seed": 1}), json!("removeLine")).await;
    assert!(left.is_subset(&before));
    let in_grace = async || in_state(&stage, "Retained").await == left;
    stage.advance_until("the leaver is in grace", "5m", 10, in_grace).await;
    let lines = json!({"api": "goto-api", "method": "GET", "route": "/users/v1/users/{userKey}/lines"});
    let withdrawn = json!([{"match": lines, "after": 1, "then": {"status": {"code": 404}}}]);
    stage.control().add_faults(&withdrawn).await.unwrap();
    let begun = async || in_state(&stage, "Removing").await == left;
    stage.advance_until("the removal begins", "2m", 60, begun).await;
    stage.control().edit(&json!({"edit": "setLicenses", "total": 30})).await.unwrap();
    let connected = async || {
        stage.sign_in().await;
        in_state(&stage, "Connected").await.len() == 29
    };
    stage.advance_until("who waited for a license is connected", "2m", 60, connected).await;
    stage.advance("20m").await;
    let (enabled, disabled) = pairs(&stage).await;
    assert_eq!((enabled.len(), enabled.is_superset(&before), disabled), (30, true, BTreeSet::new()));
    stage.control().clear_faults().await.unwrap();
    let gone = async || {
        stage.sign_in().await;
        in_state(&stage, "Removed").await == left
    };
    stage.advance_until("the leaver is removed", "2m", 60, gone).await;
    assert_eq!(pairs(&stage).await.0, &enabled - &left);
}

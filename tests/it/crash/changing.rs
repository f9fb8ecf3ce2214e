//! T1, R13: SIGKILL before and after the writes that give somebody another pair: under another key, or with another Microsoft user.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use super::leaving::until;
use crate::leaving::{in_state, key_of, open, pairs};
use crate::replacing::{changes, recreate, service};
use crate::stage::{POLICY, Stage};

const BATCH: &str = "POST /accounts/{id}/pbxs/{id}/users:batch";
/// The writes of a change: calls are forbidden, the old pair removed, the new one put; and what is stored around them.
const POINTS: [(&str, &str, usize, Phase); 8] = [
    ("kubernetes", "POST usersyncruns", 1, Phase::AfterCommit),
    ("kubernetes", "PATCH teamsconnectorusers", 2, Phase::BeforeSend),
    ("connector", BATCH, 1, Phase::BeforeSend),
    ("connector", BATCH, 1, Phase::AfterCommit),
    ("connector", BATCH, 2, Phase::BeforeSend),
    ("connector", BATCH, 2, Phase::AfterCommit),
    ("connector", BATCH, 3, Phase::BeforeSend),
    ("connector", BATCH, 3, Phase::AfterCommit),
];
const PEOPLE: u32 = 12;

/// With a guard that lets all of them go.
fn removal(action: &str) -> Value {
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    json!({"action": action, "gracePeriod": "1m", "guard": guard})
}

/// For each point: lets somebody change, kills the operator there, and waits until everybody is connected and `done` says so. Three
/// changes of pairs are made and no more, and everybody else keeps what he had.
async fn each(stage: &Stage, change: impl AsyncFn(usize) -> String, done: impl AsyncFn() -> bool) {
    let mut reached = BTreeSet::new();
    for (number, (api, route, ordinal, phase)) in POINTS.into_iter().enumerate() {
        let what = format!("{route} #{ordinal} {phase:?}");
        stage.rest().await;
        let (everybody, before) = (pairs(stage).await.0, changes(stage).await);
        let proxy = stage.environment.proxy(api).unwrap();
        let made = proxy.calls().iter().filter(|call| call.route == route).count();
        proxy.kill_at(Kill { route: route.to_owned(), ordinal: made + ordinal, phase });
        let changed = change(number).await;
        let connected = async || in_state(stage, "Connected").await.len() == PEOPLE as usize;
        until(stage, &what, async || changes(stage).await - before >= 3 && connected().await && done().await).await;
        if proxy.pending().is_empty() {
            reached.insert((route, phase == Phase::BeforeSend));
        }
        proxy.disarm();
        let (now, disabled) = pairs(stage).await;
        assert_eq!((now.len(), disabled), (PEOPLE as usize, BTreeSet::new()), "{what}");
        let stay: BTreeSet<_> = everybody.into_iter().filter(|key| *key != changed).collect();
        assert!(stay.is_subset(&now), "{what}");
        assert_eq!(changes(stage).await - before, 3, "{what}: disabled, removed and put once");
    }
    let planned: BTreeSet<_> =
        POINTS.iter().map(|(_, route, _, phase)| (*route, *phase == Phase::BeforeSend)).collect();
    assert_eq!(reached, planned, "every kind of write was hit");
}

/// T1, R9, R13: whoever is created again under another key is replaced once and whole, wherever the operator dies: nobody is left half
/// replaced, the same people have the same numbers.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_a_write_of_a_replacement_changes_nothing() {
    let stage = open("crash-replacing", PEOPLE, PEOPLE, removal("Retain"), true).await;
    stage.read_every("3m").await;
    let served = service(&stage).await;
    each(&stage, async |number| recreate(&stage, number).await, async || service(&stage).await == served).await;
}

/// T1, R13, R20: a row that names the one and then the other Microsoft user exchanges the pair once and whole each time, with the same
/// number, wherever the operator dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_a_write_of_an_exchange_changes_nothing() {
    let stage = open("crash-exchanging", PEOPLE, PEOPLE, removal("Remove"), true).await;
    let spare = "spare@contoso.example";
    let added = json!({"edit": "addTeamsUser", "id": "99999999-9999-4999-8999-000000000002", "userPrincipalName": spare, "skus": ["SPE_E5"]});
    stage.control().edit(&added).await.unwrap();
    stage.read_every("3m").await;
    let named = async || {
        let users = stage.environment.list("tcu").await.unwrap();
        let user = users.values().find(|user| user["spec"]["gotoUserKey"] == key_of(5)).unwrap();
        (user["status"]["teamsUser"].clone(), user["status"]["phoneNumber"]["actual"].clone())
    };
    let (own, number) = named().await;
    let wanted = std::sync::Mutex::new(Value::Null);
    let edit = async |turn: usize| {
        let teams = if turn.is_multiple_of(2) { json!(spare) } else { own.clone() };
        *wanted.lock().unwrap() = teams.clone();
        let rows = json!([{"goto": key_of(5), "teams": teams}]);
        stage.patch("usp", POLICY, &json!({"spec": {"matching": {"manual": {"entries": rows}}}})).await;
        key_of(5)
    };
    let done = async || named().await == (wanted.lock().unwrap().clone(), number.clone());
    each(&stage, edit, done).await;
}

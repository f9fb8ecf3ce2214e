//! T1, T5, R13: SIGKILL before and after the writes that take service away. One world after the other would take hours: here two
//! people leave for each crash.

use std::collections::BTreeSet;

use serde_json::json;
use teams_connector_operator::devenv::proxy::{Kill, Phase};

use crate::leaving::{happens, in_state, open, pairs};
use crate::stage::Stage;

/// The writes of a removal; of the last one a restarted operator makes another.
const WRITES: [(&str, &str, usize); 8] = [
    ("kubernetes", "POST usersyncruns", 1),
    ("kubernetes", "PATCH teamsconnectorusers", 1),
    ("kubernetes", "PATCH teamsconnectorusers", 2),
    ("kubernetes", "PATCH teamsconnectorusers/status", 1),
    ("kubernetes", "PATCH usersyncruns/status", 2),
    ("connector", "POST /accounts/{id}/pbxs/{id}/users:batch", 1),
    ("connector", "POST /accounts/{id}/pbxs/{id}/users:batch", 2),
    ("connector", "POST /accounts/{id}/syncs", 1),
];

/// T1, T5, R13: whoever has left loses service once and whole, nobody else loses anything, and the old values are kept, wherever the operator dies.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_a_write_of_a_removal_changes_nothing() {
    let guard = json!({"maxPercent": 100, "maxCount": 1000, "alwaysAllow": 1000});
    let removal = json!({"action": "Remove", "gracePeriod": "12m", "guard": guard});
    let stage = open("crash-leaving", 60, 60, removal, true).await;
    stage.patch("usp", crate::stage::POLICY, &json!({"spec": {"historyLimit": 100}})).await;
    let mut gone = BTreeSet::new();
    let mut reached = BTreeSet::new();
    for (number, (api, route, ordinal)) in WRITES.into_iter().enumerate() {
        // What is sent outside dies in both phases, what is stored by turns.
        let by_turns = [Phase::BeforeSend, Phase::AfterCommit][number % 2];
        let phases = if api == "connector" { vec![Phase::BeforeSend, Phase::AfterCommit] } else { vec![by_turns] };
        for phase in phases {
            let what = format!("{route} #{ordinal} {phase:?}");
            let (before, _) = pairs(&stage).await;
            let seed = 2 * number + usize::from(phase == Phase::AfterCommit);
            let left = happens(&stage, json!({"drawn": 2, "seed": seed}), json!("deleteGotoUser")).await;
            gone.extend(left.clone());
            // The waiting for the grace period makes writes of its own.
            stage
                .advance_until("the leavers are in grace", "5m", 12, async || {
                    in_state(&stage, "Retained").await == left
                })
                .await;
            let proxy = stage.environment.proxy(api).unwrap();
            let made = proxy.calls().iter().filter(|call| call.route == route).count();
            proxy.kill_at(Kill { route: route.to_owned(), ordinal: made + ordinal, phase });
            until(&stage, &what, async || in_state(&stage, "Removed").await == gone).await;
            if proxy.pending().is_empty() {
                reached.insert(route);
            }
            let (now, disabled) = pairs(&stage).await;
            assert_eq!((now, disabled), (&before - &left, BTreeSet::new()), "{what}");
            settled(&stage, &left, &what).await;
        }
    }
    let planned: BTreeSet<&str> = WRITES.iter().map(|(_, route, _)| *route).collect();
    assert_eq!(reached, planned, "every kind of write was hit");
}

/// Moves time on until it is done, with an operator that is started again whenever it was killed.
pub(super) async fn until(stage: &Stage, what: &str, done: impl AsyncFn() -> bool) {
    for _ in 0..90 {
        if stage.environment.operator().process().unwrap().status().is_some() {
            stage.environment.operator().start_ready().await.unwrap();
        }
        stage.sign_in().await;
        if done().await {
            return;
        }
        stage.advance("2m").await;
    }
    panic!("{what}: {:?}", stage.standing().await);
}

/// The leavers' objects tell what was taken, nothing is left half done, and every run is at its end.
async fn settled(stage: &Stage, left: &BTreeSet<String>, what: &str) {
    let users = stage.environment.list("tcu").await.unwrap();
    for user in users.values().filter(|user| left.contains(user["spec"]["gotoUserKey"].as_str().unwrap())) {
        assert!(user["spec"]["leaving"].is_null(), "{what}: {user}");
        assert!(user["status"]["lastChange"]["before"]["teamsUserId"].is_string(), "{what}: {user}");
    }
    let ended = async || {
        let runs = stage.environment.list("usrun").await.unwrap();
        runs.values().all(|run| run["status"]["finishedAt"].is_string())
    };
    stage.advance_until("every run is at its end", "1m", 20, ended).await;
}

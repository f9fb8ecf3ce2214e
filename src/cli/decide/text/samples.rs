//! Waiting runs.

use serde_json::{Value, json};
use teams_connector_operator::api::UserSyncRun;

/// Takes service from three users.
pub(in crate::cli::decide) fn disconnect() -> UserSyncRun {
    let teams_user = "00000000-0000-4000-8000-000100000001";
    let pair = |enabled: bool, number: &str| json!({"inConnector": true, "enabled": enabled, "teamsUserId": teams_user, "phoneNumber": number});
    waiting(
        "Disconnect",
        &json!([
            {"user": "2000000000000000001", "op": "Delete", "args": {}, "expected": pair(true, "+15555550101")},
            {"user": "2000000000000000002", "op": "Delete", "args": {}, "expected": pair(false, "+15555550102")},
            {"user": "2000000000000000003", "op": "Disable", "args": {}, "expected": pair(true, "+15555550103")},
            {"user": "2000000000000000004", "op": "Put", "args": {"teamsUserId": teams_user, "phoneNumber": "+15555550144"},
             "expected": pair(true, "+15555550104")},
        ]),
    )
}

/// Adds one user and gives another the calls back.
pub(in crate::cli::decide) fn connect() -> UserSyncRun {
    waiting(
        "Connect",
        &json!([
            {"user": "2000000000000000005", "op": "Put", "args": {"phoneNumber": "+15555550105"}, "expected": {"inConnector": false}},
            {"user": "2000000000000000006", "op": "Enable", "args": {}, "expected": {"inConnector": true, "enabled": false}},
        ]),
    )
}

fn waiting(run_type: &str, actions: &Value) -> UserSyncRun {
    let run = json!({
        "apiVersion": "teamsconnector.dev/v1alpha1",
        "kind": "UserSyncRun",
        "metadata": {"name": "head-office-8fc163ab-1", "namespace": "telephony", "uid": "9691223a-b770-4d8b-a9f6-30e8c80bb765"},
        "spec": {
            "policyRef": {"name": "head-office"},
            "type": run_type,
            "createdAt": "2026-01-05T08:01:48Z",
            "policyHash": format!("sha256:{}", "1a".repeat(32)),
            "actions": actions,
            "planHash": format!("sha256:{}", "8f".repeat(32)),
        },
        "status": {
            "observedGeneration": 1,
            "state": "AwaitingApproval",
            "counters": {"licensesAvailable": 38, "licensesTotal": 50, "usersToAdd": 1, "usersToRemove": 2, "usersAfterSync": 11},
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "RemovalGuardTripped", "message": "4 would lose service and 2 may.",
                "lastTransitionTime": "2026-01-05T08:01:48Z", "observedGeneration": 1,
            }],
        },
    });
    serde_json::from_value(run).unwrap()
}

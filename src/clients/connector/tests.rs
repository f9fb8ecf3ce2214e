use serde_json::{Value, json};

use super::wire::{BatchMethod, BatchOperation, StartSync, SyncKind};
use super::*;
use crate::clients::error::{Class, CredentialsProblem};
use crate::clients::listing::IncompleteCause;
use crate::clients::testing::{ACCOUNT, Answer, Bench, PBX, answer, ok, start_of_time};

fn pbx() -> OrganizationId {
    PBX.parse().unwrap()
}

fn error(status: u16, code: &str) -> Answer {
    answer(status, json!({"errorCode": code, "message": "text", "reference": "ref-9"}).to_string())
}

fn started() -> Value {
    json!({"id": "s1", "kind": "Push", "state": "Queued", "startedAt": "2026-08-20T10:00:00Z", "log": []})
}

fn operations(count: usize) -> Vec<BatchOperation> {
    let operation = |id: usize| BatchOperation {
        id: id.to_string(),
        method: BatchMethod::Enable,
        goto_user_key: "2000000000000000001".parse().unwrap(),
        if_match: None,
        body: None,
    };
    (0..count).map(operation).collect()
}

async fn scripted(script: impl Fn(usize) -> Answer + Send + std::marker::Sync + 'static) -> Bench {
    Bench::start(move |seen| Some(script(seen.ordinal))).await
}

#[tokio::test]
async fn each_read_has_its_path_and_the_bearer_token() {
    let bench = scripted(|ordinal| match ordinal {
        0 => ok(&json!({"active": true, "licensesTotal": 5, "licensesInUse": 2})),
        1 => ok(&json!({"manager": {"firstName": "M", "lastName": "N", "email": "m@example.test"},
            "invitation": {"state": "Accepted"}, "pbxs": [{"organizationId": PBX, "boundAt": "2026-08-20T10:00:00Z"}]})),
        2 => ok(&json!({"syncEnabled": true, "enabled": false})),
        3 => ok(&json!({"state": "Verified"})),
        4 => ok(&json!({"directory": {"state": "UpToDate"}, "push": {"state": "ChangesQueued"}})),
        5 => ok(&json!({"state": "Pending", "link": "https://x.example/s"})),
        _ => ok(&started()),
    })
    .await;
    let connector = bench.connector();
    assert_eq!(connector.entitlement(pbx()).await.unwrap().licenses_total, 5);
    assert_eq!(connector.account().await.unwrap().pbxs[0].organization_id, pbx());
    assert!(!connector.services(pbx()).await.unwrap().enabled);
    connector.latest_verification(pbx()).await.unwrap();
    connector.sync_state().await.unwrap();
    connector.push_authorization().await.unwrap();
    connector.sync("a/b").await.unwrap();
    let below = |path: &str| format!("GET /v1/accounts/{ACCOUNT}{path}");
    assert_eq!(
        bench.lines(),
        [
            below(&format!("/pbxs/{PBX}/entitlement")),
            below(""),
            below(&format!("/pbxs/{PBX}/services/teams")),
            below(&format!("/pbxs/{PBX}/verifications/latest")),
            below("/sync-state"),
            below("/push-authorization"),
            below("/syncs/a%2Fb"),
        ]
    );
    assert!(bench.seen().iter().all(|seen| seen.header("authorization") == "Bearer connector-token"));
}

#[tokio::test]
async fn listings_are_read_to_their_total() {
    let user = json!({"gotoUserKey": "1", "teamsUserId": PBX, "enabled": true, "licensed": true,
        "registration": "Dancing", "etag": "e", "updatedAt": "2026-08-20T10:00:00Z"});
    let bench = scripted(move |ordinal| match ordinal {
        0 => ok(&json!({"items": [user], "total": 2, "nextPageMarker": "m 1"})),
        1 => ok(&json!({"items": [user], "total": 2})),
        2 => ok(&json!({"items": [{"gotoUserKey": "1", "secureCalling": true}], "total": 1})),
        _ => ok(&json!({"items": [], "total": 0})),
    })
    .await;
    let connector = bench.connector();
    assert_eq!(connector.users(pbx(), Some).await.unwrap().items()[1].registration, wire::Registration::Unknown);
    assert!(connector.candidates(pbx(), Some).await.unwrap().items()[0].secure_calling);
    connector.consents().await.unwrap();
    connector.domains().await.unwrap();
    connector.syncs(start_of_time()).await.unwrap();
    connector.sync_results("s1", Some).await.unwrap();
    let below = |path: &str| format!("GET /v1/accounts/{ACCOUNT}{path}");
    assert_eq!(
        bench.lines(),
        [
            below(&format!("/pbxs/{PBX}/users?pageSize=100")),
            below(&format!("/pbxs/{PBX}/users?pageSize=100&pageMarker=m%201")),
            below(&format!("/pbxs/{PBX}/candidates?pageSize=100")),
            below("/consents?pageSize=100"),
            below("/domains?pageSize=100"),
            below("/syncs?since=2026-08-20T10%3A00%3A00Z&pageSize=100"),
            below("/syncs/s1/results?pageSize=100"),
        ]
    );
}

/// R4, T30: each way in which a listing with marker and total may fall short.
#[tokio::test]
async fn a_listing_that_does_not_add_up_is_incomplete() {
    let candidate = json!({"gotoUserKey": "1", "secureCalling": false});
    let one = candidate.clone();
    let bench = scripted(move |_| ok(&json!({"items": [one], "total": 2}))).await;
    let incomplete = bench.connector().candidates(pbx(), Some).await.unwrap_err();
    assert!(matches!(incomplete.cause, IncompleteCause::CountMismatch { expected: 2, got: 1 }));
    let one = candidate.clone();
    let bench =
        scripted(move |page| ok(&json!({"items": [one], "total": 2 + page, "nextPageMarker": page.to_string()}))).await;
    let incomplete = bench.connector().candidates(pbx(), Some).await.unwrap_err();
    assert!(matches!(incomplete.cause, IncompleteCause::TotalChanged));
    let bench = scripted(move |_| ok(&json!({"items": [candidate], "total": 9, "nextPageMarker": "x"}))).await;
    let incomplete = bench.connector().candidates(pbx(), Some).await.unwrap_err();
    assert!(matches!(incomplete.cause, IncompleteCause::RepeatedMarker));
}

#[tokio::test]
async fn each_write_has_its_path_body_and_key() {
    let bench = scripted(|ordinal| match ordinal {
        0 => answer(204, ""),
        1 => answer(202, ""),
        2 => answer(202, started().to_string()),
        3 => ok(&json!({"state": "Pending"})),
        _ => ok(&json!({"results": [{"id": "0", "status": 200}]})),
    })
    .await;
    let connector = bench.connector();
    connector.bind_pbx(pbx()).await.unwrap();
    connector.start_verification(pbx(), "key-v").await.unwrap();
    let body = StartSync { kind: SyncKind::Directory, organization_id: Some(pbx()) };
    assert_eq!(connector.start_sync(&body, "key-s").await.unwrap().id, "s1");
    connector.request_push_authorization("key-p").await.unwrap();
    assert_eq!(connector.batch(pbx(), operations(1)).await.unwrap().results[0].status, 200);
    let seen = bench.seen();
    let line = |method: &str, path: &str| format!("{method} /v1/accounts/{ACCOUNT}{path}");
    assert_eq!(
        bench.lines(),
        [
            line("PUT", &format!("/pbxs/{PBX}")),
            line("POST", &format!("/pbxs/{PBX}/verifications")),
            line("POST", "/syncs"),
            line("POST", "/push-authorization/requests"),
            line("POST", &format!("/pbxs/{PBX}/users:batch")),
        ]
    );
    let keys: Vec<_> = seen.iter().map(|seen| seen.header("idempotency-key")).collect();
    assert_eq!(keys, ["", "key-v", "key-s", "key-p", ""]);
    assert_eq!(seen[2].body, format!("{{\"kind\":\"Directory\",\"organizationId\":\"{PBX}\"}}"));
    let sent = "{\"operations\":[{\"id\":\"0\",\"method\":\"Enable\",\"gotoUserKey\":\"2000000000000000001\"}]}";
    assert_eq!((seen[4].body.as_str(), seen[4].header("content-type")), (sent, "application/json"));
}

#[tokio::test]
async fn a_start_without_a_body_is_read_at_its_location() {
    let bench = scripted(|ordinal| match ordinal {
        0 => answer(202, "").with("location", &format!("/v1/accounts/{ACCOUNT}/syncs/s1")),
        _ => ok(&started()),
    })
    .await;
    let body = StartSync { kind: SyncKind::Push, organization_id: None };
    assert_eq!(bench.connector().start_sync(&body, "k").await.unwrap().id, "s1");
    assert!(bench.lines()[1].ends_with("/syncs/s1"));
}

/// Rule 11 of the style: a call that may change something is sent once.
#[tokio::test]
async fn a_write_is_never_repeated() {
    for failure in [error(503, "Maintenance"), error(429, "TooMany"), error(500, "Oops"), answer(200, "{\"res")] {
        let bench = scripted(move |_| failure.clone()).await;
        let error = bench.connector().batch(pbx(), operations(25)).await.err().unwrap();
        assert_eq!(bench.lines().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_state_conflict_names_its_code_and_reference() {
    let bench = scripted(|_| error(409, "SyncRunning")).await;
    let body = StartSync { kind: SyncKind::Push, organization_id: None };
    let found = bench.connector().start_sync(&body, "k").await.unwrap_err();
    assert_eq!(found.class(), Class::Conflict("SyncRunning".to_owned()));
    assert_eq!(
        found.to_string(),
        "connector POST /accounts/{accountKey}/syncs: 409 SyncRunning (reference ref-9): conflicts with the state there"
    );
}

#[tokio::test]
async fn a_batch_outside_its_limits_is_not_sent() {
    let bench = scripted(|_| answer(200, "")).await;
    for count in [0, 26] {
        let error = bench.connector().batch(pbx(), operations(count)).await.err().unwrap();
        assert_eq!(error.class(), Class::Permanent);
    }
    assert!(bench.seen().is_empty());
}

/// T27: a 429 inside an answer with status 200 closes the gate too.
#[tokio::test]
async fn a_throttled_operation_closes_the_gate_for_all() {
    let bench = scripted(|_| ok(&json!({"results": [{"id": "0", "status": 429}]}))).await;
    let connector = bench.connector();
    assert_eq!(connector.closed_until(), None);
    connector.batch(pbx(), operations(1)).await.unwrap();
    assert!(connector.closed_until().is_some());
}

/// T28: a token of its own cannot be refreshed, so it is not tried twice.
#[tokio::test]
async fn a_refused_own_token_asks_a_person_at_once() {
    let bench = scripted(|_| error(401, "Token")).await;
    let error = bench.connector().account().await.unwrap_err();
    assert_eq!(error.class(), Class::Credentials(CredentialsProblem::TokenRefused));
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn a_connector_may_take_gotos_token_and_its_refresh() {
    let bench = Bench::start(|seen| match seen.header("authorization") {
        "Bearer at-0" => Some(error(401, "Token")),
        "Bearer at-2" => Some(ok(&json!({"directory": {"state": "UpToDate"}, "push": {"state": "UpToDate"}}))),
        _ => None,
    })
    .await;
    let endpoint = crate::clients::ConnectorEndpoint::unchecked(bench.url.clone());
    let connector = bench.connections.connector(&endpoint, ACCOUNT.parse().unwrap(), &bench.goto());
    connector.sync_state().await.unwrap();
    assert_eq!(bench.token_calls(), 2);
}

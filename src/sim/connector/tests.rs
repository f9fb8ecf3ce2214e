//! The contract over HTTP.

use k8s_openapi::jiff::SignedDuration;
use reqwest::{Certificate, Client, Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::sim::journal::Filter;
use crate::sim::world::World;
use crate::sim::world::test_credentials::{ACCOUNT_KEY, CONNECTOR_TOKEN, ORGANIZATION_ID};
use crate::sim::{Sim, SimConfig};

const ANN: (&str, &str) = ("2000000000000000001", "00000000-0000-4000-8000-000100000001");

struct Caller {
    sim: Sim,
    http: Client,
}

impl Caller {
    async fn new() -> Self {
        let config = SimConfig { world: World::demo().unwrap(), requests_per_second: None, ..SimConfig::default() };
        let sim = Sim::start(config).await.unwrap();
        let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
        let http = Client::builder().no_proxy().tls_certs_only([ca]).build().unwrap();
        Self { sim, http }
    }

    fn url(&self, path: &str) -> String {
        let path = path.replacen("P/", &format!("A/pbxs/{ORGANIZATION_ID}/"), 1);
        let path = path.replacen("A/", &format!("accounts/{ACCOUNT_KEY}/"), 1);
        format!("{}/{}", self.sim.endpoints().connector, path.trim_end_matches('/'))
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, header: Option<(&str, &str)>) -> Response {
        let mut request = self.http.request(method, self.url(path)).bearer_auth(CONNECTOR_TOKEN);
        if let Some(body) = body {
            request = request.json(&body);
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Value {
        let response = self.send(Method::GET, path, None, None).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    async fn put_ann(&self) -> (StatusCode, Value) {
        let body = json!({"teamsUserId": ANN.1, "externalId": "ours"});
        status_and_body(self.send(Method::PUT, &format!("P/users/{}", ANN.0), Some(body), None).await).await
    }
}

async fn status_and_body(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    (status, response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn the_demo_world_is_set_up_to_the_end() {
    let caller = Caller::new().await;
    let record = caller.get("A/").await;
    assert_eq!(
        (&record["invitation"]["state"], record["pbxs"].as_array().map(Vec::len)),
        (&json!("Accepted"), Some(1))
    );
    assert_eq!(caller.get("P/entitlement").await, json!({"active": true, "licensesTotal": 2, "licensesInUse": 0}));
    assert_eq!(caller.get("P/services/teams").await, json!({"syncEnabled": true, "enabled": true}));
    let consents = caller.get("A/consents").await;
    assert!(consents["items"].as_array().unwrap().iter().all(|it| it["state"] == "Granted"));
    assert_eq!(caller.get("A/domains").await["items"][0]["state"], "Activated");
    assert_eq!(caller.get("P/verifications/latest").await["state"], "Verified");
    assert_eq!(caller.get("A/sync-state").await["directory"]["state"], "UpToDate");
    assert_eq!(caller.get("A/push-authorization").await, json!({"state": "NotRequested"}));
    assert_eq!(caller.get("P/candidates").await["total"], 6);
}

#[tokio::test]
async fn pages_add_up_to_the_total() {
    let caller = Caller::new().await;
    let (mut path, mut keys) = ("P/candidates?pageSize=4".to_owned(), Vec::new());
    loop {
        let page = caller.get(&path).await;
        assert_eq!(page["total"], 6);
        keys.extend(page["items"].as_array().unwrap().iter().map(|it| it["gotoUserKey"].clone()));
        let Some(marker) = page["nextPageMarker"].as_str() else { break };
        path = format!("P/candidates?pageSize=4&pageMarker={marker}");
    }
    assert_eq!(keys.len(), 6);
    let too_large = caller.send(Method::GET, "P/candidates?pageSize=101", None, None).await;
    assert_eq!(too_large.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_user_is_put_read_and_guarded_by_its_etag() {
    let caller = Caller::new().await;
    let (status, ann) = caller.put_ann().await;
    assert_eq!((status, &ann["phoneNumber"]), (StatusCode::CREATED, &json!("+15555550101")));
    assert_eq!(caller.put_ann().await.0, StatusCode::OK);
    let path = format!("P/users/{}", ANN.0);
    let off = Some(json!({"enabled": false}));
    let stale = caller.send(Method::PATCH, &path, off.clone(), Some(("if-match", "\"0\""))).await;
    assert_eq!(stale.status(), StatusCode::PRECONDITION_FAILED);
    let early = status_and_body(caller.send(Method::DELETE, &path, None, None).await).await;
    assert_eq!((early.0, &early.1["errorCode"]), (StatusCode::CONFLICT, &json!("DisableFirst")));
    let etag = ann["etag"].as_str().unwrap();
    assert_eq!(caller.send(Method::PATCH, &path, off, Some(("if-match", etag))).await.status(), StatusCode::OK);
    assert_eq!(caller.send(Method::DELETE, &path, None, None).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(caller.send(Method::DELETE, &path, None, None).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn each_operation_of_a_batch_stands_on_its_own() {
    let caller = Caller::new().await;
    let put = |id: &str, user: u32| {
        let body = json!({"teamsUserId": format!("00000000-0000-4000-8000-00010000000{user}"), "externalId": "ours"});
        json!({"id": id, "method": "Put", "gotoUserKey": format!("200000000000000000{user}"), "body": body})
    };
    let gone = json!({"id": "x", "method": "Delete", "gotoUserKey": "2000000000000000004"});
    let body = json!({"operations": [put("a", 1), put("o", 6), put("b", 2), put("c", 5), gone]});
    let (status, reply) = status_and_body(caller.send(Method::POST, "P/users:batch", Some(body), None).await).await;
    assert_eq!(status, StatusCode::OK);
    let results: Vec<_> = reply["results"].as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(results, [201, 422, 201, 409, 404]);
    assert_eq!(reply["results"][3]["error"]["errorCode"], "NoLicense");
    let many = json!({"operations": (0..26).map(|it| put(&it.to_string(), 1)).collect::<Vec<_>>()});
    let (status, _) = status_and_body(caller.send(Method::POST, "P/users:batch", Some(many), None).await).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// R13, T25: disable and delete in batches, each guarded by its own etag; who is gone is 404, which is "already done".
#[tokio::test]
async fn a_batch_takes_service_in_order_and_by_etag() {
    let caller = Caller::new().await;
    let etag = caller.put_ann().await.1["etag"].clone();
    let operation = |method: &str, etag: &Value| {
        let mut operation = json!({"id": "1", "method": method, "gotoUserKey": ANN.0});
        if etag.is_string() {
            operation["ifMatch"] = etag.clone();
        }
        json!({"operations": [operation]})
    };
    let result = async |method: &str, etag: &Value| {
        let sent = caller.send(Method::POST, "P/users:batch", Some(operation(method, etag)), None).await;
        let result = status_and_body(sent).await.1["results"][0].clone();
        (result["status"].as_u64().unwrap(), result["error"]["errorCode"].clone())
    };
    assert_eq!(result("Delete", &etag).await, (409, json!("DisableFirst")));
    assert_eq!(result("Disable", &etag).await, (200, Value::Null));
    assert_eq!(result("Delete", &etag).await, (412, json!("PreconditionFailed")));
    let fresh = caller.get("P/users").await["items"][0]["etag"].clone();
    assert_eq!(result("Delete", &fresh).await, (204, Value::Null));
    for gone in [&fresh, &Value::Null] {
        assert_eq!(result("Delete", gone).await, (404, json!("NotFound")));
        assert_eq!(result("Enable", gone).await, (404, json!("NotFound")));
    }
    assert_eq!(caller.get("P/entitlement").await["licensesInUse"], 1, "the license is free a little later");
    caller.sim.advance_to(caller.sim.now() + SignedDuration::from_mins(2)).await;
    assert_eq!(caller.get("P/entitlement").await["licensesInUse"], 0);
}

/// T1: a batch whose answer was lost is sent again with its key: the first answer, and nothing happens twice.
#[tokio::test]
async fn a_batch_with_an_idempotency_key_happens_once() {
    let caller = Caller::new().await;
    caller.put_ann().await;
    let body = json!({"operations": [{"id": "1", "method": "Disable", "gotoUserKey": ANN.0}]});
    let send = || caller.send(Method::POST, "P/users:batch", Some(body.clone()), Some(("idempotency-key", "b1")));
    let first = status_and_body(send().await).await;
    let on = Some(json!({"enabled": true}));
    caller.send(Method::PATCH, &format!("P/users/{}", ANN.0), on, None).await;
    assert_eq!(status_and_body(send().await).await, first);
    assert_eq!(caller.get(&format!("P/users/{}", ANN.0)).await["enabled"], true);
    let wrote: Vec<_> = caller.sim.state().journal.list(&Filter::default()).calls.iter().map(|it| it.wrote).collect();
    assert_eq!(wrote, [true, true, true, false, false]);
}

/// R17: a POST whose answer was lost is repeated with the same key and starts nothing twice.
#[tokio::test]
async fn the_same_idempotency_key_returns_the_first_answer_for_a_day() {
    let caller = Caller::new().await;
    let body = json!({"kind": "Directory", "organizationId": ORGANIZATION_ID});
    let start = || caller.send(Method::POST, "A/syncs", Some(body.clone()), Some(("idempotency-key", "k1")));
    let first = start().await;
    let location = first.headers()["location"].clone();
    let first = status_and_body(first).await;
    assert_eq!((first.0, &first.1["state"]), (StatusCode::ACCEPTED, &json!("Queued")));
    let second = start().await;
    assert_eq!(second.headers()["location"], location);
    assert_eq!(status_and_body(second).await, first);
    let other = caller.send(Method::POST, "A/syncs", Some(body.clone()), None).await;
    let other = status_and_body(other).await;
    assert_eq!(
        (other.0, &other.1["errorCode"], &other.1["reference"]),
        (StatusCode::CONFLICT, &json!("SyncRunning"), &first.1["id"])
    );
    caller.sim.advance_to(caller.sim.now() + SignedDuration::from_hours(24)).await;
    assert_ne!(status_and_body(start().await).await.1["id"], first.1["id"]);
}

#[tokio::test]
async fn a_link_leads_to_the_control_port_and_lets_a_push_start() {
    let caller = Caller::new().await;
    caller.put_ann().await;
    let push = || caller.send(Method::POST, "A/syncs", Some(json!({"kind": "Push"})), None);
    let early = status_and_body(push().await).await;
    assert_eq!((early.0, &early.1["errorCode"]), (StatusCode::FORBIDDEN, &json!("SignInRequired")));
    let asked = caller.send(Method::POST, "A/push-authorization/requests", None, None).await;
    let (status, asked) = status_and_body(asked).await;
    assert_eq!((status, &asked["state"]), (StatusCode::ACCEPTED, &json!("Pending")));
    let link = asked["link"].as_str().unwrap();
    assert!(link.starts_with(&caller.sim.endpoints().control));
    let clicked = caller.http.post(link).send().await.unwrap();
    assert!(clicked.status().is_success());
    let (status, run) = status_and_body(push().await).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    caller.sim.advance_to(caller.sim.now() + SignedDuration::from_secs(40)).await;
    let id = run["id"].as_str().unwrap();
    let results = caller.get(&format!("A/syncs/{id}/results")).await;
    assert_eq!(results["items"][0], json!({"gotoUserKey": ANN.0, "outcome": "Applied"}));
    assert_eq!(caller.get(&format!("A/syncs/{id}")).await["state"], "Succeeded");
}

#[tokio::test]
async fn a_wrong_token_an_unknown_field_and_a_hidden_integration_are_refused() {
    let caller = Caller::new().await;
    let stranger = caller.http.get(caller.url("P/entitlement")).bearer_auth("nobody").send().await.unwrap();
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
    let body = Some(json!({"syncEnabled": true, "frob": 1}));
    let unknown = caller.send(Method::PATCH, "P/services/teams", body, None).await;
    assert_eq!(unknown.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let hide = serde_json::from_value(json!({"edit": "setEntitlement", "visible": false, "active": false})).unwrap();
    caller.sim.world().edit(hide, caller.sim.now()).unwrap();
    let hidden = caller.send(Method::GET, "P/entitlement", None, None).await;
    assert_eq!(hidden.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_journal_names_the_routes_of_the_contract() {
    let caller = Caller::new().await;
    caller.get("A/").await;
    caller.put_ann().await;
    let calls = caller.sim.state().journal.list(&Filter::default()).calls;
    let seen: Vec<_> = calls.iter().map(|it| (it.route.as_str(), it.wrote)).collect();
    let user = "/accounts/{accountKey}/pbxs/{organizationId}/users/{gotoUserKey}";
    assert_eq!(seen, [("/accounts/{accountKey}", false), (user, true)]);
}

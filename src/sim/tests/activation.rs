use super::*;

const SBC: &str = test::CONNECTOR_DOMAIN;
const E3: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
const TEAMS1: &str = "57ff2da0-773e-42df-b2af-ffb7a2317929";

/// The demo world whose allotted domain is verified but not activated; activation takes four hours.
async fn verified() -> Bench {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "setDomain", "state": "Published"}));
    bench.edit(json!({"edit": "addTenantDomain", "name": SBC, "verified": true}));
    assert_eq!(bench.domain_state(SBC).await, "Verified");
    bench
}

async fn user_in_domain(bench: &Bench) -> String {
    let user = bench.graph("POST", "/v1.0/users", body(), 201).await;
    user["id"].as_str().unwrap().to_owned()
}

fn body() -> Value {
    json!({
        "accountEnabled": true, "displayName": "x", "mailNickname": "dr", "usageLocation": "PT",
        "userPrincipalName": format!("dr@{SBC}"), "passwordProfile": {"password": "planted-password-3"},
    })
}

async fn license(bench: &Bench, id: &str, left_out: Value) {
    let change = json!({"addLicenses": [{"skuId": E3, "disabledPlans": left_out}], "removeLicenses": []});
    bench.graph("POST", &format!("/v1.0/users/{id}/assignLicense"), change, 200).await;
}

async fn activating() -> (Bench, String) {
    let bench = verified().await;
    let id = user_in_domain(&bench).await;
    license(&bench, &id, json!([])).await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    (bench, id)
}

async fn delete(bench: &Bench, id: &str) {
    bench.graph("DELETE", &format!("/v1.0/users/{id}"), Value::Null, 204).await;
}

async fn temporary_users(bench: &Bench) -> Value {
    let path = format!("/accounts/{}/domains", test::ACCOUNT_KEY);
    bench.ok(Api::Connector, &path, test::CONNECTOR_TOKEN).await["items"][0]["temporaryUsers"].clone()
}

async fn seats_in_use(bench: &Bench) -> u64 {
    let skus = bench.graph("GET", "/v1.0/subscribedSkus", Value::Null, 200).await;
    skus["value"].as_array().unwrap().iter().map(|sku| sku["consumedUnits"].as_u64().unwrap()).sum()
}

/// Section 18.1.10: only a user with Teams starts the clock, and only the connector shows its end.
#[tokio::test]
async fn a_domain_is_activated_some_hours_after_the_first_user_with_teams_is_in_it() {
    let bench = verified().await;
    let id = user_in_domain(&bench).await;
    bench.advance("5h").await;
    assert_eq!(bench.domain_state(SBC).await, "Verified");
    license(&bench, &id, json!([TEAMS1])).await;
    bench.advance("5h").await;
    assert_eq!(bench.domain_state(SBC).await, "Verified", "Teams is left out of the product");
    license(&bench, &id, json!([])).await;
    assert_eq!(temporary_users(&bench).await, json!([id]));
    let before = bench.graph("GET", &format!("/v1.0/domains/{SBC}"), Value::Null, 200).await;
    bench.advance("239m").await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    bench.advance("1m").await;
    assert_eq!(bench.domain_state(SBC).await, "Activated");
    assert_eq!(bench.graph("GET", &format!("/v1.0/domains/{SBC}"), Value::Null, 200).await, before);
}

#[tokio::test]
async fn activation_stops_when_the_user_goes_and_begins_anew_when_it_comes_back() {
    let (bench, id) = activating().await;
    bench.advance("3h").await;
    delete(&bench, &id).await;
    assert_eq!((bench.domain_state(SBC).await.as_str(), temporary_users(&bench).await), ("Verified", json!([])));
    bench.advance("3h").await;
    bench.graph("POST", &format!("/v1.0/directory/deletedItems/{id}/restore"), Value::Null, 200).await;
    bench.advance("3h").await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    bench.advance("1h").await;
    assert_eq!(bench.domain_state(SBC).await, "Activated");
}

#[tokio::test]
async fn an_activated_domain_outlives_its_user_unless_the_switch_says_otherwise() {
    let (bench, id) = activating().await;
    bench.advance("4h").await;
    delete(&bench, &id).await;
    assert_eq!(bench.domain_state(SBC).await, "Activated");
    bench.edit(json!({"edit": "changeSettings", "settings": {"graph": {"activationSurvivesUserRemoval": false}}}));
    assert_eq!(bench.domain_state(SBC).await, "Verified");
}

#[tokio::test]
async fn activation_may_need_the_service_for_calls() {
    let bench = verified().await;
    bench.edit(json!({"edit": "changeSettings", "settings": {"graph": {"sipServiceNeeded": true}}}));
    let id = user_in_domain(&bench).await;
    license(&bench, &id, json!([])).await;
    assert_eq!(bench.domain_state(SBC).await, "Verified");
    let sip = json!({"supportedServices": ["OfficeCommunicationsOnline"]});
    bench.graph("PATCH", &format!("/v1.0/domains/{SBC}"), sip, 204).await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
}

#[tokio::test]
async fn activation_can_be_stuck_and_can_fail() {
    let (bench, _) = activating().await;
    bench.advance("3h").await;
    bench.edit(json!({"edit": "changeSettings", "settings": {"domainActivationSeconds": 36 * 3600}}));
    bench.advance("32h").await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    bench.advance("1h").await;
    assert_eq!(bench.domain_state(SBC).await, "Activated", "36 hours after it began");
    bench.edit(json!({"edit": "setDomain", "state": "Failed"}));
    bench.advance("48h").await;
    assert_eq!(bench.domain_state(SBC).await, "Failed");
    let unknown = serde_json::from_value(json!({"edit": "changeSettings", "settings": {"frob": 1}})).unwrap();
    assert!(bench.sim.world().edit(unknown, bench.sim.now()).is_err());
}

/// The domain is where it starts, DNS takes ten minutes, and the connector does everything by itself.
async fn attended(change: impl FnOnce(&mut World)) -> Bench {
    let mut world = World::demo().unwrap();
    world.settings.domains_managed_by = super::super::world::ManagedBy::Connector;
    world.settings.dns_lag_seconds = 600;
    change(&mut world);
    let bench = Bench::start(SimConfig { world, ..config() }).await;
    bench.edit(json!({"edit": "revokeConsent", "group": "Directory"}));
    bench.edit(json!({"edit": "setDomain", "state": "Reserved"}));
    bench.advance("1h").await;
    assert_eq!(bench.domain_state(SBC).await, "Reserved", "nobody has consented");
    bench.edit(json!({"edit": "grantConsent", "group": "Directory"}));
    bench
}

/// Guide steps 6 and 7: the connector makes the temporary user and removes it, and the count of seats is what it was.
#[tokio::test]
async fn a_connector_that_manages_its_domain_does_every_step_after_the_consent() {
    let bench = attended(|_| ()).await;
    let before = seats_in_use(&bench).await;
    assert_eq!(bench.domain_state(SBC).await, "Published");
    let domain = bench.graph("GET", &format!("/v1.0/domains/{SBC}"), Value::Null, 200).await;
    assert_eq!(domain["isVerified"], false);
    bench.advance("599s").await;
    assert_eq!(bench.domain_state(SBC).await, "Published");
    bench.advance("1s").await;
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    assert_eq!(temporary_users(&bench).await.as_array().unwrap().len(), 1);
    assert_eq!(seats_in_use(&bench).await, before + 1);
    bench.advance("4h").await;
    assert_eq!((bench.domain_state(SBC).await.as_str(), temporary_users(&bench).await), ("Activated", json!([])));
    assert_eq!(seats_in_use(&bench).await, before);
    let deleted = bench.graph("GET", "/v1.0/directory/deletedItems/microsoft.graph.user", Value::Null, 200).await;
    assert_eq!(deleted["value"].as_array().unwrap().len(), 1, "it was made once");
}

#[tokio::test]
async fn a_connector_waits_for_a_seat_and_for_the_consent_and_may_leave_its_user() {
    let bench = attended(|world| {
        world.settings.connector_leaves_temporary_user = true;
        world.tenant.skus.values_mut().for_each(|sku| sku.enabled_units = 0);
    })
    .await;
    bench.edit(json!({"edit": "revokeConsent", "group": "Directory"}));
    bench.advance("2h").await;
    assert_eq!(bench.domain_state(SBC).await, "Published", "the consent was taken back");
    bench.edit(json!({"edit": "grantConsent", "group": "Directory"}));
    bench.advance("1m").await;
    assert_eq!((bench.domain_state(SBC).await.as_str(), temporary_users(&bench).await), ("Verified", json!([])));
    bench.edit(json!({"edit": "setSeats", "sku": "SPE_E3", "seats": 2}));
    assert_eq!(bench.domain_state(SBC).await, "Activating");
    bench.advance("5h").await;
    assert_eq!(bench.domain_state(SBC).await, "Activated");
    assert_eq!(temporary_users(&bench).await.as_array().unwrap().len(), 1, "left over");
}

#[tokio::test]
async fn a_domain_of_another_tenant_fails_at_the_connector() {
    let bench = attended(|world| world.tenant.verified_elsewhere.extend([SBC.to_owned()])).await;
    bench.advance("10m").await;
    assert_eq!(bench.domain_state(SBC).await, "Failed");
}

/// The operator's way on a hostile day: refusals and lags delay it, and nothing happens twice.
#[tokio::test]
async fn the_way_to_an_activated_domain_goes_through_a_hostile_day() {
    let bench = Bench::start(SimConfig { calm: false, seed: 8, ..config() }).await;
    bench.edit(json!({"edit": "setDomain", "state": "Reserved"}));
    let call = async |method: &str, path: &str, body: Value| {
        for _ in 0..200 {
            let (status, answer) = read(bench.entra_call(&entra_fields())).await;
            let Some(token) = answer["access_token"].as_str().filter(|_| status == 200) else { continue };
            let (status, answer) = bench.send(method, Api::Graph, path, token, body.clone()).await;
            match status {
                200..300 => return answer,
                401 | 429 | 500.. => {}
                _ => {
                    bench.sim.advance_to(bench.sim.now() + k8s_openapi::jiff::SignedDuration::from_secs(30)).await;
                }
            }
        }
        panic!("{method} {path} never succeeds");
    };
    let domain = format!("/v1.0/domains/{SBC}");
    call("POST", "/v1.0/domains", json!({"id": SBC})).await;
    let records = call("GET", &format!("{domain}/verificationDnsRecords"), Value::Null).await;
    let text = json!({"text": records["value"][1]["text"]});
    let path = format!("/accounts/{}/domains/{SBC}/verification", test::ACCOUNT_KEY);
    while bench.send("PUT", Api::Connector, &path, test::CONNECTOR_TOKEN, text.clone()).await.0 != 200 {}
    call("POST", &format!("{domain}/verify"), Value::Null).await;
    let id = call("POST", "/v1.0/users", body()).await["id"].as_str().unwrap().to_owned();
    let change = json!({"addLicenses": [{"skuId": E3}], "removeLicenses": []});
    call("POST", &format!("/v1.0/users/{id}/assignLicense"), change).await;
    bench.sim.advance_to(bench.sim.now() + k8s_openapi::jiff::SignedDuration::from_hours(4)).await;
    call("DELETE", &format!("/v1.0/users/{id}"), Value::Null).await;
    let account = test::ACCOUNT_KEY.parse().unwrap();
    let domains = bench.sim.world().domains(&account).unwrap();
    assert_eq!((format!("{:?}", domains[0].state), domains[0].temporary_users.len()), ("Activated".to_owned(), 0));
}

use super::*;

const SBC: &str = test::CONNECTOR_DOMAIN;

/// The demo world with its allotted domain at the start of its way, and DNS that is slow.
async fn bench() -> Bench {
    let mut world = World::demo().unwrap();
    world.settings.dns_lag_seconds = 600;
    let bench = Bench::start(SimConfig { world, ..config() }).await;
    bench.edit(json!({"edit": "setDomain", "state": "Reserved"}));
    bench
}

fn domain(rest: &str) -> String {
    format!("/v1.0/domains/{SBC}{rest}")
}

async fn text(bench: &Bench) -> String {
    let records = bench.graph("GET", &domain("/verificationDnsRecords"), Value::Null, 200).await;
    let records = records["value"].as_array().unwrap().clone();
    let txt = records.iter().find(|record| record["recordType"] == "Txt").unwrap();
    assert_eq!((&txt["@odata.type"], &txt["label"]), (&json!("#microsoft.graph.domainDnsTxtRecord"), &json!(SBC)));
    txt["text"].as_str().unwrap().to_owned()
}

async fn publish(bench: &Bench, text: &str) {
    let path = format!("/accounts/{}/domains/{SBC}/verification", test::ACCOUNT_KEY);
    let published = bench.send("PUT", Api::Connector, &path, test::CONNECTOR_TOKEN, json!({"text": text})).await;
    assert_eq!((published.0, &published.1["state"]), (200, &json!("Published")));
}

#[tokio::test]
async fn a_domain_is_verified_once_dns_shows_the_text_that_the_connector_published() {
    let bench = bench().await;
    let made = bench.graph("POST", "/v1.0/domains", json!({"id": SBC}), 201).await;
    assert_eq!(
        (&made["isVerified"], &made["isRoot"], &made["supportedServices"], &made["isDefault"]),
        (&json!(false), &json!(true), &json!([]), &json!(false))
    );
    let asked = text(&bench).await;
    assert_eq!(asked, text(&bench).await, "the text is stable");
    let pending = bench.refused("POST", &domain("/verify"), Value::Null).await;
    assert_eq!((pending.0, pending.1.as_str()), (400, "Request_BadRequest"));
    publish(&bench, &asked).await;
    bench.advance("9m").await;
    assert_eq!(bench.refused("POST", &domain("/verify"), Value::Null).await.0, 400);
    publish(&bench, &asked).await;
    bench.advance("1m").await;
    assert_eq!(bench.domain_state(SBC).await, "Published", "nobody has told Microsoft");
    let verified = bench.graph("POST", &domain("/verify"), Value::Null, 200).await;
    assert_eq!(
        (&verified["isVerified"], &verified["availabilityStatus"]),
        (&json!(true), &json!("AvailableImmediately"))
    );
    assert_eq!(bench.domain_state(SBC).await, "Verified");
    let read = bench.graph("GET", &domain(""), Value::Null, 200).await;
    assert_eq!((&read["isVerified"], &read["availabilityStatus"]), (&json!(true), &Value::Null));
    let organization = bench.graph("GET", "/v1.0/organization", Value::Null, 200).await;
    let names = organization["value"][0]["verifiedDomains"].as_array().unwrap().clone();
    assert!(names.iter().any(|known| known["name"] == SBC), "{names:?}");
    assert_eq!(bench.refused("POST", &domain("/verify"), Value::Null).await.0, 400, "Domain is already verified.");
}

#[tokio::test]
async fn another_text_in_dns_does_not_prove_a_domain() {
    let bench = bench().await;
    bench.graph("POST", "/v1.0/domains", json!({"id": SBC}), 201).await;
    publish(&bench, "MS=ms00000000").await;
    bench.advance("1h").await;
    assert_eq!(bench.refused("POST", &domain("/verify"), Value::Null).await.0, 400);
    let asked = text(&bench).await;
    bench.edit(json!({"edit": "setDnsText", "name": SBC, "text": asked}));
    bench.graph("POST", &domain("/microsoft.graph.verify"), Value::Null, 200).await;
}

#[tokio::test]
async fn a_domain_is_added_once_and_the_refusal_has_two_forms() {
    let bench = bench().await;
    bench.graph("POST", "/v1.0/domains", json!({"id": SBC}), 201).await;
    let again = bench.refused("POST", "/v1.0/domains", json!({"id": SBC.to_uppercase()})).await;
    assert_eq!(again, (400, "Request_BadRequest".to_owned(), Some("ObjectConflict".to_owned())));
    bench.edit(json!({"edit": "changeSettings", "settings": {"graph": {"domainDuplicate": 409}}}));
    assert_eq!(bench.refused("POST", "/v1.0/domains", json!({"id": SBC})).await.0, 409);
    for wrong in [json!({"id": SBC, "isDefault": true}), json!({"id": "no_domain"}), json!({})] {
        assert_eq!(bench.refused("POST", "/v1.0/domains", wrong).await.0, 400);
    }
    let all = bench.graph("GET", "/v1.0/domains?$select=id,isInitial", Value::Null, 200).await;
    assert_eq!(all["value"].as_array().unwrap().len(), 3, "{all}");
    assert_eq!(bench.refused("GET", "/v1.0/domains/nobody.example", Value::Null).await.1, "Request_ResourceNotFound");
}

#[tokio::test]
async fn below_an_own_verified_root_a_domain_is_verified_by_itself() {
    let bench = bench().await;
    let name = format!("sbc.{}", test::EMAIL_DOMAIN);
    let made = bench.graph("POST", "/v1.0/domains", json!({"id": name}), 201).await;
    assert_eq!((&made["isVerified"], &made["isRoot"]), (&json!(true), &json!(false)));
}

#[tokio::test]
async fn a_domain_of_another_tenant_is_refused_and_one_below_it_is_not() {
    let bench = bench().await;
    bench.edit(json!({"edit": "setVerifiedElsewhere", "name": "connector.example", "verified": true}));
    for name in ["connector.example", SBC] {
        bench.graph("POST", "/v1.0/domains", json!({"id": name}), 201).await;
        let path = format!("/v1.0/domains/{name}/verificationDnsRecords");
        let records = bench.graph("GET", &path, Value::Null, 200).await;
        bench.edit(json!({"edit": "setDnsText", "name": name, "text": records["value"][1]["text"]}));
    }
    assert_eq!(bench.refused("POST", "/v1.0/domains/connector.example/verify", Value::Null).await.0, 400);
    bench.graph("POST", &domain("/verify"), Value::Null, 200).await;
}

#[tokio::test]
async fn services_are_switched_for_a_verified_domain_only() {
    let bench = bench().await;
    bench.graph("POST", "/v1.0/domains", json!({"id": SBC}), 201).await;
    let sip = json!({"supportedServices": ["OfficeCommunicationsOnline"]});
    assert_eq!(bench.refused("PATCH", &domain(""), sip.clone()).await.0, 400);
    bench.edit(json!({"edit": "addTenantDomain", "name": SBC, "verified": true}));
    bench.graph("PATCH", &domain(""), sip, 204).await;
    let organization = bench.graph("GET", "/v1.0/organization", Value::Null, 200).await;
    let shown = organization["value"][0]["verifiedDomains"].as_array().unwrap().clone();
    let shown = shown.iter().find(|known| known["name"] == SBC).unwrap();
    assert_eq!(shown["capabilities"], "OfficeCommunicationsOnline");
    assert_eq!(bench.refused("PATCH", &domain(""), json!({"supportedServices": ["Intune"]})).await.0, 400);
}

#[tokio::test]
async fn a_domain_in_use_stays_unless_it_goes_by_force() {
    let bench = bench().await;
    bench.edit(json!({"edit": "addTenantDomain", "name": SBC, "verified": true}));
    let id = "00000000-0000-4000-8000-0000000000a8";
    let upn = format!("extra@{SBC}");
    bench.edit(json!({"edit": "addTeamsUser", "id": id, "userPrincipalName": upn}));
    let references = bench.graph("GET", &domain("/domainNameReferences"), Value::Null, 200).await;
    assert_eq!(
        (&references["value"][0]["id"], &references["value"][0]["@odata.type"]),
        (&json!(id), &json!("#microsoft.graph.user"))
    );
    assert_eq!(bench.refused("DELETE", &domain(""), Value::Null).await.0, 400);
    bench.edit(json!({"edit": "deleteTeamsUser", "teamsUser": id}));
    assert_eq!(bench.refused("DELETE", &domain(""), Value::Null).await.0, 400, "a restorable user counts");
    bench.sim.world().settings.graph.domain_delete_in_use = 409;
    assert_eq!(bench.refused("DELETE", &domain(""), Value::Null).await.0, 409);
    bench.edit(json!({"edit": "restoreTeamsUser", "teamsUser": id}));
    bench.graph("POST", &domain("/forceDelete"), json!({"disableUserAccounts": true}), 204).await;
    let going = bench.graph("GET", &domain(""), Value::Null, 200).await;
    assert_eq!(going["state"]["operation"], "ForceDelete");
    bench.advance("10m").await;
    assert_eq!(bench.refused("GET", &domain(""), Value::Null).await.0, 404);
    let renamed = bench
        .graph("GET", &format!("/v1.0/users/{id}?$select=userPrincipalName,accountEnabled"), Value::Null, 200)
        .await;
    assert_eq!(renamed["userPrincipalName"], format!("extra@{}", test::INITIAL_DOMAIN));
    assert_eq!(renamed["accountEnabled"], false);
}

#[tokio::test]
async fn a_deleted_user_need_not_block_a_domain_and_the_default_domain_stays() {
    let bench = bench().await;
    bench.edit(json!({"edit": "addTenantDomain", "name": SBC, "verified": true}));
    let id = "00000000-0000-4000-8000-0000000000a8";
    bench.edit(json!({"edit": "addTeamsUser", "id": id, "userPrincipalName": format!("extra@{SBC}")}));
    bench.edit(json!({"edit": "deleteTeamsUser", "teamsUser": id}));
    bench.sim.world().settings.graph.soft_deleted_blocks_domain = false;
    bench.graph("DELETE", &domain(""), Value::Null, 204).await;
    assert_eq!(bench.refused("GET", &domain(""), Value::Null).await.0, 404);
    for path in ["", "/forceDelete"] {
        let method = if path.is_empty() { "DELETE" } else { "POST" };
        let body = if path.is_empty() { Value::Null } else { json!({}) };
        let path = format!("/v1.0/domains/{}{path}", test::EMAIL_DOMAIN);
        assert_eq!(bench.refused(method, &path, body).await.0, 400);
    }
}

#[tokio::test]
async fn domains_are_read_with_one_permission_and_written_with_another() {
    let bench = bench().await;
    bench.edit(json!({"edit": "removeAppPermission", "permission": "Domain.ReadWrite.All"}));
    bench.graph("GET", "/v1.0/domains", Value::Null, 200).await;
    let denied = (403, "Authorization_RequestDenied".to_owned(), None);
    assert_eq!(bench.refused("POST", "/v1.0/domains", json!({"id": SBC})).await, denied);
    for (method, path) in [("POST", "/verify"), ("PATCH", ""), ("DELETE", ""), ("POST", "/forceDelete")] {
        let body = match (method, path) {
            ("PATCH", _) => json!({"supportedServices": []}),
            (_, "/forceDelete") => json!({}),
            _ => Value::Null,
        };
        assert_eq!(bench.refused(method, &domain(path), body).await, denied, "{method} {path}");
    }
    bench.edit(json!({"edit": "removeAppPermission", "permission": "Domain.Read.All"}));
    for path in ["/v1.0/domains".to_owned(), domain(""), domain("/verificationDnsRecords")] {
        assert_eq!(bench.refused("GET", &path, Value::Null).await, denied, "{path}");
    }
}

/// Section 18.1.3: what was just written is not read yet, and the reply is the truth.
#[tokio::test]
async fn a_new_domain_is_not_found_for_a_while_and_is_there_once() {
    let (bench, token) = Bench::hostile_graph().await;
    let call = async |method: &str, path: &str, body: Value| bench.insist(&token, method, path, body).await;
    bench.sim.world().draws = 3;
    assert_eq!(call("POST", "/v1.0/domains", json!({"id": SBC})).await.0, 201);
    let (status, again) = call("POST", "/v1.0/domains", json!({"id": SBC})).await;
    assert_eq!((status, &again["error"]["details"][0]["code"]), (400, &json!("ObjectConflict")));
    assert_eq!(call("GET", &domain(""), Value::Null).await.0, 404);
    assert_eq!(call("GET", &domain("/verificationDnsRecords"), Value::Null).await.0, 404);
    bench.sim.advance_to(bench.sim.now() + k8s_openapi::jiff::SignedDuration::from_secs(21)).await;
    assert_eq!(call("GET", &domain(""), Value::Null).await.0, 200);
}

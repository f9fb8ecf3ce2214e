use std::collections::BTreeSet;

use super::*;

const DELTA: &str = "/v1.0/users/delta?$select=id,userPrincipalName,accountEnabled";
const NUMBERS: &str = "/v1.0/admin/teams/telephoneNumberManagement/numberAssignments";
const GRAPH_APP: &str = "00000003-0000-0000-c000-000000000000";

fn service_principal(app: &str) -> String {
    format!("/v1.0/servicePrincipals(appId='{app}')?$select=id,appId")
}

/// Follows links to the end of a round; all items as they came, and the link of the next round.
async fn round(bench: &Bench, url: String, token: &str) -> (Vec<Value>, String) {
    let (mut items, mut next) = (Vec::new(), url);
    loop {
        let (status, body) = read(bench.http.get(&next).bearer_auth(token)).await;
        if status != 200 {
            assert!(matches!(status, 429 | 500..), "{status} {body}");
            continue;
        }
        items.extend(body["value"].as_array().unwrap().iter().cloned());
        match (body["@odata.nextLink"].as_str(), body["@odata.deltaLink"].as_str()) {
            (Some(link), None) => next = link.to_owned(),
            (None, Some(link)) => return (items, link.to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

fn ids(items: &[Value]) -> BTreeSet<&str> {
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_tenant_tells_its_id_and_its_domains() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let body = bench.ok(Api::Graph, "/v1.0/organization?$select=id,verifiedDomains", &token).await;
    assert_eq!(body["value"].as_array().unwrap().len(), 1);
    assert_eq!(body["value"][0]["id"], test::TENANT_ID);
    assert_eq!(body["value"][0]["verifiedDomains"][0]["name"], test::EMAIL_DOMAIN);
    assert!(body["value"][0].get("displayName").is_none());
}

#[tokio::test]
async fn consent_is_visible_by_app_role_assignments() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let own = bench.ok(Api::Graph, &service_principal(test::ENTRA_CLIENT_ID), &token).await;
    let graph = bench.ok(Api::Graph, &service_principal(GRAPH_APP), &token).await;
    let path = format!("/v1.0/servicePrincipals/{}/appRoleAssignments", own["id"].as_str().unwrap());
    let before = bench.ok(Api::Graph, &path, &token).await;
    let rows = before["value"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["resourceId"] == graph["id"]));
    assert!(rows.iter().any(|row| row["appRoleId"] == "df021288-bdef-4463-88db-98f22de89214"));
    bench.edit(json!({"edit": "removeAppPermission", "permission": "User.Read.All"}));
    let after = bench.ok(Api::Graph, &path, &token).await;
    assert_eq!(after["value"].as_array().unwrap().len(), rows.len() - 1);
    let (status, body) =
        bench.json(Api::Graph, &service_principal("00000000-0000-4000-8000-00000000dead"), &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (404, Some("Request_ResourceNotFound")));
}

/// A token is issued without consent; the call is what is refused.
#[tokio::test]
async fn a_missing_permission_is_refused_in_two_dialects() {
    let bench = Bench::demo().await;
    for permission in ["User.Read.All", "User.ReadWrite.All", "TeamsTelephoneNumber.Read.All"] {
        let edit = serde_json::from_value(json!({"edit": "removeAppPermission", "permission": permission})).unwrap();
        // Taking away what was never given is no error of this test.
        let _refused = bench.sim.world().edit(edit, bench.sim.now());
    }
    bench.sim.world().tenant.applications.values_mut().for_each(|app| app.app_roles.clear());
    let token = bench.graph_token().await;
    let (status, body) = bench.json(Api::Graph, DELTA, &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("Authorization_RequestDenied")));
    let (status, body) = bench.json(Api::Graph, NUMBERS, &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("forbidden")));
    assert!(body["error"]["message"].as_str().unwrap().contains("TeamsTelephoneNumber.Read.All"));
    assert_eq!(
        body["error"]["innerError"]["additionalData"]["action"],
        "Add the required roles/permissions and try again."
    );
}

#[tokio::test]
async fn an_expired_token_is_told() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    bench.advance("1h").await;
    let (status, body) = bench.json(Api::Graph, DELTA, &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (401, Some("InvalidAuthenticationToken")));
}

#[tokio::test]
async fn seats_in_use_are_counted_from_the_users() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let body = bench.ok(Api::Graph, "/v1.0/subscribedSkus", &token).await;
    let e5 = body["value"].as_array().unwrap().iter().find(|sku| sku["skuPartNumber"] == "SPE_E5").unwrap();
    assert_eq!(e5["consumedUnits"], 4);
    assert!(e5["servicePlans"].as_array().unwrap().iter().any(|plan| plan["servicePlanName"] == "MCOEV"));
    assert_eq!(bench.json(Api::Graph, "/v1.0/subscribedSkus?$filter=x", &token).await.0, 400);
}

#[tokio::test]
async fn users_are_listed_with_the_default_properties_and_found_by_upn() {
    let bench = Bench::start(SimConfig { world: generated(130), ..config() }).await;
    let token = bench.graph_token().await;
    let first = bench.ok(Api::Graph, "/v1.0/users", &token).await;
    assert_eq!(first["value"].as_array().unwrap().len(), 100);
    assert!(first["value"][0].get("assignedPlans").is_none() && first["value"][0]["jobTitle"].is_null());
    let next = first["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with(&bench.sim.endpoints().graph), "{next}");
    let second = read(bench.http.get(next).bearer_auth(&token)).await.1;
    assert_eq!(second["value"].as_array().unwrap().len(), 17);
    let upn = second["value"][0]["userPrincipalName"].as_str().unwrap();
    let one = bench.ok(Api::Graph, &format!("/v1.0/users/{upn}?$select=userPrincipalName"), &token).await;
    assert_eq!(one["id"], second["value"][0]["id"]);
    let filtered = bench.ok(Api::Graph, &format!("/v1.0/users?$filter=userPrincipalName eq '{upn}'"), &token).await;
    assert_eq!(filtered["value"][0]["id"], one["id"]);
    let (status, body) = bench.json(Api::Graph, "/v1.0/users?$top=1000", &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (400, Some("Request_UnsupportedQuery")));
}

#[tokio::test]
async fn delta_brings_everything_then_only_what_changed_then_marks() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let (items, link) = round(&bench, bench.url(Api::Graph, DELTA), &token).await;
    assert_eq!(ids(&items).len(), 5);
    assert!(items[0].get("assignedPlans").is_none() && items[0]["accountEnabled"] == true);
    let (nothing, link) = round(&bench, link, &token).await;
    assert!(nothing.is_empty());
    bench.edit(json!({"edit": "setAccountEnabled", "teamsUser": "maria@contoso.example", "enabled": false}));
    let (changed, link) = round(&bench, link, &token).await;
    assert_eq!((changed.len(), &changed[0]["accountEnabled"]), (1, &json!(false)));
    assert!(changed[0].get("displayName").is_none(), "the first $select is bound");
    bench.edit(json!({"edit": "deleteTeamsUser", "teamsUser": "maria@contoso.example"}));
    let (gone, _) = round(&bench, link, &token).await;
    assert_eq!(gone, [json!({"id": changed[0]["id"], "@removed": {"reason": "changed"}})]);
}

#[tokio::test]
async fn delta_answers_to_every_spelling_and_starts_from_now_on_request() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    for spelling in ["delta", "delta()", "microsoft.graph.delta", "microsoft.graph.delta()"] {
        let url = bench.url(Api::Graph, &format!("/v1.0/users/{spelling}?$deltaToken=latest"));
        let (items, link) = round(&bench, url, &token).await;
        assert!(items.is_empty() && link.contains("/users/delta?$deltatoken="), "{link}");
    }
    assert!(bench.calls().iter().filter(|call| call.api == Api::Graph).all(|call| call.route == "/v1.0/users/delta"));
    for query in ["$top=5", "$orderby=id", "$expand=manager", "$search=x", "frob=1", "$select=frob"] {
        assert_eq!(bench.json(Api::Graph, &format!("/v1.0/users/delta?{query}"), &token).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_delta_link_ends_after_seven_days_with_a_place_to_start_anew() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    let (_, link) = round(&bench, bench.url(Api::Graph, DELTA), &token).await;
    bench.advance("168h").await;
    let token = bench.graph_token().await;
    let response = bench.http.get(link).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status(), 410);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.ends_with("/v1.0/users/delta?$deltatoken="), "{location}");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "syncStateNotFound");
    assert_eq!(ids(&round(&bench, location, &token).await.0).len(), 5);
}

/// Duplicates, disorder and empty pages lose nobody.
#[tokio::test]
async fn a_hostile_delta_round_is_complete() {
    let bench = Bench::start(SimConfig { world: generated(900), calm: false, seed: 3, ..config() }).await;
    let token = loop {
        let (status, body) = read(bench.entra_call(&entra_fields())).await;
        if status == 200 {
            break body["access_token"].as_str().unwrap().to_owned();
        }
    };
    let (items, _) = round(&bench, bench.url(Api::Graph, DELTA), &token).await;
    assert_eq!(ids(&items).len(), 810);
    assert!(items.len() > 810, "some come twice");
}

#[tokio::test]
async fn links_point_to_where_the_client_called() {
    let bench = Bench::start(SimConfig { world: generated(130), ..config() }).await;
    let token = bench.graph_token().await;
    let call = bench.get(Api::Graph, "/v1.0/users", &token).header("host", "proxy.example:8443");
    let link = read(call).await.1["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://proxy.example:8443/v1.0/users?"), "{link}");
}

#[tokio::test]
async fn numbers_are_filtered_and_paged() {
    let bench = Bench::demo().await;
    for (number, user) in
        [("+15555550901", Some("maria@contoso.example")), ("+15555550902", None), ("+15555550903", None)]
    {
        bench.edit(json!({"edit": "setTenantNumber", "number": number, "teamsUser": user}));
    }
    let token = bench.graph_token().await;
    let all = bench.ok(Api::Graph, &format!("{NUMBERS}?$top=2"), &token).await;
    assert_eq!(all["value"].as_array().unwrap().len(), 2);
    let next = all["@odata.nextLink"].as_str().unwrap();
    let rest = read(bench.http.get(next).bearer_auth(&token)).await.1;
    assert!(rest.get("@odata.nextLink").is_none());
    let of = |filter: &str| format!("{NUMBERS}?$filter={}", urlencoding::encode(filter));
    let one = bench.ok(Api::Graph, &of("telephoneNumber eq '+15555550901'"), &token).await;
    assert_eq!(one["value"][0]["assignmentStatus"], "userAssigned");
    let target = one["value"][0]["assignmentTargetId"].as_str().unwrap();
    let by_target = bench.ok(Api::Graph, &of(&format!("assignmentTargetId eq '{target}'")), &token).await;
    assert_eq!(by_target["value"][0]["telephoneNumber"], "+15555550901");
    let by_type = bench.ok(Api::Graph, &of("numberType eq 'DirectRouting'"), &token).await;
    assert_eq!(by_type["value"].as_array().unwrap().len(), 3);
    for query in ["?$top=1001", "?$filter=city%20eq%20'x'", "?$orderby=x"] {
        assert_eq!(bench.json(Api::Graph, &format!("{NUMBERS}{query}"), &token).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn a_newly_licensed_user_is_absent_from_the_voice_state_until_teams_is_ready() {
    let bench = Bench::demo().await;
    let id = "00000000-0000-4000-8000-0000000000a7";
    bench.edit(
        json!({"edit": "addTeamsUser", "id": id, "userPrincipalName": "new@contoso.example", "skus": ["SPE_E5"]}),
    );
    let token = bench.graph_token().await;
    let path = format!("/v1.0/admin/teams/userConfigurations/{id}");
    let (status, body) = bench.json(Api::Graph, &path, &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (404, Some("notFound")));
    bench.advance("61m").await;
    let token = bench.graph_token().await;
    let body = bench.ok(Api::Graph, &path, &token).await;
    assert_eq!(
        (&body["featureTypes"], &body["isEnterpriseVoiceEnabled"]),
        (&json!(["Teams", "PhoneSystem"]), &json!(false))
    );
    let all = bench.ok(Api::Graph, "/v1.0/admin/teams/userConfigurations?$top=2", &token).await;
    let next = all["@odata.nextLink"].as_str().unwrap();
    assert_eq!(read(bench.http.get(next).bearer_auth(&token)).await.1["value"].as_array().unwrap().len(), 2);
}

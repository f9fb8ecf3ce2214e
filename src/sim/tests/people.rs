use super::*;

const E3: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
const UPN: &str = "dr-activation@contoso.example";
const DELETED: &str = "/v1.0/directory/deletedItems";

fn body() -> Value {
    json!({
        "accountEnabled": true,
        "displayName": "DR activation",
        "mailNickname": "dr-activation",
        "usageLocation": "DE",
        "userPrincipalName": UPN,
        "passwordProfile": {"forceChangePasswordNextSignIn": true, "password": "planted-password-1"},
    })
}

async fn create(bench: &Bench) -> String {
    let user = bench.graph("POST", "/v1.0/users", body(), 201).await;
    user["id"].as_str().unwrap().to_owned()
}

fn user(id: &str, rest: &str) -> String {
    format!("/v1.0/users/{id}{rest}")
}

async fn license(bench: &Bench, id: &str, sku: &str) -> Value {
    let change = json!({"addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": []});
    bench.graph("POST", &user(id, "/assignLicense"), change, 200).await
}

async fn consumed(bench: &Bench) -> u64 {
    let skus = bench.graph("GET", "/v1.0/subscribedSkus", Value::Null, 200).await;
    let skus = skus["value"].as_array().unwrap().clone();
    skus.iter().find(|sku| sku["skuId"] == E3).unwrap()["consumedUnits"].as_u64().unwrap()
}

#[tokio::test]
async fn a_user_is_made_licensed_and_deleted_and_its_seat_is_free_again() {
    let bench = Bench::demo().await;
    let before = consumed(&bench).await;
    let id = create(&bench).await;
    assert_eq!(consumed(&bench).await, before, "a user alone takes no seat");
    let licensed = license(&bench, &id, E3).await;
    assert_eq!((&licensed["id"], &licensed["assignedLicenses"][0]["skuId"]), (&json!(id), &json!(E3)));
    assert_eq!(consumed(&bench).await, before + 1);
    let details = bench.graph("GET", &user(&id, "/licenseDetails"), Value::Null, 200).await;
    assert_eq!((&details["value"][0]["skuPartNumber"], &details["value"][0]["skuId"]), (&json!("SPE_E3"), &json!(E3)));
    let plans = details["value"][0]["servicePlans"].as_array().unwrap().clone();
    assert!(plans.iter().any(|plan| plan["servicePlanName"] == "TEAMS1" && plan["provisioningStatus"] == "Success"));
    bench.graph("DELETE", &user(&id, ""), Value::Null, 204).await;
    assert_eq!(consumed(&bench).await, before, "a deleted user holds no seat");
    assert_eq!(bench.refused("GET", &user(&id, ""), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_password_is_kept_nowhere() {
    let bench = Bench::demo().await;
    create(&bench).await;
    let (_, world) = bench.control("GET", "/world", None).await;
    let (_, journal) = bench.control("GET", "/journal", None).await;
    assert!(world.to_string().contains(UPN) && !world.to_string().contains("planted-password"));
    assert!(!journal.to_string().contains("planted-password"));
    let mut wrong = body();
    wrong["passwordProfile"]["pasword"] = json!("planted-password-2");
    let token = bench.graph_token().await;
    let (status, answer) = bench.send("POST", Api::Graph, "/v1.0/users", &token, wrong).await;
    assert!(status == 400 && !answer.to_string().contains("planted-password"), "{answer}");
}

#[tokio::test]
async fn what_a_user_cannot_be_made_with_is_refused() {
    let bench = Bench::demo().await;
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut body = body();
        change(&mut body);
        bench.refused("POST", "/v1.0/users", body).await
    };
    for field in ["accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile"] {
        let missing = refused(&|body| drop(body.as_object_mut().unwrap().remove(field))).await;
        assert_eq!((missing.0, missing.1.as_str()), (400, "Request_BadRequest"), "{field}");
    }
    assert_eq!(refused(&|body| body["userPrincipalName"] = json!("a@elsewhere.example")).await.0, 400);
    assert_eq!(refused(&|body| body["userPrincipalName"] = json!("a b@contoso.example")).await.0, 400);
    assert_eq!(refused(&|body| body["frob"] = json!("x")).await.0, 400);
    bench.edit(json!({"edit": "addTenantDomain", "name": "new.example"}));
    assert_eq!(refused(&|body| body["userPrincipalName"] = json!("a@new.example")).await.0, 400, "not verified");
    create(&bench).await;
    let again = refused(&|body| body["userPrincipalName"] = json!(UPN.to_uppercase())).await;
    assert_eq!(again, (400, "Request_BadRequest".to_owned(), Some("ObjectConflict".to_owned())));
}

#[tokio::test]
async fn a_product_needs_a_country_of_use_and_a_free_seat() {
    let bench = Bench::demo().await;
    let mut stateless = body();
    stateless.as_object_mut().unwrap().remove("usageLocation");
    let made = bench.graph("POST", "/v1.0/users", stateless, 201).await;
    let id = made["id"].as_str().unwrap();
    let change = |add: Value, remove: Value| json!({"addLicenses": add, "removeLicenses": remove});
    let add = || json!([{"skuId": E3, "disabledPlans": []}]);
    let text = async |body: Value| {
        let token = bench.graph_token().await;
        let (status, answer) = bench.send("POST", Api::Graph, &user(id, "/assignLicense"), &token, body).await;
        assert_eq!(status, 400, "{answer}");
        answer["error"]["message"].as_str().unwrap().to_owned()
    };
    let without = text(change(add(), json!([]))).await;
    assert_eq!(without, "License assignment cannot be done for user with invalid usage location.");
    bench.graph("PATCH", &user(id, ""), json!({"usageLocation": "PT"}), 204).await;
    bench.edit(json!({"edit": "setSeats", "sku": "SPE_E3", "seats": 1}));
    let full = text(change(add(), json!([]))).await;
    assert_eq!(full, format!("Subscription with SKU {E3} does not have any available licenses."));
    assert_eq!(consumed(&bench).await, 1, "nothing was given");
    assert!(text(change(json!([]), json!([E3]))).await.contains("corresponding license"));
    assert!(
        text(change(json!([{"skuId": "00000000-0000-4000-8000-0000000000ee"}]), json!([]))).await.contains("valid")
    );
    assert!(text(json!({"addLicenses": []})).await.starts_with("Invalid request body"));
    bench.edit(json!({"edit": "setSeats", "sku": "SPE_E3", "seats": 2}));
    bench.sim.world().settings.graph.assign_license_status = 202;
    bench.graph("POST", &user(id, "/microsoft.graph.assignLicense"), change(add(), json!([])), 202).await;
    bench.graph("POST", &user(id, "/assignLicense"), change(json!([]), json!([E3])), 202).await;
    assert_eq!(consumed(&bench).await, 1);
    let read = bench.graph("GET", &user(id, "?$select=assignedPlans,assignedLicenses"), Value::Null, 200).await;
    assert_eq!(read["assignedLicenses"], json!([]));
    let plans = read["assignedPlans"].as_array().unwrap().clone();
    assert!(!plans.is_empty() && plans.iter().all(|plan| plan["capabilityStatus"] == "Deleted"), "{plans:?}");
}

#[tokio::test]
async fn a_deleted_user_is_listed_restored_and_deleted_for_good() {
    let bench = Bench::demo().await;
    let id = create(&bench).await;
    license(&bench, &id, E3).await;
    bench.graph("DELETE", &user(&id, ""), Value::Null, 204).await;
    for cast in ["microsoft.graph.user", "graph.user"] {
        let listed =
            bench.graph("GET", &format!("{DELETED}/{cast}?$select=id,deletedDateTime"), Value::Null, 200).await;
        assert_eq!(listed["value"][0]["id"], json!(id));
        assert_eq!(listed["value"][0]["deletedDateTime"], "2026-01-05T08:00:00Z");
    }
    let restored = bench.graph("POST", &format!("{DELETED}/{id}/restore"), Value::Null, 200).await;
    assert_eq!((&restored["id"], &restored["assignedLicenses"][0]["skuId"]), (&json!(id), &json!(E3)));
    bench.graph("GET", &user(&id, ""), Value::Null, 200).await;
    bench.graph("DELETE", &user(&id, ""), Value::Null, 204).await;
    bench.sim.world().settings.graph.hard_delete_by_applications = false;
    let denied = bench.refused("DELETE", &format!("{DELETED}/{id}"), Value::Null).await;
    assert_eq!((denied.0, denied.1.as_str()), (403, "Authorization_RequestDenied"));
    bench.sim.world().settings.graph.hard_delete_by_applications = true;
    bench.graph("DELETE", &format!("{DELETED}/{id}"), Value::Null, 204).await;
    assert_eq!(bench.refused("DELETE", &format!("{DELETED}/{id}"), Value::Null).await.0, 404);
    assert_eq!(bench.refused("POST", &format!("{DELETED}/{id}/restore"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_restored_user_loses_the_product_whose_seats_were_taken_meanwhile() {
    let bench = Bench::demo().await;
    let id = create(&bench).await;
    license(&bench, &id, E3).await;
    bench.graph("DELETE", &user(&id, ""), Value::Null, 204).await;
    bench.edit(json!({"edit": "setSeats", "sku": "SPE_E3", "seats": 1}));
    let restored = bench.graph("POST", &format!("{DELETED}/{id}/restore"), Value::Null, 200).await;
    assert_eq!(restored["assignedLicenses"], json!([]));
    assert_eq!(consumed(&bench).await, 1);
}

#[tokio::test]
async fn after_thirty_days_a_deleted_user_is_gone_for_good() {
    let bench = Bench::demo().await;
    let id = create(&bench).await;
    bench.graph("DELETE", &user(&id, ""), Value::Null, 204).await;
    bench.advance("719h").await;
    bench.graph("GET", &format!("{DELETED}/{id}"), Value::Null, 200).await;
    bench.advance("1h").await;
    assert_eq!(bench.refused("GET", &format!("{DELETED}/{id}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn each_write_of_a_user_demands_its_own_permission() {
    let bench = Bench::demo().await;
    let id = create(&bench).await;
    let licenses = json!({"addLicenses": [], "removeLicenses": []});
    let calls = [
        ("User.ReadWrite.All", "POST", "/v1.0/users".to_owned(), body()),
        ("User.ReadWrite.All", "PATCH", user(&id, ""), json!({})),
        ("LicenseAssignment.ReadWrite.All", "POST", user(&id, "/assignLicense"), licenses),
        ("User.DeleteRestore.All", "DELETE", user(&id, ""), Value::Null),
        ("User.DeleteRestore.All", "POST", format!("{DELETED}/{id}/restore"), Value::Null),
        ("User.DeleteRestore.All", "DELETE", format!("{DELETED}/{id}"), Value::Null),
    ];
    for (permission, method, path, body) in calls {
        bench.edit(json!({"edit": "removeAppPermission", "permission": permission}));
        let denied = bench.refused(method, &path, body).await;
        assert_eq!((denied.0, denied.1.as_str()), (403, "Authorization_RequestDenied"), "{permission} {method}");
        bench.edit(json!({"edit": "grantAppPermission", "permission": permission}));
    }
    bench.graph("GET", &user(&id, ""), Value::Null, 200).await;
}

/// Section 18.1.3: a new user is not found for a while by any call, but its name is taken; delta shows it later, and its end.
#[tokio::test]
async fn a_new_user_is_not_found_for_a_while_on_a_hostile_day() {
    let (bench, token) = Bench::hostile_graph().await;
    let call = async |method: &str, path: &str, body: Value| bench.insist(&token, method, path, body).await;
    let pass = async || bench.sim.advance_to(bench.sim.now() + k8s_openapi::jiff::SignedDuration::from_secs(21)).await;
    bench.sim.world().draws = 3;
    let (status, made) = call("POST", "/v1.0/users", body()).await;
    assert_eq!(status, 201);
    let id = made["id"].as_str().unwrap();
    assert_eq!(call("POST", "/v1.0/users", body()).await.1["error"]["details"][0]["code"], "ObjectConflict");
    let change = json!({"addLicenses": [{"skuId": E3}], "removeLicenses": []});
    for (method, path, body) in [
        ("GET", user(id, ""), Value::Null),
        ("GET", user(UPN, ""), Value::Null),
        ("POST", user(id, "/assignLicense"), change.clone()),
        ("DELETE", user(id, ""), Value::Null),
    ] {
        assert_eq!(call(method, &path, body).await.0, 404, "{method} {path}");
    }
    pass().await;
    assert_eq!(call("POST", &user(id, "/assignLicense"), change).await.0, 200);
    let delta = async || {
        let mut shown = Vec::new();
        let mut path = "/v1.0/users/delta?$select=id".to_owned();
        loop {
            let (_, page) = call("GET", &path, Value::Null).await;
            shown.extend(page["value"].as_array().unwrap().iter().cloned());
            let Some(next) = page["@odata.nextLink"].as_str() else { return shown };
            path = next.split_once("/v1.0").map(|(_, rest)| format!("/v1.0{rest}")).unwrap();
        }
    };
    pass().await;
    assert!(delta().await.iter().any(|shown| shown["id"] == id));
    assert_eq!(call("DELETE", &user(id, ""), Value::Null).await.0, 204);
    assert!(!delta().await.iter().any(|shown| shown["id"] == id && shown.get("@removed").is_none()));
}

use super::*;

const ACCOUNT: &str = "/accounts/1234567890123456789";

async fn bench() -> Bench {
    Bench::start(SimConfig { world: World::untouched().unwrap(), ..config() }).await
}

impl Bench {
    /// A call to the connector below the account.
    async fn connector(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.send(method, Api::Connector, &format!("{ACCOUNT}{path}"), test::CONNECTOR_TOKEN, body).await
    }

    async fn connector_ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.connector(method, path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    async fn human(&self, action: &str, body: Value) -> u16 {
        self.control("POST", &format!("/humans/{action}"), Some(body)).await.0
    }
}

fn pbx(organization: &str, rest: &str) -> String {
    format!("/pbxs/{organization}{rest}")
}

const PBXS: [&str; 2] = [test::ORGANIZATION_ID, test::BRANCH_ID];

#[tokio::test]
async fn nothing_is_set_up_and_everything_is_bought() {
    let bench = bench().await;
    for (organization, licenses) in PBXS.into_iter().zip([5, 3]) {
        let entitlement = bench.connector_ok("GET", &pbx(organization, "/entitlement"), Value::Null).await;
        assert_eq!(entitlement, json!({"active": true, "licensesTotal": licenses, "licensesInUse": 0}));
        assert_eq!(bench.connector("PUT", &pbx(organization, ""), Value::Null).await.0, 409, "AccountRequired");
    }
    let users = format!("/users/v1/users?accountKey={}", test::ACCOUNT_KEY);
    let users = bench.ok(Api::GotoApi, &users, &bench.goto_token().await).await;
    let lines = users["items"].as_array().unwrap().iter().flat_map(|user| user["lines"].as_array().unwrap());
    let organizations: std::collections::BTreeSet<_> =
        lines.map(|line| line["organization"]["id"].as_str().unwrap()).collect();
    assert_eq!(organizations, PBXS.into(), "each PBX has people");
    assert_eq!(bench.connector("GET", "", Value::Null).await.0, 404);
    let consents = bench.connector_ok("GET", "/consents", Value::Null).await;
    assert!(consents["items"].as_array().unwrap().iter().all(|consent| consent["state"] == "NotRequested"));
    let domains = bench.connector_ok("GET", "/domains", Value::Null).await;
    let domains = domains["items"].as_array().unwrap().clone();
    assert!(domains.len() == 2 && domains.iter().all(|domain| domain["state"] == "Reserved"), "{domains:?}");
    let known = bench.graph("GET", "/v1.0/domains", Value::Null, 200).await;
    assert_eq!(known["value"].as_array().unwrap().len(), 2, "the tenant's own and the initial one");
    let skus = bench.graph("GET", "/v1.0/subscribedSkus", Value::Null, 200).await;
    let spare: Vec<_> = skus["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|sku| {
            let free = sku["prepaidUnits"]["enabled"].as_u64()? - sku["consumedUnits"].as_u64()?;
            (free > 0).then(|| (sku["skuPartNumber"].as_str().unwrap().to_owned(), free))
        })
        .collect();
    assert_eq!(spare, [("ENTERPRISEPACK".to_owned(), 2)]);
    assert_eq!(bench.connector("POST", "/syncs", json!({"kind": "Directory", "organizationId": PBXS[0]})).await.0, 409);
}

#[tokio::test]
async fn an_untouched_world_survives_its_file() {
    let world = World::untouched().unwrap();
    let yaml = serde_saphyr::to_string(&world).unwrap();
    assert_eq!(serde_saphyr::from_str::<World>(&yaml).unwrap(), world);
    assert_eq!(world, World::untouched().unwrap());
}

/// The guide's way from the first card to a verified connection, with humans who do what they are told, one by one.
#[tokio::test]
async fn the_whole_way_of_the_guide_can_be_gone() {
    let bench = bench().await;
    let manager = json!({"manager": {"firstName": "Kofi", "lastName": "Mensah", "email": "kofi@contoso.example"}});
    bench.connector_ok("PUT", "", manager).await;
    bench.connector_ok("POST", "/invitation", Value::Null).await;
    bench.advance("49h").await;
    assert_eq!(bench.human("acceptInvitation", json!({})).await, 410, "expired");
    bench.connector_ok("POST", "/invitation", Value::Null).await;
    assert_eq!(bench.human("acceptInvitation", json!({})).await, 200);
    let owner = json!({"role": "Administrator"});
    bench.connector_ok("PUT", "/administrators/maria@contoso.example", owner).await;
    bench.connector_ok("POST", "/administrators/maria@contoso.example/invitation", Value::Null).await;
    assert_eq!(bench.human("acceptAdministrator", json!({"email": "omar@contoso.example"})).await, 410);
    assert_eq!(bench.human("acceptAdministrator", json!({})).await, 200);
    let administrators = bench.connector_ok("GET", "/administrators", Value::Null).await;
    assert_eq!(administrators["items"][0]["state"], "Accepted");
    for organization in PBXS {
        bench.connector_ok("PUT", &pbx(organization, ""), Value::Null).await;
        let services = json!({"syncEnabled": true, "enabled": true});
        bench.connector_ok("PATCH", &pbx(organization, "/services/teams"), services).await;
    }
    bench.connector_ok("POST", "/consents/requests", Value::Null).await;
    assert_eq!(bench.human("grantConsent", json!({})).await, 200);
    bench.edit(json!({"edit": "changeSettings", "settings": {"domainsManagedBy": "Connector"}}));
    bench.advance("5h").await;
    let domains = bench.connector_ok("GET", "/domains", Value::Null).await;
    let domains = domains["items"].as_array().unwrap().clone();
    assert!(domains.iter().all(|domain| domain["state"] == "Activated"), "{domains:?}");
    for organization in PBXS {
        bench.connector_ok("POST", "/syncs", json!({"kind": "Directory", "organizationId": organization})).await;
        bench.advance("15m").await;
        bench.edit(json!({"edit": "failNextVerification", "organization": organization}));
        for state in ["Failed", "Verified"] {
            bench.connector_ok("POST", &pbx(organization, "/verifications"), Value::Null).await;
            bench.advance("1m").await;
            let verification =
                bench.connector_ok("GET", &pbx(organization, "/verifications/latest"), Value::Null).await;
            assert_eq!(verification["state"], state, "{verification}");
        }
    }
    assert_eq!(bench.sim.world().tenant.users.len(), 5, "no temporary user is left");
}

/// Two ways to the same set-up have one hash, and whatever is left over has another.
#[tokio::test]
async fn the_hash_tells_set_ups_apart() {
    let bench = bench().await;
    let hash = async || bench.control("GET", "/state-hash", None).await.1["hash"].as_str().unwrap().to_owned();
    let untouched = hash().await;
    let manager = |name: &str| json!({"manager": {"firstName": name, "lastName": "M", "email": format!("{name}@contoso.example")}});
    bench.connector_ok("PUT", "", manager("kofi")).await;
    let entered = hash().await;
    assert_ne!(entered, untouched);
    bench.connector_ok("PUT", "", manager("esi")).await;
    assert_ne!(hash().await, entered);
    bench.connector_ok("PUT", "", manager("kofi")).await;
    assert_eq!(hash().await, entered);
    bench.graph("POST", "/v1.0/domains", json!({"id": "left.example"}), 201).await;
    assert_ne!(hash().await, entered);
}

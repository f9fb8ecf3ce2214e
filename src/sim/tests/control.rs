use super::*;
use crate::sim::world::Humans;
use crate::sim::world::connector::Purpose;

/// A world in which a consent group waits for the Global Administrator; its link.
fn with_consent_link(bench: &Bench) -> String {
    bench.edit(json!({"edit": "revokeConsent"}));
    let account = test::ACCOUNT_KEY.parse().unwrap();
    let now = bench.sim.now();
    bench.sim.world().request_consents(&account, now).unwrap();
    let world = bench.sim.world();
    let links = &world.connectors[&account].links;
    let consent = links.iter().find(|(_, link)| matches!(link.purpose, Purpose::Consent { .. })).unwrap();
    format!("{}/links/{}", bench.sim.endpoints().control, consent.0)
}

#[tokio::test]
async fn the_world_is_read_and_put_back() {
    let bench = Bench::demo().await;
    let (status, world) = bench.control("GET", "/world", None).await;
    assert_eq!(status, 200);
    let (_, before) = bench.control("GET", "/state-hash", None).await;
    bench.edit(json!({"edit": "setTenantNumber", "number": "+15555550901", "teamsUser": "maria@contoso.example"}));
    let (_, changed) = bench.control("GET", "/state-hash", None).await;
    assert_ne!(before, changed);
    assert_eq!(bench.control("PUT", "/world", Some(world)).await.0, 204);
    assert_eq!(bench.control("GET", "/state-hash", None).await.1, before);
}

#[tokio::test]
async fn unknown_fields_are_refused_with_words() {
    let bench = Bench::demo().await;
    let orders = [
        ("PUT", "/world", json!({"wrold": {}})),
        ("POST", "/world/edit", json!({"edit": "setLicenses", "totally": 3})),
        ("POST", "/faults", json!([{"then": "emptyPage", "often": 1}])),
        ("POST", "/humans/grantConsent", json!({"who": "me"})),
        ("POST", "/humans/dance", json!({})),
        ("POST", "/card5", json!({"rows": [], "x": 1})),
    ];
    for (method, path, body) in orders {
        let (status, answer) = bench.control(method, path, Some(body)).await;
        assert!(status == 422 && answer["error"].is_string(), "{path}: {status} {answer}");
    }
    for path in ["/journal?apis=graph", "/journal?api=teams", "/card5?pbxs=1"] {
        assert_eq!(bench.control("GET", path, None).await.0, 422, "{path}");
    }
}

#[tokio::test]
async fn the_endpoints_are_told() {
    let bench = Bench::demo().await;
    let (_, told) = bench.control("GET", "/endpoints", None).await;
    assert_eq!(told["gotoAdmin"], bench.sim.endpoints().goto_admin.as_str());
    let health = bench.http.get(format!("{}/healthz", bench.sim.endpoints().control)).send().await.unwrap();
    assert_eq!(health.status(), 200);
}

/// Tests start many: each ends with its value.
#[tokio::test]
async fn a_dropped_simulator_no_longer_answers() {
    let Bench { sim, http } = Bench::demo().await;
    let url = format!("{}/healthz", sim.endpoints().control);
    assert!(http.get(&url).send().await.is_ok());
    drop(sim);
    let mut left = 100;
    while http.get(&url).send().await.is_ok() {
        left -= 1;
        assert!(left > 0, "it still answers");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn edits_are_applied_one_or_many() {
    let bench = Bench::demo().await;
    let edits = json!([{"edit": "setLicenses", "total": 9}, {"edit": "setLicenses", "total": 8}]);
    assert_eq!(bench.control("POST", "/world/edit", Some(edits)).await.0, 204);
    let (_, card) = bench.control("GET", "/card5", None).await;
    assert_eq!(card["licensesTotal"], 8);
    let (status, _) =
        bench.control("POST", "/world/edit", Some(json!({"edit": "deleteGotoUser", "user": "nobody"}))).await;
    assert_eq!(status, 404);
}

/// A test must know who was drawn.
#[tokio::test]
async fn an_edit_of_many_tells_whom_it_was_for() {
    let bench = Bench::start(SimConfig { world: generated(100), requests_per_second: None, ..config() }).await;
    let edit = json!({"edit": "each", "who": {"drawn": 41, "seed": 3}, "change": "removeLine"});
    let (status, told) = bench.control("POST", "/world/edit", Some(edit)).await;
    assert_eq!((status, told["users"].as_array().unwrap().len()), (200, 41));
    let world = bench.control("GET", "/world", None).await.1;
    let first = told["users"][0].as_str().unwrap();
    assert_eq!(world["goto"]["accounts"][test::ACCOUNT_KEY]["users"][first]["lines"], json!([]));
}

/// R18: the names behind the counters.
#[tokio::test]
async fn card_5_names_whom_it_counts() {
    let bench = Bench::demo().await;
    let (_, users) = bench.control("GET", "/card5/users", None).await;
    let keys = ["2000000000000000001", "2000000000000000002"];
    assert_eq!(users, json!({"toAdd": keys, "toRemove": []}));
    bench.edit(json!({"edit": "addPair", "user": keys[0], "teamsUser": "ann.lee@contoso.example"}));
    let (_, users) = bench.control("POST", "/card5/users", Some(json!({"rows": []}))).await;
    assert_eq!(users, json!({"toAdd": [], "toRemove": [keys[0]]}));
    assert_eq!(bench.control("POST", "/card5/users", Some(json!({}))).await.0, 422);
}

#[tokio::test]
async fn card_5_shows_the_automatic_process_or_an_uploaded_file() {
    let bench = Bench::demo().await;
    let query = format!("/card5?account={}&pbx={}", test::ACCOUNT_KEY, test::ORGANIZATION_ID);
    let (_, card) = bench.control("GET", &query, None).await;
    assert_eq!((&card["licensesAvailable"], &card["usersToAdd"]), (&json!(2), &json!(2)));
    let rows = json!({"rows": [{"gotoEmail": "maria@contoso.example", "teamsUser": "maria@contoso.example"}]});
    let (_, card) = bench.control("POST", "/card5", Some(rows)).await;
    assert_eq!((&card["usersToAdd"], &card["usersAfterSync"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn the_journal_tells_every_call_of_an_api() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    bench.ok(Api::GotoAdmin, "/admin/rest/v1/me", &token).await;
    bench.json(Api::GotoAdmin, "/nowhere", &token).await;
    let (_, all) = bench.control("GET", "/journal", None).await;
    let routes: Vec<_> =
        all["calls"].as_array().unwrap().iter().map(|call| (&call["route"], &call["status"])).collect();
    let expected = [("/oauth/token", 200), ("/admin/rest/v1/me", 200), ("-", 404)].map(|(a, b)| (json!(a), json!(b)));
    assert_eq!(routes, expected.iter().map(|(a, b)| (a, b)).collect::<Vec<_>>());
    assert_eq!(all["counters"]["goto-auth POST /oauth/token"], 1);
    assert_eq!(all["calls"][0]["at"], "2026-01-05T08:00:00Z");
    let (_, some) = bench.control("GET", "/journal?api=goto-admin&wrote=false&since=2&route=-", None).await;
    assert_eq!(some["calls"].as_array().unwrap().len(), 1);
    assert_eq!(bench.control("DELETE", "/journal", None).await.0, 204);
    assert!(bench.calls().is_empty());
}

#[tokio::test]
async fn faults_are_listed_with_how_often_they_fired() {
    let bench = Bench::demo().await;
    let rule = json!([{"match": {"api": "goto-auth"}, "times": 1, "then": {"status": {"code": 500}}}]);
    assert_eq!(bench.control("POST", "/faults", Some(rule)).await.0, 200);
    let fields = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];
    assert_eq!(read(bench.token_call(&fields)).await.0, 500);
    let (_, list) = bench.control("GET", "/faults", None).await;
    assert_eq!((&list[0]["matched"], &list[0]["fired"]), (&json!(1), &json!(1)));
    assert_eq!(bench.control("DELETE", "/faults", None).await.0, 204);
    assert_eq!(read(bench.token_call(&fields)).await.0, 200);
}

#[tokio::test]
async fn a_link_leads_to_a_page_and_a_click_does_what_it_says() {
    let bench = Bench::demo().await;
    let link = with_consent_link(&bench);
    let (_, waiting) = bench.control("GET", "/humans", None).await;
    assert!(waiting.as_array().unwrap().iter().any(|it| it["link"] == link.as_str()), "{waiting}");
    let page = bench.http.get(&link).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<form method=\"post\">"));
    assert_eq!(bench.http.post(&link).send().await.unwrap().status(), 200);
    assert_eq!(bench.http.post(&link).send().await.unwrap().status(), 410, "a link is used once");
    let other = format!("{}/links/none", bench.sim.endpoints().control);
    assert_eq!(bench.http.get(other).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_link_expires() {
    let bench = Bench::demo().await;
    let link = with_consent_link(&bench);
    bench.advance("61m").await;
    assert_eq!(bench.http.get(&link).send().await.unwrap().status(), 410);
    assert_eq!(bench.http.post(&link).send().await.unwrap().status(), 410);
}

#[tokio::test]
async fn humans_act_by_the_control_port_or_by_themselves() {
    let bench = Bench::demo().await;
    with_consent_link(&bench);
    let (status, body) = bench.control("POST", "/humans/grantConsent", None).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(bench.control("GET", "/humans", None).await.1, json!([]));
    bench.sim.world().settings.humans = Humans::Auto { after_seconds: 5 };
    with_consent_link(&bench);
    bench.advance("4s").await;
    assert_ne!(bench.control("GET", "/humans", None).await.1, json!([]));
    bench.advance("1s").await;
    assert_eq!(bench.control("GET", "/humans", None).await.1, json!([]));
}

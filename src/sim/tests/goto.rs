use std::collections::BTreeSet;

use super::*;

fn admin_users(query: &str) -> String {
    format!("/admin/rest/v1/accounts/{}/users{query}", test::ACCOUNT_KEY)
}

fn connect(path: &str) -> String {
    let sign = if path.contains('?') { '&' } else { '?' };
    format!("{path}{sign}accountKey={}", test::ACCOUNT_KEY)
}

/// Follows the markers of a list; fails on a second page that repeats an item.
async fn all(bench: &Bench, path: &str, token: &str, key: &str) -> (usize, BTreeSet<String>) {
    let (mut pages, mut seen, mut next) = (0, BTreeSet::new(), connect(path));
    loop {
        let (status, body) = bench.json(Api::GotoApi, &next, token).await;
        if status != 200 {
            assert!(matches!(status, 429 | 500..), "{status} {body}");
            continue;
        }
        pages += 1;
        for item in body["items"].as_array().unwrap() {
            assert!(seen.insert(item[key].as_str().unwrap().to_owned()), "{item}");
        }
        let Some(marker) = body["nextPageMarker"].as_str() else { return (pages, seen) };
        next = connect(&format!("{path}{}pageMarker={marker}", if path.contains('?') { '&' } else { '?' }));
    }
}

#[tokio::test]
async fn me_tells_the_accounts_of_the_token() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let body = bench.ok(Api::GotoAdmin, "/admin/rest/v1/me", &token).await;
    assert_eq!(body["accountKey"], test::ACCOUNT_KEY);
    assert_eq!(body["accounts"], json!([{"key": test::ACCOUNT_KEY, "name": "Contoso"}]));
}

#[tokio::test]
async fn the_user_list_has_an_envelope_whose_last_index_is_inclusive() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let first = bench.ok(Api::GotoAdmin, &admin_users("?pageSize=4"), &token).await;
    assert_eq!((&first["fromIndex"], &first["toIndex"], &first["total"]), (&json!(0), &json!(3), &json!(7)));
    let second = bench.ok(Api::GotoAdmin, &admin_users("?pageSize=4&offset=4"), &token).await;
    assert_eq!((&second["fromIndex"], &second["toIndex"]), (&json!(4), &json!(6)));
    let devices = second["results"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|user| user["email"].as_str().unwrap().ends_with("@devices.logmein.com"));
    assert_eq!(devices.count(), 1);
    assert_eq!(bench.calls().last().unwrap().page, Some(1));
}

#[tokio::test]
async fn a_filter_finds_one_user_and_a_plus_for_a_space_is_rejected() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let found =
        bench.ok(Api::GotoAdmin, &admin_users("?filter=email%20eq%20%22ANN.LEE@contoso.example%22"), &token).await;
    assert_eq!((&found["total"], &found["results"][0]["firstName"]), (&json!(1), &json!("Ann")));
    let none = bench.ok(Api::GotoAdmin, &admin_users("?filter=email%20eq%20%22x@y.example%22"), &token).await;
    assert_eq!((&none["total"], &none["results"]), (&json!(0), &json!([])));
    for query in ["?filter=email+eq+%22ann.lee@contoso.example%22", "?pageSize=1001", "?pageSize=0", "?frob=1"] {
        assert_eq!(bench.json(Api::GotoAdmin, &admin_users(query), &token).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn attributes_project_the_result() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let body = bench.ok(Api::GotoAdmin, &admin_users("?attributes=key,email&pageSize=1"), &token).await;
    let fields: Vec<&String> = body["results"][0].as_object().unwrap().keys().collect();
    assert_eq!(fields, ["email", "key"]);
}

/// A token without the scope or a user without the role is refused in each host's words.
#[tokio::test]
async fn scope_and_role_are_checked() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    bench.edit(json!({"edit": "setAdminRoles", "user": "kofi@contoso.example", "roles": ["MANAGE_ACCOUNT"]}));
    assert_eq!(bench.json(Api::GotoAdmin, &admin_users(""), &token).await.0, 403);
    let (status, body) = bench.json(Api::GotoApi, &connect("/users/v1/users"), &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (403, Some("UNAUTHORIZED")));
    bench.ok(Api::GotoApi, &connect("/voice-admin/v1/extensions"), &token).await;
    bench.sim.world().goto.access_tokens.values_mut().for_each(|token| token.scopes.clear());
    assert_eq!(bench.json(Api::GotoAdmin, "/admin/rest/v1/me", &token).await.0, 401);
    let (status, body) = bench.json(Api::GotoApi, &connect("/voice-admin/v1/extensions"), &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (403, Some("AUTHZ_INSUFFICIENT_SCOPE")));
}

#[tokio::test]
async fn another_account_is_not_found() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let (status, body) = bench.json(Api::GotoApi, "/users/v1/users?accountKey=999", &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (404, Some("NOT_FOUND")));
}

#[tokio::test]
async fn lines_extensions_and_numbers_join_to_a_user() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let users = bench.ok(Api::GotoApi, &connect("/users/v1/users"), &token).await;
    let lines = |user: &&Value| !user["lines"].as_array().unwrap().is_empty();
    let line = &users["items"].as_array().unwrap().iter().find(lines).unwrap()["lines"][0];
    let extensions = bench.ok(Api::GotoApi, &connect("/voice-admin/v1/extensions?pageSize=100"), &token).await;
    let number = line["number"].as_str().unwrap();
    let extension = extensions["items"].as_array().unwrap().iter().find(|it| it["number"] == number).unwrap();
    assert_ne!(extension["id"], line["id"]);
    let id = extension["id"].as_str().unwrap();
    let numbers = bench
        .ok(Api::GotoApi, &connect(&format!("/voice-admin/v1/phone-numbers?targetExtensionId={id}")), &token)
        .await;
    assert_eq!(numbers["items"][0]["routeTo"], json!({"id": id, "type": "EXTENSION"}));
    let one = format!("/voice-admin/v1/phone-numbers/{}", numbers["items"][0]["id"].as_str().unwrap());
    assert_eq!(bench.ok(Api::GotoApi, &one, &token).await["number"], numbers["items"][0]["number"]);
}

#[tokio::test]
async fn a_user_without_a_line_is_listed_with_none() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let users = bench.ok(Api::GotoApi, &connect("/users/v1/users"), &token).await;
    let without = users["items"].as_array().unwrap().iter().filter(|user| user["lines"] == json!([])).count();
    assert_eq!(without, 1);
    let key = users["items"][0]["userKey"].as_str().unwrap();
    let own = bench.ok(Api::GotoApi, &format!("/users/v1/users/{key}/lines"), &token).await;
    assert_eq!(own["items"], users["items"][0]["lines"]);
}

#[tokio::test]
async fn paging_by_marker_is_complete_on_calm_and_on_hostile_days() {
    for calm in [true, false] {
        let world = generated(230);
        let bench = Bench::start(SimConfig { world, calm, seed: 11, ..config() }).await;
        let mut token = bench.goto_token_patiently().await;
        for (path, key, least) in [
            ("/users/v1/users", "userKey", 3),
            ("/voice-admin/v1/phone-numbers?pageSize=100", "id", 3),
            ("/voice-admin/v1/extensions?pageSize=500", "id", 3),
        ] {
            let (pages, seen) = all(&bench, path, &token, key).await;
            assert_eq!(seen.len(), 230, "{path}");
            assert!(if calm { pages == least } else { pages >= least }, "{path}: {pages}");
            token = bench.goto_token_patiently().await;
        }
    }
}

impl Bench {
    async fn goto_token_patiently(&self) -> String {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];
        loop {
            let (status, body) = read(self.token_call(&fields)).await;
            if status == 200 {
                return body["access_token"].as_str().unwrap().to_owned();
            }
        }
    }
}

#[tokio::test]
async fn a_marker_of_another_list_is_refused() {
    let bench = Bench::start(SimConfig { world: generated(120), ..config() }).await;
    let token = bench.goto_token().await;
    let users = bench.ok(Api::GotoApi, &connect("/users/v1/users"), &token).await;
    let marker = users["nextPageMarker"].as_str().unwrap();
    let path = connect(&format!("/voice-admin/v1/extensions?pageMarker={marker}"));
    assert_eq!(bench.json(Api::GotoApi, &path, &token).await.0, 400);
}

/// 10 calls a second for each API, in virtual time.
#[tokio::test]
async fn the_eleventh_call_of_a_second_is_throttled() {
    let bench = Bench::start(SimConfig { requests_per_second: Some(10), ..config() }).await;
    let token = bench.goto_token().await;
    for _ in 0..10 {
        bench.ok(Api::GotoAdmin, "/admin/rest/v1/me", &token).await;
    }
    let throttled = bench.get(Api::GotoAdmin, "/admin/rest/v1/me", &token).send().await.unwrap();
    assert_eq!(throttled.status(), 429);
    assert!(throttled.headers().get("retry-after").is_none() && throttled.text().await.unwrap().is_empty());
    bench.ok(Api::GotoApi, &connect("/users/v1/users"), &token).await;
    bench.advance("1s").await;
    bench.ok(Api::GotoAdmin, "/admin/rest/v1/me", &token).await;
}

#[tokio::test]
async fn the_admin_api_is_not_on_the_other_host() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let (status, body) = bench.json(Api::GotoApi, "/admin/rest/v1/me", &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (404, Some("NOT_FOUND")));
}

use super::*;
use k8s_openapi::jiff::SignedDuration;

const REFRESH: [(&str, &str); 2] = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];

/// The published example of a refresh has neither a new refresh token nor a `token_type`.
#[tokio::test]
async fn a_refresh_normally_brings_only_an_access_token() {
    let bench = Bench::demo().await;
    let (status, body) = read(bench.token_call(&REFRESH)).await;
    assert_eq!((status, body["expires_in"].as_u64()), (200, Some(3600)));
    assert_eq!(body["scope"], "identity: users.v1.lines.read voice-admin.v1.read");
    assert_eq!(body["principal"], "kofi@contoso.example");
    assert!(body.get("token_type").is_none() && body.get("refresh_token").is_none(), "{body}");
}

#[tokio::test]
async fn a_rotated_refresh_token_is_given_again_when_the_answer_was_lost() {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "rotateRefreshTokens"}));
    let (_, first) = read(bench.token_call(&REFRESH)).await;
    let (_, second) = read(bench.token_call(&REFRESH)).await;
    let new = first["refresh_token"].as_str().unwrap();
    assert_eq!(second["refresh_token"], new);
    let (status, third) = read(bench.token_call(&[REFRESH[0], ("refresh_token", new)])).await;
    assert_eq!((status, third.get("refresh_token")), (200, None));
}

#[tokio::test]
async fn a_refresh_token_is_replaced_after_eighteen_days() {
    let bench = Bench::demo().await;
    bench.sim.advance_to(bench.sim.now() + SignedDuration::from_hours(17 * 24)).await;
    let (_, body) = read(bench.token_call(&REFRESH)).await;
    assert!(body["refresh_token"].is_string(), "issued a day before the start: {body}");
}

#[tokio::test]
async fn a_personal_access_token_gives_a_level_of_assurance() {
    let bench = Bench::demo().await;
    let fields = [("grant_type", "personal_access_token"), ("pat", test::GOTO_PAT)];
    let (status, body) = read(bench.token_call(&fields)).await;
    assert_eq!((status, body["loa"].as_u64(), body["token_type"].as_str()), (200, Some(2), Some("Bearer")));
    bench.sim.world().goto.clients.values_mut().for_each(|client| client.personal_access_tokens_allowed = false);
    let (status, body) = read(bench.token_call(&fields)).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("unauthorized_client")));
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let bench = Bench::demo().await;
    let grant = bench.sim.world().goto.personal_access_tokens[test::GOTO_PAT].clone();
    bench.sim.world().goto.codes.insert("test-code".to_owned(), grant);
    let fields = [("grant_type", "authorization_code"), ("code", "test-code"), ("redirect_uri", "https://x.example")];
    let (status, body) = read(bench.token_call(&fields)).await;
    assert!(status == 200 && body["refresh_token"].is_string(), "{body}");
    let (status, body) = read(bench.token_call(&fields)).await;
    assert_eq!((status, body["error"].as_str()), (400, Some("invalid_grant")));
}

#[tokio::test]
async fn wrong_credentials_are_told_by_the_error_word() {
    let bench = Bench::demo().await;
    let url = bench.url(Api::GotoAuth, "/oauth/token");
    let wrong = bench.http.post(&url).basic_auth(test::GOTO_CLIENT_ID, Some("no")).form(&REFRESH);
    assert_eq!(read(wrong).await.1["error"], "invalid_client");
    assert_eq!(read(bench.http.post(&url).form(&REFRESH)).await.1["error"], "invalid_client");
    assert_eq!(read(bench.token_call(&[("grant_type", "password")])).await.1["error"], "unsupported_grant_type");
    assert_eq!(read(bench.token_call(&[REFRESH[0], REFRESH[1], ("x", "y")])).await.1["error"], "invalid_request");
    bench.edit(json!({"edit": "setGotoGrantsRevoked", "revoked": true}));
    assert_eq!(read(bench.token_call(&REFRESH)).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn an_access_token_ends_after_an_hour_and_each_host_says_so_in_its_way() {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    let users = format!("/users/v1/users?accountKey={}", test::ACCOUNT_KEY);
    bench.ok(Api::GotoApi, &users, &token).await;
    bench.advance("1h").await;
    let (status, body) = bench.json(Api::GotoApi, &users, &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (401, Some("AUTHN_EXPIRED_TOKEN")));
    let (status, body) = bench.json(Api::GotoAdmin, "/admin/rest/v1/me", &token).await;
    assert_eq!((status, body["errorCode"].as_str()), (401, Some("not.authenticated")));
    let (_, body) = bench.json(Api::GotoApi, &users, "never-issued").await;
    assert_eq!(body["errorCode"], "AUTHN_INVALID_TOKEN");
}

#[tokio::test]
async fn entra_takes_the_secret_in_the_form_or_by_basic() {
    let bench = Bench::demo().await;
    let (status, body) = read(bench.entra_call(&entra_fields())).await;
    assert_eq!((status, body["token_type"].as_str(), body["expires_in"].as_u64()), (200, Some("Bearer"), Some(3599)));
    let [grant, _, _, scope] = entra_fields();
    let basic = bench.entra_call(&[grant, scope]).basic_auth(test::ENTRA_CLIENT_ID, Some(test::ENTRA_CLIENT_SECRET));
    assert_eq!(read(basic).await.0, 200);
}

#[tokio::test]
async fn entra_refuses_with_its_numbers() {
    let bench = Bench::demo().await;
    let [grant, client, secret, scope] = entra_fields();
    let assertion = ("client_assertion", "e30.e30.e30");
    let cases = [
        (vec![grant, client, ("client_secret", "no"), scope], 401, "invalid_client", 7_000_215),
        (vec![grant, client, scope], 401, "invalid_client", 7_000_218),
        (vec![grant, client, assertion, scope], 400, "invalid_request", 900_144),
        (vec![grant, ("client_id", "nobody"), secret, scope], 400, "unauthorized_client", 700_016),
        (vec![grant, client, secret, ("scope", "User.Read.All")], 400, "invalid_scope", 70011),
    ];
    for (fields, status, error, number) in cases {
        let (seen, body) = read(bench.entra_call(&fields)).await;
        assert_eq!((seen, body["error"].as_str(), &body["error_codes"]), (status, Some(error), &json!([number])));
        assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")), "{body}");
    }
    let other = bench.url(Api::Entra, "/33333333-3333-4333-8333-333333333333/oauth2/v2.0/token");
    let (status, body) = read(bench.http.post(other).form(&entra_fields())).await;
    assert_eq!((status, &body["error_codes"]), (400, &json!([90002])));
}

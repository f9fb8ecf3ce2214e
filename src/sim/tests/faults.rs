use super::*;

const ME: &str = "/admin/rest/v1/me";
const USERS: &str = "/v1.0/users?$top=2";

async fn bench_with(rule: Value) -> (Bench, String) {
    let bench = Bench::demo().await;
    let token = bench.goto_token().await;
    bench.fault(rule);
    (bench, token)
}

fn me_fault(then: impl Into<Value>) -> Value {
    let then = then.into();
    json!({"match": {"api": "goto-admin", "method": "GET", "route": ME}, "times": 1, "then": then})
}

fn admin_users() -> String {
    format!("/admin/rest/v1/accounts/{}/users?pageSize=100", test::ACCOUNT_KEY)
}

fn users_fault(then: impl Into<Value>) -> Value {
    let then = then.into();
    json!({"match": {"api": "goto-admin", "route": "/admin/rest/v1/accounts/*"}, "times": 1, "then": then})
}

#[tokio::test]
async fn a_status_comes_instead_of_the_answer_and_only_so_many_times() {
    let then = json!({"status": {"code": 503, "body": {"why": "test"}, "retryAfter": 7}});
    let (bench, token) = bench_with(me_fault(then)).await;
    let response = bench.get(Api::GotoAdmin, ME, &token).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "7"));
    assert_eq!(response.json::<Value>().await.unwrap(), json!({"why": "test"}));
    bench.ok(Api::GotoAdmin, ME, &token).await;
    let entry = &bench.calls()[1];
    assert_eq!((entry.status, entry.injected.as_deref(), entry.wrote), (503, Some("status"), false));
}

#[tokio::test]
async fn a_status_without_a_body_speaks_the_dialect_of_its_api() {
    let (bench, token) = bench_with(json!({"match": {"api": "graph"}, "then": {"status": {"code": 429}}})).await;
    let (status, body) = bench.json(Api::Graph, USERS, &token).await;
    assert_eq!((status, body["error"]["code"].as_str()), (429, Some("TooManyRequests")));
}

#[tokio::test]
async fn a_reset_closes_the_connection_before_or_after_the_commit() {
    for (then, committed) in [("resetBeforeCommit", false), ("resetAfterCommit", true)] {
        let bench = Bench::demo().await;
        bench.edit(json!({"edit": "rotateRefreshTokens"}));
        bench.fault(json!({"match": {"api": "goto-auth"}, "times": 1, "then": then}));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];
        let error = bench.token_call(&fields).send().await.unwrap_err();
        assert!(error.is_request() && error.status().is_none(), "{error:?}");
        let rotated = bench.sim.world().goto.refresh_tokens[test::GOTO_REFRESH_TOKEN].replaced_by.is_some();
        assert_eq!(rotated, committed);
        let entry = &bench.calls()[0];
        assert_eq!((entry.status, entry.wrote, entry.injected.as_deref()), (0, committed, Some(then)));
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_sends_the_beginning_only() {
    let (bench, token) = bench_with(me_fault("resetMidBody")).await;
    let response = bench.get(Api::GotoAdmin, ME, &token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    bench.ok(Api::GotoAdmin, ME, &token).await;
}

#[tokio::test]
async fn pages_are_cut_emptied_and_miscounted() {
    let seen = |body: &Value| (body["results"].as_array().unwrap().len(), body["total"].as_u64().unwrap());
    for (then, expected) in [("truncatedPage", (3, 7)), ("emptyPage", (0, 0)), ("lyingTotal", (7, 8))] {
        let (bench, token) = bench_with(users_fault(then)).await;
        assert_eq!(seen(&bench.ok(Api::GotoAdmin, &admin_users(), &token).await), expected, "{then}");
        assert_eq!(seen(&bench.ok(Api::GotoAdmin, &admin_users(), &token).await), (7, 7));
    }
}

#[tokio::test]
async fn a_truncated_page_of_an_uncounted_list_ends_it() {
    let bench = Bench::demo().await;
    let token = bench.graph_token().await;
    bench.fault(json!({"match": {"api": "graph"}, "times": 1, "then": "truncatedPage"}));
    let cut = bench.ok(Api::Graph, USERS, &token).await;
    assert!(cut["value"].as_array().unwrap().len() == 1 && cut.get("@odata.nextLink").is_none(), "{cut}");
    let whole = bench.ok(Api::Graph, USERS, &token).await;
    assert!(whole["value"].as_array().unwrap().len() == 2 && whole["@odata.nextLink"].is_string(), "{whole}");
}

#[tokio::test]
async fn json_is_malformed_or_html() {
    let (bench, token) = bench_with(me_fault("malformedJson")).await;
    let response = bench.get(Api::GotoAdmin, ME, &token).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(serde_json::from_str::<Value>(&response.text().await.unwrap()).is_err());
    bench.fault(me_fault(json!({"html": {"status": 502}})));
    let response = bench.get(Api::GotoAdmin, ME, &token).send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert!(response.text().await.unwrap().starts_with("<html>"));
}

#[tokio::test]
async fn a_delay_and_a_slow_drip_take_their_real_time() {
    let (bench, token) = bench_with(me_fault(json!({"delay": {"ms": 150}}))).await;
    let begin = std::time::Instant::now();
    bench.ok(Api::GotoAdmin, ME, &token).await;
    assert!(begin.elapsed() >= Duration::from_millis(150));
    bench.fault(me_fault(json!({"slowDrip": {"ms": 10}})));
    let begin = std::time::Instant::now();
    assert_eq!(bench.ok(Api::GotoAdmin, ME, &token).await["accountKey"], test::ACCOUNT_KEY);
    assert!(begin.elapsed() >= Duration::from_millis(100));
}

/// A client that hangs up does not take back what the server has begun.
#[tokio::test]
async fn a_call_is_ended_although_its_client_has_gone() {
    let bench = Bench::demo().await;
    bench.goto_token().await;
    bench.edit(json!({"edit": "rotateRefreshTokens"}));
    bench.fault(json!({"match": {"api": "goto-auth"}, "times": 1, "then": {"delay": {"ms": 1000}}}));
    let fields = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];
    let gone = bench.token_call(&fields).timeout(Duration::from_millis(500)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    // Time does not move while the call is in flight, so this waits for its end.
    bench.advance("1s").await;
    assert!(bench.sim.world().goto.refresh_tokens[test::GOTO_REFRESH_TOKEN].replaced_by.is_some());
}

#[tokio::test]
async fn accepted_without_effect_changes_nothing() {
    let bench = Bench::demo().await;
    bench.edit(json!({"edit": "rotateRefreshTokens"}));
    bench.fault(json!({"match": {"api": "goto-auth"}, "times": 1, "then": "acceptedWithoutEffect"}));
    bench.goto_token().await;
    assert!(bench.sim.world().goto.refresh_tokens[test::GOTO_REFRESH_TOKEN].replaced_by.is_none());
    assert!(!bench.calls()[0].wrote);
}

#[tokio::test]
async fn a_fault_is_for_the_user_and_the_query_that_it_names() {
    let rule =
        json!({"match": {"api": "goto-admin", "user": "ann.lee@contoso.example"}, "then": {"status": {"code": 500}}});
    let (bench, token) = bench_with(rule).await;
    bench.fault(json!({"match": {"query": "offset=4"}, "after": 1, "then": {"status": {"code": 504}}}));
    bench.ok(Api::GotoAdmin, &admin_users(), &token).await;
    let filtered = format!("{}&filter=email%20eq%20%22ann.lee%40contoso.example%22", admin_users());
    assert_eq!(bench.json(Api::GotoAdmin, &filtered, &token).await.0, 500);
    let later = format!("{}&offset=4", admin_users());
    bench.ok(Api::GotoAdmin, &later, &token).await;
    assert_eq!(bench.json(Api::GotoAdmin, &later, &token).await.0, 504);
    let fired: Vec<u64> = bench.sim.state().faults.list().iter().map(|entry| entry.fired).collect();
    assert_eq!(fired, [1, 1]);
}

use serde_json::{Value, json};

use super::*;
use crate::clients::error::Class;
use crate::clients::listing::IncompleteCause;
use crate::clients::testing::{ACCOUNT, Answer, Bench, PBX, answer, ok};

fn account() -> AccountKey {
    ACCOUNT.parse().unwrap()
}

fn user(number: u64) -> Value {
    json!({"key": (2_000_000_000_000_000_000 + number).to_string(), "email": format!("u{number}@example.test"), "brandNew": 1})
}

fn admin_page(from: u64, users: &[Value], total: u64) -> Answer {
    let to = (from + users.len() as u64).saturating_sub(1);
    ok(&json!({"results": users, "fromIndex": from, "toIndex": to, "total": total}))
}

async fn cause_of_users(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> IncompleteCause {
    let bench = Bench::start(move |seen| (!seen.is_token_call()).then(|| script(seen.ordinal - 1))).await;
    bench.goto().users(&account(), Some).await.err().unwrap().cause
}

#[tokio::test]
async fn me_is_asked_with_the_bearer_token() {
    let bench = Bench::start(|seen| {
        let sample = json!({"accountKey": 1_234_567_890_123_456_789_u64, "accounts": [{"key": ACCOUNT, "name": "Example GmbH"}]});
        (seen.path == "/admin/rest/v1/me").then(|| ok(&sample))
    })
    .await;
    let me = bench.goto().me().await.unwrap();
    assert_eq!((me.account_key.as_str(), me.accounts[0].key.as_str()), (ACCOUNT, ACCOUNT));
    assert_eq!(bench.lines(), ["GET /admin/rest/v1/me"]);
    let call = bench.seen().pop().unwrap();
    assert_eq!((call.header("authorization"), call.header("accept")), ("Bearer at-0", "application/json"));
}

/// `+` for a space is rejected by the vendor, and a plus in the address must stay one.
#[tokio::test]
async fn a_filter_has_its_spaces_as_percent_20() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| admin_page(0, &[user(1)], 1))).await;
    let found = bench.goto().user_by_email(&account(), "ann+pbx@example.test").await.unwrap();
    assert_eq!(found.items().len(), 1);
    let path = format!("GET /admin/rest/v1/accounts/{ACCOUNT}/users");
    assert_eq!(
        bench.lines(),
        [format!("{path}?pageSize=1000&offset=0&filter=email%20eq%20%22ann%2Bpbx%40example.test%22")]
    );
}

/// S11.
#[tokio::test]
async fn an_address_that_could_end_the_filter_is_not_sent() {
    let bench = Bench::start(|_| None).await;
    let refused = bench.goto().user_by_email(&account(), "a\" or email ne \"b").await.unwrap_err();
    assert_eq!(refused.class(), Class::Permanent);
    assert!(bench.seen().is_empty());
}

#[tokio::test]
async fn users_are_read_to_the_total() {
    let bench = Bench::start(|seen| match seen.query.as_str() {
        "pageSize=1000&offset=0" => Some(admin_page(0, &[user(1), user(2)], 3)),
        "pageSize=1000&offset=2" => Some(admin_page(2, &[user(3)], 3)),
        _ => None,
    })
    .await;
    let keys = bench.goto().users(&account(), |user| Some(user.key.to_string())).await.unwrap();
    assert_eq!(keys.items().len(), 3);
    assert_eq!(keys.items()[2], "2000000000000000003");
}

#[tokio::test]
async fn an_empty_account_is_a_complete_listing_and_a_record_may_be_dropped() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| admin_page(0, &[], 0))).await;
    assert!(bench.goto().users(&account(), Some).await.unwrap().items().is_empty());
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| admin_page(0, &[user(1)], 1))).await;
    assert!(bench.goto().users(&account(), |_| None::<u8>).await.unwrap().into_items().is_empty());
}

/// R4, T30: each way in which an indexed listing may fall short.
#[tokio::test]
async fn a_listing_that_does_not_add_up_is_incomplete() {
    let total_changes = |page: usize| admin_page(page as u64, &[user(1)], 2 + page as u64);
    assert!(matches!(cause_of_users(total_changes).await, IncompleteCause::TotalChanged));
    let short = |_| ok(&json!({"results": [user(1)], "fromIndex": 0, "toIndex": 1, "total": 2}));
    assert!(matches!(cause_of_users(short).await, IncompleteCause::Truncated));
    let empty = |page: usize| if page == 0 { admin_page(0, &[user(1)], 2) } else { admin_page(1, &[], 2) };
    assert!(matches!(cause_of_users(empty).await, IncompleteCause::PageDidNotAdvance));
    let repeats = |_| admin_page(0, &[user(1)], 2);
    assert!(matches!(cause_of_users(repeats).await, IncompleteCause::PageDidNotAdvance));
    let too_many = |_| admin_page(0, &[user(1), user(2)], 1);
    assert!(matches!(cause_of_users(too_many).await, IncompleteCause::CountMismatch { expected: 1, got: 2 }));
}

/// R5: 404 and a page without its list are not "empty".
#[tokio::test]
async fn a_404_or_a_page_without_results_is_incomplete() {
    let cause = cause_of_users(|_| answer(404, "{\"errorCode\":\"NOT_FOUND\",\"message\":\"\"}")).await;
    assert_eq!(cause.failure().unwrap().class(), Class::Absent);
    let cause = cause_of_users(|_| ok(&json!({"fromIndex": 0, "toIndex": 0, "total": 1}))).await;
    assert_eq!(cause.failure().unwrap().class(), Class::Retry);
    assert_eq!(cause.name(), "failed");
}

fn lines_page(number: u64, marker: Option<&str>) -> Answer {
    let line = json!({"id": "l", "name": "Ann Lee", "number": "1001", "primary": true, "region": "US",
        "organization": {"id": PBX, "name": "Example GmbH"}});
    let mut page =
        json!({"items": [{"userKey": number, "userId": "u", "lines": [line]}, {"userKey": "77", "lines": []}]});
    if let Some(marker) = marker {
        page["nextPageMarker"] = json!(marker);
    }
    ok(&page)
}

#[tokio::test]
async fn lines_are_read_to_the_page_without_a_marker() {
    let bench = Bench::start(|seen| match (seen.path.as_str(), seen.query.as_str()) {
        ("/users/v1/users", "accountKey=1234567890123456789") => Some(lines_page(1, Some("a b/+"))),
        ("/users/v1/users", "accountKey=1234567890123456789&pageMarker=a%20b%2F%2B") => Some(lines_page(2, None)),
        _ => None,
    })
    .await;
    let lines = bench.goto().lines(&account(), Some).await.unwrap();
    assert_eq!(lines.items().len(), 4);
    assert_eq!(lines.items()[0].lines[0].organization.id.to_string(), PBX);
}

/// R5: a user of whom no lines are told is not one without a line.
#[tokio::test]
async fn a_user_without_the_list_of_lines_makes_the_listing_incomplete() {
    let bench = Bench::start(|seen| {
        (seen.path == "/users/v1/users").then(|| ok(&json!({"items": [{"userKey": "77", "userId": "u"}]})))
    });
    let incomplete = bench.await.goto().lines(&account(), Some).await.unwrap_err();
    assert_eq!(incomplete.cause.failure().unwrap().class(), Class::Retry);
}

#[tokio::test]
async fn voice_admin_is_paged_by_a_hundred() {
    let bench = Bench::start(|seen| {
        let number = json!({"id": "n", "organizationId": PBX, "number": "+15555550100", "accountKey": ACCOUNT});
        let extension = json!({"id": "e", "organizationId": PBX, "number": "1001", "type": "VIRTUAL_FAX_2"});
        match seen.path.as_str() {
            "/voice-admin/v1/phone-numbers" => Some(ok(&json!({"items": [number]}))),
            "/voice-admin/v1/extensions" => Some(ok(&json!({"items": [extension]}))),
            _ => None,
        }
    })
    .await;
    let goto = bench.goto();
    assert_eq!(goto.phone_numbers(&account(), Some).await.unwrap().items()[0].number, "+15555550100");
    assert_eq!(goto.extensions(&account(), Some).await.unwrap().items()[0].kind.as_deref(), Some("VIRTUAL_FAX_2"));
    let query = format!("?accountKey={ACCOUNT}&pageSize=100");
    assert_eq!(
        bench.lines(),
        [format!("GET /voice-admin/v1/phone-numbers{query}"), format!("GET /voice-admin/v1/extensions{query}")]
    );
}

#[tokio::test]
async fn a_page_that_leads_back_is_incomplete() {
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| lines_page(1, Some("again")))).await;
    let incomplete = bench.goto().lines(&account(), Some).await.err().unwrap();
    assert!(matches!(incomplete.cause, IncompleteCause::RepeatedMarker));
    assert_eq!(incomplete.class(), Class::Retry);
}

/// T30: paging goes on at the page that failed.
#[tokio::test]
async fn a_page_that_failed_is_asked_for_again() {
    let bench = Bench::start(|seen| match seen.ordinal {
        1 => Some(lines_page(1, Some("two"))),
        2 => Some(answer(503, "<html>maintenance</html>")),
        3 => Some(answer(200, "{\"items\": [{\"userKey\"")),
        4 => Some(lines_page(2, None)),
        _ => None,
    })
    .await;
    assert_eq!(bench.goto().lines(&account(), Some).await.unwrap().items().len(), 4);
    let second = format!("GET /users/v1/users?accountKey={ACCOUNT}&pageMarker=two");
    assert_eq!(bench.lines()[1..], [second.clone(), second.clone(), second]);
}

#[tokio::test]
async fn a_read_is_sent_four_times_at_most() {
    let bench =
        Bench::start(|seen| (!seen.is_token_call()).then(|| answer(500, "{\"errorCode\":\"UNKNOWN_ERROR\"}"))).await;
    assert_eq!(bench.goto().me().await.unwrap_err().class(), Class::Retry);
    let times: Vec<_> = bench.seen().iter().skip(1).map(|seen| seen.at).collect();
    assert_eq!(times.len(), 4);
    for (pair, seconds) in times.windows(2).zip([0.5, 1.0, 2.0]) {
        let waited = pair[1].duration_since(pair[0]).as_secs_f64();
        assert!((seconds * 0.75..=seconds).contains(&waited), "{waited} after a back-off of {seconds}");
    }
}

/// T28, T29: what a person must mend is not tried again.
#[tokio::test]
async fn a_missing_scope_is_named_at_once() {
    let bench = Bench::start(|seen| {
        (!seen.is_token_call()).then(|| answer(403, "{\"errorCode\":\"AUTHZ_INSUFFICIENT_SCOPE\",\"message\":\"\"}"))
    })
    .await;
    let incomplete = bench.goto().extensions(&account(), Some).await.err().unwrap();
    assert_eq!(incomplete.class(), Class::Permission("voice-admin.v1.read".to_owned()));
    assert_eq!(bench.lines().len(), 1);
}

/// S16.
#[tokio::test]
async fn the_scopes_that_a_token_lacks_are_named() {
    let bench = Bench::start(|_| None).await;
    let facts = bench.goto().token_facts().await.unwrap();
    assert_eq!(facts.principal.as_deref(), Some("svc@example.test"));
    let missing: Vec<_> = missing_scopes(&facts).unwrap().iter().map(|scope| scope.name).collect();
    assert_eq!(missing, ["voice-admin.v1.read"]);
    assert_eq!(missing_scopes(&TokenFacts::default()), None);
}

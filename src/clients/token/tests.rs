use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::clients::error::{Class, CredentialsProblem};
use crate::clients::testing::{Answer, Bench, Seen, answer, goto_credential, ok};

fn me() -> Answer {
    ok(&json!({"accountKey": "1", "accounts": []}))
}

fn token_reply(seen: &Seen, refresh_token: Option<&str>) -> Answer {
    let mut reply = json!({"access_token": format!("at-{}", seen.ordinal), "expires_in": 3600});
    if let Some(token) = refresh_token {
        reply["refresh_token"] = json!(token);
    }
    ok(&reply)
}

async fn calm() -> Bench {
    Bench::start(|seen| (!seen.is_token_call()).then(me)).await
}

#[tokio::test]
async fn a_refresh_token_is_put_to_the_token_endpoint_as_documented() {
    let bench = calm().await;
    bench.goto_with("rt 0+").me().await.unwrap();
    let call = &bench.seen()[0];
    assert_eq!(call.line(), "POST /oauth/token");
    assert_eq!(call.header("authorization"), "Basic Z290by1jbGllbnQ6Z290by1zZWNyZXQ=");
    assert_eq!(call.header("content-type"), "application/x-www-form-urlencoded");
    assert_eq!(call.body, "grant_type=refresh_token&refresh_token=rt+0%2B");
}

#[tokio::test]
async fn a_personal_access_token_is_put_to_the_token_endpoint_as_documented() {
    let bench = calm().await;
    let grant = GotoGrant::PersonalAccessToken(SecretString::from("pat-0"));
    let credential = GotoCredential { grant, ..goto_credential("unused") };
    let persist: Persist = Arc::new(|_| Box::pin(async { Ok(()) }));
    bench.connections.goto(credential, persist).me().await.unwrap();
    assert_eq!(bench.seen()[0].body, "grant_type=personal_access_token&pat=pat-0");
}

#[tokio::test]
async fn many_callers_make_one_token_call() {
    let bench = calm().await;
    let goto = bench.goto();
    let answers = futures::future::join_all((0..10).map(|_| goto.me())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(bench.token_calls(), 1);
}

/// The token outlives the client: the next reading, with a client made anew, asks for none.
#[tokio::test]
async fn a_token_is_used_until_five_minutes_before_its_end() {
    let bench = calm().await;
    bench.goto().me().await.unwrap();
    bench.time.advance(Duration::from_mins(54));
    bench.goto().me().await.unwrap();
    assert_eq!(bench.token_calls(), 1);
    bench.time.advance(Duration::from_mins(2));
    bench.goto().me().await.unwrap();
    assert_eq!(bench.token_calls(), 2);
}

#[test]
fn a_short_lived_token_has_a_margin_of_a_tenth() {
    let at: Timestamp = "2026-08-20T10:00:00Z".parse().unwrap();
    let life = |seconds| good_until(at, seconds).duration_since(at).as_secs();
    assert_eq!((life(3600), life(600), life(0)), (3300, 540, 0));
}

/// T35, P12.
#[tokio::test]
async fn a_changed_secret_is_used_on_the_very_next_call() {
    let bench = calm().await;
    bench.goto_with("old").me().await.unwrap();
    bench.goto_with("new").me().await.unwrap();
    let bodies: Vec<_> =
        bench.seen().iter().filter(|seen| seen.is_token_call()).map(|seen| seen.body.clone()).collect();
    assert!(bodies[0].ends_with("=old") && bodies[1].ends_with("=new"));
    assert_eq!(bench.seen()[3].header("authorization"), "Bearer at-2");
}

/// T37: stored before first use, and the old one is not sent again.
#[tokio::test]
async fn a_rotated_refresh_token_is_stored_before_the_access_token_is_used() {
    let bench = Bench::start(|seen| match seen.ordinal {
        0 => Some(token_reply(seen, Some("rt-1"))),
        _ if seen.is_token_call() => Some(token_reply(seen, None)),
        _ => Some(me()),
    })
    .await;
    let calls_before_storing = Arc::new(AtomicUsize::new(usize::MAX));
    let url = bench.url.clone();
    let counted = Arc::clone(&calls_before_storing);
    let seen_by_store = Arc::new(bench);
    let in_store = Arc::clone(&seen_by_store);
    let persist: Persist = Arc::new(move |rotated: Rotated| {
        assert_eq!(rotated.refresh_token.expose_secret(), "rt-1");
        counted.store(in_store.lines().len(), Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    });
    let goto = seen_by_store.connections.goto(goto_credential("rt-0"), persist);
    goto.me().await.unwrap();
    assert_eq!(calls_before_storing.load(Ordering::SeqCst), 0, "{url}");
    seen_by_store.time.advance(Duration::from_hours(1));
    goto.me().await.unwrap();
    assert!(seen_by_store.seen()[2].body.ends_with("refresh_token=rt-1"));
    let after_restart_of_the_pass = seen_by_store.goto_with("rt-1");
    after_restart_of_the_pass.me().await.unwrap();
    assert_eq!(seen_by_store.token_calls(), 2, "the stored token finds the same entry");
}

/// T37: a store that fails holds the access token back and loses nothing.
#[tokio::test]
async fn a_rotated_refresh_token_that_was_not_stored_is_stored_by_the_next_caller() {
    let bench = Bench::start(|seen| match seen.ordinal {
        0 => Some(token_reply(seen, Some("rt-1"))),
        _ if seen.is_token_call() => Some(answer(400, "{\"error\":\"invalid_grant\"}")),
        _ => Some(me()),
    })
    .await;
    let failing: Persist = Arc::new(|_| {
        Box::pin(async {
            let error: StoreError = Arc::new(std::io::Error::other("no API server"));
            Err(error)
        })
    });
    let error = bench.connections.goto(goto_credential("rt-0"), failing).me().await.unwrap_err();
    assert!(matches!(error, ApiError::NotStored { .. }));
    assert_eq!(error.class(), Class::Credentials(CredentialsProblem::NotStored));
    assert!(bench.lines().is_empty(), "the access token was not used");
    bench.goto().me().await.unwrap();
    assert_eq!((bench.stored(), bench.token_calls()), (vec!["rt-1".to_owned()], 1));
}

/// A pass may be dropped at any moment; the only copy of a rotated refresh token may not.
#[tokio::test]
async fn a_caller_that_goes_away_does_not_lose_a_rotated_refresh_token() {
    let bench =
        Bench::start(|seen| if seen.is_token_call() { Some(token_reply(seen, Some("rt-1"))) } else { Some(me()) })
            .await;
    let (stored, mut was_stored) = tokio::sync::mpsc::unbounded_channel();
    let (open, opened) = tokio::sync::watch::channel(false);
    let persist: Persist = Arc::new(move |rotated| {
        let (stored, mut opened) = (stored.clone(), opened.clone());
        Box::pin(async move {
            opened.wait_for(|open| *open).await.map_err(|error| Arc::new(error) as StoreError)?;
            stored.send(rotated.refresh_token).map_err(|error| Arc::new(std::io::Error::other(error)) as StoreError)
        })
    });
    let goto = bench.connections.goto(goto_credential("rt-0"), persist);
    let pass = tokio::spawn(async move { goto.me().await });
    while bench.token_calls() == 0 {
        tokio::task::yield_now().await;
    }
    pass.abort();
    assert!(pass.await.unwrap_err().is_cancelled());
    let settled = bench.connections.tokens().settled();
    tokio::pin!(settled);
    assert!(futures::poll!(&mut settled).is_pending(), "T6: the end of the process waits for it");
    open.send(true).unwrap();
    settled.await;
    assert_eq!(was_stored.recv().await.unwrap().expose_secret(), "rt-1");
}

/// T28: one forced refresh and one repetition, then a person.
#[tokio::test]
async fn a_token_that_is_refused_is_replaced_once_and_not_again() {
    let bench = Bench::start(|seen| {
        (!seen.is_token_call()).then(|| answer(401, "{\"errorCode\":\"AUTHN_EXPIRED_TOKEN\",\"message\":\"\"}"))
    })
    .await;
    let error = bench.goto().extensions(&"1".parse().unwrap(), Some).await.err().unwrap();
    assert_eq!(error.class(), Class::Credentials(CredentialsProblem::TokenRefused));
    assert_eq!((bench.lines().len(), bench.token_calls()), (2, 2));
}

/// T28: on the Admin host 403 says the same as 401.
#[tokio::test]
async fn the_admin_host_gets_a_fresh_token_for_a_403_too() {
    let bench = Bench::start(|seen| match seen.header("authorization") {
        "Bearer at-0" => Some(answer(403, "not.authenticated")),
        _ if seen.is_token_call() => None,
        _ => Some(me()),
    })
    .await;
    bench.goto().me().await.unwrap();
    assert_eq!((bench.lines().len(), bench.token_calls()), (2, 2));
    let bench = Bench::start(|seen| (!seen.is_token_call()).then(|| answer(403, "not.authenticated"))).await;
    let error = bench.goto().me().await.unwrap_err();
    assert_eq!(error.class(), Class::Credentials(CredentialsProblem::ScopeOrRoleMissing));
    assert_eq!((bench.lines().len(), bench.token_calls()), (2, 2));
}

#[tokio::test]
async fn callers_whose_token_is_refused_together_share_one_new_one() {
    let bench = Bench::start(|seen| match seen.header("authorization") {
        "Bearer at-0" => Some(answer(401, "")),
        _ if seen.is_token_call() => None,
        _ => Some(ok(&json!({"items": []}))),
    })
    .await;
    let goto = bench.goto();
    goto.token_facts().await.unwrap();
    let account = "1".parse().unwrap();
    let (a, b) = tokio::join!(goto.extensions(&account, Some), goto.lines(&account, Some));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(bench.token_calls(), 2);
}

#[tokio::test]
async fn a_refused_credential_is_not_tried_again() {
    let bench = Bench::start(|_| Some(answer(401, "{\"error\":\"invalid_client\",\"error_description\":\"x\"}"))).await;
    let error = bench.goto().me().await.unwrap_err();
    assert_eq!(error.class(), Class::Credentials(CredentialsProblem::ClientRefused));
    assert_eq!(bench.seen().len(), 1);
}

/// A lost answer to a refresh may have held a new refresh token; Entra's tokens change nothing there.
#[tokio::test]
async fn only_a_token_call_without_rotation_is_repeated() {
    let bench = Bench::start(|_| Some(answer(503, ""))).await;
    assert_eq!(bench.goto().me().await.unwrap_err().class(), Class::Retry);
    assert_eq!(bench.seen().len(), 1);
    let bench = Bench::start(|seen| match seen.ordinal {
        0 => Some(answer(503, "")),
        _ if seen.is_token_call() => None,
        _ => Some(ok(&json!({"value": []}))),
    })
    .await;
    bench.graph().subscribed_skus().await.unwrap();
    assert_eq!(bench.token_calls(), 2);
}

/// S18: the cache does not grow with credentials that are gone.
#[tokio::test]
async fn entries_of_credentials_that_are_gone_are_dropped() {
    let tokens = Tokens::default();
    let at: Timestamp = "2026-08-20T10:00:00Z".parse().unwrap();
    for key in 0..10 {
        drop(tokens.entry([key; 32], at));
    }
    let held = tokens.entry([99; 32], at);
    drop(tokens.entry([100; 32], at));
    let left = tokens.entries.lock().unwrap().len();
    assert_eq!(left, 2);
    drop(held);
}

/// S7, S8.
#[test]
fn credentials_do_not_print_themselves() {
    let credential = goto_credential("canary-rt");
    let facts =
        TokenFacts { scopes: Some(vec!["identity:".to_owned()]), principal: Some("ann@example.test".to_owned()) };
    let rotated = Rotated { refresh_token: SecretString::from("canary-rt") };
    let shown = format!("{credential:?} {:?} {facts:?} {rotated:?}", credential.grant);
    assert!(!shown.contains("canary") && !shown.contains("goto-secret") && !shown.contains("ann@"), "{shown}");
    assert!(shown.contains("goto-client") && shown.contains("identity:"));
}

use std::io::Write;
use std::sync::Mutex;

use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;
use crate::clients::error::Class;
use crate::clients::route::Api;
use crate::clients::testing::{Answer, Bench, answer, ok, start_of_time};

const ROUTE: Route = Route::new(Api::GotoAdmin, "GET /thing/{id}", "");

fn http(settings: &HttpSettings) -> (Http, Arc<Mutex<Vec<CallRecord>>>) {
    let records: Arc<Mutex<Vec<CallRecord>>> = Arc::default();
    let recorded = Arc::clone(&records);
    let observer = Arc::new(move |record: &CallRecord| recorded.lock().unwrap().push(*record));
    (Http::direct(settings, Clock::manual(start_of_time()).0, observer).unwrap(), records)
}

fn hasty() -> HttpSettings {
    HttpSettings { deadline: Duration::from_millis(300), ..HttpSettings::default() }
}

async fn fetch(http: &Http, url: &str) -> Result<serde_json::Value, ApiError> {
    let call = Call::get(ROUTE, &url.parse().unwrap(), &["thing", "7"], &[]);
    http.exchange(&call, None).await?.json()
}

async fn against(script: impl Fn() -> Answer + Send + Sync + 'static) -> ApiError {
    let bench = Bench::start(move |_| Some(script())).await;
    fetch(&http(&hasty()).0, bench.url.as_str()).await.unwrap_err()
}

/// A server below HTTP: reads something, writes `bytes`, then `drip` for as long as the other side listens.
async fn raw(bytes: &'static [u8], drip: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let mut open = stream.write_all(bytes).await.is_ok();
            while open && !drip.is_empty() {
                open = stream.write_all(drip).await.is_ok();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    url
}

/// T32: HTML, truncated and wrong JSON are typed, and each is worth another try.
#[tokio::test]
async fn a_body_that_cannot_be_used_says_why() {
    let html = || answer(200, "<!doctype html><title>Sign in").with("content-type", "text/html; charset=utf-8");
    let cases: [(fn() -> Answer, Undecodable); 4] = [
        (html, Undecodable::Html),
        (|| answer(200, "  <html>"), Undecodable::Html),
        (|| answer(200, "{\"a\": [1, 2"), Undecodable::Truncated),
        (|| answer(200, "{\"a\" 1}"), Undecodable::Malformed),
    ];
    for (script, expected) in cases {
        let error = against(script).await;
        assert!(matches!(&error, ApiError::Undecodable { what, .. } if *what == expected), "{error}");
        assert_eq!(error.class(), Class::Retry);
    }
}

/// T32: bounded size.
#[tokio::test]
async fn a_body_beyond_the_limit_is_not_taken_in() {
    let error = against(|| answer(200, vec![b' '; BODY_LIMIT + 1])).await;
    assert!(matches!(error, ApiError::TooLarge { .. }));
    assert_eq!(error.class(), Class::Permanent);
}

/// T32: bounded time.
#[tokio::test]
async fn a_slow_drip_ends_at_the_deadline() {
    let url = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b" ").await;
    let (http, records) = http(&hasty());
    let started = Instant::now();
    let error = fetch(&http, &url).await.unwrap_err();
    assert!(matches!(error, ApiError::DeadlineExceeded { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(records.lock().unwrap()[0].outcome, Outcome::Failed("timeout"));
}

#[tokio::test]
async fn a_reset_under_way_may_have_had_an_effect_and_a_refused_connection_not() {
    let (http, records) = http(&hasty());
    for bytes in [b"".as_slice(), b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let error = fetch(&http, &raw(bytes, b"").await).await.unwrap_err();
        assert!(error.may_have_had_effect(), "{error:?}");
        assert_eq!(error.class(), Class::Retry);
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch(&http, &closed).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { at: Lost::Connecting, .. }));
    assert!(!error.may_have_had_effect());
    let outcomes: Vec<_> = records.lock().unwrap().iter().map(|record| record.outcome).collect();
    assert_eq!(outcomes, [Outcome::Failed("reset"), Outcome::Failed("reset"), Outcome::Failed("connect")]);
}

/// S10.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let bench = Bench::start(|_| Some(answer(302, "").with("location", "/elsewhere"))).await;
    let error = fetch(&http(&hasty()).0, bench.url.as_str()).await.unwrap_err();
    assert!(matches!(error, ApiError::Redirected(_)));
    assert_eq!(bench.seen().len(), 1);
}

#[tokio::test]
async fn each_call_is_recorded_under_its_route() {
    let bench = Bench::start(|_| Some(answer(429, ""))).await;
    let (http, records) = http(&hasty());
    fetch(&http, bench.url.as_str()).await.unwrap_err();
    let record = records.lock().unwrap()[0];
    assert_eq!((record.route, record.outcome, record.throttled), (ROUTE, Outcome::Status(429), true));
}

/// S11.
#[test]
fn ids_and_values_are_encoded_into_a_url() {
    let base: Url = "https://x.example/base/".parse().unwrap();
    let call = Call::get(ROUTE, &base, &["a/b?c", "..", "d e"], &[("$f", "a b&c=+'é")]);
    assert_eq!(call.url.as_str(), "https://x.example/base/a%2Fb%3Fc/d%20e?$f=a%20b%26c%3D%2B%27%C3%A9");
}

#[test]
fn a_ca_bundle_without_a_certificate_is_refused() {
    let settings = HttpSettings { ca_bundle: Some(b"not pem".to_vec()), ..HttpSettings::default() };
    let refused = Http::new(&settings, Clock::system(), Arc::new(|_: &CallRecord| {}));
    assert!(matches!(refused.err(), Some(HttpSetupError::CaBundle)));
}

/// S7, S8, S9: at trace level, with every library's own lines, and in every error.
#[tokio::test]
async fn nothing_that_is_printed_holds_a_secret_or_personal_data() {
    let written = Written::default();
    let sink = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::start(|seen| match seen.ordinal {
        0 => Some(ok(&json!({"access_token": "canary-at", "expires_in": 3600, "refresh_token": "canary-rt-1",
            "principal": "canary-principal@example.test"}))),
        _ if seen.is_token_call() => {
            Some(answer(400, "{\"error\":\"canary@error\",\"error_description\":\"canary-text\"}"))
        }
        1 => Some(ok(&json!({"results": [], "fromIndex": 0, "toIndex": 0, "total": 0}))),
        2 => Some(answer(401, "{\"errorCode\":\"X\",\"message\":\"canary-body\"}")),
        _ => Some(answer(
            409,
            "{\"errorCode\":\"canary body\",\"message\":\"canary-body\",\"reference\":\"canary@ref\"}",
        )),
    })
    .await;
    let goto = bench.goto_with("canary-rt-0");
    let account = "1".parse().unwrap();
    goto.user_by_email(&account, "canary-user@example.test").await.unwrap();
    // Another test may have come by the same places first, when nobody listened, and that was remembered.
    tracing::callsite::rebuild_interest_cache();
    let error = goto.user_by_email(&account, "canary-user@example.test").await.unwrap_err();
    let mut shown = format!("{error} {error:?} {}", error.cause);
    let error = fetch(&http(&hasty()).0, "http://127.0.0.1:1/canary-path?canary=1").await.unwrap_err();
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(cause) = source {
        shown.extend([cause.to_string(), format!("{cause:?}")]);
        source = cause.source();
    }
    drop(guard);
    let logged = written.text();
    assert!(logged.contains("GET /accounts/{accountKey}/users"), "calls are logged by route");
    assert!(!logged.contains("canary"), "{logged}");
    assert!(!shown.contains("canary"), "{shown}");
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// S15: a certificate of an unknown authority is refused, and the bundle makes it known; nothing skips the check.
#[cfg(feature = "sim")]
#[tokio::test]
async fn a_private_authority_is_trusted_by_its_bundle_only() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = parameters.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(parameters, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![server.der().clone()],
            rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let app = axum::Router::new().fallback(async || "{}");
    let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(config));
    let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(async move { server.serve(app.into_make_service()).await });

    let settings = HttpSettings::default();
    let error = fetch(&http(&settings).0, &url).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { at: Lost::Connecting, .. }), "{error:?}");
    let settings = HttpSettings { ca_bundle: Some(authority.pem().into_bytes()), ..settings };
    fetch(&http(&settings).0, &url).await.unwrap();
}

#[test]
fn now_is_not_read_from_the_real_clock() {
    let at: Timestamp = http(&hasty()).0.clock().now();
    assert_eq!(at, start_of_time());
}

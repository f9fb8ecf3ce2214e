//! The one way in which a call leaves the process: deadline, size limit, decoding, metrics and redaction.
//!
//! A URL never reaches a log or an error (it holds ids and addresses), a body neither.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::error::{Answer, ApiError, Lost, Refusal, Undecodable, fault};
use super::gate::retry_after;
use super::route::Route;
use crate::clock::Clock;

/// No answer of the three APIs comes near this many bytes.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// How calls leave the process.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// PEM bundle of certificate authorities to be trusted beside the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Longest time for a connection, TLS included.
    pub connect_timeout: Duration,
    /// Longest time for one call up to the last byte of its answer.
    pub deadline: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { ca_bundle: None, connect_timeout: Duration::from_secs(10), deadline: Duration::from_secs(30) }
    }
}

/// Why no HTTP client could be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// The CA bundle is no PEM, or holds no certificate.
    #[error("the CA bundle holds no certificate in PEM form")]
    CaBundle,
    /// TLS could not be set up.
    #[error("setting up TLS")]
    Tls(#[source] reqwest::Error),
}

/// One call that was made, for metrics.
#[derive(Debug, Clone, Copy)]
pub struct CallRecord {
    /// API and route template.
    pub route: Route,
    /// How it ended.
    pub outcome: Outcome,
    /// Real time until the last byte.
    pub duration: Duration,
    /// Whether the other side asked for fewer calls.
    pub throttled: bool,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this HTTP status.
    Status(u16),
    /// Without an answer: `connect`, `reset`, `timeout` or `too_large`.
    Failed(&'static str),
}

/// Is told of every call.
pub type Observer = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// The connections of a process; cheap to clone.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    clock: Clock,
    observer: Observer,
    deadline: Duration,
}

/// A call before it is sent. It holds ids and secrets, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) route: Route,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Whether it changes nothing at the other side: reads, and token calls without rotation.
    pub(crate) repeatable: bool,
}

/// Body of a [`Call`].
#[derive(Clone)]
pub(crate) enum Body {
    None,
    Json(Vec<u8>),
    Form(SecretString),
}

/// A successful answer.
pub(crate) struct Reply {
    answer: Answer,
    location: Option<String>,
    html: bool,
    body: Vec<u8>,
}

impl Http {
    /// Sets the client up: rustls, TLS 1.2 or later, the system's roots and the bundle, no redirects, proxies as the
    /// environment says.
    pub fn new(settings: &HttpSettings, clock: Clock, observer: Observer) -> Result<Self, HttpSetupError> {
        Self::build(reqwest::Client::builder(), settings, clock, observer)
    }

    fn build(
        builder: reqwest::ClientBuilder,
        settings: &HttpSettings,
        clock: Clock,
        observer: Observer,
    ) -> Result<Self, HttpSetupError> {
        let mut builder = builder
            .tls_version_min(reqwest::tls::Version::TLS_1_2)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .user_agent(concat!("teams-connector-operator/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &settings.ca_bundle {
            builder = builder.tls_certs_merge(certificates(pem)?);
        }
        let client = builder.build().map_err(HttpSetupError::Tls)?;
        Ok(Self { client, clock, observer, deadline: settings.deadline })
    }

    /// For tests: as [`Self::new`], whatever proxy the environment names.
    #[cfg(test)]
    pub(crate) fn direct(settings: &HttpSettings, clock: Clock, observer: Observer) -> Result<Self, HttpSetupError> {
        Self::build(reqwest::Client::builder().no_proxy(), settings, clock, observer)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sends a call once.
    pub(crate) async fn exchange(&self, call: &Call, bearer: Option<&SecretString>) -> Result<Reply, ApiError> {
        let busy = self.clock.busy();
        let started = Instant::now();
        let result = self.sent(call, bearer).await;
        drop(busy);
        self.record(call.route, started.elapsed(), &result);
        result.map_or_else(|failure| Err(failure.into_error(call.route)), |arrived| self.judge(call.route, arrived))
    }

    async fn sent(&self, call: &Call, bearer: Option<&SecretString>) -> Result<Arrived, Failure> {
        let mut request = self.client.request(call.method.clone(), call.url.clone()).timeout(self.deadline);
        request = request.header(header::ACCEPT, "application/json").headers(call.headers.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token.expose_secret());
        }
        request = match &call.body {
            Body::None => request,
            Body::Json(json) => request.header(header::CONTENT_TYPE, "application/json").body(json.clone()),
            Body::Form(form) => request
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.expose_secret().to_owned()),
        };
        let mut response = request.send().await.map_err(Failure::Lost)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Failure::Lost)? {
            if body.len() + chunk.len() > BODY_LIMIT {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Arrived { status: response.status().as_u16(), headers: response.headers().clone(), body })
    }

    fn record(&self, route: Route, duration: Duration, result: &Result<Arrived, Failure>) {
        let outcome = match result {
            Ok(arrived) => Outcome::Status(arrived.status),
            Err(failure) => Outcome::Failed(failure.kind()),
        };
        let throttled = outcome == Outcome::Status(429);
        tracing::debug!(api = route.api.name(), operation = route.operation, ?outcome, ?duration, "called {route}");
        (self.observer)(&CallRecord { route, outcome, duration, throttled });
    }

    fn judge(&self, route: Route, arrived: Arrived) -> Result<Reply, ApiError> {
        let Arrived { status, headers, body } = arrived;
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = text(&HeaderName::from_static("request-id")).or_else(|| text(&X_MS_REQUEST_ID));
        if !(200..=299).contains(&status) {
            let until = text(&header::RETRY_AFTER).and_then(|value| retry_after(value, self.clock.now()));
            return Err(fault(&Refusal { route, status, until, request_id, body: &body }));
        }
        let html = text(&header::CONTENT_TYPE).is_some_and(|kind| kind.starts_with("text/html"));
        let location = text(&header::LOCATION).map(str::to_owned);
        Ok(Reply { answer: Answer { route, status, code: None, reference: None }, location, html, body })
    }
}

const X_MS_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

struct Arrived {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

enum Failure {
    Lost(reqwest::Error),
    TooLarge,
}

impl Failure {
    fn kind(&self) -> &'static str {
        match self {
            Self::Lost(error) if error.is_timeout() => "timeout",
            Self::Lost(error) if error.is_connect() => "connect",
            Self::Lost(_) => "reset",
            Self::TooLarge => "too_large",
        }
    }

    fn into_error(self, route: Route) -> ApiError {
        match self {
            Self::TooLarge => ApiError::TooLarge { route, limit: BODY_LIMIT },
            Self::Lost(error) if error.is_timeout() && !error.is_connect() => ApiError::DeadlineExceeded { route },
            Self::Lost(error) => {
                let at = if error.is_connect() { Lost::Connecting } else { Lost::Underway };
                ApiError::Unreachable { route, at, source: Arc::new(error.without_url()) }
            }
        }
    }
}

impl Reply {
    pub(crate) fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// Id of what was created: the last segment of `Location`.
    pub(crate) fn id_in_location(&self) -> Option<String> {
        let path = self.location.as_deref()?.split(['?', '#']).next()?;
        path.trim_end_matches('/').rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
    }

    /// The body as JSON. The bytes are gone when this returns, and wiped, as they may hold a token.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        let Self { answer, html, body, .. } = self;
        let body = Zeroizing::new(body);
        serde_json::from_slice(&body).map_err(|error| {
            let web_page = html || body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
            let what = match () {
                () if web_page => Undecodable::Html,
                () if error.is_eof() => Undecodable::Truncated,
                () => Undecodable::Malformed,
            };
            ApiError::Undecodable { answer, what }
        })
    }
}

impl Call {
    /// A call without a body. `base` is extended by `path`, each segment percent-encoded, and by `query`, whose names are
    /// written as they are and whose values are percent-encoded, a space as `%20`.
    pub(crate) fn new(route: Route, method: Method, base: &Url, path: &[&str], query: &[(&str, &str)]) -> Self {
        let mut url = base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
            url.set_query(Some(&pairs.join("&")));
        }
        let repeatable = method == Method::GET;
        Self { route, method, url, headers: HeaderMap::new(), body: Body::None, repeatable }
    }

    pub(crate) fn get(route: Route, base: &Url, path: &[&str], query: &[(&str, &str)]) -> Self {
        Self::new(route, Method::GET, base, path, query)
    }

    pub(crate) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn json<T: serde::Serialize>(mut self, body: &T) -> Result<Self, ApiError> {
        let invalid = |_| ApiError::InvalidInput { route: self.route, why: "the body cannot be written as JSON" };
        self.body = Body::Json(serde_json::to_vec(body).map_err(invalid)?);
        Ok(self)
    }
}

/// Form encoding writes a space as `+` and a plus as `%2B`, so the replacement is exact.
fn encoded(value: &str) -> String {
    url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, HttpSetupError> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| HttpSetupError::CaBundle)?;
    if certificates.is_empty() { Err(HttpSetupError::CaBundle) } else { Ok(certificates) }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;

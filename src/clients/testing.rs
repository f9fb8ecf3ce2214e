//! A small HTTP server for the tests of the clients: it records every request and answers as the test says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use k8s_openapi::jiff::Timestamp;
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::connections::Connections;
use super::connector::ConnectorClient;
use super::endpoints::{ConnectorEndpoint, Endpoints};
use super::goto::GotoClient;
use super::graph::GraphClient;
use super::http::{CallRecord, Http, HttpSettings};
use super::token::{EntraCredential, GotoCredential, GotoGrant, Persist, Rotated};
use crate::clock::Clock;
use crate::clock::manual::ManualClock;

pub(crate) const ACCOUNT: &str = "1234567890123456789";
pub(crate) const TENANT: &str = "11111111-aaaa-4111-8111-111111111111";
pub(crate) const PBX: &str = "22222222-bbbb-4222-8222-222222222222";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Business time.
    pub(crate) at: Timestamp,
    /// How many requests came before it.
    pub(crate) ordinal: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn is_token_call(&self) -> bool {
        self.path.ends_with("/token")
    }

    /// The request line.
    pub(crate) fn line(&self) -> String {
        let mark = if self.query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, self.query)
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

pub(crate) fn answer(status: u16, body: impl Into<Vec<u8>>) -> Answer {
    Answer { status, headers: vec![("content-type", "application/json".to_owned())], body: body.into() }
}

pub(crate) fn ok(body: &Value) -> Answer {
    answer(200, body.to_string())
}

impl Answer {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

type Script = dyn Fn(&Seen) -> Option<Answer> + Send + Sync;

/// A server, the clients that call it, and the clock of both.
pub(crate) struct Bench {
    pub(crate) url: Url,
    pub(crate) time: ManualClock,
    pub(crate) connections: Connections,
    seen: Arc<Mutex<Vec<Seen>>>,
    records: Arc<Mutex<Vec<CallRecord>>>,
    stored: Arc<Mutex<Vec<String>>>,
}

pub(crate) fn start_of_time() -> Timestamp {
    "2026-08-20T10:00:00Z".parse().unwrap()
}

impl Bench {
    /// Starts the server; what `script` does not answer and is a token call gets a token, anything else 404.
    /// Sleeps of the clients move the clock.
    pub(crate) async fn start(script: impl Fn(&Seen) -> Option<Answer> + Send + Sync + 'static) -> Self {
        let (clock, time) = Clock::manual(start_of_time());
        time.jump();
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let url = serve(Arc::new(script), Arc::clone(&seen), time.clone()).await;
        let records: Arc<Mutex<Vec<CallRecord>>> = Arc::default();
        let recorded = Arc::clone(&records);
        let observer = Arc::new(move |record: &CallRecord| recorded.lock().unwrap().push(*record));
        let settings = HttpSettings { deadline: Duration::from_secs(10), ..HttpSettings::default() };
        let http = Http::direct(&settings, clock, observer).unwrap();
        let connections = Connections::new(http, endpoints(&url));
        Self { url, time, connections, seen, records, stored: Arc::default() }
    }

    pub(crate) fn goto(&self) -> GotoClient {
        self.goto_with("rt-0")
    }

    pub(crate) fn goto_with(&self, refresh_token: &str) -> GotoClient {
        let stored = Arc::clone(&self.stored);
        let persist: Persist = Arc::new(move |rotated: Rotated| {
            let stored = Arc::clone(&stored);
            Box::pin(async move {
                let token = secrecy::ExposeSecret::expose_secret(&rotated.refresh_token).to_owned();
                stored.lock().unwrap().push(token);
                Ok(())
            })
        });
        self.connections.goto(goto_credential(refresh_token), persist)
    }

    pub(crate) fn graph(&self) -> GraphClient {
        self.connections.graph(EntraCredential {
            tenant: TENANT.parse().unwrap(),
            client_id: "entra-client".to_owned(),
            client_secret: SecretString::from("entra s+cret"),
        })
    }

    pub(crate) fn connector(&self) -> ConnectorClient {
        let endpoint = ConnectorEndpoint::unchecked(self.url.join("v1").unwrap());
        let token = SecretString::from("connector-token");
        self.connections.connector_with_token(&endpoint, ACCOUNT.parse().unwrap(), token)
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Request lines of all calls but those for tokens.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().iter().filter(|seen| !seen.is_token_call()).map(Seen::line).collect()
    }

    pub(crate) fn token_calls(&self) -> usize {
        self.seen().iter().filter(|seen| seen.is_token_call()).count()
    }

    pub(crate) fn records(&self) -> Vec<CallRecord> {
        self.records.lock().unwrap().clone()
    }

    /// Refresh tokens that were stored.
    pub(crate) fn stored(&self) -> Vec<String> {
        self.stored.lock().unwrap().clone()
    }
}

pub(crate) fn goto_credential(refresh_token: &str) -> GotoCredential {
    GotoCredential {
        client_id: "goto-client".to_owned(),
        client_secret: SecretString::from("goto-secret"),
        grant: GotoGrant::RefreshToken(SecretString::from(refresh_token)),
    }
}

pub(crate) fn endpoints(url: &Url) -> Endpoints {
    Endpoints {
        goto_auth: url.clone(),
        goto_admin: url.join("admin/rest/v1").unwrap(),
        goto_api: url.clone(),
        entra: url.clone(),
        graph: url.clone(),
    }
}

async fn serve(script: Arc<Script>, seen: Arc<Mutex<Vec<Seen>>>, time: ManualClock) -> Url {
    let handler = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let request = {
            let mut seen = seen.lock().unwrap();
            let request = Seen {
                method,
                path: uri.path().to_owned(),
                query: uri.query().unwrap_or_default().to_owned(),
                headers,
                body: String::from_utf8(body.to_vec()).unwrap(),
                at: time.now(),
                ordinal: seen.len(),
            };
            seen.push(request.clone());
            request
        };
        let answer = script(&request).or_else(|| token(&request)).unwrap_or_else(|| answer(404, ""));
        let mut response = (StatusCode::from_u16(answer.status).unwrap(), answer.body).into_response();
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value.parse().unwrap());
        }
        response
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
    url.parse().unwrap()
}

/// A token that tells which call issued it.
fn token(request: &Seen) -> Option<Answer> {
    let reply = json!({
        "access_token": format!("at-{}", request.ordinal), "token_type": "Bearer", "expires_in": 3600,
        "scope": "identity: users.v1.lines.read", "principal": "svc@example.test"
    });
    request.is_token_call().then(|| ok(&reply))
}

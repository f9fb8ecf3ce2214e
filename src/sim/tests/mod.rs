//! A whole simulator in process, called over TLS as its clients call it.

mod activation;
mod clock;
mod control;
mod credentials;
mod domains;
mod faults;
mod fixtures;
mod goto;
mod graph;
mod hostile;
mod listings;
mod people;
mod tokens;
mod untouched;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::clock::Mode;
use super::journal;
use super::world::{World, WorldEdit, test_credentials as test};
use super::{Api, Sim, SimConfig};

/// A simulator and a client that trusts it.
struct Bench {
    sim: Sim,
    http: Client,
}

/// A calm demo world that only an explicit advance moves on, without rate limit.
fn config() -> SimConfig {
    SimConfig { world: World::demo().unwrap(), requests_per_second: None, ..SimConfig::default() }
}

fn generated(users: u32) -> World {
    let options = super::world::GenerateOptions { users, licenses: users, unmatched_percent: 10, seed: 5 };
    World::generated(&options).unwrap()
}

impl Bench {
    async fn demo() -> Self {
        Self::start(config()).await
    }

    async fn start(config: SimConfig) -> Self {
        let sim = Sim::start(config).await.unwrap();
        let ca = Certificate::from_pem(sim.ca_pem().as_bytes()).unwrap();
        let http = Client::builder().no_proxy().tls_certs_only([ca]).timeout(Duration::from_secs(20)).build().unwrap();
        Self { sim, http }
    }

    /// A demo world with lag on a hostile day, and a Graph token that was got in spite of it.
    async fn hostile_graph() -> (Self, String) {
        let mut world = World::demo().unwrap();
        world.settings.graph_lag_seconds = 20;
        let bench = Self::start(SimConfig { world, calm: false, seed: 6, ..config() }).await;
        let token = loop {
            if let (200, body) = read(bench.entra_call(&entra_fields())).await {
                break body["access_token"].as_str().unwrap().to_owned();
            }
        };
        (bench, token)
    }

    /// A call of Graph, repeated while the other side is not well.
    async fn insist(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        loop {
            let (status, answer) = self.send(method, Api::Graph, path, token, body.clone()).await;
            if !matches!(status, 429 | 500..) {
                return (status, answer);
            }
        }
    }

    fn url(&self, api: Api, path: &str) -> String {
        format!("{}{path}", self.sim.endpoints().of(api))
    }

    fn get(&self, api: Api, path: &str, token: &str) -> RequestBuilder {
        self.http.get(self.url(api, path)).bearer_auth(token)
    }

    /// Status and JSON, or null when there is none.
    async fn json(&self, api: Api, path: &str, token: &str) -> (u16, Value) {
        read(self.get(api, path, token)).await
    }

    /// The JSON of a call that must succeed.
    async fn ok(&self, api: Api, path: &str, token: &str) -> Value {
        let (status, body) = self.json(api, path, token).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A call that may write, with a JSON body unless it is null.
    async fn send(&self, method: &str, api: Api, path: &str, token: &str, body: Value) -> (u16, Value) {
        let call = self.http.request(method.parse().unwrap(), self.url(api, path)).bearer_auth(token);
        read(if body.is_null() { call } else { call.json(&body) }).await
    }

    /// A call to Graph that must succeed with this status.
    async fn graph(&self, method: &str, path: &str, body: Value, status: u16) -> Value {
        let token = self.graph_token().await;
        let (seen, answer) = self.send(method, Api::Graph, path, &token, body).await;
        assert_eq!(seen, status, "{method} {path}: {answer}");
        answer
    }

    /// A call to Graph that is refused: status, code, the first more precise code.
    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String, Option<String>) {
        let token = self.graph_token().await;
        let (status, answer) = self.send(method, Api::Graph, path, &token, body).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let code = text(&answer["error"]["code"]).unwrap_or_default();
        (status, code, text(&answer["error"]["details"][0]["code"]))
    }

    /// The connector's state of a domain.
    async fn domain_state(&self, name: &str) -> String {
        let path = format!("/accounts/{}/domains", test::ACCOUNT_KEY);
        let body = self.ok(Api::Connector, &path, test::CONNECTOR_TOKEN).await;
        let found = body["items"].as_array().unwrap().iter().find(|domain| domain["name"] == name).unwrap();
        found["state"].as_str().unwrap().to_owned()
    }

    fn token_call(&self, fields: &[(&str, &str)]) -> RequestBuilder {
        let call = self.http.post(self.url(Api::GotoAuth, "/oauth/token"));
        call.basic_auth(test::GOTO_CLIENT_ID, Some(test::GOTO_CLIENT_SECRET)).form(fields)
    }

    async fn goto_token(&self) -> String {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", test::GOTO_REFRESH_TOKEN)];
        let (status, body) = read(self.token_call(&fields)).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    fn entra_call(&self, fields: &[(&str, &str)]) -> RequestBuilder {
        let path = format!("/{}/oauth2/v2.0/token", test::TENANT_ID);
        self.http.post(self.url(Api::Entra, &path)).form(fields)
    }

    async fn graph_token(&self) -> String {
        let (status, body) = read(self.entra_call(&entra_fields())).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    fn edit(&self, edit: Value) {
        let edit: WorldEdit = serde_json::from_value(edit).unwrap();
        let now = self.sim.now();
        self.sim.world().edit(edit, now).unwrap();
    }

    fn fault(&self, rule: Value) {
        self.sim.state().faults.add(vec![serde_json::from_value(rule).unwrap()]);
    }

    fn calls(&self) -> Vec<journal::Entry> {
        self.sim.state().journal.list(&journal::Filter::default()).calls
    }

    async fn control(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().unwrap();
        let call = self.http.request(method, format!("{}{path}", self.sim.endpoints().control));
        read(match body {
            Some(body) => call.json(&body),
            None => call,
        })
        .await
    }

    async fn advance(&self, by: &str) -> Timestamp {
        let (status, body) = self.control("POST", "/clock", Some(json!({"advance": by}))).await;
        assert_eq!(status, 200, "{body}");
        body["now"].as_str().unwrap().parse().unwrap()
    }
}

fn entra_fields() -> [(&'static str, &'static str); 4] {
    [
        ("grant_type", "client_credentials"),
        ("client_id", test::ENTRA_CLIENT_ID),
        ("client_secret", test::ENTRA_CLIENT_SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ]
}

async fn read(call: RequestBuilder) -> (u16, Value) {
    let response = call.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    let body =
        if status == StatusCode::NO_CONTENT { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::Null) };
    (status.as_u16(), body)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

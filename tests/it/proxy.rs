//! The call-killing proxy is transparent until it kills.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{any, get};
use futures::{StreamExt as _, stream};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{ListParams, WatchEvent, WatchParams};
use teams_connector_operator::devenv::kubeconfig::{self, Server};
use teams_connector_operator::devenv::proxy::{Call, Kill, OnKill, Phase, Proxy, Target};
use teams_connector_operator::devenv::route::Upstream;
use teams_connector_operator::devenv::tls::Authority;
use tokio::sync::{Notify, mpsc};

use crate::harness;

const ACCOUNT: &str = "/accounts/1234567890123456789";

/// What the upstream saw, and the second half of its streamed answer.
#[derive(Clone, Default)]
struct Seen {
    calls: Arc<Mutex<Vec<String>>>,
    go_on: Arc<Notify>,
}

struct World {
    seen: Seen,
    kills: Arc<Mutex<Vec<Kill>>>,
    proxy: Proxy,
    http: reqwest::Client,
}

fn upstream(seen: Seen, authority: &Authority) -> String {
    let tls = authority.server(&["127.0.0.1"]).unwrap().listener().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/stream", get(two_halves)).fallback(any(answer)).with_state(seen);
    tokio::spawn(axum_server::from_tcp_rustls(listener, tls).unwrap().serve(app.into_make_service()));
    url
}

async fn answer(State(seen): State<Seen>, headers: HeaderMap, body: Bytes) -> String {
    let host = headers["host"].to_str().unwrap().to_owned();
    seen.calls.lock().unwrap().push(format!("{host} {}", String::from_utf8_lossy(&body)));
    host
}

async fn two_halves(State(seen): State<Seen>) -> Body {
    let second = stream::once(async move {
        seen.go_on.notified().await;
        Ok::<_, std::io::Error>("second")
    });
    Body::from_stream(stream::iter([Ok("first")]).chain(second))
}

fn world() -> World {
    let authority = Authority::new("test").unwrap();
    let seen = Seen::default();
    let url = upstream(seen.clone(), &authority);
    let kills = Arc::new(Mutex::new(Vec::new()));
    let on_kill: OnKill = {
        let kills = Arc::clone(&kills);
        Arc::new(move |kill| {
            kills.lock().unwrap().push(kill);
            Box::pin(async {})
        })
    };
    let target = Target { upstream: Upstream::Simulator("connector"), url, authority: authority.pem() };
    let proxy = Proxy::start(target, &authority, on_kill).unwrap();
    let trusted = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
    World { seen, kills, proxy, http }
}

impl World {
    async fn put(&self, body: &'static str) -> reqwest::Response {
        self.http.put(format!("{}{ACCOUNT}", self.proxy.url())).body(body).send().await.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        self.seen.calls.lock().unwrap().clone()
    }
}

/// Links in answers are made from the `Host` header, so it must be the proxy's own.
#[tokio::test]
async fn the_host_header_is_passed_on_unchanged() {
    let world = world();
    let host = world.proxy.url().trim_start_matches("https://").to_owned();
    assert_eq!(world.put("a").await.text().await.unwrap(), host);
    let call = Call { route: "PUT /accounts/{id}".to_owned(), ordinal: 1, status: Some(200) };
    assert_eq!(world.proxy.calls(), [call]);
}

/// Watches and long polls arrive piece by piece.
#[tokio::test]
async fn an_answer_is_passed_on_while_it_is_made() {
    let world = world();
    let mut answer = world.http.get(format!("{}/stream", world.proxy.url())).send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "first");
    world.seen.go_on.notify_one();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "second");
}

/// T1: before the send the upstream sees nothing; after the commit it saw the call and the caller saw no answer.
#[tokio::test]
async fn a_kill_happens_at_its_route_ordinal_and_phase_and_once() {
    let world = world();
    let host = world.proxy.url().trim_start_matches("https://").to_owned();
    let kill = |ordinal, phase| Kill { route: "PUT /accounts/{id}".to_owned(), ordinal, phase };
    world.proxy.kill_at(kill(2, Phase::BeforeSend));
    world.proxy.kill_at(kill(3, Phase::AfterCommit));
    for (body, success) in [("1", true), ("2", false), ("3", false), ("4", true)] {
        assert_eq!(world.put(body).await.status().is_success(), success, "call {body}");
    }
    assert_eq!(world.seen(), [format!("{host} 1"), format!("{host} 3"), format!("{host} 4")]);
    assert_eq!(*world.kills.lock().unwrap(), [kill(2, Phase::BeforeSend), kill(3, Phase::AfterCommit)]);
    assert_eq!(world.proxy.pending(), []);
}

/// The operator reaches the API server through it with its own token, and its watches live.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_of_the_real_api_server_lives_through_the_proxy() {
    let plane = harness::control_plane().await;
    let namespace = harness::new_namespace("proxied").await;
    plane.kubectl_stdout(&["-n", &namespace, "create", "serviceaccount", "viewer"]).await.unwrap();
    let subject = format!("--serviceaccount={namespace}:viewer");
    plane
        .kubectl_stdout(&["-n", &namespace, "create", "rolebinding", "viewer", "--clusterrole=view", &subject])
        .await
        .unwrap();
    let authority = Authority::new("proxy").unwrap();
    let target = Target { upstream: Upstream::Kubernetes, url: plane.url().to_owned(), authority: plane.authority() };
    let proxy = Proxy::start(target, &authority, Arc::new(|_| Box::pin(async {}))).unwrap();
    let (url, pem) = (proxy.url(), authority.pem());
    let server = Server { url: &url, authority: &pem };
    let path = plane.kubeconfig_through(&server, &namespace, "viewer").await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(kubeconfig::client(&path).await.unwrap(), &namespace);

    let version = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut watch = Box::pin(maps.watch(&WatchParams::default().fields("metadata.name=late"), &version).await.unwrap());
    let (sender, mut added) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(event)) = watch.next().await {
            if let WatchEvent::Added(map) = event {
                sender.send(map.metadata.name).unwrap();
            }
        }
    });
    harness::apply(&namespace, "{apiVersion: v1, kind: ConfigMap, metadata: {name: late}}").await;
    let name = tokio::time::timeout(Duration::from_secs(30), added.recv()).await.unwrap().unwrap();
    assert_eq!(name.as_deref(), Some("late"));
    let routes: Vec<String> = proxy.calls().into_iter().map(|call| call.route).collect();
    assert_eq!(routes, ["LIST configmaps", "WATCH configmaps"]);
}

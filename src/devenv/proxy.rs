//! A proxy that names every call and kills at a chosen one.
//!
//! It stands before one API with TLS of its own, passes everything on as it comes (the `Host` header too, since links in
//! answers are made from it), and calls back before a call is sent or after it was answered but before the reply is passed
//! on. What it is there for: SIGKILL of the operator at every write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum_server::Handle;

use super::route::Upstream;
use super::tls::Authority;

/// The largest request that is passed on; the operator's are far smaller.
const LARGEST_REQUEST: usize = 8 << 20;
/// Headers that belong to one connection and are not passed on.
const HOP_BY_HOP: [HeaderName; 5] =
    [header::CONNECTION, header::TRANSFER_ENCODING, header::TE, header::UPGRADE, HeaderName::from_static("keep-alive")];

/// When to kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The upstream never sees the call.
    BeforeSend,
    /// The upstream has answered, the caller never sees the answer.
    AfterCommit,
}

/// One scripted crash: the nth call of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kill {
    /// As [`Upstream::route`] names it.
    pub route: String,
    /// From 1, counted from the start of the proxy.
    pub ordinal: usize,
    /// Before or after.
    pub phase: Phase,
}

/// One call that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// As [`Upstream::route`] names it.
    pub route: String,
    /// From 1 for each route.
    pub ordinal: usize,
    /// The status that the upstream answered; `None` while it has not.
    pub status: Option<u16>,
}

/// What a kill does; the call is held until it has returned.
pub type OnKill = Arc<dyn Fn(Kill) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What stands behind a proxy.
pub struct Target {
    /// Which API it is.
    pub upstream: Upstream,
    /// `https://host:port` or `http://host:port`.
    pub url: String,
    /// The authority that its certificate is verified by, in PEM.
    pub authority: String,
}

/// A running proxy. Dropping it closes all its connections.
pub struct Proxy {
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: Upstream,
    url: String,
    http: reqwest::Client,
    on_kill: OnKill,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    calls: Vec<Call>,
    counts: BTreeMap<String, usize>,
    script: Vec<Kill>,
}

impl Proxy {
    /// Listens on a free loopback port with a certificate of `authority`, as a task of the current runtime.
    pub fn start(target: Target, authority: &Authority, on_kill: OnKill) -> anyhow::Result<Self> {
        let Target { upstream, url, authority: trusted } = target;
        let trusted = reqwest::Certificate::from_pem(trusted.as_bytes()).context("the authority of the upstream")?;
        let http = reqwest::Client::builder().no_proxy().no_gzip().http1_only().tls_certs_only([trusted]);
        let http = http.redirect(reqwest::redirect::Policy::none()).build()?;
        let shared = Arc::new(Shared { upstream, url, http, on_kill, record: Mutex::default() });
        let tls = authority.server(&["127.0.0.1", "localhost"])?.listener()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let handle = Handle::new();
        let app = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        let server = axum_server::from_tcp_rustls(listener, tls)?.http1_only().handle(handle.clone());
        tokio::spawn(server.serve(app.into_make_service()));
        Ok(Self { address, handle, shared })
    }

    /// `https://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Adds a crash to the script; each happens once.
    pub fn kill_at(&self, kill: Kill) {
        self.shared.record().script.push(kill);
    }

    /// The crashes of the script that have not happened yet.
    pub fn pending(&self) -> Vec<Kill> {
        self.shared.record().script.clone()
    }

    /// Takes the crashes that have not happened yet from the script.
    pub fn disarm(&self) -> Vec<Kill> {
        std::mem::take(&mut self.shared.record().script)
    }

    /// The calls so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.record().calls.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills if the script says so; whether it did.
    async fn kills(&self, route: &str, ordinal: usize, phase: Phase) -> bool {
        let kill = Kill { route: route.to_owned(), ordinal, phase };
        let planned = {
            let mut record = self.record();
            let before = record.script.len();
            record.script.retain(|planned| *planned != kill);
            record.script.len() < before
        };
        if planned {
            (self.on_kill)(kill).await;
        }
        planned
    }
}

impl Record {
    /// The index and the ordinal of a call that arrives.
    fn arrive(&mut self, route: &str) -> (usize, usize) {
        let count = self.counts.entry(route.to_owned()).or_default();
        *count += 1;
        let ordinal = *count;
        self.calls.push(Call { route: route.to_owned(), ordinal, status: None });
        (self.calls.len() - 1, ordinal)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let route = shared.upstream.route(
        request.method().as_str(),
        request.uri().path(),
        request.uri().query().unwrap_or_default(),
    );
    let (index, ordinal) = shared.record().arrive(&route);
    if shared.kills(&route, ordinal, Phase::BeforeSend).await {
        return killed();
    }
    let answer = match forward(&shared, request).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    };
    shared.record().calls[index].status = Some(answer.status().as_u16());
    if shared.kills(&route, ordinal, Phase::AfterCommit).await {
        return killed();
    }
    answer
}

/// Nobody reads this as a rule: the caller was killed.
fn killed() -> Response {
    (StatusCode::BAD_GATEWAY, "killed by the script").into_response()
}

async fn forward(shared: &Shared, request: Request) -> anyhow::Result<Response> {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let body = axum::body::to_bytes(body, LARGEST_REQUEST).await.context("reading the request")?;
    let request = shared.http.request(parts.method, format!("{}{target}", shared.url));
    let answer = request.headers(end_to_end(parts.headers)).body(body).send().await.context("asking the upstream")?;
    let (mut parts, body) = axum::http::Response::<reqwest::Body>::from(answer).into_parts();
    parts.headers = end_to_end(parts.headers);
    Ok(Response::from_parts(parts, Body::new(body)))
}

fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    headers
}

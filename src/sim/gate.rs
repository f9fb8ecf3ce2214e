//! The one door in front of every API: calls in flight, fault script, hostile plan, rate limit, journal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI8, AtomicI64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use k8s_openapi::jiff::Timestamp;

use super::faults::{Effect, Seen};
use super::hostile::{Injected, Roll};
use super::journal::Entry;
use super::tls::Connections;
use super::world::Share;
use super::{Api, SimState, WorldGuard, alter, graph, reply};

/// Largest request body.
const BODY_LIMIT: usize = 4 << 20;

/// One listener's door.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) sim: SimState,
    pub(super) api: Api,
    pub(super) connections: Connections,
}

/// What a handler may know of its call; the only way from a handler to the world.
#[derive(Clone)]
pub struct Call(Arc<Inner>);

struct Inner {
    sim: SimState,
    at: Timestamp,
    roll: Roll,
    without_effect: bool,
    share: Share,
    bearer: Option<String>,
    page: AtomicI64,
    /// -1: by method and status; else whether the world was changed.
    wrote: AtomicI8,
}

impl Call {
    /// The world; in a call that is "accepted without effect" every change is undone when the guard is dropped.
    pub fn world(&self) -> WorldGuard<'_> {
        let world = self.0.sim.world();
        let before = self.0.without_effect.then(|| world.clone());
        WorldGuard { world, before }
    }

    /// Virtual time when the call arrived.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.at
    }

    /// The simulator.
    #[must_use]
    pub fn sim(&self) -> &SimState {
        &self.0.sim
    }

    /// The bearer token.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.0.bearer.as_deref()
    }

    /// How many items a page gets for which `asked` were asked for: at least 1, fewer on hostile days.
    #[must_use]
    pub fn page_size(&self, asked: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a page size is far below 2^52 and the part is between 0 and 1"
        )]
        let part = (asked as f64 * self.0.roll.page).ceil() as usize;
        part.clamp(1, asked.max(1))
    }

    /// How much of a listing this call is shown.
    #[must_use]
    pub fn share(&self) -> Share {
        self.0.share
    }

    /// What the hostile plan rolled for this call.
    #[must_use]
    pub fn roll(&self) -> &Roll {
        &self.0.roll
    }

    /// Tells the journal which page of a list this is, from 0.
    pub fn page(&self, ordinal: u64) {
        self.0.page.store(i64::try_from(ordinal).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Tells the journal whether the world was changed; without it every successful call but GET counts as a write.
    pub fn wrote(&self, wrote: bool) {
        self.0.wrote.store(i8::from(wrote), Ordering::Relaxed);
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        parts.extensions.get::<Self>().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

/// Lets one call through. The work goes on when the client hangs up: what a server has begun it ends.
pub(super) async fn pass(State(door): State<Door>, request: Request, next: Next) -> Response {
    let passing = tokio::spawn(async move { door.let_through(request, next).await });
    passing.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// A call on its way.
struct Passage {
    sequence: u64,
    at: Timestamp,
    method: Method,
    route: String,
    peer: Option<SocketAddr>,
    injected: Option<&'static str>,
    /// The connection is closed without a reply.
    silent: bool,
}

impl Passage {
    fn committed_silently(&self) -> bool {
        self.silent && self.method != Method::GET && self.injected == Some(Effect::ResetAfterCommit.name())
    }
}

impl Door {
    async fn let_through(&self, request: Request, next: Next) -> Response {
        let _in_flight = self.sim.clock.in_flight();
        let (mut parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let mut passage = Passage {
            sequence: self.sim.journal.arrive(),
            at: self.sim.now(),
            method: parts.method.clone(),
            route: self.route(&parts),
            peer: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0),
            injected: None,
            silent: false,
        };
        let effect = self.scripted(&parts, &passage.route, &body);
        let call = self.call(&parts, &passage, effect.as_ref());
        parts.extensions.insert(call.clone());
        let response =
            self.answer(&mut passage, &call, effect, Request::from_parts(parts, Body::from(body)), next).await;
        self.record(&passage, &call, &response);
        response
    }

    fn route(&self, parts: &Parts) -> String {
        let matched = parts.extensions.get::<MatchedPath>().map_or("-", MatchedPath::as_str);
        if self.api == Api::Graph { graph::template(matched, parts.uri.path()) } else { matched.to_owned() }
    }

    fn scripted(&self, parts: &Parts, route: &str, body: &Bytes) -> Option<Effect> {
        let decode = |text: &str| urlencoding::decode(text).map_or_else(|_| text.to_owned(), Into::into);
        let query = decode(parts.uri.query().unwrap_or_default());
        let target = format!("{}?{query}", decode(parts.uri.path()));
        let body = String::from_utf8_lossy(body);
        self.sim.faults.decide(&Seen {
            api: self.api,
            method: parts.method.as_str(),
            route,
            target: &target,
            query: &query,
            body: &body,
        })
    }

    fn call(&self, parts: &Parts, passage: &Passage, effect: Option<&Effect>) -> Call {
        let mut roll = self.sim.hostile.roll(self.api, passage.method.as_str(), &passage.route);
        if effect.is_some() {
            roll.answer = None;
        }
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        Call(Arc::new(Inner {
            sim: self.sim.clone(),
            at: passage.at,
            roll,
            without_effect: effect == Some(&Effect::AcceptedWithoutEffect),
            share: match effect {
                Some(Effect::ShorterList { percent }) => Share::percent(*percent),
                _ => Share::WHOLE,
            },
            bearer: header.and_then(|value| value.strip_prefix("Bearer ")).map(str::to_owned),
            page: AtomicI64::new(-1),
            wrote: AtomicI8::new(-1),
        }))
    }

    /// The reply: injected, or the handler's, perhaps altered.
    async fn answer(
        &self,
        passage: &mut Passage,
        call: &Call,
        effect: Option<Effect>,
        request: Request,
        next: Next,
    ) -> Response {
        passage.injected = effect.as_ref().map(Effect::name);
        if let Some(effect) = &effect
            && let Some(response) = self.before(passage, effect).await
        {
            return response;
        }
        if let Some(injected) = call.roll().answer {
            passage.injected = Some("hostile");
            return self.hostile(injected, passage.at);
        }
        if !self.within_rate(call, request.uri().path()) {
            return reply::injected(self.api, StatusCode::TOO_MANY_REQUESTS, self.retry_after(), passage.at);
        }
        let response = next.run(request).await;
        let response = if call.roll().extra_field { alter::extra_field(response).await } else { response };
        match effect {
            Some(effect) => self.after(passage, call, &effect, response).await,
            None => response,
        }
    }

    /// What happens instead of the handler.
    async fn before(&self, passage: &mut Passage, effect: &Effect) -> Option<Response> {
        match effect {
            Effect::Status { code, body, retry_after } => {
                let status = StatusCode::from_u16(*code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let response = reply::injected(self.api, status, *retry_after, passage.at);
                let Some(body) = body else { return Some(response) };
                let mut scripted = reply::json_reply(status, body);
                if let Some(seconds) = response.headers().get("retry-after") {
                    scripted.headers_mut().insert("retry-after", seconds.clone());
                }
                Some(scripted)
            }
            Effect::Html { status } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                Some(reply::html(status, reply::gateway_page(status)))
            }
            Effect::ResetBeforeCommit => Some(self.cut(passage)),
            Effect::Delay { ms } => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                None
            }
            Effect::ResetAfterCommit
            | Effect::ResetMidBody
            | Effect::TruncatedPage
            | Effect::EmptyPage
            | Effect::ShorterList { .. }
            | Effect::StopsAfterPage { .. }
            | Effect::LyingTotal
            | Effect::TotalOff { .. }
            | Effect::MalformedJson
            | Effect::SlowDrip { .. }
            | Effect::AcceptedWithoutEffect => None,
        }
    }

    /// What happens to the handler's reply.
    async fn after(&self, passage: &mut Passage, call: &Call, effect: &Effect, response: Response) -> Response {
        match effect {
            Effect::ResetAfterCommit => self.cut(passage),
            Effect::ResetMidBody => {
                let (connections, peer) = (self.connections.clone(), passage.peer);
                alter::cut_short(response, move || peer.into_iter().for_each(|peer| connections.cut(peer))).await
            }
            Effect::TruncatedPage => alter::json(response, alter::truncate_page).await,
            Effect::EmptyPage => alter::json(response, alter::empty_page).await,
            Effect::StopsAfterPage { page } => {
                let seen = call.0.page.load(Ordering::Relaxed);
                let number = u64::try_from(seen).map_or(1, |ordinal| ordinal + 1);
                alter::json(response, |body| alter::stop_after(body, number, *page)).await
            }
            Effect::LyingTotal => alter::json(response, |body| alter::shift_total(body, 1)).await,
            Effect::TotalOff { by } => alter::json(response, |body| alter::shift_total(body, *by)).await,
            Effect::MalformedJson => alter::halve(response).await,
            Effect::SlowDrip { ms } => alter::drip(response, Duration::from_millis(*ms)).await,
            Effect::Status { .. }
            | Effect::Html { .. }
            | Effect::ResetBeforeCommit
            | Effect::Delay { .. }
            | Effect::ShorterList { .. }
            | Effect::AcceptedWithoutEffect => response,
        }
    }

    /// Closes the connection without a reply: what is returned here can no longer be written.
    fn cut(&self, passage: &mut Passage) -> Response {
        passage.silent = true;
        if let Some(peer) = passage.peer {
            self.connections.cut(peer);
        }
        StatusCode::NO_CONTENT.into_response()
    }

    fn hostile(&self, injected: Injected, now: Timestamp) -> Response {
        let (status, retry_after) = match injected {
            Injected::Throttled { retry_after } => (StatusCode::TOO_MANY_REQUESTS, retry_after),
            Injected::Unavailable(code) => {
                (StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE), None)
            }
        };
        reply::injected(self.api, status, retry_after, now)
    }

    fn within_rate(&self, call: &Call, path: &str) -> bool {
        let family = match self.api {
            Api::Entra | Api::Graph => return true,
            Api::GotoAuth => "token",
            Api::Connector => "connector",
            Api::GotoAdmin if path.starts_with("/identity/") => "scim",
            Api::GotoAdmin => "admin",
            Api::GotoApi if path.starts_with("/users/") => "users",
            Api::GotoApi => "voice-admin",
        };
        let bearer = call.bearer().unwrap_or_default();
        let client = self.sim.world().goto.access_tokens.get(bearer).map(|token| token.client_id.clone());
        self.sim.rate.admits(family, &client.unwrap_or_default(), call.now())
    }

    /// The connector promises `Retry-After`, GoTo documents none.
    fn retry_after(&self) -> Option<u64> {
        (self.api == Api::Connector).then_some(1)
    }

    fn record(&self, passage: &Passage, call: &Call, response: &Response) {
        let status = if passage.silent { 0 } else { response.status().as_u16() };
        let by_default = passage.method != Method::GET && !passage.silent && response.status().is_success();
        let wrote = match call.0.wrote.load(Ordering::Relaxed) {
            -1 => by_default || passage.committed_silently(),
            flag => flag == 1,
        };
        self.sim.journal.record(Entry {
            sequence: passage.sequence,
            at: passage.at,
            api: self.api,
            method: passage.method.to_string(),
            route: passage.route.clone(),
            status,
            wrote: wrote && passage.injected != Some(Effect::AcceptedWithoutEffect.name()),
            injected: passage.injected.map(str::to_owned),
            page: u64::try_from(call.0.page.load(Ordering::Relaxed)).ok(),
        });
    }
}

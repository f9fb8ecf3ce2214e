//! What waits for a human, and the plain pages that the links lead to.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SimState;
use super::control::{Problem, parse};
use super::reply::{html, ok};
use super::world::connector::{Link, Purpose};
use super::world::{HumanAction, Humans, Refusal, World};
use crate::domain::AccountKey;

/// One link that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiting {
    /// Whose connector.
    pub account: AccountKey,
    /// What the click does.
    pub purpose: Purpose,
    /// Since when.
    pub since: Timestamp,
    /// Until when the link works.
    pub expires_at: Timestamp,
    /// The token in the link.
    pub token: String,
    /// The link.
    pub link: String,
}

/// The routes of the control port that are about humans.
pub(super) fn router() -> Router<SimState> {
    Router::new()
        .route("/humans", get(waiting))
        .route("/humans/{action}", post(act))
        .route("/links/{token}", get(page).post(click))
}

/// When an automatic human acts next, after `now`.
pub(super) fn next_automatic(world: &World, now: Timestamp) -> Option<Timestamp> {
    let Humans::Auto { after_seconds } = world.settings.humans else { return None };
    let wait = SignedDuration::from_secs(after_seconds.into());
    let links = world.connectors.values().flat_map(|connector| connector.links.values());
    let acts = links.filter(|link| link.used_at.is_none()).filter_map(|link| {
        let at = link.made_at.checked_add(wait).ok()?;
        (at > now && at < link.expires_at).then_some(at)
    });
    acts.min()
}

fn alive(link: &Link, now: Timestamp) -> bool {
    link.used_at.is_none() && now < link.expires_at
}

/// `GET /humans`.
async fn waiting(State(sim): State<SimState>) -> Response {
    let (world, now) = (sim.world(), sim.now());
    let links = world.connectors.iter().flat_map(|(account, it)| it.links.iter().map(move |link| (account, link)));
    let waiting = links.filter(|(_, (_, link))| alive(link, now)).map(|(account, (token, link))| Waiting {
        account: account.clone(),
        purpose: link.purpose.clone(),
        since: link.made_at,
        expires_at: link.expires_at,
        token: token.clone(),
        link: format!("{}/links/{token}", sim.control_url()),
    });
    ok(&waiting.collect::<Vec<_>>())
}

/// `POST /humans/{action}`: fields of the action in the body, and `account` unless there is only one.
async fn act(
    State(sim): State<SimState>,
    Path(action): Path<String>,
    body: axum::body::Bytes,
) -> Result<Response, Problem> {
    let mut fields: Map<String, Value> = if body.is_empty() { Map::new() } else { parse(&body)? };
    let account = fields.remove("account").map(serde_json::from_value::<AccountKey>).transpose()?;
    fields.insert("action".to_owned(), Value::String(action));
    let action: HumanAction = serde_json::from_value(Value::Object(fields))?;
    let now = sim.now();
    let mut world = sim.world();
    let account = world.account_or_first(account)?;
    world.human(&account, &action, now)?;
    Ok(ok(&serde_json::json!({"done": true, "at": now})))
}

/// `GET /links/{token}`: says what a click does.
async fn page(State(sim): State<SimState>, Path(token): Path<String>) -> Response {
    let world = sim.world();
    match world.link(&token) {
        None => gone(StatusCode::NOT_FOUND, "This link is not known."),
        Some((_, link)) if link.used_at.is_some() => gone(StatusCode::OK, "This link was used: nothing is left to do."),
        Some((_, link)) if !alive(link, sim.now()) => {
            gone(StatusCode::GONE, "This link has expired. Ask for a new one.")
        }
        Some((account, link)) => html(StatusCode::OK, form(account, link)),
    }
}

/// `POST /links/{token}`: the click.
async fn click(State(sim): State<SimState>, Path(token): Path<String>) -> Response {
    let now = sim.now();
    match sim.world().follow(&token, now) {
        Ok(purpose) => gone(StatusCode::OK, &format!("Done: {}.", describe(&purpose))),
        Err(Refusal::LinkExpired) => gone(StatusCode::GONE, "This link is no longer valid."),
        Err(refusal) => gone(StatusCode::NOT_FOUND, &refusal.to_string()),
    }
}

fn describe(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Invitation => "the managing user accepts the invitation".to_owned(),
        Purpose::Administrator { .. } => "a further administrator accepts the invitation".to_owned(),
        Purpose::Consent { group } => format!("the Global Administrator grants the permissions of {}", escape(group)),
        Purpose::PushSignIn => "the Global Administrator signs in for a push".to_owned(),
    }
}

fn form(account: &AccountKey, link: &Link) -> String {
    let what = describe(&link.purpose);
    document(&format!(
        "<p>Account {account}: {what}.</p><p>The link works until {}.</p>\
         <form method=\"post\"><button type=\"submit\">Confirm</button></form>",
        link.expires_at
    ))
}

fn gone(status: StatusCode, text: &str) -> Response {
    html(status, document(&format!("<p>{text}</p>")))
}

fn document(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Teams Connector (simulated)</title></head>\
         <body><h1>Teams Connector (simulated)</h1>{body}</body></html>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

//! GoTo's three hosts: authorization server, `api.getgo.com`, `api.goto.com`.
//!
//! Served: what the operator calls. A write of accounts, users or numbers is no call here but an edit of the world.

mod admin;
mod lines;
mod page;
mod scim;
pub(super) mod token;
mod voice;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use k8s_openapi::jiff::Timestamp;

use super::query::BadQuery;
use super::reply::{Refused, goto_error, json_reply};
use super::world::World;
use super::world::goto::{AccessToken, Account};
use super::{Call, SimState};
use crate::domain::AccountKey;

/// The authorization server.
pub fn auth_router() -> Router<SimState> {
    Router::new().route("/oauth/token", post(token::issue)).fallback(not_routed)
}

/// `api.getgo.com`.
pub fn admin_router() -> Router<SimState> {
    Router::new()
        .route("/admin/rest/v1/me", get(admin::me))
        .route("/admin/rest/v1/accounts/{accountKey}/users", get(admin::users))
        .route("/identity/v1/Users/me", get(scim::me))
        .fallback(not_routed)
}

/// `api.goto.com`.
pub fn api_router() -> Router<SimState> {
    Router::new()
        .route("/users/v1/users", get(lines::users))
        .route("/users/v1/users/{userKey}/lines", get(lines::of_user))
        .route("/users/v1/lines", get(lines::own))
        .route("/users/v1/me", get(lines::me))
        .route("/voice-admin/v1/phone-numbers", get(voice::phone_numbers))
        .route("/voice-admin/v1/phone-numbers/{id}", get(voice::phone_number))
        .route("/voice-admin/v1/extensions", get(voice::extensions))
        .route("/voice-admin/v1/extensions/{id}", get(voice::extension))
        .route("/identity/v1/Users/me", get(scim::me))
        .fallback(not_routed)
}

async fn not_routed() -> Response {
    let body = serde_json::json!({"errorCode": "NOT_FOUND", "message": "No such resource."});
    json_reply(StatusCode::NOT_FOUND, &body)
}

/// How the host tells what is wrong with a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// `api.getgo.com`: 401 `not.authenticated` for everything.
    Getgo,
    /// `api.goto.com`.
    Goto,
}

/// The valid token of a call that has the scope.
fn token<'a>(world: &'a World, call: &Call, host: Host, scope: &str) -> Result<&'a AccessToken, Refused> {
    let known = call.bearer().and_then(|text| world.goto.access_tokens.get(text));
    let Some(token) = known else { return Err(unauthenticated(host, call.bearer().is_some(), false)) };
    if token.expires_at <= call.now() {
        return Err(unauthenticated(host, true, true));
    }
    if !token.scopes.contains(scope) {
        return Err(match host {
            Host::Getgo => unauthenticated(host, true, false),
            Host::Goto => {
                goto_error(StatusCode::FORBIDDEN, "AUTHZ_INSUFFICIENT_SCOPE", &format!("The scope {scope} is missing."))
                    .into()
            }
        });
    }
    Ok(token)
}

fn unauthenticated(host: Host, sent: bool, expired: bool) -> Refused {
    let status = StatusCode::UNAUTHORIZED;
    match (host, sent, expired) {
        (Host::Getgo, ..) => {
            json_reply(status, &serde_json::json!({"errorCode": "not.authenticated", "message": "not.authenticated"}))
        }
        (Host::Goto, false, _) => goto_error(status, "AUTHN_MALFORMED_TOKEN", "No bearer token was sent."),
        (Host::Goto, true, true) => goto_error(status, "AUTHN_EXPIRED_TOKEN", "The access token has expired."),
        (Host::Goto, true, false) => goto_error(status, "AUTHN_INVALID_TOKEN", "The access token is not valid."),
    }
    .into()
}

/// The account, if the token reaches it; 404 also stands for "no permission".
fn account<'a>(world: &'a World, token: &AccessToken, key: &str) -> Result<(&'a AccountKey, &'a Account), Refused> {
    let found = key.parse::<AccountKey>().ok().and_then(|key| world.goto.accounts.get_key_value(&key));
    found.filter(|(key, _)| token.accounts.contains(key)).ok_or_else(|| not_found("account"))
}

/// Whether the token's user has one of the roles in any account.
fn has_role(world: &World, token: &AccessToken, roles: &[&str]) -> bool {
    let mut users = world.goto.accounts.values().filter_map(|account| account.users.get(&token.user));
    users.any(|user| user.admin_roles.iter().any(|role| roles.contains(&role.as_str())))
}

fn not_found(what: &str) -> Refused {
    goto_error(StatusCode::NOT_FOUND, "NOT_FOUND", &format!("The {what} was not found.")).into()
}

fn bad_request(error: &BadQuery) -> Refused {
    goto_error(StatusCode::BAD_REQUEST, "BAD_REQUEST", &error.to_string()).into()
}

/// Whether something shows at `now`.
fn visible(since: Option<Timestamp>, now: Timestamp) -> bool {
    super::world::goto::visible(since, now)
}

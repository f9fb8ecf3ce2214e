//! The connector's contract over HTTP. Handlers translate: who calls, what is asked, what the world answers.

mod account;
mod body;
mod listing;
mod once;
mod permits;
mod runs;
mod users;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post, put};
use uuid::Uuid;

use super::reply::{Refused, json_reply};
use super::world::{Refusal, World};
use super::{Call, SimState};
use crate::clients::connector::wire::ErrorBody;
use crate::domain::{AccountKey, OrganizationId};

/// Every call of the contract.
pub fn router() -> Router<SimState> {
    Router::new()
        .nest("/accounts/{accountKey}", of_account().nest("/pbxs/{organizationId}", of_pbx()))
        .fallback(not_routed)
}

fn of_account() -> Router<SimState> {
    Router::new()
        .route("/", get(account::read).put(account::write).delete(account::delete))
        .route("/invitation", post(account::invite))
        .route("/administrators", get(account::administrators))
        .route("/administrators/{email}", put(account::put_administrator).delete(account::delete_administrator))
        .route("/administrators/{email}/invitation", post(account::invite_administrator))
        .route("/consents", get(permits::consents))
        .route("/consents/requests", post(permits::request_consents))
        .route("/domains", get(account::domains))
        .route("/domains/{name}/verification", put(account::publish_domain))
        .route("/syncs", get(runs::list).post(runs::start))
        .route("/syncs/{id}", get(runs::read))
        .route("/syncs/{id}/results", get(runs::results))
        .route("/push-authorization", get(permits::push_authorization))
        .route("/push-authorization/requests", post(permits::request_push_authorization))
        .route("/sync-state", get(runs::ticks))
}

fn of_pbx() -> Router<SimState> {
    Router::new()
        .route("/", put(account::bind).delete(account::unbind))
        .route("/entitlement", get(account::entitlement))
        .route("/services/teams", get(account::services).patch(account::set_services))
        .route("/verifications", post(runs::verify))
        .route("/verifications/latest", get(runs::verification))
        .route("/candidates", get(users::candidates))
        .route("/users", get(users::list))
        .route("/users/{gotoUserKey}", get(users::read).put(users::write).patch(users::switch).delete(users::delete))
        .route("/users:batch", post(users::batch))
}

async fn not_routed() -> Response {
    refused(&Refusal::NotFound("resource"))
}

/// The PBX of a path, and its account.
type PbxPath = (String, String);

/// The account of a call, if its token may administer it.
fn account(world: &World, call: &Call, key: &str) -> Result<AccountKey, Refused> {
    let bearer = call.bearer().ok_or_else(|| unauthorized("a bearer token is needed"))?;
    let key = key.parse::<AccountKey>().ok();
    let connector = key.as_ref().and_then(|key| world.connectors.get(key));
    if connector.is_some_and(|connector| connector.tokens.contains(bearer)) {
        return key.ok_or_else(|| refused(&Refusal::NotFound("account")).into());
    }
    let token = world.goto.token(bearer, call.now()).ok_or_else(|| unauthorized("the token is not valid"))?;
    let Some(key) = key.filter(|key| world.goto.accounts.contains_key(key)) else {
        return Err(refused(&Refusal::NotFound("account")).into());
    };
    let user = world.goto.accounts.values().find_map(|account| account.users.get(&token.user));
    let is_admin = user.is_some_and(|user| user.admin_roles.iter().any(|role| role == "SUPER_USER"));
    if is_admin && token.accounts.contains(&key) {
        return Ok(key);
    }
    Err(error(StatusCode::FORBIDDEN, "Forbidden", "the role SUPER_USER is needed".to_owned(), None).into())
}

/// The PBX of a call.
fn pbx(world: &World, call: &Call, path: &PbxPath) -> Result<(AccountKey, OrganizationId), Refused> {
    let account = account(world, call, &path.0)?;
    let organization = path.1.parse().map_err(|_| refused(&Refusal::NotFound("PBX")))?;
    Ok((account, organization))
}

fn unauthorized(message: &str) -> Refused {
    error(StatusCode::UNAUTHORIZED, "InvalidToken", message.to_owned(), None).into()
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        refused(&refusal).into()
    }
}

/// A refusal of the world in the contract's form.
fn refused(refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::CONFLICT);
    json_reply(status, &error_body(refusal))
}

/// The body of a refusal; for a running import or push `reference` is its id.
fn error_body(refusal: &Refusal) -> ErrorBody {
    let reference = match refusal {
        Refusal::SyncRunning { id } => id.clone(),
        _ => Uuid::new_v4().to_string(),
    };
    ErrorBody { error_code: refusal.code().to_owned(), message: refusal.to_string(), reference: Some(reference) }
}

fn error(status: StatusCode, code: &str, message: String, reference: Option<String>) -> Response {
    let reference = Some(reference.unwrap_or_else(|| Uuid::new_v4().to_string()));
    json_reply(status, &ErrorBody { error_code: code.to_owned(), message, reference })
}

/// The error of a value that cannot be.
fn invalid(message: String) -> Refused {
    error(StatusCode::UNPROCESSABLE_ENTITY, "InvalidValue", message, None).into()
}

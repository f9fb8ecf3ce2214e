//! `POST /{tenant}/oauth2/v2.0/token`, for client secrets.

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use crate::domain::TenantId;
use crate::sim::Call;
use crate::sim::form::{Form, basic};
use crate::sim::goto::token::expiry;
use crate::sim::reply::{Answer, Refused, entra_error, ok};
use crate::sim::world::World;
use crate::sim::world::tenant::{Application, GraphToken};

const FIELDS: [&str; 6] =
    ["client_id", "grant_type", "scope", "client_secret", "client_assertion_type", "client_assertion"];
/// Promised life of a token in seconds.
const LIFE: u64 = 3599;

/// Issues a token; whether anything was consented to is not looked at, as in the original.
pub(super) async fn issue(call: Call, Path(tenant): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    call.wrote(false);
    let asked = Asked { now: call.now() };
    let form = Form::parse(&headers, &body, &FIELDS)
        .ok_or_else(|| asked.bad("invalid_request", 900_144, "The request body is no form with known fields."))?;
    let mut world = call.world();
    if tenant.parse::<TenantId>() != Ok(world.tenant.id) {
        return Err(asked.bad("invalid_request", 90002, "Tenant not found. Check the tenant ID."));
    }
    if form.get("grant_type") != Some("client_credentials") {
        return Err(asked.bad("unsupported_grant_type", 70003, "The app requested an unsupported grant type."));
    }
    asked.scope(form.get("scope").unwrap_or_default())?;
    let client_id = asked.client(&world, &headers, &form)?;
    let text = format!("test-graph-{}", Uuid::new_v4());
    let token = GraphToken { client_id, expires_at: expiry(call.sim(), call.now(), LIFE) };
    world.tenant.access_tokens.retain(|_, token| token.expires_at > call.now());
    world.tenant.access_tokens.insert(text.clone(), token);
    Ok(ok(&json!({"token_type": "Bearer", "expires_in": LIFE, "ext_expires_in": LIFE, "access_token": text})))
}

struct Asked {
    now: Timestamp,
}

impl Asked {
    fn bad(&self, error: &str, number: u64, text: &str) -> Refused {
        entra_error(StatusCode::BAD_REQUEST, error, number, text, self.now).into()
    }

    fn unauthorized(&self, number: u64, text: &str) -> Refused {
        entra_error(StatusCode::UNAUTHORIZED, "invalid_client", number, text, self.now).into()
    }

    /// One resource, and everything that was consented to for it.
    fn scope(&self, scope: &str) -> Result<(), Refused> {
        let mut scopes = scope.split_whitespace();
        match (scopes.next(), scopes.next()) {
            (Some(one), None) if one.ends_with("/.default") => Ok(()),
            (Some(_), Some(_)) => {
                Err(self.bad("invalid_scope", 700_022, "The provided value for scope holds several resources."))
            }
            _ => Err(self.bad(
                "invalid_scope",
                70011,
                "The provided value for the input parameter 'scope' is not valid.",
            )),
        }
    }

    fn client(&self, world: &World, headers: &HeaderMap, form: &Form) -> Result<String, Refused> {
        let basic = basic(headers);
        let by_basic = basic.as_ref().map(|(id, _)| id.as_str());
        let id = form.get("client_id").or(by_basic).unwrap_or_default();
        let Some(application) = world.tenant.applications.get(id) else {
            return Err(self.bad("unauthorized_client", 700_016, "The application was not found in the directory."));
        };
        let secret = form.get("client_secret").or(basic.as_ref().map(|(_, secret)| secret.as_str()));
        match (secret, form.get("client_assertion")) {
            (Some(secret), _) => self.secret(application, secret)?,
            (None, Some(_)) => {
                return Err(self.bad("invalid_request", 70021, "No matching federated identity record found."));
            }
            (None, None) => {
                let text = "The request body must contain 'client_assertion' or 'client_secret'.";
                return Err(self.unauthorized(7_000_218, text));
            }
        }
        Ok(id.to_owned())
    }

    fn secret(&self, application: &Application, secret: &str) -> Result<(), Refused> {
        let Some(known) = application.secrets.iter().find(|known| known.value == secret) else {
            return Err(self.unauthorized(7_000_215, "Invalid client secret provided."));
        };
        if known.expires_at.is_some_and(|end| end <= self.now) {
            return Err(self.unauthorized(7_000_222, "The provided client secret keys are expired."));
        }
        Ok(())
    }
}

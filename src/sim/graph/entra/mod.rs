//! `POST /{tenant}/oauth2/v2.0/token`, for client secrets, certificates and federated tokens.

#[cfg(test)]
pub(in crate::sim) use aadsts::NUMBERS;

mod aadsts;
mod assertion;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::HeaderMap;
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::link;
use crate::domain::TenantId;
use crate::sim::Call;
use crate::sim::form::{Form, basic};
use crate::sim::goto::token::expiry;
use crate::sim::reply::{Answer, ok};
use crate::sim::world::applications::Application;
use crate::sim::world::tenant::GraphToken;
use crate::sim::world::{Tenant, World};

const FIELDS: [&str; 6] =
    ["client_id", "grant_type", "scope", "client_secret", "client_assertion_type", "client_assertion"];
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Entra's own address in the Global cloud, which an assertion may be made for.
const AUTHORITY: &str = "https://login.microsoftonline.com";

/// Issues a token; whether anything was consented to is not looked at, as in the original.
pub(super) async fn issue(call: Call, Path(tenant): Path<String>, headers: HeaderMap, body: Bytes) -> Answer {
    call.wrote(false);
    let mut world = call.world();
    let (now, client_status) = (call.now(), world.settings.graph.invalid_client_status);
    let asked = Asked { tenant: &tenant, headers: &headers, now };
    let (client_id, used) = asked.client(&world, &body).map_err(|number| aadsts::error(number, client_status, now))?;
    let life = world.settings.graph_token_seconds;
    let text = format!("test-graph-{}", Uuid::new_v4());
    let token = GraphToken { client_id, expires_at: expiry(call.sim(), now, life.into()) };
    world.tenant.assertions.retain(|_, end| *end > now);
    world.tenant.assertions.extend(used);
    world.tenant.access_tokens.retain(|_, token| token.expires_at > now);
    world.tenant.access_tokens.insert(text.clone(), token);
    Ok(ok(&json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": text})))
}

struct Asked<'a> {
    tenant: &'a str,
    headers: &'a HeaderMap,
    now: Timestamp,
}

impl Asked<'_> {
    /// The client that proved who it is, and what is remembered of its assertion; else the AADSTS number.
    fn client(&self, world: &World, body: &[u8]) -> Result<(String, assertion::Used), u64> {
        let form = Form::parse(self.headers, body, &FIELDS).ok_or(900_144_u64)?;
        if let Some(number) = world.tenant.token_error {
            return Err(number);
        }
        if self.tenant.parse::<TenantId>() != Ok(world.tenant.id) && !world.tenant.has_verified(self.tenant) {
            return Err(90_002);
        }
        if form.get("grant_type") != Some("client_credentials") {
            return Err(70_003);
        }
        scope(form.get("scope").unwrap_or_default())?;
        let basic = basic(self.headers);
        let id = form.get("client_id").or(basic.as_ref().map(|(id, _)| id.as_str())).unwrap_or_default();
        let application = world.tenant.applications.get(id).ok_or(700_016_u64)?;
        if application.disabled {
            return Err(7_000_112);
        }
        let secret = form.get("client_secret").or(basic.as_ref().map(|(_, secret)| secret.as_str()));
        let used = match (secret, form.get("client_assertion")) {
            (Some(secret), _) => self.secret(application, secret).map(|()| None)?,
            (None, Some(_)) if form.get("client_assertion_type") != Some(ASSERTION_TYPE) => return Err(900_144),
            (None, Some(text)) => self.assertion(&world.tenant, application, id, text)?,
            (None, None) => return Err(7_000_218),
        };
        Ok((id.to_owned(), used))
    }

    /// Any of the secrets that have not ended.
    fn secret(&self, application: &Application, secret: &str) -> Result<(), u64> {
        let mut known = application.secrets.iter().filter(|known| known.value == secret).peekable();
        known.peek().ok_or(7_000_215_u64)?;
        known.any(|known| known.expires_at.is_none_or(|end| end > self.now)).then_some(()).ok_or(7_000_222)
    }

    fn assertion(
        &self,
        tenant: &Tenant,
        application: &Application,
        client_id: &str,
        text: &str,
    ) -> Result<assertion::Used, u64> {
        let endpoint = |authority: &str| format!("{authority}/{}/oauth2/v2.0/token", tenant.id);
        let endpoints = [endpoint(AUTHORITY), endpoint(&link::base(self.headers))];
        let real_now = Timestamp::now();
        let assertion = assertion::Assertion { text, client_id, endpoints: &endpoints, now: self.now, real_now };
        assertion.check(tenant, application)
    }
}

/// One resource, and everything that was consented to for it.
fn scope(scope: &str) -> Result<(), u64> {
    let mut scopes = scope.split_whitespace();
    match (scopes.next(), scopes.next()) {
        (Some(one), None) if one.ends_with("/.default") => Ok(()),
        (Some(_), Some(_)) => Err(700_022),
        _ => Err(70_011),
    }
}

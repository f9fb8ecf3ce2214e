//! SCIM: only who the token's user is.

use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::{bad_request, not_found};
use crate::sim::Call;
use crate::sim::query::{Params, Plus};
use crate::sim::reply::{Answer, goto_error, ok};

/// `GET /identity/v1/Users/me`; on this path 401 means "not sufficiently authorized" and 403 an invalid token.
pub(super) async fn me(call: Call, uri: Uri) -> Answer {
    Params::parse(&uri, &[], Plus::Space).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = call.bearer().and_then(|text| world.goto.token(text, call.now()));
    let Some(token) = token else {
        return Err(goto_error(StatusCode::FORBIDDEN, "invalid.token", "The token is not valid.").into());
    };
    if !token.scopes.contains("identity:scim.me") {
        return Err(goto_error(StatusCode::UNAUTHORIZED, "not.authorized", "The scope is not sufficient.").into());
    }
    let mut accounts = token.accounts.iter().filter_map(|key| world.goto.accounts.get_key_value(key));
    let user = accounts.find_map(|(_, account)| account.users.get(&token.user)).ok_or_else(|| not_found("user"))?;
    let entitled =
        |key| json!({"value": key, "display": name(&world, key), "entitlements": ["acctadmin", "gotoconnect", "jive"]});
    let accounts: Vec<Value> = token.accounts.iter().map(entitled).collect();
    Ok(ok(&json!({
        "id": token.user,
        "userName": user.email,
        "displayName": user.first_name,
        "name": {"givenName": user.first_name, "familyName": user.last_name},
        "locale": "en_US",
        "timezone": "Europe/Berlin",
        "urn:scim:schemas:extension:getgo:1.0": {"accounts": accounts},
        "urn:scim:schemas:extension:jive:1.0": {},
    })))
}

fn name<'a>(world: &'a crate::sim::world::World, key: &crate::domain::AccountKey) -> &'a str {
    world.goto.accounts.get(key).map_or("", |account| account.name.as_str())
}

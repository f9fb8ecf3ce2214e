//! GoTo Connect users/v1: who has which line. No e-mail address is in it.

use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::page::{self, Wanted};
use super::{Host, account, bad_request, has_role, not_found, token, visible};
use crate::clients::goto::wire::{Line, MarkerPage, Organization, UserLines};
use crate::domain::{AccountKey, UserKey};
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, goto_error, ok};
use crate::sim::world::World;
use crate::sim::world::goto::{Account, GotoUser};

const SCOPE: &str = "users.v1.lines.read";
const PAGE: usize = 100;

/// `GET /users/v1/users`.
pub(super) async fn users(call: Call, uri: Uri) -> Answer {
    let params = Params::parse(&uri, &["accountKey", "pageMarker"], Plus::Space);
    let params = params.map_err(|error| bad_request(&error))?;
    let key = params.get("accountKey").ok_or_else(|| bad_request(&BadQuery::Value("accountKey")))?;
    let world = call.world();
    let token = token(&world, &call, Host::Goto, SCOPE)?;
    let (key, account) = account(&world, token, key)?;
    if !has_role(&world, token, &["SUPER_USER"]) {
        return Err(unauthorized());
    }
    let wanted = Wanted { list: &format!("users/{key}"), marker: params.get("pageMarker"), size: PAGE };
    let shown = account.users.iter().filter(|(_, user)| visible(user.visible_since, call.now()));
    let items = shown.map(|(user_key, user)| (user_key.as_str(), (user_key, user)));
    page::answer(&call, &wanted, items, |_, (user_key, user)| item(user_key, user, key, account))
}

fn unauthorized() -> Refused {
    goto_error(StatusCode::FORBIDDEN, "UNAUTHORIZED", "The caller lacks the role.").into()
}

fn item(user_key: &UserKey, user: &GotoUser, key: &AccountKey, account: &Account) -> Value {
    let known = UserLines { user_key: user_key.clone(), lines: Vec::new() };
    let mut item = serde_json::to_value(known).unwrap_or_default();
    item["lines"] = lines(user, key, account).into();
    item
}

fn lines(user: &GotoUser, key: &AccountKey, account: &Account) -> Vec<Value> {
    let line = |line: &crate::sim::world::goto::Line| {
        let name = account.organizations.get(&line.organization).cloned().unwrap_or_default();
        let known = Line {
            id: line.id.clone(),
            name: line.name.clone(),
            number: line.number.clone(),
            primary: Some(line.primary),
            organization: Organization { id: line.organization, name },
        };
        let mut item = serde_json::to_value(known).unwrap_or_default();
        item["accountKey"] = json!(key);
        item["region"] = json!("US");
        item
    };
    user.lines.iter().map(line).collect()
}

/// `GET /users/v1/users/{userKey}/lines`: one's own, or any for a super administrator.
pub(super) async fn of_user(call: Call, Path(user): Path<String>, uri: Uri) -> Answer {
    Params::parse(&uri, &[], Plus::Space).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = token(&world, &call, Host::Goto, SCOPE)?;
    let user: UserKey = user.parse().map_err(|_| not_found("user"))?;
    if token.user != user && !has_role(&world, token, &["SUPER_USER"]) {
        return Err(unauthorized());
    }
    answer(&world, &token.accounts, &user)
}

/// `GET /users/v1/lines`: those of the token's user.
pub(super) async fn own(call: Call, uri: Uri) -> Answer {
    Params::parse(&uri, &[], Plus::Space).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = token(&world, &call, Host::Goto, SCOPE)?;
    answer(&world, &token.accounts, &token.user)
}

fn answer(world: &World, accounts: &[AccountKey], user: &UserKey) -> Answer {
    let mut reached = accounts.iter().filter_map(|key| world.goto.accounts.get_key_value(key));
    let found = reached.find_map(|(key, account)| Some((key, account, account.users.get(user)?)));
    let (key, account, user) = found.ok_or_else(|| not_found("user"))?;
    Ok(ok(&MarkerPage { items: lines(user, key, account), next_page_marker: None }))
}

/// `GET /users/v1/me`: which PBX belongs to which account.
pub(super) async fn me(call: Call, uri: Uri) -> Answer {
    Params::parse(&uri, &[], Plus::Space).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = token(&world, &call, Host::Goto, "users.v1.read")?;
    let accounts = token.accounts.iter().filter_map(|key| world.goto.accounts.get_key_value(key));
    let items: Vec<Value> = accounts
        .flat_map(|(key, account)| account.organizations.iter().map(move |(id, name)| (key, id, name)))
        .map(|(key, id, name)| {
            json!({"accountKey": key, "organizationId": id, "organizationName": name, "lines": [], "permissions": []})
        })
        .collect();
    Ok(ok(&json!({"items": items})))
}

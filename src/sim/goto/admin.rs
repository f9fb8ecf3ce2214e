//! Admin API.

use axum::extract::Path;
use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::{Host, account, bad_request, has_role, token, visible};
use crate::clients::goto::wire::{AdminPage, AdminUser, Me, MeAccount};
use crate::domain::{Address, UserKey};
use crate::sim::Call;
use crate::sim::query::{BadQuery, Params, Plus};
use crate::sim::reply::{Answer, Refused, goto_error, ok};
use crate::sim::world::goto::{Account, GotoUser};

const SCOPE: &str = "identity:";
const PAGE_MAX: usize = 1000;
const PAGE_DEFAULT: usize = 100;

/// `GET /me`.
pub(super) async fn me(call: Call, uri: Uri) -> Answer {
    Params::parse(&uri, &[], Plus::Rejected).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = token(&world, &call, Host::Getgo, SCOPE)?;
    let named = |key| MeAccount { key: Clone::clone(key), name: account_name(world.goto.accounts.get(key)) };
    let accounts: Vec<MeAccount> = token.accounts.iter().map(named).collect();
    let default = token.accounts.first().ok_or_else(|| super::not_found("account"))?;
    Ok(ok(&Me { account_key: default.clone(), accounts }))
}

fn account_name(account: Option<&Account>) -> String {
    account.map_or_else(String::new, |account| account.name.clone())
}

/// `GET /accounts/{accountKey}/users`.
pub(super) async fn users(call: Call, Path(key): Path<String>, uri: Uri) -> Answer {
    let wanted = Wanted::parse(&uri).map_err(|error| bad_request(&error))?;
    let world = call.world();
    let token = token(&world, &call, Host::Getgo, SCOPE)?;
    let (_, account) = account(&world, token, &key)?;
    if !has_role(&world, token, &["SUPER_USER"]) {
        return Err(not_authorized());
    }
    let shown = |user: &GotoUser| visible(user.visible_since, call.now()) && wanted.admits(user);
    let mut all: Vec<_> = account.users.iter().filter(|(_, user)| shown(user)).collect();
    all.truncate(call.share().of(all.len()));
    call.page(wanted.offset.div_ceil(wanted.size) as u64);
    let size = call.page_size(wanted.size);
    let page = all.iter().skip(wanted.offset).take(size);
    let results: Vec<Value> = page.map(|(key, user)| wanted.project(item(key, user))).collect();
    let to_index = wanted.offset + results.len().saturating_sub(1);
    Ok(ok(&AdminPage { results, from_index: wanted.offset as u64, to_index: to_index as u64, total: all.len() as u64 }))
}

fn not_authorized() -> Refused {
    goto_error(StatusCode::FORBIDDEN, "not.authorized", "The caller is no super administrator.").into()
}

/// What a caller asked of the user list.
struct Wanted {
    email: Option<Address>,
    attributes: Option<Vec<String>>,
    size: usize,
    offset: usize,
}

impl Wanted {
    fn parse(uri: &Uri) -> Result<Self, BadQuery> {
        let params = Params::parse(uri, &["filter", "attributes", "pageSize", "offset"], Plus::Rejected)?;
        let size = params.number("pageSize")?.unwrap_or(PAGE_DEFAULT);
        if !(1..=PAGE_MAX).contains(&size) {
            return Err(BadQuery::Value("pageSize"));
        }
        let email = params.get("filter").map(|text| filter(text).ok_or(BadQuery::Value("filter"))).transpose()?;
        let attributes = params.get("attributes").map(|text| text.split(',').map(str::to_owned).collect());
        Ok(Self { email, attributes, size, offset: params.number("offset")?.unwrap_or(0) })
    }

    fn admits(&self, user: &GotoUser) -> bool {
        self.email.is_none() || self.email == user.address()
    }

    fn project(&self, item: Map<String, Value>) -> Value {
        let Some(wanted) = &self.attributes else { return Value::Object(item) };
        Value::Object(item.into_iter().filter(|(name, _)| wanted.contains(name)).collect())
    }
}

/// Only `email eq "…"` is known.
fn filter(text: &str) -> Option<Address> {
    text.strip_prefix("email eq \"")?.strip_suffix('"')?.parse().ok()
}

fn item(key: &UserKey, user: &GotoUser) -> Map<String, Value> {
    let known = AdminUser {
        key: key.clone(),
        email: Some(user.email.clone()),
        first_name: Some(user.first_name.clone()),
        last_name: Some(user.last_name.clone()),
        admin_roles: Some(user.admin_roles.clone()),
    };
    let Ok(Value::Object(mut item)) = serde_json::to_value(known) else { return Map::new() };
    item.insert("locale".to_owned(), json!("en_US"));
    item.insert("roleSets".to_owned(), json!([]));
    item.insert("admin".to_owned(), json!(!user.admin_roles.is_empty()));
    if let Some(line) = user.lines.iter().find(|line| line.primary).or_else(|| user.lines.first()) {
        item.insert("settings".to_owned(), json!({"JIVE": {"primaryExtensionNumber": line.number}}));
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_email_eq_is_a_filter() {
        assert!(filter("email eq \"ann@example.test\"").is_some());
        for text in ["email co \"ann\"", "email eq ann@example.test", "name eq \"Ann\""] {
            assert!(filter(text).is_none(), "{text}");
        }
    }
}
